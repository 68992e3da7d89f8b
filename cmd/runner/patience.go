package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// patience is how long a request takes before people are told what is waited for.
const patience = 4 * time.Second

// A vigil tells people what the program waits for when an answer takes long: in
// the live line of a terminal, unless that shows something else, and otherwise by
// one line of the log. It has one layer above the repetition of requests, and
// one below.
type vigil struct {
	screen *screen
	log    *slog.Logger

	mu      sync.Mutex
	telling bool  // of a request; one is enough
	tries   int   // that failed since the last answer
	last    error // of them
}

func (a *app) vigil() *vigil { return &vigil{screen: a.stderr, log: a.log} }

// A layer is an [http.RoundTripper] that is a func.
type layer func(*http.Request) (*http.Response, error)

func (l layer) RoundTrip(r *http.Request) (*http.Response, error) { return l(r) }

// above is the layer that waits for an answer.
func (v *vigil) above(next http.RoundTripper) http.RoundTripper {
	return layer(func(r *http.Request) (*http.Response, error) {
		begin, host := time.Now(), r.URL.Host
		end, told := func() {}, make(chan struct{})
		timer := time.AfterFunc(patience, func() {
			defer close(told)
			end = v.tell(host, begin)
		})
		resp, err := next.RoundTrip(r)
		if !timer.Stop() {
			<-told
			end()
		}
		return resp, err
	})
}

// below is the layer that sees each try.
func (v *vigil) below(next http.RoundTripper) http.RoundTripper {
	return layer(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		failed := err
		if err == nil && resp.StatusCode >= http.StatusInternalServerError {
			failed = errors.New("HTTP " + resp.Status)
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.last = failed; failed == nil {
			v.tries = 0
		} else {
			v.tries++
		}
		return resp, err
	})
}

// tell says which request has no answer yet, until end is called.
func (v *vigil) tell(host string, begin time.Time) (end func()) {
	v.mu.Lock()
	first, tries, last := !v.telling, v.tries, v.last
	v.telling = true
	v.mu.Unlock()
	if !first {
		return func() {} // it waits for the same, such as a token
	}
	back := func() {}
	if v.screen.terminal {
		back = v.screen.lend(func(int) string { return v.text(host, time.Since(begin)) })
	} else {
		attrs := []any{"host", host, "elapsed", time.Since(begin).Round(time.Second)}
		if last != nil {
			attrs = append(attrs, "tries", tries, "err", last)
		}
		v.log.Warn("still waiting for an answer", attrs...)
	}
	return func() {
		back()
		v.mu.Lock()
		defer v.mu.Unlock()
		v.telling = false
	}
}

// text says what is waited for.
func (v *vigil) text(host string, elapsed time.Duration) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	text := fmt.Sprintf("waiting for %s, %v", host, elapsed.Truncate(time.Second))
	if v.last != nil {
		text += fmt.Sprintf("; try %d: %v", v.tries, v.last)
	}
	return text
}
