package main

import (
	"context"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// forgetTimeout is how long the end of a one-shot command may take to forget old runs.
const forgetTimeout = 5 * time.Second

// forgetDaily forgets old runs and receipts, once a day, for those who never run serve.
// Somebody waits for this command to end, so what takes long is left to the next day.
func (a *app) forgetDaily(ctx context.Context, l *ledger.Ledger, history jobs.History) {
	ctx, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	n, err := l.ForgetRunsEvery(ctx, 24*time.Hour, retention(history))
	a.runsForgotten(ctx, n, err)
	a.forgetReceipts(ctx, l, history)
}

// runsForgotten logs how many old runs were forgotten, or why that failed.
func (a *app) runsForgotten(ctx context.Context, n int, err error) {
	if err != nil && ctx.Err() == nil {
		a.log.Warn("old runs could not be forgotten", "err", err)
	}
	if n > 0 {
		a.log.Info("old runs forgotten", "count", n)
	}
}

// forgetReceipts forgets the receipts that are older than the jobs file wants.
func (a *app) forgetReceipts(ctx context.Context, l *ledger.Ledger, history jobs.History) {
	if history.Receipts == 0 {
		return
	}
	n, err := l.ForgetReceipts(ctx, time.Now().Add(-history.Receipts))
	if err != nil && ctx.Err() == nil {
		a.log.Warn("old receipts could not be forgotten", "err", err)
	}
	if n > 0 {
		a.log.Info("old receipts forgotten", "count", n)
	}
}

// retention returns which runs to keep, by the history of a jobs file.
func retention(keep jobs.History) ledger.Retention {
	return ledger.Retention{Since: time.Now().Add(-keep.Keep), Runs: keep.MaxRuns}
}

// forgetEvery is how often serve forgets old runs.
const forgetEvery = time.Hour

// forgetRuns forgets old runs and receipts from time to time.
func (s *server) forgetRuns(ctx context.Context, keep jobs.History) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		n, err := s.ledger.ForgetRuns(ctx, retention(keep))
		s.app.runsForgotten(ctx, n, err)
		s.app.forgetReceipts(ctx, s.ledger, keep)
		select {
		case <-ctx.Done():
			return
		case keep = <-s.newHistory:
		case <-tick.C:
		}
	}
}
