package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// A recording says whether orders are recorded in the ledger, if there is one. Ad hoc
// orders are not, because their random keys could not be used to resume them.
type recording struct {
	wanted  bool
	history jobs.History // how long finished runs are kept; zero: nothing is forgotten

	channels map[string]*jobs.Channel // that may hear of the orders; nil: nobody does
}

// A doer does one order.
type doer func(context.Context, engine.Order) (*engine.Result, error)

// A worker does orders: with the ledger, if there is one.
type worker struct {
	app    *app
	engine *engine.Engine
	rec    *engine.Recording // nil without a ledger
	done   func()            // to be called at the end
}

// do does one order.
func (w *worker) do(ctx context.Context, o engine.Order) (*engine.Result, error) {
	if needsItem(&o) {
		return nil, usageError{fmt.Errorf("job %[1]s comes after job %[2]s, and is done for one item of it: RUNNER_OCCURRENCE=item:NAME runner run %[1]s; runner items %[2]s lists them",
			o.Job.Name, o.Job.ItemsOf)}
	}
	if w.rec != nil {
		return w.app.record(ctx, w.engine, *w.rec, o)
	}
	if o.Job.ForEach != nil && o.Item == nil && o.Key.IsItem() {
		var err error
		if o.Item, err = w.engine.ItemWithoutLedger(ctx, o.Job, o.Key); err != nil {
			return nil, err
		}
	}
	return w.engine.Run(ctx, o), nil
}

// recorder returns the do and done of a new [worker].
func (a *app) recorder(ctx context.Context, r recording, opts ...engine.Option) (do doer, done func(), err error) {
	w, err := a.worker(ctx, r, opts...)
	if err != nil {
		return nil, nil, err
	}
	return w.do, w.done, nil
}

// worker connects to Globus, and opens the ledger if orders are to be recorded.
func (a *app) worker(ctx context.Context, r recording, opts ...engine.Option) (*worker, error) {
	globus, err := a.connect(wiring{acts: true})
	if err != nil {
		return nil, err
	}
	signing, err := a.signing()
	if err != nil {
		return nil, err
	}
	told := &finalNotices{app: a}
	if len(r.channels) > 0 {
		var desk engine.Option
		told, desk = a.finalNotices(r.channels)
		opts = append(opts, desk)
	}
	e := engine.New(globus.transfer, a.log, append(opts, engine.WithManifests(a.inputs.open), engine.WithClock(globus.clock), globus.users(), engine.WithFlows(globus.flows), engine.WithAdvice(a.desk().Next), signing)...)
	w := &worker{app: a, engine: e, done: func() { told.send(ctx, nil) }}
	if !r.wanted {
		return w, nil
	}
	l, err := a.openLedger(ctx, createIfAbsent)
	if err != nil || l == nil {
		return w, err
	}
	rec, leave := a.attend(ctx, l)
	w.rec = &rec
	w.done = func() {
		told.send(ctx, l)
		if ctx.Err() == nil && r.history != (jobs.History{}) {
			a.forgetDaily(ctx, l, r.history)
		}
		leave()
		if err := l.Close(); err != nil {
			a.log.Warn("the ledger could not be closed", "err", err)
		}
	}
	return w, nil
}

// attend shows others who share the ledger that this process is alive, and renews the
// leases of its runs, until leave is called.
func (a *app) attend(ctx context.Context, l *ledger.Ledger) (rec engine.Recording, leave func()) {
	rec = engine.Recording{Ledger: l, Holder: holder(), Lease: lease}
	unlock, err := l.Attend(ctx, rec.Holder)
	if err != nil {
		a.log.Warn("if this process is killed, its runs are free only when its leases have ended", "err", err)
		unlock = func() {}
	}
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() { a.keepLease(keeping, l, rec.Holder) })
	return rec, func() {
		stop()
		keeper.Wait()
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := l.Release(release, rec.Holder); err != nil {
			a.log.Warn("the leases of this start could not be released, the next start ends them", "err", err)
			return // locked until this process ends, its file then says that it has died
		}
		unlock()
	}
}

// record does an order with the ledger. An occurrence that has succeeded or was skipped is
// not done again; one that failed is.
func (a *app) record(ctx context.Context, e *engine.Engine, rec engine.Recording, o engine.Order) (*engine.Result, error) {
	res, err := e.Record(ctx, rec, o)
	if _, unknown := errors.AsType[*engine.UnknownItem](err); unknown && o.Job.ForEach != nil {
		if err := a.lookAt(ctx, e, rec, o.Job); err != nil {
			return nil, err
		}
		res, err = e.Record(ctx, rec, o)
	}
	if taken, ok := errors.AsType[*engine.Taken](err); ok {
		switch r := taken.Run; {
		case !r.State.Final():
			return nil, statusError{fmt.Errorf("%w; run it again later", taken), exitTemporary}
		case r.State == ledger.Succeeded || r.State == ledger.Skipped:
			return earlier(r, taken.Error()+nothingNow(o.Job, r)), nil
		}
		if err := rec.Ledger.Retry(ctx, taken.Run.ID); err != nil {
			return nil, fmt.Errorf("do run %d again: %w", taken.Run.ID, err)
		}
		res, err = e.Record(ctx, rec, o)
	}
	if res == nil {
		return nil, err
	}
	return a.unrecorded(res, err), nil
}

// nothingNow says what to do if a run that has succeeded is started again because files are
// missing.
func nothingNow(job *jobs.Job, r *ledger.Run) string {
	switch {
	case r.State != ledger.Succeeded:
		return ""
	case job.Items == nil:
		return fmt.Sprintf("; nothing was copied or compared now: runner run %s without an occurrence does that", job.Name)
	}
	return fmt.Sprintf("; nothing was copied or compared now: runner audit %s compares, and names the command that copies again what is missing", job.Name)
}

// earlier returns the result of a run that ended in an earlier start.
func earlier(r *ledger.Run, note string) *engine.Result {
	res := &engine.Result{
		Run: r.ID, Job: r.Job, Key: jobs.Key(r.Key), State: r.State, Attempt: r.Attempt, Adopted: true,
		Started: r.Began, Finished: r.Finished, Note: note,
	}
	if k := kindOf(r.Outcome); k != "" { // no second task would change that
		res.Note = fmt.Sprintf("run %d of an earlier start: %s", r.ID, r.Message)
		res.Err = &engine.Failure{Kind: k, Code: r.Code, Message: res.Note}
	}
	return res
}

// unrecorded adds err, unless it is nil, to a result that could not be recorded. The result
// still says what Globus did. It gets the error only if it has no other: a run that
// succeeded and is not recorded is not done.
func (a *app) unrecorded(res *engine.Result, err error) *engine.Result {
	switch {
	case err == nil:
	case res.Err != nil:
		a.log.Error("the outcome could not be recorded", "job", res.Job, "occurrence", string(res.Key), "err", err)
	default:
		res.Err = fmt.Errorf("the run has %s, but the ledger does not know: %w; start again with the same occurrence to have it recorded", res.State, err)
	}
	return res
}
