package transfer_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/transfer"
)

func TestAccessRulesAreForManagers(t *testing.T) {
	c := serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v0.10/endpoint/c1/access_list" || r.URL.RawQuery != "" {
			t.Errorf("got a request %s %s", r.Method, r.URL)
		}
		reply(http.StatusForbidden, `{"code": "PermissionDenied", "message": "You must be an access manager", "request_id": "abc"}`)(w, r)
	})
	_, err := collect(c.AccessRules(t.Context(), "c1"))
	if e, ok := errors.AsType[*transfer.Error](err); !ok || !e.PermissionDenied() {
		t.Errorf("got %v, want a *transfer.Error whose PermissionDenied is true", err)
	}
}

func TestAccessRuleIsGivenChangedAndTakenBack(t *testing.T) {
	const ends = "2026-06-01T00:00:00+00:00"
	at := transfer.Time{Time: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	tests := map[string]struct {
		call   func(c *transfer.Client) (string, error)
		wants  string // request
		body   string
		status int
		reply  string
		code   string
	}{
		"given": {
			func(c *transfer.Client) (string, error) {
				r, err := c.CreateAccessRule(t.Context(), "c1", transfer.NewAccessRule{
					PrincipalType: "identity", Principal: "i1", Path: "/outbox/lab7/", Permissions: "r",
					ExpirationDate: at, NotifyEmail: "alice@example.org", NotifyMessage: "Your data is ready",
				})
				if err != nil {
					return "", err
				}
				return r.Code + " " + string(r.AccessID), nil
			},
			"POST /v0.10/endpoint/c1/access",
			`{"DATA_TYPE":"access","principal_type":"identity","principal":"i1","path":"/outbox/lab7/","permissions":"r",` +
				`"expiration_date":"` + ends + `","notify_email":"alice@example.org","notify_message":"Your data is ready"}`,
			http.StatusCreated, `{"code": "Created", "access_id": "r1", "message": "Access rule created successfully."}`, "Created r1",
		},
		"given to all, with 200": {
			func(c *transfer.Client) (string, error) {
				r, err := c.CreateAccessRule(t.Context(), "c1", transfer.NewAccessRule{PrincipalType: "all_authenticated_users", Path: "/", Permissions: "r"})
				if err != nil {
					return "", err
				}
				return r.Code + " " + string(r.AccessID), nil
			},
			"POST /v0.10/endpoint/c1/access",
			`{"DATA_TYPE":"access","principal_type":"all_authenticated_users","principal":"","path":"/","permissions":"r"}`,
			http.StatusOK, `{"code": "Created", "access_id": "r1"}`, "Created r1",
		},
		"changed": {
			func(c *transfer.Client) (string, error) {
				return codeOf(c.UpdateAccessRule(t.Context(), "c1", "r1", "rw", at))
			},
			"PUT /v0.10/endpoint/c1/access/r1", `{"DATA_TYPE":"access","permissions":"rw","expiration_date":"` + ends + `"}`,
			http.StatusOK, `{"code": "Updated"}`, "Updated",
		},
		"without an end": {
			func(c *transfer.Client) (string, error) {
				return codeOf(c.UpdateAccessRule(t.Context(), "c1", "r1", "r", transfer.Time{}))
			},
			"PUT /v0.10/endpoint/c1/access/r1", `{"DATA_TYPE":"access","permissions":"r","expiration_date":null}`,
			http.StatusOK, `{"code": "Updated"}`, "Updated",
		},
		"taken back": {
			func(c *transfer.Client) (string, error) { return codeOf(c.DeleteAccessRule(t.Context(), "c1", "r1")) },
			"DELETE /v0.10/endpoint/c1/access/r1", "", http.StatusOK, `{"code": "Deleted"}`, "Deleted",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(replies(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Method + " " + r.URL.Path; got != tt.wants {
					t.Errorf("got a request %s, want %s", got, tt.wants)
				}
				if body, err := io.ReadAll(r.Body); err != nil || string(body) != tt.body {
					t.Errorf("got the body %s, %v; want %s", body, err, tt.body)
				}
				reply(tt.status, tt.reply)(w, r)
			}))
			if got, err := tt.call(c); err != nil || got != tt.code {
				t.Errorf("got %q, %v; want %q", got, err, tt.code)
			}
		})
	}
}

// codeOf is the code of a result.
func codeOf(r *transfer.Result, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return r.Code, nil
}

func TestIDsMayBeNumbers(t *testing.T) {
	tests := map[string]struct {
		id   string // as the service writes it
		want transfer.ID
		bad  bool
	}{
		"text":   {`"r1"`, "r1", false},
		"digits": {`"12345"`, "12345", false},
		"number": {`12345`, "12345", false},
		"null":   {`null`, "", false},
		"list":   {`[]`, "", true},
		"bool":   {`true`, "", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(reply(http.StatusOK, `{"DATA": [{"id": `+tt.id+`, "path": "/"}]}`))
			rules, err := collect(c.AccessRules(t.Context(), "c1"))
			roles, err2 := collect(c.Roles(t.Context(), "c1"))
			if (err != nil || err2 != nil) != tt.bad {
				t.Fatalf("got %v and %v, want an error: %t", err, err2, tt.bad)
			}
			if tt.bad {
				return
			}
			rule, role := rules[0].(*transfer.AccessRule), roles[0].(*transfer.Role)
			if rule.ID != tt.want || role.ID != tt.want {
				t.Errorf("got %q and %q, want %q", rule.ID, role.ID, tt.want)
			}
			if tt.want == "" {
				return
			}
			made, err := serve(reply(http.StatusOK, `{"code": "Created", "access_id": `+tt.id+`}`)).CreateAccessRule(t.Context(), "c1", transfer.NewAccessRule{})
			if err != nil || made.AccessID != tt.want {
				t.Errorf("got %v and %v, want the id %q", made, err, tt.want)
			}
		})
	}
}

func TestRefusedAccessRuleSaysWhy(t *testing.T) {
	tests := map[string]struct {
		status int
		reply  string
		exists bool
	}{
		"there is one":      {http.StatusConflict, `{"code": "Exists", "message": "there is a rule"}`, true},
		"there is one, too": {http.StatusConflict, `{"code": "ClientError.Exists"}`, true},
		"there are 1000":    {http.StatusConflict, `{"code": "LimitExceeded"}`, false},
		"of a proxy":        {http.StatusConflict, `<html>Exists</html>`, false},
		"no role":           {http.StatusForbidden, `{"code": "PermissionDenied"}`, false},
		"cut off":           {http.StatusCreated, `{"code": "Created"}`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(reply(tt.status, tt.reply))
			_, err := c.CreateAccessRule(t.Context(), "c1", transfer.NewAccessRule{Path: "/", Permissions: "r"})
			if e, ok := errors.AsType[*transfer.Error](err); !ok || e.Exists() != tt.exists {
				t.Errorf("got %v, want a *transfer.Error whose Exists is %t", err, tt.exists)
			}
		})
	}
}

func TestPauseRulesAreOnePage(t *testing.T) {
	c := serve(replies(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v0.10/endpoint/c1/my_effective_pause_rule_list" || r.URL.RawQuery != "" {
			t.Errorf("got a request %s %s", r.Method, r.URL)
		}
		reply(http.StatusOK, `{"DATA": [{"id": "r1"}, {"id": "r2"}], "total": 10}`)(w, r)
	}))
	rules, err := collect(c.PauseRules(t.Context(), "c1"))
	if err != nil || len(rules) != 2 {
		t.Errorf("got %d rules, %v; want 2", len(rules), err)
	}
}
