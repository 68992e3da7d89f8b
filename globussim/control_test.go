package globussim_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/globussim"
)

// order sends a request to the control path.
func order(t *testing.T, s *globussim.Server, method, path, body string) answer {
	t.Helper()
	return ask(t, s.Client(), method, "http://sim.test/_sim/"+path, "", "application/json", body)
}

func TestFaultsAreOrderedOverTheControlPath(t *testing.T) {
	s := startWorld(t)
	a := order(t, s, http.MethodPost, "faults", `{"method": "POST", "path": "/v0.10/...", "times": 3, "status": 429, "retry_after": "5", "delay": "1.5s"}`)
	b := order(t, s, http.MethodPost, "faults", `[{"drop": "after", "skip": 1}, {"status": 504, "after_effect": true, "body": "<html>", "content_type": "text/html"}]`)
	if a.status != http.StatusOK || b.status != http.StatusOK {
		t.Fatalf("got %d %s, %d %s", a.status, a.body, b.status, b.body)
	}
	want := []globussim.Fault{
		{Method: "POST", Path: "/v0.10/...", Times: 3, Status: 429, RetryAfter: "5", Delay: 1500 * time.Millisecond},
		{Drop: globussim.DropAfter, Skip: 1},
		{Status: 504, AfterEffect: true, Body: "<html>", ContentType: "text/html"},
	}
	if diff := cmp.Diff(want, s.Faults()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	list := order(t, s, http.MethodGet, "faults", "")
	if !strings.Contains(string(list.body), `"retry_after":"5","delay":"1.5s"`) {
		t.Errorf("got %s", list.body)
	}
	if a := order(t, s, http.MethodDelete, "faults", ""); a.status != http.StatusNoContent || len(s.Faults()) != 0 {
		t.Errorf("got %d, %d faults are left", a.status, len(s.Faults()))
	}
}

func TestOrdersThatMakeNoSenseAreRefused(t *testing.T) {
	s := startWorld(t)
	for _, tt := range []struct{ path, body, want string }{
		{"faults", `{`, "EOF"},
		{"faults", `{"stauts": 500}`, "stauts"},
		{"faults", `{"status": 500, "delay": "soon"}`, "soon"},
		{"faults", `[{"status": 500}, {}]`, "no consequence"},
		{"tokens/expire", `{"clint": "x"}`, "clint"},
		{"consents/rescind", `[]`, "array"},
	} {
		a := order(t, s, http.MethodPost, tt.path, tt.body)
		if a.status != http.StatusBadRequest || a.text("code") != "BadRequest" || !strings.Contains(a.text("message"), tt.want) {
			t.Errorf("%s %s: got %d %s", tt.path, tt.body, a.status, a.body)
		}
	}
	if n := len(s.Faults()); n != 0 {
		t.Errorf("%d faults were kept", n)
	}
}

func TestTokensEndOnOrder(t *testing.T) {
	tests := map[string]struct {
		end  func(t *testing.T, s *globussim.Server)
		want []int // statuses of the robot and of the other account
	}{
		"expired": {func(_ *testing.T, s *globussim.Server) { s.ExpireTokens() }, []int{401, 401}},
		"revoked": {func(_ *testing.T, s *globussim.Server) { s.RevokeTokens(robot) }, []int{401, 200}},
		"expired by control": {func(t *testing.T, s *globussim.Server) {
			order(t, s, "POST", "tokens/expire", `{"client": "`+strings.ToUpper(other)+`"}`)
		}, []int{200, 401}},
		"revoked by control": {func(t *testing.T, s *globussim.Server) { order(t, s, "POST", "tokens/revoke", "") }, []int{401, 401}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := startWorld(t)
			mine := bearer(t, s, transferAll)
			theirs := ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token", basic(other, otherSecret), formType, "grant_type=client_credentials&scope="+transferAll)
			tt.end(t, s)
			got := []int{
				get(t, s, transferBase+"/v0.10/task_list", mine).status,
				get(t, s, transferBase+"/v0.10/task_list", "Bearer "+theirs.text("access_token")).status,
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if a := get(t, s, transferBase+"/v0.10/task_list", bearer(t, s, transferAll)); a.status != http.StatusOK {
				t.Errorf("a new token: %d", a.status)
			}
		})
	}
}

func TestConsentsAreRescindedOverTheControlPath(t *testing.T) {
	s := startWorld(t)
	request(t, s, transferAll)
	if a := order(t, s, http.MethodPost, "consents/rescind", `{"client": "`+robot+`"}`); a.status != http.StatusNoContent {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if consents := s.State().Consents; len(consents) != 0 {
		t.Errorf("left: %v", consents)
	}
}

func TestTheStateTellsWhatHappened(t *testing.T) {
	s := startWorld(t)
	token := bearer(t, s, "openid "+transferAll)
	s.Fail(globussim.Fault{Path: "/v0.10/transfer", Drop: globussim.DropBefore})
	if _, err := try(t, s, http.MethodPost, transferBase+"/v0.10/transfer"); err == nil {
		t.Error("the connection was not dropped")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, transferBase+"/v0.10/nothing?x=y", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "tester/1")
	r.Header.Set("X-Globus-Client-Info", "product=tester")
	r.Header.Set("Authorization", token)
	if _, err := exchange(s.Client(), r); err != nil {
		t.Fatal(err)
	}
	order(t, s, http.MethodGet, "state", "")

	want := globussim.State{
		Routes: map[string]int{"POST /v2/oauth2/token": 1, "POST /v0.10/transfer": 1, "unknown": 1},
		Requests: []globussim.Request{
			{Method: "POST", Path: "/v2/oauth2/token", Status: 200},
			{Method: "POST", Path: "/v0.10/transfer", Status: 0},
			{Method: "GET", Path: "/v0.10/nothing", Status: 404, UserAgent: "tester/1", ClientInfo: "product=tester"},
		},
		Tokens:   map[string]map[string]int{robot: {"auth.globus.org": 1, "transfer.api.globus.org": 1}},
		Consents: map[string][]string{robot: {"openid", transferAll}},
	}
	ignore := cmpopts.IgnoreFields(globussim.Request{}, "Time")
	if diff := cmp.Diff(want, s.State(), ignore, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a := order(t, s, http.MethodGet, "state", "")
	if strings.Contains(string(a.body), strings.TrimPrefix(token, "Bearer ")) {
		t.Error("the state holds a token")
	}
	if routes, _ := a.doc["routes"].(map[string]any); routes["POST /v0.10/transfer"] != 1.0 {
		t.Errorf("got %s", a.body)
	}
}

func TestAnIdentityIsMeteredOverTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWorld(t, func(cfg *globussim.Config) { cfg.RequestRate = 2 })
		mine, theirs := bearer(t, s, transferAll), bearer(t, s, transferAll)
		send := func() answer { return get(t, s, transferBase+"/v0.10/task_list", mine) }

		for range 10 {
			send()
		}
		time.Sleep(4 * time.Second)
		for i := range 10 {
			if a := send(); a.status != http.StatusOK {
				t.Fatalf("request %d: %d", i+11, a.status)
			}
		}
		a := get(t, s, transferBase+"/v0.10/task_list", theirs)
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "6" || a.text("code") == "" {
			t.Errorf("got %d %s, Retry-After %s; the limit is for the identity, not for the token", a.status, a.body, a.header.Get("Retry-After"))
		}
		if a := ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token", basic(other, otherSecret), formType, "grant_type=client_credentials&scope="+transferAll); a.status != http.StatusOK {
			t.Errorf("Auth is metered: %d", a.status)
		} else if a = get(t, s, transferBase+"/v0.10/task_list", "Bearer "+a.text("access_token")); a.status != http.StatusOK {
			t.Errorf("another identity: %d", a.status)
		}
		time.Sleep(6 * time.Second)
		if a := send(); a.status != http.StatusOK {
			t.Errorf("after Retry-After: %d", a.status)
		}
	})
}

// What is accepted as an order is listed so that it can be ordered again.
func FuzzFaults(f *testing.F) {
	s, err := globussim.New(world(f.TempDir()))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		`{"status": 500}`, `[{"drop": "after", "times": -1}, {"cut": 3}]`, `[]`, `null`, `{"delay": "1h"}`, `{"delay": "-1s"}`, `{"path": "[", "status": 500}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s.ClearFaults()
		a := order(t, s, http.MethodPost, "faults", body)
		accepted := s.Faults()
		if a.status != http.StatusOK {
			if len(accepted) > 0 {
				t.Errorf("%q was refused, but %d faults were kept", body, len(accepted))
			}
			return
		}
		list, err := json.Marshal(a.doc["faults"])
		if err != nil {
			t.Fatal(err)
		}
		s.ClearFaults()
		order(t, s, http.MethodPost, "faults", string(list))
		if diff := cmp.Diff(accepted, s.Faults(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-accepted +again):\n%s", body, diff)
		}
	})
}
