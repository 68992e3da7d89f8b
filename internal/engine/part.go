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

// A part is one document of a run. It has attempts: the submissions of the
// document, of which each but the last has failed.
type part struct {
	run      *run
	position jobs.Position
	doc      transfer.Document
	ends     transfer.Time // when Globus is to end a task, if the job says when
	unproven bool          // doc deletes what nobody has proven to be elsewhere
	tries    int           // attempts that failed before the present one, of those that count

	// Of the present attempt:
	attempt      int           // its number, from 1
	submissionID string        // empty until it has one
	sent         transfer.Time // the deadline of its document, once that was made
	deletes      *Deletes      // nil if it is not a mirror, or not known
	guarded      bool          // the guard need not look at it
	once         bool          // it is not sent again, whatever comes of it
	open         bool          // an earlier start has recorded it, and may have sent it
	awaited      bool          // the run waits for its end, whatever the order says
	shelves      []byte        // where the copies of what it deletes are, see [shelf]; nil if nobody knows
	late         *Failure      // why its task was canceled as soon as it was there; nil if it was not
	absentAt     time.Time     // when Globus had no task of it; zero if it was not asked

	// rival is [pruning.rival] of what the attempt deletes; nil if there can be none.
	rival func(context.Context) (run int64, err error)
}

// newPart returns the part that does work.
func (r *run) newPart(work Work) *part {
	p := &part{run: r, position: work.Position, doc: work.Document, unproven: work.Unproven, attempt: 1}
	if p.doc != nil {
		p.ends = p.doc.Head().Deadline
	}
	if len(r.result.Tasks) == 0 {
		p.submissionID = r.order.SubmissionID
	}
	return p
}

// label is the label of the present attempt's task.
func (p *part) label() string { return p.run.order.taskLabel(p.position, p.attempt) }

// complete adopts or submits, waits, and tries again as often as the job allows.
// Without a ledger, the attempts of earlier starts do not count for that.
func (p *part) complete(ctx context.Context) error {
	r := p.run
	found, err := p.lookUp(ctx)
	if err != nil {
		return err
	}
	for ; ; p.tries++ {
		if !found {
			if err := p.sendPatiently(ctx); err != nil {
				return err
			}
		}
		if last := r.result.task().Last; r.order.NoWait && p.late == nil && (last == nil || !last.Status.Final()) {
			return errDetached
		}
		err := p.watch(ctx)
		f, ok := errors.AsType[*Failure](err)
		if !ok || !f.again || p.tries >= r.job.BackoffLimit {
			return err
		}
		if err := r.backOff(ctx, f, p.attempt, p.tries); err != nil {
			return err
		}
		p.nextAttempt()
		found = false
		if r.doubtful {
			if found, err = p.adoptOwn(ctx); err != nil {
				return err
			}
		}
	}
}

// backOff waits after an attempt that has failed, before the next one; tries attempts
// had failed before it.
func (r *run) backOff(ctx context.Context, f *Failure, attempt, tries int) error {
	delay := r.job.Backoff << min(max(tries, 0), 10)
	r.log.Warn("attempt failed, another one follows", "attempt", attempt, "task_id", f.TaskID, "delay", delay, "err", f)
	r.journal.note(ctx, "attempt_failed", fmt.Sprintf("attempt %d: %v; another one follows after %v", attempt, f, delay))
	r.result.State = ledger.Claimed
	if sleep(ctx, delay) != nil {
		return interrupted(ctx, "", fmt.Sprintf("attempt %d failed and the next one was not submitted", attempt))
	}
	return nil
}

func (p *part) nextAttempt() {
	p.attempt++
	p.submissionID, p.open, p.absentAt = "", false, time.Time{}
	p.deletes, p.guarded, p.late = nil, false, nil
}

