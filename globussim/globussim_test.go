package globussim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/globus-runner/globus-runner/globussim"
)

const (
	robot       = "0f1e2d3c-0000-4000-8000-000000000001"
	robotSecret = "s3cret+with/odd=characters"
	other       = "0f1e2d3c-0000-4000-8000-000000000002"
	otherSecret = "another-secret"
	nativeApp   = "0f1e2d3c-0000-4000-8000-000000000003"

	transferAll = "urn:globus:auth:scope:transfer.api.globus.org:all"
)

// world is a Globus with one collection of each kind, two service accounts and
// a native app.
func world(dir string) globussim.Config {
	return globussim.Config{
		Accounts: []globussim.Account{
			{ID: robot, Secret: robotSecret, Name: "robot"},
			{ID: other, Secret: otherSecret},
			{ID: nativeApp, NativeApp: true},
		},
		Collections: []globussim.Collection{
			{Name: "guest", Dir: dir},
			{Name: "mapped", Dir: dir, EntityType: globussim.MappedCollection},
			{Name: "assured", Dir: dir, EntityType: globussim.MappedCollection, HighAssurance: true},
			{Name: "laptop", Dir: dir, EntityType: globussim.GCPMappedCollection},
		},
	}
}

func startWorld(t *testing.T, edit ...func(*globussim.Config)) *globussim.Server {
	t.Helper()
	cfg := world(t.TempDir())
	for _, change := range edit {
		change(&cfg)
	}
	s, err := globussim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// An answer is a reply that was read to its end.
type answer struct {
	status int
	header http.Header
	length int64 // as announced
	body   []byte
	doc    map[string]any // nil if the body is not a JSON object
}

// text returns the string at that key of the document.
func (a answer) text(key string) string {
	text, _ := a.doc[key].(string)
	return text
}

// exchange sends a request and reads the answer.
func exchange(hc *http.Client, r *http.Request) (answer, error) {
	resp, err := hc.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength}
	a.body, err = io.ReadAll(resp.Body)
	_ = json.Unmarshal(a.body, &a.doc) // it may be anything
	return a, err
}

// ask sends a request with the Authorization header, unless that is empty.
func ask(t *testing.T, hc *http.Client, method, address, authorization, contentType, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	a, err := exchange(hc, r)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.body) > 0 && (a.doc == nil || a.header.Get("Content-Type") != "application/json") {
		t.Fatalf("%s %s answers %q as %s, which is not a JSON object", method, address, a.body, a.header.Get("Content-Type"))
	}
	return a
}

const (
	authBase     = "https://auth.globus.org"
	transferBase = "https://transfer.api.globus.org"
	formType     = "application/x-www-form-urlencoded"
)

// basic is an Authorization header as the official SDKs build it.
func basic(id, secret string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(id, secret)
	return r.Header.Get("Authorization")
}

// post sends a form to Auth as the robot.
func post(t *testing.T, s *globussim.Server, path string, form url.Values) answer {
	t.Helper()
	return ask(t, s.Client(), http.MethodPost, authBase+path, basic(robot, robotSecret), formType, form.Encode())
}

