package globussim

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	codeLifetime = 10 * time.Minute
	refreshIdle  = 180 * 24 * time.Hour // a refresh token that is not used so long ends
)

// A code is what a person has allowed, until the client redeems it.
type code struct {
	holder
	redirect  string
	state     string // of the login, which comes back with the tokens
	challenge string // PKCE, S256; empty for a client with a secret
	scopes    []*scope
	offline   bool
	issued    time.Time
}

// A refreshToken brings new access tokens for one resource server.
type refreshToken struct {
	holder
	server string
	scopes []string
	used   time.Time
}

// errGrant is the one error that comes in the form of OAuth alone.
func errGrant(description string) *authError {
	return &authError{status: http.StatusUnauthorized, oauth: "invalid_grant", description: description}
}

// issueCode makes a code, and deletes expired ones.
func (a *authority) issueCode(c *code) string {
	value := rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.codes, func(_ string, old *code) bool { return c.issued.Sub(old.issued) >= codeLifetime })
	a.codes[value] = c
	return value
}

// redeem grants the tokens of a code, once.
func (a *authority) redeem(account Account, form url.Values, now time.Time) (*grantDocument, *authError) {
	value := form.Get("code")
	a.mu.Lock()
	c, ok := a.codes[value]
	if ok && c.client == account.ID {
		delete(a.codes, value)
	}
	a.mu.Unlock()
	challenge := sha256.Sum256([]byte(form.Get("code_verifier")))
	switch {
	case !ok, c.client != account.ID, now.Sub(c.issued) >= codeLifetime:
		return nil, errGrant("The code is not valid")
	case form.Get("redirect_uri") != c.redirect:
		return nil, errGrant("The redirect_uri is not that of the login")
	case c.challenge != "" && encode(challenge[:]) != c.challenge:
		return nil, errGrant("The code_verifier is not that of the login")
	}
	doc, e := a.grant(c.holder, c.scopes, c.offline, now)
	if e != nil {
		return nil, e
	}
	doc.State = c.state
	return doc, nil
}

func (a *authority) issueRefresh(h holder, server string, scopes []string, now time.Time) string {
	value := "Ag" + rand.Text() + rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refreshes[value] = &refreshToken{holder: h, server: server, scopes: scopes, used: now}
	return value
}

// refresh grants a new access token, and a new refresh token if they rotate.
func (a *authority) refresh(account Account, value string, now time.Time) (*grantDocument, *authError) {
	if value == "" {
		return nil, oauthError(http.StatusBadRequest, "invalid_request", "refresh_token is missing")
	}
	a.mu.Lock()
	t, ok := a.refreshes[value]
	if ok && t.client == account.ID {
		if a.rotate || now.Sub(t.used) >= refreshIdle {
			delete(a.refreshes, value)
		}
		ok = now.Sub(t.used) < refreshIdle
		t.used = now
	}
	a.mu.Unlock()
	if !ok || t.client != account.ID {
		return nil, errGrant("The refresh token is not valid")
	}
	doc := &grantDocument{tokenDocument: a.document(t.holder, t.server, t.scopes, now), OtherTokens: []tokenDocument{}}
	if a.rotate {
		doc.RefreshToken = a.issueRefresh(t.holder, t.server, t.scopes, now)
	}
	return doc, nil
}

// discardRefreshes ends all refresh tokens that doomed picks and returns how
// many there were.
func (a *authority) discardRefreshes(doomed func(value string, t *refreshToken) bool) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := len(a.refreshes)
	maps.DeleteFunc(a.refreshes, doomed)
	return before - len(a.refreshes)
}

// endRefreshes ends the refresh tokens of the clients; of all if there are none
// named.
func (a *authority) endRefreshes(clients []string) int {
	return a.discardRefreshes(func(_ string, t *refreshToken) bool {
		return len(clients) == 0 || slices.Contains(clients, t.client)
	})
}