// lookUp adopts the task of an earlier start of this occurrence, if there is
// one that has not failed. It counts the attempts that have.
func (p *part) lookUp(ctx context.Context) (found bool, err error) {
	if s, ok := p.run.journal.newest(p.position); ok {
		if found, err = p.resume(ctx, s); found || err != nil || p.submissionID != "" {
			return found, err
		}
	}
	if !p.run.doubtful {
		return false, nil
	}
	for ; ; p.attempt++ {
		task, err := p.labeled(ctx)
		switch {
		case err != nil:
			return false, err
		case task == nil:
			// A start that did not get here did not get any further.
			p.run.doubtful = p.attempt > 1
			p.absentAt = time.Now()
			return false, nil
		case task.Status != transfer.Failed:
			if task, err = p.newest(ctx, task); err != nil {
				return false, err
			}
			if task != nil {
				return true, p.adopt(ctx, task)
			}
		}
	}
}

// labeled asks Globus for the task that bears the label of the present attempt:
// one that has not failed if there are several, nil if there is none.
func (p *part) labeled(ctx context.Context) (*transfer.Task, error) { return p.bearing(ctx, p.label()) }

// bearing is labeled for another label of the same item.
func (p *part) bearing(ctx context.Context, label string) (*transfer.Task, error) {
	task, err := p.run.engine.finder.find(ctx, label)
	if err != nil {
		return nil, fmt.Errorf("look for a task of this occurrence: %w", err)
	}
	return task, nil
}

// adoptOwn adopts the task of the present attempt, whatever has become of it, if
// Globus has one. A label that somebody chose does not tell.
func (p *part) adoptOwn(ctx context.Context) (found bool, err error) {
	if p.run.order.Label != "" {
		return false, nil
	}
	task, err := p.labeled(ctx)
	if err != nil || task == nil {
		p.absentAt = time.Now()
		return false, err
	}
	return true, p.adopt(ctx, task)
}

// adopt takes over a task that an earlier start submitted. Where the ledger has
// no submission of it, because the ledger is new, the task's id stands for the
// submission's.
func (p *part) adopt(ctx context.Context, task *transfer.Task) error {
	r := p.run
	if want, got := collections(p.doc), taskCollections(task); want != got {
		return &Failure{
			Kind: fault.Refused, TaskID: task.TaskID, state: ledger.Failed,
			Message: fmt.Sprintf("task %s bears this occurrence's label %q but is between other collections: two jobs have the same name, give one of them another", task.TaskID, task.Label),
		}
	}
	r.log.Info("task adopted", "task_id", task.TaskID, "attempt", p.attempt, "status", string(task.Status))
	p.setTask(Task{TaskID: task.TaskID, SubmissionID: p.submissionID, Label: task.Label, Last: task, Deletes: p.deletes}, true)
	if _, ok := r.journal.newest(p.position); !ok && r.journal != nil {
		p.submissionID = task.TaskID
		doc := clone(p.doc)
		doc.Head().Label, doc.Head().Deadline = task.Label, task.Deadline
		if err := r.journal.addSubmission(ctx, p.entry(), doc); err != nil {
			return err
		}
	}
	r.journal.addTask(ctx, p.submissionID, task.TaskID)
	return nil
}

// entry is what the ledger is told about the present attempt.
func (p *part) entry() ledger.Submission {
	s := ledger.Submission{ID: p.submissionID, Step: p.position.Step, Part: p.position.Part, Attempt: p.attempt, Tries: p.tries, Once: p.once, Copies: p.shelves}
	if p.deletes != nil {
		s.Deletes, s.DeletesAtLeast = &p.deletes.Files, p.deletes.AtLeast
	}
	return s
}

// setTask makes t the task of the present attempt.
func (p *part) setTask(t Task, adopted bool) {
	res := p.run.result
	res.State = ledger.Submitted
	res.Attempt = p.attempt
	res.Adopted = adopted
	res.Tasks = append(res.Tasks, t)
	p.run.engine.finder.know(t.Label)
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
