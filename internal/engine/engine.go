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
//
// Read in this order: [Engine.Record] in engine.go does one occurrence with a ledger;
// run.go does the steps of a run one after the other; part.go, submit.go and resume.go
// bring one document to its task; watch.go follows the task. scheduler.go decides when
// [Engine.Record]'s work is due.
//
// The names of files begin with their subject: flow*.go start flows and follow them,
// guard*.go refuse what would destroy too much, item*.go look for the items of a job,
// prune*.go delete what was copied, scheduler*.go are about what is due, watch*.go about
// tasks that are at work. docs/architecture.md says where to change what.
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

// An Option configures an [Engine].
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

// WithClock sets the clock that measures how long items stay unchanged. The default is
// the clock of this machine, which does not know the service's time.
func WithClock(c *arrival.Clock) Option {
	return func(e *Engine) { e.clock = c }
}

// WithUsers lets jobs share folders with users by name. Who is the identity in use, for
// messages; user looks a name up, as in [sharing.Sharer].
func WithUsers(who string, user func(ctx context.Context, name string) (id string, err error)) Option {
	return func(e *Engine) { e.sharer.Who, e.sharer.User = who, user }
}

// WithPollInterval makes the engine look at a task every d, or if d is 0 at the default
// intervals, which grow from 1 to 15 seconds.
func WithPollInterval(d time.Duration) Option {
	return func(e *Engine) { e.every = d }
}

// WithObserver lets o observe the engine and a [Scheduler] that uses it.
func WithObserver(o Observer) Option {
	return func(e *Engine) { e.observer = o }
}

// WithDesk has d make the notices of runs. The notices of a recorded run go into its
// ledger; those of other runs go to news, which may be called concurrently.
func WithDesk(d *notify.Desk, news func([]ledger.Notice)) Option {
	return func(e *Engine) { e.desk, e.news = d, news }
}

// WithAdvice sets the function that says what to do about an error, which is recorded with
// the error; it may return "".
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
	// Item is the item of an occurrence with the key of an item.
	// [Engine.Record] finds it in the ledger.
	Item *jobs.Item
	// Fresh says that Key was never used before, so that Globus need not be
	// asked for a task of an earlier start.
	Fresh bool

	// Known says that the ledger knows every start of this occurrence: it is due
	// now, or follows one that is.
	Known bool

	// Label replaces the label that is made of job and key. Only a fresh occurrence
	// of a job with one task may have one, because no other start could find the
	// task.
	Label string
	// StartBy, unless zero, is the latest time to submit the first task. Only
	// [Engine.Record] checks it.
	StartBy time.Time
	// Left is why an earlier try of this process did not finish the occurrence; nil if
	// there was none.
	Left error
	// SubmissionID replaces a new submission id of the first task, to repeat a
	// submission whose outcome is not known. The document then has no deadline unless
	// the job has one, so that it is the same at each start. A new task is given its
	// deadline later.
	SubmissionID string

	// Repeat, unless empty, says in messages how to start again and find the same
	// task. [SubmissionIDHere], [DeadlineHere] and [KeyHere] in it are replaced. The
	// default names the occurrence.
	Repeat string
	// Follow, unless empty, is used instead of Repeat if the task is known.
	// [TaskIDHere] in it is replaced.
	Follow string

	NoWait bool // end when the first task exists
	// CancelOnInterrupt cancels the task when the context ends. Otherwise it
	// goes on at Globus.
	CancelOnInterrupt bool
}

// The placeholders in [Order.Repeat] and [Order.Follow].
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
	case gone(err) && r.result.task().Last == nil: // it was never seen, so it is not of this account
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
	// Scheduled says that a scheduler takes over the runs that other starts have left
	// unfinished. Without it, a run first finishes such runs of its own job.
	Scheduled bool
}

// Record is [Engine.Run] with a ledger. It claims the occurrence, continues where an
// earlier start was cut off, and records each step before it takes it. The caller renews
// the lease.
//
// An order for an item that no look has found, or that is not ready and has nothing in
// it, is refused before anything is recorded: see [*UnknownItem].
//
// The result is nil if the error is a [*Taken], such a refusal, the error of a run that
// waits for another one, the error of a ledger that could not be used, or
// [ledger.ErrLost] if another process had taken over the run. There are both a result and
// an error if the run has ended but that could not be recorded: the result says what
// Globus did, and a later start finds the same.
//
// A job without steps stands for one that is no longer in the jobs file: the recorded
// tasks of its run are followed to their end.
func (e *Engine) Record(ctx context.Context, rec Recording, o Order) (*Result, error) {
	if err := e.checkItem(ctx, rec, o); err != nil {
		return nil, err
	}
	run, mine, err := rec.claim(ctx, occurrence{o.Job.Name, o.Key})
	if err != nil {
		return nil, fmt.Errorf("claim the occurrence: %w", err)
	}
	if !mine {
		return nil, e.taken(ctx, rec, run, o)
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

// Cancel ends a run that somebody has asked to cancel, and cancels its tasks. If another
// process works on it, the error is a [*Taken]; otherwise it returns what
// [Engine.Record] does.
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
