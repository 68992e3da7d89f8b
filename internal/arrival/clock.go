package arrival

import (
	"crypto/rand"
	"sync"
	"time"
)

// An Instant is a point in time on a certain clock.
type Instant struct {
	Time  time.Time
	Clock string // its name; times of different clocks cannot be compared
}

// serviceClock is the name of the clock of the Transfer service, which is the same
// for all processes.
const serviceClock = "service"

// since returns how much time has certainly passed from i to j; 0 if that is not
// known.
func (j Instant) since(i Instant) time.Duration {
	if i.Clock != j.Clock || i.Time.IsZero() {
		return 0
	}
	return max(0, j.Time.Sub(i.Time))
}

// A Clock does not depend on the machine's clock, which may jump. It is set from
// replies of the service, and between them it follows the process's monotonic
// clock. Until it was set, its times can be compared only within the process. Its
// methods may be called concurrently.
type Clock struct {
	mu   sync.Mutex
	name string
	at   time.Time // the service's time when it was set
	set  time.Time // the same instant on the process's clock, with a monotonic reading
}

// NewClock returns a clock that is not set yet.
func NewClock() *Clock {
	now := time.Now()
	return &Clock{name: "process " + rand.Text(), at: now.UTC().Round(0), set: now}
}

// Hear sets the clock to the service's present time, which its replies contain.
func (c *Clock) Hear(service time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name, c.at, c.set = serviceClock, service.UTC().Round(0), time.Now()
}

// Now returns the time.
func (c *Clock) Now() Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Instant{Time: c.at.Add(time.Since(c.set)), Clock: c.name}
}
