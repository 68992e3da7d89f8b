package clientcreds_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/auth"
)

// A service accepts the tokens with some numbers only.
type service struct {
	good  func(number string) bool
	delay time.Duration

	mu     sync.Mutex
	bearer []string
	bodies []string
	closed int // bodies of replies
}

func (s *service) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body) // from memory
		_ = req.Body.Close()           // from memory
	}
	time.Sleep(s.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	bearer := req.Header.Get("Authorization")
	s.bearer = append(s.bearer, bearer)
	s.bodies = append(s.bodies, string(body))
	status := http.StatusUnauthorized
	if s.good(strings.TrimPrefix(bearer, "Bearer "+transferToken)) {
		status = http.StatusOK
	}
	return &http.Response{StatusCode: status, Request: req, Body: &countedBody{Reader: strings.NewReader("{}"), s: s}}, nil
}

type countedBody struct {
	io.Reader
	s *service
}

func (b *countedBody) Close() error {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.closed++
	return nil
}

// post sends a document through rt and returns the status.
func post(t *testing.T, rt http.RoundTripper, body io.Reader) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://transfer.test/transfer", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if req.Header.Get("Authorization") != "" {
		t.Error("the caller's request was changed")
	}
	return resp.StatusCode
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	const doc = `{"DATA_TYPE": "transfer"}`
	tests := map[string]struct {
		good   func(string) bool
		body   io.Reader
		status int
		bearer []string
	}{
		"accepted":         {func(string) bool { return true }, strings.NewReader(doc), 200, []string{"1"}},
		"revoked":          {func(n string) bool { return n != "1" }, strings.NewReader(doc), 200, []string{"1", "2"}},
		"always refused":   {func(string) bool { return false }, strings.NewReader(doc), 401, []string{"1", "2"}},
		"no body":          {func(n string) bool { return n != "1" }, nil, 200, []string{"1", "2"}},
		"body without way": {func(n string) bool { return n != "1" }, io.MultiReader(strings.NewReader(doc)), 401, []string{"1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			globus := &service{good: tt.good}
			rt := newSource(t, &fakeAuth{}).Transport(auth.TransferServer, globus)
			if got := post(t, rt, tt.body); got != tt.status {
				t.Errorf("got %d, want %d", got, tt.status)
			}
			var want []string
			for _, n := range tt.bearer {
				want = append(want, "Bearer "+transferToken+n)
			}
			if !slices.Equal(globus.bearer, want) {
				t.Errorf("sent %q, want %q", globus.bearer, want)
			}
			for _, body := range globus.bodies {
				if tt.body != nil && body != doc {
					t.Errorf("sent body %q", body)
				}
			}
			if globus.closed != len(want) {
				t.Errorf("%d reply bodies closed, want %d", globus.closed, len(want))
			}
		})
	}
}

func TestManyRefusalsMakeOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		globus := &service{good: func(n string) bool { return n == "2" }, delay: time.Second}
		fake := &fakeAuth{delay: 300 * time.Millisecond}
		rt := newSource(t, fake).Transport(auth.TransferServer, globus)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 20 * time.Millisecond) // some are refused when the new token is there
				if got := post(t, rt, strings.NewReader("{}")); got != 200 {
					t.Errorf("got %d", got)
				}
			})
		}
		wg.Wait()
		if fake.tokens != 2 {
			t.Errorf("%d tokens, want 2", fake.tokens)
		}
	})
}

func TestFailedTokenRequestIsFinal(t *testing.T) {
	fake := &fakeAuth{}
	s := newSource(t, fake)
	fake.setSecret("other")
	spy := &bodySpy{Reader: strings.NewReader("{}")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://transfer.test/", spy)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Transport(auth.TransferServer, &service{}).RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close() // the test has failed already
	}
	if e, ok := errors.AsType[*auth.Error](err); !ok || e.Status != 401 {
		t.Errorf("got %v, want a 401 of Auth", err)
	}
	final, ok := errors.AsType[interface {
		error
		Final() bool
	}](err)
	if !ok || !final.Final() {
		t.Errorf("%#v is not final", err)
	}
	if !spy.closed {
		t.Error("the request's body is open")
	}
}

type bodySpy struct {
	io.Reader
	closed bool
}

func (s *bodySpy) Close() error { s.closed = true; return nil }

func TestRedirectToAnotherHostGetsNoToken(t *testing.T) {
	seen := map[string]string{}
	base := transportFunc(func(req *http.Request) (*http.Response, error) {
		seen[req.URL.Host+req.URL.Path] = req.Header.Get("Authorization")
		resp := &http.Response{StatusCode: http.StatusFound, Header: http.Header{}, Request: req, Body: http.NoBody}
		switch req.URL.Host + req.URL.Path {
		case "transfer.test/":
			resp.Header.Set("Location", "/same")
		case "transfer.test/same":
			resp.Header.Set("Location", "https://elsewhere.test/a")
		case "elsewhere.test/a":
			resp.Header.Set("Location", "/b")
		default:
			resp.StatusCode = http.StatusOK
		}
		return resp, nil
	})
	hc := &http.Client{Transport: newSource(t, &fakeAuth{}).Transport(auth.TransferServer, base)}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://transfer.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // it has none
	for place, want := range map[string]bool{"transfer.test/": true, "transfer.test/same": true, "elsewhere.test/a": false, "elsewhere.test/b": false} {
		bearer, ok := seen[place]
		if got := bearer != ""; !ok || got != want {
			t.Errorf("%s: asked %t, with a token %t, want %t", place, ok, got, want)
		}
	}
}
