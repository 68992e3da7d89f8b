package status_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/status"
)

// An answer is the JSON of every path but /metrics.
type answer struct {
	OK     bool    `json:"ok"`
	Error  string  `json:"error"`
	Checks []check `json:"checks"`
}

type check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

// ask sends a request to s and returns the status and the answer.
func ask(t *testing.T, s *status.Status, method, path string) (int, answer) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, "/", http.NoBody)
	r.URL.Path = path // as it came, whether clean or not
	s.Handler().ServeHTTP(w, r)

	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s %s: %v in %q", method, path, err, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("%s %s: content type is %q", method, path, got)
	}
	if a.OK != (w.Code == http.StatusOK) || a.OK != (a.Error == "") {
		t.Errorf("%s %s: status %d contradicts %+v", method, path, w.Code, a)
	}
	return w.Code, a
}

func TestHealthFollowsTheLoop(t *testing.T) {
	tests := map[string]struct {
		beats []time.Duration // after the start
		at    time.Duration
		want  int
	}{
		"just started":       {nil, 0, 200},
		"slow start":         {nil, 2 * time.Minute, 200},
		"start that hangs":   {nil, 2*time.Minute + 1, 503},
		"turning":            {[]time.Duration{time.Minute, 2 * time.Minute}, 4 * time.Minute, 200},
		"stopped":            {[]time.Duration{time.Minute}, 3*time.Minute + 1, 503},
		"turning once again": {[]time.Duration{time.Minute, time.Hour}, time.Hour, 200},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				s := status.New(status.Config{})
				for _, beat := range tt.beats {
					time.Sleep(beat - time.Since(begin))
					s.Beat()
				}
				time.Sleep(tt.at - time.Since(begin))
				if got, a := ask(t, s, "GET", "/healthz"); got != tt.want {
					t.Errorf("got %d %q, want %d", got, a.Error, tt.want)
				}
			})
		})
	}
}

func TestHeadIsAnsweredAsGet(t *testing.T) {
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		var got []int
		for _, method := range []string{"GET", "HEAD"} {
			w := httptest.NewRecorder()
			status.New(status.Config{}).Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
			got = append(got, w.Code)
		}
		if got[0] != got[1] {
			t.Errorf("%s: got %d for GET and %d for HEAD", path, got[0], got[1])
		}
	}
}

func TestHealthDoesNotDependOnChecks(t *testing.T) {
	s := status.New(status.Config{Checks: checks{"ledger": fails("gone")}})
	if got, _ := ask(t, s, "GET", "/healthz"); got != 200 {
		t.Errorf("got %d, want 200", got)
	}
}

func TestOtherRequestsAreRefusedInJSON(t *testing.T) {
	tests := map[string]struct {
		method, path string
		want         int
	}{
		"root":           {"GET", "/", 404},
		"unknown":        {"GET", "/debug/pprof/", 404},
		"below":          {"GET", "/healthz/", 404},
		"not clean":      {"GET", "//healthz", 404},
		"dots":           {"GET", "/x/../healthz", 404},
		"no path":        {"OPTIONS", "*", 404},
		"post to none":   {"POST", "/", 404},
		"post":           {"POST", "/healthz", 405},
		"put":            {"PUT", "/readyz", 405},
		"delete":         {"DELETE", "/metrics", 405},
		"unknown method": {"BREW", "/metrics", 405},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, _ := ask(t, status.New(status.Config{}), tt.method, tt.path); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestRefusedMethodNamesThoseThatWork(t *testing.T) {
	w := httptest.NewRecorder()
	status.New(status.Config{}).Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/metrics", http.NoBody))
	if diff := cmp.Diff([]string{"GET, HEAD"}, w.Header()["Allow"]); diff != "" {
		t.Error(diff)
	}
}

func ExampleStatus_Handler() {
	s := status.New(status.Config{Checks: map[string]func(context.Context) error{
		"ledger": func(context.Context) error { return nil },
		"token":  func(context.Context) error { return fmt.Errorf("get a token: invalid_client") },
	}})
	s.Beat() // in each turn of the loop

	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", "/readyz", http.NoBody))
	fmt.Println(w.Code, w.Body)
	// Output:
	// 503 {"ok":false,"error":"not ready: token","checks":[{"name":"ledger","ok":true},{"name":"loop","ok":true},{"name":"token","ok":false,"error":"get a token: invalid_client"}]}
}
