package globussim

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// edits are the fields of a collection's document that its administrators have
// changed. One is never changed itself.
type edits map[string]any

// editable are the fields that an administrator may change. Which ones the
// service takes for which type of collection is not confirmed.
func editable() []string {
	return []string{
		"display_name", "description", "organization", "department", "keywords", "contact_email", "contact_info", "info_link",
		"public", "default_directory", "user_message", "user_message_link", "force_encryption", "disable_verify", "force_verify",
		"network_use", "max_concurrency", "preferred_concurrency", "max_parallelism", "preferred_parallelism", "location",
	}
}

// changes returns what was changed.
func (p *collection) changes() edits {
	if changed := p.edits.Load(); changed != nil {
		return *changed
	}
	return nil
}

// edited returns a field that was changed to a text, or what it was.
func (p *collection) edited(field, was string) string {
	if value, ok := p.changes()[field]; ok {
		s, _ := value.(string)
		return s
	}
	return was
}

// home is the default directory.
func (p *collection) home() string { return cmp.Or(p.edited("default_directory", p.Home), "/") }

// updateEndpoint answers PUT /endpoint/<id>. Fields that cannot change are not
// looked at, so that a client may send a document back.
func (sv *service) updateEndpoint(q *request) (int, any, *apiError) {
	p, e := sv.inRole(q, "an administrator", Administrator)
	if e != nil {
		return 0, nil, e
	}
	var given map[string]any
	if e := q.body(&given); e != nil {
		return 0, nil, e
	}
	if kind, ok := given["DATA_TYPE"]; ok && kind != "endpoint" {
		return 0, nil, badRequest("DATA_TYPE must be 'endpoint'")
	}
	if home, ok := given["default_directory"].(string); ok && (!strings.HasPrefix(home, "/") || !strings.HasSuffix(home, "/")) {
		return 0, nil, badRequest("default_directory must begin and end with '/'")
	}
	if name, ok := given["display_name"]; ok && (name == nil || name == "") {
		return 0, nil, badRequest("display_name must not be empty")
	}
	known := sv.endpointDoc(q, p)
	maps.DeleteFunc(given, func(field string, _ any) bool { return !slices.Contains(editable(), field) })
	for field, value := range given {
		if !sameKind(known[field], value) {
			return 0, nil, badRequest("field '" + field + "' is of the wrong type")
		}
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	changed := edits{}
	maps.Copy(changed, p.changes())
	maps.Copy(changed, given)
	p.edits.Store(&changed)
	sv.changedCollection(p)
	return http.StatusOK, q.result("result", "Updated", "Endpoint updated successfully"), nil
}

// sameKind reports whether a value may stand where another one of the document
// does: null and a text are told by nothing else.
func sameKind(was, value any) bool {
	data, err := json.Marshal(was)
	if err != nil || string(data) == "null" {
		_, isText := value.(string)
		return value == nil || isText
	}
	var decoded any
	if err := json.Unmarshal(data, &decoded); err != nil {
		return false
	}
	switch decoded.(type) {
	case string:
		_, isText := value.(string)
		return value == nil || isText
	case bool:
		_, isBool := value.(bool)
		return isBool
	case float64:
		n, isNumber := value.(float64)
		return isNumber && n > 0
	}
	return false
}

// deleteEndpoint answers DELETE /endpoint/<id>. The folder stays as it is, and so
// do unfinished tasks; what becomes of those is not confirmed.
func (sv *service) deleteEndpoint(q *request) (int, any, *apiError) {
	p, e := sv.inRole(q, "an administrator", Administrator)
	if e != nil {
		return 0, nil, e
	}
	p.deleted.Store(true)
	sv.changedCollection(p)
	return http.StatusOK, q.result("result", "Deleted", "Endpoint deleted successfully"), nil
}

// living yields the collections that have not been deleted.
func (sv *service) living(yield func(*collection) bool) {
	for _, p := range sv.collections {
		if !p.deleted.Load() && !yield(p) {
			return
		}
	}
}
