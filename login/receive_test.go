package login_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/login"
)

// fetch opens an address as a browser does.
func fetch(t *testing.T, method, address string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

type received struct {
	code string
	err  error
}

// receive waits for the browser of a login, whose state it returns.
func receive(ctx context.Context, t *testing.T) (redirect, state string, came chan received) {
	t.Helper()
	r, err := login.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() }) // closed already, mostly
	flow := login.New(newWorld(t).client(), login.Config{ClientID: app, Redirect: r.Redirect()})
	u, err := url.Parse(flow.URL())
	if err != nil {
		t.Fatal(err)
	}
	came = make(chan received, 1)
	go func() {
		code, err := r.Receive(ctx, flow)
		came <- received{code, err}
	}()
	return r.Redirect(), u.Query().Get("state"), came
}

func TestBrowserComesBack(t *testing.T) {
	tests := map[string]struct{ query, code, reason, page string }{
		"allowed":    {"code=c0de%2B1", "c0de+1", "", "close this window"},
		"refused":    {"error=access_denied&error_description=%3Cb%3E", "", "refused in the browser", "Not logged in"},
		"other":      {"error=oops&error_description=a%0Ab%1B", "", `"oops a\nb\x1b"`, "Not logged in"},
		"no code":    {"", "", "without a code", "Not logged in"},
		"both":       {"code=c0de&error=access_denied", "", "refused in the browser", "Not logged in"},
		"long error": {"error=" + strings.Repeat("x", 5000), "", "xxx…", "Not logged in"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			redirect, state, came := receive(t.Context(), t)
			status, body, header := fetch(t, http.MethodGet, redirect+"/?state="+state+"&"+tt.query)
			if status != http.StatusOK || !strings.Contains(body, tt.page) {
				t.Errorf("the browser got %d %s", status, body)
			}
			for _, part := range []string{"c0de", "<b>", state, "xxx"} {
				if strings.Contains(body, part) {
					t.Errorf("the page holds %q: %s", part, body)
				}
			}
			if header.Get("Cache-Control") != "no-store" || header.Get("Referrer-Policy") != "no-referrer" || header.Get("Content-Security-Policy") == "" {
				t.Errorf("headers %v", header)
			}
			got := <-came
			e, refused := errors.AsType[*login.Error](got.err)
			if got.code != tt.code || refused != (tt.reason != "") || refused && !strings.Contains(e.Error(), tt.reason) {
				t.Errorf("got %q, %v; want %q, %q", got.code, got.err, tt.code, tt.reason)
			}
		})
	}
}

func TestStrayRequestsEndNoLogin(t *testing.T) {
	redirect, state, came := receive(t.Context(), t)
	for _, stray := range []struct{ method, path string }{
		{"GET", "/favicon.ico"},
		{"GET", "/?code=evil"},
		{"GET", "/?code=evil&state=guess"},
		{"GET", "/?error=access_denied"},
		{"POST", "/?code=evil&state=" + state},
		{"GET", "/other?code=evil&state=" + state},
	} {
		if status, _, _ := fetch(t, stray.method, redirect+stray.path); status != http.StatusNotFound {
			t.Errorf("%s %s: got %d", stray.method, stray.path, status)
		}
	}
	fetch(t, http.MethodGet, redirect+"/?code=good&state="+state)
	if got := <-came; got.code != "good" || got.err != nil {
		t.Errorf("got %q, %v", got.code, got.err)
	}
}

func TestReceiverGivesUpWithItsContext(t *testing.T) {
	late := errors.New("nobody came")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, late)
	defer cancel()
	redirect, state, came := receive(ctx, t)
	if got := <-came; !errors.Is(got.err, late) {
		t.Errorf("got %v", got.err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, redirect+"/?code=late&state="+state, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
		_ = resp.Body.Close()
		t.Error("the port is still open")
	}
}
