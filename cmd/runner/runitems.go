package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
)

// looks reports whether an order is to look which items of its job are ready.
func looks(o engine.Order) bool { return o.Job.ForEach != nil && !o.Key.IsItem() }

// sampled puts an item that stands for any other into orders that are to look for
// items: a dry run asks nobody which there are.
func sampled(orders []engine.Order) []engine.Order {
	for i := range orders {
		if o := &orders[i]; looks(*o) {
			o.Item = o.Job.SampleItem()
			o.Key = jobs.ItemKey(o.Item.Name, 1)
		}
	}
	return orders
}

// expand puts orders for items that are ready in the place of those that are to look
// for them. Orders of other jobs stay, also if a look does not succeed.
func (b *worker) expand(ctx context.Context, w *work) error {
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
	w.orders = all
	return errors.Join(errs...)
}

// lookFor looks at the folder of a job, and returns orders for its items.
func (b *worker) lookFor(ctx context.Context, job *jobs.Job, w *work) ([]engine.Order, error) {
	if w.scheduledFor != "" {
		return nil, usageError{errors.New("--scheduled-for: the job has for_each, so its occurrences are about items and not about instants; runner items lists them")}
	}
	if b.rec == nil {
		orders, err := b.engine.OrdersWithoutLedger(ctx, job, w.limit)
		if _, needs := errors.AsType[*jobs.NeedsLedgerError](err); needs {
			err = usageError{err}
		}
		return orders, err
	}
	_, err := b.engine.Look(ctx, *b.rec, job, nil)
	if errors.Is(err, engine.ErrWatched) {
		b.app.log.Info("another process looks at the folder of the items, and this one does what it finds", "job", job.Name)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return b.engine.ReadyOrders(ctx, *b.rec, job, w.limit)
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
