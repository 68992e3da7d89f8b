package clientcreds_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
)

const (
	clientID = "0b6c8f2e-0000-4000-8000-000000000001"
	canary   = "canary+/=%secret"
)

// A fakeAuth is Globus Auth for one client, as a RoundTripper. Its fields are
// set before the first request.
type fakeAuth struct {
	delay   time.Duration            // before each token reply
	expires any                      // expires_in of tokens; 172800 if nil
	reply   func(*http.Request) *raw // if it returns one, that is the reply

	mu     sync.Mutex
	secret string
	tokens int          // token requests answered
	forms  []url.Values // of all POST requests
	paths  []string     // of all requests
}

type raw struct {
	status int
	body   string
	header http.Header
}

func (a *fakeAuth) client() *http.Client { return &http.Client{Transport: a} }

func (a *fakeAuth) setSecret(s string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.secret = s
}

func (a *fakeAuth) requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.paths)
}

func (a *fakeAuth) RoundTrip(req *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.paths = append(a.paths, req.Method+" "+req.URL.Path)
	if req.Method == http.MethodPost {
		_ = req.ParseForm() // what it could not read is missing
		a.forms = append(a.forms, req.PostForm)
	}
	secret := a.secret
	a.mu.Unlock()
	if a.delay > 0 {
		select {
		case <-time.After(a.delay):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	w := httptest.NewRecorder()
	a.answer(w, req, secret)
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

func (a *fakeAuth) answer(w http.ResponseWriter, req *http.Request, secret string) {
	if a.reply != nil {
		if r := a.reply(req); r != nil {
			for name := range r.header {
				w.Header().Set(name, r.header.Get(name))
			}
			w.WriteHeader(r.status)
			fmt.Fprint(w, r.body)
			return
		}
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(clientID+":"+secret))
	switch {
	case req.URL.Path == "/v2/oauth2/userinfo":
		if !strings.HasPrefix(req.Header.Get("Authorization"), "Bearer auth.globus.org-") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"sub": %q, "preferred_username": "%s@clients.auth.globus.org", "name": "nightly", "email": null}`, clientID, clientID)
	case req.Header.Get("Authorization") != basic:
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error": "invalid_client"}`)
	case req.URL.Path == "/v2/oauth2/token/introspect":
		fmt.Fprintf(w, `{"active": true, "client_id": %q, "scope": "openid", "exp": 1715289767, "aud": ["auth.globus.org"]}`, clientID)
	default:
		a.token(w, req)
	}
}

// token answers with one token for each resource server, Transfer's last.
func (a *fakeAuth) token(w http.ResponseWriter, req *http.Request) {
	a.mu.Lock()
	a.tokens++
	n := a.tokens
	a.mu.Unlock()

	var docs []map[string]any
	for _, server := range []string{"auth.globus.org", "transfer.api.globus.org"} {
		for scope := range strings.FieldsSeq(req.PostForm.Get("scope")) {
			if (scope == "openid") != (server == "auth.globus.org") {
				continue
			}
			doc := map[string]any{
				"access_token": fmt.Sprintf("%s-%d", server, n), "scope": scope, "token_type": "Bearer",
				"resource_server": server, "expires_in": 172800,
			}
			if a.expires != nil {
				doc["expires_in"] = a.expires
			}
			docs = append(docs, doc)
			break
		}
	}
	docs[0]["other_tokens"] = docs[1:]
	_ = json.NewEncoder(w).Encode(docs[0]) // to a recorder
}

// newSource returns a source of tokens from a, whose secret is the canary.
func newSource(t *testing.T, a *fakeAuth, scopes ...auth.Scope) *clientcreds.Source {
	t.Helper()
	return sourceWith(t, a, scopes)
}

// sourceWith is newSource with options of the client below.
func sourceWith(t *testing.T, a *fakeAuth, scopes []auth.Scope, opts ...auth.Option) *clientcreds.Source {
	t.Helper()
	a.secret = canary
	return account(t).Source(clientcreds.WithClient(auth.New(a.client(), opts...)), clientcreds.WithScopes(scopes...))
}

func account(t *testing.T) clientcreds.Credentials {
	t.Helper()
	creds, err := clientcreds.Environment{ClientID: clientID, ClientSecret: auth.NewSecret(canary)}.Credentials()
	if err != nil {
		t.Fatal(err)
	}
	return creds
}
