package globussim_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/globus-runner/globus-runner/globussim"
)

// TestWebPagesOfElsewhereAreKeptOut sends what a browser would, on paths of all
// services, of the page on which people log in, and of the control path.
func TestWebPagesOfElsewhereAreKeptOut(t *testing.T) {
	tests := map[string]struct {
		host, origin, site string
		status             int    // 0: that of the answer itself
		allowed            string // Access-Control-Allow-Origin
	}{
		"no browser":                 {"127.0.0.1:8080", "", "", 0, ""},
		"another loopback address":   {"127.0.0.2:8080", "", "", 0, ""},
		"IPv6":                       {"[::1]:8080", "", "", 0, ""},
		"localhost":                  {"localhost:8080", "", "", 0, ""},
		"of a container":             {"sim:8080", "", "", 0, ""},
		"of a Kubernetes service":    {"sim.default.svc.cluster.local", "", "", 0, ""},
		"given":                      {"Sim.Lab.Edu:8080", "", "", 0, ""},
		"Globus itself":              {"transfer.api.globus.org", "", "", 0, ""},
		"a page of this machine":     {"127.0.0.1:8080", "http://localhost:5173", "", 0, "http://localhost:5173"},
		"a page of a project":        {"127.0.0.1:8080", "https://app.localhost", "", 0, "https://app.localhost"},
		"its own page":               {"sim:8080", "http://sim:8080", "", 0, "http://sim:8080"},
		"its own page, no referrer":  {"127.0.0.1:8080", "null", "same-origin", 0, ""},
		"rebound":                    {"evil.example.com:8080", "", "", http.StatusMisdirectedRequest, ""},
		"rebound, of its own origin": {"evil.example.com", "http://evil.example.com", "", http.StatusMisdirectedRequest, ""},
		"like localhost":             {"localhost.evil.com", "", "", http.StatusMisdirectedRequest, ""},
		"like an address":            {"127.0.0.1.evil.com", "", "", http.StatusMisdirectedRequest, ""},
		"a page of elsewhere":        {"127.0.0.1:8080", "https://evil.com", "", http.StatusForbidden, ""},
		"a sandbox":                  {"127.0.0.1:8080", "null", "cross-site", http.StatusForbidden, ""},
		"a file":                     {"127.0.0.1:8080", "null", "", http.StatusForbidden, ""},
		"a page like this machine's": {"127.0.0.1:8080", "http://localhost.evil.com", "", http.StatusForbidden, ""},
		"another name of elsewhere":  {"127.0.0.1:8080", "http://127.0.0.1@evil.com", "", http.StatusForbidden, ""},
	}
	s, err := globussim.New(globussim.Config{
		Accounts: []globussim.Account{{ID: "11111111-1111-4111-8111-111111111111", Secret: "s"}}, Hosts: []string{"sim.lab.edu"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // it returns nil
	requests := map[string]string{
		"/v0.10/task_list": "GET", "/v0.10/transfer": "OPTIONS", "/v2/oauth2/authorize": "POST", "/v2/oauth2/token": "POST",
		"/v2/web/auth-code": "GET", "/jobs/": "GET", "/_sim/state": "GET", "/_sim/faults": "POST", "/": "GET",
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for path, method := range requests {
				r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
				r.Host = tt.host
				if tt.origin != "" {
					r.Header.Set("Origin", tt.origin)
				}
				if tt.site != "" {
					r.Header.Set("Sec-Fetch-Site", tt.site)
				}
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				refused := w.Code == http.StatusMisdirectedRequest || w.Code == http.StatusForbidden
				if tt.status == 0 && refused || tt.status != 0 && w.Code != tt.status {
					t.Errorf("%s %s: %d, want %d: %s", method, path, w.Code, tt.status, w.Body)
				}
				if got := w.Header().Get("Access-Control-Allow-Origin"); got != tt.allowed {
					t.Errorf("%s %s allows %q, want %q", method, path, got, tt.allowed)
				}
			}
		})
	}
}
