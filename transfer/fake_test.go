package transfer_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/globus-runner/globus-runner/transfer"
)

// serve returns a client of a service that h plays, in memory.
func serve(h http.HandlerFunc, opts ...transfer.Option) *transfer.Client {
	return transfer.New(&http.Client{Transport: inMemory{h}}, opts...)
}

// inMemory hands each request to a handler, without a connection.
type inMemory struct{ http.Handler }

func (m inMemory) RoundTrip(req *http.Request) (*http.Response, error) {
	r := req.Clone(req.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	m.ServeHTTP(rec, r)
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// reply returns a handler that gives the same answer to every request.
func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // a recorder takes all
	}
}

// replies returns a handler that gives one answer after the other, and fails
// the test when there is none left.
func replies(t *testing.T, handlers ...http.HandlerFunc) http.HandlerFunc {
	t.Helper()
	t.Cleanup(func() {
		if len(handlers) > 0 {
			t.Errorf("%d replies were not asked for", len(handlers))
		}
	})
	return func(w http.ResponseWriter, r *http.Request) {
		if len(handlers) == 0 {
			t.Errorf("unexpected request %s %s", r.Method, r.URL)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		next := handlers[0]
		handlers = handlers[1:]
		next(w, r)
	}
}

func mustParse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
