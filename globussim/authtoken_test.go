package globussim_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

func dataAccess(name string) string {
	return "https://auth.globus.org/scopes/" + globussim.CollectionID(name) + "/data_access"
}

func TestATokenRequestIsReadHoweverTheClientEncodesIt(t *testing.T) {
	s := startWorld(t)
	scope := "scope=urn%3Aglobus%3Aauth%3Ascope%3Atransfer.api.globus.org%3Aall"
	inForm := url.Values{"client_id": {robot}, "client_secret": {robotSecret}}.Encode()
	grant := "grant_type=client_credentials&"
	tests := map[string]struct{ authorization, contentType, body string }{
		"as the Python SDK":       {basic(robot, robotSecret), formType, grant + scope},
		"with a charset":          {basic(robot, robotSecret), formType + "; charset=UTF-8", grant + scope},
		"space as plus":           {basic(robot, robotSecret), formType, grant + scope + "+" + transferAll},
		"space as %20":            {basic(robot, robotSecret), formType, grant + scope + "%20" + transferAll},
		"encoded Basic header":    {basic(robot, url.QueryEscape(robotSecret)), formType, grant + scope},
		"upper-case id":           {basic(strings.ToUpper(robot), robotSecret), formType, grant + scope},
		"credentials in the form": {"", formType, grant + scope + "&" + inForm},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token", tt.authorization, tt.contentType, tt.body)
			if a.status != http.StatusOK || a.text("scope") != transferAll {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}

func TestATokenAnswerHasOneTokenForEachResourceServer(t *testing.T) {
	s := startWorld(t)
	type entry struct {
		Scope          string  `json:"scope"`
		ExpiresIn      float64 `json:"expires_in"`
		TokenType      string  `json:"token_type"`
		ResourceServer string  `json:"resource_server"`
	}
	type grant struct {
		entry
		OtherTokens []entry `json:"other_tokens"`
	}
	bracketed := transferAll + "[*" + dataAccess("mapped") + "]"
	transfer := entry{transferAll, 172800, "Bearer", "transfer.api.globus.org"}
	tests := map[string]struct {
		scopes string
		want   grant
	}{
		"one":              {transferAll, grant{transfer, []entry{}}},
		"brackets are off": {bracketed, grant{transfer, []entry{}}},
		"the one of the id_token is first": {
			transferAll + " openid",
			grant{entry{"openid", 172800, "Bearer", "auth.globus.org"}, []entry{transfer}},
		},
		"three servers": {
			"openid " + bracketed + " email " + dataAccess("mapped"),
			grant{
				entry{"openid email", 172800, "Bearer", "auth.globus.org"},
				[]entry{transfer, {dataAccess("mapped"), 172800, "Bearer", globussim.CollectionID("mapped")}},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := request(t, s, tt.scopes)
			var got grant
			if err := json.Unmarshal(a.body, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(grant{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, ok := a.doc["id_token"]; ok != strings.Contains(tt.scopes, "openid") {
				t.Errorf("id_token is there: %t", ok)
			}
			if !strings.Contains(string(a.body), `"other_tokens":[`) {
				t.Errorf("other_tokens is no list: %s", a.body)
			}
		})
	}
}

func TestServicesThatAreNotSimulatedHaveTokensToo(t *testing.T) {
	s := startWorld(t)
	const base = "https://auth.globus.org/scopes/"
	for scope, server := range map[string]string{
		"urn:globus:auth:scope:groups.api.globus.org:view_my_groups_and_memberships":                                               "groups.api.globus.org",
		"urn:globus:auth:scope:search.api.globus.org:search":                                                                       "search.api.globus.org",
		"urn:globus:auth:scope:auth.globus.org:manage_projects":                                                                    "auth.globus.org",
		"urn:globus:auth:scope:transfer.api.globus.org:gcp_install":                                                                "transfer.api.globus.org",
		base + "eec9b274-0c81-4334-bdc2-54e90e689b9a/run_status":                                                                   "flows.globus.org",
		base + "facd7ccc-c5f4-42aa-916b-a0e270e2c2a9/all":                                                                          "funcx_service",
		base + "524230d7-ea86-4a52-8312-86065a9e0417/timer[" + base + "actions.globus.org/transfer/transfer[" + transferAll + "]]": "524230d7-ea86-4a52-8312-86065a9e0417",
	} {
		if a := request(t, s, scope); a.status != http.StatusOK || a.text("resource_server") != server {
			t.Errorf("%s: got %d %s", scope, a.status, a.body)
		}
	}
}

func TestATransferTokenWithoutTheScopeIsRefused(t *testing.T) {
	s := startWorld(t)
	a := get(t, s, transferBase+"/v0.10/task_list", bearer(t, s, "urn:globus:auth:scope:transfer.api.globus.org:gcp_install"))
	if a.status != http.StatusForbidden || a.text("code") != "PermissionDenied" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestATokenRequestIsRefusedInBothFormsOfError(t *testing.T) {
	s := startWorld(t)
	good, form := basic(robot, robotSecret), "grant_type=client_credentials&scope="
	tests := map[string]struct {
		authorization, body string
		status              int
		oauth, code         string
	}{
		"wrong secret":        {basic(robot, "guess"), form + transferAll, 401, "invalid_client", "UNAUTHORIZED"},
		"secret of another":   {basic(robot, otherSecret), form + transferAll, 401, "invalid_client", "UNAUTHORIZED"},
		"unknown client":      {basic("0f1e2d3c-0000-4000-8000-00000000000f", robotSecret), form + transferAll, 401, "invalid_client", "UNAUTHORIZED"},
		"wrong secret, form":  {"", form + transferAll + "&client_id=" + robot + "&client_secret=guess", 401, "invalid_client", "INVALID_CLIENT"},
		"no client":           {"", form + transferAll, 401, "invalid_client", "INVALID_CLIENT"},
		"native app":          {"", form + transferAll + "&client_id=" + nativeApp, 400, "unauthorized_client", "UNAUTHORIZED_CLIENT"},
		"other grant":         {good, "grant_type=password", 400, "unsupported_grant_type", "UNSUPPORTED_GRANT_TYPE"},
		"no grant":            {good, "scope=openid", 400, "invalid_request", "INVALID_REQUEST"},
		"no scope":            {good, form, 400, "invalid_scope", "INVALID_SCOPE"},
		"malformed scope":     {good, form + "a[", 400, "invalid_scope", "INVALID_SCOPE"},
		"unknown scope":       {good, form + "urn:nobody:all", 400, "invalid_scope", "UNKNOWN_SCOPE_ERROR"},
		"unknown dependency":  {good, form + transferAll + "[*urn:nobody:all]", 400, "invalid_scope", "UNKNOWN_SCOPE_ERROR"},
		"data_access, guest":  {good, form + dataAccess("guest"), 400, "invalid_scope", "UNKNOWN_SCOPE_ERROR"},
		"data_access, GCP":    {good, form + transferAll + "[*" + dataAccess("laptop") + "]", 400, "invalid_scope", "UNKNOWN_SCOPE_ERROR"},
		"data_access, HA":     {good, form + transferAll + "[*" + dataAccess("assured") + "]", 400, "invalid_scope", "UNKNOWN_SCOPE_ERROR"},
		"data_access, nobody": {good, form + transferAll + "[*" + dataAccess("nobody") + "]", 400, "invalid_scope", "UNKNOWN_SCOPE_ERROR"},
		"broken form":         {good, "grant_type=%zz", 400, "invalid_request", "INVALID_REQUEST"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token", tt.authorization, formType, tt.body)
			var doc struct {
				Error       string              `json:"error"`
				Description string              `json:"error_description"`
				Errors      []map[string]string `json:"errors"`
			}
			if err := json.Unmarshal(a.body, &doc); err != nil || len(doc.Errors) != 1 {
				t.Fatalf("got %s: %v", a.body, err)
			}
			e := doc.Errors[0]
			if a.status != tt.status || doc.Error != tt.oauth || e["code"] != tt.code || doc.Description == "" {
				t.Errorf("got %d %s", a.status, a.body)
			}
			for _, key := range []string{"id", "status", "code", "title", "detail"} {
				if e[key] == "" {
					t.Errorf("the error has no %q: %s", key, a.body)
				}
			}
			if strings.Contains(string(a.body), robotSecret) {
				t.Errorf("the secret is in the answer: %s", a.body)
			}
		})
	}
}

func TestAWrongSecretInTheBasicHeaderIsNamedAsGlobusDoes(t *testing.T) {
	s := startWorld(t)
	a := ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token", basic(robot, "guess"), formType, "grant_type=client_credentials&scope="+transferAll)
	errs, _ := a.doc["errors"].([]any)
	if len(errs) != 1 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	got := errs[0].(map[string]any)
	delete(got, "id")
	want := map[string]any{"status": "401", "code": "UNAUTHORIZED", "title": "Unauthorized", "detail": "Basic auth failed"}
	if diff := cmp.Diff(want, got); diff != "" || a.text("error") != "invalid_client" {
		t.Errorf("the error is %q, its entry differs (-want +got):\n%s", a.text("error"), diff)
	}
}

func TestConsentsBelongToTheClientNotToTheToken(t *testing.T) {
	s := startWorld(t)
	old := bearer(t, s, transferAll)
	request(t, s, transferAll+"[*"+dataAccess("mapped")+"]")
	request(t, s, transferAll+"[*"+dataAccess("mapped")+"]")

	want := map[string][]string{robot: {transferAll, transferAll + "[" + dataAccess("mapped") + "]"}}
	if diff := cmp.Diff(want, s.State().Consents); diff != "" {
		t.Errorf("consents (-want +got):\n%s", diff)
	}
	mkdir := func() answer {
		return ask(t, s.Client(), http.MethodGet, transferBase+"/v0.10/operation/endpoint/"+globussim.CollectionID("mapped")+"/ls", old, "", "")
	}
	if a := mkdir(); a.status != http.StatusOK {
		t.Errorf("the token from before the consent: %d %s", a.status, a.body)
	}
	s.RescindConsents(robot)
	if a := mkdir(); a.status != http.StatusForbidden || a.text("code") != "ConsentRequired" {
		t.Errorf("after the consent was taken back: %d %s", a.status, a.body)
	}
	if n := len(s.State().Consents[robot]); n != 0 {
		t.Errorf("%d consents are left", n)
	}
}

func TestAConsentOfOneClientIsNoneOfAnother(t *testing.T) {
	s := startWorld(t)
	bearer(t, s, transferAll+"["+dataAccess("mapped")+"]")
	a := ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token", basic(other, otherSecret), formType,
		"grant_type=client_credentials&scope="+transferAll)
	a = get(t, s, transferBase+"/v0.10/operation/endpoint/"+globussim.CollectionID("mapped")+"/ls", "Bearer "+a.text("access_token"))
	if a.text("code") != "ConsentRequired" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestTheConsentListShowsThePathOfEachConsent(t *testing.T) {
	s := startWorld(t)
	token := bearer(t, s, "openid")
	request(t, s, transferAll+"[*"+dataAccess("mapped")+"]")

	a := get(t, s, authBase+"/v2/api/identities/"+robot+"/consents?all=true", token)
	var doc struct {
		Consents []struct {
			ID         int    `json:"id"`
			Client     string `json:"client"`
			ScopeName  string `json:"scope_name"`
			Path       []int  `json:"dependency_path"`
			Identity   string `json:"effective_identity"`
			Status     string `json:"status"`
			Revocable  bool   `json:"atomically_revocable"`
			Created    string `json:"created"`
			AutoAnswer bool   `json:"auto_approved"`
		} `json:"consents"`
	}
	if err := json.Unmarshal(a.body, &doc); err != nil || len(doc.Consents) != 3 {
		t.Fatalf("got %s: %v", a.body, err)
	}
	root, leaf := doc.Consents[1], doc.Consents[2]
	if root.ScopeName != transferAll || root.Client != robot || !slices.Equal(root.Path, []int{root.ID}) || root.Revocable {
		t.Errorf("root is %+v", root)
	}
	if leaf.ScopeName != dataAccess("mapped") || !slices.Equal(leaf.Path, []int{root.ID, leaf.ID}) || !leaf.Revocable || leaf.Client == robot {
		t.Errorf("leaf is %+v", leaf)
	}
	if leaf.Status != "approved" || leaf.Identity != robot {
		t.Errorf("leaf is %+v", leaf)
	}
	if _, err := time.Parse(time.RFC3339, leaf.Created); err != nil {
		t.Error(err)
	}

	if a := get(t, s, authBase+"/v2/api/identities/"+other+"/consents", token); a.status != http.StatusForbidden {
		t.Errorf("somebody else's consents: %d", a.status)
	}
	if a := get(t, s, authBase+"/v2/api/identities/"+robot+"/consents", ""); a.status != http.StatusUnauthorized {
		t.Errorf("without credentials: %d", a.status)
	}
}

func TestTheIDTokenIsSignedByThePublishedKey(t *testing.T) {
	s := startWorld(t)
	parts := strings.Split(request(t, s, "openid").text("id_token"), ".")
	if len(parts) != 3 {
		t.Fatalf("id_token has %d parts", len(parts))
	}
	discovery := get(t, s, authBase+"/.well-known/openid-configuration", "")
	if algs := discovery.doc["id_token_signing_alg_values_supported"]; !cmp.Equal(algs, []any{"RS512"}) {
		t.Errorf("algorithms are %v", algs)
	}
	var jwks struct {
		Keys []map[string]string `json:"keys"`
	}
	keys := get(t, s, discovery.text("jwks_uri"), "")
	if err := json.Unmarshal(keys.body, &jwks); err != nil || len(jwks.Keys) == 0 {
		t.Fatalf("keys: %s: %v", keys.body, err)
	}

	decode := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := rsa.PublicKey{
		N: new(big.Int).SetBytes(decode(jwks.Keys[0]["n"])),
		E: int(new(big.Int).SetBytes(decode(jwks.Keys[0]["e"])).Int64()),
	}
	digest := sha512.Sum512([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&key, crypto.SHA512, digest[:], decode(parts[2])); err != nil {
		t.Error(err)
	}
	var header, claims map[string]any
	if err := json.Unmarshal(decode(parts[0]), &header); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(decode(parts[1]), &claims); err != nil {
		t.Fatal(err)
	}
	if header["alg"] != "RS512" || claims["aud"] != robot || claims["sub"] != robot || claims["email"] != nil {
		t.Errorf("header %v, claims %v", header, claims)
	}
}

func TestIntrospectionDescribesALiveTokenAndOnlyThat(t *testing.T) {
	s := startWorld(t)
	value := strings.TrimPrefix(bearer(t, s, transferAll), "Bearer ")
	introspect := func(token string) answer {
		return post(t, s, "/v2/oauth2/token/introspect", url.Values{"token": {token}})
	}

	a := introspect(value)
	delete(a.doc, "exp")
	delete(a.doc, "iat")
	delete(a.doc, "nbf")
	want := map[string]any{
		"active": true, "token_type": "Bearer", "scope": transferAll, "client_id": robot, "sub": robot,
		"username": robot + "@clients.auth.globus.org", "name": "robot", "email": nil,
		"aud": []any{"transfer.api.globus.org", robot}, "iss": "https://auth.globus.org",
	}
	if diff := cmp.Diff(want, a.doc); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Somebody else cannot revoke it, its owner can, as often as they like.
	form := url.Values{"token": {value}}
	ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token/revoke", basic(other, otherSecret), formType, form.Encode())
	if a := introspect(value); a.doc["active"] != true {
		t.Errorf("another client revoked it: %s", a.body)
	}
	for range 2 {
		a := post(t, s, "/v2/oauth2/token/revoke", form)
		if diff := cmp.Diff(map[string]any{"active": false}, a.doc); a.status != http.StatusOK || diff != "" {
			t.Errorf("revoke answers %d %s", a.status, a.body)
		}
	}
	for _, dead := range []string{value, "nonsense"} {
		a := introspect(dead)
		if diff := cmp.Diff(map[string]any{"active": false}, a.doc); a.status != http.StatusOK || diff != "" {
			t.Errorf("introspect answers %d %s", a.status, a.body)
		}
	}
	if a := introspect(""); a.status != http.StatusBadRequest {
		t.Errorf("without a token: %d", a.status)
	}
	if a := ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token/introspect", "", formType, form.Encode()); a.status != http.StatusUnauthorized {
		t.Errorf("without credentials: %d", a.status)
	}
}

func TestTokensDieWithTheirLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWorld(t)
		token := bearer(t, s, transferAll)
		status := func() int { return get(t, s, transferBase+"/v0.10/task_list", token).status }

		time.Sleep(48*time.Hour - time.Second)
		if got := status(); got != http.StatusOK {
			t.Errorf("a second before its end: %d", got)
		}
		time.Sleep(time.Second)
		if got := status(); got != http.StatusUnauthorized {
			t.Errorf("at its end: %d", got)
		}
		token = bearer(t, s, transferAll)
		if got := status(); got != http.StatusOK {
			t.Errorf("a new one: %d", got)
		}
	})
}

func TestANewTokenLeavesTheOldOneGood(t *testing.T) {
	s := startWorld(t)
	old := bearer(t, s, transferAll)
	if bearer(t, s, transferAll) == old {
		t.Error("the same token came twice")
	}
	if a := get(t, s, transferBase+"/v0.10/task_list", old); a.status != http.StatusOK {
		t.Errorf("got %d", a.status)
	}
}
