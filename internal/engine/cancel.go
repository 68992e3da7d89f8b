package engine

import (
	"context"
	"errors"

	"github.com/globus-runner/globus-runner/internal/fault"
)

// untilOver looks at what is being canceled, once a second, until it is over. It
// reports false if ctx ends before. What was to be canceled may have succeeded.
func untilOver(ctx context.Context, over func(context.Context) bool) bool {
	for !over(ctx) {
		if sleep(ctx, firstPoll) != nil {
			return false
		}
	}
	return true
}

// uncanceled leaves a run to a later start because nobody knows how the task id, which
// was to be canceled, ends. What says what is known, and err may be nil.
func (r *run) uncanceled(ctx context.Context, id, what string, err error) *Failure {
	f := interrupted(ctx, id, what)
	f.Err = err
	if errors.Is(context.Cause(ctx), errCanceled) {
		f.Kind, f.state = fault.Unknown, "" // a later start cancels it
	}
	return f
}
