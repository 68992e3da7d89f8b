package engine

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// ReadyOrders returns the orders for the items of a job, in the order of its
// for_each, at most limit unless that is 0: for runs that an earlier start left
// unfinished, and for items that [Engine.Look] found ready.
func (e *Engine) ReadyOrders(ctx context.Context, rec Recording, job *jobs.Job, limit int) ([]Order, error) {
	if limit == 0 {
		limit = maxOrders
	}
	var orders []Order
	unfinished := 0
	for run, err := range rec.Ledger.Runs(ctx, ledger.Query{Job: job.Name, Unfinished: true}) {
		if err != nil {
			return nil, unusable(err)
		}
		unfinished++
		if key := jobs.Key(run.Key); key.IsItem() && !time.Now().Before(run.LeaseUntil) {
			orders = append(orders, Order{Job: job, Key: key, At: run.Claimed})
		}
	}
	slices.Reverse(orders) // the oldest first
	ready, err := rec.Ledger.ReadyItems(ctx, job.Name, itemOrder(job.ForEach.Order), unfinished+limit)
	if err != nil {
		return nil, unusable(err)
	}
	for i := range ready {
		orders = append(orders, Order{Job: job, Key: jobs.Key(ready[i].Key), At: time.Now()})
	}
	return orders[:min(limit, len(orders))], nil
}

// maxOrders is how many items one start takes on by default.
const maxOrders = 100_000

// OrdersWithoutLedger looks once at the folder of a job, and returns orders for
// ready items, at most limit unless that is 0. Which items are done is known only
// from the labels of tasks at Globus. If that is not enough for the job, the error
// is that of [jobs.ForEach.WithoutLedger].
func (e *Engine) OrdersWithoutLedger(ctx context.Context, job *jobs.Job, limit int) ([]Order, error) {
	if err := job.ForEach.WithoutLedger(); err != nil {
		return nil, err
	}
	var ready []jobs.Item
	var refused refusals
	for f, err := range e.FindingsWithoutLedger(ctx, job) {
		if err != nil {
			return nil, err
		}
		refused.add(&f)
		if f.State == arrival.IsReady {
			ready = append(ready, f.Item)
		}
	}
	e.warnOfRefused(job.Name, &refused)
	slices.SortStableFunc(ready, compareItems(job.ForEach.Order))
	if limit > 0 {
		ready = ready[:min(limit, len(ready))]
	}
	orders := make([]Order, len(ready))
	for i := range ready {
		orders[i] = Order{Job: job, Key: jobs.ItemKey(ready[i].Name, 1), At: time.Now(), Item: &ready[i]}
	}
	return orders, nil
}

// ItemWithoutLedger looks once at the folder of a job for the item of an
// occurrence. If the folder does not have it, the error is an [*UnknownItem].
func (e *Engine) ItemWithoutLedger(ctx context.Context, job *jobs.Job, key jobs.Key) (*jobs.Item, error) {
	for f, err := range e.FindingsWithoutLedger(ctx, job) {
		switch {
		case err != nil:
			return nil, err
		case jobs.ItemKey(f.Item.Name, 1) != key || f.Item.Path == "" || f.State == arrival.IsGone || f.State == arrival.IsIgnored:
		case f.State == arrival.IsEmpty:
			return nil, emptyItem(f.Item.Name)
		default:
			return &f.Item, nil
		}
	}
	return nil, &UnknownItem{job.Name, key}
}

// FindingsWithoutLedger looks once at the folder of a job, and yields what it finds.
// The labels of tasks say which items are done or at work.
func (e *Engine) FindingsWithoutLedger(ctx context.Context, job *jobs.Job) iter.Seq2[arrival.Finding, error] {
	return func(yield func(arrival.Finding, error) bool) {
		known, err := e.labeledItems(ctx, job)
		if err != nil {
			yield(arrival.Finding{}, err)
			return
		}
		each := *job.ForEach
		each.Again = jobs.AgainNever // earlier states of items are not recorded
		for f, err := range arrival.Look(ctx, e.globus, &each, known.byName(), e.clock) {
			if err != nil {
				yield(f, fmt.Errorf("look at %s: %w", each.Folder, err))
				return
			}
			if stage := known[f.Key]; stage != arrival.Unborn && f.State == arrival.IsReady {
				f.State = arrival.State(stage)
			}
			if !yield(f, nil) {
				return
			}
		}
	}
}

// compareItems returns the comparison for an order of items, which are already sorted
// by name.
func compareItems(order jobs.ItemOrder) func(a, b jobs.Item) int {
	return func(a, b jobs.Item) int {
		switch order {
		case jobs.ByName:
			return 0
		case jobs.NewestFirst:
			return b.Time.Compare(a.Time)
		}
		return a.Time.Compare(b.Time)
	}
}

// labeled maps the keys of items to their stages.
type labeled map[jobs.Key]arrival.Stage

// labeledItems asks Globus for the tasks of all items of a job. An item is done if
// the task of the last document that the job submits has succeeded.
func (e *Engine) labeledItems(ctx context.Context, job *jobs.Job) (labeled, error) {
	last := ""
	for i := range job.Steps {
		if job.Steps[i].Document() != nil && len(job.Steps) > 1 {
			last = "s" + strconv.Itoa(i+1)
		}
	}
	found := labeled{}
	query := transfer.TaskQuery{LabelPatterns: []string{job.Name + " item:*"}, Fields: []string{"task_id", "label", "status"}}
	for task, err := range e.globus.Tasks(ctx, query) {
		if err != nil {
			return nil, fmt.Errorf("look for the tasks of the items of job %s: %w", job.Name, err)
		}
		words := strings.Fields(strings.TrimPrefix(task.Label, job.Name+" "))
		if len(words) == 0 || !jobs.OfJob(task.Label, job.Name) {
			continue
		}
		key := jobs.Key(words[0])
		switch {
		case task.Status == transfer.Succeeded && (last == "" || slices.Contains(words, last)):
			found[key] = arrival.Done
		case !task.Status.Final() && found[key] == arrival.Unborn:
			found[key] = arrival.Active
		}
	}
	return found, nil
}

// byName yields the items in the order of the names in their keys.
func (l labeled) byName() iter.Seq2[arrival.Known, error] {
	return func(yield func(arrival.Known, error) bool) {
		var all []arrival.Known
		for key, stage := range l {
			name := strings.TrimPrefix(string(key), "item:")
			if jobs.ItemKey(name, 1) == key && stage == arrival.Done {
				all = append(all, arrival.Known{Name: name, Generation: 1, Stage: stage})
			}
		}
		slices.SortFunc(all, func(a, b arrival.Known) int { return strings.Compare(a.Name, b.Name) })
		for _, known := range all {
			if !yield(known, nil) {
				return
			}
		}
	}
}
