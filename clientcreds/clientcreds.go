// Package clientcreds gets access tokens for a Globus service account, by the
// client-credentials grant of Globus Auth. It keeps tokens in memory only.
package clientcreds

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

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

// New returns a Source of tokens for creds with these scopes; none
// means [auth.TransferAll].
func New(client *auth.Client, creds Credentials, scopes ...auth.Scope) *Source {
	s := &Source{client: client, creds: creds, secret: creds.secret}
	if len(scopes) == 0 {
		scopes = []auth.Scope{{Name: auth.TransferAll}}
	}
	all := auth.Scopes(nil).Merge(scopes...).String()
	s.Source = auth.NewSource(func(ctx context.Context, _ string) (map[string]auth.Token, error) {
		return s.tokens(ctx, all)
	})
	return s
}

// Consent makes one token request for these scopes, which may have
// dependencies, and throws the tokens away: Globus Auth records the consents
// for the service account, and the tokens already held profit from them. The
// error is an [*auth.Error] if Globus Auth refuses, such as for a scope that
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

// Userinfo is [auth.Client.Userinfo] of the service account.
func (s *Source) Userinfo(ctx context.Context) (*auth.Userinfo, error) {
	return s.client.Userinfo(ctx, s.Source)
}

// Introspect is [auth.Client.Introspect] by the service account.
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
// a file holds it, the file is read once more, for it may have been written
// anew.
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
