package globussim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// An authority is Globus Auth: it knows the accounts, issues tokens and keeps
// consents.
type authority struct {
	errorForm   func() AuthForm // of the token endpoint
	lifetime    time.Duration
	rotate      bool // refresh tokens are good once
	persons     []Person
	collections map[string]Collection // by id
	scopes      map[string]string     // resource servers by scope
	key         func() (*rsa.PrivateKey, error)

	keeper *keeper // nil: nothing outlives the process

	mu          sync.Mutex
	accounts    map[string]Account        // by client id
	tokens      map[string]*token         // by value
	refreshes   map[string]*refreshToken  // by value
	codes       map[string]*code          // by value
	issued      map[string]map[string]int // client id, resource server
	consents    map[party][]*consent
	lastConsent int                 // id
	provisioned map[string]identity // by username
}

// A party is an identity that acts through a client. A service account is both
// itself.
type party struct{ client, identity string }

// A holder is a party with what its session has met.
type holder struct {
	party
	policies []string // ids of authentication policies; a service account meets none
	mfa      bool     // a second factor; a service account has none
}

// A token is an access token. It is valid until it expires or is revoked, which deletes it.
type token struct {
	holder
	server  string // resource server
	scopes  []string
	issued  time.Time
	expires time.Time
}

func newAuthority(cfg Config) *authority {
	a := &authority{
		lifetime:    cfg.TokenLifetime,
		rotate:      cfg.RotateRefreshTokens,
		persons:     cfg.Persons,
		accounts:    make(map[string]Account),
		collections: make(map[string]Collection),
		scopes:      fixedScopes(),
		// Making the key takes a while, and most uses need none.
		key:         sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }),
		tokens:      make(map[string]*token),
		refreshes:   make(map[string]*refreshToken),
		codes:       make(map[string]*code),
		issued:      make(map[string]map[string]int),
		consents:    make(map[party][]*consent),
		provisioned: make(map[string]identity),
	}
	a.accounts[globusCLI] = Account{ID: globusCLI, Name: "Globus CLI", NativeApp: true}
	for _, account := range cfg.Accounts {
		a.accounts[account.ID] = account
	}
	for _, f := range cfg.Flows {
		a.scopes[flowScope(f.ID)] = f.ID
	}
	for _, c := range cfg.Collections {
		a.collections[c.ID] = c
	}
	return a
}

func (a *authority) routes(mux *router) {
	mux.HandleFunc("GET /v2/oauth2/authorize", a.serveAuthorize)
	mux.HandleFunc("POST /v2/oauth2/authorize", a.serveDecision)
	mux.HandleFunc("GET "+codePage, a.serveCode)
	mux.HandleFunc("POST /v2/oauth2/token", a.serveToken)
	mux.HandleFunc("POST /v2/oauth2/token/introspect", a.serveIntrospect)
	mux.HandleFunc("POST /v2/oauth2/token/revoke", a.serveRevoke)
	mux.HandleFunc("GET /v2/oauth2/userinfo", a.serveUserinfo)
	mux.HandleFunc("POST /v2/oauth2/token/validate", a.serveValidate)
	mux.HandleFunc("POST /v2/api/clients", a.serveNewClient)
	mux.HandleFunc("DELETE /v2/api/clients/{id}", a.serveDeleteClient)
	mux.HandleFunc("GET /v2/api/identities", a.serveIdentities)
	mux.HandleFunc("GET /v2/api/identities/{id}", a.serveIdentity)
	mux.HandleFunc("GET /v2/api/identities/{id}/consents", a.serveConsents)
	mux.HandleFunc("GET /v2/api/identity_providers", a.serveProviders)
	mux.HandleFunc("GET /.well-known/openid-configuration", a.serveDiscovery)
	mux.HandleFunc("GET "+jwksPath, a.serveKeys)
}

// issue makes a token for one resource server and returns its value.
func (a *authority) issue(h holder, server string, scopes []string, now time.Time) string {
	value := "Ag" + rand.Text() + rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens[value] = &token{holder: h, server: server, scopes: scopes, issued: now, expires: now.Add(a.lifetime)}
	if a.issued[h.client] == nil {
		a.issued[h.client] = make(map[string]int)
	}
	a.issued[h.client][server]++
	return value
}

// active returns the token of that value, if it is still good.
func (a *authority) active(value string, now time.Time) (token, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.tokens[value]
	if !ok {
		return token{}, false
	}
	if !now.Before(t.expires) {
		delete(a.tokens, value)
		return token{}, false
	}
	return *t, true
}

// discard ends all tokens for which doomed returns true, and returns how many there were.
func (a *authority) discard(doomed func(value string, t *token) bool) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for value, t := range a.tokens {
		if doomed(value, t) {
			delete(a.tokens, value)
			n++
		}
	}
	return n
}

// endTokens ends the access tokens of the clients; of all if there are none
// named.
func (s *Server) endTokens(clients []string) int {
	return s.auth.discard(func(_ string, t *token) bool {
		return len(clients) == 0 || slices.Contains(clients, t.client)
	})
}

// issuedTokens counts the tokens by client id and resource server.
func (a *authority) issuedTokens() map[string]map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := make(map[string]map[string]int, len(a.issued))
	for client, servers := range a.issued {
		counts[client] = maps.Clone(servers)
	}
	return counts
}

// caller returns whose request it is, by its bearer token for Transfer.
func (s *Server) caller(r *http.Request) (holder, *apiError) {
	if r.Header.Get("Authorization") == "" {
		return holder{}, &apiError{
			Status: http.StatusBadRequest, Code: "ClientError.AuthenticationFailed",
			Message: "No credentials supplied",
		}
	}
	t, ok := s.auth.active(bearer(r), s.now())
	if !ok || t.server != transferServer {
		return holder{}, &apiError{
			Status: http.StatusUnauthorized, Code: "AuthenticationFailed",
			Message: "Token is not active",
		}
	}
	if !slices.Contains(t.scopes, transferAll) {
		return holder{}, &apiError{
			Status: http.StatusForbidden, Code: "PermissionDenied",
			Message: "The token does not have the scope " + transferAll,
		}
	}
	return t.holder, nil
}

// bearer returns the request's bearer token, or "".
func bearer(r *http.Request) string {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(value)
}

// client returns the account that authenticates itself with its id and secret,
// by Basic authorization or in the form. A native app has no secret and names
// its id in the form.
func (a *authority) client(r *http.Request) (Account, *authError) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	if id == "" {
		return Account{}, oauthError(http.StatusUnauthorized, "invalid_client", "The client did not authenticate itself")
	}
	account, ok := a.account(id)
	if !ok && basic {
		account, ok = a.account(unescape(id))
	}
	switch {
	case ok && account.NativeApp:
		return account, nil
	case ok && sameSecret(secret, account.Secret):
		return account, nil
	case ok && basic && sameSecret(unescape(secret), account.Secret):
		return account, nil
	}
	e := oauthError(http.StatusUnauthorized, "invalid_client", "Client authentication failed")
	if basic {
		e.code, e.detail = "UNAUTHORIZED", "Basic auth failed"
	}
	return Account{}, e
}

// unescape undoes form encoding, which some clients, but not the official ones, apply before
// they build the Basic header.
func unescape(text string) string {
	plain, err := url.QueryUnescape(text)
	if err != nil {
		return text
	}
	return plain
}

func sameSecret(got, want string) bool {
	return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}
