package engine

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Prospect is a file that a prune looks at, or a folder whose files it cannot
// see.
type Prospect struct {
	Path   string
	Size   int64 // bytes
	Folder bool
	Kept   proof.Reason // why it is kept; empty if it would be deleted
}

// Prospects yields what a prune of the receipts of other jobs would do if it began now.
// It changes nothing, and pending receipts do not count. A nil ledger has no receipts.
// An error is the last pair.
func (e *Engine) Prospects(ctx context.Context, l *ledger.Ledger, step *jobs.Prune, now time.Time) iter.Seq2[Prospect, error] {
	return func(yield func(Prospect, error) bool) {
		p := pruning{step: step}
		p.heed(nil, now)
		found, err := p.foresee(ctx, l)
		if err != nil {
			yield(Prospect{}, err)
			return
		}
		p.warn(e.log, found)
		for f, err := range p.files(ctx, e.globus, found) {
			if err != nil {
				yield(Prospect{}, err)
				return
			}
			_, why := p.judge(f)
			if !yield(Prospect{f.Path, f.State.Size, f.Folder, why}, nil) {
				return
			}
		}
		for folder := range p.unaccounted(ctx, e.globus, found) {
			if !yield(Prospect{Path: folder, Folder: true, Kept: unaccounted}, nil) {
				return
			}
		}
	}
}

// foresee is [pruning.gather] without a run.
func (p *pruning) foresee(ctx context.Context, l *ledger.Ledger) (*evidence.Evidence, error) {
	var all []*ledger.Receipt
	for _, job := range p.step.Of {
		if l == nil {
			break
		}
		some, err := l.Receipts(ctx, ledger.ReceiptQuery{Job: job})
		if err != nil {
			return nil, unusable(err)
		}
		all = append(all, some...)
	}
	found, err := p.read(ctx, l, all)
	if err != nil {
		return nil, fmt.Errorf("read the receipts: %w", err)
	}
	return found, nil
}

// least returns the lowest sync level by which Globus must have compared a
// copy; 0 means the default of package evidence.
func (p *pruning) least() transfer.SyncLevel {
	return map[jobs.Accept]transfer.SyncLevel{jobs.AcceptMtime: transfer.SyncMtime, jobs.AcceptSize: transfer.SyncSize}[p.step.Accept]
}
