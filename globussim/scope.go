package globussim

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Scope strings and the resource servers they belong to.
const (
	transferServer = "transfer.api.globus.org"
	transferAll    = "urn:globus:auth:scope:transfer.api.globus.org:all"
	timersServer   = "524230d7-ea86-4a52-8312-86065a9e0417"
	authServer     = "auth.globus.org"
	scopeBase      = "https://auth.globus.org/scopes/"
	offlineAccess  = "offline_access" // asks for refresh tokens, and is not granted itself
)

// flowScope is the scope that runs a flow. Its resource server is the flow.
func flowScope(flow string) string {
	return scopeBase + flow + "/flow_" + strings.ReplaceAll(flow, "-", "_") + "_user"
}

// maxScopes and maxScopeDepth bound what one request may ask for.
const (
	maxScopes     = 1000
	maxScopeDepth = 20
)

// A scope is one scope of a request, with the scopes that it depends on.
type scope struct {
	name string
	// optional marks a consent that can be revoked by itself. It has no
	// meaning on the first level.
	optional     bool
	dependencies []*scope
}

// parseScopes reads a list of scopes such as "openid a[*b c]". A scope that
// occurs twice in a list counts once, with the dependencies of both.
func parseScopes(text string) ([]*scope, error) {
	p := scopeParser{rest: text}
	scopes, err := p.list(0)
	switch {
	case err != nil:
		return nil, err
	case p.rest != "":
		return nil, errors.New("a closing bracket without an opening one")
	case len(scopes) == 0:
		return nil, errors.New("no scope")
	case cyclic(scopes):
		return nil, errors.New("the dependencies form a cycle")
	}
	return scopes, nil
}

// A scopeParser consumes rest from its beginning.
type scopeParser struct {
	rest  string
	count int
}

// list reads scopes up to a closing bracket, which it leaves, or the end.
func (p *scopeParser) list(depth int) ([]*scope, error) {
	if depth > maxScopeDepth {
		return nil, errors.New("the brackets are nested too deeply")
	}
	var scopes []*scope
	for {
		p.rest = strings.TrimLeft(p.rest, " ")
		if p.rest == "" || p.rest[0] == ']' {
			return scopes, nil
		}
		sc, err := p.scope(depth)
		if err != nil {
			return nil, err
		}
		scopes = mergeScope(scopes, sc)
	}
}

// scope reads one scope and its dependencies.
func (p *scopeParser) scope(depth int) (*scope, error) {
	if p.count++; p.count > maxScopes {
		return nil, fmt.Errorf("more than %d scopes", maxScopes)
	}
	var sc scope
	p.rest, sc.optional = strings.CutPrefix(p.rest, "*")
	end := strings.IndexAny(p.rest, " *[]")
	if end < 0 {
		end = len(p.rest)
	}
	if end == 0 {
		return nil, errors.New("a bracket or star without a scope")
	}
	sc.name, p.rest = p.rest[:end], p.rest[end:]
	if !strings.HasPrefix(p.rest, "[") {
		return &sc, nil
	}

	p.rest = p.rest[1:]
	var err error
	if sc.dependencies, err = p.list(depth + 1); err != nil {
		return nil, err
	}
	switch {
	case p.rest == "":
		return nil, errors.New("a bracket is not closed")
	case len(sc.dependencies) == 0:
		return nil, errors.New("the brackets are empty")
	}
	p.rest = p.rest[1:]
	if p.rest != "" && p.rest[0] != ' ' && p.rest[0] != ']' {
		return nil, errors.New("a closing bracket is followed by neither a space nor another one")
	}
	return &sc, nil
}

// mergeScope adds sc to scopes, or to the scope of the same name. What one of
// them requires is not optional.
func mergeScope(scopes []*scope, sc *scope) []*scope {
	i := slices.IndexFunc(scopes, func(old *scope) bool { return old.name == sc.name })
	if i < 0 {
		return append(scopes, sc)
	}
	old := scopes[i]
	old.optional = old.optional && sc.optional
	for _, dependency := range sc.dependencies {
		old.dependencies = mergeScope(old.dependencies, dependency)
	}
	return scopes
}

// cyclic reports whether a scope depends on itself, also by way of what is said
// about its dependencies elsewhere in the list.
func cyclic(scopes []*scope) bool {
	edges := make(map[string][]string)
	for path := range paths(scopes, nil) {
		if n := len(path); n > 1 {
			edges[path[n-2].name] = append(edges[path[n-2].name], path[n-1].name)
		}
	}
	const open, done = 1, 2
	state := make(map[string]int)
	var visit func(name string) bool
	visit = func(name string) bool {
		if state[name] != 0 {
			return state[name] == open
		}
		state[name] = open
		if slices.ContainsFunc(edges[name], visit) {
			return true
		}
		state[name] = done
		return false
	}
	for name := range edges {
		if visit(name) {
			return true
		}
	}
	return false
}

// paths yields every scope of the trees as the path from its root to itself.
func paths(scopes, parents []*scope) iter.Seq[[]*scope] {
	return func(yield func([]*scope) bool) {
		for _, sc := range scopes {
			path := slices.Concat(parents, []*scope{sc})
			if !yield(path) {
				return
			}
			for below := range paths(sc.dependencies, path) {
				if !yield(below) {
					return
				}
			}
		}
	}
}

// fixedScopes returns the resource servers of all scopes but those of
// collections, by scope. Services that are not simulated have theirs too, since
// clients ask for the tokens of several services at once.
func fixedScopes() map[string]string {
	servers := map[string]string{
		"openid": authServer, "email": authServer, "profile": authServer, offlineAccess: authServer,
		scopeBase + timersServer + "/timer":                    timersServer,
		scopeBase + "facd7ccc-c5f4-42aa-916b-a0e270e2c2a9/all": "funcx_service",
		scopeBase + "actions.globus.org/transfer/transfer":     "actions.globus.org",
	}
	for _, name := range []string{"manage_flows", "view_flows", "run", "run_status", "run_manage", "all"} {
		servers[flowsBase+name] = flowsServer
	}
	for server, names := range map[string][]string{
		authServer: {
			"manage_projects", "view_authentications", "view_clients", "view_clients_and_scopes",
			"view_consents", "view_identities", "view_identity_set",
		},
		transferServer:          {"all", "gcp_install"},
		"groups.api.globus.org": {"all", "view_my_groups_and_memberships"},
		"search.api.globus.org": {"all", "globus_connect_server", "ingest", "search"},
	} {
		for _, name := range names {
			servers["urn:globus:auth:scope:"+server+":"+name] = server
		}
	}
	return servers
}

// resourceServer returns the resource server that the scope belongs to. Only
// mapped collections without high assurance have a data_access scope.
func (a *authority) resourceServer(name string) (server string, known bool) {
	if server, ok := a.scopes[name]; ok {
		return server, true
	}
	rest, ok := strings.CutPrefix(name, scopeBase)
	if !ok {
		return "", false
	}
	id, kind, _ := strings.Cut(rest, "/")
	c, ok := a.collections[id]
	switch kind {
	case "data_access":
		return id, ok && c.EntityType == MappedCollection && !c.HighAssurance
	case "https":
		return id, ok && (c.EntityType == MappedCollection || c.EntityType == GuestCollection)
	}
	return "", false
}
