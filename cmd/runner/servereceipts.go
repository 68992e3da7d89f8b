package main

import (
	"context"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
)

// sealEvery is how often serve asks again for receipts that are pending.
const sealEvery = 10 * time.Minute

// completeReceipts asks Globus from time to time for what it could not say when
// a task had ended.
func (s *server) completeReceipts(ctx context.Context, e *engine.Engine, l *ledger.Ledger) {
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	for {
		n, err := e.SealPending(ctx, l, "")
		if err != nil && ctx.Err() == nil {
			s.app.log.Warn("some receipts are still pending", "err", err)
		}
		if n > 0 {
			s.app.log.Info("pending receipts completed", "count", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
