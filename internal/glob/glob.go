// Package glob matches names against the patterns that Globus uses: shell patterns as
// defined by fnmatch in C.
package glob

import (
	"slices"
	"unicode/utf8"
)

// A Pattern is a parsed pattern.
type Pattern []component

// A component of a pattern matches one character, or any number of them.
type component struct {
	star, any bool
	literal   string  // one character, or one byte that is not UTF-8
	class     []runes // for a component in brackets
	negated   bool
}

// runes is a range of characters, including both ends.
type runes struct{ first, last rune }

// Parse reads a pattern of *, ?, [abc], [a-z] and [!abc]; a backslash escapes
// the character after it. A bracket that is never closed matches itself, so
// every text is a pattern.
func Parse(pattern string) Pattern {
	var all Pattern
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

// Open reports whether a pattern has a bracket that is never closed, and so matches
// itself.
func Open(pattern string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '\\' && len(pattern) > 1:
			pattern = pattern[2:]
		case pattern[0] == '[':
			_, rest, closed := parseClass(pattern)
			if !closed {
				return true
			}
			pattern = rest
		default:
			pattern = pattern[1:]
		}
	}
	return false
}

// parseClass reads a class in brackets, if they are closed. A closing bracket
// at the beginning belongs to the class.
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

// Match reports whether the pattern matches the whole name. On a mismatch the
// last star takes one more character, so the time is bounded by the product of
// both lengths.
func (p Pattern) Match(name string) bool {
	pattern := p
	var afterStar Pattern
	starred, left := false, "" // the rest of the name after the star
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
