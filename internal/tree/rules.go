package tree

import (
	"slices"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/transfer"
)

// Rules are the filter rules of a transfer, ready to be applied.
type Rules []rule

type rule struct {
	text       transfer.FilterRule
	include    bool
	file, dir  bool // which it is about
	components []component
}

// A component of a pattern matches one character, or any number of them.
type component struct {
	star, any bool
	literal   string  // one character, or one byte that is none
	class     []runes // if it is in brackets
	negated   bool
}

// runes is a range of characters, with both ends.
type runes struct{ first, last rune }

// NewRules reads filter rules.
func NewRules(rules []transfer.FilterRule) Rules {
	var all Rules
	for _, r := range rules {
		all = append(all, rule{
			text: r, include: r.Method == "include", file: r.Type != "dir", dir: r.Type != "file", components: parse(r.Name),
		})
	}
	return all
}

// Take reports whether a transfer takes an entry of this base name: the first
// rule that matches decides, and what none matches is taken. A link counts as a
// file. What is in a folder that is not taken is not either.
func (rs Rules) Take(name string, dir bool) bool {
	i := rs.decides(name, dir)
	return i < 0 || rs[i].include
}

// decides returns the place of the rule that decides about an entry, -1 if none
// does.
func (rs Rules) decides(name string, dir bool) int {
	return slices.IndexFunc(rs, func(r rule) bool {
		return (dir && r.dir || !dir && r.file) && matches(r.components, name)
	})
}

// parse reads a shell pattern of *, ?, [abc], [a-z] and [!abc]; a backslash
// takes the meaning of the character behind it. A bracket that is never closed
// stands for itself.
func parse(pattern string) []component {
	var all []component
	for pattern != "" {
		var c component
		switch pattern[0] {
		case '*':
			c, pattern = component{star: true}, pattern[1:]
		case '?':
			c, pattern = component{any: true}, pattern[1:]
		case '[':
			var ok bool
			if c, pattern, ok = parseClass(pattern); !ok {
				c, pattern = component{literal: "["}, pattern[1:]
			}
		case '\\':
			if len(pattern) > 1 {
				pattern = pattern[1:]
			}
			fallthrough
		default:
			_, size := utf8.DecodeRuneInString(pattern)
			c, pattern = component{literal: pattern[:size]}, pattern[size:]
		}
		all = append(all, c)
	}
	return all
}

// parseClass reads what is in brackets, if they are closed. A closing bracket
// that comes first stands for itself.
func parseClass(pattern string) (c component, rest string, closed bool) {
	c.class = []runes{}
	rest = pattern[1:]
	if rest != "" && (rest[0] == '!' || rest[0] == '^') {
		c.negated, rest = true, rest[1:]
	}
	char := func() rune {
		if len(rest) > 1 && rest[0] == '\\' {
			rest = rest[1:]
		}
		r, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		return r
	}
	for first := true; rest != ""; first = false {
		if rest[0] == ']' && !first {
			return c, rest[1:], true
		}
		in := runes{first: char()}
		in.last = in.first
		if len(rest) > 1 && rest[0] == '-' && rest[1] != ']' {
			rest = rest[1:]
			in.last = char()
		}
		c.class = append(c.class, in)
	}
	return component{}, pattern, false
}

// matches reports whether a pattern matches the whole of name. On a mismatch
// the last star takes one character more, so that the time is bounded by the
// product of both lengths.
func matches(pattern []component, name string) bool {
	var afterStar []component
	starred, left := false, "" // what the name had left behind the star
	for {
		if len(pattern) > 0 && pattern[0].star {
			pattern = pattern[1:]
			afterStar, left, starred = pattern, name, true
			continue
		}
		if name == "" && len(pattern) == 0 {
			return true
		}
		if name != "" && len(pattern) > 0 {
			if _, size := utf8.DecodeRuneInString(name); pattern[0].takes(name[:size]) {
				pattern, name = pattern[1:], name[size:]
				continue
			}
		}
		if !starred || left == "" {
			return false
		}
		_, size := utf8.DecodeRuneInString(left)
		left = left[size:]
		pattern, name = afterStar, left
	}
}

// takes reports whether c matches one character.
func (c component) takes(char string) bool {
	switch {
	case c.any:
		return true
	case c.class == nil:
		return c.literal == char
	}
	r, _ := utf8.DecodeRuneInString(char)
	in := slices.ContainsFunc(c.class, func(in runes) bool { return in.first <= r && r <= in.last })
	return in != c.negated
}
