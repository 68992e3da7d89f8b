package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// Summary writes the report as Markdown: a table with a row for each run, and
// the errors below it.
func Summary(w io.Writer, r Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### Globus: %s\n\n", words(r.State()))
	b.WriteString("| job | occurrence | state | task | files | bytes | faults | time |\n")
	b.WriteString("|---|---|---|---|--:|--:|--:|--:|\n")
	for _, run := range r.Runs {
		var tasks []string
		for _, t := range run.Tasks {
			tasks = append(tasks, t.link())
		}
		state := words(run.State)
		if run.Adopted {
			state += " (adopted)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %d | %d | %s |\n",
			words(run.name()), words(run.Key), state, strings.Join(tasks, " "),
			run.Files, run.Bytes, run.Faults, run.Elapsed.Round(time.Second))
	}
	for _, run := range r.Runs {
		if run.Error != "" {
			fmt.Fprintf(&b, "\n**%s**: %s (exit status %d)\n", words(run.name()), words(run.Error), run.ExitCode)
		} else if why := run.skipped(); why != "" {
			fmt.Fprintf(&b, "\n**%s**: %s\n", words(run.name()), words(why))
		} else if run.Adopted && run.Note != "" {
			fmt.Fprintf(&b, "\n**%s**: %s\n", words(run.name()), words(run.Note))
		}
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// link returns a link to a task with its id as text.
func (t Task) link() string {
	if t.URL == "" {
		return words(t.ID)
	}
	return fmt.Sprintf("[%s](<%s>)", words(t.ID), address.Replace(plain.Line(t.URL)))
}

// words escapes s for Markdown, on one line. It uses character references,
// which are never part of the structure of a page; a backslash before the bar
// of a table could itself be escaped.
func words(s string) string { return markup.Replace(sentence(s)) }

var markup = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, "&#92;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "~", "&#126;",
	"[", "&#91;", "]", "&#93;", "|", "&#124;", "$", "&#36;", "@", "&#64;",
	"://", "&#58;//", "www.", "www&#46;", "WWW.", "WWW&#46;", // pages turn these into links
)

var address = strings.NewReplacer("<", "%3C", ">", "%3E", `\`, "%5C", "|", "%7C", " ", "%20")
