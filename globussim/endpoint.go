package globussim

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// endpointDoc is a collection's document as the caller sees it.
func (sv *service) endpointDoc(q *request, p *collection) map[string]any {
	owner, username := sv.ownerOf(p)
	doc := map[string]any{
		"DATA_TYPE": "endpoint", "DATA": servers(p),
		"id": p.ID, "display_name": p.Name, "entity_type": p.EntityType,
		"owner_id": owner, "owner_string": username,
		"username": "u_sim", "name": p.ID, "canonical_name": p.canonical(),
		"description": optional(p.Description), "organization": optional(p.Organization),
		"department": nil, "keywords": optional(strings.Join(p.Keywords, ",")),
		"contact_email": nil, "contact_info": nil, "info_link": nil,
		"user_message": nil, "user_message_link": nil,
		"public": true, "subscription_id": optional(p.SubscriptionID), "default_directory": nil,
		"subscription_admin_verified": false,
		"high_assurance":              p.HighAssurance, "mfa_required": p.MFARequired,
		"authentication_timeout_mins": nil, "authentication_assurance_timeout": nil,
		"authentication_policy_id": optional(p.SessionPolicy),
		"force_encryption":         p.HighAssurance,
		"host_endpoint":            nil, "host_endpoint_id": nil, "host_endpoint_display_name": nil, "host_path": nil,
		"mapped_collection_id": nil, "mapped_collection_display_name": nil,
		"sharing_target_endpoint": nil, "sharing_target_root_path": nil,
		"non_functional": p.NonFunctional, "non_functional_endpoint_id": nil, "non_functional_endpoint_display_name": nil,
		"gcp_connected": nil, "gcp_paused": nil, "gcs_version": nil, "gcs_manager_url": nil,
		"https_server": nil, "tlsftp_server": nil,
		"acl_available": p.guest(), "acl_editable": false, "acl_max_expiration_period_mins": p.maxAccess(),
		"local_user_info_available": nil,
		"auto_delete_timeout":       nil, "skip_auto_delete": nil, "guest_collection_activity_notification_policy": nil,
		"activated": false, "expires_in": -1, "expire_time": nil, "in_use": false,
		"is_globus_connect": p.gcp(), "globus_connect_setup_key": nil,
		"shareable": !p.guest(), "network_use": "normal", "location": "Automatic",
		"max_concurrency": 4, "preferred_concurrency": 2, "max_parallelism": 8, "preferred_parallelism": 4,
		"storage_type": "POSIX", "requester_pays": false, "last_accessed_time": nil,
		"s3_url": nil, "s3_owner_activated": false,
		"myproxy_dn": nil, "myproxy_server": nil, "oauth_server": nil,
		"french_english_bilingual": false,
	}
	if p.Home != "/" {
		doc["default_directory"] = p.Home
	}
	maps.Copy(doc, p.Policies.document())
	maps.Copy(doc, p.changes())
	if p.gcp() {
		offline := p.condition().Offline
		doc["gcp_connected"], doc["gcp_paused"] = !offline || p.Paused, offline && p.Paused
	} else {
		doc["gcs_version"] = "5.4.71"
		doc["gcs_manager_url"] = q.base() // where it answers that there is none
		doc["tlsftp_server"] = "tlsftp://" + p.ID + ".sim.invalid:443"
	}
	roles := p.rolesOf(q.owner)
	doc["my_effective_roles"] = roles
	doc["acl_editable"] = p.guest() && (slices.Contains(roles, Administrator) || slices.Contains(roles, AccessManager))
	return doc
}

// getEndpoint answers GET /endpoint/<id>, which needs no consent.
func (sv *service) getEndpoint(q *request) (int, any, *apiError) {
	p, e := sv.find(q.PathValue("id"))
	if e != nil {
		return 0, nil, e
	}
	doc := sv.endpointDoc(q, p)
	_, inUse := sv.uses(q.owner)
	doc["in_use"] = inUse[p]
	return q.single(doc)
}

// uses returns the collections of all tasks of an identity, and of its
// unfinished ones.
func (sv *service) uses(owner string) (recently, now map[*collection]bool) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	recently, now = make(map[*collection]bool), make(map[*collection]bool)
	for _, t := range sv.byOwner[owner] {
		recently[t.src], recently[t.dst] = true, true
		if !t.final() {
			now[t.src], now[t.dst] = true, true
		}
	}
	return recently, now
}

// searchEndpoints answers GET /endpoint_search.
func (sv *service) searchEndpoints(q *request) (int, any, *apiError) {
	page, e := q.page(100, 100)
	if e != nil {
		return 0, nil, e
	}
	takes, e := sv.parseSearch(q)
	if e != nil {
		return 0, nil, e
	}
	_, inUse := sv.uses(q.owner)
	var found []map[string]any
	for p := range sv.living {
		if len(found) < maxRows && takes(p) {
			doc := sv.endpointDoc(q, p)
			doc["in_use"] = inUse[p]
			doc["_rank"] = 1
			found = append(found, doc)
		}
	}
	shown := cut(found, page)
	rows, e := project(q, append([]map[string]any{}, shown...))
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{
		"DATA_TYPE": "endpoint_list", "DATA": rows, "limit": page.limit, "offset": page.offset,
		"has_next_page": page.offset+len(shown) < len(found),
	}, nil
}