// request asks for tokens as the robot.
func request(t *testing.T, s *globussim.Server, scopes string) answer {
	t.Helper()
	return post(t, s, "/v2/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {scopes}})
}

// bearer returns an Authorization header with a new token for the scopes, which
// must be of one resource server.
func bearer(t *testing.T, s *globussim.Server, scopes string) string {
	t.Helper()
	a := request(t, s, scopes)
	if a.status != http.StatusOK {
		t.Fatalf("token request: %d %s", a.status, a.body)
	}
	return "Bearer " + a.text("access_token")
}

// get sends a GET request.
func get(t *testing.T, s *globussim.Server, address, authorization string) answer {
	t.Helper()
	return ask(t, s.Client(), http.MethodGet, address, authorization, "", "")
}

func TestUnknownURLsAndMethodsAreRefusedInJSONAndNeverRedirected(t *testing.T) {
	s := startWorld(t)
	token := bearer(t, s, transferAll)
	tests := map[string]struct {
		method, address string
		status          int
		code            string
	}{
		"unknown":               {"GET", transferBase + "/v0.10/nothing", 404, "ClientError.NotFound"},
		"not simulated":         {"GET", transferBase + "/v2/groups/my_groups", 501, "NotImplemented"},
		"flows, method":         {"POST", flowsAddress + "/flows", 501, "NOT_IMPLEMENTED"},
		"runs, method":          {"POST", flowsAddress + "/runs", 404, "NOT_FOUND"},
		"version alone":         {"GET", transferBase + "/v0.10", 404, "ClientError.NotFound"},
		"no path":               {"GET", transferBase, 404, "ClientError.NotFound"},
		"no path, of a proxy":   {"CONNECT", transferBase, 404, "ClientError.NotFound"},
		"root":                  {"GET", transferBase + "/", 404, "ClientError.NotFound"},
		"trailing slash":        {"GET", transferBase + "/v0.10/task_list/", 404, "ClientError.NotFound"},
		"two slashes":           {"POST", transferBase + "/v0.10//transfer", 404, "ClientError.NotFound"},
		"two slashes first":     {"GET", transferBase + "//v0.10/task_list", 404, "ClientError.NotFound"},
		"dots":                  {"GET", transferBase + "/v0.10/x/../task_list", 404, "ClientError.NotFound"},
		"encoded slash in id":   {"GET", transferBase + "/v0.10/task/a%2Fb", 404, "ClientError.NotFound"},
		"method":                {"DELETE", transferBase + "/v0.10/transfer", 405, "ClientError.BadMethod"},
		"GET of a POST":         {"GET", transferBase + "/v0.10/transfer", 405, "ClientError.BadMethod"},
		"auth, unknown":         {"GET", authBase + "/v2/api/nothing", 404, "NOT_FOUND"},
		"auth, method":          {"GET", authBase + "/v2/oauth2/token", 405, "METHOD_NOT_ALLOWED"},
		"auth, two slashes":     {"POST", authBase + "/v2/oauth2//token", 404, "NOT_FOUND"},
		"auth, trailing slash":  {"POST", authBase + "/v2/oauth2/token/", 404, "NOT_FOUND"},
		"control path, unknown": {"GET", transferBase + "/_sim/nothing", 404, "ClientError.NotFound"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := ask(t, s.Client(), tt.method, tt.address, token, "", "")
			code := a.text("code")
			if errs, ok := a.doc["errors"].([]any); ok {
				code, _ = errs[0].(map[string]any)["code"].(string)
			}
			if e, ok := a.doc["error"].(map[string]any); ok {
				code, _ = e["code"].(string)
			}
			if a.status != tt.status || code != tt.code {
				t.Errorf("got %d %q, want %d %q", a.status, code, tt.status, tt.code)
			}
			if got := a.header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type is %q", got)
			}
		})
	}
}

func TestErrorDocumentsOfTransferHaveTheFourFieldsAndTheOldHeaders(t *testing.T) {
	s := startWorld(t)
	a := get(t, s, transferBase+"/v0.10/nothing/here", bearer(t, s, transferAll))

	if id := a.text("request_id"); len(id) != 9 {
		t.Errorf("request_id %q has not nine characters", id)
	}
	if a.text("message") == "" || a.text("resource") != "/nothing/here" {
		t.Errorf("got %s", a.body)
	}
	if a.header.Get("X-Transfer-Api-Error") != a.text("code") || a.header.Get("X-Transfer-Api-Version") != "0.10" || a.header.Get("Date") == "" {
		t.Errorf("headers are %v", a.header)
	}
}

func TestTransferAsksForABearerTokenOfItsOwn(t *testing.T) {
	s := startWorld(t)
	good := bearer(t, s, transferAll)
	revoked := bearer(t, s, transferAll)
	post(t, s, "/v2/oauth2/token/revoke", url.Values{"token": {strings.TrimPrefix(revoked, "Bearer ")}})

	tests := map[string]struct {
		authorization string
		status        int
		code          string
	}{
		"good":                    {good, 200, ""},
		"scheme in other case":    {strings.Replace(good, "Bearer", "bearer", 1), 200, ""},
		"none":                    {"", 400, "ClientError.AuthenticationFailed"},
		"unknown":                 {"Bearer AgNonsense", 401, "AuthenticationFailed"},
		"empty":                   {"Bearer ", 401, "AuthenticationFailed"},
		"revoked":                 {revoked, 401, "AuthenticationFailed"},
		"of another server":       {bearer(t, s, "openid"), 401, "AuthenticationFailed"},
		"basic":                   {basic(robot, robotSecret), 401, "AuthenticationFailed"},
		"good one, after revoked": {good, 200, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := get(t, s, transferBase+"/v0.10/task_list", tt.authorization)
			if a.status != tt.status || a.text("code") != tt.code {
				t.Errorf("got %d %s, want %d %q", a.status, a.body, tt.status, tt.code)
			}
		})
	}
}

