package retry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/retry"
)

// A step is what the fake service does with one request.
type step func(*http.Request) (*http.Response, error)

// A service is a RoundTripper that takes one step a request, the last one
// again and again, and records when requests came and what they held.
type service struct {
	steps  []step
	begin  time.Time
	times  []time.Duration // since begin
	bodies []string
}

func serve(steps ...step) *service { return &service{steps: steps, begin: time.Now()} }

func (s *service) RoundTrip(req *http.Request) (*http.Response, error) {
	s.times = append(s.times, time.Since(s.begin))
	if req.Body != nil {
		data, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		s.bodies = append(s.bodies, string(data))
		if err := req.Body.Close(); err != nil {
			return nil, err
		}
	}
	n := min(len(s.times), len(s.steps)) - 1
	return s.steps[n](req)
}

func reply(status int, body string, header ...string) step {
	return func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{
			StatusCode: status, Header: http.Header{}, Request: req,
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}
		for i := 0; i < len(header); i += 2 {
			resp.Header.Set(header[i], header[i+1])
		}
		return resp, nil
	}
}

// cut answers with a body that ends early in err.
func cut(status int, body string, err error) step {
	return func(req *http.Request) (*http.Response, error) {
		resp, _ := reply(status, "")(req)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), failing{err}))
		return resp, nil
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func fail(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// hang waits for the end of the request's context.
func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// send sends one request through rt and returns the status and the whole body.
func send(ctx context.Context, rt http.RoundTripper, method string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://globus.test/v0.10/transfer?key=canary", http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		if resp != nil {
			return 0, "", errors.New("both a response and an error")
		}
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }() // it is in memory
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

func quiet(base http.RoundTripper, p retry.Policy) http.RoundTripper {
	return retry.New(base, p, nil)
}

// recorder returns a logger of all levels and what it wrote.
func recorder(t *testing.T) (*slog.Logger, *bytes.Buffer) {
	t.Helper()
	var buf bytes.Buffer
	return slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug})), &buf
}
