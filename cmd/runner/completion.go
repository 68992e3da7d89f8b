package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// A completer knows the words that a shell may complete an argument to. It reads the jobs
// file and the ledger, and never asks Globus. Errors are dropped, because a prompt cannot
// show them.
type completer struct{ app *app }

// addTo completes the arguments and flags of a command, and of those below it.
func (k completer) addTo(c *cobra.Command) {
	for _, sub := range c.Commands() {
		k.addTo(sub)
	}
	if args := strings.Fields(c.Use)[1:]; len(args) > 0 {
		c.ValidArgsFunction = func(c *cobra.Command, given []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return k.argument(c, args, given)
		}
	}
	for _, flags := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			words := []string{"exists", "size", "mtime", "checksum"}
			if choice, ok := f.Value.(interface{ possible() []string }); ok {
				words = choice.possible()
			} else if f.Name != "sync-level" {
				return
			}
			_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // it is a flag of c, and has none yet
		})
	}
}

// argument returns the words for the argument after those that are given; args are the
// names of all arguments in the help, such as [JOB...].
func (k completer) argument(c *cobra.Command, args, given []string) (words []string, how cobra.ShellCompDirective) {
	n := len(given)
	if last := args[len(args)-1]; n >= len(args) && strings.HasSuffix(strings.TrimSuffix(strings.ReplaceAll(last, "...", "…"), "]"), "…") {
		n = len(args) - 1
	}
	if n >= len(args) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	name, _, path := strings.Cut(strings.Trim(args[n], "[].…"), "PATH")
	switch strings.TrimRight(name, ":[") {
	case "JOB":
		for _, j := range k.file(c).Jobs {
			words = append(words, j.Name)
		}
	case "CHANNEL":
		words = slices.Sorted(maps.Keys(k.file(c).Channels))
	case "COLLECTION", "SOURCE", "DESTINATION":
		words = slices.Sorted(maps.Keys(k.file(c).Collections))
	case "RUN":
		words = k.runs(c.Context())
	default:
		return nil, cobra.ShellCompDirectiveDefault
	}
	words = slices.DeleteFunc(words, func(word string) bool { return slices.Contains(given, word) })
	how = cobra.ShellCompDirectiveNoFileComp
	if path {
		how |= cobra.ShellCompDirectiveNoSpace
		for i := range words {
			words[i] += ":"
		}
	}
	return words, how
}

// file returns the jobs file that a command would read, or an empty one.
func (k completer) file(c *cobra.Command) *jobs.File {
	from := jobsSource{env: k.app.env}
	if f := c.Flag("jobs"); f != nil {
		from.flag = f.Value.String()
	}
	if file, err := from.read(); err == nil {
		return file
	}
	return &jobs.File{}
}

// runs returns the numbers of the newest runs, each with a description.
func (k completer) runs(ctx context.Context) (words []string) {
	l, err := k.app.openLedger(ctx, nilIfAbsent)
	if l == nil || err != nil {
		return nil
	}
	defer l.Close() //nolint:errcheck // it was only read
	for run, err := range l.Runs(ctx, ledger.Query{Limit: 20}) {
		if err != nil {
			return words
		}
		words = append(words, fmt.Sprintf("%d\t%s %s, %s", run.ID, run.Job, run.Key, run.State))
	}
	return words
}
