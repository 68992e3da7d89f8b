package arrival_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
	"github.com/globus-runner/globus-runner/transfer"
)

// A laboratory has instruments that write items, and one who looks at them.
type laboratory struct {
	*keeper
	mu       sync.Mutex
	random   *rand.Rand
	pause    time.Duration // an instrument is never silent for longer before an item is finished
	marker   bool          // instruments make one at the end
	lock     bool          // instruments have one while they write
	finished map[string]int64
	written  map[string]int // how often an item of this name was finished
	ready    map[string]int // and how often it was found ready
}

// n returns a number below most.
func (l *laboratory) n(most int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random.IntN(most)
}

func (l *laboratory) sleep(most time.Duration) { time.Sleep(time.Duration(l.n(int(most)))) }

// instrument writes items, one after the other.
func (l *laboratory) instrument(number int) {
	for n := range 3 {
		l.sleep(time.Hour)
		name := fmt.Sprintf("run_%d_%d", number, n)
		l.write(name)
		if l.n(2) == 0 {
			continue
		}
		for !l.is(name, func(k arrival.Known) bool { return k.Stage == arrival.Done }) {
			time.Sleep(time.Minute)
		}
		l.disk.remove("/runs/" + name)
		for !l.is(name, func(k arrival.Known) bool { return k.Gone }) {
			time.Sleep(time.Minute)
		}
		l.write(name) // another item of that name
	}
}

// is reports whether something is known of an item.
func (l *laboratory) is(name string, what func(arrival.Known) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return what(l.known[name])
}

// write writes an item: files that grow, in folders, under names that change.
func (l *laboratory) write(name string) {
	at := "/runs/" + name
	if l.n(3) == 0 {
		at += "~"
	}
	if l.lock {
		l.disk.write(at+"/s/x.lock", 0)
	}
	size := int64(0)
	for f := range 1 + l.n(4) {
		file := at + []string{"", "/a", "/a/b"}[l.n(3)] + fmt.Sprintf("/f%d", f)
		part := file
		if l.n(2) == 0 {
			part += ".part"
		}
		grown := int64(0)
		for range 1 + l.n(4) {
			grown += int64(1 + l.n(1000))
			l.disk.write(part, grown)
			l.sleep(l.pause)
		}
		size += grown
		if part != file {
			l.disk.rename(part, file)
			l.sleep(l.pause)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if at != "/runs/"+name {
		l.disk.rename(at, "/runs/"+name)
	}
	if l.lock {
		l.disk.remove("/runs/" + name + "/s/x.lock")
	}
	if l.marker {
		l.disk.write("/runs/"+name+"/DONE", 0)
	}
	l.finished[name] = size
	l.written[name]++
}

// looks once, and begins to work on what is ready.
func (l *laboratory) looks() {
	found, err := l.try()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range found {
		if f.Changed {
			l.keep(f)
		}
		if f.State != arrival.IsReady {
			continue
		}
		name := f.Item.Name
		if l.ready[name]++; l.ready[name] != l.written[name] || f.Item.Size != l.finished[name] {
			l.t.Errorf("%s is ready for the %dth time with %d bytes; it was finished %d times, with %d", name, l.ready[name], f.Item.Size, l.written[name], l.finished[name])
		}
		if f.Key != jobs.ItemKey(name, l.ready[name]) {
			l.t.Errorf("%s has the key %s when it is ready for the %dth time", name, f.Key, l.ready[name])
		}
	}
	if err != nil && l.disk.fault("/runs/") == nil {
		l.t.Error(err)
	}
	for name, k := range l.known {
		next := map[arrival.Stage]arrival.Stage{arrival.Queued: arrival.Active, arrival.Active: arrival.Done}[k.Stage]
		if next != "" && l.random.IntN(2) == 0 {
			l.stage(name, next)
		}
	}
}

// trouble has folders that cannot be listed for a while, and restarts.
func (l *laboratory) trouble() {
	busy := &transfer.Error{Status: http.StatusBadGateway, Code: "ExternalError.DirListingFailed.GCDisconnected"}
	switch l.n(8) {
	case 0:
		l.disk.fail("/runs/", busy)
	case 1:
		l.disk.fail(fmt.Sprintf("/runs/run_%d_%d/", l.n(3), l.n(3)), busy)
	case 2:
		l.disk.fail(fmt.Sprintf("/runs/run_%d_%d/a/", l.n(3), l.n(3)), busy)
	case 3, 4:
		l.disk.fail("", nil)
	case 5:
		l.clock = arrival.NewClock()
		l.clock.Hear(time.Now().Truncate(time.Second))
	}
}

// Whatever instruments do, and whatever happens to the looks, no item is ready
// before it is finished, and each is ready once.
func TestNoItemIsEarlyAndNoneIsForgotten(t *testing.T) {
	ways := map[string]func(*laboratory){
		"unchanged": func(l *laboratory) { l.each.Ready = jobs.Readiness{UnchangedFor: 20 * time.Minute} },
		"old":       func(l *laboratory) { l.each.Ready = jobs.Readiness{OlderThan: 20 * time.Minute} },
		"locked": func(l *laboratory) {
			l.each.Ready = jobs.Readiness{UnchangedFor: 10 * time.Second, NoMarker: "*.lock"}
			l.lock, l.pause = true, 5*time.Hour
		},
		"marked": func(l *laboratory) {
			l.each.Ready = jobs.Readiness{Marker: "DONE", NoMarker: "*.part"}
			l.marker, l.pause = true, 5*time.Hour
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			for seed := range long.Or(300, 8) {
				synctest.Test(t, func(t *testing.T) {
					t.Logf("seed %d", seed)
					l := &laboratory{
						keeper: newKeeper(t, func(e *jobs.ForEach) { e.Match = jobs.MatchGlobs("!*~") }), pause: 20*time.Minute - 15*time.Second,
						random:   rand.New(rand.NewPCG(uint64(seed), 1)),
						finished: map[string]int64{}, written: map[string]int{}, ready: map[string]int{},
					}
					way(l)
					l.clock.Hear(time.Now())
					l.disk.before = func(string) { l.sleep(4 * time.Second) }
					var instruments sync.WaitGroup
					for n := range 3 {
						instruments.Go(func() { l.instrument(n) })
					}
					done := make(chan struct{})
					go func() { instruments.Wait(); close(done) }()
					for writing := true; writing; {
						l.sleep(12 * time.Minute)
						l.trouble()
						l.looks()
						select {
						case <-done:
							writing = false
						default:
						}
					}
					l.disk.fail("", nil)
					for range 5 {
						time.Sleep(10 * time.Minute)
						l.looks()
					}
					for name, times := range l.written {
						if l.ready[name] != times {
							t.Errorf("%s was finished %d times, and ready %d times; it is %+v", name, times, l.ready[name], l.known[name])
						}
					}
				})
				if t.Failed() {
					return
				}
			}
		})
	}
}
