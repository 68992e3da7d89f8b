package transfer_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/transfer"
)

const accepted = `{"DATA_TYPE": "transfer_result", "code": "Accepted", "message": "accepted", "submission_id": "S1", "task_id": "T1", "request_id": "Ab3dE6gH9"}`

func header() transfer.Header { return transfer.Header{SubmissionID: "s1"} }

func TestSubmitPostsTheDocument(t *testing.T) {
	tests := map[string]struct {
		doc  transfer.Document
		path string
		want string
	}{
		"transfer": {
			&transfer.Transfer{
				Header:         header(),
				SourceEndpoint: "C1", DestinationEndpoint: "C2",
				Items: []transfer.Item{{SourcePath: "/a", DestinationPath: "/b"}},
			},
			"/v0.10/transfer",
			`{"DATA_TYPE": "transfer", "submission_id": "s1", "source_endpoint": "C1", "destination_endpoint": "C2",
			  "notify_on_succeeded": false, "notify_on_failed": false, "notify_on_inactive": false,
			  "DATA": [{"DATA_TYPE": "transfer_item", "source_path": "/a", "destination_path": "/b"}]}`,
		},
		"delete": {
			&transfer.Delete{Header: header(), Endpoint: "C1", Items: []transfer.DeleteItem{{Path: "/a"}}},
			"/v0.10/delete",
			`{"DATA_TYPE": "delete", "submission_id": "s1", "endpoint": "C1",
			  "notify_on_succeeded": false, "notify_on_failed": false, "notify_on_inactive": false,
			  "DATA": [{"DATA_TYPE": "delete_item", "path": "/a"}]}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != tt.path {
					t.Errorf("got %s %s, want POST %s", r.Method, r.URL.Path, tt.path)
				}
				got, _ := io.ReadAll(r.Body)
				if diff := cmp.Diff(generic(t, tt.want), generic(t, string(got))); diff != "" {
					t.Errorf("document (-want +got):\n%s", diff)
				}
				reply(202, accepted)(w, r)
			})
			got, err := c.Submit(t.Context(), tt.doc)
			want := &transfer.Submitted{
				TaskID: "T1", SubmissionID: "S1", Code: "Accepted", Message: "accepted", RequestID: "Ab3dE6gH9",
				Raw: json.RawMessage(accepted),
			}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("error %v, answer (-want +got):\n%s", err, diff)
			}
		})
	}
}

// generic returns the JSON document s as maps and lists.
func generic(t *testing.T, s string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%v: %s", err, s)
	}
	return v
}

func TestDuplicateIsAnAnswer(t *testing.T) {
	tests := map[string]bool{"Accepted": false, "Duplicate": true}
	for code, want := range tests {
		c := serve(reply(200, `{"code": "`+code+`", "task_id": "T1"}`))
		s, err := c.Submit(t.Context(), &transfer.Delete{Header: header()})
		if err != nil || s.TaskID != "T1" || s.Duplicate() != want {
			t.Errorf("%s: got %+v and %v, want task T1, duplicate %t", code, s, err, want)
		}
	}
}

func TestSubmitWithoutASubmissionIDSendsNothing(t *testing.T) {
	c := serve(replies(t, reply(503, ""))) // to the question for an id
	_, err := c.Submit(t.Context(), &transfer.Transfer{})
	if e, ok := errors.AsType[*transfer.Error](err); !ok || !e.Temporary() || errors.Is(err, transfer.ErrUnclear) {
		t.Errorf("got %v, want the error of the question, which is clear", err)
	}
}

// A wire is a network without sockets. Each connection plays the next step: it
// reads one request and writes the step's text as it is, then closes. The step
// dialError refuses the connection, and unanswered closes it after the request.
type wire struct {
	mu    sync.Mutex
	steps []string
}

const (
	dialError  = "dial error"
	unanswered = ""
)

func (n *wire) dial(context.Context, string, string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.steps) == 0 {
		return nil, errors.New("no step left")
	}
	step := n.steps[0]
	n.steps = n.steps[1:]
	if step == dialError {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }() // a pipe's Close cannot fail
		req, err := http.ReadRequest(bufio.NewReader(server))
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		_, _ = io.WriteString(server, step) // the client may have gone
	}()
	return client, nil
}

// stubborn sends a request up to n times, until a reply is below 429, as a
// layer of retries does.
func stubborn(base http.RoundTripper, n int) http.RoundTripper {
	return roundTrip(func(r *http.Request) (resp *http.Response, err error) {
		for range n {
			again := r.Clone(r.Context())
			again.Body, _ = r.GetBody() // a bytes.Reader's cannot fail
			if resp, err = base.RoundTrip(again); err == nil && resp.StatusCode < 429 {
				break
			}
		}
		return resp, err
	})
}

func raw(status, body string) string {
	return "HTTP/1.1 " + status + "\r\nConnection: close\r\n\r\n" + body
}

func TestSubmissionThatMayHaveTakenEffectIsUnclear(t *testing.T) {
	conflict := raw("409 Conflict", `{"code": "Conflict"}`)
	tests := map[string]struct {
		steps   []string // one for each attempt
		unclear bool
		status  int // of the *transfer.Error, 0 if the error is another
	}{
		"never connected":               {[]string{dialError, dialError}, false, 0},
		"no answer":                     {[]string{unanswered}, true, 0},
		"answer broken off in its head": {[]string{"HTTP/1.1 200 O"}, true, 0},
		"no answer, then no connection": {[]string{unanswered, dialError}, true, 0},
		"no answer, then 429":           {[]string{unanswered, raw("429 Too Many Requests", "")}, true, 429},
		"no answer, then conflict":      {[]string{unanswered, conflict}, true, 409},
		"bad gateway":                   {[]string{raw("502 Bad Gateway", "<html>")}, true, 502},
		"bad gateway, then conflict":    {[]string{raw("502 Bad Gateway", ""), conflict}, true, 409},
		"bad gateway, another conflict": {[]string{raw("502 Bad Gateway", ""), raw("409 Conflict", `{"code": "SomethingNew"}`)}, true, 409},
		"bad gateway, then a backlog":   {[]string{raw("502 Bad Gateway", ""), raw("409 Conflict", `{"code": "ClientError.Conflict.TooManyPendingJobs"}`)}, false, 409},
		"internal error":                {[]string{raw("500 Internal Server Error", "")}, true, 500},
		"answer broken off":             {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"task_"}, true, 200},
		"answer of a captive portal":    {[]string{raw("200 OK", "<html>")}, true, 200},
		"answer without a task":         {[]string{raw("202 Accepted", `{"code": "Accepted"}`)}, true, 202},
		"maintenance":                   {[]string{raw("503 Service Unavailable", ""), raw("503 Service Unavailable", "")}, false, 503},
		"conflict at once":              {[]string{conflict}, false, 409},
		"wrong document":                {[]string{raw("400 Bad Request", `{"code": "BadRequest"}`)}, false, 400},
		"maintenance, then refused":     {[]string{raw("503 Service Unavailable", ""), raw("403 Forbidden", "")}, false, 403},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			network := &wire{steps: tt.steps}
			base := &http.Transport{DialContext: network.dial, DisableKeepAlives: true}
			c := transfer.New(&http.Client{Transport: stubborn(base, len(tt.steps))}, transfer.WithBaseURL(mustParse(t, "http://sim")))
			_, err := c.Submit(t.Context(), &transfer.Transfer{Header: header()})

			var status int
			if e, ok := errors.AsType[*transfer.Error](err); ok {
				status = e.Status
			}
			if err == nil || errors.Is(err, transfer.ErrUnclear) != tt.unclear || status != tt.status {
				t.Errorf("got %v, want an error with status %d that is unclear: %t", err, tt.status, tt.unclear)
			}
			if len(network.steps) > 0 {
				t.Errorf("%d attempts were not made", len(network.steps))
			}
		})
	}
}

func TestSubmissionThatSucceedsAtLastIsClear(t *testing.T) {
	network := &wire{steps: []string{unanswered, raw("200 OK", strings.Replace(accepted, "Accepted", "Duplicate", 1))}}
	base := &http.Transport{DialContext: network.dial, DisableKeepAlives: true}
	c := transfer.New(&http.Client{Transport: stubborn(base, 2)}, transfer.WithBaseURL(mustParse(t, "http://sim")))
	s, err := c.Submit(t.Context(), &transfer.Transfer{Header: header()})
	if err != nil || !s.Duplicate() {
		t.Errorf("got %+v and %v, want a duplicate", s, err)
	}
}

func TestSubmissionThatNeverLeftIsClear(t *testing.T) {
	refused := errors.New("no token")
	c := transfer.New(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, refused })})
	_, err := c.Submit(t.Context(), &transfer.Transfer{Header: header()})
	if !errors.Is(err, refused) || errors.Is(err, transfer.ErrUnclear) {
		t.Errorf("got %v, want a clear error that wraps %q", err, refused)
	}
}

func TestSubmissionAfterAConsentIsClear(t *testing.T) {
	network := &wire{steps: []string{raw("403 Forbidden", missing), raw("403 Forbidden", missing)}}
	base := &http.Transport{DialContext: network.dial, DisableKeepAlives: true}
	c := transfer.New(&http.Client{Transport: base},
		transfer.WithBaseURL(mustParse(t, "http://sim")),
		transfer.WithConsent(func(context.Context, []string) error { return nil }))
	_, err := c.Submit(t.Context(), &transfer.Transfer{Header: header()})
	if e, ok := errors.AsType[*transfer.Error](err); !ok || !e.NeedsConsent() || errors.Is(err, transfer.ErrUnclear) {
		t.Errorf("got %v, want a clear error that needs a consent", err)
	}
}

func TestParseDocumentReadsWhatIsSent(t *testing.T) {
	level := transfer.SyncChecksum
	for _, doc := range []transfer.Document{
		&transfer.Transfer{
			Header: transfer.Header{Label: "nightly"}, SourceEndpoint: "a", DestinationEndpoint: "b", SyncLevel: &level,
			Items: []transfer.Item{{SourcePath: "/x/", DestinationPath: "/y/"}},
		},
		&transfer.Delete{Endpoint: "a", Items: []transfer.DeleteItem{{Path: "/x"}}, IgnoreMissing: true},
	} {
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, err := transfer.ParseDocument(text)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(got); err != nil || !bytes.Equal(again, text) {
			t.Errorf("got %s and %v, want %s", again, err, text)
		}
	}
	for _, text := range []string{``, `[]`, `{}`, `{"DATA_TYPE": "task"}`, `{"DATA_TYPE": "delete", "DATA": 1}`} {
		if doc, err := transfer.ParseDocument([]byte(text)); err == nil {
			t.Errorf("%s: got %+v, want an error", text, doc)
		}
	}
}
