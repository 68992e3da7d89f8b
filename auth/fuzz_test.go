package auth_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/auth"
)

// says answers each request with one text.
type says string

func (s says) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(s))), Request: r,
	}, nil
}

// FuzzTokens checks that a token document gives tokens that can be sent, or an
// error that holds none of them.
func FuzzTokens(f *testing.F) {
	for _, doc := range []string{
		`{"access_token": "canary", "resource_server": "a", "expires_in": 172800, "token_type": "Bearer", "scope": "s"}`,
		`{"access_token": "canary", "resource_server": "a", "expires_in": "1e99", "other_tokens": [{"access_token": "x", "resource_server": "b"}]}`,
		`{"access_token": "canary\u0000", "resource_server": "a"}`, `{"other_tokens": {}}`, `[]`, `{"expires_in": -1}`, "",
	} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		c := auth.New(&http.Client{Transport: says(doc)})
		tokens, err := c.Grant(context.Background(), auth.Application{ID: "i", Secret: auth.NewSecret("canary-secret")}, url.Values{})
		if (err == nil) == (len(tokens) == 0) {
			t.Fatalf("%d tokens and the error %v", len(tokens), err)
		}
		for server, token := range tokens {
			text := token.AccessToken.Reveal()
			if server == "" || server != token.ResourceServer || text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("%q has the token %q", server, text)
			}
			if at := token.Expires(); !token.Usable(time.Now()) || !at.IsZero() && time.Until(at) > 10*366*24*time.Hour {
				t.Errorf("the token of %q ends at %v", server, at)
			}
		}
	})
}
