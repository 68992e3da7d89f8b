package login_test

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/login"
)

func TestURLCarriesWhatIsAskedFor(t *testing.T) {
	transfer := auth.Scope{Name: auth.TransferAll, Dependencies: []auth.Scope{auth.DataAccess("c1")}}
	tests := map[string]struct {
		cfg  login.Config
		want url.Values // besides what every URL has
	}{
		"nothing more": {login.Config{}, url.Values{
			"scope": {login.DefaultScopes().String()}, "access_type": {"offline"}, "redirect_uri": {authBase + "v2/web/auth-code"},
		}},
		"everything": {
			login.Config{
				Redirect: "http://localhost:8000", Scopes: auth.Scopes{transfer, {Name: "openid"}}, Online: true, Prompt: "login",
				Message: "As your university, please", Identities: []string{"a", "b"}, Domains: []string{"uni.example", "lab.example"},
				Policies: []string{"p1", "p2"}, MFA: new(false),
			},
			url.Values{
				"scope": {transfer.String() + " openid"}, "access_type": {"online"}, "redirect_uri": {"http://localhost:8000"}, "prompt": {"login"},
				"session_message": {"As your university, please"}, "session_required_identities": {"a,b"},
				"session_required_single_domain": {"uni.example,lab.example"}, "session_required_policies": {"p1,p2"},
				"session_required_mfa": {"false"},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.cfg.ClientID = app
			w := newWorld(t)
			u, err := url.Parse(login.New(w.client(), tt.cfg).URL())
			if err != nil {
				t.Fatal(err)
			}
			got := u.Query()
			if state, challenge := got.Get("state"), got.Get("code_challenge"); len(state) < 26 || len(challenge) != 43 {
				t.Errorf("state %q, challenge %q", state, challenge)
			}
			got.Del("state")
			got.Del("code_challenge")
			maps.Copy(tt.want, url.Values{"client_id": {app}, "response_type": {"code"}, "code_challenge_method": {"S256"}})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			if u.Host != "auth.globus.org" || u.Path != "/v2/oauth2/authorize" {
				t.Errorf("got %s", u)
			}
		})
	}
}

func TestTwoLoginsShareNothing(t *testing.T) {
	client := newWorld(t).client()
	one, two := login.New(client, login.Config{ClientID: app}), login.New(client, login.Config{ClientID: app})
	again := one.URL()
	if one.URL() != again || two.URL() == again {
		t.Errorf("got %s, then %s and of the other %s", again, one.URL(), two.URL())
	}
}

func TestExchangeGivesTokensByResourceServer(t *testing.T) {
	for name, online := range map[string]bool{"offline": false, "online": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				tokens := w.logIn(ada, login.Config{Scopes: auth.Scopes{{Name: "openid"}, {Name: "email"}, {Name: auth.TransferAll}}, Online: online})
				if got := slices.Sorted(maps.Keys(tokens)); !slices.Equal(got, []string{auth.Server, auth.TransferServer}) {
					t.Errorf("got tokens for %q", got)
				}
				for server, token := range tokens {
					if token.AccessToken.IsZero() || token.RefreshToken.IsZero() != online {
						t.Errorf("%s: access token %q, refresh token %q", server, token.AccessToken, token.RefreshToken)
					}
				}
				token := tokens[auth.Server]
				token.AccessToken, token.RefreshToken = auth.Secret{}, auth.Secret{}
				want := auth.Token{
					Scope: "openid email", TokenType: "Bearer", ResourceServer: auth.Server,
					ExpiresAtSeconds: time.Now().Add(48 * time.Hour).Unix(),
				}
				if diff := cmp.Diff(want, token, cmp.AllowUnexported(auth.Secret{})); diff != "" {
					t.Errorf("token (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestCodeThatIsNotAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		flow := login.New(w.client(), login.Config{ClientID: app})
		code := func() string { return w.decide(flow.URL(), ada, "allow").Query().Get("code") }
		used, old := code(), code()
		if _, err := flow.Exchange(t.Context(), " "+used+"\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		other := login.New(w.client(), login.Config{ClientID: app})
		for name, try := range map[string]func() (map[string]auth.Token, error){
			"used":             func() (map[string]auth.Token, error) { return flow.Exchange(t.Context(), used) },
			"old":              func() (map[string]auth.Token, error) { return flow.Exchange(t.Context(), old) },
			"nonsense":         func() (map[string]auth.Token, error) { return flow.Exchange(t.Context(), "nonsense") },
			"of another login": func() (map[string]auth.Token, error) { return other.Exchange(t.Context(), code()) },
		} {
			tokens, err := try()
			if e, ok := errors.AsType[*login.Error](err); !ok || tokens != nil || !strings.Contains(e.Reason, "the code is not accepted") {
				t.Errorf("%s: got %v, want an error about the code", name, err)
			}
			if err != nil && (strings.Contains(err.Error(), used) || strings.Contains(err.Error(), old) || strings.Contains(err.Error(), "was refused")) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestUnknownAppIsRefusedAsSuch(t *testing.T) {
	w := newWorld(t, func(cfg *globussim.Config) { cfg.Accounts[0].ID = "0b6c8f2e-0000-4000-8000-000000000009" })
	_, err := login.New(w.client(), login.Config{ClientID: app}).Exchange(t.Context(), "any")
	if e, ok := errors.AsType[*auth.Error](err); !ok || !e.Refused() || !strings.Contains(err.Error(), "native app") {
		t.Errorf("got %v", err)
	}
}
