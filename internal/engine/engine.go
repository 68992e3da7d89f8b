// Package engine turns an occurrence of a job into a Globus task and follows
// the task to its end.
//
// It promises that one occurrence becomes one task, whatever is cut off or
// repeated: Globus keeps the record under the task's label (see [jobs.Label]),
// a submission is repeated under one submission id, and what is already there
// is adopted. Retries of single requests and credentials belong to the HTTP
// client below [transfer.Client].
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// An Engine runs occurrences of jobs on behalf of one identity.
// Its methods may be called concurrently.
type Engine struct {
	globus   *transfer.Client
	tasks    *poller
	log      *slog.Logger
	observer Observer
	open     func(name string) (io.ReadCloser, error) // manifests
}

// An Option changes an Engine that is being made.
type Option func(*Engine)

// WithManifests lets jobs have manifests, which open opens by their names.
func WithManifests(open func(name string) (io.ReadCloser, error)) Option {
	return func(e *Engine) { e.open = open }
}

// WithObserver has o be told what the engine, and a [Scheduler] on top of it, do.
func WithObserver(o Observer) Option {
	return func(e *Engine) { e.observer = o }
}

// New returns an Engine that works through globus.
func New(globus *transfer.Client, log *slog.Logger, opts ...Option) *Engine {
	e := &Engine{
		globus:   globus,
		tasks:    newPoller(globus),
		log:      log,
		observer: unobserved{},
		open:     func(string) (io.ReadCloser, error) { return nil, errors.ErrUnsupported },
	}
	for _, opt := range opts {
		opt(e)
	}
	return e
}

// An Order is one occurrence to be done.
type Order struct {
	Job *jobs.Job // checked
	Key jobs.Key
	At  time.Time // the scheduled instant, for templates
	// Fresh says that Key was never used before, so that Globus need not be
	// asked for a task of an earlier start.
	Fresh bool

	// Known says that a ledger with a gap would show it: the occurrence falls due
	// now, or follows such a one, and nobody can have begun it without the ledger.
	Known bool

	// Label replaces the label that is made of job and key. Only a fresh
	// occurrence of a job with one task may have one: no other start could
	// find its task.
	Label string
	// StartBy, unless zero, is when nothing may be submitted any more for an
	// occurrence of which nothing was. Only [Engine.Record] heeds it.
	StartBy time.Time
	// InTurn says that missed occurrences of the job run one after the other:
	// one that is late, or meets one that is late, waits for it, whatever the
	// job's policy does with others. Only [Engine.Record] heeds it.
	InTurn bool
	// SubmissionID replaces a new submission id of the first task, to repeat
	// a submission whose outcome is not known.
	SubmissionID string

	// Again, unless nil, says how to start again such that the same task is
	// met, given the submission id. Nil means by the same key.
	Again func(submissionID string) string

	NoWait bool // end when the first task exists
	// CancelOnInterrupt cancels the task when the context ends. Otherwise it
	// goes on at Globus.
	CancelOnInterrupt bool
}

// Run does one occurrence: for each of its tasks in turn it adopts the one of
// an earlier start or submits one, and follows it to its end. What went wrong
// is in the result's Err: a [*Failure], or the error of a client as it came.
//
// When ctx ends, Run detaches from the task or cancels it, and the result's
// Err is a [*Failure] of kind interrupted, or timed out if a deadline of
// ctx was the reason.
func (e *Engine) Run(ctx context.Context, o Order) *Result {
	r := e.begin(o)
	r.doubtful = !o.Fresh
	r.result.settle(r.do(ctx))
	return r.end()
}

// Wait follows a task that somebody else submitted to its end, under the
// policies of o's job. The job needs no steps.
func (e *Engine) Wait(ctx context.Context, taskID string, o Order) *Result {
	r := e.begin(o)
	p := &part{run: r, attempt: 1}
	p.note(Task{TaskID: taskID}, true)
	defer e.tasks.join(ctx)()
	err := p.watch(ctx)
	if err == nil {
		r.result.State = ledger.Succeeded
	}
	r.result.settle(err)
	return r.end()
}

