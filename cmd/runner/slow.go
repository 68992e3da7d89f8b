package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// slowAfter is how long a request takes before people are told what is waited for.
const slowAfter = 4 * time.Second

// slowRequests tells people which service the program waits for when an answer takes
// long: on the live line of a terminal, unless that shows something else, and otherwise
// by one line of the log. It has one layer above the retries of requests, and one below.
// The layer above waits for the answer, and the one below sees each try.
type slowRequests struct {
	screen *screen
	log    *slog.Logger

	mu      sync.Mutex
	telling bool  // of a request; one is enough
	tries   int   // that failed since the last answer
	last    error // of them
}

func (a *app) slowRequests() *slowRequests { return &slowRequests{screen: a.stderr, log: a.log} }

// A layer is an [http.RoundTripper] that is a func.
type layer func(*http.Request) (*http.Response, error)

func (l layer) RoundTrip(r *http.Request) (*http.Response, error) { return l(r) }

// above is the layer that waits for an answer.
func (s *slowRequests) above(next http.RoundTripper) http.RoundTripper {
	return layer(func(r *http.Request) (*http.Response, error) {
		begin, host := time.Now(), r.URL.Host
		end, told := func() {}, make(chan struct{})
		timer := time.AfterFunc(slowAfter, func() {
			defer close(told)
			end = s.tell(host, begin)
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
func (s *slowRequests) below(next http.RoundTripper) http.RoundTripper {
	return layer(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		failed := err
		if err == nil && resp.StatusCode >= http.StatusInternalServerError {
			failed = errors.New("HTTP " + resp.Status)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.last = failed; failed == nil {
			s.tries = 0
		} else {
			s.tries++
		}
		return resp, err
	})
}

// tell says which request has no answer yet, until end is called.
func (s *slowRequests) tell(host string, begin time.Time) (end func()) {
	s.mu.Lock()
	first, tries, last := !s.telling, s.tries, s.last
	s.telling = true
	s.mu.Unlock()
	if !first {
		return func() {} // it waits for the same, such as a token
	}
	back := func() {}
	if s.screen.terminal {
		back = s.screen.lend(func(int) string { return s.text(host, time.Since(begin)) })
	} else {
		attrs := []any{"host", host, "elapsed", time.Since(begin).Round(time.Second)}
		if last != nil {
			attrs = append(attrs, "tries", tries, "err", last)
		}
		s.log.Warn("still waiting for an answer", attrs...)
	}
	return func() {
		back()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.telling = false
	}
}

// text says what is waited for.
func (s *slowRequests) text(host string, elapsed time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("waiting for %s, %s", host, elapsed.Truncate(time.Second))
	if s.last != nil {
		text += fmt.Sprintf("; try %d: %s", s.tries, s.last)
	}
	return text
}
