package auth_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
)

func TestScopesAreRead(t *testing.T) {
	tests := map[string]struct {
		text string
		want auth.Scopes
	}{
		"one":      {"openid", auth.Scopes{{Name: "openid"}}},
		"optional": {"*a", auth.Scopes{{Name: "a", Optional: true}}},
		"nested": {"a[*b[c] d] e", auth.Scopes{
			{Name: "a", Dependencies: []auth.Scope{{Name: "b", Optional: true, Dependencies: []auth.Scope{{Name: "c"}}}, {Name: "d"}}},
			{Name: "e"},
		}},
		"merged": {"a[*b] c a[b[d] *e]", auth.Scopes{
			{Name: "a", Dependencies: []auth.Scope{{Name: "b", Dependencies: []auth.Scope{{Name: "d"}}}, {Name: "e", Optional: true}}},
			{Name: "c"},
		}},
		"data access": {
			auth.TransferAll + "[*https://auth.globus.org/scopes/c1/data_access]",
			auth.Scopes{{Name: auth.TransferAll, Dependencies: []auth.Scope{auth.DataAccess("c1")}}},
		},
		"odd names": {"ü\x00\n", auth.Scopes{{Name: "ü\x00\n"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := auth.ParseScopes(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScopesThatAreRefused(t *testing.T) {
	tests := map[string]string{
		"":                        "byte 1: a scope is missing",
		" a":                      "byte 1: a scope is missing",
		"a ":                      "byte 3: a scope is missing",
		"a  b":                    "byte 3: a scope is missing",
		"*":                       "byte 2: a scope is missing",
		"* a":                     "byte 2: a scope is missing",
		"**a":                     "byte 2: a scope is missing",
		"a [b]":                   "byte 3: a scope is missing",
		"a[]":                     "byte 3: a scope is missing",
		"a[[b]]":                  "byte 3: a scope is missing",
		"a[b]]":                   "byte 5: no bracket is open",
		"a]":                      "byte 2: no bracket is open",
		"a[b":                     "byte 4: a bracket is not closed",
		"a[b]c":                   "byte 5: 'c' follows a scope",
		"a[b]*c":                  "byte 5: '*' follows a scope",
		"a[b][c]":                 "byte 5: '[' follows a scope",
		"a*b":                     "byte 2: '*' follows a scope",
		"a[a]":                    "a depends on itself",
		"x[a[b[a]]]":              "depends on itself",
		"a[b] b[a]":               "depends on itself",
		strings.Repeat("a[", 1e5): "more than 100 brackets",
		strings.Repeat("a", 3e5):  "300000 bytes",
	}
	for text, want := range tests {
		name := text[:min(len(text), 20)]
		t.Run(name, func(t *testing.T) {
			got, err := auth.ParseScopes(text)
			if err == nil || !strings.Contains(err.Error(), want) || got != nil {
				t.Errorf("got %v, %v; want %q", got, err, want)
			}
		})
	}
}

func TestRequiredBeatsOptional(t *testing.T) {
	for _, text := range []string{"*a a", "a *a", "*a a *a"} {
		if got, err := auth.ParseScopes(text); err != nil || got.String() != "a" {
			t.Errorf("%q gives %q, %v; want a", text, got, err)
		}
	}
}

func TestMergeLeavesItsOperandsAlone(t *testing.T) {
	a := auth.Scopes{{Name: "t", Dependencies: []auth.Scope{auth.DataAccess("1")}}}
	b := auth.Scopes{{Name: "t", Dependencies: []auth.Scope{auth.DataAccess("2"), auth.DataAccess("1")}}, {Name: "openid"}}
	merged := a.Merge(b...)

	const da = "*https://auth.globus.org/scopes/%d/data_access"
	want := fmt.Sprintf("t["+da+" "+da+"] openid", 1, 2)
	if merged.String() != want {
		t.Errorf("got %s, want %s", merged, want)
	}
	if len(a[0].Dependencies) != 1 || len(b[0].Dependencies) != 2 || len(a) != 1 {
		t.Errorf("merged into %s and %s", a, b)
	}
}

func FuzzParseScopes(f *testing.F) {
	for _, seed := range []string{
		"openid email", "*a", "a[*b[c] d] e", "a[*b] c a[b[d] *e]", "a[b] b[a]", "a[]", "a*b", "* ",
		"a[b[c[d[e[f]]]]]", auth.TransferAll + "[*https://auth.globus.org/scopes/x/data_access]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		scopes, err := auth.ParseScopes(text)
		if (err == nil) != (len(scopes) > 0) {
			t.Fatalf("%q gives %v and %v, want scopes or an error", text, scopes, err)
		}
		if err != nil {
			return
		}
		printed := scopes.String()
		again, err := auth.ParseScopes(printed)
		if err != nil {
			t.Fatalf("%q was printed as %q: %v", text, printed, err)
		}
		if diff := cmp.Diff(scopes, again); diff != "" {
			t.Errorf("%q was printed as %q (-first +again):\n%s", text, printed, diff)
		}
		if again.String() != printed {
			t.Errorf("%q was printed as %q, then as %q", text, printed, again)
		}
	})
}

func ExampleScopes_Merge() {
	scopes, err := auth.ParseScopes("openid " + auth.TransferAll)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scopes.Merge(auth.Scope{
		Name:         auth.TransferAll,
		Dependencies: []auth.Scope{auth.DataAccess("c1")},
	}))
	// Output: openid urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/c1/data_access]
}
