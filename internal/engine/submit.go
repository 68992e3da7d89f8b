package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// grace is how much longer than the run a submission may take: cut off in
	// the middle, nobody would know whether there is a task.
	grace = 1500 * time.Millisecond
	// lookUpTime bounds the look for a task after a submission of unclear
	// outcome.
	lookUpTime = 15 * time.Second
	// backlogPause and overlapPause are the waits before a submission that
	// was refused because of other tasks is sent again.
	backlogPause = time.Minute
	overlapPause = 15 * time.Second
	// lookCounts is for how long a look for a task of an earlier start counts. If
	// something slow came between, it is made again right before the submission.
	lookCounts = 2 * time.Second
	// namelessOverlaps is how often a conflict is met again after which no
	// task could be found: it ended between the two requests.
	namelessOverlaps = 3
)

// A part is one document of a run, and the attempts to get it done.
type part struct {
	*run
	place        jobs.Place
	doc          transfer.Document
	attempt      int       // from 1
	tries        int       // attempts that failed before the present one, of those that count
	submissionID string    // of the present attempt; empty until it has one
	deletes      *Deletes  // of the present attempt; nil if it is not a mirror, or not known
	guarded      bool      // the guard need not look at the present attempt
	open         bool      // an earlier start has recorded the present attempt, and may have sent it
	looked       time.Time // when Globus had no task of the present attempt; zero if it was not asked
}

// label is the label of the present attempt's task.
func (r *part) label() string { return r.run.label(r.place, r.attempt) }

// do adopts or submits, waits, and tries again as often as the job allows.
// Without a ledger, the attempts of earlier starts do not count for that.
func (r *part) do(ctx context.Context) error {
	found, err := r.lookUp(ctx)
	if err != nil {
		return err
	}
	for ; ; r.tries++ {
		if !found {
			if err := r.send(ctx); err != nil {
				return err
			}
		}
		if last := r.result.task().Last; r.NoWait && (last == nil || !last.Status.Final()) {
			return errDetached
		}
		if err = r.watch(ctx); err == nil {
			return nil
		}
		f, ok := errors.AsType[*Failure](err)
		if !ok || !f.again || r.tries >= r.Job.BackoffLimit {
			return err
		}
		delay := r.Job.Backoff << min(r.tries, 10)
		r.log.Warn("attempt failed, another one follows", "attempt", r.attempt, "task_id", f.TaskID, "delay", delay, "err", f)
		r.record.note(ctx, r.run, "attempt_failed", fmt.Sprintf("attempt %d: %v; another one follows after %v", r.attempt, f, delay))
		r.result.State = ledger.Claimed
		if sleep(ctx, delay) != nil {
			return interrupted(ctx, "", fmt.Sprintf("attempt %d failed and the next one was not submitted", r.attempt))
		}
		r.next()
		if found, err = r.known(ctx); err != nil {
			return err
		}
	}
}

// known adopts the task of the present attempt if Globus has one of which the
// ledger does not know.
func (r *part) known(ctx context.Context) (bool, error) {
	if !r.doubtful {
		return false, nil
	}
	return r.own(ctx)
}

// own adopts the task of the present attempt, whatever has become of it, if
// Globus has one. A label that somebody chose does not tell.
func (r *part) own(ctx context.Context) (bool, error) {
	if r.Label != "" {
		return false, nil
	}
	task, err := r.labeled(ctx)
	if err != nil || task == nil {
		r.looked = time.Now()
		return false, err
	}
	return true, r.adopt(ctx, task)
}

// next moves on to the next attempt.
func (r *part) next() {
	r.attempt++
	r.submissionID, r.open, r.looked = "", false, time.Time{} // used up by the attempt before
	r.deletes, r.guarded = nil, false
}

