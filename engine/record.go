package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/ledger"
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
	// Classify says of what class an error is.
	Classify Classify
	// Run is a run that was taken over; nil means that the occurrence is to be
	// claimed.
	Run *ledger.Run
	// Claimed, unless nil, is told of the run before anything else is done.
	Claimed func(*ledger.Run)
}

// Classify says of what class an error is, which code Globus gave it, and with
// which exit status a one-shot start would end because of it.
type Classify func(err error) (class, code string, exit int)

// A Taken error says that the occurrence has a run already: one that has
// ended, or that another start is at.
type Taken struct{ Run *ledger.Run }

func (t *Taken) Error() string {
	if t.Run.State.Final() {
		return fmt.Sprintf("occurrence %s of job %s is done: run %d has %s", t.Run.Key, t.Run.Job, t.Run.ID, t.Run.State)
	}
	return fmt.Sprintf("occurrence %s of job %s is being done by %s: run %d", t.Run.Key, t.Run.Job, t.Run.Holder, t.Run.ID)
}

// ErrCanceled is the cause to end a run's context with when somebody has asked
// for its cancel: its task is then canceled and the run is over.
var ErrCanceled = errors.New("canceled on request")

// Record is [Engine.Run] with a ledger: it claims the occurrence, goes on where
// an earlier start was cut off, and writes down each step before it is taken.
// The caller renews the lease. The error is a [*Taken], or that of a ledger
// that could not be used; the result is nil then.
func (e *Engine) Record(ctx context.Context, rec Recording, o Order) (*Result, error) {
	run := rec.Run
	if run == nil {
		claimed, mine, err := rec.Ledger.Claim(ctx, ledger.Claim{Job: o.Job.Name, Key: string(o.Key), Due: o.Key.Due(), Holder: rec.Holder, Lease: rec.Lease})
		if err != nil {
			return nil, fmt.Errorf("claim the occurrence: %w", err)
		}
		if !mine {
			return nil, &Taken{claimed}
		}
		run = claimed
	}
	if rec.Claimed != nil {
		rec.Claimed(run)
	}
	r := e.begin(o)
	r.log = r.log.With("run", run.ID)
	r.result.Run = run.ID
	var err error
	if r.record, err = openRecord(ctx, rec, run); err != nil {
		return nil, err
	}
	if err = r.alone(ctx); err == nil {
		err = r.do(ctx)
	}
	r.result.settle(err)
	r.end()
	if err := r.record.finish(ctx, r, rec.Classify); err != nil {
		r.unrecorded(err)
	}
	return r.result, nil
}

// A record is what the ledger knows about a run. A nil record is of a run
// without a ledger: it knows nothing and keeps nothing.
type record struct {
	ledger *ledger.Ledger
	run    *ledger.Run
	holder string
	first  bool                             // the ledger knows no other run of the job
	sent   map[jobs.Place]ledger.Submission // the newest of each place
}

// openRecord reads what earlier starts of the run have submitted.
func openRecord(ctx context.Context, rec Recording, run *ledger.Run) (*record, error) {
	opened := &record{ledger: rec.Ledger, run: run, holder: rec.Holder, first: true, sent: map[jobs.Place]ledger.Submission{}}
	all, err := rec.Ledger.Submissions(ctx, run.ID)
	if err != nil {
		return nil, fmt.Errorf("read the submissions of run %d: %w", run.ID, err)
	}
	for _, s := range all {
		at := jobs.Place{Step: s.Step, Part: s.Part}
		if s.Attempt >= opened.sent[at].Attempt {
			opened.sent[at] = s
		}
	}
	for other, err := range rec.Ledger.Runs(ctx, ledger.Query{Job: run.Job, Limit: 2}) {
		if err != nil {
			return nil, fmt.Errorf("read the runs of job %s: %w", run.Job, err)
		}
		opened.first = opened.first && other.ID == run.ID
	}
	return opened, nil
}

