package channel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/notify/channel"
	"github.com/globus-runner/globus-runner/jobs"
)

// secretPath is the secret part of each address here.
const secretPath = "T00CANARY/B00CANARY"

// hostile is what a name, a label or the text of a service may hold to deceive.
const hostile = "<!channel> <@U1> <https://evil.example|click> [click](https://evil.example) <at>all</at> " +
	"*bold* `code` &lt;b&gt; <b onclick=x>\r\nBcc: victim@example.org\u202e\x1b[2J"

// failedNotice is about a run that failed.
func failedNotice() *notify.Notice {
	return &notify.Notice{
		ID: "0d2a6ad4-5f5c-4f5e-9d0f-0a3c1ef5a001", Event: notify.Failed, Job: "nightly",
		Key: "2026-11-21T02:00:00Z", Run: 17, Time: time.Date(2026, 11, 21, 2, 5, 0, 0, time.UTC),
		Title: "nightly failed: the disk of vault is full",
		Lines: []string{"Globus says: No space left on device.", "Free space on vault, then: runner runs retry 17"},
		Error: &notify.Cause{Class: "refused", Code: "QUOTA_EXCEEDED", Message: "No space left on device", RequestID: "AbC123"},
		Tasks: []notify.Task{{
			TaskID: "4d2d8b4a-1b1c-4f0e-8d1a-6f2f3f4f5f6f", Label: "nightly 2026-11-21",
			Link: "https://app.globus.org/activity/4d2d8b4a-1b1c-4f0e-8d1a-6f2f3f4f5f6f",
		}},
		Link: "https://runner.example.org/runs/17",
	}
}

// kinds are the channels that send over HTTP.
func kinds(h jobs.Hook) map[string]jobs.Channel {
	return map[string]jobs.Channel{
		"webhook": {Webhook: &jobs.Webhook{Hook: h}},
		"slack":   {Slack: &h},
		"teams":   {Teams: &h},
		"ping":    {Ping: &h},
	}
}

func open(t *testing.T, c jobs.Channel, o channel.Options) notify.Channel {
	t.Helper()
	opened, err := channel.Open(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func fileOf(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A request is what a receiver was sent.
type request struct {
	method, uri string
	header      http.Header
	body        []byte
}

// A receiver answers requests, without a network.
type receiver struct {
	got    []request
	answer func(r *http.Request) *http.Response // nil: 200
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.got = append(r.got, request{req.Method, req.URL.RequestURI(), req.Header, body})
	if r.answer == nil {
		return reply(http.StatusOK, nil, "ok"), nil
	}
	resp := r.answer(req)
	resp.Request = req
	return resp, nil
}

func reply(status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Header: header, Body: io.NopCloser(strings.NewReader(body)),
	}
}

type judged interface {
	error
	Lasting() bool
	Partly() bool
	RetryAfter() time.Duration
}

func TestAnswersSayWhetherToSendAgain(t *testing.T) {
	tests := map[int]struct {
		after   string
		lasting bool
		wait    time.Duration
	}{
		301: {lasting: true},
		302: {},
		307: {},
		308: {lasting: true},
		400: {lasting: true},
		401: {lasting: true},
		404: {lasting: true},
		408: {},
		410: {lasting: true},
		425: {},
		429: {after: "30", wait: 30 * time.Second},
		500: {},
		503: {after: "120", wait: 2 * time.Minute},
	}
	for status, tt := range tests {
		for kind, c := range kinds(jobs.Hook{URL: "https://hooks.example.org/" + secretPath}) {
			t.Run(fmt.Sprint(status, " ", kind), func(t *testing.T) {
				to := &receiver{answer: func(*http.Request) *http.Response {
					return reply(status, http.Header{"Retry-After": {tt.after}}, "no_service\n")
				}}
				err := open(t, c, channel.Options{Network: to}).Send(t.Context(), failedNotice())
				e, ok := errors.AsType[judged](err)
				if !ok || e.Lasting() != tt.lasting || e.RetryAfter() != tt.wait {
					t.Fatalf("got %#v, want an error that is lasting: %t, and to wait %s", err, tt.lasting, tt.wait)
				}
				if text := err.Error(); !strings.Contains(text, fmt.Sprint(status)) || !strings.Contains(text, "hooks.example.org") {
					t.Errorf("got %q, want the host and the status", text)
				}
			})
		}
	}
}

func TestWhatIsAcceptedIsSent(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204} {
		for kind, c := range kinds(jobs.Hook{URL: "https://hooks.example.org/x"}) {
			to := &receiver{answer: func(*http.Request) *http.Response { return reply(status, nil, "") }}
			if err := open(t, c, channel.Options{Network: to}).Send(t.Context(), failedNotice()); err != nil || len(to.got) != 1 {
				t.Errorf("%s, status %d: got %v and %d requests, want one that is taken", kind, status, err, len(to.got))
			}
		}
	}
}

// A redirect could lead to a service that only this computer reaches.
func TestRedirectsAreNotFollowed(t *testing.T) {
	reached := 0
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer inner.Close()
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, inner.URL+"/admin?action=delete", http.StatusTemporaryRedirect)
	}))
	defer outer.Close()
	for kind, c := range kinds(jobs.Hook{URL: outer.URL + "/x"}) {
		err := open(t, c, channel.Options{}).Send(t.Context(), failedNotice())
		if err == nil || !strings.Contains(err.Error(), "redirect, which is not followed") {
			t.Errorf("%s: got %v, want an error about the redirect", kind, err)
		}
	}
	if reached > 0 {
		t.Errorf("the target of the redirect was reached %d times", reached)
	}
}

