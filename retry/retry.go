// Package retry repeats requests that may succeed the next time, and holds
// requests back to a rate. Both are http.RoundTrippers around another one; the
// credentials are added below [New] (package auth), so that each try
// carries a token that is still good, and [Limit] stands below those, so that
// each try counts.
//
// The policy is that of the Globus services: both answer with JSON only, and
// every submission can be repeated, so every method is.
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
// is the one that the commands use.
type Policy struct {
	Retries        int           // tries after the first; 0 means 8, negative none
	Base           time.Duration // bound of the first wait, doubled for each next one; 0 means 500 ms
	Cap            time.Duration // bound of every wait of ours; 0 means 20 s
	MaxRetryAfter  time.Duration // bound of a wait that the service asks for; 0 means 15 min
	AttemptTimeout time.Duration // for one try and its whole reply, without queueing in Limit; 0 means 60 s, negative none
	// Unauthorized is how many of the tries may follow a 401; 0 means none. It is for
	// where a layer below gets a new token for each try: a service that refuses a token
	// which is seconds old is in trouble itself, or the account has no access to it.
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
// as p says. It may be used concurrently. A nil log discards; otherwise each
// repeat is one debug line, which holds neither headers, bodies nor queries.
//
// Repeated are network errors and timeouts of one try; the statuses 429 and
// 503; 408, 425 and all others from 500 on but 501, unless the code in the reply
// passes on a collection's own error (ExternalError, EndpointError); a 2xx reply
// that is cut short or is not JSON; and a 401, if the policy says so. The wait
// between tries is random below a growing bound, and at least what Retry-After
// asks for. A wait that would outlast the deadline of the request's context is
// not begun.
//
// When there is no further try, the last reply is returned as it came,
// whatever its status, or else the last network error, below a text that
// counts the tries. Replies are in memory when they are returned; reading one
// that was cut short gives what came and then the error that cut it, such as
// [io.ErrUnexpectedEOF]. One of more than 8 MiB after
// decompression, or 256 KiB outside 2xx, gives nothing but an error that has a
// method TooLong() bool. The body of a reply has a method Bytes, which returns
// what it holds without a copy.
//
// An error below that has a method Final() bool returning true is handed on
// at once: another layer has already repeated what can be. The errors that
// count several tries have it.
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

// RoundTrip sends req until the policy is content. Its client is made for this
// one request, because the hooks of retryablehttp share nothing else.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	repeatable, err := replayable(req)
	if err != nil {
		return nil, err
	}
	c := &call{transport: t, url: req.URL, method: req.Method}
	client := &retryablehttp.Client{
		HTTPClient: &http.Client{Transport: c, CheckRedirect: handOn},
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

// handOn leaves redirects to the caller's client.
func handOn(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

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
	again.ContentLength = req.ContentLength // SetBody knows it of few readers only
	return again, nil
}

// triesError is the last error of several tries.
type triesError struct {
	tries int
	err   error
}

func (e *triesError) Error() string { return fmt.Sprintf("after %d tries: %v", e.tries, e.err) }
func (e *triesError) Unwrap() error { return e.err }

// Final keeps a policy further out from repeating the repeats.
func (e *triesError) Final() bool { return true }

// isFinal reports whether a layer below has given up on its own terms.
func isFinal(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Final() bool
	}](err)
	return ok && e.Final()
}
