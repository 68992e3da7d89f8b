// Package clientcreds gets access tokens for a Globus service account, by the
// client-credentials grant of Globus Auth, and adds them to requests as an
// http.RoundTripper. It keeps tokens in memory only. Retries and timeouts are
// left to the client that is passed in (see package retry).
package clientcreds

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const maxReply = 1 << 20 // bytes

// A Source gets and keeps the tokens of one service account, one for each
// resource server. Its methods may be called concurrently.
type Source struct {
	http   *http.Client
	base   *url.URL
	log    *slog.Logger
	creds  Credentials
	scopes Scopes

	mu     sync.Mutex // never held while waiting
	secret Secret     // the one in use; the file may have brought a newer one than creds
	held   map[string]Token
	flight *flight // the token request under way; nil if there is none
}

// An Option changes what [New] returns.
type Option func(*Source)

// WithBaseURL sends requests below u instead of to the production service.
func WithBaseURL(u *url.URL) Option { return func(s *Source) { s.base = u } }

// WithScopes asks for tokens with these scopes instead of [TransferAll].
func WithScopes(scopes ...Scope) Option {
	return func(s *Source) { s.scopes = Scopes(nil).Merge(scopes...) }
}

// WithLogger sets where token requests are logged, at level debug, and a
// secret that was read again, at level info. Tokens and secrets are not.
func WithLogger(log *slog.Logger) Option { return func(s *Source) { s.log = log } }

// New returns a Source of tokens for creds. Its own requests go through hc,
// which owns retries and timeouts and adds no credentials.
func New(hc *http.Client, creds Credentials, opts ...Option) *Source {
	s := &Source{
		http:   hc,
		base:   &url.URL{Scheme: "https", Host: "auth.globus.org", Path: "/"},
		log:    slog.New(slog.DiscardHandler),
		creds:  creds,
		scopes: Scopes{{Name: TransferAll}},
		secret: creds.secret,
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// Consent makes one token request for these scopes, which may have
// dependencies, and throws the tokens away: Globus Auth records the consents
// for the service account, and the tokens already held profit from them. The
// error is an [*Error] if Globus Auth refuses, such as for a scope that does
// not exist. API: POST /v2/oauth2/token.
func (s *Source) Consent(ctx context.Context, scopes []string) error {
	if len(scopes) == 0 {
		return errors.New("record a consent: no scopes")
	}
	if _, err := s.post(ctx, "v2/oauth2/token", grant(strings.Join(scopes, " "))); err != nil {
		return fmt.Errorf("record a consent: %w", err)
	}
	return nil
}

func grant(scope string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
}

// post sends a form as the service account and returns the body of the reply.
// If the secret is refused and a file holds it, the file is read once more,
// for it may have been written anew.
func (s *Source) post(ctx context.Context, path string, form url.Values) ([]byte, error) {
	secret := s.currentSecret()
	body, err := s.postWith(ctx, secret, path, form)
	if e, ok := errors.AsType[*Error](err); !ok || !e.refused() || s.creds.file == "" {
		return body, err
	}
	text, _, fileErr := readSecret(s.creds.file)
	if fileErr != nil {
		return nil, fmt.Errorf("%w; read the secret again: %w", err, fileErr)
	}
	if text == secret.Reveal() {
		return nil, err
	}
	s.log.InfoContext(ctx, "secret was refused and its file has a new one", "file", s.creds.file)
	secret = NewSecret(text)
	body, err = s.postWith(ctx, secret, path, form)
	if err == nil {
		s.mu.Lock()
		s.secret = secret
		s.mu.Unlock()
	}
	return body, err
}

func (s *Source) currentSecret() Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secret
}

// postWith sends a form with the Basic header that the official clients send,
// of the raw id and secret. RFC 6749 asks for both to be percent-encoded, but
// Globus Auth does not decode them.
func (s *Source) postWith(ctx context.Context, secret Secret, path string, form url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base.JoinPath(path).String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	basic := base64.StdEncoding.EncodeToString([]byte(s.creds.id + ":" + secret.Reveal()))
	req.Header.Set("Authorization", "Basic "+basic)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")

	body, err := s.do(s.http, req, secret.Reveal(), basic, form.Get("token"))
	if e, ok := errors.AsType[*Error](err); ok {
		e.ClientID = s.creds.id
	}
	return body, err
}

// do sends req through hc and returns the body of a 2xx reply. What is hidden
// does not get into the error, even if the service says it.
func (s *Source) do(hc *http.Client, req *http.Request, hidden ...string) ([]byte, error) {
	req.Header.Set("Accept", "application/json")
	resp, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	for _, t := range s.Tokens() {
		hidden = append(hidden, t.AccessToken.Reveal())
	}

	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	switch {
	case resp.StatusCode/100 != 2:
		return nil, newError(resp, body, mask(hidden))
	case err != nil:
		return nil, fmt.Errorf("read the reply: %w", err)
	case len(body) > maxReply:
		return nil, fmt.Errorf("reply is longer than %d bytes", maxReply)
	}
	return body, nil
}

// mask returns a replacer of what must not be shown, as such and as a form
// field.
func mask(hidden []string) *strings.Replacer {
	var pairs []string
	for _, text := range hidden {
		if text != "" {
			pairs = append(pairs, text, "[secret]", url.QueryEscape(text), "[secret]")
		}
	}
	return strings.NewReplacer(pairs...)
}
