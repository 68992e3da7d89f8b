package auth

import (
	"io"
	"net/http"
)

// Transport returns a RoundTripper that adds the token for a resource server
// to requests and sends them through base, or through [http.DefaultTransport]
// if that is nil. It may be used concurrently.
//
// After a 401 it drops that token, gets a new one and repeats the request once.
// A request with a body but without GetBody is not repeated: the caller gets
// the 401. The error of a token request has a method Final, which tells an
// outer retry policy that it was already repeated. A request that was
// redirected to another host gets no token.
func (s *Source) Transport(resourceServer string, base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{source: s, server: resourceServer, base: base}
}

type transport struct {
	source *Source
	server string
	base   http.RoundTripper
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if redirectedAway(req) {
		return t.base.RoundTrip(req)
	}
	token, err := t.source.Token(req.Context(), t.server)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was read from it
		}
		return nil, &tokenError{err}
	}
	resp, err := t.base.RoundTrip(withBearer(req, token))
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	t.source.drop(token)
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return resp, nil
	}
	discard(resp.Body)
	token, err = t.source.Token(req.Context(), t.server)
	if err != nil {
		return nil, &tokenError{err}
	}
	again := withBearer(req, token)
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return t.base.RoundTrip(again)
}

// redirectedAway reports whether req follows from a request to another host.
func redirectedAway(req *http.Request) bool {
	first := req
	for first.Response != nil && first.Response.Request != nil {
		first = first.Response.Request
	}
	return first.URL.Host != req.URL.Host
}

func withBearer(req *http.Request, token Token) *http.Request {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+token.AccessToken.Reveal())
	return req
}

// discard reads a little of body, so that its connection can be used again,
// and closes it.
func discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10) // the body is not needed
	_ = body.Close()                          // it was only read
}

// A tokenError is the failure of a token request on behalf of another request.
type tokenError struct{ err error }

func (e *tokenError) Error() string { return e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

// Final reports true: the token request had its own retries.
func (e *tokenError) Final() bool { return true }
