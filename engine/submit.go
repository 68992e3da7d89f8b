package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// grace is how much longer than the run a submission may take: cut off in
	// the middle, nobody would know whether there is a task.
	grace = 5 * time.Second
	// lookUpTime bounds the look for a task after a submission of unclear
	// outcome.
	lookUpTime = 15 * time.Second
	// backlogPause and overlapPause are the waits before a submission that
	// was refused because of other tasks is sent again.
	backlogPause = time.Minute
	overlapPause = 15 * time.Second
	// namelessOverlaps is how often a conflict is met again after which no
	// task could be found: it ended between the two requests.
	namelessOverlaps = 3
)

// TaskLabel is the label of the task that does attempt n, from 1.
func (o *Order) TaskLabel(n int) string {
	if o.Label != "" {
		return o.Label
	}
	return jobs.Label(o.Job.Name, o.Key, n)
}

// label is the label of the present attempt's task.
func (r *run) label() string { return r.TaskLabel(r.attempt) }

// lookUp asks Globus for the task of an earlier start of this occurrence. It
// returns one that has not failed, or nil after it has counted the attempts
// that have.
func (r *run) lookUp(ctx context.Context) (*transfer.Task, error) {
	if r.Fresh {
		return nil, nil
	}
	for ; ; r.attempt++ {
		failed := false
		for task, err := range r.globus.Tasks(ctx, transfer.TaskQuery{Label: r.label()}) {
			if err != nil {
				return nil, fmt.Errorf("look for a task of this occurrence: %w", err)
			}
			if task.Status != transfer.Failed {
				return task, nil
			}
			failed = true
		}
		if !failed {
			return nil, nil
		}
	}
}

// adopt takes over a task that an earlier start submitted.
func (r *run) adopt(task *transfer.Task) error {
	if want, got := collections(r.Job.Document), taskCollections(task); want != got {
		return &Failure{
			Kind: Refused, TaskID: task.TaskID, state: Broken,
			Message: fmt.Sprintf("task %s bears this occurrence's label %q but is between other collections: two jobs have the same name, give one of them another", task.TaskID, task.Label),
		}
	}
	r.log.Info("task adopted", "task_id", task.TaskID, "attempt", r.attempt, "status", string(task.Status))
	r.note(Task{TaskID: task.TaskID, Label: task.Label, Last: task}, true)
	return nil
}

// note records the task of the present attempt.
func (r *run) note(t Task, adopted bool) {
	r.result.State = Submitted
	r.result.Attempt = r.attempt
	r.result.Adopted = adopted
	r.result.Tasks = append(r.result.Tasks, t)
}

// submit submits the present attempt, and waits as policy says where other
// tasks are in the way.
func (r *run) submit(ctx context.Context) error {
	if err := r.guard(ctx); err != nil {
		return err
	}
	if r.SubmissionID == "" {
		id, err := r.globus.SubmissionID(ctx)
		if err != nil {
			return fmt.Errorf("get a submission id: %w", err)
		}
		r.SubmissionID = id
	}
	doc := own(r.Job.Document)
	head := doc.Head()
	head.Label, head.SubmissionID = r.label(), r.SubmissionID
	full, nameless := false, 0
	for ctx.Err() == nil {
		if r.Job.Document.Head().Deadline.IsZero() {
			head.Deadline = transfer.Time{Time: time.Now().Add(r.Job.ActiveDeadline).Truncate(time.Second)}
		}
		sent, err := r.post(ctx, doc)
		if err == nil {
			r.log.Info("task submitted", "task_id", sent.TaskID, "attempt", r.attempt, "submission_id", r.SubmissionID, "code", sent.Code)
			r.note(Task{TaskID: sent.TaskID, SubmissionID: r.SubmissionID, Label: head.Label}, false)
			return nil
		}
		e, ok := errors.AsType[*transfer.Error](err)
		switch {
		case errors.Is(err, transfer.ErrUnclear):
			return r.clearUp(ctx, err)
		case ok && e.Backlog():
			if !full {
				full = true
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
	}
	return ctx.Err()
}

// own returns a copy of doc with a header of its own, because a job may have
// several occurrences at once.
func own(doc transfer.Document) transfer.Document {
	if d, ok := doc.(*transfer.Delete); ok {
		return new(*d)
	}
	return new(*doc.(*transfer.Transfer))
}

// post submits doc. It gets some time beyond the end of ctx, and then the
// deadline that is left to it is its own.
func (r *run) post(ctx context.Context, doc transfer.Document) (*transfer.Submitted, error) {
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if sleep(whole, grace) == nil {
			cancel()
		}
	})
	defer stop()
	return r.globus.Submit(whole, doc)
}

