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

// lookUpTime is how long to look for the task of a submission whose outcome is unclear.
const lookUpTime = 15 * time.Second

// resume continues with the newest submission that the ledger has for this part. It reports
// whether the present attempt has a task.
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
		p.nextAttempt() // it is of a prune, which this step was before
		return false, nil
	case s.Status == statusRefused && again:
		p.nextAttempt() // with the document as it is now
		return false, nil
	case s.Status == statusRefused:
		return false, nil // it is sent as if for the first time
	}
	p.open = true
	if again {
		p.tries = -1 // the attempt that is wanted comes after this one
	}
	return p.reconfirm(ctx, s)
}

// spent reports whether an operator who wants another attempt needs a new task: the task of
// the submission has failed, has left out files that the job does not allow to be missing,
// or is unknown to Globus by now.
func (p *part) spent(ctx context.Context, s ledger.Submission, again bool) (bool, error) {
	switch {
	case !again || s.TaskID == "":
		return false, nil
	case s.Status == string(transfer.Succeeded) && p.run.job.AllowSkipped:
		return false, nil
	case s.Status != "" && s.Status != string(transfer.Succeeded):
		return s.Status == string(transfer.Failed), nil
	}
	task, err := p.run.engine.poller.look(ctx, s.TaskID, 0) // how it ended is not recorded, or not in full
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

// reconfirm continues with a submission that an earlier start has recorded and that is not
// confirmed. It is never given up, because Globus may have it: not even after its starting
// deadline, or if the run is to be canceled.
func (p *part) reconfirm(ctx context.Context, s ledger.Submission) (found bool, err error) {
	confirming, cancel := confirmation(ctx)
	defer cancel()
	// If there is a task with its label, it was sent, even if the guard would refuse it
	// now.
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

// send submits the present attempt. An attempt that an earlier start may have sent is sent
// again even if the run is to be canceled, because only a known task can be canceled.
func (p *part) send(ctx context.Context) error {
	if !p.open {
		return p.submit(ctx)
	}
	if errors.Is(context.Cause(ctx), errCanceled) {
		p.guarded = true // by the earlier start; there is no time for it now
	}
	confirming, cancel := confirmation(ctx)
	defer cancel()
	err := p.submit(confirming)
	if _, ok := errors.AsType[*Failure](err); err != nil && !ok && confirming.Err() != nil {
		return unconfirmed(err)
	}
	return err
}

// confirmation returns the context for finding out what became of a submission that an
// earlier start has recorded: the run's context, or one of some seconds if the run is to be
// canceled.
func confirmation(ctx context.Context) (context.Context, context.CancelFunc) {
	if errors.Is(context.Cause(ctx), errCanceled) {
		return context.WithTimeout(context.WithoutCancel(ctx), lookUpTime)
	}
	return context.WithCancel(ctx)
}

// unconfirmed returns the failure that leaves the run to the next start.
func unconfirmed(err error) *Failure {
	return &Failure{Kind: fault.Unknown, Err: err, Message: "the submission of an earlier start is not confirmed yet"}
}
