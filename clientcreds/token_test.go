package clientcreds_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
)

const transferToken = "transfer.api.globus.org-"

// access returns the access token for the Transfer service.
func access(t *testing.T, s *clientcreds.Source) string {
	t.Helper()
	token, err := s.Token(t.Context(), auth.TransferServer)
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken.Reveal()
}

func TestTokenRequestIsThatOfTheOfficialClients(t *testing.T) {
	var got *http.Request
	fake := &fakeAuth{reply: func(req *http.Request) *raw { got = req; return nil }}
	base, err := url.Parse("http://localhost:8080/prefix")
	if err != nil {
		t.Fatal(err)
	}
	fake.expires = 100
	access(t, sourceWith(t, fake, nil, auth.WithBaseURL(base)))

	if got.Method != http.MethodPost || got.URL.String() != "http://localhost:8080/prefix/v2/oauth2/token" {
		t.Errorf("got %s %s", got.Method, got.URL)
	}
	if id, secret, _ := got.BasicAuth(); id != clientID || secret != canary {
		t.Errorf("got Basic %s %s, want the raw id and secret", id, secret)
	}
	if ct := got.Header.Get("Content-Type"); ct != "application/x-www-form-urlencoded" {
		t.Errorf("got Content-Type %q", ct)
	}
	want := url.Values{"grant_type": {"client_credentials"}, "scope": {auth.TransferAll}}
	if diff := cmp.Diff(want, got.PostForm); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
}

func TestTokensAreKeptByResourceServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeAuth{} // Transfer's token is not on top
		s := newSource(t, fake,
			auth.Scope{Name: auth.TransferAll, Dependencies: []auth.Scope{auth.DataAccess("c1")}},
			auth.Scope{Name: "openid"},
		)
		token, err := s.Token(t.Context(), auth.TransferServer)
		if err != nil {
			t.Fatal(err)
		}
		token.AccessToken = auth.Secret{}
		want := auth.Token{
			Scope:     auth.TransferAll + "[*https://auth.globus.org/scopes/c1/data_access]", // the fake echoes it
			TokenType: "Bearer", ResourceServer: "transfer.api.globus.org", ExpiresAtSeconds: time.Now().Unix() + 172800,
		}
		if diff := cmp.Diff(want, token, cmp.AllowUnexported(auth.Secret{})); diff != "" {
			t.Errorf("token (-want +got):\n%s", diff)
		}
		if _, err := s.Token(t.Context(), "auth.globus.org"); err != nil || fake.requests() != 1 {
			t.Errorf("the other token: %v after %d requests, want one", err, fake.requests())
		}
		if got := slices.Sorted(maps.Keys(s.Tokens())); !slices.Equal(got, []string{"auth.globus.org", "transfer.api.globus.org"}) {
			t.Errorf("holds tokens for %q", got)
		}
		time.Sleep(48 * time.Hour)
		if got := s.Tokens(); len(got) > 0 {
			t.Errorf("still holds %v", got)
		}
	})
}

func TestTokenIsRenewedAMinuteBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeAuth{expires: 3600}
		s := newSource(t, fake)
		for _, step := range []struct {
			at   time.Duration
			want string
		}{{0, "1"}, {3539 * time.Second, "1"}, {3540 * time.Second, "2"}, {7079 * time.Second, "2"}, {7080 * time.Second, "3"}} {
			time.Sleep(step.at - time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
			if got := access(t, s); got != transferToken+step.want {
				t.Errorf("after %v: got %s, want number %s", step.at, got, step.want)
			}
		}
	})
}

func TestTokenOfUnknownLifetimeIsKept(t *testing.T) {
	for name, expires := range map[string]any{
		"0": 0, "60": 60, "negative": -1, "missing": json.RawMessage("null"), "absurd": json.RawMessage("1e99"), "overflow": json.RawMessage("9223372036854775807"),
		"word": "soon", "list": []int{3600}, "empty text": "", "text that is negative": "-3600", "not finite": "inf",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := &fakeAuth{expires: expires}
				s := newSource(t, fake)
				for range 3 {
					if got, want := access(t, s), transferToken+"1"; got != want || fake.requests() != 1 {
						t.Errorf("got %s after %d requests, want %s", got, fake.requests(), want)
					}
					time.Sleep(24 * time.Hour)
				}
				if at := s.Tokens()[auth.TransferServer].Expires(); !at.IsZero() {
					t.Errorf("it expires at %v, want the zero time", at)
				}
			})
		})
	}
}

func TestLifetimeMayBeWrittenInOtherWays(t *testing.T) {
	for name, expires := range map[string]any{"text": "3600", "fraction": 3600.5} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSource(t, &fakeAuth{expires: expires})
				access(t, s)
				if got := time.Until(s.Tokens()[auth.TransferServer].Expires()); got != time.Hour {
					t.Errorf("it lives for %v, want 1h", got)
				}
			})
		})
	}
}

func TestOneFetchForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeAuth{delay: 5 * time.Second}
		s := newSource(t, fake)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 40 * time.Millisecond)
				if got := access(t, s); got != transferToken+"1" {
					t.Errorf("got %s", got)
				}
			})
		}
		wg.Wait()
		if fake.requests() != 1 {
			t.Errorf("%d requests, want one", fake.requests())
		}
	})
}

func TestWaiterGivesUpByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeAuth{delay: 5 * time.Second}
		s := newSource(t, fake)
		var wg sync.WaitGroup
		wg.Go(func() { // the first, whose context must not carry the fetch
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begin := time.Now()
			_, err := s.Token(ctx, auth.TransferServer)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
				t.Errorf("got %v after %v, want its deadline", err, time.Since(begin))
			}
		})
		synctest.Wait()
		if got := access(t, s); got != transferToken+"1" {
			t.Errorf("got %s", got)
		}
		wg.Wait()
		if fake.requests() != 1 {
			t.Errorf("%d requests, want one", fake.requests())
		}
	})
}

func TestFetchEndsWithItsLastWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var fetching context.Context
		fake := &fakeAuth{delay: time.Hour, reply: func(*http.Request) *raw { return nil }}
		spy := transportFunc(func(req *http.Request) (*http.Response, error) {
			fetching = req.Context()
			return fake.RoundTrip(req)
		})
		fake.secret = canary
		s := account(t).Source(clientcreds.WithClient(auth.New(&http.Client{Transport: spy})))
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "waiter"), time.Duration(i+1)*time.Second)
				defer cancel()
				_, _ = s.Token(ctx, auth.TransferServer) // it cannot come
			})
		}
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		if fetching.Err() != nil || fetching.Value(key{}) != nil {
			t.Errorf("the fetch ended early (%v) or carries a waiter's values", fetching.Err())
		}
		wg.Wait()
		synctest.Wait()
		if fetching.Err() == nil {
			t.Error("the fetch goes on for nobody")
		}
		fake.delay = 0
		if got := access(t, s); got != transferToken+"1" {
			t.Errorf("got %s, want the token of a new fetch", got)
		}
	})
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestBrokenTokenDocuments(t *testing.T) {
	tests := map[string]struct{ body, want string }{
		"other server":       {`{"access_token": "a", "resource_server": "groups", "other_tokens": []}`, `none for "transfer.api.globus.org", only for groups`},
		"no document":        {`<html>`, "read the token document"},
		"no access token":    {`{"resource_server": "transfer.api.globus.org"}`, "lacks access_token"},
		"no resource server": {`{"access_token": "canary"}`, "lacks access_token or resource_server"},
		"broken other":       {`{"access_token": "a", "resource_server": "b", "other_tokens": [{}]}`, "lacks access_token"},
		"wrong type":         {`{"access_token": {"canary": 1}}`, "read the token document"},
		"too long":           {`{"access_token": "` + strings.Repeat("x", 1<<20), "longer than 1048576 bytes"},
		"empty":              {``, "read the token document"},
		"line end":           {`{"access_token": "canary\r\nX-Evil: 1", "resource_server": "transfer.api.globus.org"}`, "contains a character that no token has"},
		"no ASCII":           {`{"access_token": "canary\u009b", "resource_server": "transfer.api.globus.org"}`, "contains a character that no token has"},
		"refresh token":      {`{"access_token": "a", "refresh_token": "canary\u0000", "resource_server": "transfer.api.globus.org"}`, "contains a character that no token has"},
		"long token":         {`{"access_token": "canary` + strings.Repeat("x", 16<<10) + `", "resource_server": "transfer.api.globus.org"}`, "a token is longer than 16 KiB"},
		"other type":         {`{"access_token": "canary", "token_type": "mac", "resource_server": "transfer.api.globus.org"}`, `token_type is "mac", not Bearer`},
		"odd server":         {`{"access_token": "canary", "resource_server": "a\nb"}`, `"a\nb" is not the name of a resource server`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := &fakeAuth{reply: func(*http.Request) *raw { return &raw{status: 200, body: tt.body} }}
			_, err := newSource(t, fake).Token(t.Context(), auth.TransferServer)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if fake.requests() != 1 {
				t.Errorf("%d requests, want one", fake.requests())
			}
		})
	}
}

func TestConsentIsOneRequestWhoseTokensAreThrownAway(t *testing.T) {
	fake := &fakeAuth{}
	s := newSource(t, fake)
	before := access(t, s)
	scope := auth.TransferAll + "[*https://auth.globus.org/scopes/c1/data_access]"
	if err := s.Consent(t.Context(), []string{scope, "openid"}); err != nil {
		t.Fatal(err)
	}
	if got := fake.forms[1].Get("scope"); got != scope+" openid" {
		t.Errorf("asked for %q", got)
	}
	if after := access(t, s); after != before || fake.requests() != 2 {
		t.Errorf("got %s after %d requests, want the old token", after, fake.requests())
	}
	if err := s.Consent(t.Context(), nil); err == nil || fake.requests() != 2 {
		t.Errorf("no scopes: got %v after %d requests", err, fake.requests())
	}
}

func TestLogHoldsNoSecrets(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	access(t, sourceWith(t, &fakeAuth{}, nil, auth.WithLogger(log)))
	if !strings.Contains(out.String(), `"resource_server":"transfer.api.globus.org"`) {
		t.Errorf("the token request is not in the log: %s", &out)
	}
	if strings.Contains(out.String(), canary) || strings.Contains(out.String(), transferToken) {
		t.Errorf("a secret is in the log: %s", &out)
	}
}
