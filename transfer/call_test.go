package transfer_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/globus-runner/globus-runner/transfer"
)

func TestCallSendsAnything(t *testing.T) {
	tests := map[string]struct {
		method, path string
		query        url.Values
		body         json.RawMessage
		want         string // method, path, query, body; empty if nothing is sent
	}{
		"a path":             {"GET", "/endpoint_manager/task_list", url.Values{"limit": {"1"}}, nil, "GET /v0.10/endpoint_manager/task_list limit=1 "},
		"a path with its v":  {"DELETE", "v0.10/bookmark/b1/", nil, nil, "DELETE /v0.10/bookmark/b1 "},
		"an escaped slash":   {"GET", "/endpoint/a%2Fb", nil, nil, "GET /v0.10/endpoint/a/b "},
		"a body":             {"POST", "/bookmark", nil, json.RawMessage(`{"name":"<x>"}`), `POST /v0.10/bookmark {"name":"<x>"}`},
		"a body of anything": {"POST", "/bookmark", nil, json.RawMessage(`{name}`), ""},
		"a method":           {"BREW", "/bookmark", nil, nil, ""},
		"a path upwards":     {"GET", "/endpoint/../task_list", nil, nil, ""},
		"no path":            {"GET", "/", nil, nil, ""},
		"a broken escape":    {"GET", "/endpoint/%zz", nil, nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			c := serve(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = r.Method + " " + r.URL.Path + printed(r.URL.Query()) + " " + string(body)
				reply(200, `{"answer": 1}`)(w, r)
			})
			doc, err := c.Call(t.Context(), tt.method, tt.path, tt.query, tt.body)
			if got != tt.want || (err == nil) != (tt.want != "") || err == nil && string(doc) != `{"answer": 1}` {
				t.Errorf("sent %q, want %q; got %s, %v", got, tt.want, doc, err)
			}
		})
	}
	refused := serve(reply(404, `{"code": "ClientError.NotFound", "message": "no such thing"}`))
	if _, err := refused.Call(t.Context(), "GET", "/x", nil, nil); !isNotFound(err) {
		t.Errorf("got %v", err)
	}
}

func isNotFound(err error) bool {
	e, ok := errors.AsType[*transfer.Error](err)
	return ok && e.NotFound()
}
