package main

import (
	"context"
	"time"
)

// sealEvery is how often serve asks again for receipts that are pending.
const sealEvery = 10 * time.Minute

// completeReceipts asks Globus from time to time about tasks whose files it could not
// list right after they ended.
func (s *server) completeReceipts(ctx context.Context) {
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	for {
		n, err := s.engine.SealPending(ctx, s.ledger, "")
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
