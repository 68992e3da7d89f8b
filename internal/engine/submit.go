package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// grace is how long a submission may go on after the run's context has ended: if it
	// were cut off, nobody would know whether there is a task.
	grace = 1500 * time.Millisecond
	// backlogPause is how long to wait when a submission was refused because the
	// account has too many tasks.
	backlogPause = time.Minute
	// absentFor is how long an answer of Globus counts that the present attempt has no
	// task. After that, Globus is asked again right before the submission.
	absentFor = 2 * time.Second
	// waited is how long a document may have waited without getting a new deadline.
	waited = 5 * time.Minute
)

// obstacles are what has kept a submission from being accepted.
type obstacles struct {
	backlog  bool // the account had too many tasks
	nameless int  // conflicts with tasks that could not be found
	unclear  int  // submissions that were given up because they may have arrived
}

// prepare returns the document of the present attempt, unless the guard refuses it.
func (p *part) prepare(ctx context.Context) (transfer.Document, error) {
	if !p.guarded {
		if err := p.guard(ctx); err != nil {
			return nil, err
		}
	}
	if p.submissionID == "" {
		if err := p.run.recheck(ctx); err != nil {
			return nil, err
		}
		if err := p.snapshot(ctx); err != nil {
			return nil, err
		}
		id, err := p.run.globus.SubmissionID(ranked(ctx, submits))
		if err != nil {
			return nil, fmt.Errorf("get a submission id: %w", err)
		}
		p.submissionID = id
	}
	doc := clone(p.doc)
	head := doc.Head()
	head.Label, head.SubmissionID = p.label(), p.submissionID
	if !p.open {
		head.Deadline = transfer.Time{}
	}
	p.date(head)
	if p.unproven {
		p.run.log.Warn("deletes without proof", "submission_id", p.submissionID)
	}
	return doc, nil
}

// submit submits the present attempt. If other tasks are in the way, it waits if the job's
// policy says so.
func (p *part) submit(ctx context.Context) error {
	doc, err := p.prepare(ctx)
	if err != nil {
		return err
	}
	if !p.absentAt.IsZero() && time.Since(p.absentAt) > absentFor {
		if found, err := p.adoptOwn(ctx); found || err != nil {
			return err
		}
	}
	j := p.run.journal
	if err := j.addSubmission(ctx, p.entry(), doc); err != nil {
		return err
	}
	var met obstacles
	for again := false; ctx.Err() == nil; again = true {
		if again {
			if found, err := p.reconsider(ctx); found || err != nil {
				return err
			}
		}
		if err := j.reopen(ctx, p.position); err != nil {
			return err
		}
		sent, err := p.post(ctx, doc)
		if err == nil {
			if err := p.repeats(ctx, sent); err != nil {
				return err
			}
			p.accepted(ctx, sent)
			p.prolong(ctx, sent, doc.Head().Deadline)
			return nil
		}
		if done, err := p.overcome(ctx, err, &met); done || err != nil {
			return err
		}
		p.date(doc.Head())
	}
	return ctx.Err()
}

// date sets the deadline of a document, so that the document is the same for one submission
// id: a document that may have reached Globus keeps its deadline until that is over, and
// one with a submission id of the order has none.
func (p *part) date(head *transfer.Header) {
	given := p.submissionID == p.run.order.SubmissionID && p.ends.IsZero()
	if !given && !time.Now().Before(head.Deadline.Time) {
		head.Deadline = p.deadline()
	}
	p.sent = head.Deadline
}

// deadline returns when Globus has to end a task that is submitted now: as the job says, or
// after its active deadline.
func (p *part) deadline() transfer.Time {
	if !p.ends.IsZero() {
		return p.ends
	}
	return transfer.Time{Time: time.Now().Add(p.run.job.ActiveDeadline).Truncate(time.Second)}
}

// post submits doc. It may go on for a while after ctx has ended.
func (p *part) post(ctx context.Context, doc transfer.Document) (*transfer.Submitted, error) {
	whole, cancel := beyond(ranked(ctx, submits), grace)
	defer cancel()
	return p.run.globus.Submit(whole, doc)
}

// reconsider decides whether to repeat a submission that met an obstacle, which may have
// been a task of the same attempt. If that exists, it is adopted.
func (p *part) reconsider(ctx context.Context) (found bool, err error) {
	if found, err := p.adoptOwn(ctx); found || err != nil {
		return found, err
	}
	if p.run.journal != nil && p.run.journal.unsent() {
		return false, p.run.withdrawn()
	}
	return false, nil
}

// accepted records the task of the present attempt.
func (p *part) accepted(ctx context.Context, sent *transfer.Submitted) {
	r := p.run
	r.log.Info("task submitted", "task_id", sent.TaskID, "attempt", p.attempt, "submission_id", p.submissionID, "code", sent.Code)
	r.held = ""
	p.setTask(Task{TaskID: sent.TaskID, SubmissionID: p.submissionID, Label: p.label(), Last: p.repeated, Deletes: p.deletes}, p.repeated != nil)
	r.journal.addTask(ctx, p.submissionID, sent.TaskID)
	if p.open && !sent.Duplicate() {
		p.cancelLate(ctx, sent.TaskID)
	}
}

