package engine

import (
	"context"
	"fmt"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// ended returns what the end of the task means.
func (w *watcher) ended(ctx context.Context) error {
	t := w.task.Last
	w.run.journal.addEnd(ctx, w.part.submissionID, string(t.Status), w.task.totals())
	w.run.engine.observe(Looked{w.run.result.Job, t, Progressing, w.run.result.Started})
	if t.Status == transfer.Succeeded {
		if err := w.part.namesake(ctx, t); err != nil {
			return err
		}
		w.part.receipt(ctx)
	}
	switch {
	case w.run.leftOut(t):
		return w.withoutSome(ctx)
	case t.Status == transfer.Succeeded:
		return nil
	case w.canceled != nil:
		return w.canceled
	}
	return w.failed(ctx)
}

// failed returns why the task failed.
func (w *watcher) failed(ctx context.Context) *Failure {
	t := w.task.Last
	code := ""
	if t.FatalError != nil {
		code = t.FatalError.Code
	}
	last, ended := w.lastError(ctx)
	its := ""
	if last != nil {
		its = "; its last error was " + describe(last)
	}
	switch {
	case ended == "CANCELED" || code == "CANCELED" || t.SubtasksCanceled > 0 || t.CanceledByAdmin != "":
		what := fmt.Sprintf("task %s was canceled by another command or person", t.TaskID)
		if t.CanceledByAdmin != "" {
			what = fmt.Sprintf("task %s was canceled by the manager of a collection: %s", t.TaskID, oneLine(t.CanceledByAdminMessage))
		}
		return w.run.canceledAtGlobus(ctx, t.TaskID, what+its)
	case ended == "EXPIRED" || code == "EXPIRED" || t.SubtasksExpired > 0:
		what := fmt.Sprintf("task %s did not end by its deadline", t.TaskID)
		state, cause := w.plight(ctx, false)
		if state != "" {
			what += ", and was last seen " + state
		}
		if last != nil && fault.OfTask(cause).Next == "" { // else it was held, and that is what has to be ended
			cause = last.Code
		}
		return &Failure{Kind: fault.TimedOut, TaskID: t.TaskID, Code: "EXPIRED", state: ledger.TimedOut, Message: advised(what+its, cause)}
	}
	what := fmt.Sprintf("task %s failed", t.TaskID)
	if t.FatalError != nil && t.FatalError.Description != "" {
		what += ": " + oneLine(t.FatalError.Description)
	}
	kind, code := blame(code, last)
	return &Failure{Kind: kind, TaskID: t.TaskID, Code: code, state: ledger.Failed, again: true, Message: advised(what+its, code)}
}

// blame returns the kind and the code of the error that made a task fail: the task's own
// code, unless its last error event says more.
func blame(code string, last *transfer.Event) (fault.Kind, string) {
	kind := fault.OfTask(code).Kind
	if last != nil && kind == fault.Failed {
		if its := fault.OfTask(last.Code).Kind; code == "" || its != fault.Failed {
			return its, last.Code
		}
	}
	return kind, code
}

// advised adds the next step for an error event of this code, if there is one.
func advised(message, code string) string {
	if next := fault.OfTask(code).Next; next != "" {
		message += "; " + next
	}
	return message
}

// leftOut reports whether a task succeeded without files that the job does not allow to
// be missing.
func (r *run) leftOut(t *transfer.Task) bool {
	return t.Status == transfer.Succeeded && t.SubtasksSkippedErrors > 0 && !r.job.AllowSkipped
}

// withoutSome returns the failure of a task that succeeded without some of its files.
func (w *watcher) withoutSome(ctx context.Context) error {
	t := w.task.Last
	f := &Failure{Kind: fault.SkippedErrors, TaskID: t.TaskID, state: ledger.Succeeded}
	skipped := plain.Count(t.SubtasksSkippedErrors, "path") + " were skipped"
	if t.SubtasksSkippedErrors == 1 {
		skipped = "1 path was skipped"
	}
	f.Message = fmt.Sprintf("task %s succeeded, but %s because of errors", t.TaskID, skipped)
	for s, err := range w.run.globus.SkippedErrors(ctx, t.TaskID) {
		if err == nil {
			f.Code = s.ErrorCode
			f.Message += fmt.Sprintf(", the first of them %s (%s)", s.SourcePath, s.ErrorCode)
		}
		break
	}
	f.Message += fmt.Sprintf("; runner task skipped %s lists them", t.TaskID)
	return f
}

// cutShort changes the failure of a task that succeeded without some of its files if it was
// not the last one: the next is not begun, so the run has not succeeded.
func (f *Failure) cutShort(next jobs.Position) {
	f.state = ledger.Failed
	what := fmt.Sprintf("step %d", next.Step)
	if next.Part > 1 {
		what = fmt.Sprintf("part %d", next.Part)
	}
	f.Message += "; " + what + " was not begun"
}
