package globussim

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Who an access rule is for.
const (
	oneIdentity = "identity"
	oneGroup    = "group"
	everybody   = "all_authenticated_users"
	anonymous   = "anonymous"
)

// maxRules is how many access rules a collection may have.
const maxRules = 1000

// An AccessRule lets one identity into a folder of a collection.
type AccessRule struct {
	Principal   string `json:"principal"`      // identity id, or "all_authenticated_users"
	Path        string `json:"path,omitempty"` // ends in "/"; empty means "/"
	Permissions string `json:"permissions"`    // "r" or "rw"

	// PrincipalType is "group", whose members are not known, so that the rule
	// lets nobody in, or "anonymous", which is everybody. Empty means that
	// Principal says all.
	PrincipalType string    `json:"principal_type,omitempty"`
	Expires       time.Time `json:"expiration_date,omitzero"` // zero: never

	id      string // empty for one of the configuration, which has it from what it says
	created time.Time
}

func (r AccessRule) check() error {
	switch {
	case r.Permissions != "r" && r.Permissions != "rw":
		return fmt.Errorf("the permissions %q are neither r nor rw", r.Permissions)
	case !slices.Contains([]string{"", oneIdentity, oneGroup, everybody, anonymous}, r.PrincipalType):
		return fmt.Errorf("there is no principal type %q", r.PrincipalType)
	}
	return nil
}

// kind is the principal_type of the rule's document.
func (r AccessRule) kind() string {
	if r.Principal == everybody {
		return everybody
	}
	return cmp.Or(r.PrincipalType, oneIdentity)
}

// covers reports whether the rule is for an identity at that time.
func (r AccessRule) covers(identity string, now time.Time) bool {
	if !r.Expires.IsZero() && !now.Before(r.Expires) {
		return false
	}
	switch r.kind() {
	case everybody, anonymous:
		return true
	case oneIdentity:
		return strings.EqualFold(r.Principal, identity)
	}
	return false
}

func (r AccessRule) folder() string {
	return strings.TrimSuffix(cmp.Or(r.Path, "/"), "/") + "/"
}

// sameAs reports whether two rules are for the same principal and path. A collection has at
// most one such rule.
func (r AccessRule) sameAs(other AccessRule) bool {
	return r.kind() == other.kind() && r.folder() == other.folder() &&
		(r.kind() == everybody || strings.EqualFold(r.Principal, other.Principal))
}

// idOn returns the id of the rule on a collection.
func (r AccessRule) idOn(p *collection) string {
	return cmp.Or(r.id, uuid.NewSHA1(collectionSpace, []byte(p.ID+r.kind()+r.Principal+r.folder())).String())
}

// document returns the rule as Transfer shows it.
func (r AccessRule) document(p *collection) map[string]any {
	principal := r.Principal
	if r.kind() == everybody || r.kind() == anonymous {
		principal = ""
	}
	return map[string]any{
		"DATA_TYPE": "access", "id": r.idOn(p),
		"principal_type": r.kind(), "principal": principal, "path": r.folder(), "permissions": r.Permissions,
		"role_id": nil, "role_type": nil, "create_time": stamp{r.created}, "expiration_date": stamp{r.Expires},
	}
}

// accessRoutes adds what the administrators of a collection call.
func (sv *service) accessRoutes(mux *router) {
	for pattern, h := range map[string]handler{
		"GET /v0.10/endpoint/{id}/access_list":      sv.accessList,
		"POST /v0.10/endpoint/{id}/access":          sv.createAccessRule,
		"GET /v0.10/endpoint/{id}/access/{rule}":    sv.getAccessRule,
		"PUT /v0.10/endpoint/{id}/access/{rule}":    sv.updateAccessRule,
		"DELETE /v0.10/endpoint/{id}/access/{rule}": sv.deleteAccessRule,
		"GET /v0.10/endpoint/{id}/role_list":        sv.roleList,
		"POST /v0.10/endpoint/{id}/role":            sv.createRole,
		"GET /v0.10/endpoint/{id}/role/{role}":      sv.getRole,
		"DELETE /v0.10/endpoint/{id}/role/{role}":   sv.deleteRole,
		"PUT /v0.10/endpoint/{id}":                  sv.updateEndpoint,
		"DELETE /v0.10/endpoint/{id}":               sv.deleteEndpoint,
	} {
		mux.HandleFunc(pattern, sv.serve(h))
	}
}

// shared returns the guest collection of a request whose sender manages the access to it. How
// the service answers for other collections, which have no access rules, is not confirmed.
func (sv *service) shared(q *request) (*collection, *apiError) {
	p, e := sv.administered(q)
	if e == nil && !p.guest() {
		e = &apiError{
			Status: http.StatusConflict, Code: "NotSupported",
			Message: "The collection " + p.Name + " is not a guest collection, so it has no access rules",
		}
	}
	return p, e
}

