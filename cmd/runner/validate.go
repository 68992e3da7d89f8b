package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

const aboutValidate = `Check the jobs file, or every file of a folder, and print every mistake, with its
place and what to write instead. Nothing is sent anywhere. Channels by mail are
checked against RUNNER_SMTP_URL and RUNNER_SMTP_FROM.

The exit status is 0 if there are no mistakes, even if there are warnings, and 2
otherwise.`

// A validation is the result of "runner validate".
type validation struct {
	Jobs     int             `json:"jobs"` // 0 if there are problems
	Problems []*jobs.Problem `json:"problems"`
	Warnings []*jobs.Problem `json:"warnings"`
}

func (a *app) validateCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	c := &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Check the jobs file, and print every mistake",
		Long:  aboutValidate,
		Example: `  runner validate jobs.yaml
  runner validate -F json --jmespath 'problems[].message'`,
		Args: arguments(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				source.flag = args[0]
			}
			return a.validate(source)
		},
	}
	source.flags(c.Flags())
	return c
}

// validate checks the jobs file.
func (a *app) validate(source jobsSource) error {
	v := validation{Problems: []*jobs.Problem{}, Warnings: []*jobs.Problem{}}
	file, err := source.load()
	problems := jobs.Problems(err)
	switch {
	case err == nil:
		v.Jobs = len(file.Jobs)
		v.Warnings = append(v.Warnings, file.Warnings...)
		v.Warnings = append(v.Warnings, source.placed(a.channelDoubts(file.Channels))...)
	case len(problems) == 0:
		return err
	default:
		v.Problems = problems
	}
	if err := a.print(v, func(w io.Writer) {
		showProblems(a.stderr, v.Problems, "")
		showProblems(a.stderr, v.Warnings, "warning: ")
		if err == nil {
			fmt.Fprintf(w, "%s: %s\n", source, plain.Count(v.Jobs, "good job"))
		}
	}); err != nil {
		return err
	}
	if len(problems) > 0 {
		a.annotate(err)
		return usageError{fmt.Errorf("%s has %s", source, plain.Count(len(problems), "problem"))}
	}
	return nil
}

// maxShownLine is how much of a line is shown, in characters.
const maxShownLine = 160

// showProblems prints problems as a compiler does, each with its line and a
// mark below the place.
func showProblems(w io.Writer, problems []*jobs.Problem, kind string) {
	for _, p := range problems {
		shown := *p
		shown.Msg = kind + p.Msg
		fmt.Fprintln(w, plain.Line(shown.Error()))
		if p.Line == 0 || strings.TrimSpace(p.Snippet) == "" || utf8.RuneCountInString(p.Snippet) > maxShownLine {
			continue
		}
		number := fmt.Sprintf("%5d | ", p.Line)
		snippet := []rune(strings.ReplaceAll(p.Snippet, "\t", " "))
		before := plain.Line(string(snippet[:min(max(0, p.Col-1), len(snippet))]))
		fmt.Fprintf(w, "%s%s\n", number, plain.Line(string(snippet)))
		fmt.Fprintf(w, "%s| %s^\n", strings.Repeat(" ", len(number)-2), strings.Repeat(" ", utf8.RuneCountInString(before)))
	}
}
