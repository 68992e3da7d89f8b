package retry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/retry"
)

func TestWaitsAreRandomBelowADoublingBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sums [8]time.Duration
		const rounds = 200
		for range rounds {
			s := serve(fail(io.EOF))
			_, _, _ = send(t.Context(), quiet(s, retry.Policy{}), "GET") // only the waits count here
			for i := range sums {
				wait, bound := s.times[i+1]-s.times[i], min(500*time.Millisecond<<i, 20*time.Second)
				if wait < 0 || wait >= bound {
					t.Fatalf("wait %d is %v, want less than %v", i, wait, bound)
				}
				sums[i] += wait
			}
		}
		for i, sum := range sums {
			half := min(500*time.Millisecond<<i, 20*time.Second) / 2
			if mean := sum / rounds; mean < half*7/10 || mean > half*13/10 {
				t.Errorf("mean of wait %d is %v, want about %v", i, mean, half)
			}
		}
	})
}

func TestRetryAfterRaisesTheWait(t *testing.T) {
	soon := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	tests := map[string]struct {
		header   func() string
		atLeast  time.Duration
		lessThan time.Duration
	}{
		"seconds":       {func() string { return "30" }, 30 * time.Second, 31 * time.Second},
		"date":          {func() string { return soon(2 * time.Minute) }, 2 * time.Minute, 121 * time.Second},
		"too many":      {func() string { return "86400" }, 15 * time.Minute, 15*time.Minute + 1},
		"far too many":  {func() string { return "9223372036854775807" }, 15 * time.Minute, 15*time.Minute + 1},
		"date too late": {func() string { return soon(48 * time.Hour) }, 15 * time.Minute, 15*time.Minute + 1},
		"zero":          {func() string { return "0" }, 0, 500 * time.Millisecond},
		"negative":      {func() string { return "-5" }, 0, 500 * time.Millisecond},
		"garbage":       {func() string { return "soon" }, 0, 500 * time.Millisecond},
		"past date":     {func() string { return soon(-time.Hour) }, 0, 500 * time.Millisecond},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(reply(429, "", "Retry-After", tt.header()), good)
				if _, _, err := send(t.Context(), quiet(s, retry.Policy{}), "GET"); err != nil {
					t.Fatal(err)
				}
				if wait := s.times[1]; wait < tt.atLeast || wait >= tt.lessThan {
					t.Errorf("waited %v, want from %v to %v", wait, tt.atLeast, tt.lessThan)
				}
			})
		})
	}
}

func TestWaitBeyondTheDeadlineIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(reply(503, "busy", "Retry-After", "60"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		status, body, err := send(ctx, quiet(s, retry.Policy{}), "GET")
		if status != 503 || body != "busy" || err != nil || time.Since(s.begin) != 0 {
			t.Errorf("got %d %q %v after %v, want the 503 at once", status, body, err, time.Since(s.begin))
		}
	})
}

func TestDeadlineGivesTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(fail(io.EOF))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, _, err := send(ctx, quiet(s, retry.Policy{Retries: 1000}), "GET")
		if !errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			t.Errorf("got %v, want EOF before the deadline", err)
		}
	})
}

func TestCancelEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := recorder(t)
		s := serve(reply(503, "", "Retry-After", "600"))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		_, _, err := send(ctx, retry.New(s, retry.Policy{}, log), "GET")

		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "HTTP 503") {
			t.Errorf("got %v, want the cancel and what it interrupted", err)
		}
		if d := time.Since(s.begin); d != 5*time.Second {
			t.Errorf("ended after %v, want 5s", d)
		}
		if strings.Contains(out.String(), "level=ERROR") || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("log, want one debug line:\n%s", out)
		}
	})
}

func TestCancelDuringATryIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := recorder(t)
		s := serve(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, errors.New("use of closed network connection")
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Second, func() { cancel(errors.New("terminated")) })
		_, _, err := send(ctx, retry.New(s, retry.Policy{}, log), "GET")
		if !errors.Is(err, context.Canceled) || len(s.times) != 1 || out.Len() > 0 {
			t.Errorf("got %v after %d tries, logged %q", err, len(s.times), out)
		}
	})
}

func TestTimeoutOfATryIsRepeated(t *testing.T) {
	slowBody := func(req *http.Request) (*http.Response, error) {
		resp, err := good(req)
		resp.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
			<-req.Context().Done()
			return 0, req.Context().Err()
		}))
		return resp, err
	}
	for name, slow := range map[string]step{"no reply": hang, "no body": slowBody} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(slow, good)
				status, _, err := send(t.Context(), quiet(s, retry.Policy{}), "POST")
				if status != 200 || err != nil {
					t.Fatalf("got %d, %v", status, err)
				}
				if at := s.times[1]; at < 60*time.Second || at > 61*time.Second {
					t.Errorf("second try after %v, want about 60s", at)
				}
			})
		})
	}
}

func TestTimeoutOfTheLastTryIsNoDeadlineOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, err := send(t.Context(), quiet(serve(hang), retry.Policy{Retries: 1}), "GET")
		timeout, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err)
		if !ok || !timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want a timeout that is no end of the context", err)
		}
	})
}

func TestDeadlineOfTheCallerIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(hang)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _, err := send(ctx, quiet(s, retry.Policy{AttemptTimeout: -1}), "GET")
		if !errors.Is(err, context.DeadlineExceeded) || len(s.times) != 1 {
			t.Errorf("got %v after %d tries, want the deadline after one", err, len(s.times))
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
