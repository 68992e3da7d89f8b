package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// recordTime bounds what is written to the ledger after the run's own context
// has ended.
const recordTime = 2 * time.Second

// A Recording says how a run is kept in a ledger.
type Recording struct {
	Ledger *ledger.Ledger
	Holder string        // names this start among those that share the ledger
	Lease  time.Duration // how long the run stays with a start that says nothing
	// Run is a run that was taken over; nil means that the occurrence is to be
	// claimed.
	Run *ledger.Run
	// Claimed, unless nil, is told of the run before anything is sent for it.
	Claimed func(*ledger.Run)
	// Succeeded, unless nil, is called when the run has succeeded, before that
	// is written down. After an error it is not.
	Succeeded func(context.Context) error
}

// A Taken error says that the occurrence has a run already: one that has
// ended, or that another start is at.
type Taken struct{ Run *ledger.Run }

func (t *Taken) Error() string {
	if t.Run.State.Final() {
		return fmt.Sprintf("occurrence %s of job %s is done: run %d has %s", t.Run.Key, t.Run.Job, t.Run.ID, t.Run.State)
	}
	return fmt.Sprintf("occurrence %s of job %s is being done by %s: run %d", t.Run.Key, t.Run.Job, t.Run.Holder, t.Run.ID)
}

// A Waiting error says that a run waits for its turn, see Order.InTurn: it is
// claimed, and nothing was submitted for it.
type Waiting struct{ For *ledger.Run }

func (w *Waiting) Error() string {
	return fmt.Sprintf("run %d of job %s, occurrence %s, has to be over first", w.For.ID, w.For.Job, w.For.Key)
}

// ErrCanceled is the cause to end a run's context with when somebody has asked
// for its cancel: its task is then canceled and the run is over.
var ErrCanceled = errors.New("canceled on request")

// Record is [Engine.Run] with a ledger: it claims the occurrence, goes on where
// an earlier start was cut off, and writes down each step before it is taken.
// The caller renews the lease. The error is a [*Taken], a [*Waiting], that of a
// ledger that could not be used, or [ledger.ErrLost] if somebody else had taken
// the run over when it ended; the result is nil then. There are both a result
// and an error if the run has ended and the ledger could not be told: the result
// is what Globus did, and a later start meets the same.
//
// A job without steps stands for one that is no longer known: what the ledger
// has of its run is brought to its end.
func (e *Engine) Record(ctx context.Context, rec Recording, o Order) (*Result, error) {
	run := rec.Run
	if run == nil {
		claimed, mine, err := rec.Ledger.Claim(ctx, claimOf(occurrence{o.Job.Name, o.Key}, rec.Holder, rec.Lease))
		if err != nil {
			return nil, fmt.Errorf("claim the occurrence: %w", err)
		}
		if !mine {
			return nil, &Taken{claimed}
		}
		run = claimed
	}
	r := e.begin(o)
	r.log = r.log.With("run", run.ID)
	r.result.Run = run.ID
	var err error
	if r.record, err = openRecord(ctx, rec, run); err != nil {
		return nil, err
	}
	r.doubtful = r.unknown()
	if run.CancelRequested {
		canceled, cancel := context.WithCancelCause(ctx)
		cancel(ErrCanceled)
		ctx = canceled
	}
	err = r.admit(ctx)
	if waits(err) {
		return nil, err
	}
	if rec.Claimed != nil {
		rec.Claimed(run)
	}
	if len(r.record.sent) > 0 {
		r.record.note(ctx, r, "resumed", "by "+rec.Holder)
	}
	if err == nil {
		err = r.do(ctx)
	} else {
		err = r.ended(ctx, err)
	}
	if err = r.close(ctx, rec, err); errors.Is(err, ledger.ErrLost) {
		return nil, err
	}
	return r.result, err
}

