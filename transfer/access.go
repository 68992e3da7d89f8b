package transfer

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
)

// An AccessRule lets somebody into a folder of a guest collection.
type AccessRule struct {
	ID             string `json:"id"`
	PrincipalType  string `json:"principal_type"` // identity, group, all_authenticated_users or anonymous
	Principal      string `json:"principal"`      // id; empty for everybody
	Path           string `json:"path"`           // ends in a slash
	Permissions    string `json:"permissions"`    // r or rw
	RoleID         string `json:"role_id"`        // of the role that brings the rule; empty if it was given by hand
	RoleType       string `json:"role_type"`
	CreateTime     Time   `json:"create_time"`
	ExpirationDate Time   `json:"expiration_date"` // zero if it does not expire

	Raw json.RawMessage `json:"-"` // the document as received
}

func (r *AccessRule) keep(doc json.RawMessage) { r.Raw = doc }

// A Role lets an identity or a group manage an endpoint.
type Role struct {
	ID            string `json:"id"`
	PrincipalType string `json:"principal_type"` // identity or group
	Principal     string `json:"principal"`      // id
	Role          string `json:"role"`           // administrator, access_manager, activity_manager or activity_monitor

	Raw json.RawMessage `json:"-"` // the document as received
}

func (r *Role) keep(doc json.RawMessage) { r.Raw = doc }

// Roles lists who manages an endpoint. Only those may ask; for others the error is
// an [*Error] whose PermissionDenied is true. API: GET /endpoint/<id>/role_list.
func (c *Client) Roles(ctx context.Context, endpoint string) iter.Seq2[*Role, error] {
	r := request{method: http.MethodGet, path: []string{"endpoint", endpoint, "role_list"}}
	return list[Role](ctx, c, r, 0, onePage)
}

// AccessRules lists who may do what on a guest collection. Only its
// administrators and access managers may ask; for others the error is an
// [*Error] whose PermissionDenied is true. API: GET /endpoint/<id>/access_list.
func (c *Client) AccessRules(ctx context.Context, collection string) iter.Seq2[*AccessRule, error] {
	r := request{method: http.MethodGet, path: []string{"endpoint", collection, "access_list"}}
	return list[AccessRule](ctx, c, r, 0, onePage)
}

// PauseRules lists the rules of the collection's managers that hold what the
// caller does there. API: GET /endpoint/<id>/my_effective_pause_rule_list.
func (c *Client) PauseRules(ctx context.Context, collection string) iter.Seq2[*PauseRule, error] {
	r := request{method: http.MethodGet, path: []string{"endpoint", collection, "my_effective_pause_rule_list"}}
	return list[PauseRule](ctx, c, r, 0, onePage)
}

// whole is the pager of lists that the service gives in one piece.
type whole struct{}

func onePage() pager { return whole{} }

func (whole) ask(url.Values, int)      {}
func (whole) more(*page) (bool, error) { return false, nil }
func (whole) shrink() bool             { return false }
