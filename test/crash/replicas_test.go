package crash_test

import (
	"syscall"
	"testing"
	"time"
)

// replicas is how many schedulers share the ledger.
const replicas = doors

func TestReplicasDoEachOccurrenceOnce(t *testing.T) {
	inRounds(t, 2, func(w *world) {
		pg := startedDatabase(w.t)
		name, place, err := pg.Schema(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		f := newFleet(w, place)
		w.env = append(w.env, "RUNNER_STATE="+place+"&application_name="+name)
		slow := inLength() && w.chance(8) // leases run out by themselves
		var at [replicas]*child
		for door := range at {
			at[door] = f.serveUp(door)
		}
		for range 2 + w.rng.IntN(5) {
			door := w.rng.IntN(replicas)
			if w.chance(2) {
				w.trouble()
			}
			if inLength() && w.chance(5) {
				delay := w.upTo(time.Second)
				w.t.Log("trouble: the connections to the database break")
				w.troubles++
				w.wg.Go(func() {
					pause(w.ctx, delay)
					if err := pg.Exec(w.t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '"+name+"'"); err != nil {
						w.t.Error(err)
					}
				})
			}
			if w.chance(4) {
				f.stun(at[door], slow)
				continue
			}
			at[door] = f.replace(at[door], slow)
		}
		for _, c := range at {
			if !f.settled(c, time.Minute) {
				w.t.Error("not everything was brought to its end")
				break
			}
		}
		for _, c := range at {
			f.dismiss(c)
		}
		f.verify()
	})
}

// replace kills a replica, now or at a request, and starts another one.
func (f *fleet) replace(c *child, slow bool) *child {
	f.t.Helper()
	b := f.killOrTerm()
	f.ambush(c, b, time.Second)
	select {
	case <-c.done:
	case <-time.After(2 * time.Second):
		f.gate.clear(c.door)
		c.strike(kill) // unless it has met the other one
	}
	f.checkEnd(c)
	if !slow {
		f.lapse(f.ledger, c)
	}
	pause(f.ctx, f.upTo(500*time.Millisecond))
	return f.serveUp(c.door)
}

// stun stops a replica for longer than its leases last, so that it still
// believes to hold what others have taken over.
func (f *fleet) stun(c *child, slow bool) {
	f.t.Helper()
	stopped := make(chan struct{})
	s := &snare{door: c.door, moment: passing, spring: func() { c.strike(freeze); close(stopped) }}
	s.call, _ = f.boundary()
	f.t.Logf("door %d: %s while a %s is on its way", c.door, freeze, s.call)
	f.gate.set(s)
	select {
	case <-stopped:
	case <-time.After(time.Second):
		f.gate.clear(c.door)
		c.strike(freeze)
	}
	length := f.upTo(time.Second)
	if slow {
		length += 35 * time.Second
	} else {
		f.lapse(f.ledger, c)
		if f.chance(2) {
			length += 10 * time.Second // until the others have looked
		}
	}
	pause(f.ctx, length)
	c.signal(syscall.SIGCONT)
}
