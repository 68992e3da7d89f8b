package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// margin is how long before their end tokens are renewed.
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
	ExpiresIn   json.RawMessage `json:"expires_in"` // seconds
	OtherTokens []tokenReply    `json:"other_tokens"`
}

// parseTokens reads a token document, in which any token may stand on top.
func parseTokens(body []byte, now time.Time) (map[string]Token, error) {
	var top tokenReply
	if err := json.Unmarshal(body, &top); err != nil {
		return nil, fmt.Errorf("read the token document: %w", err)
	}
	tokens := make(map[string]Token)
	for _, r := range append([]tokenReply{top}, top.OtherTokens...) {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("read the token document: %w", err)
		}
		r.ExpiresAtSeconds = 0
		if life := lifetime(r.ExpiresIn); life > 0 {
			r.ExpiresAtSeconds = now.Add(life).Unix()
		}
		tokens[r.ResourceServer] = r.Token
	}
	return tokens, nil
}

// check reports what keeps a token from being sent. It shows no token.
func (r *tokenReply) check() error {
	const longest = 16 << 10 // bytes of one token; services refuse longer headers
	access, refresh := r.AccessToken.Reveal(), r.RefreshToken.Reveal()
	switch {
	case access == "" || r.ResourceServer == "":
		return errors.New("a token lacks access_token or resource_server")
	case !visible(access) || !visible(refresh):
		return errors.New("a token has a character in it that no token has, such as a blank or a control character")
	case len(access) > longest || len(refresh) > longest:
		return fmt.Errorf("a token is longer than %d KiB", longest>>10)
	case !visible(r.ResourceServer):
		return fmt.Errorf("%.100q is not the name of a resource server", r.ResourceServer)
	case r.TokenType != "" && !strings.EqualFold(r.TokenType, "Bearer"):
		return fmt.Errorf("token_type is %.40q, not Bearer", r.TokenType)
	}
	return nil
}

// visible reports whether a text has only visible characters of ASCII.
func visible(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// lifetime reads expires_in: a number of seconds, which some services write as
// text. It is 0, which means unknown, for what is missing, cannot be true, or
// is no more than the margin: such a token is used until it is refused, as each
// request would need another one otherwise.
func lifetime(doc json.RawMessage) time.Duration {
	const longest = 10 * 365 * 24 * time.Hour
	seconds, err := strconv.ParseFloat(strings.Trim(string(doc), `" `), 64)
	if err != nil || !(seconds > margin.Seconds() && seconds <= longest.Seconds()) { // which NaN is not
		return 0
	}
	return time.Duration(seconds) * time.Second
}
