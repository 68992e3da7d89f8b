package globussim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestTheClientTellsWhatWasWrittenAndWhatCameBack(t *testing.T) {
	tests := map[string]struct {
		fault           *globussim.Fault
		wrote, answered bool
	}{
		"answered":       {nil, true, true},
		"dropped before": {&globussim.Fault{Drop: globussim.DropBefore}, true, false},
		"dropped after":  {&globussim.Fault{Drop: globussim.DropAfter}, true, false},
		"truncated":      {&globussim.Fault{Truncate: 1}, true, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := startWorld(t)
			if tt.fault != nil {
				s.Fail(*tt.fault)
			}
			var wrote, answered bool
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				WroteRequest:         func(info httptrace.WroteRequestInfo) { wrote = info.Err == nil },
				GotFirstResponseByte: func() { answered = true },
			})
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, authBase+"/v2/oauth2/token", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = exchange(s.Client(), r) // the hooks tell
			if wrote != tt.wrote || answered != tt.answered {
				t.Errorf("wrote %t, answered %t; want %t, %t", wrote, answered, tt.wrote, tt.answered)
			}
		})
	}
}

func TestTheClientGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWorld(t)
		s.Fail(globussim.Fault{Delay: time.Hour, Times: -1})
		const address = authBase + "/.well-known/openid-configuration"

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := exchange(s.Client(), r); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		if _, err := exchange(s.Client(), r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that is over: %v", err)
		}

		hc := s.Client()
		hc.Timeout = time.Second
		_, err = exchange(hc, r.WithContext(t.Context()))
		if e, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err); !ok || !e.Timeout() {
			t.Errorf("with a timeout of the client: %v", err)
		}
		synctest.Wait()
		if n := len(s.State().Requests); n != 2 {
			t.Errorf("the server saw %d requests, want 2", n)
		}
	})
}

type brokenBody struct{}

var errBroken = errors.New("broken on this side")

func (brokenBody) Read([]byte) (int, error) { return 0, errBroken }
func (brokenBody) Close() error             { return nil }

func TestABodyThatCannotBeReadIsNeverSent(t *testing.T) {
	s := startWorld(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, authBase+"/v2/oauth2/token", brokenBody{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exchange(s.Client(), r); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	if n := len(s.State().Requests); n != 0 {
		t.Errorf("the server saw %d requests", n)
	}
}

func TestNoTokenAndNoSecretIsLogged(t *testing.T) {
	var logged bytes.Buffer
	s := startWorld(t, func(cfg *globussim.Config) {
		cfg.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	token := strings.TrimPrefix(bearer(t, s, transferAll), "Bearer ")
	get(t, s, transferBase+"/v0.10/task_list", "Bearer "+token)
	get(t, s, authBase+"/v2/api/identities?ids="+token, basic(robot, robotSecret))

	if n := strings.Count(logged.String(), "\n"); n != 3 {
		t.Errorf("%d lines, want one for each request:\n%s", n, &logged)
	}
	for _, want := range []string{"method=POST path=/v2/oauth2/token status=200", "path=/v0.10/task_list status=200"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &logged)
		}
	}
	state := fmt.Sprintf("%+v", s.State())
	for _, canary := range []string{token, robotSecret, basic(robot, robotSecret)} {
		if strings.Contains(logged.String(), canary) || strings.Contains(state, canary) {
			t.Errorf("%q was told", canary)
		}
	}
}

func TestAServerMayBeUsedByManyAtOnce(t *testing.T) {
	s := startWorld(t)
	const clients, rounds = 8, 10
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				token := "Bearer " + request(t, s, transferAll+"[*"+dataAccess("mapped")+"]").text("access_token")
				get(t, s, transferBase+"/v0.10/task_list", token)
				s.Fail(globussim.Fault{Path: "/nowhere", Status: 500})
				s.State()
				s.RescindConsents(other)
				s.ExpireTokens(other)
			}
		})
	}
	wg.Wait()
	state := s.State()
	if n := state.Tokens[robot]["transfer.api.globus.org"]; n != clients*rounds || len(state.Requests) != 2*n || len(s.Faults()) != n {
		t.Errorf("%d tokens, %d requests, %d faults; want %d, %d, %d", n, len(state.Requests), len(s.Faults()), clients*rounds, 2*clients*rounds, clients*rounds)
	}
	if n := len(state.Consents[robot]); n != 2 {
		t.Errorf("%d consents, want 2", n)
	}
}

func ExampleServer_Client() {
	s, err := globussim.New(globussim.Config{
		Accounts:    []globussim.Account{{ID: "0f1e2d3c-0000-4000-8000-000000000001", Secret: "secret"}},
		Collections: []globussim.Collection{{Name: "lab", Dir: os.TempDir()}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	s.Fail(globussim.Fault{Path: "/v0.10/task_list", Status: 503, RetryAfter: "2"})

	for range 2 {
		resp, err := s.Client().Get("https://transfer.api.globus.org/v0.10/task_list") //nolint:noctx // an example is short
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		fmt.Println(resp.Status, resp.Header.Get("Retry-After"), strings.Contains(string(body), "AuthenticationFailed"))
	}
	fmt.Println(s.State().Routes)
	// Output:
	// 503 Service Unavailable 2 false
	// 400 Bad Request  true
	// map[GET /v0.10/task_list:2]
}
