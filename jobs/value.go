package jobs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/internal/spelling"
)

// text reads a text that is not empty. It needs quotes where YAML sees a number
// or a truth value.
func (s *source) text(n ast.Node, field string) (string, bool) {
	var text string
	switch n := n.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	default:
		s.wrongType(n, field, "text")
		return "", false
	}
	switch {
	case text == "":
		s.problem(n, field, "the text is empty")
		return "", false
	case len(text) > maxText:
		s.problem(n, field, "the text has %d bytes, at most %d are possible", len(text), maxText)
		return "", false
	}
	return text, true
}

// maxText is the length of the longest text, in bytes.
const maxText = 4096

// oneLine reads a text without line ends.
func (s *source) oneLine(n ast.Node, field string) (string, bool) {
	text, ok := s.text(n, field)
	if ok && strings.ContainsAny(text, "\r\n") {
		s.problem(n, field, "the text has a line end in it")
		return "", false
	}
	return text, ok
}

// line reads a text without line ends.
func (s *source) line(to *string) decoder {
	return func(n ast.Node, field string) {
		if text, ok := s.oneLine(n, field); ok {
			*to = text
		}
	}
}

// flag reads true or false.
func (s *source) flag(to *bool) decoder {
	return func(n ast.Node, field string) {
		if b, ok := s.boolean(n, field); ok {
			*to = b
		}
	}
}

// boolean returns the truth value that n is.
func (s *source) boolean(n ast.Node, field string) (is, ok bool) {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		s.wrongType(n, field, "true or false")
		return false, false
	}
	return b.Value, true
}

// integer returns the number that n is.
func integer(n ast.Node) (int, bool) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch v := i.Value.(type) {
	case uint64:
		return int(min(v, 1<<62)), true
	case int64:
		return int(v), true
	}
	return 0, false
}

// count reads a number.
func (s *source) count(to *int, least, most int) decoder {
	return func(n ast.Node, field string) {
		want := fmt.Sprintf("a number from %d to %d", least, most)
		if least == most {
			want = strconv.Itoa(least)
		}
		v, ok := integer(n)
		if !ok || v < least || v > most {
			s.wrongType(n, field, want)
			return
		}
		*to = v
	}
}

// choice reads one of some words.
func choice[T ~string](s *source, to *T, words ...T) decoder {
	return func(n ast.Node, field string) {
		text, ok := n.(*ast.StringNode)
		known := make([]string, len(words))
		for i, word := range words {
			known[i] = string(word)
		}
		want := strings.Join(known[:len(known)-1], ", ") + " or " + known[len(known)-1]
		switch {
		case !ok:
			s.wrongType(n, field, want)
		case !slices.Contains(words, T(text.Value)):
			s.wrongType(n, field, want+spelling.Hint(text.Value, known...))
		default:
			*to = T(text.Value)
		}
	}
}

// either reads one of two words. The second sets to.
func (s *source) either(to *bool, no, yes string) decoder {
	return func(n ast.Node, field string) {
		word := no
		choice(s, &word, no, yes)(n, field)
		*to = word == yes
	}
}

// parsed reads a text with parse. Want says what a value that is not a text should
// be.
func parsed[T any](s *source, to *T, want string, parse func(string) (T, error)) decoder {
	return func(n ast.Node, field string) {
		text, ok := n.(*ast.StringNode)
		if !ok {
			s.wrongType(n, field, want)
			return
		}
		value, err := parse(text.Value)
		if err != nil {
			s.problem(n, field, "%v", err)
			return
		}
		*to = value
	}
}

// duration reads a duration such as 90s, 30m, 12h, 7d or 1h30m.
func (s *source) duration(to *time.Duration, least time.Duration) decoder {
	return parsed(s, to, "a duration such as 90s, 30m, 12h or 7d", func(text string) (time.Duration, error) {
		d, err := ParseDuration(text)
		if err == nil && d < least {
			err = fmt.Errorf("%s is too short, want at least %s", text, least)
		}
		return d, err
	})
}

// notOfName is what no name has.
var notOfName = pattern.Lazy(`[^a-z0-9]+`)

// similarName asks for the name that may be meant by one that is not possible.
func similarName(name string) string {
	name = strings.Trim(notOfName().ReplaceAllString(strings.ToLower(name), "-"), "-")
	if !namePattern().MatchString(name) || len(name) > MaxName {
		return ""
	}
	return ", did you mean " + name + "?"
}
