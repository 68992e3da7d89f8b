package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/transfer"
)

// lookUpTime bounds the look for a task after a submission of unclear outcome.
const lookUpTime = 15 * time.Second

// resume goes on with what the ledger has of this place. It reports whether the
// present attempt has a task.
func (p *part) resume(ctx context.Context, s ledger.Submission) (found bool, err error) {
	run := p.run.journal.run
	p.attempt, p.submissionID, p.deletes = s.Attempt, s.ID, nil
	if s.Deletes != nil {
		p.deletes = &Deletes{Files: *s.Deletes, AtLeast: s.DeletesAtLeast}
	}
	again := run.Again && run.Step == s.Step
	if !again {
		p.tries = s.Tries
	}
	switch spent, err := p.spent(ctx, s, again); {
	case err != nil:
		return false, err
	case spent:
		p.nextAttempt()
		return false, nil
	case s.TaskID != "":
		p.run.log.Info("task adopted", "task_id", s.TaskID, "attempt", p.attempt)
		p.setTask(Task{TaskID: s.TaskID, SubmissionID: s.ID, Label: s.Label, Deletes: p.deletes}, true)
		return true, nil
	case s.Once:
		p.nextAttempt() // it is of a prune that was in the place of this step
		return false, nil
	case s.Status == statusRefused && again:
		p.nextAttempt() // with the document as it is now
		return false, nil
	case s.Status == statusRefused:
		return false, nil // it is sent as if for the first time
	}
	p.open = true
	if again {
		p.tries = -1 // it is the attempt before the one that is wanted
	}
	return p.reconfirm(ctx, s)
}

// spent reports whether the task of a submission is of no use to an operator
// who wants another attempt: it has failed, it has left out files that the job does not
// allow to be missing, or Globus does not know it any more.
func (p *part) spent(ctx context.Context, s ledger.Submission, again bool) (bool, error) {
	switch {
	case !again || s.TaskID == "":
		return false, nil
	case s.Status == string(transfer.Succeeded) && p.run.job.AllowSkipped:
		return false, nil
	case s.Status != "" && s.Status != string(transfer.Succeeded):
		return s.Status == string(transfer.Failed), nil
	}
	task, err := p.run.engine.poller.look(ctx, s.TaskID, 0) // its end was not written down, or not how
	if gone(err) {
		return s.Status == "", nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the task of the attempt before: %w", err)
	}
	if task.Status != transfer.Failed {
		return p.run.leftOut(task), nil
	}
	p.run.journal.addEnd(ctx, s.ID, string(task.Status), (&Task{Last: task}).totals())
	return true, nil
}

// reconfirm goes on with a submission that an earlier start has recorded, and that
// is not confirmed. It is never given up, because Globus may have it: not after
// its starting deadline, and not if the run is to be canceled.
func (p *part) reconfirm(ctx context.Context, s ledger.Submission) (found bool, err error) {
	confirming, cancel := confirmation(ctx)
	defer cancel()
	// Its label tells whether it was sent, even if the guard would refuse it now.
	switch task, err := p.labeled(confirming); {
	case err != nil && ctx.Err() != nil:
		return false, unconfirmed(err)
	case err != nil:
		return false, err
	case task != nil:
		return true, p.adopt(confirming, task)
	}
	p.doc, err = decode(s) // as it may have been sent
	return false, err
}

// send submits the present attempt. One that an earlier start may have sent is
// sent again even if the run is to be canceled: only a task that is known can be
// canceled.
func (p *part) send(ctx context.Context) error {
	if !p.open {
		return p.submit(ctx)
	}
	if errors.Is(context.Cause(ctx), errCanceled) {
		p.guarded = true // by the earlier start, and there is no time for it now
	}
	confirming, cancel := confirmation(ctx)
	defer cancel()
	err := p.submit(confirming)
	if _, ok := errors.AsType[*Failure](err); err != nil && !ok && confirming.Err() != nil {
		return unconfirmed(err)
	}
	return err
}

// confirmation returns a context in which to find out what became of a
// submission that an earlier start has recorded: that of the run, or some
// seconds if the run is to be canceled.
func confirmation(ctx context.Context) (context.Context, context.CancelFunc) {
	if errors.Is(context.Cause(ctx), errCanceled) {
		return context.WithTimeout(context.WithoutCancel(ctx), lookUpTime)
	}
	return context.WithCancel(ctx)
}

// unconfirmed leaves the run to the next start.
func unconfirmed(err error) *Failure {
	return &Failure{Kind: fault.Unknown, Err: err, Message: "the submission of an earlier start is not confirmed yet"}
}
