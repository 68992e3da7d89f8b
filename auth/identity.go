package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A Userinfo describes the owner of tokens. Which fields are set depends on the
// scopes; the others are empty.
type Userinfo struct {
	Sub               string `json:"sub"`                // identity id; for a service account, the client id
	PreferredUsername string `json:"preferred_username"` // for a service account, <client id>@clients.auth.globus.org
	Name              string `json:"name"`               // of a person, or of the application
	Email             string `json:"email"`              // empty for a service account

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

// An Identity is a person or application that Globus Auth knows. Fields that the
// service omits are empty.
type Identity struct {
	ID           string `json:"id"`
	Username     string `json:"username"`
	Name         string `json:"name"` // empty if nobody has used it yet
	Organization string `json:"organization"`
	Email        string `json:"email"`
	Status       string `json:"status"` // used or unused

	Raw json.RawMessage `json:"-"` // the document as received
}

// UnmarshalJSON reads the identity and keeps the document in Raw.
func (i *Identity) UnmarshalJSON(doc []byte) error {
	type fields Identity
	if err := json.Unmarshal(doc, (*fields)(i)); err != nil {
		return err
	}
	i.Raw = slices.Clone(doc)
	return nil
}

// An IdentityQuery says which identities to look up. The answer is in the service's
// order, without those that Globus Auth does not know.
type IdentityQuery struct {
	IDs, Usernames []string
	Provision      bool // create an identity for each username that has none
}

const (
	identitiesPath = "v2/api/identities"
	maxAsked       = 100 // identities in one request, as the official clients ask
)

// ask sends the requests of a query with send. Each has either ids or usernames.
func (q IdentityQuery) ask(send func(url.Values) ([]byte, error)) ([]*Identity, error) {
	var all []*Identity
	for _, by := range []struct {
		field string
		names []string
		more  url.Values
	}{
		{"ids", q.IDs, url.Values{}},
		{"usernames", q.Usernames, url.Values{"provision": {strconv.FormatBool(q.Provision)}}},
	} {
		for names := range slices.Chunk(by.names, maxAsked) {
			by.more.Set(by.field, strings.Join(names, ","))
			body, err := send(by.more)
			if err != nil {
				return nil, fmt.Errorf("look up %s: %w", q, err)
			}
			found, err := decode[struct{ Identities []*Identity }](body)
			if err != nil {
				return nil, err
			}
			all = append(all, found.Identities...)
		}
	}
	return slices.DeleteFunc(all, func(i *Identity) bool { return i == nil || i.ID == "" }), nil
}

// String names what is looked up, for errors.
func (q IdentityQuery) String() string {
	switch names := slices.Concat(q.Usernames, q.IDs); {
	case len(names) != 1:
		return fmt.Sprintf("%d identities", len(names))
	case len(q.IDs) == 1:
		return "the identity " + names[0]
	default:
		return "the user " + names[0]
	}
}

// IDOf returns a function that looks up a username and returns the identity's id, or
// "" if there is none.
func IDOf(lookUp func(ctx context.Context, q IdentityQuery) ([]*Identity, error)) func(ctx context.Context, username string) (id string, err error) {
	return func(ctx context.Context, username string) (string, error) {
		found, err := lookUp(ctx, IdentityQuery{Usernames: []string{username}})
		for _, who := range found {
			if strings.EqualFold(who.Username, username) {
				return who.ID, nil
			}
		}
		return "", err
	}
}

// An Introspection is what Globus Auth knows about a token. If the token has
// expired, was revoked or is unknown, Active is false and nothing else is set.
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
