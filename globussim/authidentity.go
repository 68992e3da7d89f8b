package globussim

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// clientDomain is the domain of every service account's username.
const clientDomain = "clients.auth.globus.org"

// maxProvisioned is how many identities may be made up on request.
const maxProvisioned = 10_000

// An identity is the document about one.
type identity struct {
	ID               string  `json:"id"`
	Username         string  `json:"username"`
	Name             *string `json:"name"`
	Email            *string `json:"email"`
	Organization     *string `json:"organization"`
	Status           string  `json:"status"`
	IdentityProvider string  `json:"identity_provider"`
	IdentityType     string  `json:"identity_type"`
}

// accountIdentity returns the identity that a service account is.
func (a *authority) accountIdentity(account Account) identity {
	return identity{
		ID:               account.ID,
		Username:         account.ID + "@" + clientDomain,
		Name:             &account.Name,
		Status:           "used",
		IdentityProvider: nameID(clientDomain),
		IdentityType:     "client",
	}
}

// caller returns the identity that calls an API of Auth, with a token for it or
// with a client's secret.
func (a *authority) caller(r *http.Request) (id string, e *authError) {
	if _, _, basic := r.BasicAuth(); basic {
		account, e := a.client(r)
		if e != nil || account.NativeApp {
			return "", errUnauthenticated()
		}
		return account.ID, nil
	}
	t, ok := a.active(bearer(r), time.Now().UTC())
	if !ok || t.server != authServer {
		return "", errUnauthenticated()
	}
	return t.identity, nil
}

// serveIdentities answers GET /v2/api/identities.
func (a *authority) serveIdentities(w http.ResponseWriter, r *http.Request) {
	if _, e := a.caller(r); e != nil {
		writeAuthError(w, e)
		return
	}
	query := r.URL.Query()
	ids, names := split(query.Get("ids")), split(query.Get("usernames"))
	if (len(ids) == 0) == (len(names) == 0) {
		writeAuthError(w, newAuthError(http.StatusBadRequest, "INVALID_PARAMETERS", "Give either ids or usernames"))
		return
	}
	found := []identity{}
	for _, id := range ids {
		if who, ok := a.identityByID(id); ok {
			found = append(found, who)
		}
	}
	for _, name := range names {
		if who, ok := a.identityByName(name, query.Get("provision") == "true"); ok {
			found = append(found, who)
		}
	}
	doc := map[string]any{"identities": found}
	if query.Get("include") == "identity_provider" {
		doc["included"] = map[string]any{"identity_providers": a.providersOf(found)}
	}
	writeJSON(w, http.StatusOK, doc)
}

// serveIdentity answers GET /v2/api/identities/<id>.
func (a *authority) serveIdentity(w http.ResponseWriter, r *http.Request) {
	if _, e := a.caller(r); e != nil {
		writeAuthError(w, e)
		return
	}
	who, ok := a.identityByID(r.PathValue("id"))
	if !ok {
		writeAuthError(w, newAuthError(http.StatusNotFound, "", "There is no such identity"))
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"identity": who})
}

// split returns the elements of a list in a query, without empty ones.
func split(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return s == "" })
}

func (a *authority) identityByID(id string) (identity, bool) {
	id = strings.ToLower(id)
	if account, ok := a.account(id); ok {
		return a.accountIdentity(account), true
	}
	for _, p := range a.persons {
		if p.ID == id {
			return p.identity(), true
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, who := range a.provisioned {
		if who.ID == id {
			return who, true
		}
	}
	return identity{}, false
}

// identityByName looks a username up. With provision it makes the identity up
// if there is none, as for somebody who has not logged in so far.
func (a *authority) identityByName(name string, provision bool) (identity, bool) {
	name = strings.ToLower(name)
	user, domain, ok := strings.Cut(name, "@")
	if domain == clientDomain {
		account, ok := a.account(user)
		return a.accountIdentity(account), ok
	}
	for _, p := range a.persons {
		if p.Username == name {
			return p.identity(), true
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if who, ok := a.provisioned[name]; ok {
		return who, true
	}
	if !ok || user == "" || domain == "" || !provision || len(a.provisioned) >= maxProvisioned {
		return identity{}, false
	}
	who := identity{
		ID:               uuid.NewString(),
		Username:         name,
		Status:           "unused",
		IdentityProvider: nameID(domain),
		IdentityType:     "login",
	}
	a.provisioned[name] = who
	a.changed()
	return who, true
}

// serveUserinfo answers GET /v2/oauth2/userinfo. The token's scopes decide what
// it tells.
func (a *authority) serveUserinfo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		writeAuthError(w, errForbidden())
		return
	}
	t, ok := a.active(bearer(r), time.Now().UTC())
	if !ok || t.server != authServer {
		writeAuthError(w, errUnauthenticated())
		return
	}
	if !slices.Contains(t.scopes, "openid") {
		writeAuthError(w, errForbidden())
		return
	}
	who, _ := a.identityByID(t.identity)
	doc := map[string]any{"sub": who.ID}
	if slices.Contains(t.scopes, "profile") {
		doc["preferred_username"] = who.Username
		doc["name"] = who.Name
		doc["organization"] = who.Organization
		doc["identity_provider"] = who.IdentityProvider
		doc["identity_provider_display_name"] = "Globus Auth"
	}
	if slices.Contains(t.scopes, "email") {
		doc["email"] = who.Email
	}
	if slices.Contains(t.scopes, "urn:globus:auth:scope:auth.globus.org:view_identity_set") {
		doc["identity_set"] = []map[string]any{{
			"sub": who.ID, "username": who.Username, "name": who.Name, "email": who.Email,
			"organization": who.Organization, "identity_provider": who.IdentityProvider,
			"identity_provider_display_name": "Globus Auth", "last_authentication": nil,
		}}
	}
	writeJSON(w, http.StatusOK, doc)
}
