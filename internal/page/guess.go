package page

import (
	"context"
	"sync"
	"time"
)

const (
	freeGuesses = 10               // wrong tokens of a place until it is answered late
	guessEvery  = 10 * time.Second // what gives back one
	allGuesses  = 200              // the same of all places together
	allEvery    = 500 * time.Millisecond
	mostPlaces  = 4096        // of which guesses are kept
	lateBy      = time.Second // how late
	mostLate    = 64          // answers at the same time; others are given at once
)

// guesses slow down whoever guesses tokens. What keeps a token from being guessed is
// its length.
type guesses struct {
	late chan struct{} // holds one for each answer that waits

	mu     sync.Mutex
	places map[string]bucket
	all    bucket
}

// A bucket fills with wrong tokens and leaks.
type bucket struct {
	empty time.Time // when it will be
}

func newGuesses() *guesses {
	return &guesses{late: make(chan struct{}, mostLate), places: map[string]bucket{}}
}

// wrong notes that a place has shown a wrong token, and reports whether it may go on:
// too many are not noted.
func (g *guesses) wrong(place string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.places[place].full(now, freeGuesses, guessEvery) || g.all.full(now, allGuesses, allEvery) {
		return false
	}
	g.all = g.all.add(now, allEvery)
	if _, known := g.places[place]; !known && len(g.places) >= mostPlaces {
		g.forget(now)
	}
	g.places[place] = g.places[place].add(now, guessEvery)
	return true
}

// delay waits as long as an answer to one wrong token too many is late, or until ctx
// ends.
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

// forget makes room: first by those whose guesses are long past, else by all, for
// whom the bound of all places together is left.
func (g *guesses) forget(now time.Time) {
	for place, b := range g.places {
		if !b.empty.After(now) {
			delete(g.places, place)
		}
	}
	if len(g.places) >= mostPlaces {
		clear(g.places)
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
