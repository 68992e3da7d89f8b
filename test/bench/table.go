package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A quantity is something that is measured.
type quantity interface {
	~int64
	fmt.Stringer
}

// A span is a time in nanoseconds.
type span int64

func (s span) String() string { return fmt.Sprintf("%.1f ms", float64(s)/float64(time.Millisecond)) }

// A size is a number of bytes.
type size int64

func (s size) String() string { return fmt.Sprintf("%.1f MiB", float64(s)/(1<<20)) }

// A perMinute is how often something happens in a minute.
type perMinute int64

func (p perMinute) String() string { return fmt.Sprintf("%d/min", int64(p)) }

// A perSecond is how often something happens in a second.
type perSecond int64

func (p perSecond) String() string { return fmt.Sprintf("%d/s", int64(p)) }

// none stands in a table where there is nothing to say.
const none = "-"

// A row is one figure beside its budget.
type row struct {
	what       string
	ours, bare string // what the runner took, and the bare program
	figure     string // what the budget is about
	budget     string
	verdict    string // within or over; none without a budget
	fixed      bool   // the figure does not depend on the machine
}

// A table is the result of measurements.
type table []row

// ratio is a row about how many times what bare takes the runner may take.
// Budget 0 is none.
func ratio[Q quantity](what string, ours, bare Q, budget float64) row {
	figure := float64(ours) / float64(bare)
	r := row{
		what: what, ours: ours.String(), bare: bare.String(),
		figure: fmt.Sprintf("%.2f x", figure), budget: none, verdict: none,
	}
	if budget > 0 {
		r.budget, r.verdict = fmt.Sprintf("%g x", budget), verdict(figure <= budget)
	}
	return r
}

// ratios are the rows of a sample.
func ratios(what string, ours, bare sample, budget float64) table {
	return table{
		ratio(what+", wall time", ours.wall, bare.wall, budget),
		ratio(what+", CPU time", ours.cpu, bare.cpu, budget),
		ratio(what+", memory", ours.memory, bare.memory, budget),
	}
}

// difference is a row about how much more than bare the runner may take.
func difference[Q quantity](what string, ours, bare, budget Q) row {
	return row{
		what: what, ours: ours.String(), bare: bare.String(),
		figure: signed(ours - bare), budget: signed(budget), verdict: verdict(ours-bare <= budget),
	}
}

// atMost is a row about the runner alone.
func atMost[Q quantity](what string, ours, budget Q) row {
	return row{
		what: what, ours: ours.String(), bare: none,
		figure: ours.String(), budget: budget.String(), verdict: verdict(ours <= budget),
	}
}

// plain is a row about the runner alone that has no budget.
func plain[Q quantity](what string, ours Q) row {
	return row{what: what, ours: ours.String(), bare: none, figure: ours.String(), budget: none, verdict: none}
}

func signed[Q quantity](q Q) string {
	if q < 0 {
		return q.String()
	}
	return "+" + q.String()
}

const (
	within = "within"
	over   = "over"
)

func verdict(good bool) string {
	if good {
		return within
	}
	return over
}

// broken reports whether a budget is exceeded that no machine excuses.
func (t table) broken() bool {
	return slices.ContainsFunc(t, func(r row) bool { return r.fixed && r.verdict == over })
}

// write writes the table as Markdown that also reads well as it is.
func (t table) write(w io.Writer) error {
	cells := [][]string{{"measurement", "runner", "bare", "figure", "budget", "verdict"}}
	for _, r := range t {
		cells = append(cells, []string{r.what, r.ours, r.bare, r.figure, r.budget, r.verdict})
	}
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	for n, line := range cells {
		for i, cell := range line {
			width := widths[i]
			if i == 0 {
				width = -width // to the left
			}
			fmt.Fprintf(&text, "| %*s ", width, cell)
		}
		text.WriteString("|\n")
		if n > 0 {
			continue
		}
		for i, width := range widths {
			rule := strings.Repeat("-", width+1)
			if i == 0 {
				fmt.Fprintf(&text, "|%s-", rule)
			} else {
				fmt.Fprintf(&text, "|%s:", rule)
			}
		}
		text.WriteString("|\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}
