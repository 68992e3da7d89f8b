package runlog

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// Unescaped returns a text of a service with blanks for the line ends and tabs
// that it has written as escapes: Globus quotes other programs so.
func Unescaped(text string) string {
	return strings.NewReplacer(`\r`, " ", `\n`, " ", `\t`, " ").Replace(text)
}

var (
	// taskName is how the messages of a run name its own task.
	taskName = pattern.Lazy(`^task [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} (was )?`)
	// anyID is the id of another one, of which the beginning will do.
	anyID = pattern.Lazy(`\b([0-9a-f]{8})(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)
)

// Cause says why a run ended as it did in so many characters, with the cause first:
// the code of an error and what came with it. Ids are cut.
func Cause(r *ledger.Run, most int) string {
	text := taskName().ReplaceAllString(r.Message, "")
	if r.Code != "" {
		before, cause, found := strings.Cut(text, r.Code+": ")
		switch {
		case !found:
			cause = text
		case strings.HasSuffix(before, "("): // the end of the parenthesis goes as well
			if i := strings.LastIndex(cause+";", ");"); i >= 0 {
				cause = cause[:i] + cause[i+1:]
			}
		}
		text = strings.TrimSuffix(r.Code+": "+cause, ": ")
	}
	text = Unescaped(anyID().ReplaceAllString(text, "$1…"))
	if utf8.RuneCountInString(text) > most {
		text, _, _ = strings.Cut(text, "; ") // what to do about it is no use in half
	}
	return plain.Short(text, most)
}

// longest is how long a sentence about a run may be, in characters.
const longest = 1000

// Advice says why a run did not succeed, with the cause first, and how it is done
// again. It is empty for a run that succeeded or has not ended.
func Advice(r *ledger.Run) string {
	if !r.State.Final() || r.Message == "" {
		return ""
	}
	text := Cause(r, longest)
	if r.State == ledger.Succeeded || strings.Contains(text, "runner runs retry") {
		return text
	}
	return fmt.Sprintf("%s, then runner runs retry %d", text, r.ID)
}

// Held says what holds a run that has not ended, and since when, as its newest note
// has it. It is empty if nothing does.
func Held(r *ledger.Run, notes []ledger.Note) string {
	held := ""
	for _, n := range notes {
		since := n.At.UTC().Format(time.RFC3339)
		switch n.Kind {
		case "left", "waiting":
			held = "nothing could be submitted at " + since + ", and it is tried again: " + n.Text
			if r.State == ledger.Submitted {
				held = "it was left at " + since + ": " + n.Text
			}
		case "retrying", "stalled", "needs_human", "hopeless":
			held = strings.ReplaceAll(n.Kind, "_", " ") + " since " + since + ": " + n.Text
		case "resumed", "progressing":
			held = ""
		}
	}
	return Unescaped(held)
}
