package globussim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A tokenDocument is one token of a grant.
type tokenDocument struct {
	AccessToken    string `json:"access_token"`
	Scope          string `json:"scope"`
	ExpiresIn      int    `json:"expires_in"` // seconds
	TokenType      string `json:"token_type"`
	ResourceServer string `json:"resource_server"`
	RefreshToken   string `json:"refresh_token,omitempty"`
}

// A grantDocument is the answer of the token endpoint: one token for each
// resource server.
type grantDocument struct {
	tokenDocument
	OtherTokens []tokenDocument `json:"other_tokens"`
	State       string          `json:"state,omitempty"` // of the login
	IDToken     string          `json:"id_token,omitempty"`
}

// serveToken answers POST /v2/oauth2/token.
func (a *authority) serveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	writeAuthError := func(w http.ResponseWriter, e *authError) { writeAuthErrorAs(w, e, a.errorForm()) }
	if err := r.ParseForm(); err != nil {
		writeAuthError(w, oauthError(http.StatusBadRequest, "invalid_request", "The body is not a form"))
		return
	}
	account, e := a.client(r)
	if e != nil {
		writeAuthError(w, e)
		return
	}
	var doc *grantDocument
	switch kind := r.PostForm.Get("grant_type"); kind {
	case "client_credentials":
		doc, e = a.clientCredentials(account, r.PostForm.Get("scope"), time.Now().UTC())
	case "authorization_code":
		doc, e = a.redeem(account, r.PostForm, time.Now().UTC())
	case "refresh_token":
		doc, e = a.refresh(account, r.PostForm.Get("refresh_token"), time.Now().UTC())
	case "":
		e = oauthError(http.StatusBadRequest, "invalid_request", "grant_type is missing")
	case "urn:globus:auth:grant_type:dependent_token":
		e = newAuthError(http.StatusNotImplemented, "NOT_IMPLEMENTED", "The simulator does not have dependent tokens: no client of it is a service")
	default:
		e = oauthError(http.StatusBadRequest, "unsupported_grant_type", "This grant_type is not supported")
	}
	if e != nil {
		writeAuthError(w, e)
		return
	}
	writeJSON(w, http.StatusOK, doc)
}

// clientCredentials grants a service account the tokens of the scopes, and
// records its consent to their dependencies.
func (a *authority) clientCredentials(account Account, text string, now time.Time) (*grantDocument, *authError) {
	if account.NativeApp {
		return nil, oauthError(http.StatusBadRequest, "unauthorized_client", "A native app may not use this grant_type")
	}
	scopes, e := a.knownScopes(text)
	if e != nil {
		return nil, e
	}
	h := holder{party: party{account.ID, account.ID}}
	a.consent(h.party, scopes, now)
	return a.grant(h, scopes, false, now)
}

// knownScopes reads the scopes of a request.
func (a *authority) knownScopes(text string) ([]*scope, *authError) {
	scopes, err := parseScopes(text)
	if err != nil {
		return nil, oauthError(http.StatusBadRequest, "invalid_scope", fmt.Sprintf("The scope is malformed: %v", err))
	}
	var unknown []string
	for path := range paths(scopes, nil) {
		if name := path[len(path)-1].name; !slices.Contains(unknown, name) {
			if _, known := a.resourceServer(name); !known {
				unknown = append(unknown, name)
			}
		}
	}
	if len(unknown) > 0 {
		e := oauthError(http.StatusBadRequest, "invalid_scope", fmt.Sprintf("Unknown scopes: %s", strings.Join(unknown, " ")))
		e.code = "UNKNOWN_SCOPE_ERROR"
		return nil, e
	}
	return scopes, nil
}

// grant issues a token for each resource server of the scopes, in the order in
// which they were asked for; offline, each with a refresh token. A token that
// comes with an id_token goes first: clients look for both in one place.
func (a *authority) grant(h holder, scopes []*scope, offline bool, now time.Time) (*grantDocument, *authError) {
	var servers []string
	names := make(map[string][]string)
	for _, sc := range scopes {
		server, _ := a.resourceServer(sc.name)
		if names[server] == nil {
			servers = append(servers, server)
		}
		names[server] = append(names[server], sc.name)
	}
	identified := slices.Contains(names[authServer], "openid")
	if i := slices.Index(servers, authServer); identified && i > 0 {
		servers = slices.Insert(slices.Delete(servers, i, i+1), 0, authServer)
	}
	tokens := make([]tokenDocument, 0, len(servers))
	for _, server := range servers {
		t := a.document(h, server, names[server], now)
		if offline {
			t.RefreshToken = a.issueRefresh(h, server, names[server], now)
		}
		tokens = append(tokens, t)
	}
	doc := &grantDocument{tokenDocument: tokens[0], OtherTokens: tokens[1:]}
	if identified {
		var err error
		if doc.IDToken, err = a.idToken(h.party, now); err != nil {
			return nil, newAuthError(http.StatusInternalServerError, "", "The id_token could not be signed")
		}
	}
	return doc, nil
}

