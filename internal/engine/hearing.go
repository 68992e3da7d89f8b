package engine

import (
	"net/http"

	"github.com/globus-runner/globus-runner/internal/arrival"
)

// Hearing wraps base and sets the clock by the replies of the service, see
// [WithClock].
func Hearing(clock *arrival.Clock, base http.RoundTripper) http.RoundTripper {
	return hearing{clock, base}
}

type hearing struct {
	clock *arrival.Clock
	base  http.RoundTripper
}

// RoundTrip sends r through the base.
func (h hearing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.base.RoundTrip(r)
	if err == nil && resp.StatusCode < http.StatusInternalServerError { // otherwise a proxy may have answered
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			h.clock.Hear(date)
		}
	}
	return resp, err
}
