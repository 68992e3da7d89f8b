package engine

import (
	"context"
	"errors"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
)

// untilOver calls over once a second until it returns true, for something that
// is being canceled, which may also succeed. It returns false if ctx ends first.
func untilOver(ctx context.Context, over func(context.Context) bool) bool {
	for !over(ctx) {
		if sleep(ctx, firstPoll) != nil {
			return false
		}
	}
	return true
}

// uncanceled leaves a run to a later start because it is not known how the task id,
// which was to be canceled, ends. what says what is known, and err may be nil.
func (r *run) uncanceled(ctx context.Context, id, what string, err error) *Failure {
	f := interrupted(ctx, id, what)
	f.Err = err
	if errors.Is(context.Cause(ctx), errCanceled) {
		f.Kind, f.state = fault.Unknown, "" // a later start cancels it
	}
	return f
}

// canceledAtGlobus returns the failure of a run whose task id was canceled at Globus. Such
// a run has failed: what it was to do is not done, and nobody has given it up. It counts
// as canceled only if somebody has asked to cancel the run as well, or another run of the
// job has taken its place.
func (r *run) canceledAtGlobus(ctx context.Context, id, message string) *Failure {
	f := &Failure{Kind: fault.Canceled, TaskID: id, Code: "CANCELED", state: ledger.Failed, Message: message}
	if j := r.journal; j != nil {
		if run, err := j.ledger.Run(ctx, j.run.ID); err == nil && run.CancelRequested {
			f.state = ledger.Canceled
		}
	}
	return f
}

// stopped returns the failure of a run whose task was canceled because its ctx has ended.
// If a person or a signal ended it, the run counts as canceled, but the end of the time is
// a failure.
func (r *run) stopped(ctx context.Context, taskID, what string) *Failure {
	f := interrupted(ctx, taskID, what)
	switch {
	case f.Kind == fault.TimedOut:
		f.state = ledger.TimedOut
	case errors.Is(context.Cause(ctx), errCanceled):
		f.state = ledger.Canceled
	default:
		f.state = r.withoutRequest()
	}
	return f
}

// withoutRequest is the state of a run that is canceled although nobody has asked to cancel
// it. That of an item has failed: as canceled, it would count as given up, and nobody would
// do it or hear of it.
func (r *run) withoutRequest() ledger.State {
	if r.order.Key.IsItem() {
		return ledger.Failed
	}
	return ledger.Canceled
}
