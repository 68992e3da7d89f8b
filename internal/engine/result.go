package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/flows"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/sharing"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Result is the result of an order.
type Result struct {
	Run      int64 // in the ledger; 0 without one
	Job      string
	Key      jobs.Key
	State    ledger.State
	Attempt  int  // of the occurrence, from 1; 0 if nothing was submitted
	Adopted  bool // the task of an earlier start was taken over
	Tasks    []Task
	Started  time.Time
	Finished time.Time
	Err      error  // nil for success and for what policy skipped
	Note     string // why policy skipped it

	Pruned  *Pruned                 // sum over its prunes; nil if none has ended or deleted a file
	Audited map[audit.Verdict]int64 // sum over its audits; nil if none has ended
	Shared  []*sharing.Rule         // results of its shares, in their order

	earlier []Task // tasks of the run whose end earlier starts have seen
}

// A Pruned counts what a prune did.
type Pruned struct {
	Files   int64                  // deleted
	Folders int64                  // removed because they were empty
	Kept    map[proof.Reason]int64 // files, and folders that could not be seen, by reason
}

func (p *Pruned) String() string {
	text := plain.Count(p.Files, "file") + " deleted"
	if p.Folders > 0 {
		text += fmt.Sprintf(", %s removed", plain.Count(p.Folders, "empty folder"))
	}
	if len(p.Kept) == 0 {
		return text
	}
	var sum int64
	var reasons []string
	for _, why := range slices.Sorted(maps.Keys(p.Kept)) {
		sum += p.Kept[why]
		reasons = append(reasons, fmt.Sprintf("%d: %s", p.Kept[why], why))
	}
	return fmt.Sprintf("%s, %d kept (%s)", text, sum, strings.Join(reasons, "; "))
}

// addPruned adds what a prune did.
func (r *Result) addPruned(p *Pruned) {
	if r.Pruned == nil {
		r.Pruned = &Pruned{Kept: map[proof.Reason]int64{}}
	}
	r.Pruned.Files += p.Files
	r.Pruned.Folders += p.Folders
	for why, n := range p.Kept {
		r.Pruned.Kept[why] += n
	}
}

// addAudited adds what an audit found.
func (r *Result) addAudited(count map[audit.Verdict]int64) {
	if r.Audited == nil {
		r.Audited = map[audit.Verdict]int64{}
	}
	for v, n := range count {
		r.Audited[v] += n
	}
}

// A Task is one attempt as Globus knows it: a task of Globus Transfer, or a run of a
// flow, whose id is then TaskID.
type Task struct {
	TaskID       string
	SubmissionID string // empty if another start submitted it
	Label        string
	Last         *transfer.Task // its last known state; nil if it was not looked at
	Flow         string         // id of its flow; empty for a task of Globus Transfer
	FlowRun      *flows.Run     // its last known state; nil if it was not looked at, or is a task of Globus Transfer
	Deletes      *Deletes       // what it deletes for a mirror or a prune; nil for others, or if not known
}

// totals returns what the task has done according to the last look.
func (t *Task) totals() ledger.Totals {
	last := t.Last
	if last == nil {
		return ledger.Totals{}
	}
	return ledger.Totals{
		Files: last.FilesTransferred, FilesSkipped: last.FilesSkipped, Bytes: last.BytesTransferred,
		SkippedErrors: last.SubtasksSkippedErrors, Faults: last.Faults,
	}
}

// deleted returns what the mirrors and prunes among some tasks have deleted, or nil if
// that is not known for any of them.
func deleted(tasks []Task) (sum *Deletes) {
	for _, t := range tasks {
		if t.Deletes == nil || t.Last == nil || t.Last.Status != transfer.Succeeded {
			continue
		}
		if sum == nil {
			sum = new(Deletes)
		}
		if t.Last.SubtasksSkippedErrors == 0 {
			sum.Files += t.Deletes.Files
			sum.AtLeast = sum.AtLeast || t.Deletes.AtLeast
		}
	}
	return sum
}

// Deleted returns what the mirrors and prunes of the run have deleted, or nil if that is
// not known for any of them. A mirror that skipped source errors has deleted nothing. For
// a mirror that did not succeed it is not known.
func (r *Result) Deleted() *Deletes { return deleted(r.allTasks()) }

// filesDeleted returns how many files the tasks of r are known to have deleted.
func (r *Result) filesDeleted() int64 {
	if sum := deleted(r.Tasks); sum != nil {
		return sum.Files
	}
	return 0
}

// allTasks returns the tasks of r, and those of earlier starts of the run that had ended.
func (r *Result) allTasks() []Task {
	all := slices.Clone(r.Tasks)
	for _, t := range r.earlier {
		if !slices.ContainsFunc(r.Tasks, func(its Task) bool { return its.TaskID == t.TaskID && its.Last != nil }) {
			all = append(all, t)
		}
	}
	return all
}