// lookUp adopts the task of an earlier start of this occurrence, if there is
// one that has not failed. It counts the attempts that have.
func (r *part) lookUp(ctx context.Context) (found bool, err error) {
	if s, ok := r.record.last(r.place); ok {
		if found, err = r.resume(ctx, s); found || err != nil || r.submissionID != "" {
			return found, err
		}
	}
	if !r.doubtful {
		return false, nil
	}
	for ; ; r.attempt++ {
		task, err := r.labeled(ctx)
		switch {
		case err != nil:
			return false, err
		case task == nil:
			// A start that did not get here did not get any further.
			r.doubtful = r.attempt > 1
			r.looked = time.Now()
			return false, nil
		case task.Status != transfer.Failed:
			return true, r.adopt(ctx, task)
		}
	}
}

// labeled asks Globus for the task that bears the label of the present attempt:
// one that has not failed if there are several, nil if there is none.
func (r *part) labeled(ctx context.Context) (found *transfer.Task, err error) {
	for task, err := range r.globus.Tasks(ctx, transfer.TaskQuery{Label: r.label()}) {
		if err != nil {
			return nil, fmt.Errorf("look for a task of this occurrence: %w", err)
		}
		if found = task; task.Status != transfer.Failed {
			break
		}
	}
	return found, nil
}

// resume goes on with what the ledger has of this place.
func (r *part) resume(ctx context.Context, s ledger.Submission) (found bool, err error) {
	r.attempt, r.submissionID, r.deletes = s.Attempt, s.ID, nil
	if s.Deletes != nil {
		r.deletes = &Deletes{Files: *s.Deletes, AtLeast: s.DeletesAtLeast}
	}
	again := r.record.run.Again && r.record.run.Step == s.Step
	if !again {
		r.tries = s.Tries
	}
	switch ended, err := r.failed(ctx, s, again); {
	case err != nil:
		return false, err
	case ended:
		r.next()
		return false, nil
	case s.TaskID != "":
		r.log.Info("task adopted", "task_id", s.TaskID, "attempt", r.attempt)
		r.note(Task{TaskID: s.TaskID, SubmissionID: s.ID, Label: s.Label, Deletes: r.deletes}, true)
		return true, nil
	case s.Status == refused && again:
		r.next() // with the document as it is now
		return false, nil
	case s.Status == refused:
		return false, nil // it is sent as if for the first time
	}
	// It was not confirmed. It is never given up, for Globus may have it: not
	// after its starting deadline, and not because somebody wants it canceled.
	r.open = true
	if again {
		r.tries = -1 // it is the attempt before the one that is wanted
	}
	detached, cancel := r.confirming(ctx)
	defer cancel()
	// Its label tells if it was sent, also if the guard would not let it pass now.
	switch task, err := r.labeled(detached); {
	case err != nil && ctx.Err() != nil:
		return false, r.unconfirmed(err)
	case err != nil:
		return false, err
	case task != nil:
		return true, r.adopt(detached, task)
	}
	doc, err := decode(s)
	if err != nil {
		return false, err
	}
	doc.Head().Deadline = transfer.Time{}
	if r.Job.Steps != nil {
		doc.Head().Deadline = r.doc.Head().Deadline
	}
	r.doc = doc // as it may have been sent
	return false, nil
}

// send submits the present attempt. One that an earlier start may have sent is
// sent again even if somebody wants the run to be canceled: only a task that is
// known can be.
func (r *part) send(ctx context.Context) error {
	if !r.open {
		return r.submit(ctx)
	}
	if errors.Is(context.Cause(ctx), ErrCanceled) {
		r.guarded = true // in the earlier start, and there is no time for it now
	}
	detached, cancel := r.confirming(ctx)
	defer cancel()
	err := r.submit(detached)
	if _, ok := errors.AsType[*Failure](err); err != nil && !ok && detached.Err() != nil {
		return r.unconfirmed(err)
	}
	return err
}

