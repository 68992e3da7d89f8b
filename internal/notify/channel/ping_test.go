package channel_test

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/jobs"
)

func TestPingsSayHowTheRunIs(t *testing.T) {
	for event, want := range map[notify.Event]string{
		notify.Started:    "/key/nightly/start?create=1&rid=",
		notify.Succeeded:  "/key/nightly?create=1&rid=",
		notify.Failed:     "/key/nightly/fail?create=1&rid=",
		notify.Refused:    "/key/nightly/fail?create=1&rid=",
		notify.Skipped:    "/key/nightly/log?create=1&rid=",
		notify.NeedsHuman: "/key/nightly/log?create=1&rid=",
	} {
		to := &receiver{}
		n := failedNotice()
		n.Event = event
		p := open(t, jobs.Channel{Ping: &jobs.Hook{URL: "https://ping.example.org/key/{{ .Job }}?create=1"}}, channel.Options{Network: to})
		if err := p.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		got := to.got[0]
		address, id, _ := strings.Cut(got.uri, "rid=")
		if got.method != "POST" || address+"rid=" != want || uuid.Validate(id) != nil {
			t.Errorf("%s: got %s %s, want %s and a UUID", event, got.method, got.uri, want)
		}
		if !strings.HasPrefix(string(got.body), "nightly failed: the disk of vault is full\n\nGlobus says: No space left on device.\n") {
			t.Errorf("%s: got the body\n%s", event, got.body)
		}
	}
}

func TestPingsOfOneRunHaveOneID(t *testing.T) {
	to := &receiver{}
	p := open(t, jobs.Channel{Ping: &jobs.Hook{URL: "https://ping.example.org/key"}}, channel.Options{Network: to})
	idOf := func(change func(*notify.Notice)) string {
		n := failedNotice()
		change(n)
		if err := p.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(to.got[len(to.got)-1].uri)
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Get("rid")
	}
	begun := idOf(func(n *notify.Notice) { n.ID, n.Event = "other", notify.Started })
	if ended := idOf(func(*notify.Notice) {}); begun != ended || begun == "" {
		t.Errorf("the start has %q, the end %q, want one id", begun, ended)
	}
	for what, change := range map[string]func(*notify.Notice){
		"another run":        func(n *notify.Notice) { n.Run = 18 },
		"another occurrence": func(n *notify.Notice) { n.Key = "2026-11-22T02:00:00Z" },
		"another job":        func(n *notify.Notice) { n.Job = "weekly" },
		"no run":             func(n *notify.Notice) { n.Key, n.Run = "", 0 },
	} {
		if id := idOf(change); id == begun {
			t.Errorf("%s has the same id", what)
		}
	}
}

func TestPingsAreBounded(t *testing.T) {
	to := &receiver{}
	n := failedNotice()
	n.Title, n.Lines, n.Tasks = strings.Repeat("日本", 300), nil, nil
	for range 1000 {
		n.Lines = append(n.Lines, strings.Repeat("日", 26))
		n.Tasks = append(n.Tasks, notify.Task{TaskID: strings.Repeat("t", 100), Link: "https://app.globus.org/" + strings.Repeat("x", 270)})
	}
	p := open(t, jobs.Channel{Ping: &jobs.Hook{URL: "https://ping.example.org/key"}}, channel.Options{Network: to})
	if err := p.Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if body := to.got[0].body; len(body) > 10_000 || !utf8.Valid(body) {
		t.Errorf("the body has %d bytes, want 10000 bytes of UTF-8 at most", len(body))
	}
}
