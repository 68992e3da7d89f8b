package page

import "context"

// Scene returns what the page knows now. Two calls that return the same have asked
// the ledger once.
func (p *Page) Scene(ctx context.Context) (any, error) { return p.board.look(ctx) }

// MaxViewers is how many have the events open at the same time.
const MaxViewers = maxViewers
