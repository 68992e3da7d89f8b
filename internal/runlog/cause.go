package runlog

import (
	"strings"
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
