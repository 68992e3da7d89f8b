// Package auth is a client of Globus Auth: it gets tokens, keeps them by
// resource server, renews them, and adds them to requests as an
// http.RoundTripper. The packages clientcreds (for a service account) and login
// (for a person) log in with it. Retries and timeouts are left to the
// http.Client that is passed in (see package retry).
package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const maxReply = 1 << 20 // bytes; a token document has a few thousand, a list of identities has more

// Names of resource servers, the keys by which tokens are kept.
const (
	Server         = "auth.globus.org" // Globus Auth itself
	TransferServer = "transfer.api.globus.org"
)

// Names of scopes.
const (
	TransferAll = "urn:globus:auth:scope:transfer.api.globus.org:all" // every call of Transfer
	OpenID      = "openid"                                            // the identity's id, see [Client.Userinfo]
	Profile     = "profile"                                           // its name and username
	Email       = "email"                                             // its e-mail address
)

// A Client sends requests to Globus Auth. Its methods may be called
// concurrently.
type Client struct {
	http *http.Client
	base *url.URL
	log  *slog.Logger
}

// An Option configures a [Client].
type Option func(*Client)

// WithBaseURL sends requests below u instead of to the production service.
func WithBaseURL(u *url.URL) Option { return func(c *Client) { c.base = u } }

// WithLogger logs token requests at level debug, without tokens and secrets.
func WithLogger(log *slog.Logger) Option { return func(c *Client) { c.log = log } }

// New returns a Client that sends its requests through hc, which owns retries
// and timeouts and adds no credentials.
func New(hc *http.Client, opts ...Option) *Client {
	c := &Client{
		http: hc,
		base: &url.URL{Scheme: "https", Host: Server, Path: "/"},
		log:  slog.New(slog.DiscardHandler),
	}
	for _, opt := range opts {
		opt(c)
	}
	return c
}

// An Application is a program that is registered with Globus Auth.
type Application struct {
	ID     string // client id, a UUID in lower case
	Secret Secret // empty for a native app, which has none
}

// URL returns the address of a path, such as a page, of Globus Auth.
func (c *Client) URL(path string) *url.URL { return c.base.JoinPath(path) }

// Logger returns the logger of the Client.
func (c *Client) Logger() *slog.Logger { return c.log }

// Grant makes one token request of the application, with the fields of an
// OAuth2 grant, and returns the tokens by resource server. The error is an
// [*Error] if Globus Auth refuses. API: POST /v2/oauth2/token.
func (c *Client) Grant(ctx context.Context, app Application, grant url.Values) (map[string]Token, error) {
	body, err := c.post(ctx, app, "v2/oauth2/token", grant)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			e.Login = true
		}
		return nil, err
	}
	tokens, err := parseTokens(body, time.Now())
	if err != nil {
		return nil, &strangeReply{err}
	}
	for server, token := range tokens {
		c.log.DebugContext(ctx, "token received", "resource_server", server, "expires", token.Expires())
	}
	return tokens, nil
}

// Introspect returns what Globus Auth knows about a token. Only applications
// with a secret may ask; otherwise the error is an [*Error]. API: POST
// /v2/oauth2/token/introspect.
func (c *Client) Introspect(ctx context.Context, app Application, token Secret) (*Introspection, error) {
	body, err := c.post(ctx, app, "v2/oauth2/token/introspect", url.Values{"token": {token.Reveal()}})
	if err != nil {
		return nil, fmt.Errorf("introspect a token: %w", err)
	}
	return decode[Introspection](body)
}

// Revoke revokes an access token or a refresh token. It is not an error if the
// token is revoked already. The error is an [*Error] if Globus Auth refuses.
// API: POST /v2/oauth2/token/revoke.
func (c *Client) Revoke(ctx context.Context, app Application, token Secret) error {
	if _, err := c.post(ctx, app, "v2/oauth2/token/revoke", url.Values{"token": {token.Reveal()}}); err != nil {
		return fmt.Errorf("revoke a token: %w", err)
	}
	return nil
}

// Userinfo returns the identity that the tokens belong to. It needs a token for
// [Server] with the scope openid, and with profile and email to get the name,
// username and e-mail address. The error is an [*Error] if Globus Auth refuses.
// API: GET /v2/oauth2/userinfo.
func (c *Client) Userinfo(ctx context.Context, tokens *Source) (*Userinfo, error) {
	body, err := c.call(ctx, tokens, http.MethodGet, "v2/oauth2/userinfo", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("get the identity: %w", err)
	}
	return decode[Userinfo](body)
}

