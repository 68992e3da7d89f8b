package engine_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// checkSecrets looks for what went over the wire as a credential.
func (b *bench) checkSecrets() {
	b.t.Helper()
	var said strings.Builder
	said.WriteString(b.log.String())
	for _, err := range b.errors {
		if err != nil {
			said.WriteString(err.Error() + "\n")
		}
	}
	for _, canary := range append(b.wire.credentials(), secret) {
		if strings.Contains(said.String(), canary) {
			b.t.Errorf("the log or an error holds the credential %q", canary)
		}
	}
}

// A wire is the way to the services. It remembers the credentials it saw, and
// counts the looks for a task by its label.
type wire struct {
	base  http.RoundTripper
	looks atomic.Int32
	mu    sync.Mutex
	seen  map[string]bool
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if labeled(r) {
		w.looks.Add(1)
	}
	if _, credential, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
		w.mu.Lock()
		if w.seen == nil {
			w.seen = make(map[string]bool)
		}
		w.seen[credential] = true
		w.mu.Unlock()
	}
	return w.base.RoundTrip(r)
}

// labeled reports whether r looks for a task by its label.
func labeled(r *http.Request) bool {
	return is(r, "GET", listPath) && strings.Contains(r.URL.RawQuery, "label")
}

func (w *wire) credentials() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for c := range w.seen {
		all = append(all, c)
	}
	return all
}

// A journal keeps log lines, which are JSON.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// values returns an attribute of all lines with a message.
func (j *journal) values(t *testing.T, msg, attr string) []string {
	t.Helper()
	var values []string
	for line := range strings.Lines(j.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields["msg"] == msg {
			value, _ := fields[attr].(string)
			values = append(values, value)
		}
	}
	return values
}
