package jobs

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/globus-runner/globus-runner/internal/spelling"
)

// maxProblems is how many problems are reported. If there are more, they are probably the same
// one again and again.
const maxProblems = 1000

// A source walks over the nodes of one jobs file.
type source struct {
	*parser
	name  string
	lines []string

	// marks are the values by field, for checks that come later, and meant are
	// the fields that misspelled keys were probably meant to be.
	marks    map[string]ast.Node
	meant    map[string]bool
	jobsNode ast.Node
	toTell   ast.Node // the channels
	job      string   // name of the job that is read
	env      map[string]string
	defaults defaults
}

func newSource(p *parser, src Source) *source {
	s := &source{parser: p, name: src.Name, marks: map[string]ast.Node{}, meant: map[string]bool{}, env: map[string]string{}}
	s.defaults.transfer.VerifyChecksum = true
	return s
}

// A decoder reads the value of a field and reports what is wrong with it.
type decoder func(n ast.Node, field string)

// keys are the decoders of a mapping by key. A key that belongs into the list "steps" of the
// mapping has a nil decoder.
type keys map[string]decoder

// names returns the keys that are possible.
func (k keys) names() (all []string) {
	for _, name := range slices.Sorted(maps.Keys(k)) {
		if k[name] != nil {
			all = append(all, name)
		}
	}
	return all
}

// problem reports what is wrong at n; the message says what would be right.
func (s *source) problem(n ast.Node, field, format string, args ...any) {
	s.problemAt(position(n), 0, field, format, args...)
}

// problemOf is problem for a field that was given.
func (s *source) problemOf(field, format string, args ...any) {
	s.problem(s.marks[field], field, format, args...)
}

// problemAt is problem for a place that lies some characters after at.
func (s *source) problemAt(at *token.Position, offset int, field, format string, args ...any) {
	s.report(s.note(at, offset, field, fmt.Sprintf(format, args...)))
}

func (p *parser) report(problem *Problem) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, problem)
	}
}

// warn reports what looks wrong but does no harm.
func (s *source) warn(n ast.Node, field, format string, args ...any) {
	s.warnings = append(s.warnings, s.note(position(n), 0, field, fmt.Sprintf(format, args...)))
}

func (s *source) note(at *token.Position, offset int, field, msg string) *Problem {
	p := &Problem{File: s.name, Field: field, Msg: msg}
	if at != nil {
		p.Line, p.Col = at.Line, at.Column+offset
		if p.Line >= 1 && p.Line <= len(s.lines) {
			p.Snippet = s.lines[p.Line-1]
		}
	}
	return p
}

// position is where n begins.
func position(n ast.Node) *token.Position {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key // its own token is the colon behind it
	}
	return n.GetToken().Position
}

// where says where n is.
func (s *source) where(n ast.Node) string {
	return s.name + ":" + strconv.Itoa(position(n).Line)
}

