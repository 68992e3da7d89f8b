package retry

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/globus-runner/globus-runner/internal/delay"
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
	if asked := min(delay.Of(header, time.Now()), p.MaxRetryAfter); asked > 0 {
		// Callers that were turned away together should not come back
		// together.
		wait = max(wait, min(asked+rand.N(time.Second), p.MaxRetryAfter))
	}
	return wait
}