// alone deals with an earlier run of the same job that is not over, as the
// job's policy says.
func (r *run) alone(ctx context.Context) error {
	rec := r.record
	if r.Job.Concurrency == jobs.Allow || len(rec.sent) > 0 {
		return nil
	}
	for _, state := range []ledger.State{ledger.Claimed, ledger.Submitted} {
		for other, err := range rec.ledger.Runs(ctx, ledger.Query{Job: r.Job.Name, State: state}) {
			if err != nil {
				return fmt.Errorf("read the runs of job %s: %w", r.Job.Name, err)
			}
			if other.ID >= rec.run.ID {
				continue
			}
			if r.Job.Concurrency == jobs.Forbid {
				return &Failure{Kind: Overlap, Message: fmt.Sprintf("skipped: occurrence %s of this job is not over (run %d)", other.Key, other.ID)}
			}
			r.log.Warn("an earlier run of this job is replaced", "other_run", other.ID, "other_occurrence", other.Key)
			if err := rec.ledger.RequestCancel(ctx, other.ID); err != nil && !errors.Is(err, ledger.ErrState) {
				return fmt.Errorf("cancel run %d: %w", other.ID, err)
			}
		}
	}
	return nil
}

// last returns the newest submission at a place.
func (rec *record) last(at jobs.Place) (ledger.Submission, bool) {
	if rec == nil {
		return ledger.Submission{}, false
	}
	s, ok := rec.sent[at]
	return s, ok
}

// submit writes down a submission. Nothing may be sent before that.
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
		ID: p.submissionID, Run: rec.run.ID, Step: p.place.Step, Part: p.place.Part, Attempt: p.attempt,
		Label: doc.Head().Label, Document: raw, Created: time.Now(),
	}
	if err := rec.ledger.Submit(ctx, rec.holder, s); err != nil {
		return fmt.Errorf("record the submission before it is sent: %w", err)
	}
	rec.sent[p.place] = s
	return nil
}

// accepted writes down the task of a submission. If that fails, nothing is
// lost: the submission would be sent again, and give the same task.
func (rec *record) accepted(ctx context.Context, p *part, taskID string) {
	if rec == nil || p.submissionID == "" {
		return
	}
	p.unrecorded(rec.ledger.Accepted(ctx, p.submissionID, taskID))
	p.unrecorded(rec.ledger.Advance(ctx, rec.run.ID, rec.holder, ledger.State(Submitted), p.place.Step, p.attempt))
}

// ended writes down how a task ended.
func (rec *record) ended(ctx context.Context, p *part, status transfer.Status) {
	if rec != nil && p.submissionID != "" {
		p.unrecorded(rec.ledger.Ended(ctx, p.submissionID, string(status)))
	}
}

// note writes down an event of the run.
func (rec *record) note(ctx context.Context, r *run, kind, text string) {
	if rec != nil {
		r.unrecorded(rec.ledger.Note(ctx, rec.run.ID, time.Now(), kind, text))
	}
}

// unrecorded tells that the ledger could not be written.
func (r *run) unrecorded(err error) {
	if err != nil {
		r.log.Error("the ledger could not be written", "err", err)
	}
}

// finish writes down the outcome of a run that is over. A run that may still
// be resumed is left as it is.
func (rec *record) finish(ctx context.Context, r *run, classify Classify) error {
	if rec == nil || r.result.Resumable() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	o := ledger.Outcome{State: ledger.State(r.result.State), Message: r.result.Note}
	if err := r.result.Err; err != nil {
		o.Class, o.Code, o.ExitCode = classify(err)
		o.Message = err.Error()
		if e, ok := errors.AsType[*transfer.Error](err); ok {
			o.RequestID = e.RequestID
		}
	}
	for _, t := range r.result.Tasks {
		if t.Last != nil {
			o.Files += t.Last.FilesTransferred
			o.FilesSkipped += t.Last.FilesSkipped
			o.Bytes += t.Last.BytesTransferred
			o.SkippedErrors += t.Last.SubtasksSkippedErrors
			o.Faults += t.Last.Faults
		}
	}
	return rec.ledger.Finish(ctx, rec.run.ID, rec.holder, o)
}

// Resumable reports whether a later start may bring the run to its end.
func (r *Result) Resumable() bool {
	if f, ok := errors.AsType[*Failure](r.Err); ok {
		return f.Kind == Interrupted || f.Kind == Unknown || f.Kind == TimedOut && f.state == ""
	}
	if errors.Is(r.Err, ledger.ErrLost) {
		return true // by whoever has it now
	}
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](r.Err)
	return ok && t.Temporary()
}
