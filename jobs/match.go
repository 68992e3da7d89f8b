package jobs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/glob"
)

// A Match chooses items by their names. The zero Match takes every name.
type Match struct {
	globs       []string // as they were written
	take, leave []glob.Pattern
	expr        *regexp.Regexp
}

// MatchGlobs returns a match by patterns such as run_*. A pattern behind ! leaves
// out what it matches, wherever it stands in the list. If all of them leave out,
// all other names are taken.
func MatchGlobs(patterns ...string) Match {
	m := Match{globs: patterns}
	for _, text := range patterns {
		if text, not := strings.CutPrefix(text, "!"); not {
			m.leave = append(m.leave, glob.Parse(text))
		} else {
			m.take = append(m.take, glob.Parse(text))
		}
	}
	return m
}

// MatchPattern returns a match by a regular expression, which must match the
// whole name. Templates know its named groups as .Item.<group>.
func MatchPattern(expr string) (Match, error) {
	if len(expr) > maxText {
		return Match{}, fmt.Errorf("the pattern has %d bytes, at most %d are possible", len(expr), maxText)
	}
	re, err := regexp.Compile(expr)
	if err == nil {
		re, err = regexp.Compile("^(?:" + expr + ")$")
	}
	if err != nil {
		return Match{}, fmt.Errorf("%q is not a regular expression: %s", short(expr), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	m := Match{globs: []string{expr}, expr: re}
	named := map[string]bool{}
	for _, group := range re.SubexpNames() {
		switch {
		case group == "":
		case slices.Contains(itemParts(), group):
			return Match{}, fmt.Errorf("the group %s has the name of a part that every item has; choose another name", group)
		case named[group]:
			return Match{}, fmt.Errorf("the group %s is there twice; give each its own name", group)
		}
		named[group] = true
	}
	return m, nil
}

// Name reports whether a name is taken, and returns what the groups matched. One
// that matched nothing is not among them.
func (m Match) Name(name string) (groups map[string]string, ok bool) {
	if m.expr == nil {
		matches := func(p glob.Pattern) bool { return p.Match(name) }
		return nil, (len(m.take) == 0 || slices.ContainsFunc(m.take, matches)) && !slices.ContainsFunc(m.leave, matches)
	}
	found := m.expr.FindStringSubmatch(name)
	for i, text := range found {
		if group := m.expr.SubexpNames()[i]; group != "" && text != "" {
			if groups == nil {
				groups = map[string]string{}
			}
			groups[group] = text
		}
	}
	return groups, found != nil
}

// Groups returns the names of the groups, in their order.
func (m Match) Groups() (names []string) {
	if m.expr == nil {
		return nil
	}
	for _, name := range m.expr.SubexpNames() {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// String returns the match as it was written.
func (m Match) String() string { return strings.Join(m.globs, " ") }

// Equal reports whether two matches are written alike.
func (m Match) Equal(other Match) bool {
	return slices.Equal(m.globs, other.globs) && (m.expr == nil) == (other.expr == nil)
}
