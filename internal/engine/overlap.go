package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// overlapPause is the wait before a submission is sent again that was
	// refused because of a task that could not be found.
	overlapPause = 15 * time.Second
	// namelessOverlaps is how often a conflict is met again after which no
	// task could be found: it ended between the two requests.
	namelessOverlaps = 3
)

// overlap handles a conflict with another task: it adopts the task if it is the present
// attempt's own, skips the run, or waits until the other task has ended. It reports whether
// the submission is done.
func (p *part) overlap(ctx context.Context, met *obstacles) (done bool, err error) {
	other, own, err := p.inTheWay(ctx)
	switch {
	case err != nil:
		return true, err
	case own:
		return true, p.adopt(ctx, other)
	case other != nil:
		return p.letPass(ctx, other)
	}
	if met.nameless++; met.nameless < namelessOverlaps {
		return false, sleep(ctx, overlapPause)
	}
	if found, err := p.adoptOwn(ctx); found || err != nil {
		return true, err // it has ended meanwhile
	}
	return true, skipped("", "another task, which could not be found, is at work on the same paths")
}

// inTheWay finds the unfinished task that is in the way, and whether it is the present
// attempt's own. Tasks do not show their paths, so it looks for one between the same
// collections, and prefers one of the same job.
func (p *part) inTheWay(ctx context.Context) (other *transfer.Task, own bool, err error) {
	query := transfer.TaskQuery{Statuses: []string{string(transfer.Active), string(transfer.Inactive)}}
	for task, err := range p.run.globus.Tasks(ctx, query) {
		if err != nil {
			return nil, false, fmt.Errorf("look for the task at work on the same paths: %w", err)
		}
		if p.run.order.Label == "" && task.Label == p.label() { // a label that somebody chose does not tell
			return task, true, nil
		}
		if taskCollections(task) == collections(p.doc) && (other == nil || p.ofJob(task) && !p.ofJob(other)) {
			other = task
		}
	}
	return other, false, nil
}

func (p *part) ofJob(task *transfer.Task) bool { return jobs.OfJob(task.Label, p.run.job.Name) }

// letPass skips the run because of another task, or waits until that has ended, as the job's
// policy says.
func (p *part) letPass(ctx context.Context, other *transfer.Task) (done bool, err error) {
	r := p.run
	name := fmt.Sprintf("task %s (%q)", other.TaskID, other.Label)
	policy := r.job.Concurrency
	if p.ofJob(other) && r.caughtUp() {
		policy = jobs.Allow
	}
	switch policy {
	case jobs.Allow:
		r.log.Info("waiting for another task on the same paths", "other_task_id", other.TaskID, "label", other.Label)
	case jobs.Replace:
		if !p.ofJob(other) {
			return true, skipped(other.TaskID, name+" is at work on the same paths and does not belong to this job, so it is not replaced")
		}
		r.log.Warn("another task of this job is replaced", "other_task_id", other.TaskID, "label", other.Label)
		if _, err := r.globus.CancelTask(ctx, other.TaskID); err != nil {
			return true, fmt.Errorf("cancel task %s: %w", other.TaskID, err)
		}
	default:
		return true, skipped(other.TaskID, name+" is still at work on the same paths")
	}
	r.held = name + " was still at work on the same paths"
	return false, p.awaitEnd(ctx, other.TaskID)
}

// skipped returns the failure of a run that is skipped by policy.
func skipped(taskID, why string) *Failure {
	return &Failure{Kind: fault.Skipped, TaskID: taskID, Message: "skipped: " + why}
}

// awaitEnd waits until another task has ended.
func (p *part) awaitEnd(ctx context.Context, id string) error {
	for wait := firstPoll; ; wait = nextPoll(wait) {
		task, err := p.run.engine.poller.look(ctx, id, wait)
		if err != nil {
			return fmt.Errorf("watch task %s: %w", id, err)
		}
		if task.Status.Final() {
			return nil
		}
	}
}
