package main

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a service whose tries fail until some time has passed. Each layer of
// slowRequests is where connect puts it.
func slow(s *slowRequests, until time.Duration) http.RoundTripper {
	begin := time.Now()
	try := s.below(layer(func(*http.Request) (*http.Response, error) {
		if time.Since(begin) < until {
			return nil, errors.New("connection refused")
		}
		return &http.Response{StatusCode: http.StatusOK}, nil
	}))
	repeat := layer(func(r *http.Request) (*http.Response, error) {
		for {
			resp, err := try.RoundTrip(r)
			if err == nil {
				return resp, nil
			}
			time.Sleep(time.Second)
		}
	})
	return s.above(repeat)
}

func ask(t *testing.T, rt http.RoundTripper) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://transfer.test/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rt.RoundTrip(r); err != nil { //nolint:bodyclose // it has none
		t.Fatal(err)
	}
}

func TestALongWaitIsSaidOnce(t *testing.T) {
	tests := map[string]struct {
		until time.Duration
		want  string
	}{
		"an answer in time": {3 * time.Second, ""},
		"none for long": {
			20 * time.Second,
			`level=WARN msg="still waiting for an answer" host=transfer.test elapsed=4s tries=4 err="connection refused"` + "\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				withoutTime := func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				}
				s := &slowRequests{screen: newScreen(&out, ""), log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: withoutTime}))}
				rt := slow(s, tt.until)
				time.Sleep(500 * time.Millisecond)
				ask(t, s.above(rt)) // as a request that needs a token
				// One try may fall into the very instant.
				if got := strings.Replace(out.String(), "tries=5", "tries=4", 1); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestALongWaitIsShownInTheLiveLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := terminal(80)
		ask(t, slow(&slowRequests{screen: s}, 20*time.Second))
		s.mu.Lock()
		defer s.mu.Unlock()
		if got := out.String(); !strings.Contains(got, "waiting for transfer.test, 15s; try 1") || !strings.Contains(got, ": connection refused") {
			t.Errorf("got %q, want it to say what it waits for", got)
		}
		if s.live != "" || s.stop != nil {
			t.Errorf("%q was left behind", s.live)
		}
	})
}

func TestALentLiveLineGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := terminal(80)
		back := s.lend(func(int) string { return "waiting" })
		s.show("copying")
		back()
		if s.live != "copying" {
			t.Errorf("the live line is %q, want that of the other", s.live)
		}
		if s.lend(func(int) string { return "waiting again" })(); strings.Contains(out.String(), "again") {
			t.Error("it was drawn in place of another")
		}
		s.clear()
		if s.live != "" {
			t.Errorf("%q was left behind", s.live)
		}
	})
}