// confirming returns a context in which to find out what became of a submission
// that an earlier start has recorded: that of the run, or some seconds if
// somebody wants the run to be canceled.
func (r *part) confirming(ctx context.Context) (context.Context, context.CancelFunc) {
	if errors.Is(context.Cause(ctx), ErrCanceled) {
		return context.WithTimeout(context.WithoutCancel(ctx), lookUpTime)
	}
	return context.WithCancel(ctx)
}

// unconfirmed leaves the run to the next start.
func (r *part) unconfirmed(err error) *Failure {
	return &Failure{Kind: fault.Unknown, Err: err, Message: "the submission of an earlier start is not confirmed yet"}
}

// failed reports whether the task of a submission is of no use to an operator
// who wants another attempt: it has failed, or Globus does not know it any more.
func (r *part) failed(ctx context.Context, s ledger.Submission, again bool) (bool, error) {
	switch {
	case !again || s.TaskID == "":
		return false, nil
	case s.Status != "":
		return s.Status == string(transfer.Failed), nil
	}
	task, err := r.tasks.look(ctx, s.TaskID, 0) // its end was not written down
	if gone(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the task of the attempt before: %w", err)
	}
	if task.Status == transfer.Failed {
		r.record.ended(ctx, r, task.Status)
	}
	return task.Status == transfer.Failed, nil
}

// adopt takes over a task that an earlier start submitted.
func (r *part) adopt(ctx context.Context, task *transfer.Task) error {
	if want, got := collections(r.doc), taskCollections(task); want != got {
		return &Failure{
			Kind: fault.Refused, TaskID: task.TaskID, state: ledger.Failed,
			Message: fmt.Sprintf("task %s bears this occurrence's label %q but is between other collections: two jobs have the same name, give one of them another", task.TaskID, task.Label),
		}
	}
	r.log.Info("task adopted", "task_id", task.TaskID, "attempt", r.attempt, "status", string(task.Status))
	r.note(Task{TaskID: task.TaskID, SubmissionID: r.submissionID, Label: task.Label, Last: task, Deletes: r.deletes}, true)
	return r.record.adopted(ctx, r, task)
}

// note records the task of the present attempt.
func (r *part) note(t Task, adopted bool) {
	r.result.State = ledger.Submitted
	r.result.Attempt = r.attempt
	r.result.Adopted = adopted
	r.result.Tasks = append(r.result.Tasks, t)
}

// submit submits the present attempt, and waits as policy says where other
// tasks are in the way.
func (r *part) submit(ctx context.Context) error {
	if !r.guarded {
		if err := r.guard(ctx); err != nil {
			return err
		}
	}
	if r.submissionID == "" {
		id, err := r.globus.SubmissionID(ctx)
		if err != nil {
			return fmt.Errorf("get a submission id: %w", err)
		}
		r.submissionID = id
	}
	doc := own(r.doc)
	head := doc.Head()
	head.Label, head.SubmissionID = r.label(), r.submissionID
	head.Deadline = r.deadline()
	if !r.looked.IsZero() && time.Since(r.looked) > lookCounts {
		if found, err := r.own(ctx); found || err != nil {
			return err
		}
	}
	if err := r.record.submit(ctx, r, doc); err != nil {
		return err
	}
	full, nameless := false, 0
	for again := false; ctx.Err() == nil; again = true {
		if again { // it may be a task of this occurrence that was in the way, and is over
			if found, err := r.own(ctx); found || err != nil {
				return err
			}
			if r.record != nil && r.record.nothing() {
				if err := r.withdrawn(); err != nil {
					return err
				}
			}
		}
		if err := r.record.reopen(ctx, r); err != nil {
			return err
		}
		sent, err := r.post(ctx, doc)
		if err == nil {
			r.log.Info("task submitted", "task_id", sent.TaskID, "attempt", r.attempt, "submission_id", r.submissionID, "code", sent.Code)
			r.waits = ""
			r.note(Task{TaskID: sent.TaskID, SubmissionID: r.submissionID, Label: head.Label, Deletes: r.deletes}, false)
			r.record.accepted(ctx, r, sent.TaskID)
			if r.open && !sent.Duplicate() {
				return r.tooLate(ctx, sent.TaskID)
			}
			return nil
		}
		e, ok := errors.AsType[*transfer.Error](err)
		switch {
		case errors.Is(err, transfer.ErrUnclear):
			return r.clearUp(ctx, err)
		case ok && (!r.open || !e.Temporary()): // Globus has not got it, also not from an earlier start
			if r.open {
				if found, err := r.own(ctx); found || err != nil {
					return err
				}
			}
			r.open = false
			r.record.refused(ctx, r)
		}
		switch {
		case ok && e.Backlog():
			if !full {
				full = true
				r.waits = "the account has as many unfinished tasks as Globus allows"
				r.log.Warn("too many tasks are pending, waiting for a place", "delay", backlogPause)
			}
			err = sleep(ctx, backlogPause)
		case ok && e.Overlap():
			var done bool
			if done, err = r.overlap(ctx, &nameless); done {
				return err
			}
		}
		if err != nil {
			return err
		}
		head.Deadline = r.deadline() // it has waited
	}
	return ctx.Err()
}

