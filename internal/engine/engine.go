// Package engine turns an occurrence of a job into Globus tasks and follows
// them to their end.
//
// It promises that one document of an occurrence becomes one task, whatever is
// cut off or repeated. A task bears the label of its occurrence (see
// [jobs.Label]), a submission is repeated under the same submission id, and a
// task that is there already is adopted. Credentials and the retries of single
// requests belong to the HTTP client below [transfer.Client].
//
// A [Scheduler] starts runs, a run has parts, and a part has attempts. Each hands
// its result up to its owner. The journal of a run writes to the ledger, and an
// [Observer] is told what happens.
package engine

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/flows"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/sharing"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// An Engine runs occurrences of jobs on behalf of one identity.
// Its methods may be called concurrently.
type Engine struct {
	globus   *transfer.Client
	flows    *flows.Client // nil: no flow can be started
	poller   *poller
	finder   *finder
	log      *slog.Logger
	observer Observer                                 // may be nil
	open     func(name string) (io.ReadCloser, error) // manifests
	receipts *account.Keeper
	clock    *arrival.Clock
	sharer   *sharing.Sharer
	refused  sync.Map      // how many items the last look refused, by job
	every    time.Duration // between looks at a task; 0 lets them grow rarer

	desk   *notify.Desk          // nil: nobody hears of a run
	advice func(error) string    // the next step after an error; may return nothing
	news   func([]ledger.Notice) // those of runs without a ledger
}

// An Option changes an Engine that is being made.
type Option func(*Engine)

// WithManifests lets jobs have manifests, which open opens by their names.
func WithManifests(open func(name string) (io.ReadCloser, error)) Option {
	return func(e *Engine) { e.open = open }
}

// WithSigningKey signs receipts with key.
func WithSigningKey(key ed25519.PrivateKey) Option {
	return func(e *Engine) { e.receipts.Signing = key }
}

// WithFlows lets jobs start flows through c.
func WithFlows(c *flows.Client) Option {
	return func(e *Engine) { e.flows = c }
}

// WithClock measures for how long items stay unchanged by c, which hears the
// service's clock. By default it is the machine's clock alone.
func WithClock(c *arrival.Clock) Option {
	return func(e *Engine) { e.clock = c }
}

// WithUsers lets jobs share folders with users by their names. The identity in use
// is who, for messages; user is as in [sharing.Sharer].
func WithUsers(who string, user func(ctx context.Context, name string) (id string, err error)) Option {
	return func(e *Engine) { e.sharer.Who, e.sharer.User = who, user }
}

// WithPollInterval looks at a task every d, which is not 0. By default the looks grow
// rarer, from one a second to one in 15 seconds.
func WithPollInterval(d time.Duration) Option {
	return func(e *Engine) { e.every = d }
}

// WithObserver lets o observe the engine and a [Scheduler] that uses it.
func WithObserver(o Observer) Option {
	return func(e *Engine) { e.observer = o }
}

// WithDesk has d make the notices of runs. The notices of a run that is in a ledger are in the
// ledger then; those of other runs go to news, which may be called concurrently.
func WithDesk(d *notify.Desk, news func([]ledger.Notice)) Option {
	return func(e *Engine) { e.desk, e.news = d, news }
}

// WithAdvice has the ledger keep the next step with each error: what next says, which
// may be empty.
func WithAdvice(next func(error) string) Option { return func(e *Engine) { e.advice = next } }

// New returns an Engine that works through globus.
func New(globus *transfer.Client, log *slog.Logger, opts ...Option) *Engine {
	e := &Engine{
		globus:   globus,
		poller:   newPoller(globus),
		finder:   newFinder(globus),
		log:      log,
		receipts: &account.Keeper{Globus: globus, Log: log},
		clock:    arrival.NewClock(),
		sharer:   &sharing.Sharer{Globus: globus},
		advice:   func(error) string { return "" },
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
	// Item is what an occurrence with the key of an item is about. [Engine.Record]
	// finds it in the ledger.
	Item *jobs.Item
	// Fresh says that Key was never used before, so that Globus need not be
	// asked for a task of an earlier start.
	Fresh bool

	// Known says that the ledger knows every start of this occurrence: it falls
	// due now, or follows one that did.
	Known bool

	// Label replaces the label that is made of job and key. Only a fresh
	// occurrence of a job with one task may have one: no other start could
	// find its task.
	Label string
	// StartBy, unless zero, is until when the first task may be submitted. Only
	// [Engine.Record] heeds it.
	StartBy time.Time
	// Left is why an earlier try of this process has left the occurrence; nil if there
	// was none.
	Left error
	// SubmissionID replaces a new submission id of the first task, to repeat
	// a submission whose outcome is not known. So that its document is the same
	// at each start, that has no deadline but one of the job's own. A new task is
	// given one.
	SubmissionID string

	// Repeat, unless empty, says in messages how to start again such that the
	// same task is met. [SubmissionIDHere], [DeadlineHere] and [KeyHere] in it are
	// replaced. The default names the occurrence.
	Repeat string
	// Follow, unless empty, is said instead of Repeat if the task is known.
	// [TaskIDHere] in it is replaced.
	Follow string

	NoWait bool // end when the first task exists
	// CancelOnInterrupt cancels the task when the context ends. Otherwise it
	// goes on at Globus.
	CancelOnInterrupt bool
}

// What stands in [Order.Repeat] and [Order.Follow] for the submission id, the
// deadline of its document, the key of the occurrence and the id of the task.
const (
	SubmissionIDHere = "{submission_id}"
	DeadlineHere     = "{deadline}"
	KeyHere          = "{key}"
	TaskIDHere       = "{task_id}"
)

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
	r.result.conclude(r.doSteps(ctx))
	switch {
	case r.result.Resumable():
		r.tellLeft(ctx, r.result.Err)
	case r.result.State.Final():
		r.tell(ctx, r.ended(ctx))
	}
	return r.result
}

