// Package delay reads from a reply whether the same request may succeed later, and how
// long the service asks clients to wait. Clients that do not import each other share
// it.
package delay

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// Passing reports whether a status means a problem that may be temporary: the
// service, or a gateway in front of it, is overloaded or failing. Gateways may use
// nonstandard statuses, such as 520. A 421 asks for another connection.
func Passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented:
		return false
	}
	return status >= http.StatusInternalServerError
}

// Of returns the wait that the header Retry-After of a reply asks for, in
// seconds or until a date. It is zero if the date has passed or the value is
// not understood.
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
