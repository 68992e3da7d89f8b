package clientcreds_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
)

// refusal returns the error of a token request that is answered so.
func refusal(t *testing.T, r *raw) (*auth.Error, error) {
	t.Helper()
	_, err := newSource(t, &fakeAuth{reply: func(*http.Request) *raw { return r }}).Token(t.Context(), auth.TransferServer)
	e, ok := errors.AsType[*auth.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *auth.Error", err)
	}
	return e, err
}

func TestErrorFromReply(t *testing.T) {
	const list = `"errors": [{"id": "77c8", "status": 401, "code": "UNAUTHORIZED", "title": "Unauthorized", "detail": "Call must be authenticated"}]`
	detail := auth.Detail{ID: "77c8", Status: "401", Code: "UNAUTHORIZED", Title: "Unauthorized", Detail: "Call must be authenticated"}
	tests := map[string]struct {
		reply     raw
		want      auth.Error
		temporary bool
		text      string // a part of it
	}{
		"OAuth form": {
			raw{status: 400, body: `{"error": "invalid_scope", "error_description": "no\nsuch  scope"}`},
			auth.Error{Code: "invalid_scope", Description: "no such scope"},
			false, "HTTP 400: invalid_scope: no such scope",
		},
		"list": {
			raw{status: 403, body: `{` + list + `}`},
			auth.Error{Code: "UNAUTHORIZED", Details: []auth.Detail{detail}},
			false, "HTTP 403: UNAUTHORIZED: Call must be authenticated",
		},
		"both": {
			raw{status: 401, body: `{"error": "unauthorized", "error_description": "Unauthorized", ` + list + `}`},
			auth.Error{Code: "unauthorized", Description: "Unauthorized", Details: []auth.Detail{detail}},
			false, "HTTP 401: unauthorized: Call must be authenticated; client " + clientID + " was refused",
		},
		"invalid client": {
			raw{status: 400, body: `{"error": "invalid_client"}`},
			auth.Error{Code: "invalid_client"},
			false, "client " + clientID + " was refused: check that the secret was copied whole, that the id is of a service account and not of a native app, and that the secret was not deleted on https://app.globus.org/settings/developers",
		},
		"page": {raw{status: 502, body: `<html>canary</html>`}, auth.Error{}, true, "HTTP 502: Bad Gateway"},
		"login page of a network": {
			raw{status: 403, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: `<html>canary</html>`},
			auth.Error{Foreign: "something with a reply of type text/html"},
			true, "HTTP 403: Forbidden: not the service but something with a reply of type text/html answered",
		},
		"no body":       {raw{status: 400}, auth.Error{}, false, "HTTP 400: Bad Request"},
		"empty":         {raw{status: 500}, auth.Error{}, true, "HTTP 500: Internal Server Error"},
		"odd types":     {raw{status: 400, body: `{"error": {"a": 1}, "errors": ["x", {"code": null}]}`}, auth.Error{Details: []auth.Detail{{}}}, false, "HTTP 400: Bad Request"},
		"list of one":   {raw{status: 400, body: `[]`}, auth.Error{Foreign: "something else"}, true, "HTTP 400: Bad Request"},
		"rate limit":    {raw{status: 429, header: http.Header{"Retry-After": {"120"}}}, auth.Error{RetryAfter: 2 * time.Minute}, true, "HTTP 429"},
		"down for good": {raw{status: 503, header: http.Header{"Retry-After": {"-1"}}}, auth.Error{}, true, "HTTP 503"},
		"down until": {
			raw{status: 503, header: http.Header{"Retry-After": {"Sat, 01 Jan 2000 01:00:00 GMT"}}},
			auth.Error{RetryAfter: time.Hour},
			true, "HTTP 503",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := refusal(t, &tt.reply)
				tt.want.Status, tt.want.ClientID, tt.want.Login = tt.reply.status, clientID, true
				if diff := cmp.Diff(&tt.want, got); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				if got.Temporary() != tt.temporary {
					t.Errorf("temporary: %t", got.Temporary())
				}
				if !strings.Contains(err.Error(), tt.text) || strings.ContainsAny(err.Error(), "\r\n") {
					t.Errorf("got %q, want one line with %q", err, tt.text)
				}
			})
		})
	}
}

func TestErrorHidesAnEchoedSecret(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte(clientID + ":" + canary))
	long := strings.Repeat("x", 290) + canary // would be cut in the middle
	for _, echo := range []string{canary, basic, url.QueryEscape(canary), "a" + canary + "b", long} {
		body, err := json.Marshal(map[string]any{
			"error": echo, "error_description": "you sent " + echo,
			"errors": []any{map[string]any{"id": echo, "code": echo, "detail": echo, "title": echo, "status": echo}},
		})
		if err != nil {
			t.Fatal(err)
		}
		e, wrapped := refusal(t, &raw{status: 401, body: string(body)})
		for _, text := range []string{wrapped.Error(), fmt.Sprintf("%+v %#v", *e, *e)} {
			if strings.Contains(text, "canary") || strings.Contains(text, basic) {
				t.Errorf("the secret is in %s", text)
			}
			if !strings.Contains(text, "you sent") {
				t.Errorf("the rest is not in %s", text)
			}
		}
	}
}

func TestErrorTextIsBounded(t *testing.T) {
	body := `{"error": "` + strings.Repeat("é", 100000) + `"}`
	if _, err := refusal(t, &raw{status: 400, body: body}); len(err.Error()) > 1000 {
		t.Errorf("%d bytes of text", len(err.Error()))
	}
}
