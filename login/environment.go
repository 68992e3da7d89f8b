package login

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/spelling"
)

// An Environment holds the variables that give a person's tokens. Its tags are
// for caarlos0/env; the tag desc says what a variable means. An empty variable
// counts as not set.
type Environment struct {
	Refresh     auth.Secret `env:"RUNNER_REFRESH_TOKEN" desc:"a person's refresh token for Transfer; CLIENT_ID is then the native app it was given to"`
	RefreshFile string      `env:"RUNNER_REFRESH_TOKEN_FILE" desc:"file that holds it, and that a newer one is written to"`
	Access      auth.Secret `env:"RUNNER_ACCESS_TOKEN" desc:"an access token for Transfer, used until it expires"`
	AccessFile  string      `env:"RUNNER_ACCESS_TOKEN_FILE" desc:"file that holds it; read again when the token is refused"`
	Expires     Instant     `env:"RUNNER_ACCESS_TOKEN_EXPIRES" desc:"when the access token expires: 2026-11-21T02:00:00Z or seconds since 1970; default: not known"`
}

// RefreshToken returns the refresh token, for the native app with this id, and
// a warning if its file is not private. It is nil if there is none.
func (e Environment) RefreshToken(clientID string) (t *RefreshToken, warning string, err error) {
	token, warning, err := given("RUNNER_REFRESH_TOKEN", e.Refresh, e.RefreshFile)
	if err != nil || token.IsZero() {
		return nil, "", err
	}
	return &RefreshToken{ClientID: clientID, Token: token, File: e.RefreshFile}, warning, nil
}

// AccessToken returns the access token, and a warning if its file is not
// private. It is nil if there is none.
func (e Environment) AccessToken() (t *AccessToken, warning string, err error) {
	token, warning, err := given("RUNNER_ACCESS_TOKEN", e.Access, e.AccessFile)
	switch {
	case err != nil:
		return nil, "", err
	case token.IsZero() && !e.Expires.IsZero():
		return nil, "", errors.New("RUNNER_ACCESS_TOKEN_EXPIRES is set, but RUNNER_ACCESS_TOKEN is not: set both or none")
	case token.IsZero():
		return nil, "", nil
	}
	return &AccessToken{Token: token, File: e.AccessFile, Expires: e.Expires.Time}, warning, nil
}

// given returns the token in a variable, or in the file that its _FILE variable
// names.
func given(variable string, token auth.Secret, file string) (auth.Secret, string, error) {
	switch {
	case file == "":
		return token, "", check(variable, token)
	case !token.IsZero():
		return auth.Secret{}, "", fmt.Errorf("%s and %[1]s_FILE are both set: unset one of them", variable)
	}
	variable += "_FILE"
	token, warning, err := readToken(file)
	switch {
	case err != nil:
		return auth.Secret{}, "", fmt.Errorf("%s: %w", variable, err)
	case warning != "":
		warning = variable + ": " + warning
	}
	return token, warning, nil
}

// readToken reads a token from a file, and returns a warning if everybody may
// read it.
func readToken(file string) (auth.Secret, string, error) {
	token, warning, err := auth.ReadSecret(file)
	if err == nil {
		err = check(file, token)
	}
	return token, warning, err
}

// check refuses what cannot be a token, such as two lines. Its error does not
// contain the token.
func check(where string, token auth.Secret) error {
	if around := spelling.Around(token.Reveal()); around != "" {
		return fmt.Errorf("%s: %s: keep the token alone", where, around)
	}
	if strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%s has a blank, a line end or an odd character in it: copy the token alone", where)
	}
	return nil
}

// An Instant is a time in a variable: RFC 3339, or seconds since 1970 as in a
// token's expires_at_seconds.
type Instant struct{ time.Time }

// UnmarshalText reads an instant.
func (i *Instant) UnmarshalText(text []byte) error {
	if seconds, err := strconv.ParseInt(string(text), 10, 64); err == nil && seconds > 0 && seconds < 1<<36 {
		i.Time = time.Unix(seconds, 0).UTC()
		return nil
	}
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf("%q is neither a time such as 2026-11-21T02:00:00Z nor a number of seconds since 1970", text)
	}
	i.Time = t.UTC()
	return nil
}
