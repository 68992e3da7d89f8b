package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

// looks reports whether an order is to look which items of its job are ready.
func looks(o engine.Order) bool { return o.Job.ForEach != nil && !o.Key.IsItem() }

// needsItem reports whether an order does not say which item it is about, and its job
// has nothing to do without one. That is one that comes after a job with for_each.
func needsItem(o *engine.Order) bool {
	if o.Job.Items == nil || o.Job.ForEach != nil || o.Item != nil || o.Key.IsItem() {
		return false
	}
	_, without := o.Job.Render(o.Key, o.At, nil)
	_, with := o.Job.Render(o.Key, o.At, o.Job.SampleItem())
	return without != nil && with == nil
}

// sample puts a made-up item into an order whose job is about items.
func sample(o *engine.Order) {
	if o.Item = o.Job.SampleItem(); o.Item != nil {
		o.Key = jobs.ItemKey(o.Item.Name, 1)
	}
}

// sampled is sample for the orders of a dry run, which asks nobody which items there
// are.
func (a *app) sampled(orders []engine.Order) []engine.Order {
	for i := range orders {
		if o := &orders[i]; o.Job.ForEach != nil || needsItem(o) {
			sample(o)
			a.log.Warn("the item of the dry run is made up; runner plan --item shows one that is there", "job", o.Job.Name, "occurrence", string(o.Key))
		}
	}
	return orders
}

// findItem makes an order be about the item of a name or key, as the ledger has it,
// else the folder.
func (a *app) findItem(ctx context.Context, file *jobsFile, o *engine.Order, name string) error {
	if o.Job.Items == nil {
		return usageError{fmt.Errorf("--item: job %s is not about items: neither it nor a job that it comes after has for_each", o.Job.Name)}
	}
	watcher, err := file.job(o.Job.ItemsOf)
	if err != nil {
		return err
	}
	l, err := a.openLedger(ctx, nilIfAbsent)
	if err != nil {
		return err
	}
	if l != nil {
		defer l.Close() //nolint:errcheck // it was only read
	}
	for _, look := range []bool{false, true} {
		docs, err := a.itemsOf(ctx, l, watcher, look)
		if err != nil {
			return err
		}
		for _, d := range docs {
			if d.Name != name && d.Key != name {
				continue
			}
			var modified time.Time
			if d.Modified != nil {
				modified = *d.Modified
			}
			var bytes int64
			if d.Size != nil {
				bytes = *d.Size
			}
			item, err := watcher.ForEach.Item(d.Name, modified, bytes)
			o.Item, o.Key = &item, jobs.Key(d.Key)
			return usage(err)
		}
		if l == nil {
			break // that was a look
		}
	}
	return usageError{fmt.Errorf("--item: there is no %s in %s; runner items %s --look lists what there is", name, watcher.ForEach.Folder, watcher.Name)}
}

// expand puts orders for items that are ready in the place of those that are to look
// for them. Orders of other jobs stay, also if a look does not succeed.
func (b *worker) expand(ctx context.Context, w *runRequest) error {
	var all []engine.Order
	var errs []error
	for _, o := range w.orders {
		if !looks(o) {
			all = append(all, o)
			continue
		}
		ready, err := b.lookFor(ctx, o.Job, w)
		if err != nil {
			errs = append(errs, fmt.Errorf("job %s: %w", o.Job.Name, err))
		}
		all = append(all, ready...)
	}
	w.orders = inSequence(all, w.asked)
	return errors.Join(errs...)
}

// lookFor looks at the folder of a job, and returns orders for its items.
func (b *worker) lookFor(ctx context.Context, job *jobs.Job, w *runRequest) ([]engine.Order, error) {
	if w.scheduledFor != "" {
		return nil, usageError{errors.New("--scheduled-for: the job has for_each, so its occurrences are about items and not about instants; runner items lists them")}
	}
	if given := w.source.env.Occurrence.Given; given != "" {
		return nil, usageError{fmt.Errorf("RUNNER_OCCURRENCE=%s: the job has for_each, so its occurrences are about items; "+
			"set it to the key of one, such as item:NAME, or unset it to do all that are ready", given)}
	}
	if b.rec == nil {
		orders, err := b.engine.OrdersWithoutLedger(ctx, job, w.limit)
		if _, needs := errors.AsType[*jobs.NeedsLedgerError](err); needs {
			err = usageError{err}
		}
		return orders, err
	}
	if err := b.app.lookAt(ctx, b.engine, *b.rec, job); err != nil {
		return nil, err
	}
	undone := b.undoneItems(ctx, job)
	orders, err := b.engine.ReadyOrders(ctx, *b.rec, job, w.limit)
	return orders, errors.Join(undone, err)
}

// lookAt looks once at the folder of a job, unless another process does.
func (a *app) lookAt(ctx context.Context, e *engine.Engine, rec engine.Recording, job *jobs.Job) error {
	_, err := e.Look(ctx, rec, job, nil)
	if errors.Is(err, engine.ErrWatched) {
		a.log.Info("another process looks at the folder of the items, and this one does what it finds", "job", job.Name)
		return nil
	}
	return err
}

// undoneItems returns an error that names the items that did not succeed in an earlier
// start: this one does not repeat them.
func (b *worker) undoneItems(ctx context.Context, job *jobs.Job) error {
	const most = 5
	first, all, err := b.rec.Ledger.LeftItems(ctx, job.Name, most)
	if err != nil || all == 0 {
		return err
	}
	var names []string
	for i := range first {
		names = append(names, fmt.Sprintf("%s (run %d)", first[i].Name, first[i].Run))
	}
	if all > most {
		names = append(names, fmt.Sprintf("and %d more", all-most))
	}
	again := fmt.Sprintf("runner runs retry %[1]d, for example, lets the next start do it again, and runner runs cancel %[1]d gives it up", first[0].Run)
	if first[0].Run == 0 { // it is forgotten
		names[0] = first[0].Name
		again = startAgain(job.Name, first[0].Key) + ", for example, does it again"
	}
	return &engine.Failure{
		Kind:    fault.Failed,
		Message: fmt.Sprintf("%s did not succeed in an earlier start: %s; %s", plain.Count(all, "item"), strings.Join(names, ", "), again),
	}
}

// turns are how many items of each job may be at work at the same time.
type turns map[*jobs.Job]chan struct{}

func turnsOf(orders []engine.Order) turns {
	t := turns{}
	for _, o := range orders {
		if each := o.Job.ForEach; each != nil && t[o.Job] == nil {
			t[o.Job] = make(chan struct{}, each.MaxActive)
		}
	}
	return t
}

// take waits until an order may begin. The order has its turn until it is over.
func (t turns) take(ctx context.Context, o engine.Order) (over func()) {
	turn := t[o.Job]
	if turn == nil {
		return func() {}
	}
	select {
	case turn <- struct{}{}:
		return func() { <-turn }
	case <-ctx.Done():
		return func() {}
	}
}
