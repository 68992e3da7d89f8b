package globussim

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/google/uuid"
)

// accessRoutes adds what the administrators of a collection call. They can
// look; that anything changes is not simulated.
func (sv *service) accessRoutes(mux *router) {
	for pattern, h := range map[string]handler{
		"GET /v0.10/endpoint/{id}/access_list":   sv.accessList,
		"GET /v0.10/endpoint/{id}/access/{rule}": sv.getAccessRule,
		"GET /v0.10/endpoint/{id}/role_list":     sv.roleList,
		"GET /v0.10/endpoint/{id}/role/{role}":   sv.getRole,

		"PUT /v0.10/endpoint/{id}":                             sv.refuseChange,
		"DELETE /v0.10/endpoint/{id}":                          sv.refuseChange,
		"PUT /v0.10/endpoint/{id}/subscription":                sv.refuseChange,
		"PUT /v0.10/endpoint/{id}/subscription_admin_verified": sv.refuseChange,
		"POST /v0.10/endpoint/{id}/access":                     sv.refuseChange,
		"PUT /v0.10/endpoint/{id}/access/{rule}":               sv.refuseChange,
		"DELETE /v0.10/endpoint/{id}/access/{rule}":            sv.refuseChange,
		"POST /v0.10/endpoint/{id}/role":                       sv.refuseChange,
		"DELETE /v0.10/endpoint/{id}/role/{role}":              sv.refuseChange,
	} {
		mux.HandleFunc(pattern, sv.serve(h))
	}
}

// refuseChange answers a call that would change a collection.
func (sv *service) refuseChange(q *request) (int, any, *apiError) {
	if _, e := sv.administered(q); e != nil {
		return 0, nil, e
	}
	return 0, nil, &apiError{
		Status: http.StatusConflict, Code: "NotSupported",
		Message: "The simulator's collections cannot be changed",
	}
}

// accessRules are the documents of a collection's access rules.
func accessRules(p *place) []map[string]any {
	rules := []map[string]any{}
	for i, rule := range p.condition().Access {
		kind, principal := "identity", rule.Principal
		if principal == "all_authenticated_users" {
			kind, principal = principal, ""
		}
		rules = append(rules, map[string]any{
			"DATA_TYPE": "access", "id": uuid.NewSHA1(collectionSpace, []byte(p.ID+strconv.Itoa(i))).String(),
			"principal_type": kind, "principal": principal, "path": rule.folder(), "permissions": rule.Permissions,
			"role_id": nil, "role_type": nil, "create_time": nil, "expiration_date": nil,
		})
	}
	return rules
}

// accessList answers GET /endpoint/<id>/access_list.
func (sv *service) accessList(q *request) (int, any, *apiError) {
	p, e := sv.administered(q)
	if e != nil {
		return 0, nil, e
	}
	rules := accessRules(p)
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

// roleList answers GET /endpoint/<id>/role_list.
func (sv *service) roleList(q *request) (int, any, *apiError) {
	p, e := sv.administered(q)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{"DATA_TYPE": "role_list", "DATA": roles(p), "endpoint": p.ID}, nil
}

// getRole answers GET /endpoint/<id>/role/<role>.
func (sv *service) getRole(q *request) (int, any, *apiError) {
	p, e := sv.administered(q)
	if e != nil {
		return 0, nil, e
	}
	return q.row(roles(p), "role", "RoleNotFound")
}

// row answers with the row whose id stands in the URL; key is its name there
// and missing the code if there is none.
func (q *request) row(rows []map[string]any, key, missing string) (int, any, *apiError) {
	id := q.PathValue(key)
	for _, row := range rows {
		if fmt.Sprint(row["id"]) == id {
			return http.StatusOK, row, nil
		}
	}
	return 0, nil, &apiError{Status: http.StatusNotFound, Code: missing, Message: "No such " + key + " '" + id + "'"}
}
