package page

import (
	"context"
	"time"
)

// Scene returns what the page knows now. Two calls that return the same have asked
// the ledger once.
func (p *Page) Scene(ctx context.Context) (any, error) { return p.board.look(ctx) }

// MaxViewers is how many have the events open at the same time.
const MaxViewers = maxViewers

// Known returns what the page knew at its last look, without looking.
func (p *Page) Known(ctx context.Context) (any, error) {
	select {
	case p.board.busy <- struct{}{}:
		defer func() { <-p.board.busy }()
		return p.board.scene, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Signs returns how many runs the page follows after a look.
func (p *Page) Signs(ctx context.Context) (int, error) {
	_, err := p.board.look(ctx)
	return len(p.board.versions), err
}

// Counted returns when the page has read what was done on each day.
func (p *Page) Counted() time.Time { return p.board.counted }
