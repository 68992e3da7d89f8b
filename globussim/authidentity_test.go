package globussim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestUserinfoTellsWhatTheScopesAllow(t *testing.T) {
	s := startWorld(t)
	username := robot + "@clients.auth.globus.org"
	const all = "openid profile email urn:globus:auth:scope:auth.globus.org:view_identity_set"

	a := get(t, s, authBase+"/v2/oauth2/userinfo", bearer(t, s, "openid"))
	if diff := cmp.Diff(map[string]any{"sub": robot}, a.doc); diff != "" {
		t.Errorf("openid alone (-want +got):\n%s", diff)
	}
	a = get(t, s, authBase+"/v2/oauth2/userinfo", bearer(t, s, all))
	email, hasEmail := a.doc["email"]
	set, _ := a.doc["identity_set"].([]any)
	if a.text("preferred_username") != username || a.text("name") != "robot" || !hasEmail || email != nil || len(set) != 1 {
		t.Errorf("all scopes: %s", a.body)
	}
}

func TestUserinfoIsRefusedWithoutATokenForIt(t *testing.T) {
	s := startWorld(t)
	tests := map[string]struct {
		authorization string
		status        int
	}{
		"no token":         {"", http.StatusForbidden},
		"unknown token":    {"Bearer nonsense", http.StatusUnauthorized},
		"Transfer token":   {bearer(t, s, transferAll), http.StatusUnauthorized},
		"without openid":   {bearer(t, s, "email"), http.StatusForbidden},
		"secret, no token": {basic(robot, robotSecret), http.StatusUnauthorized},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if a := get(t, s, authBase+"/v2/oauth2/userinfo", tt.authorization); a.status != tt.status {
				t.Errorf("got %d %s, want %d", a.status, a.body, tt.status)
			}
		})
	}
}

func TestIdentitiesComeWithTheirProvidersIfAsked(t *testing.T) {
	s := startWorld(t, func(cfg *globussim.Config) { cfg.Persons = []globussim.Person{{Username: "ada@sim.example"}} })
	address := authBase + "/v2/api/identities?usernames=ada@sim.example," + robot + "@clients.auth.globus.org&include=identity_provider"
	a := get(t, s, address, basic(robot, robotSecret))
	included, _ := a.doc["included"].(map[string]any)
	providers, _ := included["identity_providers"].([]any)
	identities, _ := a.doc["identities"].([]any)
	if len(providers) != 2 || len(identities) != 2 {
		t.Fatalf("got %s, want two identities and their providers", a.body)
	}
	for i, domain := range []string{"sim.example", "clients.auth.globus.org"} {
		p := answer{doc: providers[i].(map[string]any)}
		p.want(t, doc{"id": identities[i].(map[string]any)["identity_provider"], "name": domain, "short_name": domain})
		for _, query := range []string{"domains=" + domain, "ids=" + p.text("id")} {
			a := get(t, s, authBase+"/v2/api/identity_providers?"+query, basic(robot, robotSecret))
			found, _ := a.doc["identity_providers"].([]any)
			if diff := cmp.Diff([]any{p.doc}, found); diff != "" {
				t.Errorf("%s (-want +got):\n%s", query, diff)
			}
		}
	}
	if a := get(t, s, authBase+"/v2/api/identities?ids="+robot, basic(robot, robotSecret)); a.doc["included"] != nil {
		t.Errorf("unasked, %s comes with providers", a.body)
	}
	for _, wrong := range []string{"", "?ids=x&domains=y"} {
		if a := get(t, s, authBase+"/v2/api/identity_providers"+wrong, basic(robot, robotSecret)); a.status != http.StatusBadRequest {
			t.Errorf("%q answers %d %s, want 400", wrong, a.status, a.body)
		}
	}
	if a := get(t, s, authBase+"/v2/api/identity_providers?domains=x", ""); a.status != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d %s, want 401", a.status, a.body)
	}
}

