package clientcreds_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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

func TestTheIDOfAUserIsFoundByTheWholeName(t *testing.T) {
	const known = `{"identities": [null, {"id": "i2", "username": "malice@x.edu"}, {"id": "i1", "username": "Alice@x.edu"}]}`
	for name, tt := range map[string]struct{ reply, want string }{
		"known":   {known, "i1"},
		"unknown": {`{"identities": []}`, ""},
		"no id":   {`{"identities": [{"username": "alice@x.edu"}]}`, ""},
	} {
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
			got, err := auth.IDOf(newSource(t, fake).Identities)(t.Context(), "alice@x.edu")
			if err != nil || got != tt.want {
				t.Errorf("got %q and %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestIdentitiesAreAskedForByIDsOrByUsernames(t *testing.T) {
	var asked []string
	fake := &fakeAuth{reply: func(req *http.Request) *raw {
		asked = append(asked, req.URL.RawQuery)
		return &raw{status: 200, body: `{"identities": [{"id": "i` + fmt.Sprint(len(asked)) + `", "username": "a@x.edu", "name": null, "new": 1}]}`}
	}}
	ids := make([]string, 101)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	got, err := newSource(t, fake).Identities(t.Context(), auth.IdentityQuery{IDs: ids, Usernames: []string{"a@x.edu", "b@x.edu"}, Provision: true})
	if err != nil || len(got) != 3 {
		t.Fatalf("got %v and %v, want an identity of each of 3 requests", got, err)
	}
	if want := `{"id": "i3", "username": "a@x.edu", "name": null, "new": 1}`; string(got[2].Raw) != want {
		t.Errorf("got the document %s, want %s", got[2].Raw, want)
	}
	want := []string{"ids=" + strings.Join(ids[:100], "%2C"), "ids=100", "provision=true&usernames=a%40x.edu%2Cb%40x.edu"}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestIdentitiesErrorHasNoSecret(t *testing.T) {
	fake := &fakeAuth{reply: func(req *http.Request) *raw {
		return &raw{status: 401, body: `{"error": "invalid_client", "error_description": "for ` + req.Header.Get("Authorization") + `"}`}
	}}
	_, err := newSource(t, fake).Identities(t.Context(), auth.IdentityQuery{Usernames: []string{"alice@x.edu"}})
	e, ok := errors.AsType[*auth.Error](err)
	if !ok || !e.Refused() || e.Login || !strings.Contains(err.Error(), "look up the user alice@x.edu") || !strings.Contains(err.Error(), "for Basic [secret]") {
		t.Errorf("got %v, want a refusal without the secret", err)
	}
}

func TestCallReturnsTheReplyAsItCame(t *testing.T) {
	fake := &fakeAuth{reply: func(req *http.Request) *raw {
		if req.URL.Path != "/v2/api/projects/ä" {
			return nil
		}
		body, _ := io.ReadAll(req.Body)
		got := strings.Join([]string{req.Method, req.URL.RequestURI(), req.Header.Get("Authorization"), req.Header.Get("Content-Type"), string(body)}, " ")
		if want := `PUT /v2/api/projects/%C3%A4?a=b Bearer auth.globus.org-1 application/json {"x": 1}`; got != want {
			t.Errorf("got the request %s, want %s", got, want)
		}
		return &raw{status: 200, body: `{"n": 1.0}`}
	}}
	source := newSource(t, fake, openid...)
	got, err := source.Call(t.Context(), http.MethodPut, "/v2/api/projects/%C3%A4", url.Values{"a": {"b"}}, []byte(`{"x": 1}`))
	if err != nil || string(got) != `{"n": 1.0}` {
		t.Errorf("got %s and %v", got, err)
	}
	for _, path := range []string{"/v2/../x", "/v2/%2e%2E/x", "/v2/%zz"} {
		if got, err := source.Call(t.Context(), http.MethodGet, path, nil, nil); err == nil || !strings.Contains(err.Error(), "no path has") {
			t.Errorf("%s: got %s and %v, want a refusal", path, got, err)
		}
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
