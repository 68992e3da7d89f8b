package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

// An account is the identity that the program works as, a service account or a
// person.
type account interface {
	Token(ctx context.Context, resourceServer string) (auth.Token, error)
	Tokens() map[string]auth.Token
	Transport(resourceServer string, base http.RoundTripper) http.RoundTripper
	Consent(ctx context.Context, scopes []string) error
	Userinfo(ctx context.Context) (*auth.Userinfo, error)
}

// A kind is a way to have an identity.
type kind string

// The kinds, in the order in which they go before each other.
const (
	serviceAccount kind = "service account"
	refreshToken   kind = "refresh token"
	accessToken    kind = "access token"
	storedLogin    kind = "stored login"
)

// An identity is who the program is logged in as, and where that was found.
type identity struct {
	kind     kind
	clientID string
	from     string // the variable or file that it comes from
	username string // empty if it is not known
	warnings []string

	service clientcreds.Credentials
	refresh *login.RefreshToken
	access  *login.AccessToken
	store   *login.Store
	login   login.Login
}

// whoAmI finds out which identity is used. It sends nothing. The error is
// one of usage.
func (a *app) whoAmI() (*identity, error) {
	id, err := a.env.given()
	if id != nil || err != nil {
		return id, err
	}
	if id, err = a.storedIdentity(); id != nil || err != nil {
		return id, err
	}
	_, err = a.env.Credentials()
	return nil, fmt.Errorf("%w. Or log in as yourself: runner login --client-id ID", err)
}

// given returns the identity that variables give, or nil. Of several the one
// that goes first counts, and a warning names the others.
func (e *environment) given() (*identity, error) {
	id, err := e.first()
	if id == nil || err != nil {
		return nil, err
	}
	for _, other := range e.credentials() {
		if other != "" && other != id.from {
			id.warnings = append(id.warnings, fmt.Sprintf("%s is set too and not used: %s goes before it", other, id.from))
		}
	}
	return id, nil
}

// credentials are the variables that are set to something secret, one of each
// kind, in the order in which they go before each other; "" where none is.
func (e *environment) credentials() [3]string {
	return [...]string{
		e.Secret(),
		firstSet("RUNNER_REFRESH_TOKEN", e.Login.Refresh, e.Login.RefreshFile),
		firstSet("RUNNER_ACCESS_TOKEN", e.Login.Access, e.Login.AccessFile),
	}
}

// first returns the identity of the credentials that go before the others.
func (e *environment) first() (*identity, error) {
	clientID, variable, err := e.ID()
	if err != nil {
		return nil, err
	}
	set := e.credentials()
	switch secret, refresh, access := set[0], set[1], set[2]; {
	case secret != "":
		creds, err := e.Credentials()
		return &identity{
			kind: serviceAccount, clientID: creds.ID(), from: secret, username: creds.ID() + "@clients.auth.globus.org",
			service: creds, warnings: creds.Warnings(),
		}, err
	case refresh != "":
		return e.refreshIdentity(clientID, refresh)
	case access != "":
		t, warning, err := e.Login.AccessToken()
		return &identity{kind: accessToken, from: access, access: t, warnings: warnings(warning)}, err
	case clientID != "":
		_, err := e.Credentials()
		return nil, fmt.Errorf("%w; for a stored login, unset %s", err, variable)
	case !e.Login.Expires.IsZero():
		_, _, err := e.Login.AccessToken()
		return nil, err
	}
	return nil, nil
}

func (e *environment) refreshIdentity(clientID, variable string) (*identity, error) {
	if clientID == "" {
		return nil, fmt.Errorf("%s is set, but CLIENT_ID is not: set it to the client UUID of the native app that the token was given to", variable)
	}
	t, warning, err := e.Login.RefreshToken(clientID)
	return &identity{kind: refreshToken, clientID: clientID, from: variable, refresh: t, warnings: warnings(warning)}, err
}

// firstSet returns the variable that is set, the one with the secret or the
// one with the name of a file, or "".
func firstSet(variable string, secret auth.Secret, file string) string {
	switch {
	case !secret.IsZero():
		return variable
	case file != "":
		return variable + "_FILE"
	}
	return ""
}

// warnings is a list of what is not empty.
func warnings(list ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// logins is the file of logins; nil if the environment names no place for it.
func (a *app) logins() *login.Store {
	dir := a.env.XDGConfigHome
	if !filepath.IsAbs(dir) { // then the XDG specification has it ignored
		dir = filepath.Join(a.env.Home, ".config")
	}
	if !filepath.IsAbs(dir) {
		return nil
	}
	return login.NewStore(filepath.Join(dir, "globus-runner", "login.json"))
}

// storedIdentity returns that of the newest login at the service, or nil.
func (a *app) storedIdentity() (*identity, error) {
	store := a.logins()
	if store == nil {
		return nil, nil
	}
	all, err := store.Logins(a.env.authURL().String())
	if err != nil {
		return nil, fmt.Errorf("the stored login: %w", err)
	}
	if len(all) == 0 {
		return nil, nil
	}
	l := all[0]
	return &identity{kind: storedLogin, clientID: l.ClientID, from: store.File(), username: l.Username, store: store, login: l}, nil
}

// account returns the tokens of the identity. Scopes are what a service account
// asks for; those of a person were decided on at the login.
func (id *identity) account(client *auth.Client, scopes []auth.Scope) account {
	switch id.kind {
	case serviceAccount:
		return id.service.Source(clientcreds.WithClient(client), clientcreds.WithScopes(scopes...))
	case refreshToken:
		return &person{id.refresh.Source(client), client, id}
	case accessToken:
		return &person{id.access.Source(), client, id}
	default:
		return &person{id.store.Source(client, id.login), client, id}
	}
}

// String names the identity in a sentence.
func (id *identity) String() string {
	switch {
	case id == nil:
		return "the identity in use"
	case id.username != "":
		return id.username
	case id.kind == storedLogin:
		return "the person who logged in"
	}
	return "the person behind " + id.from
}

// fault is the identity as far as the next step after an error depends on it.
func (id *identity) fault() fault.Identity {
	who := fault.Identity{Name: id.String()}
	if id.person() {
		who.Login = func(session *transfer.AuthorizationParameters) string {
			if session == nil {
				return id.again()
			}
			return id.session(session)
		}
	}
	return who
}

// told reports whether Globus Auth tells the program who it is: there is a
// token for that.
func (id *identity) told() bool {
	_, ok := id.login.Tokens[auth.Server]
	return ok || id.kind == serviceAccount
}

// lasts returns until when the identity has a token for Transfer, if it cannot
// get new ones by itself. That may not be known.
func (id *identity) lasts() (until time.Time, known, bounded bool) {
	if id.kind == accessToken {
		return id.access.Expires, !id.access.Expires.IsZero(), true
	}
	t, ok := id.login.Tokens[auth.TransferServer]
	return t.Expires(), ok, id.kind == storedLogin && t.RefreshToken.IsZero()
}

// errNoPlace says that there is no place for logins.
func errNoPlace() error {
	return usageError{errors.New("neither XDG_CONFIG_HOME nor HOME is an absolute path, so there is no place for the login: set one of them")}
}