func TestNoErrorShowsTheAddress(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "there is no "+r.URL.Path, http.StatusNotFound)
	}))
	defer echo.Close()
	rude := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(conn, "NOT-HTTP %s\r\n\r\n", r.URL.Path)
		_ = conn.Close() // the client has an error already
	}))
	defer rude.Close()
	addresses := map[string]string{
		"refused":     gone.URL + "/" + secretPath,
		"echoed":      echo.URL + "/" + secretPath,
		"malformed":   rude.URL + "/" + secretPath,
		"with a user": "https://me:CANARY@hooks.example.org/",
		"not a URL":   "CANARY",
		"unencrypted": "http://hooks.example.org/" + secretPath,
		"two lines":   echo.URL + "/" + secretPath + "\n" + echo.URL,
		"query":       echo.URL + "/?key=" + strings.ReplaceAll(secretPath, "/", "-"),
	}
	for name, address := range addresses {
		for kind, c := range kinds(jobs.Hook{URLFile: fileOf(t, address)}) {
			t.Run(name+" "+kind, func(t *testing.T) {
				ch, err := channel.Open(c, channel.Options{})
				if err == nil {
					err = ch.Send(t.Context(), failedNotice())
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					if strings.Contains(fmt.Sprintf("%v %+v %#v", e, e, e.Error()), "CANARY") {
						t.Errorf("the address is in the error: %v", e)
					}
				}
				if err == nil {
					t.Error("got no error")
				}
			})
		}
	}
}

