package globussim

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// globusCLI is the native app of globus-cli, which it has in its source. Each
// installation makes a client with a secret of its own from it.
const globusCLI = "95fdeba8-fac2-42bd-a357-e068d82ff78e"

// maxClients is how many clients may be made on request: anybody may ask.
const maxClients = 1000

// account returns the client with that id.
func (a *authority) account(id string) (Account, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, ok := a.accounts[strings.ToLower(id)]
	return account, ok
}

// clients returns the ids of all clients.
func (a *authority) clients() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.accounts))
}

// madeFrom returns the ids of the clients that were made from a native app.
func (a *authority) madeFrom(template string) (ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, account := range a.accounts {
		if account.template == template {
			ids = append(ids, id)
		}
	}
	return ids
}

// serveNewClient answers POST /v2/api/clients, which needs no credentials to make
// a client from a native app. Other clients cannot be made.
func (a *authority) serveNewClient(w http.ResponseWriter, r *http.Request) {
	var doc struct {
		Client struct {
			Template string `json:"template_id"`
			Name     string `json:"name"`
		} `json:"client"`
	}
	if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
		writeAuthError(w, newAuthError(http.StatusBadRequest, "INVALID_PARAMETERS", "The body is not a client document"))
		return
	}
	template, ok := a.account(doc.Client.Template)
	switch {
	case doc.Client.Template == "":
		writeAuthError(w, newAuthError(http.StatusNotImplemented, "NOT_IMPLEMENTED", "The simulator does not have a registration of clients, but from native apps: template_id is missing"))
		return
	case !ok || !template.NativeApp:
		writeAuthError(w, newAuthError(http.StatusBadRequest, "INVALID_PARAMETERS", "template_id is not a native app"))
		return
	}
	account := Account{ID: uuid.NewString(), Secret: rand.Text(), Name: doc.Client.Name, template: template.ID}
	a.mu.Lock()
	full := len(a.accounts) >= maxClients
	if !full {
		a.accounts[account.ID] = account
		a.changed()
	}
	a.mu.Unlock()
	if full {
		writeAuthError(w, newAuthError(http.StatusConflict, "CONFLICT", "There are too many clients"))
		return
	}
	writeJSON(w, http.StatusCreated, map[string]any{
		"client": account.document(),
		"included": map[string]any{"client_credential": map[string]any{
			"id": nameID("credential " + account.ID), "client": account.ID, "name": "Auto-created at client creation", "secret": account.Secret,
		}},
	})
}

// serveDeleteClient answers DELETE /v2/api/clients/<id>: a client that was made on
// request takes itself away. Nobody else can do that with a token of their own.
func (a *authority) serveDeleteClient(w http.ResponseWriter, r *http.Request) {
	account, e := a.client(r)
	switch {
	case bearer(r) != "":
		writeAuthError(w, newAuthError(http.StatusNotImplemented, "NOT_IMPLEMENTED", "The simulator does not have a registration of clients"))
		return
	case e != nil:
		writeAuthError(w, errUnauthenticated())
		return
	case account.template == "" || !strings.EqualFold(account.ID, r.PathValue("id")):
		writeAuthError(w, errForbidden())
		return
	}
	a.mu.Lock()
	delete(a.accounts, account.ID)
	a.changed()
	a.mu.Unlock()
	a.discard(func(_ string, t *token) bool { return t.client == account.ID })
	a.discardRefreshes(func(_ string, t *refreshToken) bool { return t.client == account.ID })
	writeJSON(w, http.StatusOK, map[string]any{"client": account.document()})
}

// document describes a client that was made from a native app.
func (account Account) document() map[string]any {
	return map[string]any{
		"id": account.ID, "name": account.Name, "client_type": "confidential_client", "public_client": false,
		"parent_client": account.template, "project": nil, "visibility": "private",
		"grant_types":   []string{"authorization_code", "client_credentials", "refresh_token"},
		"redirect_uris": []string{}, "scopes": []string{}, "fqdns": []string{},
		"links":        map[string]any{"privacy_policy": nil, "terms_and_conditions": nil},
		"required_idp": nil, "preselect_idp": nil, "prompt_for_named_grant": false, "userinfo_from_effective_identity": true,
	}
}
