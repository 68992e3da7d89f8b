package retry

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/delay"
)

// A call is one request and its tries. It sends each try and decides what
// follows it.
type call struct {
	*transport
	url    *url.URL
	method string

	tries   int
	refused int    // tries that a 401 answered
	reply   *reply // of the last try; nil if it brought none
	err     error  // of the last try
	reason  error  // why the request is repeated; nil if it is not
	delay   time.Duration
	waiting bool
}

// RoundTrip is one try. It returns when the whole reply is in memory, so that
// the reply can be judged, and the request repeated if the reply was cut off.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	c.tries++
	c.waiting, c.reply, c.err = false, nil, nil

	ctx, stop := withTimeout(req.Context(), c.policy.AttemptTimeout)
	defer stop()
	resp, err := c.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		c.err = attemptError(ctx, err)
		return nil, c.err
	}
	limit := maxReply
	if resp.StatusCode/100 != 2 {
		limit = maxErrorReply
	}
	c.reply = readReply(resp.Body, limit)
	c.reply.err = attemptError(ctx, c.reply.err)
	resp.Body = c.reply
	return resp, nil
}

// check is the CheckRetry of the call: it decides whether to try again, and
// after which wait.
func (c *call) check(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if c.err == nil {
		c.err = err // the inner client refused the request or the reply by itself
	}
	c.reason = c.why(ctx, resp)
	if c.reason == nil || c.tries > c.policy.Retries {
		return false, nil
	}
	var header http.Header
	attrs := []slog.Attr{
		slog.String("method", c.method),
		slog.String("host", c.url.Host),
		slog.String("path", c.url.Path),
		slog.String("reason", c.reason.Error()),
	}
	if resp != nil {
		header = resp.Header
		attrs = append(attrs, slog.Int("status", resp.StatusCode))
	}
	c.delay = c.policy.wait(c.tries-1, header)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= c.delay {
		return false, nil
	}
	c.waiting = true
	attrs = append(attrs, slog.Duration("delay", c.delay), slog.Int("attempt", c.tries))
	c.log.LogAttrs(ctx, slog.LevelDebug, "request will be repeated", attrs...)
	return true, nil
}

// why returns the reason to repeat the last try, or nil if there is none.
func (c *call) why(ctx context.Context, resp *http.Response) error {
	switch {
	case ctx.Err() != nil || c.permanent():
		return nil //nolint:nilerr // the result is a reason, not a failure
	case c.err != nil:
		return c.err
	case resp.StatusCode/100 == 2:
		return c.reply.defect()
	}
	switch status := resp.StatusCode; {
	case status == http.StatusUnauthorized:
		if c.refused++; c.refused > c.policy.Unauthorized {
			return nil
		}
	case !delay.Passing(status):
		return nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
	case c.reply.fromCollection():
		return nil
	}
	return errors.New(strings.TrimSpace(fmt.Sprintf("HTTP %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))))
}

// permanent reports whether the last error would come again, however often the
// request is sent.
func (c *call) permanent() bool {
	err := c.err
	if err == nil {
		return false
	}
	if c.url == nil || c.url.Scheme != "http" && c.url.Scheme != "https" || c.url.Host == "" {
		return true
	}
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return verification || authority || host || invalid ||
		errors.Is(err, http.ErrSchemeMismatch) ||
		strings.Contains(err.Error(), "net/http: invalid ") || // a method or header; it has no type
		isFinal(err)
}

// lastError returns the error that the caller sees. If the context has ended,
// it is the context's error; if there were several tries, it names their
// number.
func (c *call) lastError(ctx context.Context, err error) error {
	if c.err != nil && !c.waiting {
		err = c.err // without the inner client's *url.Error: the outer client adds its own
	}
	if end := ctx.Err(); end != nil && !errors.Is(err, end) {
		err = fmt.Errorf("%w: %w", end, err)
	}
	if c.tries > 1 {
		return &triesError{tries: c.tries, err: err}
	}
	return err
}

// defect returns what is wrong with the reply as a JSON document. It is nil if
// nothing is, or if a repetition would not help. An empty reply is fine.
func (r *reply) defect() error {
	_, tooLong := errors.AsType[tooLongError](r.err)
	switch {
	case tooLong:
		return nil
	case r.err != nil:
		return fmt.Errorf("reply cut short: %w", r.err)
	case len(bytes.TrimSpace(r.data)) > 0 && !json.Valid(r.data):
		return errors.New("reply is not JSON")
	}
	return nil
}

// fromCollection reports whether the service only passes on an error of a
// collection. Repeating the request brings the same error.
func (r *reply) fromCollection() bool {
	var doc struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(r.data, &doc) != nil {
		return false
	}
	return strings.Contains(doc.Code, "ExternalError") || strings.Contains(doc.Code, "EndpointError")
}
