package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// following is how the commands that submit go on: the flags they share.
type following struct {
	noWait      bool
	dryRun      bool
	skipOK      bool
	timeout     span
	onInterrupt interruption
}

func (f *following) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&f.noWait, "no-wait", false, "end when Globus has accepted the task")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be submitted, and change nothing")
	flags.BoolVar(&f.skipOK, "skip-ok", false, "exit 0 instead of 12 if the run is skipped because another task is at work")
	flags.Var(&f.timeout, "timeout", "wait no longer than this, such as 30m, 2h or a number of seconds")
	f.onInterrupt = detach
	flags.Var(oneOf(&f.onInterrupt, "POLICY", detach, cancelTask), "on-interrupt", "what happens to the task when a signal or --timeout ends the wait: detach (it goes on) or cancel")
}

// An interruption is one of the policies below.
type interruption string

const (
	detach     interruption = "detach"
	cancelTask interruption = "cancel"
)

// A span is a time such as 90s, 30m or 2h; a plain number means seconds, as
// globus-cli has it.
type span time.Duration

func (s *span) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}
func (s *span) Type() string { return "DURATION" }

// Set takes a time above zero.
func (s *span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, e := strconv.ParseInt(text, 10, 32); e == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a time such as 90s, 30m or 2h", text)
	}
	*s = span(d)
	return nil
}

// follow does an order and prints what came of it; with --dry-run nothing.
func (a *app) follow(ctx context.Context, o engine.Order, f following, r recording) (*resultDocument, error) {
	if f.dryRun {
		return nil, a.dryRun(o)
	}
	do, done, err := a.recorder(ctx, r, a.showProgress())
	if err != nil {
		return nil, err
	}
	defer done()
	return a.await(ctx, o, f, do)
}

// A recording says whether orders go into the ledger, if there is one. Ad hoc
// orders do not: nothing could be resumed by their key.
type recording struct {
	wanted  bool
	history jobs.History // how long finished runs are kept; zero: nothing is forgotten

	channels map[string]*jobs.Channel // that may hear of the orders; nil: nobody does
}

// A doer brings one order to its end.
type doer func(context.Context, engine.Order) (*engine.Result, error)

// A worker brings orders to their end: with the ledger, if there is one.
type worker struct {
	app    *app
	engine *engine.Engine
	rec    *engine.Recording // nil without a ledger
	done   func()            // is called at the end
}

// do brings one order to its end.
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

// recorder returns what a [worker] does.
func (a *app) recorder(ctx context.Context, r recording, opts ...engine.Option) (do doer, done func(), err error) {
	w, err := a.worker(ctx, r, opts...)
	if err != nil {
		return nil, nil, err
	}
	return w.do, w.done, nil
}

// worker connects, and opens the ledger if there is to be one.
func (a *app) worker(ctx context.Context, r recording, opts ...engine.Option) (*worker, error) {
	globus, err := a.connect(wiring{acts: true})
	if err != nil {
		return nil, err
	}
	signing, err := a.signing()
	if err != nil {
		return nil, err
	}
	told := &parting{app: a}
	if len(r.channels) > 0 {
		var desk engine.Option
		told, desk = a.parting(r.channels)
		opts = append(opts, desk)
	}
	e := engine.New(globus.transfer, a.log, append(opts, engine.WithManifests(a.lists.open), engine.WithClock(globus.clock), globus.users(), engine.WithFlows(globus.flows), engine.WithAdvice(a.desk().Next), signing)...)
	w := &worker{app: a, engine: e, done: func() { told.send(ctx, nil) }}
	if !r.wanted {
		return w, nil
	}
	l, err := a.openLedger(ctx)
	if err != nil || l == nil {
		return w, err
	}
	rec, leave := a.attend(ctx, l)
	w.rec = &rec
	w.done = func() {
		told.send(ctx, l)
		if ctx.Err() == nil && r.history != (jobs.History{}) {
			a.pruneDaily(ctx, l, r.history)
		}
		leave()
		if err := l.Close(); err != nil {
			a.log.Warn("the ledger could not be closed", "err", err)
		}
	}
	return w, nil
}

// attend lets others who share the ledger see that this start lives, and keeps
// the leases of its runs, until leave is called.
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
			a.log.Warn("the leases of this start could not be released", "err", err)
		}
		unlock()
	}
}

// pruneTime bounds the time that the end of a start takes to forget old runs.
const pruneTime = 5 * time.Second

// pruneDaily forgets old runs and receipts, where no serve does it. Somebody
// waits for the end of this start, so what takes long is left to the next day.
func (a *app) pruneDaily(ctx context.Context, l *ledger.Ledger, history jobs.History) {
	ctx, cancel := context.WithTimeout(ctx, pruneTime)
	defer cancel()
	n, err := l.PruneAfter(ctx, 24*time.Hour, retention(history))
	a.runsForgotten(ctx, n, err)
	a.pruneReceipts(ctx, l, history)
}

