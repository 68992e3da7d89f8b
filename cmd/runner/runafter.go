package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// A sequence has jobs that come after others of the same start wait for them. Its methods
// may be called by several goroutines.
type sequence struct {
	orders  []engine.Order
	asked   map[string]bool // names of the jobs of this start, also of those without an order
	results []*engine.Result
	over    []chan struct{} // closed when the order is over, and its result is there
}

func newSequence(orders []engine.Order, asked map[string]bool) *sequence {
	s := &sequence{orders: orders, asked: asked, results: make([]*engine.Result, len(orders))}
	for range orders {
		s.over = append(s.over, make(chan struct{}))
	}
	return s
}

// ended keeps the result of an order, which is nil if it came to nothing.
func (s *sequence) ended(i int, r *engine.Result) {
	s.results[i] = r
	close(s.over[i])
}

// before waits until what the job of an order comes after is over. It says why the order
// must not be done, or returns "".
func (s *sequence) before(i int) string {
	o := &s.orders[i]
	if o.Job.After == "" || !s.asked[o.Job.After] {
		return "" // it was asked for alone
	}
	some := false
	for j := range s.orders {
		if s.orders[j].Job.Name != o.Job.After || o.Key.IsItem() && s.orders[j].Key != o.Key {
			continue
		}
		some = true
		<-s.over[j]
		switch r := s.results[j]; {
		case r == nil:
			return s.notStarted(o, "could not be done")
		case r.State != ledger.Succeeded:
			return s.notStarted(o, r.State.Ending())
		}
	}
	if !some {
		return s.notStarted(o, "had nothing to do")
	}
	return ""
}

func (s *sequence) notStarted(o *engine.Order, ending string) string {
	return fmt.Sprintf("job %s was not started: it comes after job %s, which %s", o.Job.Name, o.Job.After, ending)
}

// skips is a doer that does nothing, and says why.
func skips(why string) doer {
	return func(_ context.Context, o engine.Order) (*engine.Result, error) {
		now := time.Now()
		return &engine.Result{Job: o.Job.Name, Key: o.Key, State: ledger.Skipped, Note: why, Started: now, Finished: now}, nil
	}
}

// inSequence sorts orders so that what a job comes after stands before it. A job that is
// about an item gets an order for each item of the job that it comes after.
func inSequence(orders []engine.Order, asked map[string]bool) []engine.Order {
	depth := depths(orders)
	slices.SortStableFunc(orders, func(a, b engine.Order) int { return cmp.Compare(depth[a.Job.Name], depth[b.Job.Name]) })
	var all []engine.Order
	for _, o := range orders {
		if !asked[o.Job.After] || !needsItem(&o) {
			all = append(all, o)
			continue
		}
		for _, up := range all {
			if up.Job.Name == o.Job.After {
				each := o
				each.Key, each.At, each.Item, each.Fresh = up.Key, up.At, up.Item, up.Fresh
				all = append(all, each)
			}
		}
	}
	return all
}

// depths are the numbers of jobs among those of orders that each of them comes after.
func depths(orders []engine.Order) map[string]int {
	byName := map[string]*jobs.Job{}
	for _, o := range orders {
		byName[o.Job.Name] = o.Job
	}
	all := map[string]int{}
	for name, job := range byName {
		for up := byName[job.After]; up != nil; up = byName[up.After] {
			all[name]++
		}
	}
	return all
}
