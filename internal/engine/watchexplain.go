package engine

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/transfer"
)

// explain says why the task makes no progress, in words and as Globus's code. It
// asks Globus, but also works without an answer.
func (w *watcher) explain(ctx context.Context) (why, code string) {
	t := w.task.Last
	switch {
	case t.IsPaused:
		if info, err := w.run.globus.PauseInfo(ctx, t.TaskID); err == nil {
			if msg := pauseMessage(info); msg != "" {
				return "paused by the collection's manager: " + msg, "PAUSED"
			}
		}
		return "paused by the collection's manager", "PAUSED"
	case t.Status == transfer.Inactive:
		return "suspended by Globus: its credentials or a consent have expired or were withdrawn", "INACTIVE"
	}
	since := "no progress since " + w.course.moved.UTC().Format(time.RFC3339)
	if !troubled(t) {
		return since, "STALLED"
	}
	why, code = t.NiceStatus, t.NiceStatus
	if e, _ := w.lastError(ctx); e != nil {
		why, code = describe(e), e.Code
	}
	if w.class == Stalled {
		why = since + ", " + why
	}
	return why, code
}

// plight says what held up the unfinished task at the last look, and returns a
// code for the next step. Both are empty for a task that made progress. It
// makes requests only if ask is true.
func (w *watcher) plight(ctx context.Context, ask bool) (state, code string) {
	t := w.seen
	switch {
	case t == nil:
		return "", ""
	case t.IsPaused || t.Status == transfer.Inactive:
		if ask && w.reason == "" {
			w.reason, _ = w.explain(ctx)
		}
		if t.IsPaused {
			return cmp.Or(w.reason, "paused by the collection's manager"), "PAUSED"
		}
		return cmp.Or(w.reason, "suspended by Globus"), "INACTIVE"
	case t.NiceStatus == "Queued":
		return "queued by Globus, which works on few tasks of an account at once", ""
	case troubled(t):
		what := t.NiceStatus
		if ask {
			if e, _ := w.lastError(ctx); e != nil {
				what, code = describe(e), e.Code
			}
		}
		return fmt.Sprintf("retrying for %s after %s", since(w.course.troubled), what), cmp.Or(code, t.NiceStatus)
	case w.class == Stalled:
		return fmt.Sprintf("without progress for %s", since(w.course.moved)), ""
	}
	return "", ""
}

// since returns how long ago t was, for messages.
func since(t time.Time) time.Duration { return time.Since(t).Round(time.Second) }

// pauseMessage returns the first words that a manager left.
func pauseMessage(info *transfer.PauseInfo) string {
	for _, rule := range info.PauseRules {
		if rule.Message != "" {
			return oneLine(rule.Message)
		}
	}
	return oneLine(cmp.Or(
		info.SourcePauseMessage, info.DestinationPauseMessage,
		info.SourcePauseMessageShare, info.DestinationPauseMessageShare,
	))
}

// lastError returns the newest error that the task met, or nil. If the task was
// ended, ended is CANCELED or EXPIRED, which the service lists among the errors.
func (w *watcher) lastError(ctx context.Context) (last *transfer.Event, ended string) {
	for e, err := range w.run.globus.Events(ctx, w.task.TaskID, transfer.EventQuery{Errors: new(true), Limit: 10}) {
		switch {
		case err != nil:
			return nil, ended
		case e.Code == "CANCELED" || e.Code == "EXPIRED":
			ended = cmp.Or(ended, e.Code)
		default:
			return e, ended
		}
	}
	return nil, ended
}

// describe returns an error event as one line.
func describe(e *transfer.Event) string {
	return e.Code + ": " + oneLine(cmp.Or(transfer.Reason(e.Details), e.Description))
}

// lineEnds replaces the forms of line ends in the details of an event.
var lineEnds = strings.NewReplacer("%0D%0A", " ", `\r\n`, " ", `\n`, " ")

// oneLine returns a text of the service as one line of limited length.
func oneLine(text string) string {
	const most = 300 // characters
	return plain.Short(lineEnds.Replace(text), most)
}
