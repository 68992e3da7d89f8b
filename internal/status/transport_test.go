package status_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/status"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// replies answers every request with a status.
func replies(code int) roundTripper {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: code, Body: http.NoBody}, nil
	}
}

// send sends a request and returns the status of its reply, or its error.
func send(to http.RoundTripper) (int, error) {
	resp, err := to.RoundTrip(httptest.NewRequestWithContext(context.Background(), "GET", "https://globus/secret?token=x", http.NoBody))
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestTransportReturnsWhatItGot(t *testing.T) {
	s := status.New(status.Config{})
	if code, err := send(s.Transport("auth", replies(503))); code != 503 || err != nil {
		t.Errorf("got %d, %v, want 503", code, err)
	}
	lost := roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	if _, err := send(s.Transport("auth", lost)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestRequestsAreCountedByServiceAndCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := status.New(status.Config{})
		lost := roundTripper(func(*http.Request) (*http.Response, error) {
			time.Sleep(3 * time.Second)
			return nil, io.ErrUnexpectedEOF
		})
		for _, next := range []http.RoundTripper{replies(200), replies(200), replies(503), lost} {
			_, _ = send(s.Transport("auth", next)) // another test's matter
		}
		_, _ = send(s.Transport("transfer", replies(404)))
		differ(t, s, "http_", map[string]string{
			`http_requests_total{code="200",service="auth"}`:          "2",
			`http_requests_total{code="503",service="auth"}`:          "1",
			`http_requests_total{code="error",service="auth"}`:        "1",
			`http_requests_total{code="404",service="transfer"}`:      "1",
			`http_request_duration_seconds_sum{service="auth"}`:       "3",
			`http_request_duration_seconds_count{service="auth"}`:     "4",
			`http_request_duration_seconds_sum{service="transfer"}`:   "0",
			`http_request_duration_seconds_count{service="transfer"}`: "1",
		})
	})
}
