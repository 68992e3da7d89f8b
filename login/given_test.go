package login_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/login"
)

// given is a refresh token of a new login, in a file if that is named.
func (w *world) given(file string) login.RefreshToken {
	w.t.Helper()
	r := login.RefreshToken{ClientID: app, Token: w.logIn(ada, login.Config{})[auth.TransferServer].RefreshToken, File: file}
	if file != "" {
		write(w.t, file, r.Token.Reveal()+"\n")
	}
	return r
}

// logged returns a client and what it logs.
func (w *world) logged() (*auth.Client, *bytes.Buffer) {
	var out bytes.Buffer
	return w.client(auth.WithLogger(slog.New(slog.NewTextHandler(&out, nil)))), &out
}

func TestGivenRefreshTokenBringsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		client, log := w.logged()
		rt := w.given("").Source(client).Transport(auth.TransferServer, w)
		for range 3 {
			if got := w.works(rt); got != http.StatusOK {
				t.Errorf("got %d", got)
			}
			time.Sleep(48*time.Hour - 60*time.Second)
		}
		if w.refreshes() != 3 || log.Len() > 0 {
			t.Errorf("%d refreshes, want 3; log: %s", w.refreshes(), log)
		}
	})
}

func TestRotatedTokenIsWrittenToItsFile(t *testing.T) {
	w := newWorld(t, rotating)
	dir := t.TempDir()
	file, link := filepath.Join(dir, "token"), filepath.Join(dir, "link")
	check(t, os.Symlink(file, link))
	given := w.given(file)
	given.File = link
	client, log := w.logged()
	for range 3 { // starts, each with what the one before has left
		text, err := os.ReadFile(file)
		check(t, err)
		given.Token = auth.NewSecret(strings.TrimSpace(string(text)))
		rt := given.Source(client).Transport(auth.TransferServer, roundTripper(func(r *http.Request) (*http.Response, error) {
			if now, err := os.ReadFile(file); err != nil || string(now) == string(text) {
				t.Errorf("used before it was written (%v)", err)
			}
			return w.RoundTrip(r)
		}))
		if got := w.works(rt); got != http.StatusOK {
			t.Errorf("got %d", got)
		}
	}
	info, err := os.Lstat(file)
	check(t, err)
	if info.Mode() != 0o600 || !strings.Contains(log.String(), "refresh token replaced") || strings.Contains(log.String(), "Ag") {
		t.Errorf("mode %v, log: %s", info.Mode(), log)
	}
	if l, err := os.Lstat(link); err != nil || l.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
}

func TestRotatedTokenThatNothingKeepsIsUsedWithAWarning(t *testing.T) {
	tests := map[string]struct {
		file bool
		want string
	}{
		"no file":                       {false, "Give it in a file that can be written"},
		"a file that cannot be written": {true, "because its file cannot be written"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, rotating)
			dir := filepath.Join(t.TempDir(), "secrets")
			check(t, os.Mkdir(dir, 0o700))
			given := w.given("")
			if tt.file {
				given.File = filepath.Join(dir, "token")
				write(t, given.File, given.Token.Reveal())
				w.after = func(url.Values, bool) { check(t, os.Rename(dir, dir+"-away")) }
			}
			client, log := w.logged()
			source := given.Source(client)
			if got := w.works(source.Transport(auth.TransferServer, w)); got != http.StatusOK {
				t.Errorf("got %d", got)
			}
			if !strings.Contains(log.String(), tt.want) || !strings.Contains(log.String(), "the next start will be refused") {
				t.Errorf("log: %s", log)
			}
			w.ExpireTokens()
			if tt.file {
				w.after = nil
				check(t, os.Rename(dir+"-away", dir))
			}
			if got := w.works(source.Transport(auth.TransferServer, w)); got != http.StatusOK {
				t.Errorf("the new token was not kept in memory: %d", got)
			}
		})
	}
}

func TestFileWithANewRefreshTokenIsReadAgain(t *testing.T) {
	w := newWorld(t)
	given := w.given(filepath.Join(t.TempDir(), "token"))
	source := given.Source(w.client())
	access(t, source)
	w.RevokeTokens()
	rt := source.Transport(auth.TransferServer, w)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://transfer.api.globus.org/v0.10/task_list", http.NoBody)
	check(t, err)
	resp, err := rt.RoundTrip(r)
	if err == nil {
		_ = resp.Body.Close()
	}
	if e, ok := errors.AsType[*login.Error](err); !ok || !strings.Contains(e.Reason, "the refresh token is not accepted") {
		t.Errorf("got %v", err)
	}
	write(t, given.File, w.logIn(ada, login.Config{})[auth.TransferServer].RefreshToken.Reveal())
	if got := w.works(rt); got != http.StatusOK {
		t.Errorf("got %d", got)
	}
}

