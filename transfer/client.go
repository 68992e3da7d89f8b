package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
)

const (
	maxReply      = 8 << 20   // bytes read of a page of a list, decompressed
	maxDocument   = 128 << 10 // bytes of any other document; decoded, its lists take many times as much
	maxErrorReply = 256 << 10 // bytes read of a reply outside 2xx; its few fields are decoded into maps
)

// ErrTooLong is in the error of a call whose reply was longer than 8 MiB, or
// than 128 KiB if it was not a page of a list.
var ErrTooLong = errors.New("the reply of the service is too long")

// ErrEndless is in the error of a list that does not end: the service repeats a
// page, or sends more pages than a list can have.
var ErrEndless = errors.New("the list does not end")

// A Client calls the Transfer service on behalf of one identity. Its methods
// may be called concurrently. Create one with [New].
type Client struct {
	http    *http.Client
	base    *url.URL
	consent func(ctx context.Context, scopes []string) error // nil if it cannot be given
}

// An Option configures a [Client].
type Option func(*Client)

// WithBaseURL sends requests below u, with or without a slash at its end,
// instead of to https://transfer.api.globus.org/.
func WithBaseURL(u *url.URL) Option { return func(c *Client) { c.base = u } }

// WithConsent calls f with the required scopes when the service answers 403
// ConsentRequired. If f returns nil, the call is repeated once. f may be called
// concurrently.
func WithConsent(f func(ctx context.Context, scopes []string) error) Option {
	return func(c *Client) { c.consent = f }
}

// New returns a Client that sends its requests through hc, which adds the
// credentials and the User-Agent, and owns retries and timeouts.
func New(hc *http.Client, opts ...Option) *Client {
	c := &Client{http: hc, base: &url.URL{Scheme: "https", Host: "transfer.api.globus.org"}}
	for _, opt := range opts {
		opt(c)
	}
	return c
}

// A request is one call of the service.
type request struct {
	method   string
	path     []string // elements below /v0.10/, not escaped
	query    url.Values
	body     any       // sent as JSON; nil sends none
	attempts *attempts // counts what was sent; may be nil
}

// do sends r, and sends it again if a consent was missing and could be given.
func (c *Client) do(ctx context.Context, r request) (*answer, error) {
	a, err := c.send(ctx, r)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status != http.StatusForbidden || !e.NeedsConsent() || len(e.RequiredScopes) == 0 || c.consent == nil {
		return a, err
	}
	if cause := c.consent(ctx, e.RequiredScopes); cause != nil {
		return nil, fmt.Errorf("%w; ask for this consent: %w", e, cause)
	}
	return c.send(ctx, r)
}

// send sends r once; the transports of c.http may repeat it.
func (c *Client) send(ctx context.Context, r request) (*answer, error) {
	if r.attempts != nil {
		ctx = httptrace.WithClientTrace(ctx, r.attempts.trace())
	}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, lost(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read

	if resp.StatusCode/100 != 2 {
		// A body that is cut off may still say why.
		body, _ := read(resp.Body, maxErrorReply)
		return nil, refused(r, resp, body)
	}
	a := &answer{request: r, status: resp.StatusCode}
	a.doc, err = read(resp.Body, maxReply)
	long, _ := errors.AsType[interface {
		error
		TooLong() bool
	}](err)
	switch {
	case len(a.doc) > maxReply, long != nil && long.TooLong():
		return nil, a.tooLong("the reply is longer than %d MiB", maxReply>>20)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", a.unread("the reply was cut off after %d bytes", len(a.doc)), err)
	}
	return a, nil
}

// lost returns the error of a request without a reply. If the request for its token got
// none, it is that one's: the address of Globus Transfer would mislead.
func lost(err error) error {
	e, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	if _, forToken := errors.AsType[*url.Error](e.Err); forToken {
		return e.Err
	}
	e.URL, _, _ = strings.Cut(e.URL, "?") // a filter may name hundreds of tasks
	return err
}

// read reads body, but not much beyond limit bytes. A body that is already in
// memory, as package retry leaves it, is not copied.
func read(body io.Reader, limit int) ([]byte, error) {
	if b, ok := body.(interface{ Bytes() ([]byte, error) }); ok {
		data, err := b.Bytes()
		return data[:min(len(data), limit+1)], err
	}
	return io.ReadAll(io.LimitReader(body, int64(limit)+1))
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	path, err := r.escapedPath()
	if err != nil {
		return nil, err
	}
	u, err := c.base.Parse(strings.TrimRight(c.base.EscapedPath(), "/") + path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, path, err)
	}
	u.RawQuery = r.query.Encode()

	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if r.body == nil {
		return req, nil
	}
	req.Header.Set("Content-Type", "application/json")
	open, err := opener(r.body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, path, err)
	}
	whole := open()
	req.ContentLength, err = io.Copy(io.Discard, whole)
	if err = errors.Join(err, whole.Close()); err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, path, err)
	}
	req.GetBody = func() (io.ReadCloser, error) { return open(), nil }
	req.Body, err = req.GetBody()
	return req, err
}

// opener returns a function whose readers each yield v as JSON. A long document
// is encoded while it is read.
func opener(v any) (func() io.ReadCloser, error) {
	if doc, ok := v.(Document); ok {
		w, err := doc.wire()
		if err == nil && w.long() {
			return func() io.ReadCloser { return w.reader() }, nil
		}
	}
	doc, err := encode(v)
	return func() io.ReadCloser { return io.NopCloser(bytes.NewReader(doc)) }, err
}

// escapedPath returns the path of r below the base URL. An element that would
// lead to another resource is an error.
func (r request) escapedPath() (string, error) {
	var b strings.Builder
	b.WriteString("/v0.10")
	for _, elem := range r.path {
		if elem == "" || elem == "." || elem == ".." {
			return "", fmt.Errorf("%s %s/: %q is not an id", r.method, b.String(), elem)
		}
		b.WriteString("/" + url.PathEscape(elem))
	}
	return b.String(), nil
}

// encode returns v as JSON on one line, with <, > and & as they are.
func encode(v any) ([]byte, error) {
	if doc, ok := v.(json.Marshaler); ok {
		return doc.MarshalJSON() // the encoder would copy it
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