// Identities looks identities up on behalf of an application, which must have a
// secret. The error is an [*Error] if Globus Auth refuses. API: GET
// /v2/api/identities.
func (c *Client) Identities(ctx context.Context, app Application, q IdentityQuery) ([]*Identity, error) {
	basic := basicOf(app)
	found, err := q.ask(func(query url.Values) ([]byte, error) {
		req, err := c.request(ctx, http.MethodGet, identitiesPath, query, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Basic "+basic)
		return do(c.http, req, func() []string { return []string{app.Secret.Reveal(), basic} })
	})
	if e, ok := errors.AsType[*Error](err); ok {
		e.ClientID = app.ID
	}
	return found, err
}

// IdentitiesFor is [Client.Identities] on behalf of the owner of the tokens. It
// needs a token for [Server].
func (c *Client) IdentitiesFor(ctx context.Context, tokens *Source, q IdentityQuery) ([]*Identity, error) {
	return q.ask(func(query url.Values) ([]byte, error) {
		return c.call(ctx, tokens, http.MethodGet, identitiesPath, query, nil)
	})
}

// Call sends a request for which this package has no method, and returns the reply
// unchanged. The path is escaped, such as /v2/api/identities; body is JSON, and is
// sent unless it is nil. Call needs a token for [Server]. The error is an [*Error] if
// Globus Auth refuses.
func (c *Client) Call(ctx context.Context, tokens *Source, method, path string, query url.Values, body json.RawMessage) (json.RawMessage, error) {
	for elem := range strings.SplitSeq(path, "/") {
		if plain, err := url.PathUnescape(elem); err != nil || plain == "." || plain == ".." {
			return nil, fmt.Errorf("the path %q has an element %q, which no path has", path, elem)
		}
	}
	doc, err := c.call(ctx, tokens, method, path, query, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return doc, nil
}

// call sends a request with the token for [Server].
func (c *Client) call(ctx context.Context, tokens *Source, method, path string, query url.Values, body []byte) ([]byte, error) {
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	hc := *c.http
	hc.Transport = tokens.Transport(Server, hc.Transport)
	return do(&hc, req, tokens.reveal)
}

// request makes a request with a JSON body, or without one if body is nil.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Request, error) {
	at := c.URL(path)
	at.RawQuery = query.Encode()
	if body == nil {
		return http.NewRequestWithContext(ctx, method, at.String(), http.NoBody)
	}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// basicOf returns the value of an application's Basic header.
func basicOf(app Application) string {
	return base64.StdEncoding.EncodeToString([]byte(app.ID + ":" + app.Secret.Reveal()))
}

// post sends a form as the application and returns the body of the reply. Like
// the official clients, it puts the raw id and secret into the Basic header:
// RFC 6749 wants both percent-encoded, but Globus Auth does not decode them.
func (c *Client) post(ctx context.Context, app Application, path string, form url.Values) ([]byte, error) {
	hidden := []string{form.Get("token"), form.Get("refresh_token"), form.Get("code"), form.Get("code_verifier")}
	var basic string
	if app.Secret.IsZero() {
		form.Set("client_id", app.ID)
	} else {
		basic = basicOf(app)
		hidden = append(hidden, app.Secret.Reveal(), basic)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL(path).String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic != "" {
		req.Header.Set("Authorization", "Basic "+basic)
	}
	body, err := do(c.http, req, func() []string { return hidden })
	if e, ok := errors.AsType[*Error](err); ok {
		e.ClientID, e.Native = app.ID, basic == ""
	}
	return body, err
}

// do sends req through hc and returns the body of a 2xx reply. The texts that
// hidden returns are masked in the error, even if the service repeats them.
func do(hc *http.Client, req *http.Request, hidden func() []string) ([]byte, error) {
	req.Header.Set("Accept", "application/json")
	resp, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read

	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	switch {
	case resp.StatusCode/100 != 2:
		return nil, newError(resp, body, mask(hidden()))
	case err != nil:
		return nil, fmt.Errorf("read the reply: %w", err)
	case len(body) > maxReply:
		return nil, fmt.Errorf("reply is longer than %d bytes", maxReply)
	}
	return body, nil
}

// leastHidden is the length in bytes from which secrets are masked. To mask the letters
// of a shorter one in every word would spoil the words, and give the secret away.
const leastHidden = 6

// mask returns a replacer that masks hidden texts, as they are and
// percent-encoded.
func mask(hidden []string) *strings.Replacer {
	var pairs []string
	for _, text := range hidden {
		if len(text) >= leastHidden {
			pairs = append(pairs, text, masked, url.QueryEscape(text), masked)
		}
	}
	return strings.NewReplacer(pairs...)
}
