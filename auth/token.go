package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Tokens are renewed this long before they expire.
const margin = 60 * time.Second

// A Token authorizes requests to one resource server. Encoding one is an error,
// because its secrets would be missing: see [Token.Document].
type Token struct {
	AccessToken      Secret `json:"access_token"`
	Scope            string `json:"scope"` // granted scopes, separated by spaces, without dependencies
	TokenType        string `json:"token_type"`
	ResourceServer   string `json:"resource_server"`
	ExpiresAtSeconds int64  `json:"expires_at_seconds"` // since 1970; 0 if not known
	RefreshToken     Secret `json:"refresh_token"`      // empty unless one was asked for
}

// A TokenDocument is a [Token] with its secrets in plain text, for a file that
// nobody else can read. Its JSON has the form of Globus Auth.
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

// Expires returns when the access token expires, in UTC, or the zero time if
// that is not known.
func (t Token) Expires() time.Time {
	if t.ExpiresAtSeconds == 0 {
		return time.Time{}
	}
	return time.Unix(t.ExpiresAtSeconds, 0).UTC()
}

// Usable reports whether the access token is valid for at least 60 s more, so
// that it does not expire during a request. A token without a known end counts
// as usable.
func (t Token) Usable(now time.Time) bool {
	return t.ExpiresAtSeconds == 0 || t.Expires().Sub(now) > margin
}

// A tokenReply is one token in the service's reply, with the others inside it.
type tokenReply struct {
	Token
	ExpiresIn   json.RawMessage `json:"expires_in"` // seconds
	OtherTokens []tokenReply    `json:"other_tokens"`
}

// parseTokens reads a token document. Any of the tokens may be the outermost.
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

// check returns an error if a token cannot be sent. The error does not show it.
func (r *tokenReply) check() error {
	const longest = 16 << 10 // bytes of one token; services refuse longer headers
	access, refresh := r.AccessToken.Reveal(), r.RefreshToken.Reveal()
	switch {
	case access == "" || r.ResourceServer == "":
		return errors.New("a token lacks access_token or resource_server")
	case !visible(access) || !visible(refresh):
		return errors.New("a token contains a character that no token has, such as a blank or a control character")
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
// text. It returns 0, unknown, if the value is missing, absurd or not above the
// margin. Such a token is used until it is refused, because otherwise each
// request would need another one.
func lifetime(doc json.RawMessage) time.Duration {
	const longest = 10 * 365 * 24 * time.Hour
	seconds, err := strconv.ParseFloat(strings.Trim(string(doc), `" `), 64)
	if err != nil || !(seconds > margin.Seconds() && seconds <= longest.Seconds()) { // which NaN is not
		return 0
	}
	return time.Duration(seconds) * time.Second
}