// prolong gives a new task the time that the job allows, if its document has waited
// before.
func (p *part) prolong(ctx context.Context, sent *transfer.Submitted, deadline transfer.Time) {
	u := transfer.TaskUpdate{Deadline: p.deadline()}
	if p.late != nil || sent.Duplicate() || u.Deadline.Sub(deadline.Time) <= waited {
		return
	}
	_, err := p.run.globus.UpdateTask(ctx, sent.TaskID, u)
	if e, ok := errors.AsType[*transfer.Error](err); ok && e.Status == http.StatusConflict {
		return // the task has ended already
	}
	if err != nil {
		p.run.log.Warn("the task has less time than its job allows, because it has waited", "task_id", sent.TaskID, "deadline", deadline.Time, "err", err)
	}
}

// cancelLate cancels a new task if its submission was recorded before the starting deadline
// and reached Globus only after it.
func (p *part) cancelLate(ctx context.Context, id string) {
	r := p.run
	if r.journal.hasOthers(p.position) || !r.overdue() || r.journal.run.CancelRequested {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	if _, err := r.globus.CancelTask(ctx, id); err != nil {
		r.log.Warn("the task begins after the starting deadline, but could not be canceled, and is followed", "task_id", id, "err", err)
		return
	}
	p.late = r.expired()
	p.late.TaskID = id
	p.late.Message += fmt.Sprintf("; task %s, which Globus received only now, was canceled", id)
}

// overcome handles the error of a submission. It waits until the submission can be
// repeated, or reports that it is done: there is a task, or there will be none.
func (p *part) overcome(ctx context.Context, cause error, met *obstacles) (done bool, err error) {
	r := p.run
	e, ok := errors.AsType[*transfer.Error](cause)
	switch {
	case errors.Is(cause, transfer.ErrUnclear):
		return true, p.clearUp(ctx, cause)
	case ok && (!p.open || !e.Temporary()): // Globus does not have it, not even from an earlier start
		// A try before the one that was refused may have taken effect. If the obstacle
		// may pass, reconsider looks for its task before the next try.
		if p.open || !e.Temporary() && !e.Backlog() && !e.Overlap() {
			found, err := p.adoptOwn(ctx)
			if found || err != nil && p.open {
				return true, err
			}
		}
		p.open = false
		r.journal.addRefusal(ctx, p.position)
	}
	switch {
	case ok && e.Backlog():
		if !met.backlog {
			met.backlog = true
			r.held = "the account has as many unfinished tasks as Globus allows"
			r.log.Warn("too many tasks are pending, waiting for a place", "delay", backlogPause)
		}
		return false, sleep(ctx, backlogPause)
	case ok && e.Overlap():
		return p.overlap(ctx, met)
	}
	return true, cause
}

// clearUp looks for the task of a submission that may have reached Globus. The task may
// have failed since: before the submission, there was none with its label.
func (p *part) clearUp(ctx context.Context, cause error) error {
	if found, err := p.find(ctx); found {
		return err
	} // if the look-up failed, the outcome is still unknown
	return p.unclear(cause)
}

// find adopts the task of a submission that may have reached Globus, if there is
// one.
func (p *part) find(ctx context.Context) (found bool, err error) {
	canceled := errors.Is(context.Cause(ctx), errCanceled)
	if p.run.journal != nil && ctx.Err() != nil && !canceled {
		return false, context.Cause(ctx) // the next start looks for it
	}
	longer, stop := context.WithoutCancel(ctx), func() {}
	if !canceled {
		longer, stop = beyond(ctx, grace) // the process is to end soon
	}
	defer stop()
	ctx, cancel := context.WithTimeout(longer, lookUpTime)
	defer cancel()
	return p.adoptOwn(ctx)
}

// unclear returns the failure of a submission whose outcome the next start finds out.
func (p *part) unclear(cause error) *Failure {
	r := p.run
	r.result.State = ledger.Submitted
	r.result.Attempt = p.attempt
	return &Failure{
		Kind: fault.Unknown, Err: cause,
		Message: fmt.Sprintf("the submission may have reached Globus but was not confirmed; repeat it with %s, it will not be done twice", p.repeat()),
	}
}

// repeat says how to start again so that the same document is sent.
func (p *part) repeat() string {
	return strings.ReplaceAll(p.run.repeat(p.submissionID), DeadlineHere, p.sent.Format(time.RFC3339))
}

// repeat says how to start again so that the same task is found.
func (r *run) repeat(submissionID string) string {
	if how := r.order.Repeat; how != "" {
		return strings.NewReplacer(SubmissionIDHere, submissionID, KeyHere, string(r.order.Key)).Replace(how)
	}
	return "the same occurrence (RUNNER_OCCURRENCE=" + string(r.order.Key) + ")"
}