// parseSearch reads the parameters of a search.
func (sv *service) parseSearch(q *request) (func(*collection) bool, *apiError) {
	fulltext, scope := strings.ToLower(q.param("filter_fulltext")), q.param("filter_scope")
	inScope, ok := sv.scopes(q.owner)[scope]
	if !ok {
		return nil, badRequest("filter_scope: '" + scope + "' is not known")
	}
	if (scope == "" || scope == "all") && strings.TrimSpace(fulltext) == "" {
		return nil, badRequest("filter_fulltext is required when filter_scope is 'all'")
	}
	filters := []func(*collection) bool{inScope}
	for term := range strings.FieldsSeq(fulltext) {
		filters = append(filters, func(p *collection) bool { return p.mentions(term) })
	}
	if owner := q.param("filter_owner_id"); owner != "" {
		if slices.Contains([]string{"my-endpoints", "my-gcp-endpoints", "shared-by-me"}, scope) {
			return nil, badRequest("filter_owner_id conflicts with the filter_scope '" + scope + "'")
		}
		filters = append(filters, func(p *collection) bool {
			id, _ := sv.ownerOf(p)
			return strings.EqualFold(id, owner)
		})
	}
	if host := q.param("filter_host_endpoint"); host != "" {
		if uuid.Validate(host) != nil {
			return nil, badRequest("filter_host_endpoint must be a UUID")
		}
		filters = append(filters, func(*collection) bool { return false }) // none has a host
	}
	kind := q.param("filter_entity_type")
	if kind != "" {
		kinds := strings.Split(kind, ",")
		filters = append(filters, func(p *collection) bool { return slices.Contains(kinds, p.EntityType) })
	}
	if s := q.param("filter_non_functional"); s != "" {
		broken, err := strconv.ParseBool(s)
		if err != nil || kind != "" {
			return nil, badRequest("filter_non_functional must be 0 or 1, and not together with filter_entity_type")
		}
		filters = append(filters, func(p *collection) bool { return p.NonFunctional == broken })
	}
	return func(p *collection) bool {
		return !slices.ContainsFunc(filters, func(f func(*collection) bool) bool { return !f(p) })
	}, nil
}

// scopes are the values of filter_scope.
func (sv *service) scopes(identity string) map[string]func(*collection) bool {
	recently, now := sv.uses(identity)
	all := func(*collection) bool { return true }
	mine := func(p *collection) bool { return p.Owner == identity }
	return map[string]func(*collection) bool{
		"": all, "all": all,
		"my-endpoints":       mine,
		"administered-by-me": mine,
		"my-gcp-endpoints":   func(p *collection) bool { return mine(p) && p.gcp() },
		"shared-by-me":       func(p *collection) bool { return mine(p) && p.guest() },
		"shared-with-me": func(p *collection) bool {
			return !mine(p) && p.guest() && p.condition().Access != nil && p.knows(identity)
		},
		"hide-no-permissions": func(p *collection) bool { return p.knows(identity) },
		"recently-used":       func(p *collection) bool { return recently[p] },
		"in-use":              func(p *collection) bool { return now[p] },
	}
}

// mentions reports whether a word about the collection begins with a term.
func (p *collection) mentions(term string) bool {
	words := strings.FieldsFunc(
		strings.ToLower(strings.Join(append([]string{
			p.edited("display_name", p.Name), p.canonical(), p.edited("description", p.Description), p.edited("organization", p.Organization), p.Owner,
		}, p.edited("keywords", strings.Join(p.Keywords, " "))), " ")),
		func(r rune) bool { return strings.ContainsRune(" ,;()", r) },
	)
	for _, word := range words {
		if strings.HasPrefix(word, term) {
			return true
		}
		// A name such as "lab-data" is found by its parts as well.
		for part := range strings.FieldsFuncSeq(word, func(r rune) bool { return strings.ContainsRune("-_.#@", r) }) {
			if strings.HasPrefix(part, term) {
				return true
			}
		}
	}
	return false
}

// noRows answers with an empty list of what the simulator does not have: guest
// collections on a mapped one.
func (sv *service) noRows(dataType, key string) handler {
	return func(q *request) (int, any, *apiError) {
		p, e := sv.find(q.PathValue("id"))
		if e != nil {
			return 0, nil, e
		}
		return http.StatusOK, map[string]any{"DATA_TYPE": dataType, key: []any{}, "endpoint": p.ID, "next_token": nil}, nil
	}
}

// autoactivate answers POST /endpoint/<id>/autoactivate, which clients of a
// time before GCSv5 send before anything else. The code is not confirmed.
func (sv *service) autoactivate(q *request) (int, any, *apiError) {
	p, e := sv.find(q.PathValue("id"))
	if e != nil {
		return 0, nil, e
	}
	doc := q.result("activation_result", "AlreadyActivated", "Endpoint already activated and does not need activation")
	doc["endpoint"], doc["expires_in"], doc["expire_time"] = p.canonical(), -1, nil
	return http.StatusOK, doc, nil
}