// accessRules are the documents of a collection's access rules.
func accessRules(p *collection) []map[string]any {
	docs := []map[string]any{}
	for _, rule := range p.condition().rules() {
		docs = append(docs, rule.document(p))
	}
	return docs
}

// accessList answers GET /endpoint/<id>/access_list.
func (sv *service) accessList(q *request) (int, any, *apiError) {
	p, e := sv.administered(q)
	if e != nil {
		return 0, nil, e
	}
	rules, e := paged(q, accessRules(p))
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{"DATA_TYPE": "access_list", "DATA": rules, "endpoint": p.ID, "length": len(rules)}, nil
}

// getAccessRule answers GET /endpoint/<id>/access/<rule>.
func (sv *service) getAccessRule(q *request) (int, any, *apiError) {
	p, e := sv.administered(q)
	if e != nil {
		return 0, nil, e
	}
	return q.row(accessRules(p), "rule", "AccessRuleNotFound")
}

// An accessForm is what a client sends of an access rule.
type accessForm struct {
	DataType      string  `json:"DATA_TYPE"`
	ID            string  `json:"id"`
	PrincipalType string  `json:"principal_type"`
	Principal     string  `json:"principal"`
	Path          string  `json:"path"`
	Permissions   string  `json:"permissions"`
	Expires       *string `json:"expiration_date"`
}

// rule returns the rule that a form describes.
func (f accessForm) rule() (r AccessRule, e *apiError) {
	named := f.PrincipalType == oneIdentity || f.PrincipalType == oneGroup
	switch {
	case f.DataType != "access":
		return r, badRequest("DATA_TYPE must be 'access'")
	case f.PrincipalType == "":
		return r, badRequest("principal_type is required")
	case named && uuid.Validate(f.Principal) != nil:
		return r, badRequest("principal must be the UUID of an " + f.PrincipalType + ", not '" + f.Principal + "'")
	case !named && f.Principal != "":
		return r, badRequest("principal must be empty for the principal_type '" + f.PrincipalType + "'")
	}
	if e := checkFolder(f.Path); e != nil {
		return r, e
	}
	r = AccessRule{PrincipalType: f.PrincipalType, Principal: strings.ToLower(f.Principal), Path: f.Path, Permissions: f.Permissions}
	if err := r.check(); err != nil {
		return r, badRequest(err.Error())
	}
	if f.PrincipalType == everybody {
		r.Principal = everybody
	}
	r.Expires, e = f.expiry()
	return r, e
}

func (f accessForm) expiry() (time.Time, *apiError) {
	if text(f.Expires) == "" {
		return time.Time{}, nil
	}
	at, err := parseTime(*f.Expires)
	if err != nil {
		return at, badRequest("expiration_date: " + err.Error())
	}
	return at, nil
}

// maxAccess returns how many minutes an access rule may live; null if it need not end.
func (p *collection) maxAccess() any {
	if p.MaxAccess == 0 {
		return nil
	}
	return int64(p.MaxAccess / time.Minute)
}

// allowedEnd returns when a rule ends, or refuses the end that is asked for. Neither the code
// of the refusal nor the refusal itself is confirmed.
func (sv *service) allowedEnd(p *collection, end time.Time) (time.Time, *apiError) {
	last := sv.server.now().Add(p.MaxAccess).Truncate(time.Second)
	switch {
	case p.MaxAccess == 0 || !end.IsZero() && !end.After(last):
		return end, nil
	case sv.server.answers.Load().CutAccess:
		return last, nil
	}
	return end, badRequest(fmt.Sprintf("expiration_date must be at most %v minutes from now", p.maxAccess()))
}

// checkFolder refuses what cannot be the path of an access rule. The code is not
// confirmed.
func checkFolder(folder string) *apiError {
	if strings.HasPrefix(folder, "/") && strings.HasSuffix(folder, "/") && len(folder) <= 2000 &&
		strings.TrimSuffix(folder, "/") == strings.TrimSuffix(path.Clean(folder), "/") && checkName(folder) == nil {
		return nil
	}
	return &apiError{
		Status: http.StatusBadRequest, Code: "InvalidPath",
		Message: "The path of an access rule must begin and end with '/', without '//', '/./' and '/../': '" + folder + "'",
	}
}

