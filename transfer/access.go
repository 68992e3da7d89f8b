package transfer

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
)

// An ID names an access rule or a role. The service writes a UUID, or a number; both
// are read as text, and null as "".
type ID string

// UnmarshalJSON reads a text, a number or null.
func (i *ID) UnmarshalJSON(doc []byte) error {
	var number json.Number
	if json.Unmarshal(doc, &number) == nil && doc[0] != '"' {
		*i = ID(number)
		return nil
	}
	return json.Unmarshal(doc, (*string)(i))
}

// An AccessRule lets somebody into a folder of a guest collection.
type AccessRule struct {
	ID             ID     `json:"id"`
	PrincipalType  string `json:"principal_type"` // identity, group, all_authenticated_users or anonymous
	Principal      string `json:"principal"`      // id; empty for everybody
	Path           string `json:"path"`           // ends in a slash
	Permissions    string `json:"permissions"`    // r or rw
	RoleID         ID     `json:"role_id"`        // of the role that brings the rule; empty if it was given by hand
	RoleType       string `json:"role_type"`
	CreateTime     Time   `json:"create_time"`
	ExpirationDate Time   `json:"expiration_date"` // zero if it does not expire

	Raw json.RawMessage `json:"-"` // the document as received
}

func (r *AccessRule) keep(doc json.RawMessage) { r.Raw = doc }

// FromRole reports whether a role brings the rule: then it has no id, and cannot be
// changed or deleted.
func (r *AccessRule) FromRole() bool { return r.ID == "" || r.RoleID != "" }

// A NewAccessRule describes an access rule to create. Its fields are those of
// [AccessRule].
type NewAccessRule struct {
	PrincipalType  string `json:"principal_type"`
	Principal      string `json:"principal"` // id; empty for everybody
	Path           string `json:"path"`      // begins and ends with a slash
	Permissions    string `json:"permissions"`
	ExpirationDate Time   `json:"expiration_date,omitzero"`
	NotifyEmail    string `json:"notify_email,omitempty"`   // gets one e-mail about the rule from Globus
	NotifyMessage  string `json:"notify_message,omitempty"` // is in that e-mail
}

// An AccessResult says that an access rule was given.
type AccessResult struct {
	AccessID ID     `json:"access_id"` // of the rule
	Code     string `json:"code"`      // Created
	Message  string `json:"message"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (r *AccessResult) keep(doc json.RawMessage) { r.Raw = doc }
func (r *AccessResult) missing() string          { return require("access_id", string(r.AccessID)) }

// A Role lets an identity or a group manage an endpoint.
type Role struct {
	ID            ID     `json:"id"`
	PrincipalType string `json:"principal_type"` // identity or group
	Principal     string `json:"principal"`      // id
	Role          string `json:"role"`           // administrator, access_manager, activity_manager or activity_monitor

	Raw json.RawMessage `json:"-"` // the document as received
}

func (r *Role) keep(doc json.RawMessage) { r.Raw = doc }

// Roles lists who manages an endpoint. Only they may ask; for others the error is
// an [*Error] whose PermissionDenied is true. API: GET /endpoint/<id>/role_list.
func (c *Client) Roles(ctx context.Context, endpoint string) iter.Seq2[*Role, error] {
	r := request{method: http.MethodGet, path: []string{"endpoint", endpoint, "role_list"}}
	return list[Role](ctx, c, r, 0, singlePage)
}

// AccessRules lists who may do what on a guest collection. Only its
// administrators and access managers may ask; for others the error is an
// [*Error] whose PermissionDenied is true. API: GET /endpoint/<id>/access_list.
func (c *Client) AccessRules(ctx context.Context, collection string) iter.Seq2[*AccessRule, error] {
	r := request{method: http.MethodGet, path: []string{"endpoint", collection, "access_list"}}
	return list[AccessRule](ctx, c, r, 0, singlePage)
}

// CreateAccessRule creates an access rule. The result holds its id. If the
// principal already has a rule for the path, the error is an [*Error] whose Exists
// is true; if the caller may not manage access, one whose PermissionDenied is
// true. API: POST /endpoint/<id>/access.
func (c *Client) CreateAccessRule(ctx context.Context, collection string, rule NewAccessRule) (*AccessResult, error) {
	r := request{method: http.MethodPost, path: []string{"endpoint", collection, "access"}}
	r.body = struct {
		DataType string `json:"DATA_TYPE"`
		NewAccessRule
	}{"access", rule}
	return call[AccessResult](ctx, c, r)
}

// UpdateAccessRule changes what a rule permits (r or rw) and when it ends; the zero
// Time means never. If there is no such rule, the error is an [*Error] whose
// NotFound is true. Its other errors are those of [Client.CreateAccessRule]. API:
// PUT /endpoint/<id>/access/<rule>.
func (c *Client) UpdateAccessRule(ctx context.Context, collection string, rule ID, permissions string, ends Time) (*Result, error) {
	r := request{method: http.MethodPut, path: []string{"endpoint", collection, "access", string(rule)}}
	r.body = struct {
		DataType       string `json:"DATA_TYPE"`
		Permissions    string `json:"permissions"`
		ExpirationDate Time   `json:"expiration_date"`
	}{"access", permissions, ends}
	return call[Result](ctx, c, r)
}

// DeleteAccessRule deletes a rule. Its errors are those of
// [Client.UpdateAccessRule]. API: DELETE /endpoint/<id>/access/<rule>.
func (c *Client) DeleteAccessRule(ctx context.Context, collection string, rule ID) (*Result, error) {
	r := request{method: http.MethodDelete, path: []string{"endpoint", collection, "access", string(rule)}}
	return call[Result](ctx, c, r)
}

// PauseRules lists the pause rules of the collection's managers that apply to what the
// caller does there. API: GET /endpoint/<id>/my_effective_pause_rule_list.
func (c *Client) PauseRules(ctx context.Context, collection string) iter.Seq2[*PauseRule, error] {
	r := request{method: http.MethodGet, path: []string{"endpoint", collection, "my_effective_pause_rule_list"}}
	return list[PauseRule](ctx, c, r, 0, singlePage)
}

// onePage is the pager of a list that the service sends as one page.
type onePage struct{}

func singlePage() pager { return onePage{} }

func (onePage) ask(url.Values, int)      {}
func (onePage) more(*page) (bool, error) { return false, nil }
func (onePage) shrink() bool             { return false }
