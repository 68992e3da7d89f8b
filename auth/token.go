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

// A Token lets requests pass at one resource server.
type Token struct {
	AccessToken      Secret `json:"access_token"`
	Scope            string `json:"scope"` // granted scopes, separated by spaces, without dependencies
	TokenType        string `json:"token_type"`
	ResourceServer   string `json:"resource_server"`
	ExpiresAtSeconds int64  `json:"expires_at_seconds"` // since 1970; 0 if nobody knows
	RefreshToken     Secret `json:"refresh_token"`      // empty unless it was asked for
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
