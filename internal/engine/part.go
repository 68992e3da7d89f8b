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

// A part is one document of a run. It has attempts: the submissions of the document. All
// but the last have failed.
type part struct {
	run      *run
	position jobs.Position
	doc      transfer.Document
	ends     transfer.Time // when Globus has to end a task, if the job sets a deadline
	unproven bool          // doc deletes files without proof that there are copies
	tries    int           // failed attempts before the present one, since an operator's retry

	// Of the present attempt:
	attempt      int           // its number, from 1
	submissionID string        // empty until it has one
	sent         transfer.Time // the deadline of its document, once there is one
	deletes      *Deletes      // of a mirror; nil if that is not known
	guarded      bool          // the guard need not check it
	once         bool          // it is never sent again
	open         bool          // an earlier start has recorded it, and may have sent it
	awaited      bool          // the run waits for its end, even with NoWait
	shelves      []byte        // where the copies of what it deletes are, see [shelf]; nil if not known
	found        bool          // its task was found by the label alone
	late         *Failure      // why its task was canceled right after it was submitted; nil if it was not
	absentAt     time.Time     // when Globus was asked and had no task of it; zero if it was not asked

	repeated *transfer.Task // its task, if the order's submission id has started that before; nil if not

	// rival is [pruning.rival] of what the attempt deletes; nil if there can be none.
	rival func(context.Context) (run int64, err error)
}

// newPart returns the part for the document of work.
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

// label returns the label of the present attempt's task.
func (p *part) label() string { return p.run.order.taskLabel(p.position, p.attempt) }

// complete adopts or submits a task and waits for its end. If the task fails, it makes as
// many more attempts as the job allows; without a ledger, those of earlier starts do not
// count.
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

// backOff waits before the next attempt. Before the one that has just failed, tries
// attempts had failed.
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
	p.deletes, p.guarded, p.late, p.found, p.repeated = nil, false, nil, false, nil
}

// lookUp adopts the task of an earlier start of this occurrence, if there is one that has
// not failed. It counts the failed ones as attempts.
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
			// No start has made this attempt, so none has made a later one.
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

// labeled asks Globus for the task with the label of the present attempt. If there are
// several, it returns one that has not failed; if there is none, nil.
func (p *part) labeled(ctx context.Context) (*transfer.Task, error) { return p.bearing(ctx, p.label()) }

// bearing is labeled for another label.
func (p *part) bearing(ctx context.Context, label string) (*transfer.Task, error) {
	task, err := p.run.engine.finder.find(ctx, label)
	if err != nil {
		return nil, fmt.Errorf("look for a task of this occurrence: %w", err)
	}
	return task, nil
}

// adoptOwn adopts the task of the present attempt, even one that has failed, if Globus has
// one. It does not look for a label that somebody chose, which other tasks may have.
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

// adopt takes over a task that an earlier start has submitted. If the ledger is new and has
// no submission of it, the submission is recorded under the task's id.
func (p *part) adopt(ctx context.Context, task *transfer.Task) error {
	r := p.run
	if want, got := collections(p.doc), taskCollections(task); want != got {
		return &Failure{
			Kind: fault.Refused, TaskID: task.TaskID, state: ledger.Failed,
			Message: fmt.Sprintf("task %s already has the label of this occurrence, %q, but is between other collections: two jobs have the same name, give one of them another", task.TaskID, task.Label),
		}
	}
	r.log.Info("task adopted", "task_id", task.TaskID, "attempt", p.attempt, "status", string(task.Status))
	p.setTask(Task{TaskID: task.TaskID, SubmissionID: p.submissionID, Label: task.Label, Last: task, Deletes: p.deletes}, true)
	_, known := r.journal.newest(p.position)
	if p.found = !known; p.found && r.journal != nil {
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

// entry returns the record of the present attempt.
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

// collections returns the ids of a document's collections, in lower case.
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
