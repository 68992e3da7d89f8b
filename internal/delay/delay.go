// Package delay reads from a reply whether the same request may succeed later, and how
// long the service asks its clients to wait. It is a package of its own because clients
// that do not know each other need it.
package delay

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// Passing reports whether a status means a problem that may be temporary: the service
// is overloaded or failing, or a gateway in front of it is. Gateways may use statuses
// of their own, such as 520.
func Passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented:
		return false
	}
	return status >= http.StatusInternalServerError
}

// Of returns what the header Retry-After of a reply asks for: seconds, or until
// a date. It is zero for a time that is past, or not understood.
func Of(reply http.Header, now time.Time) time.Duration {
	value := reply.Get("Retry-After")
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(min(max(0, n), math.MaxInt64/int64(time.Second))) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, date.Sub(now))
}
