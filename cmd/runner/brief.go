package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

// maxBrief is how long a sentence in a table is, in characters.
const maxBrief = 60

// brief is a sentence in a table, in full where "show" and -F json have it.
func brief(text string) string { return plain.Short(unescaped(text), maxBrief) }

// unescaped returns a text of a service with blanks for the line ends and tabs
// that it has written as escapes: Globus quotes other programs so.
func unescaped(text string) string {
	return strings.NewReplacer(`\r`, " ", `\n`, " ", `\t`, " ").Replace(text)
}

var (
	// taskName is how the messages of a run name its own task.
	taskName = regexp.MustCompile(`^task [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} (was )?`)
	// anyID is the id of another one, of which the beginning will do.
	anyID = regexp.MustCompile(`\b([0-9a-f]{8})(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)
)

// why says why a run ended as it did, with the cause first.
func why(r *ledger.Run) string {
	text := taskName.ReplaceAllString(r.Message, "")
	if r.Code != "" {
		_, cause, found := strings.Cut(text, r.Code+": ")
		if !found {
			cause = text
		}
		text = strings.TrimSuffix(r.Code+": "+cause, ": ")
	}
	text = unescaped(anyID.ReplaceAllString(text, "$1…"))
	if utf8.RuneCountInString(text) > maxBrief {
		text, _, _ = strings.Cut(text, "; ") // what to do about it is no use in half
	}
	return brief(text)
}

// started says when a run began: how long ago if its key names no instant, as
// of a run by hand or of CI, since nothing else in its line tells it.
func started(r *ledger.Run, now time.Time) string {
	if !jobs.Key(r.Key).Due().IsZero() {
		return r.Claimed.Format(time.RFC3339)
	}
	return ago(now.Sub(r.Claimed))
}

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