// document issues a token and describes it.
func (a *authority) document(h holder, server string, scopes []string, now time.Time) tokenDocument {
	return tokenDocument{
		AccessToken:    a.issue(h, server, scopes, now),
		Scope:          strings.Join(scopes, " "),
		ExpiresIn:      int(a.lifetime.Seconds()),
		TokenType:      "Bearer",
		ResourceServer: server,
	}
}

// serveIntrospect answers POST /v2/oauth2/token/introspect.
func (a *authority) serveIntrospect(w http.ResponseWriter, r *http.Request) {
	value, account, ok := a.tokenInForm(w, r)
	if !ok {
		return
	}
	if account.NativeApp {
		writeAuthError(w, errUnauthenticated())
		return
	}
	t, active := a.live(value, time.Now().UTC())
	if !active {
		writeJSON(w, http.StatusOK, map[string]any{"active": false})
		return
	}
	id, _ := a.identityByID(t.identity)
	doc := map[string]any{
		"active":     true,
		"token_type": "Bearer",
		"scope":      strings.Join(t.scopes, " "),
		"client_id":  t.client,
		"sub":        id.ID,
		"username":   id.Username,
		"name":       id.Name,
		"email":      id.Email,
		"exp":        t.expires.Unix(),
		"iat":        t.issued.Unix(),
		"nbf":        t.issued.Unix(),
		"aud":        []string{t.server, t.client},
		"iss":        issuer,
	}
	for extra := range strings.SplitSeq(r.PostForm.Get("include"), ",") {
		switch extra {
		case "identity_set":
			doc["identity_set"] = []string{id.ID}
		case "identity_set_detail":
			doc["identity_set_detail"] = []identity{id}
		case "session_info":
			doc["session_info"] = map[string]any{"session_id": nil, "authentications": map[string]any{}}
		}
	}
	writeJSON(w, http.StatusOK, doc)
}

// live returns the access token of that value, or what is known of the refresh
// token, if it is still good.
func (a *authority) live(value string, now time.Time) (token, bool) {
	if t, ok := a.active(value, now); ok {
		return t, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.refreshes[value]
	if !ok || now.Sub(t.used) >= refreshIdle {
		return token{}, false
	}
	return token{holder: t.holder, server: t.server, scopes: t.scopes, issued: t.used, expires: t.used.Add(refreshIdle)}, true
}

// serveValidate answers POST /v2/oauth2/token/validate, which globus-cli asks
// whether its login is still good.
func (a *authority) serveValidate(w http.ResponseWriter, r *http.Request) {
	value, _, ok := a.tokenInForm(w, r)
	if !ok {
		return
	}
	_, active := a.live(value, time.Now().UTC())
	writeJSON(w, http.StatusOK, map[string]any{"active": active})
}

// serveRevoke answers POST /v2/oauth2/token/revoke. A client revokes its own
// tokens only, and a native app those of the clients made from it; the answer
// does not tell.
func (a *authority) serveRevoke(w http.ResponseWriter, r *http.Request) {
	value, account, ok := a.tokenInForm(w, r)
	if !ok {
		return
	}
	clients := append(a.madeFrom(account.ID), account.ID)
	a.discard(func(v string, t *token) bool { return v == value && slices.Contains(clients, t.client) })
	a.discardRefreshes(func(v string, t *refreshToken) bool { return v == value && slices.Contains(clients, t.client) })
	writeJSON(w, http.StatusOK, map[string]any{"active": false})
}

// tokenInForm returns the token that an authenticated client sends in a form.
// If there is none it has answered the request.
func (a *authority) tokenInForm(w http.ResponseWriter, r *http.Request) (value string, account Account, ok bool) {
	if err := r.ParseForm(); err != nil {
		writeAuthError(w, oauthError(http.StatusBadRequest, "invalid_request", "The body is not a form"))
		return "", Account{}, false
	}
	account, e := a.client(r)
	if e != nil {
		writeAuthError(w, e)
		return "", Account{}, false
	}
	if value = r.PostForm.Get("token"); value == "" {
		writeAuthError(w, oauthError(http.StatusBadRequest, "invalid_request", "token is missing"))
		return "", Account{}, false
	}
	return value, account, true
}
