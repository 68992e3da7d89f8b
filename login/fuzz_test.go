package login_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
