package auth

import (
	"context"
	"encoding/json"
	"fmt"
)

// A Userinfo says whose tokens they are. What the service leaves out or
// gives as null is empty; which fields it gives depends on the scopes.
type Userinfo struct {
	Sub               string `json:"sub"`                // identity id; of a service account, equal to the client id
	PreferredUsername string `json:"preferred_username"` // of a service account, <client id>@clients.auth.globus.org
	Name              string `json:"name"`               // of a person, or of the application
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

// An Identity is one that Globus Auth knows by its username.
type Identity struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Name     string `json:"name"`   // empty if nobody has used it yet
	Status   string `json:"status"` // used, or unused
}

// IDOf returns a function that looks up the id alone of the identity with a username:
// "" if there is none.
func IDOf(lookUp func(ctx context.Context, username string) (*Identity, error)) func(ctx context.Context, username string) (id string, err error) {
	return func(ctx context.Context, username string) (string, error) {
		who, err := lookUp(ctx, username)
		if err != nil || who == nil {
			return "", err
		}
		return who.ID, nil
	}
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

func decode[T any](body []byte) (*T, error) {
	var doc T
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, &strangeReply{fmt.Errorf("read the document: %w", err)}
	}
	return &doc, nil
}
