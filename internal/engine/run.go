package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A run is the work on an order.
type run struct {
	engine  *Engine
	order   Order
	job     *jobs.Job // of the order
	globus  *transfer.Client
	log     *slog.Logger
	result  *Result
	rec     Recording // zero without a ledger
	journal *journal  // nil without a ledger
	held    string    // why the submission waits; empty if it does not
	// item is the record of the item that the run is about. It is nil if the run is not
	// about an item, or belongs to a job that follows one with items.
	item     *ledger.Item
	stray    *Failure // why the item is not known; nil if it is, or there is none
	replaced bool     // another run takes its place
	// doubtful says that Globus may have a task of the occurrence that the ledger does
	// not know, so Globus is asked for it by its label.
	doubtful bool
	anew     bool // the tasks that Globus has were about earlier items, see [part.newest]
}

func (e *Engine) begin(o Order) *run {
	return &run{
		engine: e,
		order:  o,
		job:    o.Job,
		globus: e.globus,
		log:    e.log.With("job", o.Job.Name, "occurrence", string(o.Key)),
		result: &Result{Job: o.Job.Name, Key: o.Key, State: ledger.Claimed, Started: time.Now().UTC()},
	}
}

// recorded begins a run that is in the ledger.
func (e *Engine) recorded(ctx context.Context, rec Recording, run *ledger.Run, o Order) (*run, error) {
	r := e.begin(o)
	if o.Key.Due().IsZero() {
		r.order.At = run.Claimed // which each start knows, so that all render the same paths
	}
	r.log = r.log.With("run", run.ID)
	r.result.Run = run.ID
	r.rec = rec
	var err error
	if r.journal, err = openJournal(ctx, rec, run, r.log); err != nil {
		return nil, err
	}
	r.result.earlier = r.journal.ended
	// The ledger may be new, restored from a backup, or failed over without its
	// last commits.
	r.doubtful = !o.Fresh && (r.journal.first || !o.Known)
	if err := r.findItem(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// errCanceled is the cause of a run's context when somebody has asked to cancel the run:
// its task is then canceled, and the run ends.
var errCanceled = errors.New("canceled on request")

// heedCancel returns ctx, or a context that has ended if the run is to be canceled.
func (r *run) heedCancel(ctx context.Context) context.Context {
	if !r.journal.run.CancelRequested {
		return ctx
	}
	canceled, cancel := context.WithCancelCause(ctx)
	cancel(errCanceled)
	return canceled
}

// carryOut does the steps of a recorded run, unless it was refused.
func (r *run) carryOut(ctx context.Context, refused error) error {
	if len(r.journal.sent) > 0 {
		r.journal.note(ctx, "resumed", "by "+r.journal.holder)
	}
	if refused != nil {
		return r.meaning(ctx, refused)
	}
	return r.doSteps(ctx)
}

// errDetached ends a run that does not wait for its task.
var errDetached = errors.New("not waited for")

// doSteps does the steps of the job, one after the other.
func (r *run) doSteps(ctx context.Context) error {
	defer r.engine.poller.join(ctx)()
	r.tellBegun(ctx)
	var incomplete *Failure // of the last task, if it succeeded without some of its files
	for work, err := range r.works() {
		if incomplete != nil {
			incomplete.cutShort(work.Position)
			break
		}
		if err == nil {
			err = r.doWork(ctx, work)
		}
		if errors.Is(err, errDetached) {
			return nil
		}
		if f, ok := errors.AsType[*Failure](err); ok && f.Kind == fault.SkippedErrors {
			incomplete = f
			continue
		}
		if err != nil {
			return r.meaning(ctx, r.outlast(ctx, err))
		}
		r.result.State = ledger.Claimed // nothing of the next step was submitted
	}
	if incomplete != nil {
		return incomplete
	}
	r.result.State = ledger.Succeeded
	return nil
}

// doWork does one step, or one document of a step.
func (r *run) doWork(ctx context.Context, work Work) error {
	work, err := r.journal.asRecorded(work)
	switch {
	case err != nil:
		return err
	case (work.Mkdir != nil || work.Share != nil) && r.journal.past(work.Position):
		return nil
	case work.Mkdir != nil:
		return r.mkdir(ctx, work.Mkdir)
	case work.Share != nil:
		return r.share(ctx, work.Share)
	case work.list != nil:
		return r.followList(ctx, *work.list)
	case work.Prune != nil:
		return r.prune(ctx, work)
	case work.Audit != nil:
		return r.audit(ctx, work.Audit)
	case work.Flow != nil && r.engine.flows == nil:
		return &Failure{Kind: fault.Usage, state: ledger.Failed, Message: "job " + r.job.Name + " starts a flow, which this command cannot do"}
	case work.Flow != nil:
		return r.newFlowing(work).complete(ctx)
	}
	if err := r.newPart(work).complete(ctx); err != nil {
		return err
	}
	return r.verify(ctx, work)
}

// mkdir makes a folder, and those above it. It is not an error if the folder exists.
func (r *run) mkdir(ctx context.Context, m *jobs.Mkdir) error {
	as := transfer.AsLocalUser(m.LocalUser)
	_, err := r.globus.Mkdir(ctx, m.Collection, m.Path, as)
	e, ok := errors.AsType[*transfer.Error](err)
	if ok && strings.HasSuffix(e.Code, "MkdirFailed.Exists") {
		return r.wantFolder(ctx, m)
	}
	above := path.Dir(strings.TrimSuffix(m.Path, "/"))
	if ok && strings.HasSuffix(e.Code, "MkdirFailed.NotFound") && above != "/" && above != "/~" {
		if err := r.mkdir(ctx, &jobs.Mkdir{Collection: m.Collection, Path: above + "/", LocalUser: m.LocalUser}); err != nil {
			return err
		}
		_, err = r.globus.Mkdir(ctx, m.Collection, m.Path, as)
	}
	if err != nil {
		return fmt.Errorf("make the folder %s: %w", m.Path, err)
	}
	r.log.Info("folder made", "path", m.Path)
	return nil
}

// wantFolder returns an error if a path that exists is a file.
func (r *run) wantFolder(ctx context.Context, m *jobs.Mkdir) error {
	entry, err := r.globus.Stat(ctx, m.Collection, m.Path, transfer.AsLocalUser(m.LocalUser))
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

// meaning returns err, or if the end of ctx has caused it, what that means. Unless err is
// a Failure, the present attempt was not submitted.
func (r *run) meaning(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*Failure](err); ok || ctx.Err() == nil {
		return err
	}
	what := "nothing was submitted"
	if t := r.result.task(); t != nil {
		what = fmt.Sprintf("task %s has ended and the next one was not submitted", t.TaskID)
	}
	if r.held != "" {
		what += ", because " + r.held
	}
	f := interrupted(ctx, "", what)
	if f.Kind == fault.TimedOut && fault.OnTheWay(err) {
		f.Err = err // that it waited to pass
	}
	return f
}

// settle sets the outcome of the run, and reports whether that has to be recorded: a run
// that can be resumed stays as it is, and one that was not waited for has not ended.
func (r *run) settle(ctx context.Context, err error) bool {
	reached := r.result.State
	r.result.conclude(err)
	if r.result.State == ledger.Skipped && !r.replaced {
		r.result.Note += fmt.Sprintf("; to do it later: runner runs retry %d", r.result.Run)
	}
	if !r.result.Resumable() {
		return r.result.State.Final()
	}
	r.result.State = reached
	if !errors.Is(err, ledger.ErrLost) {
		r.journal.note(ctx, "left", r.engine.inWords(err))
		r.tellLeft(ctx, err)
	}
	return false
}

// finish records how the run has ended, unless err says why it must not. It returns what
// [Engine.Record] does.
func (r *run) finish(ctx context.Context, err error) (*Result, error) {
	if err == nil {
		err = r.journal.addOutcome(ctx, r.engine.explained(r.result), r.ended(ctx))
	}
	if err == nil {
		r.engine.observe(Told{})
		return r.result, nil
	}
	err = fmt.Errorf("record that run %d has %s: %w", r.result.Run, r.result.State, err)
	if errors.Is(err, ledger.ErrLost) {
		return nil, err
	}
	return r.result, err
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
