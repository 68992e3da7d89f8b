package globussim

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// meterWindow is the time over which an identity's requests are metered.
const meterWindow = 10 * time.Second

// A meter counts the requests of each identity.
type meter struct {
	rate int // requests a second; 0 means no limit

	mu     sync.Mutex
	passed map[string][]time.Time // by client id, within the window, oldest first
}

// admit counts a request of the client, or says how long it has to wait until
// one would pass.
func (m *meter) admit(client string, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.passed == nil {
		m.passed = make(map[string][]time.Time)
	}
	passed := m.passed[client]
	for len(passed) > 0 && now.Sub(passed[0]) >= meterWindow {
		passed = passed[1:]
	}
	var delay time.Duration
	if len(passed) < m.rate*int(meterWindow/time.Second) {
		passed = append(passed, now)
	} else {
		delay = meterWindow - now.Sub(passed[0])
	}
	m.passed[client] = passed
	return delay
}

// metered refuses the request if its identity sends too many. What Globus
// answers then is not documented; clients look at the status and Retry-After.
func (s *Server) metered(w http.ResponseWriter, r *http.Request) *apiError {
	if s.meter.rate == 0 {
		return nil
	}
	caller, e := s.caller(r)
	if e != nil {
		return nil // the route refuses it, if it asks who the caller is
	}
	delay := s.meter.admit(caller.identity, s.now())
	if delay == 0 {
		return nil
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(delay.Seconds()))))
	return &apiError{
		Status: s.answers.Load().Throttled, Code: "ClientError.TooManyRequests",
		Message: fmt.Sprintf("More than %d requests per second", s.meter.rate),
	}
}
