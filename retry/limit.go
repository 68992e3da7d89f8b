package retry

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// Limit returns a RoundTripper that sends requests through base, at most so
// many in any window of that length. Requests above wait for their turn, or
// until their context ends; one whose deadline comes before its turn fails at
// once with [context.DeadlineExceeded]. A tenth of the requests may go in one
// burst; the others are spread over the window. It may be used concurrently,
// and all requests through it share the limit. Requests or a window of zero or
// less mean no limit.
func Limit(base http.RoundTripper, requests int, window time.Duration) http.RoundTripper {
	if requests <= 0 || window <= 0 {
		return base
	}
	// A window sees at most a full bucket and what flows in meanwhile, so the
	// bucket's size and the flow of one window together make the limit.
	burst := max(1, requests/10)
	flow := max(1, requests-burst)
	interval := window/time.Duration(flow) + time.Microsecond // more than rounding in package rate can lose
	return &limiter{base: base, bucket: rate.NewLimiter(rate.Every(interval), burst)}
}

type limiter struct {
	base   http.RoundTripper
	bucket *rate.Limiter
}

func (l *limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := stopped(ctx, func() error { return l.bucket.Wait(ctx) }); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was read from it
		}
		return nil, waitError(ctx)
	}
	return l.base.RoundTrip(req)
}

// waitError says why a request did not get its turn. Package rate has no typed
// error for a deadline that comes too early.
func waitError(ctx context.Context) error {
	err := context.DeadlineExceeded
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return &turnError{err}
}

// turnError is final: the next turn comes later still.
type turnError struct{ err error }

func (e *turnError) Error() string { return fmt.Sprintf("wait for the rate limit: %v", e.err) }
func (e *turnError) Unwrap() error { return e.err }
func (e *turnError) Final() bool   { return true }
