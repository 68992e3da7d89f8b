package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

// An Account is the identity in use, a service account or a person.
type Account interface {
	Token(ctx context.Context, resourceServer string) (auth.Token, error)
	Tokens() map[string]auth.Token
	Transport(resourceServer string, base http.RoundTripper) http.RoundTripper
	Consent(ctx context.Context, scopes []string) error
	Userinfo(ctx context.Context) (*auth.Userinfo, error)
	Identities(ctx context.Context, q auth.IdentityQuery) ([]*auth.Identity, error)
	// Call sends a request to Globus Auth that has no method here.
	Call(ctx context.Context, method, path string, query url.Values, body json.RawMessage) (json.RawMessage, error)
}

// A Kind is a way to log in.
type Kind string

// The kinds, in the order of their precedence.
const (
	ServiceAccount Kind = "service account"
	RefreshToken   Kind = "refresh token"
	AccessToken    Kind = "access token"
	StoredLogin    Kind = "stored login"
)

// An Identity says which identity is used, and where its credentials come from.
type Identity struct {
	Kind     Kind
	ClientID string
	From     string // the variable or file that holds its credentials
	Username string // empty if it is not known
	Warnings []string

	service clientcreds.Credentials
	refresh *login.RefreshToken
	access  *login.AccessToken
	store   *login.Store
	login   login.Login
}

// Identity returns the identity in use: the one that variables give, or else
// that of the newest login. It sends no requests.
func (e *Environment) Identity() (*Identity, error) {
	id, err := e.Given()
	if id != nil || err != nil {
		return id, err
	}
	if id, err = e.storedIdentity(); id != nil || err != nil {
		return id, err
	}
	_, err = e.Credentials()
	return nil, fmt.Errorf("%w. Or log in as yourself: runner login --client-id ID", err)
}

// Given returns the identity that variables give, or nil. If there are several,
// the one with the highest precedence is used, and a warning names the others.
func (e *Environment) Given() (*Identity, error) {
	id, err := e.first()
	if id == nil || err != nil {
		return nil, err
	}
	for _, other := range e.credentials() {
		if other != "" && other != id.From {
			id.Warnings = append(id.Warnings, fmt.Sprintf("%s is also set but not used: %s takes precedence", other, id.From))
		}
	}
	return id, nil
}

// credentials returns the variables that are set to a secret, one of each kind
// in the order of precedence; "" if none of a kind is set.
func (e *Environment) credentials() [3]string {
	return [...]string{
		e.Secret(),
		firstSet("RUNNER_REFRESH_TOKEN", e.Login.Refresh, e.Login.RefreshFile),
		firstSet("RUNNER_ACCESS_TOKEN", e.Login.Access, e.Login.AccessFile),
	}
}

// first returns the identity of the credentials with the highest precedence.
func (e *Environment) first() (*Identity, error) {
	clientID, variable, err := e.ID()
	if err != nil {
		return nil, err
	}
	set := e.credentials()
	switch secret, refresh, access := set[0], set[1], set[2]; {
	case secret != "":
		creds, err := e.Credentials()
		return &Identity{
			Kind: ServiceAccount, ClientID: creds.ID(), From: secret, Username: creds.ID() + "@clients.auth.globus.org",
			service: creds, Warnings: creds.Warnings(),
		}, err
	case refresh != "":
		return e.refreshIdentity(clientID, refresh)
	case access != "":
		t, warning, err := e.Login.AccessToken()
		return &Identity{Kind: AccessToken, From: access, access: t, Warnings: warnings(warning)}, err
	case clientID != "":
		_, err := e.Credentials()
		return nil, fmt.Errorf("%w; for a stored login, unset %s", err, variable)
	case !e.Login.Expires.IsZero():
		_, _, err := e.Login.AccessToken()
		return nil, err
	}
	return nil, nil
}

func (e *Environment) refreshIdentity(clientID, variable string) (*Identity, error) {
	if clientID == "" {
		return nil, fmt.Errorf("%s is set, but CLIENT_ID is not: set it to the client UUID of the native app that the token was given to", variable)
	}
	t, warning, err := e.Login.RefreshToken(clientID)
	return &Identity{Kind: RefreshToken, ClientID: clientID, From: variable, refresh: t, Warnings: warnings(warning)}, err
}

// firstSet returns the name of the variable that is set, either to the secret
// or to its file, or "".
func firstSet(variable string, secret auth.Secret, file string) string {
	switch {
	case !secret.IsZero():
		return variable
	case file != "":
		return variable + "_FILE"
	}
	return ""
}

// warnings returns the texts that are not empty.
func warnings(list ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// Logins returns the store of logins, or nil if the environment names no folder for
// it.
func (e *Environment) Logins() *login.Store {
	dir := e.XDGConfigHome
	if !filepath.IsAbs(dir) { // the XDG specification says to ignore it
		dir = filepath.Join(e.Home, ".config")
	}
	if !filepath.IsAbs(dir) {
		return nil
	}
	return login.NewStore(filepath.Join(dir, "globus-runner", "login.json"))
}

// storedIdentity returns the identity of the newest login at the service, or nil.
func (e *Environment) storedIdentity() (*Identity, error) {
	store := e.Logins()
	if store == nil {
		return nil, nil
	}
	all, err := store.Logins(e.AuthURL().String())
	if err != nil {
		return nil, fmt.Errorf("the stored login: %w", err)
	}
	if len(all) == 0 {
		return nil, nil
	}
	l := all[0]
	return &Identity{Kind: StoredLogin, ClientID: l.ClientID, From: store.File(), Username: l.Username, store: store, login: l}, nil
}

// Account returns the account of the identity. scopes are for a service account
// only; those of a person were chosen at the login.
func (id *Identity) Account(client *auth.Client, scopes []auth.Scope) Account {
	switch id.Kind {
	case ServiceAccount:
		return id.service.Source(clientcreds.WithClient(client), clientcreds.WithScopes(scopes...))
	case RefreshToken:
		return &person{id.refresh.Source(client), client, id}
	case AccessToken:
		return &person{id.access.Source(), client, id}
	default:
		return &person{id.store.Source(client, id.login), client, id}
	}
}

// String names the identity in a sentence.
func (id *Identity) String() string {
	switch {
	case id == nil:
		return "the identity in use"
	case id.Username != "":
		return id.Username
	case id.Kind == StoredLogin:
		return "the person who logged in"
	}
	return "the person behind " + id.From
}

// Fault returns what the next step after an error depends on.
func (id *Identity) Fault() fault.Identity {
	who := fault.Identity{Name: id.String()}
	if id.Person() {
		who.Login = func(session *transfer.AuthorizationParameters) string {
			if session == nil {
				return id.again()
			}
			return id.session(session)
		}
	}
	return who
}

// Told reports whether the program can ask Globus Auth who it is: it has a
// token for that.
func (id *Identity) Told() bool {
	_, ok := id.login.Tokens[auth.Server]
	return ok || id.Kind == ServiceAccount
}

// Lasts returns when the identity's access to Transfer ends. bounded is false
// if it can get new tokens by itself; known is false if the end is not known.
func (id *Identity) Lasts() (until time.Time, known, bounded bool) {
	if id.Kind == AccessToken {
		return id.access.Expires, !id.access.Expires.IsZero(), true
	}
	t, ok := id.login.Tokens[auth.TransferServer]
	return t.Expires(), ok, id.Kind == StoredLogin && t.RefreshToken.IsZero()
}
