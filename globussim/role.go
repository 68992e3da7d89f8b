package globussim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
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
	Principal string // identity id
	Role      string // one of the roles above
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
func (p *place) rolesOf(identity string) []string {
	roles := []string{}
	if p.Owner == identity {
		roles = append(roles, Administrator)
	}
	for _, r := range p.Roles {
		if strings.EqualFold(r.Principal, identity) && !slices.Contains(roles, r.Role) {
			roles = append(roles, r.Role)
		}
	}
	return roles
}

// administered returns the collection of a request whose sender must manage
// the access to it.
func (sv *service) administered(q *request) (*place, *apiError) {
	p, e := sv.find(q.PathValue("id"))
	if e != nil {
		return nil, e
	}
	roles := p.rolesOf(q.owner)
	if !slices.Contains(roles, Administrator) && !slices.Contains(roles, AccessManager) {
		return nil, &apiError{
			Status: http.StatusForbidden, Code: "PermissionDenied",
			Message: "You must be an administrator or access manager of the collection " + p.Name,
		}
	}
	return p, nil
}

// roles are the documents of a collection's roles, that of its owner first.
func roles(p *place) []map[string]any {
	var docs []map[string]any
	for i, r := range append([]Role{{p.Owner, Administrator}}, p.Roles...) {
		docs = append(docs, map[string]any{
			"DATA_TYPE": "role", "id": uuid.NewSHA1(collectionSpace, []byte(p.ID+"role"+strconv.Itoa(i))).String(),
			"principal_type": "identity", "principal": r.Principal, "role": r.Role,
		})
	}
	return docs
}
