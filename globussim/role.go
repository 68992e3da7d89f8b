package globussim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// The roles that an identity can have on a collection.
const (
	Administrator   = "administrator"
	AccessManager   = "access_manager"
	ActivityManager = "activity_manager"
	ActivityMonitor = "activity_monitor"
)

// A Role gives an identity a part in running a collection. It lets nobody read
// or write files.
type Role struct {
	Principal string `json:"principal"` // identity id
	Role      string `json:"role"`      // one of the roles above

	id string // empty for one of the configuration, which has it from what it says
}

// idOn returns the id of the role on a collection.
func (r Role) idOn(p *collection) string {
	return cmp.Or(r.id, uuid.NewSHA1(collectionSpace, []byte(p.ID+"role"+r.Role+r.Principal)).String())
}

// document is the role as Transfer shows it.
func (r Role) document(p *collection) map[string]any {
	return map[string]any{
		"DATA_TYPE": "role", "id": r.idOn(p), "principal_type": "identity", "principal": r.Principal, "role": r.Role,
	}
}

func checkRoles(roles []Role) error {
	known := []string{Administrator, AccessManager, ActivityManager, ActivityMonitor}
	for _, r := range roles {
		if !slices.Contains(known, r.Role) {
			return fmt.Errorf("there is no role %q", r.Role)
		}
	}
	return nil
}

// rolesOf returns the roles of an identity; the owner is an administrator.
func (p *collection) rolesOf(identity string) []string {
	roles := []string{}
	if p.Owner == identity {
		roles = append(roles, Administrator)
	}
	for _, r := range p.condition().Roles {
		if strings.EqualFold(r.Principal, identity) && !slices.Contains(roles, r.Role) {
			roles = append(roles, r.Role)
		}
	}
	return roles
}

// has reports whether an identity has one of the roles.
func (p *collection) has(identity string, roles ...string) bool {
	return slices.ContainsFunc(p.rolesOf(identity), func(role string) bool { return slices.Contains(roles, role) })
}

// administered returns the collection of a request whose sender must manage
// the access to it.
func (sv *service) administered(q *request) (*collection, *apiError) {
	return sv.inRole(q, "an administrator or access manager", Administrator, AccessManager)
}

// inRole returns the collection of a request whose sender must have one of the
// roles on it.
func (sv *service) inRole(q *request, words string, roles ...string) (*collection, *apiError) {
	p, e := sv.find(q.PathValue("id"))
	if e != nil {
		return nil, e
	}
	if !p.has(q.owner, roles...) {
		return nil, &apiError{
			Status: http.StatusForbidden, Code: "PermissionDenied",
			Message: "You must be " + words + " of the collection " + p.Name,
		}
	}
	return p, nil
}

// roles are the documents of a collection's roles, that of its owner first.
func roles(p *collection) []map[string]any {
	var docs []map[string]any
	for _, r := range append([]Role{{Principal: p.Owner, Role: Administrator}}, p.condition().Roles...) {
		docs = append(docs, r.document(p))
	}
	return docs
}

// roleList answers GET /endpoint/<id>/role_list.
func (sv *service) roleList(q *request) (int, any, *apiError) {
	p, e := sv.administered(q)
	if e != nil {
		return 0, nil, e
	}
	rows, e := paged(q, roles(p))
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{"DATA_TYPE": "role_list", "DATA": rows, "endpoint": p.ID}, nil
}

// getRole answers GET /endpoint/<id>/role/<role>.
func (sv *service) getRole(q *request) (int, any, *apiError) {
	p, e := sv.administered(q)
	if e != nil {
		return 0, nil, e
	}
	return q.row(roles(p), "role", "RoleNotFound")
}

// staffed returns the collection of a request that changes its roles. Those of
// collections on servers are kept by the GCS Manager; the code is not confirmed.
func (sv *service) staffed(q *request) (*collection, *apiError) {
	p, e := sv.inRole(q, "an administrator", Administrator)
	if e == nil && !p.gcp() {
		e = &apiError{
			Status: http.StatusConflict, Code: "NotSupported",
			Message: "The roles of " + p.Name + " are kept by the GCS Manager of its server, which the simulator does not have; --collection " + p.Name + "=...,role=ROLE gives one",
		}
	}
	return p, e
}

// createRole answers POST /endpoint/<id>/role with the role.
func (sv *service) createRole(q *request) (int, any, *apiError) {
	p, e := sv.staffed(q)
	if e != nil {
		return 0, nil, e
	}
	var doc struct {
		PrincipalType string `json:"principal_type"`
		Principal     string `json:"principal"`
		Role          string `json:"role"`
	}
	if e := q.body(&doc); e != nil {
		return 0, nil, e
	}
	role := Role{strings.ToLower(doc.Principal), doc.Role, uuid.NewString()}
	if err := checkRoles([]Role{role}); err != nil {
		return 0, nil, badRequest(err.Error())
	}
	if uuid.Validate(role.Principal) != nil || doc.PrincipalType != oneIdentity {
		return 0, nil, badRequest("principal must be the UUID of an identity, and principal_type 'identity'")
	}
	if p.has(role.Principal, role.Role) {
		return 0, nil, &apiError{Status: http.StatusConflict, Code: "Exists", Message: "The identity has this role already"}
	}
	if _, err := sv.changeCondition(p, func(c *Condition) error {
		c.Roles = append(c.Roles, role)
		return nil
	}); err != nil {
		return 0, nil, badRequest(err.Error())
	}
	return http.StatusCreated, role.document(p), nil
}

// deleteRole answers DELETE /endpoint/<id>/role/<role>. That of the owner stays.
func (sv *service) deleteRole(q *request) (int, any, *apiError) {
	p, e := sv.staffed(q)
	if e != nil {
		return 0, nil, e
	}
	id, found := strings.ToLower(q.PathValue("role")), false
	if _, err := sv.changeCondition(p, func(c *Condition) error {
		c.Roles = slices.DeleteFunc(c.Roles, func(r Role) bool {
			found = found || r.idOn(p) == id
			return r.idOn(p) == id
		})
		return nil
	}); err != nil {
		return 0, nil, badRequest(err.Error())
	}
	if !found {
		return 0, nil, &apiError{Status: http.StatusNotFound, Code: "RoleNotFound", Message: "No such role '" + id + "'"}
	}
	return http.StatusOK, q.result("result", "Deleted", "Role '"+id+"' deleted successfully"), nil
}
