package globussim

import (
	"strings"
	"unicode/utf8"
)

// A filterRule decides which entries of a recursive item are taken.
type filterRule struct {
	Method string `json:"method"` // "include" or "exclude"; empty means exclude
	Type   string `json:"type"`   // "file" or "dir"; empty means both
	Name   string `json:"name"`   // a shell pattern of the base name
}

// included tells whether the rules take an entry: the first that matches
// decides, and what none matches is taken.
func included(rules []filterRule, name string, dir bool) bool {
	for _, r := range rules {
		if r.Type == "file" && dir || r.Type == "dir" && !dir {
			continue
		}
		if glob(r.Name, name) {
			return r.Method == "include"
		}
	}
	return true
}

// glob reports whether a name matches a shell pattern of *, ?, [abc], [!abc]
// and ranges; a backslash takes the meaning from the character after it. A
// bracket that is never closed stands for itself.
func glob(pattern, name string) bool {
	// The last star seen and the rest of the name when it was seen: on a
	// mismatch the star takes one character more.
	star, rest := "", ""
	starred := false
	for {
		if pattern == "" && name == "" {
			return true
		}
		if strings.HasPrefix(pattern, "*") {
			pattern = pattern[1:]
			star, rest, starred = pattern, name, true
			continue
		}
		if name != "" {
			if size, after, ok := globOne(pattern, name); ok {
				pattern, name = after, name[size:]
				continue
			}
		}
		if !starred || rest == "" {
			return false
		}
		_, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		pattern, name = star, rest
	}
}

// globOne matches the first element of a pattern with the first character of a
// name. It returns the character's size and the rest of the pattern.
func globOne(pattern, name string) (size int, after string, ok bool) {
	if pattern == "" {
		return 0, "", false
	}
	char, size := utf8.DecodeRuneInString(name)
	switch pattern[0] {
	case '?':
		return size, pattern[1:], true
	case '[':
		if in, after, closed := globClass(pattern[1:], char); closed {
			return size, after, in
		}
	case '\\':
		if len(pattern) > 1 {
			pattern = pattern[1:]
		}
	}
	want, width := utf8.DecodeRuneInString(pattern)
	// Compare bytes, since all invalid bytes decode to the same rune.
	return size, pattern[width:], want == char && pattern[:width] == name[:size]
}

// globClass matches a character with the inside of brackets. It returns what
// follows them, and whether they are closed.
func globClass(class string, char rune) (in bool, after string, closed bool) {
	negated := false
	if strings.HasPrefix(class, "!") || strings.HasPrefix(class, "^") {
		negated, class = true, class[1:]
	}
	next := func() rune {
		if strings.HasPrefix(class, `\`) && len(class) > 1 {
			class = class[1:]
		}
		r, size := utf8.DecodeRuneInString(class)
		class = class[size:]
		return r
	}
	for first := true; class != ""; first = false {
		if class[0] == ']' && !first {
			return in != negated, class[1:], true
		}
		lo := next()
		hi := lo
		if len(class) > 1 && class[0] == '-' && class[1] != ']' {
			class = class[1:]
			hi = next()
		}
		if lo <= char && char <= hi {
			in = true
		}
	}
	return false, "", false
}

// A match is one comma-separated value of a name or label filter: exact, or
// after "~" a pattern, and after "!" what must not match.
type match struct {
	text    string
	pattern bool
	negated bool
}

// parseMatches reads forms such as "=a,b", "~x*" and "!~x*".
func parseMatches(value string) []match {
	var ms []match
	for v := range strings.SplitSeq(value, ",") {
		var m match
		v, m.negated = strings.CutPrefix(v, "!")
		if v, m.pattern = strings.CutPrefix(v, "~"); !m.pattern {
			v = strings.TrimPrefix(v, "=")
		}
		m.text = v
		ms = append(ms, m)
	}
	return ms
}

// matchAny tells whether one of the wanted values matches, if there are any,
// and none of the unwanted.
func matchAny(ms []match, is func(m match) bool) bool {
	wanted, found := false, false
	for _, m := range ms {
		if m.negated {
			if is(m) {
				return false
			}
			continue
		}
		wanted = true
		found = found || is(m)
	}
	return found || !wanted
}
