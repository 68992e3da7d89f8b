package auth

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds of a scope string.
const (
	maxScopeDepth  = 100       // brackets in brackets
	maxScopeString = 256 << 10 // bytes
)

// A Scope is a permission that a token can carry.
type Scope struct {
	Name         string  // without any of "[]*" and spaces
	Optional     bool    // of a dependency: its consent can be revoked separately
	Dependencies []Scope // permissions that the resource server needs in turn
}

// DataAccess returns [TransferAll] with the data_access scope of a mapped
// collection as an optional dependency. Other kinds of collections, and those
// of high assurance, have no such scope.
func DataAccess(collection string) Scope {
	return Scope{Name: "https://auth.globus.org/scopes/" + collection + "/data_access", Optional: true}
}

// String returns the scope in the form of Globus Auth: an asterisk if it is
// optional, the name, and the dependencies in brackets.
func (s Scope) String() string { return Scopes{s}.String() }

// Scopes is a list of scopes.
type Scopes []Scope

// String returns the scopes with a space between them. [ParseScopes] reads them
// back.
func (s Scopes) String() string {
	var b strings.Builder
	s.print(&b)
	return b.String()
}

func (s Scopes) print(b *strings.Builder) {
	for i, scope := range s {
		if i > 0 {
			b.WriteByte(' ')
		}
		if scope.Optional {
			b.WriteByte('*')
		}
		b.WriteString(scope.Name)
		if len(scope.Dependencies) > 0 {
			b.WriteByte('[')
			Scopes(scope.Dependencies).print(b)
			b.WriteByte(']')
		}
	}
}

// Merge returns the scopes with others added. Repetitions of a scope become
// one, at the place of the first, with the dependencies of all; it is optional
// only if all of them are.
func (s Scopes) Merge(others ...Scope) Scopes {
	return merge(slices.Concat(s, others))
}

func merge(list []Scope) []Scope {
	var merged []Scope
	at := make(map[string]int, len(list))
	for _, scope := range list {
		i, ok := at[scope.Name]
		if !ok {
			at[scope.Name] = len(merged)
			scope.Dependencies = slices.Clone(scope.Dependencies)
			merged = append(merged, scope)
			continue
		}
		merged[i].Optional = merged[i].Optional && scope.Optional
		merged[i].Dependencies = append(merged[i].Dependencies, scope.Dependencies...)
	}
	for i := range merged {
		merged[i].Dependencies = merge(merged[i].Dependencies)
	}
	return merged
}

// ParseScopes reads scopes with one space between them, each with its
// dependencies in brackets, and merges those that occur more than once. A scope
// must not depend on itself, not even through others. A text of more than 256
// KiB, or with more than 100 levels of brackets, is an error.
func ParseScopes(text string) (Scopes, error) {
	if len(text) > maxScopeString {
		return nil, fmt.Errorf("scopes: %d bytes, more than %d", len(text), maxScopeString)
	}
	p := scopeParser{text: text}
	list, err := p.list(0)
	if err == nil && p.pos < len(text) {
		err = p.problem("no bracket is open") // a list ends only at the end or at a bracket
	}
	if err != nil {
		return nil, err
	}
	if err := checkCycles(list); err != nil {
		return nil, err
	}
	return merge(list), nil
}

type scopeParser struct {
	text string
	pos  int
}

// next returns the next byte, or 0 at the end. A zero byte in a name does no
// harm: names are read whole.
func (p *scopeParser) next() byte {
	if p.pos == len(p.text) {
		return 0
	}
	return p.text[p.pos]
}

func (p *scopeParser) problem(format string, args ...any) error {
	return fmt.Errorf("scopes, byte %d: "+format, append([]any{p.pos + 1}, args...)...)
}

// list reads scopes up to the end or to a closing bracket.
func (p *scopeParser) list(depth int) ([]Scope, error) {
	if depth > maxScopeDepth {
		return nil, p.problem("more than %d brackets in brackets", maxScopeDepth)
	}
	var list []Scope
	for {
		scope, err := p.scope(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, scope)
		if p.next() != ' ' {
			return list, nil
		}
		p.pos++
	}
}

// scope reads one scope and what may follow it.
func (p *scopeParser) scope(depth int) (Scope, error) {
	var s Scope
	if p.next() == '*' {
		s.Optional = true
		p.pos++
	}
	rest := p.text[p.pos:]
	end := strings.IndexAny(rest, "[]* ")
	if end < 0 {
		end = len(rest)
	}
	if end == 0 {
		return s, p.problem("a scope is missing")
	}
	s.Name = rest[:end]
	p.pos += end

	if p.next() == '[' {
		p.pos++
		var err error
		if s.Dependencies, err = p.list(depth + 1); err != nil {
			return s, err
		}
		if p.next() != ']' {
			return s, p.problem("a bracket is not closed")
		}
		p.pos++
	}
	if p.pos < len(p.text) && p.next() != ' ' && p.next() != ']' {
		return s, p.problem("%q follows a scope", p.next())
	}
	return s, nil
}

// checkCycles refuses scopes that depend on themselves.
func checkCycles(list []Scope) error {
	edges := map[string][]string{}
	collect(list, edges)
	const open, done = 1, 2
	state := make(map[string]int, len(edges))
	var visit func(name string) error
	visit = func(name string) error {
		switch state[name] {
		case open:
			return fmt.Errorf("scopes: %s depends on itself", name)
		case done:
			return nil
		}
		state[name] = open
		for _, next := range edges[name] {
			if err := visit(next); err != nil {
				return err
			}
		}
		state[name] = done
		return nil
	}
	for name := range edges {
		if err := visit(name); err != nil {
			return err
		}
	}
	return nil
}

func collect(list []Scope, edges map[string][]string) {
	for _, scope := range list {
		for _, dependency := range scope.Dependencies {
			edges[scope.Name] = append(edges[scope.Name], dependency.Name)
		}
		collect(scope.Dependencies, edges)
	}
}
