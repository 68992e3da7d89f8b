package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// freshLook is how long the look counts that found an item ready. One that has
// waited longer is looked at once more before anything is submitted for it.
const freshLook = time.Minute

// findItem finds out what an occurrence with the key of an item is about. A run
// whose item is not known must not go on, see [run.admit].
func (r *run) findItem(ctx context.Context) error {
	each := r.job.Items
	if !r.order.Key.IsItem() || each == nil || r.journal == nil {
		return nil
	}
	row, err := r.rec.item(ctx, r.job.ItemsOf, r.order.Key)
	switch {
	case errors.Is(err, ledger.ErrNone):
		r.stray = &Failure{
			Kind: fault.Usage, state: ledger.Failed,
			Message: fmt.Sprintf("job %s has no item with the key %s; runner items %s lists those that there are", r.job.ItemsOf, r.order.Key, r.job.ItemsOf),
		}
		return nil
	case err != nil:
		return unusable(err)
	}
	item, err := each.Item(row.Name, row.Modified, row.Size)
	if err != nil {
		r.stray = &Failure{Kind: fault.Usage, state: ledger.Failed, Message: fmt.Sprintf("item %s: %v", row.Name, err)}
		return nil
	}
	r.order.Item = &item
	if r.job.ForEach != nil {
		r.item = row
	}
	return nil
}

// item returns the item whose occurrence has a key, or had it before it changed.
func (rec *Recording) item(ctx context.Context, job string, key jobs.Key) (*ledger.Item, error) {
	row, err := rec.Ledger.ItemByKey(ctx, job, string(key))
	if !errors.Is(err, ledger.ErrNone) {
		return row, err
	}
	all, err := rec.Ledger.Items(ctx, job)
	if err != nil {
		return nil, err
	}
	for i := range all {
		for generation := 1; generation < all[i].Generation; generation++ {
			if jobs.ItemKey(all[i].Name, generation) == key {
				return &all[i], nil
			}
		}
	}
	return nil, ledger.ErrNone
}

// recheck returns why nothing must be submitted for an item: it is not as it was
// when it was found ready.
func (r *run) recheck(ctx context.Context) error {
	if r.item == nil || !r.journal.unsent() {
		return nil
	}
	if err := r.movedOn(); err != nil {
		return err
	}
	if age := time.Since(r.item.Looked); age >= 0 && age < freshLook {
		return nil
	}
	return r.compareItem(ctx, "after it was found ready, and nothing was submitted")
}

// verify looks at an item once more after it was copied. If it has changed
// meanwhile, nothing else must be done for it: it is copied again when it is ready.
func (r *run) verify(ctx context.Context, work Work) error {
	if _, copies := work.Document.(*transfer.Transfer); !copies || r.item == nil || r.journal.past(work.Position) {
		return nil
	}
	if err := r.movedOn(); err != nil {
		return err
	}
	return r.compareItem(ctx, "while it was copied")
}

// movedOn returns why an earlier occurrence of an item must not go on.
func (r *run) movedOn() error {
	if r.item.Key == string(r.order.Key) {
		return nil
	}
	return r.setAside(fmt.Sprintf("item %s has changed, and occurrence %s has taken the place of this one", r.item.Name, r.item.Key))
}

// compareItem compares an item with what it was when it was found ready.
func (r *run) compareItem(ctx context.Context, when string) error {
	now, err := arrival.Fingerprint(ctx, r.globus, r.job.ForEach, r.order.Item)
	switch {
	case tree.Gone(err) && !r.journal.unsent():
		return nil // what was there is copied
	case tree.Gone(err):
		return r.postpone(ctx, "vanished "+when)
	case err != nil:
		return fmt.Errorf("look at item %s: %w", r.item.Name, err)
	case now != r.item.Fingerprint:
		return r.postpone(ctx, "changed "+when)
	}
	return nil
}

// outlast returns err so that a later start goes on with a run of an item whose
// collection is offline, for one. No other occurrence would do the item.
func (r *run) outlast(err error) error {
	if _, ended := errors.AsType[*Failure](err); ended || !r.order.Key.IsItem() || fault.Of(err).Kind != fault.Temporary {
		return err
	}
	return unusable(err)
}

// postpone has the item wait to be ready once more, and ends this run of it.
func (r *run) postpone(ctx context.Context, why string) error {
	next := *r.item
	next.Generation++
	next.Key = string(jobs.ItemKey(next.Name, next.Generation))
	next.State, next.Why, next.Since = string(arrival.IsWaiting), why, time.Now()
	next.Fingerprint, next.Unchanged = "", 0
	if err := r.rec.Ledger.KeepItems(ctx, r.job.Name, []ledger.Item{next}); err != nil {
		return unusable(err)
	}
	return r.setAside(fmt.Sprintf("item %s %s; when it is ready again, it is done as occurrence %s", r.item.Name, why, next.Key))
}

// setAside ends a run of an item that another occurrence goes on with.
func (r *run) setAside(why string) *Failure {
	r.aside = true
	return skipped("", why)
}