// mine reports whether task is that of the present attempt. A label that
// somebody chose does not tell: other tasks may bear it.
func (r *run) mine(task *transfer.Task) bool { return r.Label == "" && task.Label == r.label() }

// clearUp looks for the task of a submission that may have reached Globus. The
// task may have failed since; there was none with its label before.
func (r *run) clearUp(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookUpTime)
	defer cancel()
	for task, err := range r.globus.Tasks(ctx, transfer.TaskQuery{Label: r.label()}) {
		if err != nil {
			break // the service is still out of reach, the outcome unknown
		}
		if r.mine(task) {
			return r.adopt(task)
		}
	}
	r.result.State = Submitted
	r.result.Attempt = r.attempt
	return &Failure{
		Kind: Unknown, Err: cause,
		Message: fmt.Sprintf("the submission may have reached Globus but was not confirmed; repeat it with %s, it will not be done twice", r.repeat()),
	}
}

// repeat says how to start again such that the same task is met.
func (r *run) repeat() string {
	if r.Again != nil {
		return r.Again(r.SubmissionID)
	}
	return "the same occurrence (RUNNER_OCCURRENCE=" + string(r.Key) + ")"
}

// overlap deals with a conflict: it adopts the task if it is this
// occurrence's own, skips, or waits until the other task is over. It reports
// whether the submission is settled.
func (r *run) overlap(ctx context.Context, nameless *int) (done bool, err error) {
	var other *transfer.Task
	query := transfer.TaskQuery{Statuses: []string{string(transfer.Active), string(transfer.Inactive)}}
	for task, err := range r.globus.Tasks(ctx, query) {
		if err != nil {
			return true, fmt.Errorf("look for the task at work on the same paths: %w", err)
		}
		if r.mine(task) {
			return true, r.adopt(task)
		}
		if taskCollections(task) != collections(r.Job.Document) {
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
		return true, &Failure{Kind: Overlap, Message: "skipped: another task, which could not be found, is at work on the same paths"}
	}
	name := fmt.Sprintf("task %s (%q)", other.TaskID, other.Label)
	switch r.Job.Concurrency {
	case jobs.Allow:
		r.log.Info("waiting for another task on the same paths", "other_task_id", other.TaskID, "label", other.Label)
	case jobs.Replace:
		if !r.ofJob(other) {
			return true, &Failure{Kind: Overlap, TaskID: other.TaskID, Message: fmt.Sprintf("skipped: %s is at work on the same paths and not of this job, so it is not replaced", name)}
		}
		r.log.Warn("another task of this job is replaced", "other_task_id", other.TaskID, "label", other.Label)
		if _, err := r.globus.CancelTask(ctx, other.TaskID); err != nil {
			return true, fmt.Errorf("cancel task %s: %w", other.TaskID, err)
		}
	default:
		return true, &Failure{Kind: Overlap, TaskID: other.TaskID, Message: fmt.Sprintf("skipped: %s is still at work on the same paths", name)}
	}
	return false, r.over(ctx, other.TaskID)
}

func (r *run) ofJob(task *transfer.Task) bool { return jobs.OfJob(task.Label, r.Job.Name) }

// over waits until the task has ended.
func (r *run) over(ctx context.Context, id string) error {
	for wait := firstPoll; ; wait = nextPoll(wait) {
		if err := sleep(ctx, jitter(wait)); err != nil {
			return err
		}
		task, err := r.globus.Task(ctx, id)
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
