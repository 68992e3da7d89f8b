package arrival

import (
	"crypto/rand"
	"sync"
	"time"
)

// An Instant is a point in time by a certain clock.
type Instant struct {
	Time  time.Time
	Clock string // its name; the times of two clocks have nothing to do with each other
}

// ServiceClock is the name of the clock of the Transfer service, which is the same
// for all processes.
const ServiceClock = "service"

// since returns how much time passed from i to j for sure: none if that cannot be
// told.
func (j Instant) since(i Instant) time.Duration {
	if i.Clock != j.Clock || i.Time.IsZero() {
		return 0
	}
	return max(0, j.Time.Sub(i.Time))
}

// A Clock tells the time in such a way that the clock of the machine may jump. It
// goes by the service, of which it hears now and then, and in between by the
// time that the process has run. One that has not heard of the service is good for
// its own process alone. Its methods may be called concurrently.
type Clock struct {
	mu   sync.Mutex
	name string
	at   time.Time // the time when it was set
	set  time.Time // the same by the process, with its monotonic reading
}

// NewClock returns a clock that has not heard of the service.
func NewClock() *Clock {
	now := time.Now()
	return &Clock{name: "process " + rand.Text(), at: now.UTC().Round(0), set: now}
}

// Hear tells the clock what time the service has right now, as it says in its
// replies.
func (c *Clock) Hear(service time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name, c.at, c.set = ServiceClock, service.UTC().Round(0), time.Now()
}

// Now returns the time.
func (c *Clock) Now() Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Instant{Time: c.at.Add(time.Since(c.set)), Clock: c.name}
}