// Totals returns what all tasks of the run have done, in every attempt, according to
// the last looks.
func (r *Result) Totals() ledger.Totals { return addUp(r.allTasks()) }

// Added returns what the tasks of the run have done, without those whose end earlier
// starts have seen.
func (r *Result) Added() ledger.Totals {
	all, before := r.Totals(), addUp(r.earlier)
	return ledger.Totals{
		Files: all.Files - before.Files, FilesSkipped: all.FilesSkipped - before.FilesSkipped, Bytes: all.Bytes - before.Bytes,
		SkippedErrors: all.SkippedErrors - before.SkippedErrors, Faults: all.Faults - before.Faults,
	}
}

// addUp adds up what tasks did.
func addUp(tasks []Task) (all ledger.Totals) {
	for _, t := range tasks {
		did := t.totals()
		all.Files += did.Files
		all.FilesSkipped += did.FilesSkipped
		all.Bytes += did.Bytes
		all.SkippedErrors += did.SkippedErrors
		all.Faults += did.Faults
	}
	return all
}

// task returns the task of the present attempt, or nil.
func (r *Result) task() *Task {
	if len(r.Tasks) == 0 {
		return nil
	}
	return &r.Tasks[len(r.Tasks)-1]
}

// outcome returns what the ledger records of r.
func (r *Result) outcome() ledger.Outcome {
	o := ledger.Outcome{State: r.State, Message: r.Note, Totals: r.Totals()}
	if all := r.Deleted(); all != nil {
		o.FilesDeleted = all.Files
	}
	if r.Err != nil {
		m := fault.Of(r.Err)
		o.Class, o.Code, o.RequestID, o.Message = string(m.Kind), m.Code, m.RequestID, r.Err.Error()
	}
	return o
}

// conclude sets the final state of r, according to err.
func (r *Result) conclude(err error) {
	r.Finished = time.Now().UTC()
	f, ok := errors.AsType[*Failure](err)
	switch {
	case ok && f.Kind == fault.Skipped:
		r.State, r.Note = ledger.Skipped, f.Error()
		return
	case ok && f.state != "":
		r.State = f.state
	case ok: // another start continues from this state
	case err != nil && (r.State == ledger.Claimed || gone(err)):
		r.State = ledger.Failed
	}
	r.Err = err
}

// endsWith reports whether the run is over if it ends with err now, so that no
// later start continues it.
func (r *Result) endsWith(err error) bool {
	end := *r
	end.conclude(err)
	return !end.Resumable()
}

// gone reports whether err says that a task or path does not exist.
func gone(err error) bool {
	e, ok := errors.AsType[interface {
		error
		NotFound() bool
	}](err)
	return ok && e.NotFound()
}

// Resumable reports whether a later start may bring the run to its end.
func (r *Result) Resumable() bool {
	f, ok := errors.AsType[*Failure](r.Err)
	switch {
	case r.Err == nil:
		return false
	case ok:
		return f.state == "" && (f.Kind == fault.Interrupted || f.Kind == fault.Unknown || f.Kind == fault.TimedOut)
	case errors.Is(r.Err, ledger.ErrLost):
		return true // by the process that holds it now
	}
	return r.State == ledger.Submitted || fault.Transient(r.Err)
}

// good reports whether the run succeeded as the job wants it.
func (r *Result) good() bool { return r.State == ledger.Succeeded && r.Err == nil }

// A Failure is why a run ended, other than by the error of a single request.
type Failure struct {
	Kind    fault.Kind
	TaskID  string // empty if there is no task
	Code    string // Globus's code for the cause; may be empty
	Message string // one sentence on what happened, and what to do next
	Err     error  // the cause; may be nil

	state ledger.State // of the run; empty leaves it as it is
	again bool         // the task ended FAILED, and another attempt may do better
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Message
	}
	return f.Message + ": " + f.Err.Error()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Means returns the meaning of the Failure for package fault.
func (f *Failure) Means() fault.Meaning { return fault.Meaning{Kind: f.Kind, Code: f.Code} }

// interrupted returns the failure of a run whose ctx has ended; what says what
// became of the work.
func interrupted(ctx context.Context, taskID, what string) *Failure {
	cause := context.Cause(ctx)
	if errors.Is(cause, errCanceled) {
		return &Failure{Kind: fault.Canceled, TaskID: taskID, Code: "CANCELED", state: ledger.Canceled, Message: "canceled on request: " + what}
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		f := &Failure{Kind: fault.TimedOut, TaskID: taskID, Message: "timed out: " + what}
		if taskID == "" {
			f.state = ledger.TimedOut
		}
		return f
	}
	return &Failure{Kind: fault.Interrupted, TaskID: taskID, Message: fmt.Sprintf("interrupted (%v): %s", cause, what)}
}
