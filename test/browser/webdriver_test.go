package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// chromiumFlags keep the browser to itself: no network but loopback, no first
// run, nothing in the background.
var chromiumFlags = []string{
	"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
	"--disable-component-update", "--disable-sync",
}

// A browser is a Chromium with an empty profile, driven by chromedriver.
type browser struct {
	t       *testing.T
	session string // address of the session
}

// start starts chromedriver and a browser, which end with the test.
func start(t *testing.T) *browser {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close() // chromedriver opens it again
	_, port, _ := strings.Cut(address, ":")
	ctx, kill := context.WithCancel(context.WithoutCancel(t.Context())) // it has to end its browser after the test
	cmd := exec.CommandContext(ctx, "chromedriver", "--port="+port)
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		kill()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill()
		_ = cmd.Wait() // it was killed
	})
	b := &browser{t: t, session: "http://" + address}
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := b.try(http.MethodGet, "/status", nil, nil)
		if err == nil {
			break
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("chromedriver does not answer: %v", err)
		}
	}
	var made struct{ SessionID string }
	b.do(http.MethodPost, "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName":        "chrome",
		"goog:loggingPrefs":  map[string]string{"browser": "ALL"},
		"goog:chromeOptions": map[string]any{"args": append([]string{"--user-data-dir=" + t.TempDir()}, chromiumFlags...)},
	}}}, &made)
	b.session += "/session/" + made.SessionID
	t.Cleanup(func() { _ = b.try(http.MethodDelete, "", nil, nil) }) // the process ends anyway
	return b
}

// try sends a command of the WebDriver protocol and decodes its value.
func (b *browser) try(method, path string, body, value any) error {
	var data []byte
	if method == http.MethodPost {
		if body == nil {
			body = struct{}{}
		}
		var err error
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.t.Context()), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, b.session+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<24))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: HTTP %d: %.300s", method, path, resp.StatusCode, answer)
	}
	return json.Unmarshal(answer, &struct{ Value any }{value})
}

func (b *browser) do(method, path string, body, value any) {
	b.t.Helper()
	if err := b.try(method, path, body, value); err != nil {
		b.t.Fatal(err)
	}
}

// open goes to an address.
func (b *browser) open(address string) {
	b.t.Helper()
	b.do(http.MethodPost, "/url", map[string]string{"url": address}, nil)
}

// An element is a part of the page.
type element struct {
	b    *browser
	path string
}

// find returns the one element that a CSS selector means.
func (b *browser) find(selector string) element {
	b.t.Helper()
	var found []map[string]string
	b.do(http.MethodPost, "/elements", map[string]string{"using": "css selector", "value": selector}, &found)
	if len(found) != 1 {
		b.t.Fatalf("%d elements are %s, want one; the page:\n%s", len(found), selector, b.source())
	}
	for _, id := range found[0] {
		return element{b, "/element/" + id}
	}
	panic("an element without an id")
}

func (b *browser) source() string {
	var text string
	b.do(http.MethodGet, "/source", nil, &text)
	return text
}

// arrives waits until the page with this title is there.
func (b *browser) arrives(title string) {
	b.t.Helper()
	var got string
	for begin := time.Now(); got != title; time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			b.t.Fatalf("the title is %q, want %q; the page:\n%s", got, title, b.source())
		}
		b.do(http.MethodGet, "/title", nil, &got)
	}
}

// get returns what the browser says about the element: text, computedrole,
// computedlabel, property/value…
func (e element) get(what string) string {
	e.b.t.Helper()
	var text string
	e.b.do(http.MethodGet, e.path+"/"+what, nil, &text)
	return text
}

func (e element) click() {
	e.b.t.Helper()
	e.b.do(http.MethodPost, e.path+"/click", nil, nil)
}

func (e element) press(keys string) {
	e.b.t.Helper()
	e.b.do(http.MethodPost, e.path+"/value", map[string]string{"text": keys}, nil)
}

// log returns the messages of the console, such as those about what the page's
// policy has blocked.
func (b *browser) log() []string {
	b.t.Helper()
	var entries []struct{ Message string }
	b.do(http.MethodPost, "/se/log", map[string]string{"type": "browser"}, &entries)
	var messages []string
	for _, e := range entries {
		messages = append(messages, e.Message)
	}
	return messages
}
