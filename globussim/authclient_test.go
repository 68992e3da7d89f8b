package globussim_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/globus-runner/globus-runner/globussim"
)

// cliScopes are what globus-cli asks for at a login.
const cliScopes = "openid profile email urn:globus:auth:scope:auth.globus.org:view_identity_set " + transferAll +
	" urn:globus:auth:scope:groups.api.globus.org:all urn:globus:auth:scope:search.api.globus.org:all " + timerScope +
	"[https://auth.globus.org/scopes/actions.globus.org/transfer/transfer[" + transferAll + "]]" +
	" https://auth.globus.org/scopes/eec9b274-0c81-4334-bdc2-54e90e689b9a/view_flows"

func TestGlobusCLILogsInAndOut(t *testing.T) {
	const codePage = authBase + "/v2/web/auth-code"
	s := startWorld(t, persons)
	call := func(method, path, authorization, contentType, body string) answer {
		t.Helper()
		return ask(t, s.Client(), method, authBase+path, authorization, contentType, body)
	}
	made := call(http.MethodPost, "/v2/api/clients", "", "application/json", `{"client": {"template_id": "95fdeba8-fac2-42bd-a357-e068d82ff78e", "name": "Globus CLI"}}`)
	if made.status != http.StatusCreated {
		t.Fatalf("making a client answers %d %s", made.status, made.body)
	}
	client := answer{doc: made.doc["client"].(map[string]any)}
	client.want(t, doc{"client_type": "confidential_client", "parent_client": "95fdeba8-fac2-42bd-a357-e068d82ff78e", "name": "Globus CLI"})
	credential := answer{doc: made.doc["included"].(map[string]any)["client_credential"].(map[string]any)}
	credentials := basic(client.text("id"), credential.text("secret"))

	form := question(map[string]string{"client_id": client.text("id"), "redirect_uri": codePage, "scope": cliScopes, "code_challenge": "", "code_challenge_method": ""})
	p := decide(t, s, form, ada, "allow")
	if p.location == nil {
		t.Fatalf("the decision answers %d %s", p.status, p.text)
	}
	grant := url.Values{"grant_type": {"authorization_code"}, "code": {p.location.Query().Get("code")}, "redirect_uri": {codePage}}
	tokens := call(http.MethodPost, "/v2/oauth2/token", credentials, formType, grant.Encode())
	tokens.want(t, doc{"resource_server": "auth.globus.org"})
	if others, _ := tokens.doc["other_tokens"].([]any); len(others) != 5 || tokens.text("id_token") == "" || tokens.text("refresh_token") == "" {
		t.Fatalf("the code is redeemed for %s, want tokens of six services", tokens.body)
	}
	get(t, s, authBase+"/v2/oauth2/userinfo", "Bearer "+tokens.text("access_token")).want(t, doc{"sub": globussim.PersonID(ada), "preferred_username": ada})

	refresh := url.Values{"token": {tokens.text("refresh_token")}}.Encode()
	good := func(want bool) {
		t.Helper()
		for _, path := range []string{"/v2/oauth2/token/introspect", "/v2/oauth2/token/validate"} {
			call(http.MethodPost, path, credentials, formType, refresh).want(t, doc{"active": want})
		}
	}
	good(true)
	call(http.MethodPost, "/v2/oauth2/token/revoke", "", formType, refresh+"&client_id=95fdeba8-fac2-42bd-a357-e068d82ff78e")
	good(false)

	path := "/v2/api/clients/" + client.text("id")
	if a := call(http.MethodDelete, path, basic(robot, robotSecret), "", ""); a.status != http.StatusForbidden {
		t.Errorf("another client deletes it: %d %s", a.status, a.body)
	}
	if a := call(http.MethodDelete, path, credentials, "", ""); a.status != http.StatusOK {
		t.Errorf("the deletion answers %d %s", a.status, a.body)
	}
	if a := call(http.MethodPost, "/v2/oauth2/token/introspect", credentials, formType, refresh); a.status != http.StatusUnauthorized {
		t.Errorf("after its deletion the client gets %d %s", a.status, a.body)
	}
	if a := get(t, s, authBase+"/v2/oauth2/userinfo", "Bearer "+tokens.text("access_token")); a.status != http.StatusUnauthorized {
		t.Errorf("after the deletion of its client a token gets %d %s", a.status, a.body)
	}
}

func TestClientsAreMadeFromNativeAppsAlone(t *testing.T) {
	s := startWorld(t)
	for name, tt := range map[string]struct {
		body   string
		status int
	}{
		"a native app":      {`{"client": {"template_id": "` + nativeApp + `", "name": "x"}}`, http.StatusCreated},
		"a service account": {`{"client": {"template_id": "` + robot + `", "name": "x"}}`, http.StatusBadRequest},
		"nothing":           {`{"client": {"name": "x"}}`, http.StatusNotImplemented},
		"no JSON":           {`{`, http.StatusBadRequest},
	} {
		if a := ask(t, s.Client(), http.MethodPost, authBase+"/v2/api/clients", "", "application/json", tt.body); a.status != tt.status {
			t.Errorf("%s: got %d %s, want %d", name, a.status, a.body, tt.status)
		}
	}
}
