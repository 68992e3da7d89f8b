package engine

import (
	"net/http"

	"github.com/globus-runner/globus-runner/internal/arrival"
)

// Hearing returns base, from whose replies the clock hears what time the service
// has, see [WithClock].
func Hearing(clock *arrival.Clock, base http.RoundTripper) http.RoundTripper {
	return hearing{clock, base}
}

type hearing struct {
	clock *arrival.Clock
	base  http.RoundTripper
}

// RoundTrip is that of the base.
func (h hearing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.base.RoundTrip(r)
	if err == nil && resp.StatusCode < http.StatusInternalServerError { // else a proxy may have answered
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			h.clock.Hear(date)
		}
	}
	return resp, err
}
