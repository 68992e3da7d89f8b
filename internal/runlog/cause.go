package runlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// Unescaped returns a text of a service with blanks in place of escaped line
// ends and tabs, such as Globus writes when it quotes other programs.
func Unescaped(text string) string {
	if !strings.Contains(text, `\`) {
		return text // the usual case: a Replacer takes longer to make than to use
	}
	return strings.NewReplacer(`\r`, " ", `\n`, " ", `\t`, " ").Replace(text)
}

var (
	// taskName matches the name of a run's own task at the beginning of a
	// message.
	taskName = pattern.Lazy(`^task [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} (was )?`)
	// anyID matches an id, which is cut to its beginning.
	anyID = pattern.Lazy(`\b([0-9a-f]{8})(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)
)

// retry is the command that does a run again. The message of a run that was skipped has it,
// unless another run takes the place of that one.
const retry = "runner runs retry"

// canceled is the code of a run whose task was canceled, by whomever.
const canceled = "CANCELED"

// request matches the beginning of the error of a request, before the code.
var request = pattern.Lazy(`^[A-Z]+ \S+: [0-9]{3} `)

// ByGuard is how the cause of a run begins that a guard refused. The state of such a run
// is failed.
const ByGuard = "refused by a guard: "

// missing is the class of a run whose audit found files without a copy. Its message says
// what to do, since to repeat the audit copies nothing.
const missing = "missing"

// Text says in whole what went wrong, for people.
func (p *Problem) Text() string { return byGuard(p.Class) + p.Message }

// byGuard returns ByGuard for the class of what a guard refused, and nothing for others.
func byGuard(class string) string {
	if class == "guard" {
		return ByGuard
	}
	return ""
}

// Cause says in at most most characters why a run ended as it did, with the code of
// the error first. Ids are cut.
func Cause(r *ledger.Run, most int) string {
	text := taskName().ReplaceAllString(r.Message, "")
	if r.Code != "" {
		before, cause, found := strings.Cut(text, r.Code+": ")
		switch {
		case !found:
			cause = text
		case strings.HasSuffix(before, "("): // remove the closing parenthesis as well
			if i := closing(cause); i >= 0 {
				cause = cause[:i] + cause[i+1:]
			}
		}
		text = strings.TrimSuffix(r.Code+": "+cause, ": ")
		if r.Code == canceled && strings.HasPrefix(cause, "canceled ") {
			text = cause // the text only repeats the code
		}
	}
	text = byGuard(r.Class) + Unescaped(anyID().ReplaceAllString(text, "$1…"))
	if utf8.RuneCountInString(text) > most {
		text, _, _ = strings.Cut(text, "; ") // half an advice is no use
	}
	return plain.Short(text, most)
}

// closing returns the index of the parenthesis that closes one opened before text, or
// -1.
func closing(text string) int {
	depth := 1
	for i, r := range text {
		switch r {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// longest is the length of the longest sentence about a run, in characters.
const longest = 1000

// Advice says why a run did not succeed, with the cause first, and how to repeat
// it. It is empty for a run that succeeded or has not ended.
func Advice(r *ledger.Run) string {
	if !r.State.Final() || r.Message == "" {
		return ""
	}
	text := Cause(r, longest)
	if r.State == ledger.Succeeded || r.State == ledger.Skipped || r.Class == missing || strings.Contains(text, retry) {
		return text
	}
	if r.State == ledger.Canceled || r.Code == canceled {
		return fmt.Sprintf("%s; to do it after all: runner runs retry %d", text, r.ID)
	}
	return fmt.Sprintf("%s, then runner runs retry %d", text, r.ID)
}

// Held says what holds up a run that has not ended, and since when, according to
// its newest note. It is empty if nothing does.
func Held(state ledger.State, notes []ledger.Note) string {
	n := holding(notes)
	since := n.At.UTC().Format(time.RFC3339)
	switch {
	case n.Kind == "":
		return ""
	case n.Kind != "left" && n.Kind != "waiting":
		return Unescaped(strings.ReplaceAll(n.Kind, "_", " ") + " since " + since + ": " + n.Text)
	case state == ledger.Submitted:
		return Unescaped("it was left at " + since + ": " + n.Text)
	}
	return Unescaped("nothing could be submitted at " + since + ": " + n.Text)
}

// HeldBriefly says in at most most characters what holds up a run that has not ended,
// with the cause first.
func HeldBriefly(notes []ledger.Note, most int) string {
	text := request().ReplaceAllString(holding(notes).Text, "")
	return Cause(&ledger.Run{Outcome: ledger.Outcome{Message: text}}, most)
}

// holding returns the note that says what holds up a run; zero if nothing does.
func holding(notes []ledger.Note) (held ledger.Note) {
	for _, n := range notes {
		switch n.Kind {
		case "left", "waiting", "retrying", "stalled", "needs_human", "hopeless":
			held = n
		case "resumed", "progressing", ledger.NoteEnded:
			held = ledger.Note{}
		}
	}
	return held
}

// HeldRuns returns what holds up the runs in states that have not ended, by their
// ids.
func HeldRuns(ctx context.Context, l *ledger.Ledger, states map[int64]ledger.State) (map[int64]string, error) {
	maps.DeleteFunc(states, func(_ int64, s ledger.State) bool { return s == "" || s.Final() })
	notes, err := l.NotesOn(ctx, slices.Collect(maps.Keys(states))...)
	held := map[int64]string{}
	for run, state := range states {
		if why := Held(state, notes[run]); why != "" {
			held[run] = why
		}
	}
	return held, err
}
