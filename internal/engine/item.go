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

// freshLook is how long the look that found an item ready is valid. An item
// that has waited longer is looked at again before anything is submitted for
// it.
const freshLook = time.Minute

// An UnknownItem error says that no look has found the item of an occurrence.
type UnknownItem struct {
	Job string // the job that looks for the items
	Key jobs.Key
}

func (u *UnknownItem) Error() string {
	return fmt.Sprintf("job %s has no item with the key %s; runner items %s lists its items", u.Job, u.Key, u.Job)
}

// Means tells package fault that the order was wrong.
func (*UnknownItem) Means() fault.Meaning { return fault.Meaning{Kind: fault.Usage} }

// checkItem refuses an order for an item that no look has found, or that is empty. Its
// run must not be recorded, because the item would then count as done or failed
// although nothing was copied. A run that is already recorded goes on in any case.
func (e *Engine) checkItem(ctx context.Context, rec Recording, o Order) error {
	if !o.Key.IsItem() || o.Job.Items == nil {
		return nil
	}
	row, err := rec.item(ctx, o.Job.ItemsOf, o.Key)
	if err == nil && (o.Job.ForEach == nil || row.Key != string(o.Key) || stageOf(row) != arrival.Unborn) {
		return nil
	}
	if err == nil {
		return e.takeByHand(ctx, rec, o.Job, row)
	}
	if errors.Is(err, ledger.ErrNone) {
		if _, err = rec.Ledger.RunOf(ctx, o.Job.Name, string(o.Key)); errors.Is(err, ledger.ErrNone) {
			return &UnknownItem{o.Job.ItemsOf, o.Key}
		}
	}
	if err != nil {
		return unusable(err)
	}
	return nil
}

// takeByHand makes an item that is not ready count as ready in its present state,
// because somebody asks for it, unless it is empty.
func (e *Engine) takeByHand(ctx context.Context, rec Recording, job *jobs.Job, row *ledger.Item) error {
	item, err := job.ForEach.Item(row.Name, row.Modified, row.Size)
	if err != nil {
		return usageFailure(fmt.Sprintf("item %s: %v", row.Name, err))
	}
	begin := e.clock.Now()
	now, files, err := arrival.Fingerprint(ctx, e.globus, job.ForEach, &item)
	switch {
	case tree.Gone(err):
		return usageFailure(fmt.Sprintf("item %s is not in %s any more", row.Name, job.ForEach.Folder))
	case err != nil:
		return fmt.Errorf("look at item %s: %w", row.Name, err)
	case files == 0:
		return emptyItem(row.Name)
	}
	if row.State != ledger.ItemReady && row.State != ledger.ItemTaken {
		e.log.Warn("the item is not ready, and is done as it is now because somebody asks for it; with again: never, what is added later is not copied",
			"job", job.Name, "item", row.Name, "state", row.State, "why", row.Why)
	}
	row.Fingerprint, row.Unchanged, row.Looked, row.Clock = now, 0, begin.Time, begin.Clock
	if err := rec.Ledger.KeepItems(ctx, job.Name, []ledger.Item{*row}); err != nil {
		return unusable(err)
	}
	return nil
}

// usageFailure refuses an order that cannot be carried out.
func usageFailure(message string) *Failure { return &Failure{Kind: fault.Usage, Message: message} }

// emptyItem refuses an empty item.
func emptyItem(name string) *Failure {
	return &Failure{Kind: fault.Guard, Message: fmt.Sprintf("item %s has no files yet: nothing would be copied, and it would count as done; start it again when it has", name)}
}

// findItem finds the item of an occurrence with the key of an item. A run whose
// item is not known must not go on, see [run.admit].
func (r *run) findItem(ctx context.Context) error {
	each := r.job.Items
	if !r.order.Key.IsItem() || each == nil || r.journal == nil {
		return nil
	}
	row, err := r.rec.item(ctx, r.job.ItemsOf, r.order.Key)
	switch {
	case errors.Is(err, ledger.ErrNone):
		unknown := &UnknownItem{r.job.ItemsOf, r.order.Key}
		r.stray = &Failure{Kind: fault.Usage, state: ledger.Failed, Message: unknown.Error()}
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

// item returns the item whose present or earlier occurrence has this key.
func (rec *Recording) item(ctx context.Context, job string, key jobs.Key) (*ledger.Item, error) {
	row, err := rec.Ledger.ItemByKey(ctx, job, string(key))
	if !errors.Is(err, ledger.ErrNone) {
		return row, err
	}
	had := func(row *ledger.Item) bool {
		for generation := 1; generation < row.Generation; generation++ {
			if jobs.ItemKey(row.Name, generation) == key {
				return true
			}
		}
		return false
	}
	if name, whole := key.ItemName(); whole {
		if row, err = rec.Ledger.ItemByName(ctx, job, name); err != nil || had(row) {
			return row, err
		}
		return nil, ledger.ErrNone
	}
	for row, err := range rec.Ledger.Items(ctx, job) { // the key contains a checksum of the name
		if err != nil || had(row) {
			return row, err
		}
	}
	return nil, ledger.ErrNone
}

// recheck returns why nothing may be submitted for an item: it has changed since
// it was found ready.
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

// verify looks at an item again after it was copied. If it has changed meanwhile,
// no further step may be done for it: it is copied again when it is ready.
func (r *run) verify(ctx context.Context, work Work) error {
	if _, copies := work.Document.(*transfer.Transfer); !copies || r.item == nil || r.journal.past(work.Position) {
		return nil
	}
	if err := r.movedOn(); err != nil {
		return err
	}
	return r.compareItem(ranked(ctx, later), "while it was copied")
}

// movedOn returns why an occurrence of an item must not go on, if a newer one has
// replaced it.
func (r *run) movedOn() error {
	if r.item.Key == string(r.order.Key) {
		return nil
	}
	return r.setAside(fmt.Sprintf("item %s has changed, and occurrence %s has replaced this one", r.item.Name, r.item.Key), r.item.Key)
}

// compareItem compares an item with its state when it was found ready.
func (r *run) compareItem(ctx context.Context, when string) error {
	now, _, err := arrival.Fingerprint(ctx, r.globus, r.job.ForEach, r.order.Item)
	switch {
	case tree.Gone(err) && !r.journal.unsent():
		return nil // what existed is copied
	case tree.Gone(err):
		return r.postpone(ctx, "vanished "+when)
	case err != nil:
		return fmt.Errorf("look at item %s: %w", r.item.Name, err)
	case now != r.item.Fingerprint:
		return r.postpone(ctx, "changed "+when)
	}
	return nil
}

// postpone makes the item wait until it is ready again, and ends this run.
func (r *run) postpone(ctx context.Context, why string) error {
	next := *r.item
	next.Generation++
	next.Key = string(jobs.ItemKey(next.Name, next.Generation))
	next.State, next.Why, next.Since = string(arrival.IsWaiting), why, time.Now()
	next.Fingerprint, next.Unchanged = "", 0
	if err := r.rec.Ledger.KeepItems(ctx, r.job.Name, []ledger.Item{next}); err != nil {
		return unusable(err)
	}
	return r.setAside(fmt.Sprintf("item %s %s; when it is ready again, it is done as occurrence %s", r.item.Name, why, next.Key), next.Key)
}

// setAside ends a run whose place the run of another occurrence takes.
func (r *run) setAside(why, by string) *Failure {
	r.replaced = true
	return skipped("", fmt.Sprintf("%s; nothing is to be done once %s has succeeded", why, by))
}