func TestRefreshTokenOfAnotherServerSaysSo(t *testing.T) {
	w := newWorld(t)
	given := login.RefreshToken{ClientID: app, Token: w.logIn(ada, login.Config{Scopes: auth.Scopes{{Name: "openid"}}})[auth.Server].RefreshToken}
	_, err := given.Source(w.client()).Token(t.Context(), auth.TransferServer)
	if e, ok := errors.AsType[*login.Error](err); !ok || !strings.Contains(e.Reason, "no token for transfer.api.globus.org, only for auth.globus.org") {
		t.Errorf("got %v", err)
	}
}

func TestAccessTokenIsUsedUntilItIsNotAccepted(t *testing.T) {
	w := newWorld(t)
	source := login.AccessToken{Token: w.logIn(ada, login.Config{})[auth.TransferServer].AccessToken}.Source()
	rt := source.Transport(auth.TransferServer, w)
	if got := w.works(rt); got != http.StatusOK {
		t.Errorf("got %d", got)
	}
	w.ExpireTokens()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://transfer.api.globus.org/v0.10/task_list", http.NoBody)
	check(t, err)
	for range 2 {
		resp, err := rt.RoundTrip(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		if e, ok := errors.AsType[*login.Error](err); !ok || !strings.Contains(e.Reason, "not accepted: it has expired or was revoked") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := source.Token(t.Context(), auth.Server); err == nil || !strings.Contains(err.Error(), "is for Transfer, not for auth.globus.org") {
		t.Errorf("for another server: %v", err)
	}
}

func TestAccessTokenWithAKnownEndIsNotUsedBeyondIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := login.AccessToken{Token: auth.NewSecret("t"), Expires: time.Now().Add(time.Hour)}.Source()
		if got := access(t, source); got != "t" {
			t.Errorf("got %s", got)
		}
		time.Sleep(59 * time.Minute)
		_, err := source.Token(t.Context(), auth.TransferServer)
		if err == nil || !strings.Contains(err.Error(), "the access token expired at 2000-01-01T01:00:00Z") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAccessTokenIsReadAgainFromItsFile(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "token")
	renew := func() string {
		token := w.logIn(ada, login.Config{})[auth.TransferServer].AccessToken.Reveal()
		write(t, file, token+"\n")
		return token
	}
	a := login.AccessToken{Token: auth.NewSecret(renew()), File: file, Expires: time.Now().Add(time.Hour)}
	rt := a.Source().Transport(auth.TransferServer, w)
	for range 3 {
		if got := w.works(rt); got != http.StatusOK {
			t.Errorf("got %d", got)
		}
		w.ExpireTokens()
		renew()
	}
	w.ExpireTokens()
	for name, spoil := range map[string]func(){
		"no such file":      func() { check(t, os.Remove(file)) },
		"odd character":     func() { write(t, file, "half of\na file") },
		"token is empty":    func() { write(t, file, "\n") },
		"is longer than 65": func() { write(t, file, strings.Repeat("x", 1<<17)) },
	} {
		spoil()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://transfer.api.globus.org/v0.10/task_list", http.NoBody)
		check(t, err)
		resp, err := rt.RoundTrip(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		if e, ok := errors.AsType[*login.Error](err); !ok || !strings.Contains(err.Error(), name) || !strings.Contains(e.Reason, "its file cannot be read") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	renew()
	if got := w.works(rt); got != http.StatusOK {
		t.Errorf("got %d with a token that is whole again", got)
	}
}

func TestAccessTokenOutlivesACallerThatGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := login.AccessToken{Token: auth.NewSecret("given")}.Source()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = s.Token(ctx, auth.TransferServer) // whether it came in time
		synctest.Wait()
		if got := access(t, s); got != "given" {
			t.Errorf("got %q", got)
		}
	})
}

func TestSlowRefreshIsNotDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rotating)
		given := w.given("")
		w.after = func(url.Values, bool) { time.Sleep(30 * time.Second) }
		client, _ := w.logged()
		s := given.Source(client)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Token(ctx, auth.TransferServer); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		access(t, s)
		if w.refreshes() != 1 {
			t.Errorf("%d refreshes, want one: the second would have shown a refresh token that was good once", w.refreshes())
		}
	})
}
