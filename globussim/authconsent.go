package globussim

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A consent records that a client may use a scope, or that a service may use a scope of
// another one on the client's behalf. It belongs to the client and its identity, not to a
// token, so it also applies to older tokens.
type consent struct {
	path     []string // scope names from the root to this one
	ids      []int    // of the consents on the path; the last one is its own
	optional bool
	created  time.Time
	used     time.Time
}

// consent records the consents that a request for the scopes implies.
func (a *authority) consent(p party, scopes []*scope, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed()
	for path := range paths(scopes, nil) {
		names := make([]string, len(path))
		for i, sc := range path {
			names[i] = sc.name
		}
		if c := a.find(p, names); c != nil {
			c.used = now
			continue
		}
		a.lastConsent++
		c := &consent{path: names, ids: []int{a.lastConsent}, optional: path[len(path)-1].optional, created: now, used: now}
		if parent := a.find(p, names[:len(names)-1]); parent != nil {
			c.ids = slices.Concat(parent.ids, c.ids)
		}
		a.consents[p] = append(a.consents[p], c)
	}
}

// find returns the consent with that path, or nil. The caller holds mu.
func (a *authority) find(p party, path []string) *consent {
	i := slices.IndexFunc(a.consents[p], func(c *consent) bool { return slices.Equal(c.path, path) })
	if i < 0 {
		return nil
	}
	return a.consents[p][i]
}

// consented reports whether the party lets Transfer use its data on the mapped collection. If
// another service calls Transfer, via is that service's scope, and the consent has to be for
// that service.
func (s *Server) consented(p party, via, collection string) bool {
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	path := []string{transferAll, scopeBase + collection + "/data_access"}
	if via == "" {
		return s.auth.find(p, path) != nil
	}
	return slices.ContainsFunc(s.auth.consents[p], func(c *consent) bool {
		n := len(c.path)
		return n > 2 && c.path[0] == via && slices.Equal(c.path[n-2:], path)
	})
}

// RescindConsents deletes all consents of the client. Its tokens stay valid, but Transfer
// asks for the consents for data access again.
func (s *Server) RescindConsents(client string) {
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	s.auth.changed()
	maps.DeleteFunc(s.auth.consents, func(p party, _ []*consent) bool { return p.client == client })
}

// String returns the consent as a scope with nested dependencies.
func (c *consent) String() string {
	return strings.Join(c.path, "[") + strings.Repeat("]", len(c.path)-1)
}

// consentedScopes returns the consents of each identity in their text form, in
// the order in which they were given.
func (a *authority) consentedScopes() map[string][]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[string][]string)
	for p, consents := range a.consents {
		for _, c := range consents {
			all[p.identity] = append(all[p.identity], c.String())
		}
	}
	return all
}

// serveConsents answers GET /v2/api/identities/<id>/consents.
func (a *authority) serveConsents(w http.ResponseWriter, r *http.Request) {
	caller, e := a.caller(r)
	if e != nil {
		writeAuthError(w, e)
		return
	}
	id := strings.ToLower(r.PathValue("id"))
	if id != caller {
		writeAuthError(w, newAuthError(http.StatusForbidden, "FORBIDDEN", "The consents of this identity are not yours"))
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"consents": a.consentDocuments(id)})
}

func (a *authority) consentDocuments(id string) []map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	docs := []map[string]any{}
	for p, consents := range a.consents {
		if p.identity == id {
			docs = append(docs, a.describeConsents(p, consents)...)
		}
	}
	slices.SortFunc(docs, func(x, y map[string]any) int { return cmp.Compare(x["id"].(int), y["id"].(int)) })
	return docs
}

// describeConsents makes the documents of one party. The caller holds mu.
func (a *authority) describeConsents(p party, consents []*consent) (docs []map[string]any) {
	for _, c := range consents {
		name := c.path[len(c.path)-1]
		holder := p.client
		if n := len(c.path); n > 1 {
			server, _ := a.resourceServer(c.path[n-2])
			holder = nameID(server)
		}
		docs = append(docs, map[string]any{
			"id":                   c.ids[len(c.ids)-1],
			"client":               holder,
			"scope":                nameID(name),
			"scope_name":           name,
			"dependency_path":      c.ids,
			"effective_identity":   p.identity,
			"status":               "approved",
			"atomically_revocable": c.optional,
			"auto_approved":        false,
			"allows_refresh":       true,
			"created":              authTime(c.created),
			"updated":              authTime(c.created),
			"last_used":            authTime(c.used),
		})
	}
	return docs
}

// nameID returns the id of something that Auth knows by its name: a scope, a
// resource server, a username.
func nameID(name string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String()
}

// authTime formats an instant as documents of Auth do.
func authTime(t time.Time) string {
	return fmt.Sprintf("%s+00:00", t.UTC().Format("2006-01-02T15:04:05.000000"))
}
