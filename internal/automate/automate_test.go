package automate_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/internal/automate"
)

// A wire keeps what was sent, and answers with a body.
type wire struct {
	sent *http.Request
	body io.Reader
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.sent = r
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(w.body), Request: r}, nil
}

func TestEachPartOfAPathIsEscapedBelowTheAddressOfTheService(t *testing.T) {
	for address, prefix := range map[string]string{"https://flows.test": "", "https://flows.test/": "", "https://proxy.test/a%2Fb/": "/a%2Fb"} {
		base, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		for want, r := range map[string]automate.Request{
			"/jobs/":              {Path: []string{"jobs"}, Slash: true},
			"/runs/a%2F..%2F?q=1": {Path: []string{"runs", "a/../"}, Query: url.Values{"q": {"1"}}},
		} {
			w := &wire{body: strings.NewReader(`{}`)}
			r.Method = http.MethodGet
			if _, err := (automate.Service{Name: automate.Flows, Base: base, MaxReply: 10}).Do(t.Context(), &http.Client{Transport: w}, r); err != nil {
				t.Fatal(err)
			}
			if got := w.sent.URL.RequestURI(); got != prefix+want {
				t.Errorf("below %s: got %s, want %s", address, got, prefix+want)
			}
			if w.sent.Header.Get("Content-Type") != "" || w.sent.Header.Get("Accept") != "application/json" {
				t.Errorf("the headers are %v", w.sent.Header)
			}
		}
	}
}

func TestAReplyIsReadToItsBound(t *testing.T) {
	service := automate.Service{Name: automate.Timers, Base: &url.URL{Scheme: "https", Host: "x"}, MaxReply: 1 << 20}
	ask := func(body io.Reader) ([]byte, error) {
		return service.Do(context.Background(), &http.Client{Transport: &wire{body: body}}, automate.Request{Method: http.MethodPost, Path: []string{"x"}, Body: []byte("{}")})
	}
	if doc, err := ask(bytes.NewReader(make([]byte, 1<<20))); err != nil || len(doc) != 1<<20 {
		t.Errorf("a reply as long as may be: %d bytes, %v", len(doc), err)
	}
	for want, body := range map[string]io.Reader{
		"Globus Timers: POST /x: 200: the reply is longer than 1 MiB":        bytes.NewReader(make([]byte, 1<<20+1)),
		"Globus Timers: POST /x: 200: the reply was cut off: unexpected EOF": io.MultiReader(strings.NewReader("{"), errorReader{io.ErrUnexpectedEOF}),
	} {
		_, err := ask(body)
		e, ok := errors.AsType[*automate.Error](err)
		if !ok || !e.Temporary() || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

type errorReader struct{ error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.error }