// close writes down how the run has ended, because of err unless that is nil.
// A run that may still be resumed is left as it is.
func (r *run) close(ctx context.Context, rec Recording, err error) error {
	res, reached := r.result, r.result.State
	res.settle(err)
	r.end()
	if res.Resumable() {
		res.State = reached
		if !errors.Is(err, ledger.ErrLost) {
			r.record.note(ctx, r, "left", err.Error())
		}
		return nil
	}
	if !res.State.Final() {
		return nil // it is not waited for
	}
	if res.good() && rec.Succeeded != nil {
		followers, cancel := beyond(ctx, recordTime)
		defer cancel()
		err = rec.Succeeded(followers)
	}
	if err == nil || !res.good() {
		err = r.record.finish(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("record that run %d has %s: %w", r.record.run.ID, res.State, err)
	}
	return nil
}

// An unusableError is that of a ledger which could not be read or written:
// nothing was done, and a later start may do it.
type unusableError struct{ error }

func unusable(err error) error { return unusableError{err} }

// Unwrap returns the cause.
func (e unusableError) Unwrap() error { return e.error }

// Temporary reports true.
func (unusableError) Temporary() bool { return true }

// A record is what the ledger knows about a run. A nil record is of a run
// without a ledger: it knows nothing and keeps nothing.
type record struct {
	ledger *ledger.Ledger
	run    *ledger.Run
	holder string
	first  bool                             // the ledger knows no earlier run of the job
	sent   map[jobs.Place]ledger.Submission // the newest of each place
}

// newerRuns is among how many of the newest runs of a job an earlier one is
// looked for. That there is none costs no more than a request.
const newerRuns = 10

// openRecord reads what earlier starts of the run have submitted.
func openRecord(ctx context.Context, rec Recording, run *ledger.Run) (*record, error) {
	opened := &record{ledger: rec.Ledger, run: run, holder: rec.Holder, first: true, sent: map[jobs.Place]ledger.Submission{}}
	var all []ledger.Submission
	if run.Claims > 1 {
		var err error
		if all, err = rec.Ledger.Submissions(ctx, run.ID); err != nil {
			return nil, fmt.Errorf("read the submissions of run %d: %w", run.ID, err)
		}
	}
	for _, s := range all {
		at := jobs.Place{Step: s.Step, Part: s.Part}
		if s.Attempt >= opened.sent[at].Attempt {
			opened.sent[at] = s
		}
	}
	if run.Alone { // the claim told it
		opened.first = run.First
		return opened, nil
	}
	for other, err := range rec.Ledger.Runs(ctx, ledger.Query{Job: run.Job, Limit: newerRuns}) {
		if err != nil {
			return nil, fmt.Errorf("read the runs of job %s: %w", run.Job, err)
		}
		opened.first = opened.first && other.ID >= run.ID
	}
	return opened, nil
}

// unknown reports whether Globus may have a task of the occurrence that the
// ledger does not know: the ledger may be new, restored from a backup, or failed
// over without its last commits.
func (r *run) unknown() bool { return !r.Fresh && (r.record.first || !r.Known) }

// admit returns why a run of which nothing was submitted is not to go on.
func (r *run) admit(ctx context.Context) error {
	if !r.record.nothing() {
		return nil
	}
	if err := r.withdrawn(); err != nil {
		return err
	}
	return r.alone(ctx)
}

// withdrawn returns why nothing is to be submitted for a run of which nothing
// was.
func (r *run) withdrawn() error {
	switch {
	case r.record.run.CancelRequested:
		return &Failure{Kind: fault.Canceled, Code: "CANCELED", state: ledger.Canceled, Message: "canceled on request: nothing was submitted"}
	case r.Job.Steps == nil:
		return &Failure{Kind: fault.Canceled, state: ledger.Canceled, Message: "the job is no longer in the jobs file; nothing was submitted"}
	case r.overdue():
		return r.expired()
	}
	return nil
}

// overdue reports whether the starting deadline has passed.
func (r *run) overdue() bool { return !r.StartBy.IsZero() && time.Now().After(r.StartBy) }

func (r *run) expired() *Failure {
	return &Failure{
		Kind: fault.TimedOut, state: ledger.TimedOut,
		Message: "timed out: nothing could be submitted by " + r.StartBy.UTC().Format(time.RFC3339) + ", the starting deadline of this occurrence",
	}
}

// alone deals with an earlier run of the same job that is not over, as the
// job's policy says.
func (r *run) alone(ctx context.Context) error {
	rec := r.record
	if r.Job.Concurrency == jobs.Allow || rec.run.Alone {
		return nil
	}
	for other, err := range rec.ledger.Runs(ctx, ledger.Query{Job: r.Job.Name, Unfinished: true}) {
		if err != nil {
			return unusable(fmt.Errorf("read the runs of job %s: %w", r.Job.Name, err))
		}
		if other.ID >= rec.run.ID {
			continue
		}
		if r.caughtUp() || r.InTurn && late(r.Job, other) {
			return &Waiting{other}
		}
		if r.Job.Concurrency == jobs.Forbid {
			return &Failure{Kind: fault.Skipped, Message: fmt.Sprintf("skipped: occurrence %s of this job is not over (run %d)", other.Key, other.ID)}
		}
		r.log.Warn("an earlier run of this job is replaced", "other_run", other.ID, "other_occurrence", other.Key)
		if err := rec.ledger.RequestCancel(ctx, other.ID); err != nil && !errors.Is(err, ledger.ErrState) {
			return unusable(fmt.Errorf("cancel run %d: %w", other.ID, err))
		}
	}
	return nil
}

// caughtUp reports whether the run is that of a missed occurrence that waits its
// turn.
func (r *run) caughtUp() bool { return r.InTurn && r.record != nil && late(r.Job, r.record.run) }

// late reports whether a run was not claimed on time, but to catch up with an
// occurrence that was missed. All replicas see the same.
func late(job *jobs.Job, run *ledger.Run) bool {
	return !run.Due.IsZero() && run.Claimed.Sub(job.Due(jobs.Key(run.Key), run.Due)) > onTime
}

// last returns the newest submission at a place.
func (rec *record) last(at jobs.Place) (ledger.Submission, bool) {
	if rec == nil {
		return ledger.Submission{}, false
	}
	s, ok := rec.sent[at]
	return s, ok
}

// works returns what a run of a job that is no longer known has submitted.
func (rec *record) works() iter.Seq2[Work, error] {
	return func(yield func(Work, error) bool) {
		places := slices.SortedFunc(maps.Keys(rec.sent), func(a, b jobs.Place) int {
			return cmp.Or(a.Step-b.Step, a.Part-b.Part)
		})
		for _, at := range places {
			if rec.sent[at].Status == refused {
				continue
			}
			doc, err := decode(rec.sent[at])
			if !yield(Work{Place: at, Document: doc}, err) || err != nil {
				return
			}
		}
		if len(places) != 1 || places[0] != (jobs.Place{}) {
			yield(Work{}, &Failure{
				Kind: fault.Canceled, state: ledger.Canceled,
				Message: "the job is no longer in the jobs file: its tasks were followed to their end, but what would have come next is not known",
			})
		}
	}
}

// decode returns the document of a submission.
func decode(s ledger.Submission) (doc transfer.Document, err error) {
	var kind struct {
		Type string `json:"DATA_TYPE"`
	}
	if err = json.Unmarshal(s.Document, &kind); err == nil {
		switch kind.Type {
		case "transfer":
			doc = new(transfer.Transfer)
			err = json.Unmarshal(s.Document, doc)
		case "delete":
			doc = new(transfer.Delete)
			err = json.Unmarshal(s.Document, doc)
		default:
			err = fmt.Errorf("DATA_TYPE is %.40q, neither transfer nor delete", kind.Type)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the recorded submission %s: %w", s.ID, err)
	}
	return doc, nil
}

// succeeded reports whether an earlier start saw the task of a part succeed.
func (rec *record) succeeded(p *part) bool {
	s, ok := rec.last(p.place)
	return ok && s.ID == p.submissionID && s.Status == string(transfer.Succeeded)
}

// over reports whether a step was finished by an earlier start.
func (rec *record) over(at jobs.Place) bool { return rec != nil && at.Step < rec.run.Step }

// submit writes down a submission. Nothing may be sent before that, and the
// attempt counts from then on.
func (rec *record) submit(ctx context.Context, p *part, doc transfer.Document) error {
	if rec == nil {
		return nil
	}
	if s, ok := rec.last(p.place); ok && s.ID == p.submissionID {
		return nil // it is a repetition
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encode the submission: %w", err)
	}
	s := ledger.Submission{
		ID: p.submissionID, Run: rec.run.ID, Step: p.place.Step, Part: p.place.Part, Attempt: p.attempt, Tries: p.tries,
		Label: doc.Head().Label, Document: raw, Created: time.Now(),
	}
	if p.deletes != nil {
		s.Deletes, s.DeletesAtLeast = &p.deletes.Files, p.deletes.AtLeast
	}
	if err := rec.ledger.Submit(ctx, rec.holder, s); err != nil {
		return unusable(fmt.Errorf("record the submission before it is sent: %w", err))
	}
	s.Document = nil // the part has it
	rec.sent[p.place] = s
	rec.run.Step, rec.run.Attempt, rec.run.Again = p.place.Step, p.attempt, false
	return nil
}

// accepted writes down the task of a submission. If that fails, nothing is
// lost: the submission would be sent again, and give the same task.
func (rec *record) accepted(ctx context.Context, p *part, taskID string) {
	if rec == nil || p.submissionID == "" {
		return
	}
	ctx, cancel := beyond(ctx, recordTime)
	defer cancel()
	p.unrecorded(rec.ledger.Accepted(ctx, p.submissionID, taskID))
}

// adopted writes down a task that was found by its label. Where the ledger has
// no submission of it, because the ledger is new, the task's id stands for the
// submission's.
func (rec *record) adopted(ctx context.Context, p *part, task *transfer.Task) error {
	if rec == nil {
		return nil
	}
	if _, ok := rec.last(p.place); !ok {
		p.submissionID = task.TaskID
		doc := own(p.doc)
		doc.Head().Label, doc.Head().Deadline = task.Label, task.Deadline
		if err := rec.submit(ctx, p, doc); err != nil {
			return err
		}
	}
	rec.accepted(ctx, p, task.TaskID)
	return nil
}

// ended writes down how a task ended.
func (rec *record) ended(ctx context.Context, p *part, status transfer.Status) {
	if rec != nil && p.submissionID != "" {
		ctx, cancel := beyond(ctx, recordTime)
		defer cancel()
		p.unrecorded(rec.ledger.Ended(ctx, p.submissionID, string(status)))
	}
}

// refused is the status of a submission that Globus did not take.
const refused = "REFUSED"

// refused writes down that Globus did not take a submission. Another start need
// not find out then, and may leave it.
func (rec *record) refused(ctx context.Context, p *part) {
	if s, ok := rec.last(p.place); ok && s.Status != refused {
		rec.ended(ctx, p, refused)
		s.Status = refused
		rec.sent[p.place] = s
	}
}

// reopen takes back that Globus did not take a submission. Nothing may be sent
// again before that: whoever finds it refused may leave it.
func (rec *record) reopen(ctx context.Context, p *part) error {
	s, ok := rec.last(p.place)
	if !ok || s.Status != refused {
		return nil
	}
	if err := rec.ledger.Ended(ctx, s.ID, ""); err != nil {
		return unusable(fmt.Errorf("record that the submission is sent again: %w", err))
	}
	s.Status = ""
	rec.sent[p.place] = s
	return nil
}

// nothing reports whether no submission of the run can be at Globus.
func (rec *record) nothing() bool {
	for _, s := range rec.sent {
		if s.Status != refused {
			return false
		}
	}
	return true
}

// others reports whether the run has submissions at other places, or had an
// attempt before at this one: it began in time.
func (rec *record) others(at jobs.Place) bool { return len(rec.sent) > 1 || rec.sent[at].Attempt > 1 }

// note writes down an event of the run.
func (rec *record) note(ctx context.Context, r *run, kind, text string) {
	if rec != nil {
		ctx, cancel := beyond(ctx, recordTime)
		defer cancel()
		r.unrecorded(rec.ledger.Note(ctx, rec.run.ID, time.Now(), kind, text))
	}
}

// unrecorded tells that the ledger could not be written.
func (r *run) unrecorded(err error) {
	if err != nil {
		r.log.Error("the ledger could not be written", "err", err)
	}
}

// finish writes down the outcome of a run that is over.
func (rec *record) finish(ctx context.Context, r *run) error {
	ctx, cancel := beyond(ctx, recordTime)
	defer cancel()
	o := ledger.Outcome{State: r.result.State, Message: r.result.Note}
	if err := r.result.Err; err != nil {
		m := fault.Of(err)
		o.Class, o.Code, o.RequestID = string(m.Kind), m.Code, m.RequestID
		o.Message = err.Error()
	}
	sum := r.result.Totals()
	o.Files, o.FilesSkipped, o.Bytes, o.SkippedErrors, o.Faults = sum.Files, sum.FilesSkipped, sum.Bytes, sum.SkippedErrors, sum.Faults
	if deleted := r.result.Deleted(); deleted != nil {
		o.FilesDeleted = deleted.Files
	}
	return rec.ledger.Finish(ctx, rec.run.ID, rec.holder, o)
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
		return true // by whoever has it now
	}
	return r.State == ledger.Submitted || fault.Transient(r.Err)
}
