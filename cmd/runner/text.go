package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/runlog"
)

// ago is a time in the past, in its largest unit.
func ago(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh ago", d/time.Hour)
	}
	return fmt.Sprintf("%dd ago", d/day)
}

// size prints a number of bytes for people.
func size(n int64) string { return plain.Size(n, " ") }

// shortened returns a name for a column of a table. A long name would push the columns
// after it away, so it loses its middle; -F json has it in full.
func shortened(name string) string {
	const most = 60 // characters
	shown := []rune(plain.Line(name))
	if len(shown) <= most {
		return name
	}
	return string(shown[:most/2]) + "…" + string(shown[len(shown)-most/2+1:])
}

// seconds rounds a time for people.
func seconds(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// rfc3339 writes an instant.
func rfc3339(t time.Time) string { return t.Format(time.RFC3339) }

// words returns a state in words.
func words(state string) string { return strings.ReplaceAll(state, "_", " ") }

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// are returns the verb for a number of things.
func are(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// counted prints a number and what it counts, unless it is 0.
func counted(w io.Writer, n int64, one, many string) {
	switch n {
	case 0:
	case 1:
		fmt.Fprintln(w, n, one)
	default:
		fmt.Fprintln(w, n, many)
	}
}

// counts prints a line for each reason, with its number.
func counts(w io.Writer, by map[string]int64) {
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		fmt.Fprintf(w, "  %d: %s\n", by[reason], reason)
	}
}

// someOf lists the first of the words, and says how many more there are.
func someOf(words []string) string { return plain.Some(words, 20) }

// maxBrief is how long a sentence in a table is, in characters; "show" and -F json
// have it in full.
const maxBrief = 60

// why says why a run ended as it did, with the cause first.
func why(r *ledger.Run) string { return runlog.Cause(r, maxBrief) }

// started says when a run began; nothing while it waits.
func started(r *ledger.Run) string {
	if r.Began.IsZero() {
		return ""
	}
	return r.Began.Format(time.RFC3339)
}