// mapping reports whether n is a mapping.
func mapping(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// pairs yields keys and values of a mapping. What is not a mapping, and a key that
// comes twice, is a problem.
func (s *source) pairs(n ast.Node, field string) iter.Seq2[ast.Node, ast.Node] {
	return func(yield func(key, value ast.Node) bool) {
		if !mapping(n) {
			s.wrongType(n, field, "a mapping of keys and values")
			return
		}
		first := map[string]ast.Node{}
		for at, value := range entries(n) {
			key := at.GetToken().Value
			if other, ok := first[key]; ok {
				s.problem(at, join(field, key), "the key %q is in line %d already", key, other.GetToken().Position.Line)
				continue
			}
			first[key] = at
			if !yield(at, value) {
				return
			}
		}
	}
}

// entries yields keys and values of a mapping as they are. What is not a mapping
// has none.
func entries(n ast.Node) iter.Seq2[ast.Node, ast.Node] {
	return func(yield func(key, value ast.Node) bool) {
		switch n := n.(type) {
		case *ast.MappingNode:
			for _, pair := range n.Values {
				if !yield(pair.Key, pair.Value) {
					return
				}
			}
		case *ast.MappingValueNode:
			yield(n.Key, n.Value)
		}
	}
}

// object decodes a mapping. A key without a decoder is a problem.
func (s *source) object(n ast.Node, field string, decoders keys) {
	for key, value := range s.pairs(n, field) {
		name := key.GetToken().Value
		at := join(field, name)
		decode, known := decoders[name]
		if known && decode == nil {
			s.problem(key, at, "%s is a step; write steps: [{%s: …}]", name, name)
			s.meant[join(field, "steps")] = true
			continue
		}
		if !known {
			help := "possible are " + strings.Join(decoders.names(), ", ")
			if other := nearest(name, decoders); decoders["transfer"] != nil && s.ofTransfer(name) {
				help = "it belongs in transfer"
			} else if other != "" {
				help = "did you mean " + other + "?"
				s.meant[join(field, other)] = true
			}
			s.problem(key, at, "unknown key %q, %s", name, help)
			continue
		}
		s.marks[at] = value
		decode(value, at)
	}
}

// nearest returns the key that an unknown one was probably meant to be, or "".
func nearest(name string, decoders keys) string {
	if other := otherNames[name]; decoders[other] != nil {
		return other
	}
	return spelling.Nearest(name, decoders.names())
}

// otherNames are names that other programs have for the same thing.
var otherNames = map[string]string{
	"cron": "schedule", "timezone": "time_zone", "tz": "time_zone", "timeZone": "time_zone",
	"from": "source", "src": "source", "to": "destination", "dst": "destination", "dest": "destination",
	"deadline": "active_deadline", "timeout": "active_deadline", "activeDeadlineSeconds": "active_deadline",
	"startingDeadlineSeconds": "starting_deadline", "retries": "backoff_limit", "concurrency": "concurrency_policy",
	"depends_on": "after", "needs": "after", "batch": "manifest", "exclude": "filter_rules", "include": "filter_rules",
	"delete": "delete_destination_extra", "preserve_mtime": "preserve_timestamp", "encrypt": "encrypt_data",
	"foreach": "for_each", "forEach": "for_each", "items": "for_each", "watch": "for_each", "uuid": "id", "name": "description", "path": "paths", "endpoint": "collection",
	"principal": "with", "expiration_date": "expires", "notify_email": "notify", "notify_message": "message",
}

// has reports whether a field was given.
func (s *source) has(field string) bool { return s.marks[field] != nil }

// said returns the truth value that was given for a field, if there is one.
func (s *source) said(field string) (is, given bool) {
	b, given := s.marks[field].(*ast.BoolNode)
	return given && b.Value, given
}

// tried reports whether a field was given, even with a misspelled key.
func (s *source) tried(field string) bool { return s.has(field) || s.meant[field] }

// require reports a key that is missing in n.
func (s *source) require(n ast.Node, field, key, want string) {
	if mapping(n) && !s.tried(join(field, key)) {
		s.problem(n, field, "the key %q is missing, %s", key, want)
	}
}

// items yields the elements of a list that has at least some of them.
func (s *source) items(n ast.Node, field string, least int) iter.Seq2[int, ast.Node] {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		want := "a list"
		if text, ok := n.(*ast.StringNode); ok {
			want += ", such as [" + strconv.Quote(short(text.Value)) + "]"
		}
		s.wrongType(n, field, want)
		return func(func(int, ast.Node) bool) {}
	}
	if len(list.Values) < least {
		s.problem(n, field, "the list is empty, want at least %d", least)
	}
	return slices.All(list.Values)
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

func element(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// wrongType reports a value of the wrong type.
func (s *source) wrongType(n ast.Node, field, want string) {
	got := n.GetToken().Value
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		got = "a mapping"
		if strings.HasPrefix(want, "text") && unquoted(n) {
			want += "; one that begins with { needs quotes"
		}
	case *ast.SequenceNode:
		got = "a list"
	case *ast.NullNode:
		got = "nothing"
	case *ast.StringNode:
		got = strconv.Quote(short(n.Value))
	case *ast.LiteralNode:
		got = "a block of text"
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		if strings.HasPrefix(want, "text") {
			want += ", in quotes if you mean it"
		}
	}
	s.problem(n, field, "got %s, want %s", got, want)
}

// unquoted reports whether a mapping is text that begins with a brace: {date} is a
// key without a value, and {{ .Job }} one that is a mapping.
func unquoted(n ast.Node) bool {
	for key, value := range entries(n) {
		_, nothing := value.(*ast.NullNode)
		if nothing || mapping(key) {
			return true
		}
	}
	return false
}

// number reports whether a value is a number: where an id belongs, quotes around it would not
// help.
func number(n ast.Node) bool {
	switch n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return true
	}
	return false
}

// short cuts a text for a message.
func short(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