// runsForgotten logs what came of forgetting old runs.
func (a *app) runsForgotten(ctx context.Context, n int, err error) {
	if err != nil && ctx.Err() == nil {
		a.log.Warn("old runs could not be forgotten", "err", err)
	}
	if n > 0 {
		a.log.Info("old runs forgotten", "count", n)
	}
}

// pruneReceipts forgets the receipts that are older than the jobs file wants.
func (a *app) pruneReceipts(ctx context.Context, l *ledger.Ledger, history jobs.History) {
	if history.Receipts == 0 {
		return
	}
	n, err := l.PruneReceipts(ctx, time.Now().Add(-history.Receipts))
	if err != nil && ctx.Err() == nil {
		a.log.Warn("old receipts could not be forgotten", "err", err)
	}
	if n > 0 {
		a.log.Info("old receipts forgotten", "count", n)
	}
}

// record does an order with the ledger. An occurrence that is done is not done
// again; one that did not succeed is.
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
			return earlier(r, taken.Error()), nil
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

// earlier is the result of a run that an earlier start has brought to its end.
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

// unrecorded makes err, unless it is nil, part of a result that the ledger
// could not be told. What Globus did stays what the result says: only a run
// that was good gets another error, for it is not all done.
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

// do does an order as the flags say.
func (f *following) do(ctx context.Context, o engine.Order, do doer) (*engine.Result, error) {
	o.NoWait, o.CancelOnInterrupt = f.noWait, f.onInterrupt == cancelTask
	ctx, cancel := f.timeout.bound(ctx)
	defer cancel()
	res, err := do(ctx, o)
	switch {
	case err != nil || res.State != ledger.Skipped:
	case f.skipOK:
		res.Err = nil
	default:
		res.Err = &engine.Failure{Kind: fault.Skipped, Message: res.Note}
	}
	return res, err
}

// bound returns ctx with s as its timeout, if there is one.
func (s span) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if s == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(s))
}

// await does an order and prints the result.
func (a *app) await(ctx context.Context, o engine.Order, f following, do doer) (*resultDocument, error) {
	res, err := f.do(ctx, o, do)
	if err != nil {
		return nil, err
	}
	doc := a.document(ctx, res)
	printed := a.print(doc, doc.text)
	return doc, cmp.Or(res.Err, printed)
}

// dryRun prints the documents that would be submitted, and touches nothing: one
// by itself, several as a list, each as soon as it is made.
func (a *app) dryRun(orders ...engine.Order) error {
	if a.out.query.expr != nil {
		var docs []any
		for doc, err := range a.planned(orders) {
			if err != nil {
				return err
			}
			docs = append(docs, doc)
		}
		if len(docs) == 1 {
			return a.print(docs[0], nil)
		}
		return a.print(newList(docs), nil)
	}
	out := bufio.NewWriter(a.stdout)
	var held []byte // the first document, until there is a second one
	n := 0
	for doc, err := range a.planned(orders) {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		text, err := encode(doc)
		if err != nil {
			return fmt.Errorf("encode a document: %w", err)
		}
		text = bytes.TrimSuffix(text, []byte("\n"))
		switch n++; n {
		case 1:
			held = text
		case 2:
			fmt.Fprintf(out, "{\n\"data\": [\n%s,\n%s", held, text)
		default:
			fmt.Fprintf(out, ",\n%s", text)
		}
	}
	if n == 1 {
		fmt.Fprintf(out, "%s\n", held)
	} else if n > 1 {
		fmt.Fprint(out, "\n]\n}\n")
	}
	return unwritten(out.Flush())
}

// planned makes the documents that would be submitted.
func (a *app) planned(orders []engine.Order) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for _, o := range orders {
			for work, err := range engine.New(nil, a.log, engine.WithManifests(a.lists.open)).Works(o) {
				var doc any
				switch {
				case err != nil:
				case work.Mkdir != nil:
					doc = map[string]any{"DATA_TYPE": "mkdir", "endpoint": work.Mkdir.Collection, "path": work.Mkdir.Path}
				case work.Share != nil:
					doc = shareDocument(work.Share)
				case work.Flow != nil:
					doc = struct {
						DataType string `json:"DATA_TYPE"`
						*plannedFlow
					}{"flow", newPlannedFlow(work.Flow, jobs.RunLabel(o.Job.Name, o.Key, work.Position, 1))}
				case work.Audit != nil:
					doc = struct {
						DataType string `json:"DATA_TYPE"`
						*plannedAudit
					}{"audit", newPlannedAudit(work.Audit)}
				case work.Prune != nil:
					doc = struct {
						DataType string `json:"DATA_TYPE"`
						*plannedPrune
					}{"prune", newPlannedPrune(work.Prune)}
				default:
					if head := work.Document.Head(); head.Deadline.IsZero() && o.SubmissionID == "" {
						head.Deadline = transfer.Time{Time: time.Now().Add(o.Job.ActiveDeadline).Truncate(time.Second)}
					}
					doc = work.Document
				}
				if !yield(doc, err) || err != nil {
					return
				}
			}
		}
	}
}
