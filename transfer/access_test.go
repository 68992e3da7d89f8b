package transfer_test

import (
	"errors"
	"net/http"
	"testing"

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
