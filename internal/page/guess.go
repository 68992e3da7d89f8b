package page

import (
	"context"
	"sync"
	"time"
)

const (
	freeGuesses   = 10               // wrong tokens from an address before its answers are delayed
	guessEvery    = 10 * time.Second // after this time, one is forgotten
	allGuesses    = 200              // the same for all addresses together
	allEvery      = 500 * time.Millisecond
	mostAddresses = 4096        // addresses that are remembered
	lateBy        = time.Second // how long an answer is delayed
	mostLate      = 64          // answers that are delayed at the same time; others are not
)

// guesses slow down attempts to guess a token. They are not what keeps a token safe: its
// length is.
type guesses struct {
	late chan struct{} // has a value for each answer that is delayed

	mu        sync.Mutex
	addresses map[string]bucket
	all       bucket
}

// A bucket fills with wrong tokens and leaks.
type bucket struct {
	empty time.Time // when it will be
}

func newGuesses() *guesses {
	return &guesses{late: make(chan struct{}, mostLate), addresses: map[string]bucket{}}
}

// wrong counts a wrong token from an address, and reports whether there were not too many.
// Those that are too many are not counted.
func (g *guesses) wrong(addr string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.addresses[addr].full(now, freeGuesses, guessEvery) || g.all.full(now, allGuesses, allEvery) {
		return false
	}
	g.all = g.all.add(now, allEvery)
	if _, known := g.addresses[addr]; !known && len(g.addresses) >= mostAddresses {
		g.forget(now)
	}
	g.addresses[addr] = g.addresses[addr].add(now, guessEvery)
	return true
}

// delay waits for lateBy, or until ctx ends.
func (g *guesses) delay(ctx context.Context) {
	select {
	case g.late <- struct{}{}:
		defer func() { <-g.late }()
	default:
		return
	}
	timer := time.NewTimer(lateBy)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// forget makes room for another address: it drops the addresses whose guesses are all
// forgotten, or else all addresses, and then only the limit for all together remains.
func (g *guesses) forget(now time.Time) {
	for addr, b := range g.addresses {
		if !b.empty.After(now) {
			delete(g.addresses, addr)
		}
	}
	if len(g.addresses) >= mostAddresses {
		clear(g.addresses)
	}
}

func (b bucket) full(now time.Time, size int, every time.Duration) bool {
	return b.empty.Sub(now) > time.Duration(size-1)*every
}

func (b bucket) add(now time.Time, every time.Duration) bucket {
	if b.empty.Before(now) {
		b.empty = now
	}
	return bucket{b.empty.Add(every)}
}
