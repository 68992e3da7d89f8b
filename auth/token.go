package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Tokens are renewed so long before they expire. One that lives no longer is
// used by those who waited for it and not kept.
const margin = 60 * time.Second

// A Token lets requests pass at one resource server. Encoding one is an error,
// since its secrets would be missing: see [Token.Document].
type Token struct {
	AccessToken      Secret `json:"access_token"`
	Scope            string `json:"scope"` // granted scopes, separated by spaces, without dependencies
	TokenType        string `json:"token_type"`
	ResourceServer   string `json:"resource_server"`
	ExpiresAtSeconds int64  `json:"expires_at_seconds"` // since 1970; 0 if nobody knows
	RefreshToken     Secret `json:"refresh_token"`      // empty unless it was asked for
}

// A TokenDocument is a [Token] with its secrets in plain text, to be kept in a
// file that nobody else can read. It encodes as Globus Auth writes tokens.
type TokenDocument struct {
	AccessToken      string `json:"access_token"`
	Scope            string `json:"scope"`
	TokenType        string `json:"token_type"`
	ResourceServer   string `json:"resource_server,omitempty"`
	ExpiresAtSeconds int64  `json:"expires_at_seconds"`
	RefreshToken     string `json:"refresh_token,omitempty"`
}

// Document returns the token with its secrets in plain text.
func (t Token) Document() TokenDocument {
	return TokenDocument{
		AccessToken: t.AccessToken.Reveal(), Scope: t.Scope, TokenType: t.TokenType, ResourceServer: t.ResourceServer,
		ExpiresAtSeconds: t.ExpiresAtSeconds, RefreshToken: t.RefreshToken.Reveal(),
	}
}

// Token returns the token that the document holds.
func (d TokenDocument) Token() Token {
	return Token{
		AccessToken: NewSecret(d.AccessToken), Scope: d.Scope, TokenType: d.TokenType, ResourceServer: d.ResourceServer,
		ExpiresAtSeconds: d.ExpiresAtSeconds, RefreshToken: NewSecret(d.RefreshToken),
	}
}

// Expires returns when the access token expires, in UTC; the zero time if
// nobody knows.
func (t Token) Expires() time.Time {
	if t.ExpiresAtSeconds == 0 {
		return time.Time{}
	}
	return time.Unix(t.ExpiresAtSeconds, 0).UTC()
}

// Usable reports whether the access token lives for 60 s more, as far as
// anybody knows, so that a request with it will not meet its end on the way.
func (t Token) Usable(now time.Time) bool {
	return t.ExpiresAtSeconds == 0 || t.Expires().Sub(now) > margin
}

// A tokenReply is one token as the service describes it, and the others.
type tokenReply struct {
	Token
	ExpiresIn   int64        `json:"expires_in"` // seconds; 0 if the service does not say
	OtherTokens []tokenReply `json:"other_tokens"`
}

// parseTokens reads a token document, in which any token may stand on top.
func parseTokens(body []byte, now time.Time) (map[string]Token, error) {
	var top tokenReply
	if err := json.Unmarshal(body, &top); err != nil {
		return nil, fmt.Errorf("read the token document: %w", err)
	}
	tokens := make(map[string]Token)
	for _, r := range append([]tokenReply{top}, top.OtherTokens...) {
		if r.AccessToken.IsZero() || r.ResourceServer == "" {
			return nil, errors.New("read the token document: a token lacks access_token or resource_server")
		}
		r.ExpiresAtSeconds = now.Unix() + r.ExpiresIn
		tokens[r.ResourceServer] = r.Token
	}
	return tokens, nil
}
