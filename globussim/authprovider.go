package globussim

import (
	"net/http"
	"slices"
	"strings"
)

// A provider is where the identities of a domain log in.
type provider struct {
	ID               string   `json:"id"`
	Name             string   `json:"name"`
	ShortName        string   `json:"short_name"`
	AlternativeNames []string `json:"alternative_names"`
	Domains          []string `json:"domains"`
}

// providerOf returns the provider of a domain: here each has its own.
func providerOf(domain string) provider {
	return provider{ID: nameID(domain), Name: domain, ShortName: domain, AlternativeNames: []string{}, Domains: []string{domain}}
}

// providersOf returns the providers of the identities, each once.
func (a *authority) providersOf(identities []identity) []provider {
	found := []provider{}
	for _, who := range identities {
		_, domain, _ := strings.Cut(who.Username, "@")
		if !slices.ContainsFunc(found, func(p provider) bool { return p.ID == who.IdentityProvider }) {
			found = append(found, providerOf(domain))
		}
	}
	return found
}

// serveProviders answers GET /v2/api/identity_providers, by domains or by ids.
func (a *authority) serveProviders(w http.ResponseWriter, r *http.Request) {
	if _, e := a.caller(r); e != nil {
		writeAuthError(w, e)
		return
	}
	query := r.URL.Query()
	domains, ids := split(query.Get("domains")), split(query.Get("ids"))
	if (len(domains) == 0) == (len(ids) == 0) {
		writeAuthError(w, newAuthError(http.StatusBadRequest, "INVALID_PARAMETERS", "Give either domains or ids"))
		return
	}
	found := []provider{}
	for _, domain := range a.domains() {
		if p := providerOf(domain); slices.Contains(domains, domain) || slices.Contains(ids, p.ID) {
			found = append(found, p)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"identity_providers": found})
}

// domains are those that somebody has an identity of.
func (a *authority) domains() []string {
	known := []string{clientDomain}
	for _, p := range a.persons {
		known = append(known, p.domain())
	}
	a.mu.Lock()
	for name := range a.provisioned {
		_, domain, _ := strings.Cut(name, "@")
		known = append(known, domain)
	}
	a.mu.Unlock()
	slices.Sort(known)
	return slices.Compact(known)
}