// createAccessRule answers POST /endpoint/<id>/access. It has no submission id: a
// client that repeats it is told Exists. No mail is sent to notify_email.
func (sv *service) createAccessRule(q *request) (int, any, *apiError) {
	p, e := sv.shared(q)
	if e != nil {
		return 0, nil, e
	}
	var form accessForm
	if e := q.body(&form); e != nil {
		return 0, nil, e
	}
	rule, e := form.rule()
	if e != nil {
		return 0, nil, e
	}
	if rule.Expires, e = sv.allowedEnd(p, rule.Expires); e != nil {
		return 0, nil, e
	}
	if e := sv.allowedForAll(p, rule); e != nil {
		return 0, nil, e
	}
	rule.id, rule.created = uuid.NewString(), sv.server.now()
	e = sv.changeRules(p, func(rules []AccessRule) ([]AccessRule, *apiError) {
		switch {
		case slices.ContainsFunc(rules, rule.sameAs):
			return nil, &apiError{
				Status: http.StatusConflict, Code: "Exists",
				Message: "There is an access rule for this principal and path already",
			}
		case len(rules) >= maxRules: // the code is not confirmed
			return nil, &apiError{
				Status: http.StatusConflict, Code: sv.server.answers.Load().RulesFull,
				Message: fmt.Sprintf("The collection has %d access rules, and may not have more", maxRules),
			}
		}
		return append(rules, rule), nil
	})
	if e != nil {
		return 0, nil, e
	}
	doc := q.result("access_create_result", "Created", "Access rule created successfully.")
	doc["access_id"] = rule.id
	return http.StatusCreated, doc, nil
}

// updateAccessRule answers PUT /endpoint/<id>/access/<rule>: the permissions and the
// expiration can change; other fields must be as they were. That null removes an expiration
// is not confirmed.
func (sv *service) updateAccessRule(q *request) (int, any, *apiError) {
	p, e := sv.shared(q)
	if e != nil {
		return 0, nil, e
	}
	var given map[string]any
	if e := q.body(&given); e != nil {
		return 0, nil, e
	}
	var form accessForm
	if e := q.body(&form); e != nil {
		return 0, nil, e
	}
	e = sv.changeRule(q, p, func(rules []AccessRule, i int) ([]AccessRule, *apiError) {
		was := rules[i].document(p)
		for _, field := range []string{"id", "principal_type", "principal", "path"} {
			if value, ok := given[field]; ok && value != was[field] {
				return nil, badRequest(field + " of an access rule cannot change")
			}
		}
		if _, ok := given["expiration_date"]; ok {
			end, e := form.expiry()
			if end.IsZero() && sv.server.answers.Load().KeepEnd {
				end = rules[i].Expires
			}
			if e == nil {
				rules[i].Expires, e = sv.allowedEnd(p, end)
			}
			if e != nil {
				return nil, e
			}
		}
		rules[i].Permissions = cmp.Or(form.Permissions, rules[i].Permissions)
		return rules, sv.allowedForAll(p, rules[i])
	})
	if e != nil {
		return 0, nil, e
	}
	what := "updated"
	if _, ok := given["DATA_TYPE"]; !ok {
		what = "permissions updated" // as was recorded of a document with these alone
	}
	return http.StatusOK, q.result("result", "Updated", "Access rule '"+q.PathValue("rule")+"' "+what+" successfully"), nil
}

// deleteAccessRule answers DELETE /endpoint/<id>/access/<rule>.
func (sv *service) deleteAccessRule(q *request) (int, any, *apiError) {
	p, e := sv.shared(q)
	if e != nil {
		return 0, nil, e
	}
	e = sv.changeRule(q, p, func(rules []AccessRule, i int) ([]AccessRule, *apiError) {
		return slices.Delete(rules, i, i+1), nil
	})
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, q.result("result", "Deleted", "Access rule '"+q.PathValue("rule")+"' deleted successfully"), nil
}

// changeRule is changeRules of the rule that the URL names.
func (sv *service) changeRule(q *request, p *collection, change func(rules []AccessRule, i int) ([]AccessRule, *apiError)) *apiError {
	return sv.changeRules(p, func(rules []AccessRule) ([]AccessRule, *apiError) {
		id := strings.ToLower(q.PathValue("rule"))
		i := slices.IndexFunc(rules, func(r AccessRule) bool { return r.idOn(p) == id })
		if i < 0 {
			return nil, &apiError{Status: http.StatusNotFound, Code: "AccessRuleNotFound", Message: "No such rule '" + id + "'"}
		}
		return change(rules, i)
	})
}

// changeRules replaces the access rules of a collection by those that change returns. After
// an error nothing has changed.
func (sv *service) changeRules(p *collection, change func([]AccessRule) ([]AccessRule, *apiError)) (e *apiError) {
	_, err := sv.changeCondition(p, func(c *Condition) error {
		var rules []AccessRule
		if rules, e = change(slices.Clone(c.rules())); e != nil {
			return errors.New(e.Message)
		}
		c.Access = append([]AccessRule{}, rules...)
		return nil
	})
	if e == nil && err != nil {
		e = badRequest(err.Error())
	}
	return e
}

// row answers with the row whose id is in the URL. Key is the name of the id there, and
// missing is the error code if there is no such row.
func (q *request) row(rows []map[string]any, key, missing string) (int, any, *apiError) {
	id := q.PathValue(key)
	for _, row := range rows {
		if fmt.Sprint(row["id"]) == id {
			return http.StatusOK, row, nil
		}
	}
	return 0, nil, &apiError{Status: http.StatusNotFound, Code: missing, Message: "No such " + key + " '" + id + "'"}
}
