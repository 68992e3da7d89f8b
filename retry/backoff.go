package retry

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// wait returns how long to wait after try n, counted from 0: a random time
// below a bound that doubles with n, or what the reply's Retry-After asks for
// if that is longer.
func (p Policy) wait(n int, header http.Header) time.Duration {
	bound := p.Cap
	if n < 63 && p.Base < p.Cap>>n {
		bound = p.Base << n
	}
	wait := rand.N(max(1, bound))
	if asked := retryAfter(header.Get("Retry-After"), time.Now(), p.MaxRetryAfter); asked > 0 {
		// Those who were turned away together shall not come back together.
		wait = max(wait, min(asked+rand.N(time.Second), p.MaxRetryAfter))
	}
	return wait
}

// retryAfter reads a Retry-After header, which holds seconds or a date. It
// returns at most limit, and 0 for what is past or not understood.
func retryAfter(value string, now time.Time, limit time.Duration) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds > int64(limit/time.Second) {
			return limit
		}
		return max(0, time.Duration(seconds)*time.Second)
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(0, date.Sub(now)), limit)
}
