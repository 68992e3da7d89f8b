package auth_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/auth"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering returns a client of a service that gives always the same answer.
func answering(status int, body string) *auth.Client {
	return auth.New(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Request: r, Body: io.NopCloser(strings.NewReader(body))}, nil
	})})
}

func TestRefusedGrantIsNoRefusedApplication(t *testing.T) {
	tests := map[string]struct {
		status         int
		body           string
		grant, refused bool
	}{
		"grant, 401":         {401, `{"error": "invalid_grant"}`, true, false},
		"grant, 400":         {400, `{"error": "invalid_grant", "error_description": "used"}`, true, false},
		"grant, in the list": {401, `{"errors": [{"code": "INVALID_GRANT", "detail": "used"}]}`, true, false},
		"application":        {401, `{"error": "invalid_client"}`, false, true},
		"other":              {401, `{}`, false, true},
		"scope":              {400, `{"error": "invalid_scope"}`, false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := answering(tt.status, tt.body).Grant(t.Context(), auth.Application{ID: "a"}, url.Values{"code": {"c"}})
			e, ok := errors.AsType[*auth.Error](err)
			if !ok || e.GrantRefused() != tt.grant || e.Refused() != tt.refused {
				t.Errorf("got %v, want a refused grant: %t, a refused application: %t", err, tt.grant, tt.refused)
			}
			if err != nil && strings.Contains(err.Error(), "was refused") != tt.refused {
				t.Errorf("the advice does not fit: %v", err)
			}
		})
	}
}

func TestReplyThatIsNoDocumentIsTemporary(t *testing.T) {
	for name, body := range map[string]string{
		"a page": "<html>", "half": `{"access_token": "canary`, "nothing": "", "another document": `{"active": true}`, "a list": "[]",
	} {
		_, err := answering(200, body).Grant(t.Context(), auth.Application{ID: "a"}, url.Values{})
		e, ok := errors.AsType[interface {
			error
			Temporary() bool
		}](err)
		if !ok || !e.Temporary() || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want a temporary error", name, err)
		}
	}
}

func TestWhatANativeAppSendsIsNotInTheError(t *testing.T) {
	const canary = "canary+/=secret"
	for _, field := range []string{"code", "code_verifier", "refresh_token"} {
		var sent url.Values
		client := auth.New(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if err := r.ParseForm(); err != nil {
				return nil, err
			}
			sent = r.PostForm
			body := `{"error": "invalid_grant", "error_description": "` + canary + ` ` + url.QueryEscape(canary) + `"}`
			return &http.Response{StatusCode: http.StatusBadRequest, Request: r, Body: io.NopCloser(strings.NewReader(body))}, nil
		})})
		_, err := client.Grant(t.Context(), auth.Application{ID: "a"}, url.Values{field: {canary}})
		if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "[secret] [secret]") {
			t.Errorf("%s: got %v", field, err)
		}
		if sent.Get("client_id") != "a" || sent.Get(field) != canary {
			t.Errorf("%s: sent %v", field, sent)
		}
	}
}

// To hide the letters of a short secret in every word would tell it, and a code must be
// known whatever words a secret has in it.
func TestACodeIsKnownWhateverTheSecretIs(t *testing.T) {
	for _, secret := range []string{"s", "grant", "invalid_", "an-e"} {
		_, err := answering(400, `{"error": "invalid_grant", "error_description": "an-entry", "errors": [{"code": "INVALID_GRANT"}]}`).
			Grant(t.Context(), auth.Application{ID: "a"}, url.Values{"code": {secret}})
		if e, ok := errors.AsType[*auth.Error](err); !ok || !e.GrantRefused() || e.Description != "an-entry" || e.Details[0].Code != "INVALID_GRANT" {
			t.Errorf("secret %q: got %#v, want the code invalid_grant", secret, err)
		}
	}
	for _, secret := range []string{"invalid_secret", "secret+code"} {
		_, err := answering(400, `{"error": "`+secret+`", "errors": [{"code": "X`+secret+`"}]}`).
			Grant(t.Context(), auth.Application{ID: "a"}, url.Values{"code": {secret}})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("secret %q: got %v, want it hidden", secret, err)
		}
	}
}

func TestRevokeNamesTheNativeApp(t *testing.T) {
	if err := answering(200, `{"active": false}`).Revoke(t.Context(), auth.Application{ID: "a"}, auth.NewSecret("t")); err != nil {
		t.Error(err)
	}
	err := answering(401, `{"error": "invalid_client"}`).Revoke(t.Context(), auth.Application{ID: "a"}, auth.NewSecret("t"))
	if err == nil || !strings.Contains(err.Error(), "revoke a token: ") || !strings.Contains(err.Error(), "is of a native app") {
		t.Errorf("got %v", err)
	}
}
