package glob_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/internal/glob"
)

func TestOpen(t *testing.T) {
	for pattern, want := range map[string]bool{
		"": false, "a*": false, "[": true, "a[bc": true, "a[bc]": false, "a[]": true, "a[]]": false, `a\[b`: false, `a\\[b`: true, "[a][b": true, `[a\]`: true,
	} {
		if got := glob.Open(pattern); got != want {
			t.Errorf("%q: got %t, want %t", pattern, got, want)
		}
	}
}

func ExampleParse() {
	p := glob.Parse("run_[0-9]*")
	fmt.Println(p.Match("run_7"), p.Match("run_7_test"), p.Match("old_run_7"))
	// Output: true true false
}

func TestAPatternMatchesTheWholeName(t *testing.T) {
	tests := map[string]struct {
		pattern, name string
		want          bool
	}{
		"no wildcard":              {"a", "a", true},
		"no part":                  {"a", "ab", false},
		"a hidden name is a name":  {"*", ".a", true},
		"one character":            {"?", "é", true},
		"a class":                  {"[a-c]x", "bx", true},
		"no class":                 {"[!a-c]x", "bx", false},
		"a bracket that stays":     {"[a", "[a", true},
		"a backslash":              {`\*`, "*", true},
		"a backslash for nothing":  {`\*`, "a", false},
		"nothing but nothing":      {"", "a", false},
		"what is no UTF-8":         {"a*", "a\xff", true},
		"many stars take not long": {strings.Repeat("*a", 50) + "b", strings.Repeat("a", 5000), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := glob.Parse(tt.pattern).Match(tt.name); got != tt.want {
				t.Errorf("%q and %q: got %t, want %t", tt.pattern, tt.name, got, tt.want)
			}
		})
	}
}
