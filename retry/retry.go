// Package retry repeats requests that may succeed the next time, and limits
// their rate. [New] and [Limit] each wrap an http.RoundTripper. Outermost is
// New, then the transport that adds credentials (package auth), so that each
// try carries a valid token, then Limit, so that each try counts.
//
// The policy is made for the Globus services. They answer with JSON only, and a
// submission can safely be repeated, so requests of every method are.
package retry

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// A Policy says how often and how fast requests are repeated. The zero Policy
// has sensible defaults for Globus.
type Policy struct {
	Retries        int           // tries after the first; 0 means 8, negative means none
	Base           time.Duration // upper bound of the first wait, doubled for each further one; 0 means 500 ms
	Cap            time.Duration // upper bound of that doubling; 0 means 20 s
	MaxRetryAfter  time.Duration // upper bound of a wait that the service asks for; 0 means 15 min
	AttemptTimeout time.Duration // for one try and its whole reply, without waiting in Limit; 0 means 60 s, negative means none
	// Unauthorized is how many tries may follow a 401; 0 means none. Set it if a
	// transport below gets a new token for each try: a service that refuses a token
	// a few seconds old is in trouble itself, or the account has no access to it.
	Unauthorized int
}

func (p Policy) withDefaults() Policy {
	return Policy{
		Retries:        max(0, cmp.Or(p.Retries, 8)),
		Base:           cmp.Or(p.Base, 500*time.Millisecond),
		Cap:            cmp.Or(p.Cap, 20*time.Second),
		MaxRetryAfter:  cmp.Or(p.MaxRetryAfter, 15*time.Minute),
		AttemptTimeout: cmp.Or(p.AttemptTimeout, 60*time.Second),
		Unauthorized:   p.Unauthorized,
	}
}

// New returns a RoundTripper that sends requests through base and repeats them
// as p says. It may be used concurrently. Each repetition is logged as one
// debug line without headers, body or query; a nil log discards it.
//
// A request is repeated after a network error or a timeout of one try; after
// status 429 or 503; after 408, 425 and any other status from 500 on except 501,
// unless the code in the reply says that the error is a collection's own
// (ExternalError, EndpointError); after a 2xx reply that is cut short or is not
// JSON; and after a 401, if the policy says so. The wait between tries is random
// below a growing bound, and at least what Retry-After asks for. If the deadline
// of the request's context would pass during the wait, there is no further try.
//
// After the last try, its reply is returned unchanged, whatever the status; if
// there is none, the error wraps the last network error and says how many tries
// there were. Replies are in memory when they are returned. Reading one that
// was cut short gives what came, and then the error that cut it, such as
// [io.ErrUnexpectedEOF]. Reading one of more than 8 MiB after decompression, or
// 256 KiB outside 2xx, gives only an error that has a method TooLong() bool.
// The body of a reply has a method Bytes() ([]byte, error), which returns the
// rest without a copy.
//
// An error from base whose method Final() bool returns true is returned at
// once, because another layer has already repeated the request. Errors that
// count several tries have this method.
func New(base http.RoundTripper, p Policy, log *slog.Logger) http.RoundTripper {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &transport{base: base, policy: p.withDefaults(), log: log}
}

type transport struct {
	base   http.RoundTripper
	policy Policy
	log    *slog.Logger
}

// RoundTrip sends req until the policy allows no further try. It makes a client
// for each request, because that is all that the hooks of retryablehttp share.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	repeatable, err := replayable(req)
	if err != nil {
		return nil, err
	}
	c := &call{transport: t, url: req.URL, method: req.Method}
	client := &retryablehttp.Client{
		HTTPClient: &http.Client{Transport: c, CheckRedirect: keepRedirects},
		Logger:     nil, // its lines hold queries and call a cancel an error; call.check writes ours
		RetryMax:   t.policy.Retries,
		CheckRetry: c.check,
		Backoff:    func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.delay },
		ErrorHandler: func(_ *http.Response, err error, _ int) (*http.Response, error) {
			return nil, c.lastError(ctx, err)
		},
	}
	resp, err := client.Do(repeatable)
	if err != nil {
		if c.waiting && ctx.Err() != nil {
			err = c.lastError(ctx, fmt.Errorf("%w, waiting to repeat after: %w", err, c.reason))
		}
		return nil, err
	}
	resp.Request = req
	return resp, nil
}

// keepRedirects leaves redirects to the caller's client.
func keepRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// replayable returns a copy of req whose body can be sent any number of times,
// and closes the original body.
func replayable(req *http.Request) (*retryablehttp.Request, error) {
	bare := req.WithContext(req.Context())
	bare.Body = nil
	again, err := retryablehttp.FromRequest(bare)
	if err != nil {
		return nil, err
	}
	if req.Body == nil || req.Body == http.NoBody {
		return again, nil
	}
	defer func() { _ = req.Body.Close() }() // it was only read

	if req.GetBody == nil {
		data, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, fmt.Errorf("read the request body: %w", err)
		}
		return again, again.SetBody(bytes.NewReader(data))
	}
	open := func() (io.Reader, error) { return req.GetBody() }
	if err := again.SetBody(retryablehttp.ReaderFunc(open)); err != nil {
		return nil, fmt.Errorf("open the request body: %w", err)
	}
	again.ContentLength = req.ContentLength // SetBody knows the length of few readers only
	return again, nil
}

// triesError is the last error of several tries.
type triesError struct {
	tries int
	err   error
}

func (e *triesError) Error() string { return fmt.Sprintf("after %d tries: %v", e.tries, e.err) }
func (e *triesError) Unwrap() error { return e.err }

// Final keeps an outer policy from repeating the request again.
func (e *triesError) Final() bool { return true }

// isFinal reports whether a layer below has already repeated the request.
func isFinal(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Final() bool
	}](err)
	return ok && e.Final()
}
