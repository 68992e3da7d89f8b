// Package engine turns an occurrence of a job into a Globus task and follows
// the task to its end.
//
// It promises that one occurrence becomes one task, whatever is cut off or
// repeated: Globus keeps the record under the task's label (see [jobs.Label]),
// a submission is repeated under one submission id, and what is already there
// is adopted. Retries of single requests and credentials belong to the HTTP
// client below [transfer.Client].
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// An Engine runs occurrences of jobs on behalf of one identity.
// Its methods may be called concurrently.
type Engine struct {
	globus *transfer.Client
	log    *slog.Logger
}

// New returns an Engine that works through globus.
func New(globus *transfer.Client, log *slog.Logger) *Engine {
	return &Engine{globus: globus, log: log}
}

// An Order is one occurrence to be done.
type Order struct {
	Job *jobs.Job // checked
	Key jobs.Key
	// Fresh says that Key was never used before, so that Globus need not be
	// asked for a task of an earlier start.
	Fresh bool

	// Label replaces the label that is made of job and key. Only a fresh
	// occurrence may have one: no other start could find its task.
	Label string
	// SubmissionID replaces a new submission id, to repeat a submission whose
	// outcome is not known.
	SubmissionID string

	// Again, unless nil, says how to start again such that the same task is
	// met, given the submission id. Nil means by the same key.
	Again func(submissionID string) string

	NoWait bool // end when the task exists
	// CancelOnInterrupt cancels the task when the context ends. Otherwise it
	// goes on at Globus.
	CancelOnInterrupt bool
	// Observe, unless nil, is called with what each look at the task showed.
	Observe func(*transfer.Task, Class)
}

// A run is what is being done about an order.
type run struct {
	*Engine
	Order
	log     *slog.Logger
	result  *Result
	attempt int // of the occurrence, from 1
}

// Run does one occurrence: it adopts the task of an earlier start or submits
// one, and follows it to its end. What went wrong is in the result's Err: a
// [*Failure], or the error of a client as it came.
//
// When ctx ends, Run detaches from the task or cancels it, and the result's
// Err is a [*Failure] of kind [Interrupted], or [TimedOut] if a deadline of
// ctx was the reason.
func (e *Engine) Run(ctx context.Context, o Order) *Result {
	r := e.begin(o)
	r.result.settle(r.do(ctx))
	return r.end()
}

func (e *Engine) begin(o Order) *run {
	return &run{
		Engine:  e,
		Order:   o,
		log:     e.log.With("job", o.Job.Name, "occurrence", string(o.Key)),
		result:  &Result{Job: o.Job.Name, Key: o.Key, State: Claimed, Started: time.Now().UTC()},
		attempt: 1,
	}
}

func (r *run) end() *Result {
	r.result.Finished = time.Now().UTC()
	return r.result
}

// Wait follows a task that somebody else submitted to its end, under the
// policies of o's job. The job needs no document.
func (e *Engine) Wait(ctx context.Context, taskID string, o Order) *Result {
	r := e.begin(o)
	r.note(Task{TaskID: taskID}, true)
	r.result.settle(r.watch(ctx))
	return r.end()
}

// do adopts or submits, waits, and tries again as often as the job allows. The
// attempts of earlier starts do not count for that.
func (r *run) do(ctx context.Context) error {
	task, err := r.lookUp(ctx)
	if err != nil {
		return r.ended(ctx, err)
	}
	for tries := 0; ; tries++ {
		if task == nil {
			err = r.submit(ctx)
		} else {
			err = r.adopt(task)
		}
		if err != nil {
			return r.ended(ctx, err)
		}
		if r.NoWait {
			return nil
		}
		if err = r.watch(ctx); err == nil {
			return nil
		}
		f, ok := errors.AsType[*Failure](err)
		if !ok || f.Kind != Failed || tries >= r.Job.BackoffLimit {
			return err
		}
		delay := r.Job.Backoff << min(tries, 10)
		r.log.Warn("attempt failed, another one follows", "attempt", r.attempt, "task_id", f.TaskID, "delay", delay, "err", f)
		r.attempt++
		r.result.State = Claimed
		r.SubmissionID = "" // used up by the attempt that failed
		task = nil
		if err := sleep(ctx, delay); err != nil {
			return r.ended(ctx, err)
		}
	}
}

// ended returns err, or what the end of ctx means if that is the cause of it.
// The present attempt was not submitted, or err is a Failure that says so.
func (r *run) ended(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*Failure](err); ok || ctx.Err() == nil {
		return err
	}
	what := "nothing was submitted"
	if len(r.result.Tasks) > 0 {
		what = fmt.Sprintf("attempt %d failed and the next one was not submitted", r.result.Attempt)
	}
	return interrupted(ctx, "", what)
}

// sleep waits for d, or returns an error when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
