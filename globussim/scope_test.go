package globussim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestScopesNestAndMerge(t *testing.T) {
	mapped := dataAccess("mapped")
	timer := "https://auth.globus.org/scopes/524230d7-ea86-4a52-8312-86065a9e0417/timer"
	tests := map[string]struct {
		scopes string
		want   []string
	}{
		"plain":             {"openid", []string{"openid"}},
		"several spaces":    {" openid  email ", []string{"openid", "email"}},
		"twice":             {"openid openid", []string{"openid"}},
		"nested":            {timer + "[" + transferAll + "[*" + mapped + "]]", []string{timer, timer + "[" + transferAll + "]", timer + "[" + transferAll + "[" + mapped + "]]"}},
		"star begins a new": {transferAll + "*openid", []string{transferAll, "openid"}},
		"merged": {
			transferAll + "[*" + mapped + "] " + transferAll + "[" + mapped + " openid]",
			[]string{transferAll, transferAll + "[" + mapped + "]", transferAll + "[openid]"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := startWorld(t)
			if a := request(t, s, tt.scopes); a.status != http.StatusOK {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			if diff := cmp.Diff(tt.want, s.State().Consents[robot]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAScopeThatIsRequiredAnywhereIsNotOptional(t *testing.T) {
	s := startWorld(t)
	mapped := dataAccess("mapped")
	token := bearer(t, s, "openid")
	request(t, s, transferAll+"[*"+mapped+"] "+transferAll+"["+mapped+"]")
	a := get(t, s, authBase+"/v2/api/identities/"+robot+"/consents", token)
	if strings.Contains(string(a.body), `"atomically_revocable":true`) {
		t.Errorf("got %s", a.body)
	}
}

func TestMalformedScopesAreRefused(t *testing.T) {
	s := startWorld(t)
	for _, scopes := range []string{
		"", " ", "*", "* openid", "openid *", "**openid", "openid]", "openid[", "openid[email", "openid[]", "openid[[email]]",
		"[email]", "openid [email]", "openid[email]profile", "openid[email]*profile", "openid[email]]",
		"openid[openid]", "openid[email] email[openid]", "openid[email[profile[openid]]]",
		strings.Repeat("openid ", 1001), strings.Repeat("a[", 100_000),
	} {
		a := request(t, s, scopes)
		if a.status != http.StatusBadRequest || a.text("error") != "invalid_scope" || strings.Contains(string(a.body), "UNKNOWN") {
			t.Errorf("%.40q: got %d %s", scopes, a.status, a.body)
		}
	}
}

// Whatever is asked for, the answer is tokens for just the scopes of the first
// level, or a refusal.
func FuzzScopes(f *testing.F) {
	s, err := globussim.New(world(f.TempDir()))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"email", "email[*profile]", "a[b c[d]] *e", "a[", "a]", "email [profile]", "email*profile", "email[email]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, scopes string) {
		a := request(t, s, scopes)
		switch a.status {
		case http.StatusOK:
			for name := range strings.SplitSeq(a.text("scope"), " ") {
				if name == "" || strings.ContainsAny(name, "[]*") || !strings.Contains(scopes, name) {
					t.Errorf("%q was granted %q", scopes, a.text("scope"))
				}
			}
			if strings.Count(scopes, "[") != strings.Count(scopes, "]") {
				t.Errorf("%q was granted", scopes)
			}
		case http.StatusBadRequest:
			if a.text("error") != "invalid_scope" {
				t.Errorf("%q: %s", scopes, a.body)
			}
		default:
			t.Errorf("%q: %d %s", scopes, a.status, a.body)
		}
	})
}
