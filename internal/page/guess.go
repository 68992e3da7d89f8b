package page

import (
	"sync"
	"time"
)

const (
	freeGuesses = 10               // wrong tokens of a place until it has to wait
	guessEvery  = 10 * time.Second // what gives back one
	allGuesses  = 200              // the same of all places together
	allEvery    = 500 * time.Millisecond
	mostPlaces  = 4096 // of which guesses are kept
)

// guesses bound how fast tokens can be guessed.
type guesses struct {
	mu     sync.Mutex
	places map[string]bucket
	all    bucket
}

// A bucket fills with wrong tokens and leaks.
type bucket struct {
	full time.Time // when it will be empty
}

func newGuesses() *guesses { return &guesses{places: map[string]bucket{}} }

// wait is how long a place has to wait until it may show a token.
func (g *guesses) wait(place string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(g.places[place].wait(now, freeGuesses, guessEvery), g.all.wait(now, allGuesses, allEvery))
}

// wrong notes that a place has shown a wrong token.
func (g *guesses) wrong(place string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = g.all.add(now, allEvery)
	if _, known := g.places[place]; !known && len(g.places) >= mostPlaces {
		g.forget(now)
	}
	g.places[place] = g.places[place].add(now, guessEvery)
}

// forget makes room: first by those whose guesses are long past, else by all, for
// whom the bound of all places together is left.
func (g *guesses) forget(now time.Time) {
	for place, b := range g.places {
		if !b.full.After(now) {
			delete(g.places, place)
		}
	}
	if len(g.places) >= mostPlaces {
		clear(g.places)
	}
}

func (b bucket) wait(now time.Time, size int, every time.Duration) time.Duration {
	return max(0, max(0, b.full.Sub(now))-time.Duration(size-1)*every)
}

func (b bucket) add(now time.Time, every time.Duration) bucket {
	if b.full.Before(now) {
		b.full = now
	}
	return bucket{b.full.Add(every)}
}