func TestAddressesAreReadForEachNotice(t *testing.T) {
	file := fileOf(t, "https://hooks.example.org/old")
	for kind, c := range kinds(jobs.Hook{URLFile: file}) {
		to := &receiver{}
		if err := os.WriteFile(file, []byte("https://hooks.example.org/first"), 0o600); err != nil {
			t.Fatal(err)
		}
		ch := open(t, c, channel.Options{Network: to})
		for _, path := range []string{"/old", "/new"} {
			if err := os.WriteFile(file, []byte("https://hooks.example.org"+path+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := ch.Send(t.Context(), failedNotice()); err != nil {
				t.Fatal(err)
			}
			if got := to.got[len(to.got)-1].uri; !strings.HasPrefix(got, path) {
				t.Errorf("%s: got a request to %s, want %s", kind, got, path)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		err := ch.Send(t.Context(), failedNotice())
		if e, ok := errors.AsType[judged](err); !ok || e.Lasting() || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s, without the file: got %v, want an error that may pass", kind, err)
		}
		c.Name = "ops"
		if _, err := channel.Open(c, channel.Options{}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "channel ops: ") {
			t.Errorf("%s, opened without the file: got %v, want an error about the channel", kind, err)
		}
	}
}

// stuck answers nothing, or only the beginning of an answer.
type stuck struct{ header bool }

func (s stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	if !s.header {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{Status: "500 x", StatusCode: http.StatusInternalServerError, Header: http.Header{}, Body: io.NopCloser(endless{r.Context()}), Request: r}, nil
}

type endless struct{ ctx context.Context }

func (e endless) Read([]byte) (int, error) {
	<-e.ctx.Done()
	return 0, e.ctx.Err()
}

func TestReceiversHaveTenSeconds(t *testing.T) {
	for _, header := range []bool{false, true} {
		for kind, c := range kinds(jobs.Hook{URL: "https://hooks.example.org/x"}) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				err := open(t, c, channel.Options{Network: stuck{header}}).Send(t.Context(), failedNotice())
				if took := time.Since(begin); took != 10*time.Second {
					t.Errorf("%s, header %t: it took %s, want 10s", kind, header, took)
				}
				if e, ok := errors.AsType[judged](err); !ok || e.Lasting() {
					t.Errorf("%s, header %t: got %v, want an error that may pass", kind, header, err)
				}
				if !header && !strings.Contains(err.Error(), "no answer within 10s") {
					t.Errorf("%s: got %q, want how long was waited", kind, err)
				}
			})
		}
	}
}

// spring is a body without an end, which counts what is read of it.
type spring struct{ read int }

func (s *spring) Read(p []byte) (int, error) {
	s.read += len(p)
	return copy(p, bytes.Repeat([]byte("x"), len(p))), nil
}

func TestAnswersAreBounded(t *testing.T) {
	for kind, c := range kinds(jobs.Hook{URL: "https://hooks.example.org/x"}) {
		for _, status := range []int{200, 500} {
			s := &spring{}
			to := &receiver{answer: func(*http.Request) *http.Response {
				r := reply(status, nil, "")
				r.Body = io.NopCloser(s)
				return r
			}}
			err := open(t, c, channel.Options{Network: to}).Send(t.Context(), failedNotice())
			if s.read > 8<<10 {
				t.Errorf("%s, status %d: %d bytes of the answer were read", kind, status, s.read)
			}
			if status != 200 && len(err.Error()) > 400 {
				t.Errorf("%s: the error has %d bytes", kind, len(err.Error()))
			}
		}
	}
}

func TestWordsOfReceiversAreHarmless(t *testing.T) {
	to := &receiver{answer: func(*http.Request) *http.Response { return reply(500, nil, hostile) }}
	err := open(t, kinds(jobs.Hook{URL: "https://hooks.example.org/x"})["slack"], channel.Options{Network: to}).Send(t.Context(), failedNotice())
	if text := err.Error(); strings.ContainsAny(text, "\n\r\x1b\u202e") || !strings.Contains(text, "Bcc: victim") {
		t.Errorf("got %q, want the words on one line of visible characters", text)
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	for kind, c := range kinds(jobs.Hook{URL: server.URL + "/x"}) {
		if err := open(t, c, channel.Options{}).Send(t.Context(), failedNotice()); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: got %v, want an error about the certificate", kind, err)
		}
	}
}

func TestChannelsSendAtOnce(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	for _, c := range kinds(jobs.Hook{URL: server.URL + "/x"}) {
		ch := open(t, c, channel.Options{})
		failed := make(chan error)
		const many = 8
		for range many {
			go func() { failed <- ch.Send(context.WithoutCancel(t.Context()), failedNotice()) }()
		}
		for range many {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
	}
}

func TestNoticesLinkToThePage(t *testing.T) {
	page := func(path ...string) string {
		return "https://page.example.org/" + strings.TrimPrefix(strings.Join(path, "/"), "/")
	}
	for want, n := range map[string]*notify.Notice{
		"https://page.example.org/runs/17":      {Title: "x", Job: "nightly", Run: 17},
		"https://page.example.org/jobs/nightly": {Title: "x", Job: "nightly"},
		"https://page.example.org/":             {Title: "x"},
	} {
		for kind, c := range kinds(jobs.Hook{URL: "https://hooks.example.org/"}) {
			var to receiver
			if err := open(t, c, channel.Options{Network: &to, PageLink: page}).Send(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			if body := string(to.got[0].body); !strings.Contains(body, want) || strings.Contains(body, want+"/") || n.Link != "" {
				t.Errorf("%s: got %s, want the link %s", kind, body, want)
			}
		}
		server := newMailServer(t, how{})
		if err := mailTo(t, "smtp://example.com", channel.Options{Dial: server.dial, PageLink: page}).Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if _, body := readMail(t, server.deliveries()[0].text); !strings.Contains(body, "Open in runner: "+want+"\r\n") {
			t.Errorf("got the mail %s, want the link %s", body, want)
		}
	}
}
