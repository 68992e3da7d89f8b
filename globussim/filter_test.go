package globussim

import (
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

// The pattern language and the spelling of names are tested from inside: from
// outside, only files that can exist would be seen.

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true},
		{"*", "anything/at all", true},
		{"a*c", "abc", true},
		{"a*c", "abcd", false},
		{"*a*b*", "xxaxxbxx", true},
		{"?", "ü", true},
		{"?", "", false},
		{"[abc]x", "bx", true},
		{"[!abc]x", "bx", false},
		{"[a-c]", "b", true},
		{"[]]", "]", true},
		{"[a", "[a", true},
		{`\*`, "*", true},
		{`\*`, "x", false},
		{`[\]]`, "]", true},
		{"*.tmp", ".tmp", true},
		{"\xff", "\xfe", false},
	}
	for _, tt := range tests {
		if got := glob(tt.pattern, tt.name); got != tt.want {
			t.Errorf("glob(%q, %q) is %t, want %t", tt.pattern, tt.name, got, tt.want)
		}
	}
}

func FuzzGlob(f *testing.F) {
	for _, seed := range []string{"a*b?c", "[a-c]x", `\[`, "[!x", "ü*\xff", "***a"} {
		f.Add(seed, "abc")
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if !glob("*", name) || !glob(name+"*", name) && !strings.ContainsAny(name, `\[`) {
			t.Errorf("%q is not matched by itself and a star", name)
		}
		escaped := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
		if !glob(escaped, name) {
			t.Errorf("%q is not matched by %q", name, escaped)
		}
		// Where brackets do not differ, package path says the same.
		if strings.ContainsAny(pattern, `[\`) || strings.Contains(name, "/") || !utf8.ValidString(pattern) || !utf8.ValidString(name) {
			return
		}
		if want, err := path.Match(pattern, name); err == nil && glob(pattern, name) != want {
			t.Errorf("glob(%q, %q) is %t, path.Match says %t", pattern, name, !want, want)
		}
	})
}

func FuzzPathsStayInside(f *testing.F) {
	for _, seed := range []string{"/~/../../x", "a//b/./..", "~", "/", "\uFFFDÿ/\uFFFDx", "..", "~/..", "\xff", "//../~", "/a/../~/b"} {
		f.Add(seed)
	}
	p := &collection{Collection: Collection{Home: "/home/svc/"}}
	f.Fuzz(func(t *testing.T, raw string) {
		abs, e := p.resolve(raw)
		if e != nil {
			if !strings.ContainsAny(raw, "\r\n\x00") {
				t.Errorf("%q is refused: %v", raw, e.Message)
			}
			return
		}
		if !strings.HasPrefix(abs, "/") || path.Clean(abs) != abs {
			t.Fatalf("%q becomes %q, which is not absolute and clean", raw, abs)
		}
		again, e := p.resolve(wirePath(abs))
		if e != nil || again != abs {
			t.Errorf("%q is spelled %q, which leads to %q", abs, wirePath(abs), again)
		}
	})
}