// A run is what is being done about an order.
type run struct {
	*Engine
	Order
	log    *slog.Logger
	result *Result
	record *record // nil without a ledger
	waits  string  // why the submission waits; empty if it does not
	// doubtful says that Globus may have a task of the occurrence of which the
	// ledger does not know, so that it is asked by the label.
	doubtful bool
}

func (e *Engine) begin(o Order) *run {
	return &run{
		Engine: e,
		Order:  o,
		log:    e.log.With("job", o.Job.Name, "occurrence", string(o.Key)),
		result: &Result{Job: o.Job.Name, Key: o.Key, State: ledger.Claimed, Started: time.Now().UTC()},
	}
}

func (r *run) end() *Result {
	r.result.Finished = time.Now().UTC()
	return r.result
}

// errDetached ends a run that is not to wait for its task.
var errDetached = errors.New("not waited for")

// do does the steps of the job, one after the other.
func (r *run) do(ctx context.Context) error {
	defer r.tasks.join(ctx)()
	works := r.Works()
	if r.record != nil && r.Job.Steps == nil {
		works = r.record.works()
	}
	for work, err := range works {
		switch {
		case err != nil:
		case work.Mkdir != nil:
			if !r.record.over(work.Place) {
				err = r.mkdir(ctx, work.Mkdir)
			}
		default:
			p := &part{run: r, place: work.Place, doc: work.Document, attempt: 1}
			if len(r.result.Tasks) == 0 {
				p.submissionID = r.SubmissionID
			}
			err = p.do(ctx)
		}
		if errors.Is(err, errDetached) {
			return nil
		}
		if err != nil {
			return r.ended(ctx, err)
		}
		r.result.State = ledger.Claimed // of the next step nothing was submitted
	}
	r.result.State = ledger.Succeeded
	return nil
}

// mkdir makes a folder, and those above it. One that is there is what was
// wanted.
func (r *run) mkdir(ctx context.Context, m *jobs.Mkdir) error {
	_, err := r.globus.Mkdir(ctx, m.Collection, m.Path)
	e, ok := errors.AsType[*transfer.Error](err)
	if ok && strings.HasSuffix(e.Code, "MkdirFailed.Exists") {
		return r.wantFolder(ctx, m)
	}
	above := path.Dir(strings.TrimSuffix(m.Path, "/"))
	if ok && strings.HasSuffix(e.Code, "MkdirFailed.NotFound") && above != "/" && above != "/~" {
		if err := r.mkdir(ctx, &jobs.Mkdir{Collection: m.Collection, Path: above + "/"}); err != nil {
			return err
		}
		_, err = r.globus.Mkdir(ctx, m.Collection, m.Path)
	}
	if err != nil {
		return fmt.Errorf("make the folder %s: %w", m.Path, err)
	}
	r.log.Info("folder made", "path", m.Path)
	return nil
}

// wantFolder reports a path that is there, but is a file.
func (r *run) wantFolder(ctx context.Context, m *jobs.Mkdir) error {
	entry, err := r.globus.Stat(ctx, m.Collection, m.Path)
	switch {
	case err != nil:
		return fmt.Errorf("see whether %s is a folder: %w", m.Path, err)
	case entry.Type == "file":
		return &Failure{
			Kind: fault.Refused, Code: "Exists", state: ledger.Failed,
			Message: fmt.Sprintf("make the folder %s: a file is there; rename or delete it, or choose another path", m.Path),
		}
	}
	return nil
}

// ended returns err, or what the end of ctx means if that is the cause of it.
// The present attempt was not submitted, or err is a Failure that says so.
func (r *run) ended(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*Failure](err); ok || ctx.Err() == nil {
		return err
	}
	what := "nothing was submitted"
	if t := r.result.task(); t != nil {
		what = fmt.Sprintf("task %s has ended and the next one was not submitted", t.TaskID)
	}
	if r.waits != "" {
		what += ", because " + r.waits
	}
	f := interrupted(ctx, "", what)
	if f.Kind == fault.TimedOut && fault.OnTheWay(err) {
		f.Err = err // what it waited for
	}
	return f
}

// beyond returns a context that ends when d has passed since the end of ctx.
func beyond(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if sleep(longer, d) == nil {
			cancel()
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}

// sleep waits for d, or returns an error when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
