package globussim_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestAFaultRepliesInTheFormOfTheServiceAsked(t *testing.T) {
	tests := map[string]struct {
		fault   globussim.Fault
		address string
		want    string // in the body
		kind    string
	}{
		"Transfer":       {globussim.Fault{Status: 502, Code: "ExternalError.DirListingFailed", Message: "down"}, transferBase + "/v0.10/task_list", `"code":"ExternalError.DirListingFailed","message":"down","request_id"`, "application/json"},
		"default code":   {globussim.Fault{Status: 503}, transferBase + "/v0.10/task_list", `"code":"ServiceUnavailable","message":"Service Unavailable"`, "application/json"},
		"Auth":           {globussim.Fault{Status: 503}, authBase + "/v2/api/identities", `"code":"SERVICE_UNAVAILABLE"`, "application/json"},
		"HTML":           {globussim.Fault{Status: 504, Body: "<html>gone</html>"}, transferBase + "/v0.10/task_list", "<html>gone</html>", "text/html"},
		"any other body": {globussim.Fault{Status: 500, Body: "oops", ContentType: "text/plain"}, transferBase + "/v0.10/task_list", "oops", "text/plain"},
		"own document":   {globussim.Fault{Status: 403, Body: `{"code":"X"}`}, transferBase + "/v0.10/task_list", `{"code":"X"}`, "application/json"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := startWorld(t)
			tt.fault.RetryAfter = "7"
			s.Fail(tt.fault)
			a, err := try(t, s, http.MethodGet, tt.address)
			if err != nil {
				t.Fatal(err)
			}
			if a.status != tt.fault.Status || !strings.Contains(string(a.body), tt.want) {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if a.header.Get("Content-Type") != tt.kind || a.header.Get("Retry-After") != "7" {
				t.Errorf("headers are %v", a.header)
			}
		})
	}
}

// try sends a request as the robot and returns what came of it.
func try(t *testing.T, s *globussim.Server, method, address string) (answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(robot, robotSecret)
	return exchange(s.Client(), r)
}

