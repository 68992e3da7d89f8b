package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/login"
)

const (
	app      = "0b6c8f2e-0000-4000-8000-000000000001"
	ada      = "ada@sim.example"
	grace    = "grace@sim.example"
	authBase = "https://auth.globus.org/"
)

// A world is a simulated Globus with a native app and two persons. Its requests
// are counted, and can be followed.
type world struct {
	*globussim.Server
	t *testing.T

	mu     sync.Mutex
	grants map[string]int                 // by grant_type
	after  func(form url.Values, ok bool) // called after each token request; may be nil
}

func newWorld(t *testing.T, edit ...func(*globussim.Config)) *world {
	t.Helper()
	cfg := globussim.Config{
		Accounts:    []globussim.Account{{ID: app, Name: "my app", NativeApp: true}},
		Persons:     []globussim.Person{{Username: ada}, {Username: grace}},
		Collections: []globussim.Collection{{Name: "lab", Dir: t.TempDir()}},
	}
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
	return &world{Server: s, t: t, grants: map[string]int{}}
}

func rotating(cfg *globussim.Config) { cfg.RotateRefreshTokens = true }

// RoundTrip sends a request to the simulator.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	var form url.Values
	if strings.HasSuffix(r.URL.Path, "/token") && r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		copied := r.Clone(r.Context())
		copied.Body = body
		if err := copied.ParseForm(); err != nil {
			return nil, err
		}
		form = copied.PostForm
	}
	resp, err := w.Client().Transport.RoundTrip(r)
	if form != nil {
		w.mu.Lock()
		w.grants[form.Get("grant_type")]++
		after := w.after
		w.mu.Unlock()
		if after != nil {
			after(form, err == nil && resp.StatusCode == http.StatusOK)
		}
	}
	return resp, err
}

// refreshes counts the requests to refresh.
func (w *world) refreshes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.grants["refresh_token"]
}

func (w *world) client(opts ...auth.Option) *auth.Client {
	return auth.New(&http.Client{Transport: w}, opts...)
}

// decide does what the person does in a browser and returns where the browser
// is sent.
func (w *world) decide(address, person, decision string) *url.URL {
	w.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		w.t.Fatal(err)
	}
	form := u.Query()
	form.Set("identity", globussim.PersonID(person))
	form.Set("decision", decision)
	u.RawQuery = ""
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := w.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close() // the header is what counts
	to, err := resp.Location()
	if err != nil {
		w.t.Fatalf("%s: HTTP %d, %v", address, resp.StatusCode, err)
	}
	return to
}

// logIn goes through a whole login.
func (w *world) logIn(person string, cfg login.Config) map[string]auth.Token {
	w.t.Helper()
	cfg.ClientID = app
	flow := login.New(w.client(), cfg)
	tokens, err := flow.Exchange(w.t.Context(), w.decide(flow.URL(), person, "allow").Query().Get("code"))
	if err != nil {
		w.t.Fatal(err)
	}
	return tokens
}

// stored puts a new login into a new store.
func (w *world) stored(cfg login.Config) (*login.Store, login.Login) {
	w.t.Helper()
	store := login.NewStore(w.t.TempDir() + "/settings/login.json")
	l := login.Login{
		Auth: authBase, ClientID: app, Identity: globussim.PersonID(ada), Username: ada,
		Scopes: auth.TransferAll, Tokens: w.logIn(ada, cfg),
	}
	if _, err := store.Put(w.t.Context(), l); err != nil {
		w.t.Fatal(err)
	}
	return store, l
}

// access returns the access token for Transfer.
func access(t *testing.T, s *auth.Source) string {
	t.Helper()
	token, err := s.Token(t.Context(), auth.TransferServer)
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken.Reveal()
}

// works reports whether Transfer takes the token.
func (w *world) works(rt http.RoundTripper) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "https://transfer.api.globus.org/v0.10/task_list", http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close() // the status is what counts
	return resp.StatusCode
}
