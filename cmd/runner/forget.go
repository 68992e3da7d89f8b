package main

import (
	"context"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

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

// retention says which runs a jobs file wants to be kept.
func retention(keep jobs.History) ledger.Retention {
	return ledger.Retention{Since: time.Now().Add(-keep.Keep), Runs: keep.MaxRuns}
}

// pruneEvery is how often old runs are forgotten.
const pruneEvery = time.Hour

// prune forgets old runs from time to time.
func (s *server) prune(ctx context.Context, l *ledger.Ledger, keep jobs.History) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		n, err := l.Prune(ctx, retention(keep))
		s.app.runsForgotten(ctx, n, err)
		s.app.pruneReceipts(ctx, l, keep)
		select {
		case <-ctx.Done():
			return
		case keep = <-s.newHistory:
		case <-tick.C:
		}
	}
}
