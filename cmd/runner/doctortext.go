package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// pageWidth is how many characters wide a diagnosis is, where words allow it.
const pageWidth = 80

// marks are printed before findings, by their level.
var marks = map[doctor.Level]string{doctor.OK: "✓", doctor.Warning: "!", doctor.Error: "✗"}

// text prints the findings below their headings, and a summary.
func (d *diagnosis) text(w io.Writer) {
	label := 0
	for _, f := range d.Findings {
		label = max(label, len(doctor.Title(f.Check)))
	}
	var groups []string
	for _, f := range d.Findings {
		if !slices.Contains(groups, f.Group) {
			groups = append(groups, f.Group)
		}
	}
	for _, group := range groups {
		fmt.Fprintln(w, plain.Line(group))
		for _, f := range d.Findings {
			if f.Group == group {
				showFinding(w, f, label)
			}
		}
		fmt.Fprintln(w)
	}
	_, problems, warnings := doctor.Worst(d.Findings)
	switch {
	case problems > 0 && warnings > 0:
		fmt.Fprintf(w, "%s, %s\n", plain.Count(problems, "problem"), plain.Count(warnings, "warning"))
	case problems > 0:
		fmt.Fprintln(w, plain.Count(problems, "problem"))
	case warnings > 0:
		fmt.Fprintln(w, plain.Count(warnings, "warning"))
	default:
		fmt.Fprintln(w, "all is well")
	}
}

// showFinding prints one finding, and below it what to do, and what was not checked because
// of it.
func showFinding(w io.Writer, f doctor.Finding, label int) {
	seen := f.Seen
	if f.Subject != "" && !strings.HasSuffix(f.Group, " "+f.Subject) {
		seen = f.Subject + ": " + seen
	}
	fmt.Fprintf(w, "  %s %-*s  ", marks[f.Level], label, doctor.Title(f.Check))
	indent := label + 6
	fold(w, seen, indent)
	if f.Advice != "" {
		fmt.Fprintf(w, "%*s", indent, "")
		fold(w, "→ "+f.Advice, indent)
	}
	if f.NotChecked != nil {
		fmt.Fprintf(w, "%*s", indent, "")
		fold(w, "not checked because of this: "+strings.Join(f.NotChecked, ", "), indent)
	}
}

// fold prints a text in lines of the page's width, all indented alike; the first line is
// indented already. A word is never cut.
func fold(w io.Writer, text string, indent int) {
	column := indent
	for i, word := range strings.Fields(text) {
		word = plain.Line(word)
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > pageWidth:
			fmt.Fprintf(w, "\n%*s", indent, "")
			column = indent
		default:
			fmt.Fprint(w, " ")
			column++
		}
		fmt.Fprint(w, word)
		column += n
	}
	fmt.Fprintln(w)
}
