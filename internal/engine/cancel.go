package engine

import (
	"context"
	"errors"

	"github.com/globus-runner/globus-runner/internal/fault"
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
