// Package login gets access tokens for a person: by a login in a browser
// through a native app, by a refresh token, or as given tokens. A native app does
// not have a secret; PKCE binds the code of a login to the program that asked for
// it. A [Store] keeps logins in a file between starts.
//
// It is for trying things out, and for sites that do not accept service accounts.
// For service accounts, see package clientcreds.
package login

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/auth"
)

// An Error says why there is no token for the person. Trying again does not
// help, but a new login may.
type Error struct {
	Reason string // a sentence without its end
	Err    error  // the cause; may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Reason + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Temporary reports false.
func (e *Error) Temporary() bool { return false }

// refreshTime bounds a refresh. A refresh is not canceled when nobody waits for
// it any more, because its reply may hold the only refresh token that is still
// valid.
const refreshTime = time.Minute

// refresh makes one token request with a refresh token. The new token for the
// server always has a refresh token: the old one, unless the reply brings
// another.
func refresh(ctx context.Context, client *auth.Client, clientID, server string, old auth.Secret) (map[string]auth.Token, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTime)
	defer cancel()
	tokens, err := client.Grant(ctx, auth.Application{ID: clientID}, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {old.Reveal()},
	})
	if e, ok := errors.AsType[*auth.Error](err); ok && e.GrantRefused() {
		return nil, &Error{"the refresh token is not accepted: it was revoked, replaced by a newer one, or not used for six months", err}
	}
	if err != nil {
		return nil, err
	}
	t, ok := tokens[server]
	if !ok {
		others := strings.Join(slices.Sorted(maps.Keys(tokens)), " and ")
		return nil, &Error{fmt.Sprintf("the refresh token brings no token for %s, only for %s", server, others), nil}
	}
	if t.RefreshToken.IsZero() {
		t.RefreshToken = old
		tokens[server] = t
	}
	return tokens, nil
}