// tooLate cancels the task that a submission has just become, if that was
// recorded before the starting deadline and reached Globus only after it.
func (r *part) tooLate(ctx context.Context, id string) error {
	if r.record.others(r.place) || !r.overdue() || r.record.run.CancelRequested {
		return nil
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	switch res, err := r.globus.CancelTask(ctx, id); {
	case err != nil:
		r.log.Warn("the task begins after the starting deadline, but could not be canceled, and is followed", "task_id", id, "err", err)
		return nil
	case res.Code == "TaskComplete":
		return nil // it has ended already
	}
	r.record.ended(ctx, r, transfer.Failed)
	f := r.expired()
	f.TaskID = id
	f.Message += fmt.Sprintf("; task %s, of which Globus heard only now, was canceled", id)
	return f
}

// deadline is when Globus ends the task: what the document says, or else as
// long from now as the job allows.
func (r *part) deadline() transfer.Time {
	if d := r.doc.Head().Deadline; !d.IsZero() {
		return d
	}
	return transfer.Time{Time: time.Now().Add(r.Job.ActiveDeadline).Truncate(time.Second)}
}

// post submits doc. It gets some time beyond the end of ctx, and then the
// deadline that is left to it is its own.
func (r *part) post(ctx context.Context, doc transfer.Document) (*transfer.Submitted, error) {
	whole, cancel := beyond(ctx, grace)
	defer cancel()
	return r.globus.Submit(whole, doc)
}

// mine reports whether task is that of the present attempt. A label that
// somebody chose does not tell: other tasks may bear it.
func (r *part) mine(task *transfer.Task) bool { return r.Label == "" && task.Label == r.label() }

// clearUp looks for the task of a submission that may have reached Globus. The
// task may have failed since; there was none with its label before.
func (r *part) clearUp(ctx context.Context, cause error) error {
	if r.record == nil || ctx.Err() == nil || errors.Is(context.Cause(ctx), ErrCanceled) { // else the next start looks
		detached, stop := context.WithoutCancel(ctx), func() {}
		if !errors.Is(context.Cause(ctx), ErrCanceled) {
			detached, stop = beyond(ctx, grace) // whoever ends the process does not wait for long
		}
		defer stop()
		ctx, cancel := context.WithTimeout(detached, lookUpTime)
		defer cancel()
		if found, err := r.own(ctx); found {
			return err
		} // after an error the service is still out of reach, and the outcome unknown
	}
	r.result.State = ledger.Submitted
	r.result.Attempt = r.attempt
	return &Failure{
		Kind: fault.Unknown, Err: cause,
		Message: fmt.Sprintf("the submission may have reached Globus but was not confirmed; repeat it with %s, it will not be done twice", r.repeat()),
	}
}

// repeat says how to start again such that the same task is met.
func (r *part) repeat() string {
	if r.Again != nil {
		return r.Again(r.submissionID)
	}
	return "the same occurrence (RUNNER_OCCURRENCE=" + string(r.Key) + ")"
}

// overlap deals with a conflict: it adopts the task if it is this
// occurrence's own, skips, or waits until the other task is over. It reports
// whether the submission is settled.
func (r *part) overlap(ctx context.Context, nameless *int) (done bool, err error) {
	var other *transfer.Task
	query := transfer.TaskQuery{Statuses: []string{string(transfer.Active), string(transfer.Inactive)}}
	for task, err := range r.globus.Tasks(ctx, query) {
		if err != nil {
			return true, fmt.Errorf("look for the task at work on the same paths: %w", err)
		}
		if r.mine(task) {
			return true, r.adopt(ctx, task)
		}
		if taskCollections(task) != collections(r.doc) {
			continue
		}
		// A task does not show its paths. Most likely they are those of this job.
		if other == nil || r.ofJob(task) && !r.ofJob(other) {
			other = task
		}
	}
	if other == nil {
		if *nameless++; *nameless < namelessOverlaps {
			return false, sleep(ctx, overlapPause)
		}
		if found, err := r.own(ctx); found || err != nil {
			return true, err // it has ended a moment ago
		}
		return true, &Failure{Kind: fault.Skipped, Message: "skipped: another task, which could not be found, is at work on the same paths"}
	}
	name := fmt.Sprintf("task %s (%q)", other.TaskID, other.Label)
	policy := r.Job.Concurrency
	if r.ofJob(other) && r.caughtUp() {
		policy = jobs.Allow
	}
	switch policy {
	case jobs.Allow:
		r.log.Info("waiting for another task on the same paths", "other_task_id", other.TaskID, "label", other.Label)
	case jobs.Replace:
		if !r.ofJob(other) {
			return true, &Failure{Kind: fault.Skipped, TaskID: other.TaskID, Message: fmt.Sprintf("skipped: %s is at work on the same paths and not of this job, so it is not replaced", name)}
		}
		r.log.Warn("another task of this job is replaced", "other_task_id", other.TaskID, "label", other.Label)
		if _, err := r.globus.CancelTask(ctx, other.TaskID); err != nil {
			return true, fmt.Errorf("cancel task %s: %w", other.TaskID, err)
		}
	default:
		return true, &Failure{Kind: fault.Skipped, TaskID: other.TaskID, Message: fmt.Sprintf("skipped: %s is still at work on the same paths", name)}
	}
	r.waits = name + " was still at work on the same paths"
	return false, r.over(ctx, other.TaskID)
}

func (r *part) ofJob(task *transfer.Task) bool { return jobs.OfJob(task.Label, r.Job.Name) }

// over waits until the task has ended.
func (r *part) over(ctx context.Context, id string) error {
	for wait := firstPoll; ; wait = nextPoll(wait) {
		task, err := r.tasks.look(ctx, id, wait)
		if err != nil {
			return fmt.Errorf("watch task %s: %w", id, err)
		}
		if task.Status.Final() {
			return nil
		}
	}
}

// collections names the collections of a document, in lower case.
func collections(doc transfer.Document) [2]string {
	switch d := doc.(type) {
	case *transfer.Transfer:
		return [2]string{strings.ToLower(d.SourceEndpoint), strings.ToLower(d.DestinationEndpoint)}
	case *transfer.Delete:
		return [2]string{strings.ToLower(d.Endpoint)}
	}
	return [2]string{}
}

func taskCollections(t *transfer.Task) [2]string {
	return [2]string{strings.ToLower(t.SourceEndpointID), strings.ToLower(t.DestinationEndpointID)}
}
