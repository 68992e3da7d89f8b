package login_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/login"
)

// refreshToken is the one for Transfer in the file.
func refreshToken(t *testing.T, s *login.Store) string {
	t.Helper()
	return logins(t, s, authBase)[0].Tokens[auth.TransferServer].RefreshToken.Reveal()
}

func TestStoredTokenIsRenewedAMinuteBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		store, l := w.stored(login.Config{})
		source := store.Source(w.client(), l)
		first := access(t, source)
		if first != l.Tokens[auth.TransferServer].AccessToken.Reveal() || w.refreshes() != 0 {
			t.Errorf("the token of the file was not used, with %d refreshes", w.refreshes())
		}
		const life = 48 * time.Hour
		time.Sleep(life - 61*time.Second)
		if access(t, source) != first || w.refreshes() != 0 {
			t.Error("renewed early")
		}
		time.Sleep(time.Second)
		second := access(t, source)
		if second == first || w.refreshes() != 1 {
			t.Errorf("the same token after %d refreshes, want a new one after 1", w.refreshes())
		}
		if next := access(t, login.NewStore(store.File()).Source(w.client(), l)); next != second || w.refreshes() != 1 {
			t.Errorf("the next start has another token after %d refreshes", w.refreshes())
		}
		time.Sleep(life)
		if third := access(t, source); third == second || w.refreshes() != 2 {
			t.Errorf("the refresh token was good once, with %d refreshes", w.refreshes())
		}
	})
}

func TestManyCallersMakeOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		store, l := w.stored(login.Config{})
		source := store.Source(w.client(), l)
		w.after = func(url.Values, bool) { time.Sleep(5 * time.Second) }
		time.Sleep(48 * time.Hour)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				access(t, source)
			})
		}
		wg.Wait()
		if w.refreshes() != 1 {
			t.Errorf("%d refreshes, want one", w.refreshes())
		}
	})
}

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	w := newWorld(t)
	store, l := w.stored(login.Config{})
	rt := store.Source(w.client(), l).Transport(auth.TransferServer, w)
	if got := w.works(rt); got != http.StatusOK {
		t.Fatalf("got %d", got)
	}
	w.ExpireTokens()
	if got := w.works(rt); got != http.StatusOK || w.refreshes() != 1 {
		t.Errorf("got %d after %d refreshes, want 200 after one", got, w.refreshes())
	}
}

func TestRefusedTokenGivesWayToANewerOneInTheFile(t *testing.T) {
	w := newWorld(t)
	store, l := w.stored(login.Config{})
	source := store.Source(w.client(), l)
	old := access(t, source)
	w.ExpireTokens()
	l.Tokens = w.logIn(ada, login.Config{})
	put(t, store, l)
	if got := w.works(source.Transport(auth.TransferServer, w)); got != http.StatusOK || w.refreshes() != 0 {
		t.Errorf("got %d after %d refreshes, want 200 without", got, w.refreshes())
	}
	if access(t, source) == old {
		t.Error("the old token is still in use")
	}
}

func TestRotatedTokenIsInTheFileBeforeItIsUsed(t *testing.T) {
	w := newWorld(t, rotating)
	store, l := w.stored(login.Config{})
	before := refreshToken(t, store)
	source := store.Source(w.client(), l)
	w.ExpireTokens()
	used := 0
	rt := source.Transport(auth.TransferServer, roundTripper(func(r *http.Request) (*http.Response, error) {
		// A process that is killed here leaves the file as it is.
		kept := logins(t, store, authBase)[0].Tokens[auth.TransferServer]
		if bearer := r.Header.Get("Authorization"); bearer != "Bearer "+kept.AccessToken.Reveal() {
			t.Error("a token is used that is not in the file")
		}
		used++
		return w.RoundTrip(r)
	}))
	if got := w.works(rt); got != http.StatusOK || used != 2 || refreshToken(t, store) == before {
		t.Errorf("got %d after %d requests, want 200 after 2, with a new refresh token", got, used)
	}
	next := login.NewStore(store.File()).Source(w.client(), l)
	w.ExpireTokens()
	if got := w.works(next.Transport(auth.TransferServer, w)); got != http.StatusOK {
		t.Errorf("the next start got %d", got)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRotatedTokenThatCannotBeWrittenIsNotUsedAndNotLost(t *testing.T) {
	w := newWorld(t, rotating)
	store, l := w.stored(login.Config{})
	source := store.Source(w.client(), l)
	dir := filepath.Dir(store.File())
	away := dir + "-away"
	w.after = func(url.Values, bool) { check(t, os.Rename(dir, away)) }
	w.ExpireTokens()
	old := access(t, source)
	rt := source.Transport(auth.TransferServer, w)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://transfer.api.globus.org/v0.10/task_list", http.NoBody)
	check(t, err)
	resp, err := rt.RoundTrip(r)
	if err == nil {
		_ = resp.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "write the renewed token, which is not used until then") {
		t.Fatalf("got %v", err)
	}
	w.after = nil
	check(t, os.Rename(away, dir))
	if got := access(t, source); got == old || w.refreshes() != 1 {
		t.Errorf("%d refreshes, want the token of the first", w.refreshes())
	}
	w.ExpireTokens()
	if got := w.works(rt); got != http.StatusOK {
		t.Errorf("the refresh token in the file is not the good one: %d", got)
	}
}

func TestNothingIsRenewedThatCouldNotBeKept(t *testing.T) {
	w := newWorld(t, rotating)
	store, l := w.stored(login.Config{})
	tests := map[string]func(t *testing.T) (file string){
		"no temporary file": func(t *testing.T) string {
			return filepath.Join(t.TempDir(), strings.Repeat("x", 250)) // there is no longer name
		},
		"no lock": func(t *testing.T) string {
			dir := t.TempDir()
			check(t, os.Mkdir(filepath.Join(dir, "login.json.lock"), 0o700))
			return filepath.Join(dir, "login.json")
		},
		"a folder that others write in": func(t *testing.T) string {
			dir := t.TempDir()
			check(t, os.Chmod(dir, 0o777)) //nolint:gosec // that is the case
			return filepath.Join(dir, "login.json")
		},
	}
	for name, place := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(store.File())
			check(t, err)
			file := place(t)
			write(t, file, string(data))
			source := login.NewStore(file).Source(w.client(), l)
			w.ExpireTokens()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://transfer.api.globus.org/v0.10/task_list", http.NoBody)
			check(t, err)
			resp, err := source.Transport(auth.TransferServer, w).RoundTrip(r)
			if err == nil {
				_ = resp.Body.Close() // there should be none
			}
			e, ok := errors.AsType[*login.StoreError](err)
			if !ok || !strings.Contains(e.Error(), filepath.Dir(file)) {
				t.Errorf("got %v, want a *login.StoreError that names the folder", err)
			}
			if w.refreshes() != 0 {
				t.Errorf("%d refreshes, want none", w.refreshes())
			}
			if err := login.NewStore(file).Writable(t.Context()); err == nil {
				t.Error("it is writable")
			}
		})
	}
}

func TestTwoProcessesDoNotLoseARotatingToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rotating)
		store, l := w.stored(login.Config{})
		var sources []*auth.Source
		for range 8 {
			source := login.NewStore(store.File()).Source(w.client(), l)
			access(t, source)
			sources = append(sources, source)
		}
		w.after = func(url.Values, bool) { time.Sleep(time.Second) }
		for day := range 3 {
			time.Sleep(48 * time.Hour)
			var wg sync.WaitGroup
			for _, source := range sources {
				wg.Go(func() {
					if got := w.works(source.Transport(auth.TransferServer, w)); got != http.StatusOK {
						t.Errorf("got %d", got)
					}
				})
			}
			wg.Wait()
			if w.refreshes() != day+1 {
				t.Errorf("%d refreshes, want %d", w.refreshes(), day+1)
			}
		}
	})
}

func TestARefreshIsFinishedWhenNobodyWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rotating)
		store, l := w.stored(login.Config{})
		before := refreshToken(t, store)
		w.Fail(globussim.Fault{Path: "/v2/oauth2/token", Delay: 10 * time.Second})
		source := store.Source(w.client(), l)
		time.Sleep(48 * time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := source.Token(ctx, auth.TransferServer); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Minute)
		if refreshToken(t, store) == before {
			t.Error("the new refresh token was lost")
		}
	})
}

func TestLoginThatGivesNoToken(t *testing.T) {
	tests := map[string]struct {
		cfg    login.Config
		spoil  func(t *testing.T, w *world, s *login.Store, l login.Login)
		server string
		want   string
	}{
		"revoked":          {login.Config{}, func(_ *testing.T, w *world, _ *login.Store, _ login.Login) { w.RevokeTokens() }, "", "the refresh token is not accepted"},
		"idle for long":    {login.Config{}, func(*testing.T, *world, *login.Store, login.Login) { time.Sleep(181 * 24 * time.Hour) }, "", "not used for six months"},
		"no refresh token": {login.Config{Online: true}, func(*testing.T, *world, *login.Store, login.Login) {}, "", "expired at 2000-01-03T00:00:00Z, and there is no refresh token"},
		"logged out": {login.Config{}, func(t *testing.T, _ *world, s *login.Store, l login.Login) {
			check(t, s.Remove(t.Context(), l))
		}, "", "there is no longer a login in"},
		"somebody else": {login.Config{}, func(t *testing.T, w *world, s *login.Store, l login.Login) {
			l.Identity, l.Username, l.Tokens = globussim.PersonID(grace), grace, w.logIn(grace, login.Config{})
			put(t, s, l)
		}, "", "somebody else has logged in meanwhile: " + grace},
		"another server": {login.Config{Scopes: auth.Scopes{{Name: auth.TransferAll}}}, func(*testing.T, *world, *login.Store, login.Login) {}, auth.Server, "no token for auth.globus.org, only for transfer.api.globus.org"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				store, l := w.stored(tt.cfg)
				source := store.Source(w.client(), l)
				access(t, source)
				time.Sleep(48 * time.Hour)
				tt.spoil(t, w, store, l)
				server := tt.server
				if server == "" {
					server = auth.TransferServer
				}
				_, err := source.Token(t.Context(), server)
				if e, ok := errors.AsType[*login.Error](err); !ok || e.Temporary() || !strings.Contains(e.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			})
		})
	}
}

func TestServiceOutOfReachIsNoReasonToLogInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		store, l := w.stored(login.Config{})
		source := store.Source(w.client(), l)
		time.Sleep(48 * time.Hour)
		w.Fail(globussim.Fault{Path: "/v2/oauth2/token", Status: 503})
		_, err := source.Token(t.Context(), auth.TransferServer)
		if e, ok := errors.AsType[*auth.Error](err); !ok || !e.Temporary() {
			t.Errorf("got %v, want a temporary error", err)
		}
		access(t, source)
	})
}