func TestBodiesWithoutEndAreRefused(t *testing.T) {
	s := startWorld(t)
	tests := map[string]struct {
		path   string
		body   io.Reader
		status int
		want   string
	}{
		"Auth":                          {"/v2/oauth2/token", strings.NewReader(strings.Repeat(" ", 1<<20+1)), 413, `"error":"request_entity_too_large"`},
		"Auth, in chunks":               {"/v2/oauth2/token", io.MultiReader(strings.NewReader(strings.Repeat(" ", 1<<20+1))), 413, `"error":"request_entity_too_large"`},
		"Auth, just fits":               {"/v2/oauth2/token", io.MultiReader(strings.NewReader(strings.Repeat(" ", 1<<20))), 401, "invalid_client"},
		"Transfer":                      {"/v0.10/transfer", strings.NewReader(strings.Repeat(" ", 64<<20+1)), 413, `"code":"ClientError.RequestTooLarge"`},
		"Transfer, just more than Auth": {"/v0.10/transfer", strings.NewReader(strings.Repeat(" ", 1<<20+1)), 400, `"code":"ClientError.AuthenticationFailed"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			// A recorder, because a client may fail to write what is not read.
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, tt.path, tt.body))
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestBrowsersMayCallBothServices(t *testing.T) {
	const page = "http://localhost:5173"
	s := startWorld(t)
	for _, address := range []string{authBase + "/v2/oauth2/token", transferBase + "/v0.10/task_list"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", page)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,x-globus-client-info")
		a, err := exchange(s.Client(), r)
		if err != nil {
			t.Fatal(err)
		}
		allowed := a.header.Get("Access-Control-Allow-Headers")
		if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != page ||
			allowed != "authorization,content-type,x-globus-client-info" ||
			!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "POST") {
			t.Errorf("preflight of %s: %d %v", address, a.status, a.header)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, transferBase+"/v0.10/task_list", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", page)
	if a, err := exchange(s.Client(), r); err != nil || a.header.Get("Access-Control-Allow-Origin") != page {
		t.Errorf("an error cannot be read by a script: %v", a.header)
	}
	if n := len(s.State().Requests); n != 1 {
		t.Errorf("preflights are counted: %d requests, want 1", n)
	}
}

func TestHEADAnswersAsGETWithoutABody(t *testing.T) {
	s := startWorld(t)
	a := ask(t, s.Client(), http.MethodHead, authBase+"/.well-known/openid-configuration", "", "", "")
	if a.status != http.StatusOK || len(a.body) != 0 || a.header.Get("Content-Length") == "0" {
		t.Errorf("got %d with %d bytes, headers %v", a.status, len(a.body), a.header)
	}
}

func TestOnASocketADropIsSeenAsABrokenConnection(t *testing.T) {
	s := startWorld(t)
	server := httptest.NewServer(s)
	defer server.Close()
	tests := map[string]struct {
		fault globussim.Fault
		want  []error
	}{
		"dropped":   {globussim.Fault{Drop: globussim.DropBefore, Times: -1}, []error{syscall.ECONNRESET, io.EOF}},
		"truncated": {globussim.Fault{Truncate: 5, Times: -1}, []error{io.ErrUnexpectedEOF}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s.ClearFaults()
			s.Fail(tt.fault)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/.well-known/openid-configuration", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			_, err = exchange(server.Client(), r)
			for _, want := range tt.want {
				if errors.Is(err, want) {
					return
				}
			}
			t.Errorf("the client got %v, want one of %v", err, tt.want)
		})
	}
}

func TestNewNamesEveryFaultOfItsConfiguration(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]struct {
		edit func(*globussim.Config)
		want []string
	}{
		"nothing":         {func(c *globussim.Config) { *c = globussim.Config{} }, []string{"no account"}},
		"account twice":   {func(c *globussim.Config) { c.Accounts[1].ID = strings.ToUpper(robot) }, []string{robot + " occurs twice"}},
		"account's id":    {func(c *globussim.Config) { c.Accounts[0].ID = "robot" }, []string{`"robot": the id is not a UUID`}},
		"no secret":       {func(c *globussim.Config) { c.Accounts[0].Secret = "" }, []string{robot + " has no secret"}},
		"name twice":      {func(c *globussim.Config) { c.Collections[1].Name = "guest" }, []string{`"guest": the name occurs twice`}},
		"id twice":        {func(c *globussim.Config) { c.Collections[1].ID = globussim.CollectionID("guest") }, []string{`"mapped": the id`, "occurs twice"}},
		"collection's id": {func(c *globussim.Config) { c.Collections[1].ID = "x" }, []string{`the id "x" is not a UUID`}},
		"kind":            {func(c *globussim.Config) { c.Collections[0].EntityType = "disk" }, []string{`no entity type "disk"`}},
		"home":            {func(c *globussim.Config) { c.Collections[0].Home = "home" }, []string{`the home "home"`}},
		"negative":        {func(c *globussim.Config) { c.Rate = -1 }, []string{"negative"}},
		"permissions":     {func(c *globussim.Config) { c.Collections[0].Access = []globussim.AccessRule{{Permissions: "w"}} }, []string{`permissions "w"`}},
		"two at once":     {func(c *globussim.Config) { c.Collections[0].Dir += "/none"; c.Accounts[0].Secret = "" }, []string{"no such file", "has no secret"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := world(dir)
			tt.edit(&cfg)
			_, err := globussim.New(cfg)
			for _, want := range tt.want {
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("got %v, want something with %q", err, want)
				}
			}
		})
	}
}
