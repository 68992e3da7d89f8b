// Package automate is the part that the clients of Globus Flows and Globus Timers
// share: [Service.Do] sends a request, bounds what it reads of the reply, and returns
// errors as [Error]. Packages flows and timers have the methods of the services.
// Credentials and retries belong to the HTTP clients that they pass in.
package automate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// The names of the services in errors.
const (
	Flows  = "Globus Flows"
	Timers = "Globus Timers"
)

// A Service is Flows or Timers at an address.
type Service struct {
	Name     string // Flows or Timers
	Base     *url.URL
	MaxReply int // bytes read of a reply
}

// A Request is one call of a service.
type Request struct {
	Method string
	Path   []string // elements, not escaped
	Slash  bool     // the path ends with a slash
	Query  url.Values
	Body   []byte // JSON; nil sends none
}

// escapedPath returns the escaped path of a request.
func (r Request) escapedPath() string {
	var b strings.Builder
	for _, elem := range r.Path {
		b.WriteString("/" + url.PathEscape(elem))
	}
	if r.Slash {
		b.WriteByte('/')
	}
	return b.String()
}

// Do sends a request through hc and returns the body of the reply. The error is an
// [*Error] if there was a reply.
func (s Service) Do(ctx context.Context, hc *http.Client, r Request) ([]byte, error) {
	req, err := s.request(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	doc, err := io.ReadAll(io.LimitReader(resp.Body, int64(s.MaxReply)+1))
	switch {
	case resp.StatusCode/100 != 2:
		return nil, s.refused(r, resp, doc)
	case len(doc) > s.MaxReply:
		return nil, s.Unread(r, resp.StatusCode, "the reply is longer than %d MiB", s.MaxReply>>20)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", s.Unread(r, resp.StatusCode, "the reply was cut off"), err)
	}
	return doc, nil
}

// request makes the HTTP request.
func (s Service) request(ctx context.Context, r Request) (*http.Request, error) {
	for _, elem := range r.Path {
		if elem == "" || elem == "." || elem == ".." {
			return nil, fmt.Errorf("%s %s: %q is not an id", r.Method, r.escapedPath(), elem)
		}
	}
	u := *s.Base
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/")+"/"+strings.Join(r.Path, "/"), strings.TrimRight(s.Base.EscapedPath(), "/")+r.escapedPath()
	if r.Slash {
		u.Path += "/"
	}
	u.RawQuery = r.Query.Encode()
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}
