package notify

import (
	"context"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

// DigestSince writes the digest of a channel as a replica does that has read when the
// last one was written, however long ago that was.
func (w *Watch) DigestSince(ctx context.Context, c *jobs.Channel, its []*jobs.Job, last, now time.Time) error {
	standings, err := w.Ledger.Standings(ctx)
	if err != nil {
		return err
	}
	return w.digest(ctx, c, its, standings, last, now)
}