func TestIdentitiesAreFoundByIDAndByName(t *testing.T) {
	s := startWorld(t)
	name := "@clients.auth.globus.org"
	tests := map[string]struct {
		query  string
		status int
		want   []any // usernames
	}{
		"ids":                {"ids=" + robot + "," + other, 200, []any{robot + name, other + name}},
		"names":              {"usernames=" + robot + name + "&provision=false", 200, []any{robot + name}},
		"unknown":            {"usernames=nobody@example.org", 200, nil},
		"unknown id":         {"ids=0f1e2d3c-0000-4000-8000-00000000000f", 200, nil},
		"made up":            {"usernames=new@example.org&provision=true", 200, []any{"new@example.org"}},
		"no name to make up": {"usernames=new&provision=true", 200, nil},
		"both":               {"ids=" + robot + "&usernames=" + robot + name, 400, nil},
		"neither":            {"", 400, nil},
	}
	for label, tt := range tests {
		t.Run(label, func(t *testing.T) {
			a := get(t, s, authBase+"/v2/api/identities?"+tt.query, basic(robot, robotSecret))
			var got []any
			list, isList := a.doc["identities"].([]any)
			for _, who := range list {
				got = append(got, who.(map[string]any)["username"])
			}
			if a.status != tt.status || isList != (tt.status == 200) || !cmp.Equal(got, tt.want) {
				t.Errorf("got %d %s, want %d with %v", a.status, a.body, tt.status, tt.want)
			}
		})
	}
}

func TestAnIdentityIsFoundByItsIDAlone(t *testing.T) {
	s := startWorld(t)
	token := bearer(t, s, "openid")
	a := get(t, s, authBase+"/v2/api/identities/"+strings.ToUpper(robot), token)
	who, _ := a.doc["identity"].(map[string]any)
	if a.status != http.StatusOK || who["id"] != robot || who["username"] != robot+"@clients.auth.globus.org" {
		t.Errorf("got %d %s", a.status, a.body)
	}
	for name, tt := range map[string]struct {
		id, authorization string
		status            int
		code              string
	}{
		"unknown":  {"0f1e2d3c-0000-4000-8000-00000000000f", token, 404, "NOT_FOUND"},
		"no UUID":  {"robot", token, 404, "NOT_FOUND"},
		"stranger": {robot, "", 401, "UNAUTHORIZED"},
	} {
		a := get(t, s, authBase+"/v2/api/identities/"+tt.id, tt.authorization)
		errs, _ := a.doc["errors"].([]any)
		if a.status != tt.status || len(errs) != 1 || errs[0].(map[string]any)["code"] != tt.code {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
}

func TestAMadeUpIdentityKeepsItsID(t *testing.T) {
	s := startWorld(t)
	token := bearer(t, s, "openid")
	first := get(t, s, authBase+"/v2/api/identities?provision=true&usernames=New@example.org", token)
	again := get(t, s, authBase+"/v2/api/identities?usernames=new@example.org", token)
	if diff := cmp.Diff(first.doc, again.doc); diff != "" {
		t.Errorf("(-first +again):\n%s", diff)
	}
	list, _ := first.doc["identities"].([]any)
	if len(list) != 1 {
		t.Fatalf("got %s", first.body)
	}
	id, _ := list[0].(map[string]any)["id"].(string)
	if byID := get(t, s, authBase+"/v2/api/identities?ids="+id, token); !cmp.Equal(byID.doc, first.doc) {
		t.Errorf("by id: %s", byID.body)
	}
}

func TestIdentitiesAreForKnownCallersOnly(t *testing.T) {
	s := startWorld(t)
	for name, authorization := range map[string]string{
		"nobody":         "",
		"wrong secret":   basic(robot, "guess"),
		"native app":     basic(nativeApp, ""),
		"Transfer token": bearer(t, s, transferAll),
	} {
		a := get(t, s, authBase+"/v2/api/identities?ids="+robot, authorization)
		errs, _ := a.doc["errors"].([]any)
		if a.status != http.StatusUnauthorized || len(errs) != 1 || errs[0].(map[string]any)["code"] != "UNAUTHORIZED" {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
}
