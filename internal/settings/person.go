package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

// A person is an account that gives its consents in a browser.
type person struct {
	*auth.Source
	client *auth.Client
	id     *Identity
}

// Consent returns an error that says how to give the consent: only a login in a
// browser can.
func (p *person) Consent(_ context.Context, scopes []string) error {
	wanted, err := auth.ParseScopes(strings.Join(scopes, " "))
	if err != nil {
		return &login.Error{Reason: "the scopes that the service asks for cannot be read", Err: err}
	}
	if p.id.Kind == AccessToken {
		return &login.Error{Reason: fmt.Sprintf("%s has to consent to %s in a browser, and the token be made anew", p.id, wanted)}
	}
	return &login.Error{Reason: fmt.Sprintf("%s has to consent in a browser; %s", p.id, p.id.again(wanted...))}
}

// Userinfo is [auth.Client.Userinfo] of the person.
func (p *person) Userinfo(ctx context.Context) (*auth.Userinfo, error) {
	return p.client.Userinfo(ctx, p.Source)
}

// Identities is [auth.Client.IdentitiesFor] on behalf of the person.
func (p *person) Identities(ctx context.Context, q auth.IdentityQuery) ([]*auth.Identity, error) {
	return p.client.IdentitiesFor(ctx, p.Source, q)
}

// Call is [auth.Client.Call] on behalf of the person.
func (p *person) Call(ctx context.Context, method, path string, query url.Values, body json.RawMessage) (json.RawMessage, error) {
	return p.client.Call(ctx, p.Source, method, path, query, body)
}

// Advise wraps next, the transport to a service that needs these scopes besides the
// usual ones. If the person has to log in again, the error says how, so that a log
// shows it too.
func (id *Identity) Advise(next http.RoundTripper, scopes ...auth.Scope) http.RoundTripper {
	return advised{next, id, scopes}
}

type advised struct {
	http.RoundTripper
	id     *Identity
	scopes []auth.Scope
}

func (a advised) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.RoundTripper.RoundTrip(r)
	if _, ok := errors.AsType[*login.Error](err); ok {
		err = fmt.Errorf("%w; %s", err, a.id.again(a.scopes...))
	}
	return resp, err
}

// LogInAgain is the beginning of the advice to log in again.
const LogInAgain = "log in again: "

// again says how the person gets new tokens that also have these scopes.
func (id *Identity) again(scopes ...auth.Scope) string { return id.loginWith("", scopes...) }

// loginWith is [Identity.again] with more flags.
func (id *Identity) loginWith(flags string, scopes ...auth.Scope) string {
	if id.Kind == AccessToken {
		return "give a new one in " + id.From
	}
	old, _ := auth.ParseScopes(id.login.Scopes) // scopes that cannot be read are not asked for again
	command := "runner login --client-id " + id.ClientID
	if more := besides(old.Merge(scopes...), login.DefaultScopes()); len(more) > 0 {
		command += " --scopes " + quote(more.String())
	}
	command += flags
	if id.Kind == RefreshToken {
		return LogInAgain + command + " --refresh-token-file FILE, and give the new token in " + id.From
	}
	return LogInAgain + command
}

// Person reports whether the identity is a person, who can log in again.
func (id *Identity) Person() bool { return id != nil && id.Kind != ServiceAccount }

// session says how the person logs in with the session and the scopes that a service
// demands.
func (id *Identity) session(wanted *transfer.AuthorizationParameters) string {
	var flags strings.Builder
	for _, flag := range []struct {
		name   string
		values []string
	}{
		{"identities", wanted.SessionRequiredIdentities},
		{"single-domain", wanted.SessionRequiredSingleDomain},
		{"policies", wanted.SessionRequiredPolicies},
	} {
		if len(flag.values) > 0 {
			flags.WriteString(" --session-required-" + flag.name + " " + quote(strings.Join(flag.values, ",")))
		}
	}
	if wanted.SessionRequiredMFA != nil && *wanted.SessionRequiredMFA {
		flags.WriteString(" --session-required-mfa")
	}
	if wanted.Prompt == "login" {
		flags.WriteString(" --prompt login")
	}
	scopes, _ := auth.ParseScopes(strings.Join(wanted.RequiredScopes, " ")) // invalid scopes cannot be asked for
	return id.loginWith(flags.String(), scopes...)
}

// besides returns the scopes that are not among the usual ones.
func besides(scopes, usual auth.Scopes) auth.Scopes {
	return slices.DeleteFunc(scopes, func(s auth.Scope) bool {
		return len(s.Dependencies) == 0 && slices.ContainsFunc(usual, func(u auth.Scope) bool { return u.Name == s.Name })
	})
}

// quote makes a text one word of a shell command, on one line. Scopes come from
// a service, and must not deceive a person who copies the line.
func quote(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
