package retry

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// fairly says that every tenth turn goes to the request that has waited longest,
// whatever its rank.
const fairly = 10

// A LimitOption changes how [Limit] works.
type LimitOption func(*limiter)

// WithRank lets waiting requests with a smaller rank go first. Among equals, the one that
// has waited longest goes first. Every tenth turn goes to the one that has waited longest
// of all, so that none waits forever.
func WithRank(rank func(*http.Request) int) LimitOption { return func(l *limiter) { l.rank = rank } }

// Limit returns a RoundTripper that sends requests through base, at most so
// many in any window of that length. Requests above wait for their turn, or
// until their context ends. A tenth of the requests may go in one burst; the
// others are spread over the window. It may be used concurrently, and all
// requests through it share the limit. Requests or a window of zero or less
// mean no limit.
func Limit(base http.RoundTripper, requests int, window time.Duration, opts ...LimitOption) http.RoundTripper {
	if requests <= 0 || window <= 0 {
		return base
	}
	// A window sees at most a full bucket and what flows in meanwhile, so the
	// bucket's size and the flow of one window together make the limit.
	burst := max(1, requests/10)
	flow := max(1, requests-burst)
	interval := window/time.Duration(flow) + time.Microsecond // more than rounding in package rate can lose
	l := &limiter{
		base: base, rank: func(*http.Request) int { return 0 },
		bucket: rate.NewLimiter(rate.Every(interval), burst), next: make(chan struct{}, 1),
	}
	for _, opt := range opts {
		opt(l)
	}
	return l
}

// A limiter keeps requests in a line. One of them waits for the bucket on behalf of
// all, and passes each token to the request whose turn it is.
type limiter struct {
	base   http.RoundTripper
	rank   func(*http.Request) int
	bucket *rate.Limiter
	next   chan struct{} // has room for the request that waits for the bucket

	mu    sync.Mutex // guards the rest; never held across a wait
	line  []*waiter  // in the order in which they came
	given int        // turns given so far
}

// A waiter is a request that waits for its turn.
type waiter struct {
	rank int
	turn chan struct{} // closed when it comes
}

func (l *limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := stopped(ctx, func() error { return l.wait(ctx, l.rank(req)) }); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was read from it
		}
		return nil, waitError(ctx)
	}
	return l.base.RoundTrip(req)
}

// wait returns when it is the turn of a request with this rank.
func (l *limiter) wait(ctx context.Context, rank int) error {
	w := &waiter{rank, make(chan struct{})}
	l.join(w)
	defer l.leave(w)
	for {
		select {
		case <-w.turn:
			return nil
		case l.next <- struct{}{}:
			err := l.advance(ctx, w)
			<-l.next
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// advance waits for the bucket on behalf of all, unless w has had its turn
// meanwhile.
func (l *limiter) advance(ctx context.Context, w *waiter) error {
	select {
	case <-w.turn:
		return nil
	default:
	}
	err := l.bucket.Wait(ctx)
	if err == nil {
		l.give()
	}
	return err
}

func (l *limiter) join(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = append(l.line, w)
}

// leave removes a request from the line, if it is still in it.
func (l *limiter) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.line, w); i >= 0 {
		l.line = slices.Delete(l.line, i, i+1)
	}
}

// give gives a turn to the request that is next. There is at least one: the caller's.
func (l *limiter) give() {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := 0
	if l.given++; l.given%fairly != 0 {
		for i, w := range l.line {
			if w.rank < l.line[first].rank {
				first = i
			}
		}
	}
	close(l.line[first].turn)
	l.line = slices.Delete(l.line, first, first+1)
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

// A turnError is final, because the next turn would come even later.
type turnError struct{ err error }

func (e *turnError) Error() string { return fmt.Sprintf("wait for the rate limit: %v", e.err) }
func (e *turnError) Unwrap() error { return e.err }
func (e *turnError) Final() bool   { return true }