func TestAFaultHitsTheRequestsThatItMatchesAsOftenAsOrdered(t *testing.T) {
	tests := map[string]struct {
		fault globussim.Fault
		want  []int // statuses of GET /v0.10/task/1, POST /v0.10/transfer, GET /v0.10/task/1, GET /v0.10/task/1
	}{
		"once":             {globussim.Fault{}, []int{418, 401, 401, 401}},
		"twice":            {globussim.Fault{Times: 2}, []int{418, 418, 401, 401}},
		"always":           {globussim.Fault{Times: -1}, []int{418, 418, 418, 418}},
		"after a skip":     {globussim.Fault{Skip: 1, Times: 2}, []int{401, 418, 418, 401}},
		"method":           {globussim.Fault{Method: "post", Times: -1}, []int{401, 418, 401, 401}},
		"path":             {globussim.Fault{Path: "/v0.10/transfer"}, []int{401, 418, 401, 401}},
		"pattern":          {globussim.Fault{Path: "/v0.10/task/*", Skip: 1}, []int{401, 401, 418, 401}},
		"everything below": {globussim.Fault{Path: "/v0.10/...", Times: 3}, []int{418, 418, 418, 401}},
		"elsewhere":        {globussim.Fault{Path: "/v2/...", Times: -1}, []int{401, 401, 401, 401}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := startWorld(t)
			tt.fault.Status = http.StatusTeapot
			s.Fail(tt.fault)
			var got []int
			for _, call := range []string{"GET /v0.10/task/1", "POST /v0.10/transfer", "GET /v0.10/task/1", "GET /v0.10/task/1"} {
				method, path, _ := strings.Cut(call, " ")
				a, err := try(t, s, method, transferBase+path)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, a.status)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultsApplyInTheOrderInWhichTheyWereOrdered(t *testing.T) {
	s := startWorld(t)
	s.Fail(globussim.Fault{Status: 500}, globussim.Fault{Status: 503, Times: 2}, globussim.Fault{Status: 429})
	for _, want := range []int{500, 503, 503, 429, 200} {
		a, err := try(t, s, http.MethodGet, authBase+"/.well-known/openid-configuration")
		if err != nil || a.status != want {
			t.Errorf("got %d %s %v, want %d", a.status, a.body, err, want)
		}
	}
	if left := s.Faults(); len(left) != 0 {
		t.Errorf("%d faults are left", len(left))
	}
}

func TestAFaultDecidesWhetherTheRequestTakesEffect(t *testing.T) {
	tests := map[string]struct {
		fault  globussim.Fault
		effect bool
	}{
		"refused":              {globussim.Fault{Status: 500}, false},
		"refused after effect": {globussim.Fault{Status: 504, AfterEffect: true}, true},
		"dropped before":       {globussim.Fault{Drop: globussim.DropBefore}, false},
		"dropped after":        {globussim.Fault{Drop: globussim.DropAfter}, true},
		"truncated":            {globussim.Fault{Truncate: 5}, true},
		"cut":                  {globussim.Fault{Cut: 5}, true},
		"other body":           {globussim.Fault{Body: "<html>"}, true},
		"slow":                 {globussim.Fault{Delay: time.Millisecond}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := startWorld(t)
			s.Fail(tt.fault)
			// Making an identity up is an effect.
			_, _ = try(t, s, http.MethodGet, authBase+"/v2/api/identities?provision=true&usernames=new@example.org")
			a, err := try(t, s, http.MethodGet, authBase+"/v2/api/identities?usernames=new@example.org")
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(a.body), "new@example.org"); got != tt.effect {
				t.Errorf("took effect: %t, want %t", got, tt.effect)
			}
		})
	}
}

func TestASpoiledAnswerLooksAsItDoesOnTheNetwork(t *testing.T) {
	const address = authBase + "/.well-known/openid-configuration"
	s := startWorld(t)
	intact, err := try(t, s, http.MethodGet, address)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(intact.body)
	tests := map[string]struct {
		fault  globussim.Fault
		body   string
		length int64
		err    error
	}{
		"dropped before":  {globussim.Fault{Drop: globussim.DropBefore}, "", 0, io.ErrUnexpectedEOF},
		"dropped after":   {globussim.Fault{Drop: globussim.DropAfter}, "", 0, io.ErrUnexpectedEOF},
		"truncated":       {globussim.Fault{Truncate: 9}, whole[:9], int64(len(whole)), io.ErrUnexpectedEOF},
		"truncated late":  {globussim.Fault{Truncate: 1 << 20}, whole, int64(len(whole)), nil},
		"cut":             {globussim.Fault{Cut: 9}, whole[:9], 9, nil},
		"truncated error": {globussim.Fault{Status: 500, Body: "0123456789", Truncate: 3}, "012", 10, io.ErrUnexpectedEOF},
		"a 200 of a page": {globussim.Fault{Body: "<html>"}, "<html>", 6, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s.Fail(tt.fault)
			a, err := try(t, s, http.MethodGet, address)
			if !errors.Is(err, tt.err) {
				t.Errorf("got error %v, want %v", err, tt.err)
			}
			if string(a.body) != tt.body || a.length != tt.length {
				t.Errorf("got %q of %d bytes, want %q of %d", a.body, a.length, tt.body, tt.length)
			}
		})
	}
}

func TestADelayHoldsTheAnswerBackAfterTheEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWorld(t)
		s.Fail(globussim.Fault{Delay: time.Hour}, globussim.Fault{Delay: time.Hour, Status: 503})
		for _, want := range []int{200, 503} {
			begin := time.Now()
			a, err := try(t, s, http.MethodGet, authBase+"/.well-known/openid-configuration")
			if err != nil || a.status != want || time.Since(begin) != time.Hour {
				t.Errorf("got %d %v after %v, want %d after an hour", a.status, err, time.Since(begin), want)
			}
		}
	})
}

func TestFailPanicsOnAFaultThatIsNotValid(t *testing.T) {
	s := startWorld(t)
	for name, f := range map[string]globussim.Fault{
		"nothing":       {},
		"status":        {Status: 99},
		"pattern":       {Path: "[", Status: 500},
		"drop":          {Drop: "sometimes"},
		"negative skip": {Skip: -1, Status: 500},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it was accepted", name)
				}
			}()
			s.Fail(f)
		}()
	}
	if n := len(s.Faults()); n != 0 {
		t.Errorf("%d faults were kept", n)
	}
}
