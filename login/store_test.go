package login_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/login"
)

const canary = "canary+/=secret"

// revealing compares secrets by what they reveal.
var revealing = cmp.Comparer(func(a, b auth.Secret) bool { return a.Reveal() == b.Reveal() })

// example is a login with all there can be in one.
func example(authURL, clientID string) login.Login {
	return login.Login{
		Auth: authURL, ClientID: clientID, Identity: "i1", Username: ada, Scopes: "openid " + auth.TransferAll,
		Tokens: map[string]auth.Token{
			auth.TransferServer: {
				AccessToken: auth.NewSecret(canary + "1"), Scope: auth.TransferAll, TokenType: "Bearer", ResourceServer: auth.TransferServer,
				ExpiresAtSeconds: 1795475421, RefreshToken: auth.NewSecret(canary + "2"),
			},
			auth.Server: {AccessToken: auth.NewSecret(canary + "3"), Scope: "openid", TokenType: "Bearer", ResourceServer: auth.Server, ExpiresAtSeconds: 7},
		},
	}
}

func put(t *testing.T, s *login.Store, l login.Login) *login.Login {
	t.Helper()
	old, err := s.Put(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return old
}

func logins(t *testing.T, s *login.Store, authURL string) []login.Login {
	t.Helper()
	all, err := s.Logins(authURL)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestStoreKeepsLoginsByServiceAndApp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a", "b", "login.json")
	s := login.NewStore(file)
	if got := logins(t, s, authBase); len(got) > 0 {
		t.Errorf("a file that is not there holds %v", got)
	}
	if err := s.Remove(t.Context(), example(authBase, "1")); err != nil {
		t.Errorf("remove what is not there: %v", err)
	}
	one, two, test := example(authBase, "1"), example(authBase, "2"), example("https://auth.test.globus.org/", "1")
	for _, l := range []login.Login{one, two, test} {
		if old := put(t, s, l); old != nil {
			t.Errorf("a new login replaced %v", old)
		}
	}
	s = login.NewStore(file) // another start
	if diff := cmp.Diff([]login.Login{two, one}, logins(t, s, strings.TrimSuffix(authBase, "/")), revealing); diff != "" {
		t.Errorf("newest first (-want +got):\n%s", diff)
	}
	again := example(authBase, "1")
	again.Username = grace
	if diff := cmp.Diff(&one, put(t, s, again), revealing); diff != "" {
		t.Errorf("replaced (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]login.Login{again, two}, logins(t, s, authBase), revealing); diff != "" {
		t.Errorf("after a second login (-want +got):\n%s", diff)
	}
	if err := s.Remove(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]login.Login{again}, logins(t, s, authBase), revealing); diff != "" {
		t.Errorf("after a removal (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]login.Login{test}, logins(t, s, "https://auth.test.globus.org/"), revealing); diff != "" {
		t.Errorf("of another service (-want +got):\n%s", diff)
	}
}

func TestStoreIsForItsUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "settings")
	s := login.NewStore(filepath.Join(dir, "login.json"))
	put(t, s, example(authBase, "1"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 || len(entries) != 2 {
		t.Errorf("the folder has mode %v and %d files, want the logins and a lock", info.Mode(), len(entries))
	}
}

func TestStoreThatIsRefused(t *testing.T) {
	tests := map[string]struct {
		spoil func(t *testing.T, file string)
		want  string
	}{
		"others may read": {func(t *testing.T, file string) { chmod(t, file, 0o604) }, "others may read"},
		"group may read":  {func(t *testing.T, file string) { chmod(t, file, 0o640) }, "run chmod 600"},
		"a link": {func(t *testing.T, file string) {
			check(t, os.Rename(file, file+".real"))
			check(t, os.Symlink(file+".real", file))
		}, "is a symbolic link"},
		"a folder": {func(t *testing.T, file string) {
			check(t, os.Remove(file))
			check(t, os.Mkdir(file, 0o700))
		}, "is not a plain file"},
		"no JSON":    {func(t *testing.T, file string) { write(t, file, canary) }, "holds no logins (remove it and log in again)"},
		"wrong type": {func(t *testing.T, file string) { write(t, file, `{"version": 1, "logins": "`+canary+`"}`) }, "logins has a wrong type"},
		"newer":      {func(t *testing.T, file string) { write(t, file, `{"version": 2}`) }, "has version 2"},
		"too long":   {func(t *testing.T, file string) { write(t, file, strings.Repeat(" ", 1<<20+1)) }, "longer than 1048576 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "login.json")
			s := login.NewStore(file)
			put(t, s, example(authBase, "1"))
			tt.spoil(t, file)
			_, readErr := s.Logins(authBase)
			_, putErr := s.Put(t.Context(), example(authBase, "2"))
			for _, err := range []error{readErr, putErr} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), canary) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			}
		})
	}
}

func TestStoreRefusesAFolderThatOthersWriteIn(t *testing.T) {
	dir := t.TempDir()
	chmod(t, dir, 0o777)
	_, err := login.NewStore(filepath.Join(dir, "login.json")).Put(t.Context(), example(authBase, "1"))
	if err == nil || !strings.Contains(err.Error(), "run chmod go-w "+dir) {
		t.Errorf("got %v", err)
	}
}

func TestManyWritersLoseNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "login.json")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := login.NewStore(file).Put(t.Context(), example(authBase, fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(logins(t, login.NewStore(file), authBase)); n != 20 {
		t.Errorf("%d logins, want 20", n)
	}
}

func TestWaitForTheLockEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		store, l := w.stored(login.Config{})
		w.after = func(url.Values, bool) { time.Sleep(30 * time.Second) } // as long as the lock is held
		source := store.Source(w.client(), l)
		time.Sleep(48 * time.Hour)
		var wg sync.WaitGroup
		wg.Go(func() { access(t, source) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := store.Put(ctx, l); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process") {
			t.Errorf("got %v, want the deadline", err)
		}
		wg.Wait()
	})
}

func TestSecretsOfALoginAreNotPrinted(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, example(authBase, "1")); strings.Contains(text, canary) {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, file string, mode os.FileMode) {
	t.Helper()
	check(t, os.Chmod(file, mode))
}

func write(t *testing.T, file, text string) {
	t.Helper()
	check(t, os.WriteFile(file, []byte(text), 0o600))
}
