package login_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/login"
)

func FuzzStore(f *testing.F) {
	for _, seed := range []string{
		`{"version": 1, "logins": []}`,
		`{"version": 1, "logins": [{"auth_url": "` + authBase + `", "client_id": "c", "tokens": {"s": {"access_token": "a", "expires_at_seconds": 7}}}]}`,
		`{"version": 1, "logins": [{"auth_url": "` + authBase + `"}, {"auth_url": "` + authBase + `"}]}`,
		`{"version": 2}`, `{}`, `null`, ``, `{"version": 1, "logins": [null]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "login.json")
		write(t, file, string(data))
		store := login.NewStore(file)
		before, err := store.Logins(authBase)
		if err != nil {
			if before != nil {
				t.Fatalf("logins and an error: %v", err)
			}
			return
		}
		// What was read is written as it was, beside a new login.
		put(t, store, example(authBase, "new"))
		check(t, store.Remove(t.Context(), example(authBase, "new")))
		if after := logins(t, store, authBase); len(before) > 0 && !hasNew(before) {
			if diff := cmp.Diff(before, after, revealing); diff != "" {
				t.Errorf("logins (-before +after):\n%s", diff)
			}
		}
	})
}

func hasNew(all []login.Login) bool {
	for _, l := range all {
		if l.ClientID == "new" {
			return true
		}
	}
	return false
}

func FuzzInstant(f *testing.F) {
	for _, seed := range []string{"2026-11-21T02:00:00Z", "2026-11-21T02:00:00.5+01:00", "1795226400", "0", "-1", "68719476736", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var i, again login.Instant
		if err := i.UnmarshalText([]byte(text)); err != nil {
			if !i.IsZero() {
				t.Fatalf("%q gives %v and %v", text, i, err)
			}
			return
		}
		if err := again.UnmarshalText([]byte(i.Format(time.RFC3339Nano))); err != nil || !again.Equal(i.Time) {
			t.Errorf("%q gives %v, then %v, %v", text, i, again, err)
		}
	})
}

// FuzzCallback checks that only a request that knows the state of the flow is
// taken for its end, and that it brings a code or a reason of one harmless line.
func FuzzCallback(f *testing.F) {
	for _, query := range []string{
		"code=c0de", "error=access_denied", "error=x%0A%1B[2J&error_description=%E2%80%AE", "code=&code=x", "state=&code=x", "code=%zz", "code=a;b=c", "",
	} {
		f.Add("GET", "/", query, true)
		f.Add("GET", "/", query, false)
	}
	f.Add("POST", "/", "code=x", true)
	f.Add("GET", "//", "code=x", true)
	f.Fuzz(func(t *testing.T, method, path, query string, known bool) {
		flow := login.New(auth.New(http.DefaultClient), login.Config{ClientID: app, Redirect: "http://localhost:1"})
		u, err := url.Parse(flow.URL())
		if err != nil {
			t.Fatal(err)
		}
		if known {
			query = "state=" + u.Query().Get("state") + "&" + query
		}
		code, right, err := flow.Callback(&http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}})
		switch {
		case right && (!known || method != http.MethodGet || path != "/"):
			t.Errorf("%s %s?%s ends the login", method, path, query)
		case right && (code == "") == (err == nil), !right && (code != "" || err != nil):
			t.Errorf("%s?%s: %t, %q and %v", path, query, right, code, err)
		case err != nil && (strings.ContainsFunc(err.Error(), unicode.IsControl) || len([]rune(err.Error())) > 400):
			t.Errorf("%s?%s: %q", path, query, err)
		}
	})
}
