// Package clientcreds gets access tokens for a Globus service account, by the
// client-credentials grant of Globus Auth. It keeps tokens in memory only.
package clientcreds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/auth"
)

// A Source gets and keeps the tokens of one service account. Its methods may be
// called concurrently.
type Source struct {
	*auth.Source
	client *auth.Client
	creds  Credentials

	mu     sync.Mutex  // never held while waiting
	secret auth.Secret // the one in use; the file may have brought a newer one than creds
}

// An Option configures a [Source].
type Option func(*options)

type options struct {
	client *auth.Client
	scopes []auth.Scope
}

// WithClient sends token requests through c, which owns retries, timeouts and
// the address of Globus Auth. Without it they go to production, without retries
// and with a timeout of 30 seconds.
func WithClient(c *auth.Client) Option { return func(o *options) { o.client = c } }

// WithScopes asks for tokens with these scopes instead of [auth.TransferAll].
func WithScopes(scopes ...auth.Scope) Option { return func(o *options) { o.scopes = scopes } }

// New returns a Source of tokens for the service account with this client id
// and secret. They are not checked until the first request for a token. If they
// are wrong, its error is an [*auth.Error] whose Refused is true.
func New(id, secret string, opts ...Option) *Source {
	return Credentials{id: id, secret: auth.NewSecret(secret)}.Source(opts...)
}

// Source returns a Source of tokens for the service account.
func (c Credentials) Source(opts ...Option) *Source {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.client == nil {
		o.client = auth.New(&http.Client{Timeout: 30 * time.Second})
	}
	if len(o.scopes) == 0 {
		o.scopes = []auth.Scope{{Name: auth.TransferAll}}
	}
	s := &Source{client: o.client, creds: c, secret: c.secret}
	all := auth.Scopes(nil).Merge(o.scopes...).String()
	s.Source = auth.NewSource(func(ctx context.Context, _ string) (map[string]auth.Token, error) {
		return s.tokens(ctx, all)
	})
	return s
}

// Consent makes one token request for these scopes, which may have
// dependencies, and discards the tokens. Globus Auth records the consents for
// the service account, so they also apply to tokens that it already has. The
// error is an [*auth.Error] if Globus Auth refuses, for example because a scope
// does not exist. API: POST /v2/oauth2/token.
func (s *Source) Consent(ctx context.Context, scopes []string) error {
	if len(scopes) == 0 {
		return errors.New("record a consent: no scopes")
	}
	if _, err := s.tokens(ctx, strings.Join(scopes, " ")); err != nil {
		return fmt.Errorf("record a consent: %w", err)
	}
	return nil
}

// Userinfo is [auth.Client.Userinfo] for the service account.
func (s *Source) Userinfo(ctx context.Context) (*auth.Userinfo, error) {
	return s.client.Userinfo(ctx, s.Source)
}

// Identities is [auth.Client.Identities] on behalf of the service account.
func (s *Source) Identities(ctx context.Context, q auth.IdentityQuery) ([]*auth.Identity, error) {
	return retried(ctx, s, func(app auth.Application) ([]*auth.Identity, error) {
		return s.client.Identities(ctx, app, q)
	})
}

// Call is [auth.Client.Call] on behalf of the service account.
func (s *Source) Call(ctx context.Context, method, path string, query url.Values, body json.RawMessage) (json.RawMessage, error) {
	return s.client.Call(ctx, s.Source, method, path, query, body)
}

// Introspect is [auth.Client.Introspect] on behalf of the service account.
func (s *Source) Introspect(ctx context.Context, token auth.Token) (*auth.Introspection, error) {
	return retried(ctx, s, func(app auth.Application) (*auth.Introspection, error) {
		return s.client.Introspect(ctx, app, token.AccessToken)
	})
}

// tokens makes one token request.
func (s *Source) tokens(ctx context.Context, scope string) (map[string]auth.Token, error) {
	return retried(ctx, s, func(app auth.Application) (map[string]auth.Token, error) {
		return s.client.Grant(ctx, app, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
	})
}

// retried sends a request as the service account. If the secret is refused and
// came from a file, the file is read again, because it may have been replaced.
func retried[T any](ctx context.Context, s *Source, send func(auth.Application) (T, error)) (T, error) {
	secret := s.currentSecret()
	reply, err := send(auth.Application{ID: s.creds.id, Secret: secret})
	if e, ok := errors.AsType[*auth.Error](err); !ok || !e.Refused() || s.creds.file == "" {
		return reply, err
	}
	written, _, fileErr := auth.ReadSecret(s.creds.file)
	if fileErr != nil {
		return reply, fmt.Errorf("%w; read the secret again: %w", err, fileErr)
	}
	if written.Reveal() == secret.Reveal() {
		return reply, err
	}
	s.client.Logger().InfoContext(ctx, "secret was refused and its file has a new one", "file", s.creds.file)
	secret = written
	reply, err = send(auth.Application{ID: s.creds.id, Secret: secret})
	if err == nil {
		s.mu.Lock()
		s.secret = secret
		s.mu.Unlock()
	}
	return reply, err
}

func (s *Source) currentSecret() auth.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secret
}
