package clientcreds

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// authServer is the resource server of Globus Auth itself.
const authServer = "auth.globus.org"

// A Userinfo says who the service account is. What the service leaves out or
// gives as null is empty; which fields it gives depends on the scopes.
type Userinfo struct {
	Sub               string `json:"sub"`                // identity id; equal to the client id
	PreferredUsername string `json:"preferred_username"` // <client id>@clients.auth.globus.org
	Name              string `json:"name"`               // the application's name
	Email             string `json:"email"`              // none for a service account

	IdentityProvider            string `json:"identity_provider"` // id
	IdentityProviderDisplayName string `json:"identity_provider_display_name"`

	IdentitySet []LinkedIdentity `json:"identity_set"`
}

// A LinkedIdentity is one of the identities of an account.
type LinkedIdentity struct {
	Sub                         string `json:"sub"`
	Username                    string `json:"username"`
	Name                        string `json:"name"`
	Email                       string `json:"email"`
	IdentityProvider            string `json:"identity_provider"`
	IdentityProviderDisplayName string `json:"identity_provider_display_name"`
}

// Userinfo returns the identity behind the tokens. The Source must be built
// with [WithScopes] that include openid, and profile and email for the fields
// of that name; else there is no token for this call. The error is an [*Error]
// if Globus Auth refuses. API: GET /v2/oauth2/userinfo.
func (s *Source) Userinfo(ctx context.Context) (*Userinfo, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.JoinPath("v2/oauth2/userinfo").String(), nil)
	if err != nil {
		return nil, err
	}
	hc := *s.http
	hc.Transport = s.Transport(authServer, hc.Transport)
	body, err := s.do(&hc, req)
	if err != nil {
		return nil, fmt.Errorf("get the identity: %w", err)
	}
	return decode[Userinfo](body)
}

// An Introspection is what Globus Auth knows of a token. Of a token that is
// expired, revoked or unknown, only Active is set, to false.
type Introspection struct {
	Active    bool     `json:"active"`
	TokenType string   `json:"token_type"`
	Scope     string   `json:"scope"` // granted scopes, separated by spaces
	ClientID  string   `json:"client_id"`
	Username  string   `json:"username"`
	Name      string   `json:"name"`
	Email     string   `json:"email"`
	Exp       int64    `json:"exp"` // instants in seconds since 1970
	Iat       int64    `json:"iat"`
	Nbf       int64    `json:"nbf"`
	Sub       string   `json:"sub"` // identity id
	Aud       []string `json:"aud"`
	Iss       string   `json:"iss"`
}

// Introspect asks what a token is worth. The error is an [*Error] if Globus
// Auth refuses. API: POST /v2/oauth2/token/introspect.
func (s *Source) Introspect(ctx context.Context, token Token) (*Introspection, error) {
	body, err := s.post(ctx, "v2/oauth2/token/introspect", url.Values{"token": {token.AccessToken.Reveal()}})
	if err != nil {
		return nil, fmt.Errorf("introspect a token: %w", err)
	}
	return decode[Introspection](body)
}

func decode[T any](body []byte) (*T, error) {
	var doc T
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("read the reply: %w", err)
	}
	return &doc, nil
}