// Wait follows a task that somebody else submitted to its end, under the
// policies of o's job. The job needs no steps.
func (e *Engine) Wait(ctx context.Context, taskID string, o Order) *Result {
	defer e.poller.join(ctx)()
	r := e.begin(o)
	p := r.newPart(Work{})
	p.setTask(Task{TaskID: taskID}, true)
	err := p.watch(ctx)
	switch {
	case err == nil:
		r.result.State = ledger.Succeeded
	case gone(err) && r.result.task().Last == nil: // so nobody has submitted it for this account
		r.result.Tasks, r.result.Adopted = nil, false
		err = &Failure{
			Kind: fault.Refused, TaskID: taskID, Code: fault.Of(err).Code, Err: err, state: ledger.Failed,
			Message: fmt.Sprintf("there is no task %s, or this account may not see it (runner task list shows its tasks)", taskID),
		}
	}
	r.result.conclude(err)
	return r.result
}

// A Recording says in which ledger a run is recorded, and by whom.
type Recording struct {
	Ledger *ledger.Ledger
	Holder string        // names this start among those that share the ledger
	Lease  time.Duration // how long the run stays with a start that does not renew it
	// Scheduled says that a scheduler takes over what other starts have left.
	// Without one, a run first ends the earlier runs of its job that were left.
	Scheduled bool
}

// Record is [Engine.Run] with a ledger. It claims the occurrence, goes on where
// an earlier start was cut off, and records each step before it is taken. The
// caller renews the lease.
//
// An order for an item that no look has found, or that is not ready and holds
// nothing, is refused before anything is recorded: see [*UnknownItem].
//
// The result is nil if the error is a [*Taken], such a refusal, that of a run that waits for
// another one, that of a ledger that could not be used, or
// [ledger.ErrLost] if somebody else had taken the run over when it ended. There are
// both a result and an error if the run has ended and the ledger could not be told:
// the result is what Globus did, and a later start meets the same.
//
// A job without steps stands for one that is no longer known: the tasks that
// the ledger has of its run are followed to their end.
func (e *Engine) Record(ctx context.Context, rec Recording, o Order) (*Result, error) {
	if err := e.checkItem(ctx, rec, o); err != nil {
		return nil, err
	}
	run, mine, err := rec.claim(ctx, occurrence{o.Job.Name, o.Key})
	if err != nil {
		return nil, fmt.Errorf("claim the occurrence: %w", err)
	}
	if !mine {
		return nil, &Taken{run}
	}
	r, err := e.recorded(ctx, rec, run, o)
	if err != nil {
		return nil, err
	}
	ctx = r.heedCancel(ctx)
	refused := r.admit(ctx)
	if isWaiting(refused) {
		return nil, refused
	}
	if !r.settle(ctx, r.carryOut(ctx, refused)) {
		return r.result, nil
	}
	return r.finish(ctx, nil)
}

// Cancel ends a run whose cancel was requested, and cancels its tasks. If
// somebody else works on it, the error is a [*Taken]; what else it returns is as
// from [Engine.Record].
func (e *Engine) Cancel(ctx context.Context, rec Recording, run *ledger.Run) (*Result, error) {
	return e.Record(ctx, rec, Order{Job: removed(run.Job), Key: jobs.Key(run.Key), At: run.Claimed})
}

// An occurrence is one thing that must happen once.
type occurrence struct {
	job string
	key jobs.Key
}

// claim claims an occurrence, see [ledger.Ledger.Claim].
func (rec *Recording) claim(ctx context.Context, o occurrence) (run *ledger.Run, mine bool, err error) {
	return rec.Ledger.Claim(ctx, ledger.Claim{
		Job: o.job, Key: string(o.key), Due: o.key.Due(), Item: o.key.IsItem(), Holder: rec.Holder, Lease: rec.Lease,
	})
}
