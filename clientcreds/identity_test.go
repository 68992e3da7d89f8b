package clientcreds_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
)

var openid = []auth.Scope{{Name: "openid"}, {Name: "profile"}}

func TestUserinfoIsTheClientItself(t *testing.T) {
	got, err := newSource(t, &fakeAuth{}, openid...).Userinfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &auth.Userinfo{Sub: clientID, PreferredUsername: clientID + "@clients.auth.globus.org", Name: "nightly"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("userinfo (-want +got):\n%s", diff)
	}
}

func TestUserinfoReplacesARevokedToken(t *testing.T) {
	fake := &fakeAuth{reply: func(req *http.Request) *raw {
		if req.Header.Get("Authorization") == "Bearer auth.globus.org-1" {
			return &raw{status: 401, body: `{"errors": [{"code": "UNAUTHORIZED"}]}`}
		}
		return nil
	}}
	if _, err := newSource(t, fake, openid...).Userinfo(t.Context()); err != nil || fake.tokens != 2 {
		t.Errorf("got %v with %d tokens, want 2", err, fake.tokens)
	}
}

func TestUserinfoErrorHasNoToken(t *testing.T) {
	fake := &fakeAuth{reply: func(req *http.Request) *raw {
		if req.Method == http.MethodGet {
			return &raw{status: 403, body: `{"error": "forbidden", "error_description": "for ` + req.Header.Get("Authorization") + `"}`}
		}
		return nil
	}}
	_, err := newSource(t, fake, openid...).Userinfo(t.Context())
	if err == nil || !strings.Contains(err.Error(), "HTTP 403: forbidden: for Bearer [secret]") || strings.Contains(err.Error(), "was refused") {
		t.Errorf("got %v, want a 403 without the token", err)
	}
}

func TestUserinfoWithoutOpenidNamesTheScopes(t *testing.T) {
	_, err := newSource(t, &fakeAuth{}).Userinfo(t.Context())
	if err == nil || !strings.Contains(err.Error(), `none for "auth.globus.org"`) || !strings.Contains(err.Error(), auth.TransferAll) {
		t.Errorf("got %v", err)
	}
}

func TestIdentityIsFoundByItsWholeName(t *testing.T) {
	const known = `{"identities": [{"id": "i2", "username": "malice@x.edu"}, {"id": "i1", "username": "Alice@x.edu", "name": "Alice", "status": "used"}]}`
	tests := map[string]struct {
		reply string
		want  *auth.Identity
	}{
		"known":   {known, &auth.Identity{ID: "i1", Username: "Alice@x.edu", Name: "Alice", Status: "used"}},
		"unknown": {`{"identities": []}`, nil},
		"unused":  {`{"identities": [{"id": "i1", "username": "alice@x.edu", "name": null, "status": "unused"}]}`, &auth.Identity{ID: "i1", Username: "alice@x.edu", Status: "unused"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(clientID+":"+canary))
			fake := &fakeAuth{reply: func(req *http.Request) *raw {
				if got := req.Header.Get("Authorization"); got != basic {
					t.Errorf("got the header %q, want the service account's", got)
				}
				if got := req.URL.RequestURI(); got != "/v2/api/identities?provision=false&usernames=alice%40x.edu" {
					t.Errorf("got a request of %s", got)
				}
				return &raw{status: 200, body: tt.reply}
			}}
			got, err := newSource(t, fake).Identity(t.Context(), "alice@x.edu")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIdentityErrorHasNoSecret(t *testing.T) {
	fake := &fakeAuth{reply: func(req *http.Request) *raw {
		return &raw{status: 401, body: `{"error": "invalid_client", "error_description": "for ` + req.Header.Get("Authorization") + `"}`}
	}}
	_, err := newSource(t, fake).Identity(t.Context(), "alice@x.edu")
	e, ok := errors.AsType[*auth.Error](err)
	if !ok || !e.Refused() || !strings.Contains(err.Error(), "look up the user alice@x.edu") || !strings.Contains(err.Error(), "for Basic [secret]") {
		t.Errorf("got %v, want a refusal without the secret", err)
	}
}

func TestIntrospect(t *testing.T) {
	fake := &fakeAuth{}
	token := auth.Token{AccessToken: auth.NewSecret("a+b")}
	got, err := newSource(t, fake).Introspect(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	want := &auth.Introspection{Active: true, ClientID: clientID, Scope: "openid", Exp: 1715289767, Aud: []string{"auth.globus.org"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("introspection (-want +got):\n%s", diff)
	}
	if form := fake.forms[0].Get("token"); form != "a+b" {
		t.Errorf("asked about %q", form)
	}
}

func ExampleSource_Token() {
	creds, err := clientcreds.Environment{
		ClientID:     "0b6c8f2e-0000-4000-8000-000000000001",
		ClientSecret: auth.NewSecret(canary),
	}.Credentials()
	if err != nil {
		fmt.Println(err)
		return
	}
	fake := &fakeAuth{secret: canary} // instead of the service
	source := creds.Source(clientcreds.WithClient(auth.New(fake.client())))

	token, err := source.Token(context.Background(), auth.TransferServer)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.TokenType, token.AccessToken, "for", token.ResourceServer)
	// Output: Bearer [secret] for transfer.api.globus.org
}
