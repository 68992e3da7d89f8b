package crash_test

import (
	"syscall"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// A blow is what is done to a process.
type blow string

const (
	kill   blow = "SIGKILL"
	term   blow = "SIGTERM"
	freeze blow = "SIGSTOP"
)

var signals = map[blow]syscall.Signal{kill: syscall.SIGKILL, term: syscall.SIGTERM, freeze: syscall.SIGSTOP}

// ambush arranges that the child meets a blow: at a request, or at any moment
// within span.
func (w *world) ambush(c *child, b blow, span time.Duration) {
	if w.chance(3) {
		delay := w.upTo(span)
		w.t.Logf("door %d: %s after %v", c.door, b, delay)
		w.wg.Go(func() {
			pause(w.ctx, delay)
			c.strike(b)
		})
		return
	}
	s := &snare{door: c.door, skip: w.few(), delay: w.upTo(40 * time.Millisecond), spring: func() { c.strike(b) }}
	s.call, s.moment = w.boundary()
	switch {
	case s.moment == late:
		s.delay = w.upTo(1500 * time.Millisecond)
	case b == freeze:
		s.moment = passing
	case b == term && w.chance(2):
		// It does not have to end before the request does.
		s.moment, s.spring = passing, func() { w.wg.Go(func() { c.strike(b) }) }
	}
	w.t.Logf("door %d: %s %s, %s number %d", c.door, b, s.moment, s.call, s.skip+1)
	w.gate.set(s)
}

// boundary draws a boundary of a request that the program is likely to send.
func (w *world) boundary() (call, moment) {
	calls := append([]call{token, submissionID, post, post, post, poll, poll}, w.likely...)
	moments := []moment{before, after, answered, answered}
	c := calls[w.rng.IntN(len(calls))]
	if (c == post || c == rule || c == begin) && w.hasLedger {
		// Without a ledger the next start may come before the effect, and
		// nothing can tell it that there will be one.
		moments = append(moments, late)
	}
	return c, moments[w.rng.IntN(len(moments))]
}

// few draws how many requests go well first: mostly none.
func (w *world) few() int {
	if !w.chance(4) {
		return 0
	}
	return 1 + w.rng.IntN(w.crowd)
}

// trouble orders one of the things that go wrong without any process dying.
func (w *world) trouble() {
	n, skip := 1+w.rng.IntN(3), w.rng.IntN(4)
	submission := "/v0.10/transfer"
	if w.chance(4) {
		submission = "/v0.10/delete"
	}
	all := map[string]func(){
		"lost answers to submissions": func() {
			w.globus.Fail(globussim.Fault{Method: "POST", Path: submission, Drop: globussim.DropAfter, Times: n})
		},
		"lost submissions": func() {
			w.globus.Fail(globussim.Fault{Method: "POST", Path: submission, Drop: globussim.DropBefore, Times: n})
		},
		"gateway errors after submissions": func() {
			w.globus.Fail(globussim.Fault{Method: "POST", Path: submission, Status: 504, Body: "<html>", AfterEffect: true, Times: n})
		},
		"half answers to submissions": func() {
			w.globus.Fail(globussim.Fault{Method: "POST", Path: submission, Truncate: 20, Times: n})
		},
		"slow answers to submissions": func() {
			w.globus.Fail(globussim.Fault{Method: "POST", Path: submission, Delay: w.upTo(time.Second), Times: n})
		},
		"a storm of 503": func() {
			w.globus.Fail(globussim.Fault{Path: "/v0.10/...", Status: 503, Times: n + 2, Skip: skip})
		},
		"lost polls": func() {
			w.globus.Fail(globussim.Fault{Method: "GET", Path: "/v0.10/...", Drop: globussim.DropAfter, Times: n, Skip: skip})
		},
		"all tokens expire": func() {
			delay := w.upTo(1200 * time.Millisecond)
			w.wg.Go(func() { pause(w.ctx, delay); w.globus.ExpireTokens() })
		},
		"Globus is down": func() {
			delay, length := w.upTo(time.Second), w.upTo(2*time.Second)
			w.wg.Go(func() { pause(w.ctx, delay); w.gate.shut(length) })
		},
	}
	if w.expired {
		// A request that waits for its turn could meet both, and repeats once.
		delete(all, "all tokens expire")
	}
	name := w.pick(all)
	w.expired = w.expired || name == "all tokens expire"
	w.t.Log("trouble: " + name)
	w.troubles++
	all[name]()
}

// calm waits until no trouble is left.
func (w *world) calm() {
	w.globus.ClearFaults()
	w.wg.Wait()
	for w.gate.down.Load() {
		pause(w.ctx, 10*time.Millisecond)
	}
}
