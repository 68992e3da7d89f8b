package jobs

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	yamlparser "github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

const (
	maxSource  = 4 << 20 // size of the largest jobs file, in bytes
	maxNesting = 32      // of lists and of mappings; a good file has 8
)

// read parses the YAML of a source and returns its root, or nil after it has
// reported why there is none.
func (s *source) read(data []byte) ast.Node {
	if len(data) > maxSource {
		s.problemAt(nil, 0, "", "the file has %d bytes, at most %d are possible; use several files", len(data), maxSource)
		return nil
	}
	text := strings.TrimPrefix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\ufeff")
	s.lines = strings.Split(text, "\n")
	if !s.readable() {
		return nil
	}
	parts := split(lexer.Tokenize(text))
	if !s.plain(parts) {
		return nil
	}
	file, err := parseParts(parts)
	if err != nil {
		s.syntax(err, parts)
		return nil
	}
	var root ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.CommentType:
		case root != nil:
			s.problem(doc.Body, "", "a second document begins here, want one in a file")
			return nil
		default:
			root = doc.Body
		}
	}
	if root == nil {
		s.problemAt(&token.Position{Line: 1, Column: 1}, 0, "", "the file is empty, begin with version: 1")
		return nil
	}
	if !mapping(root) {
		s.wrongType(root, "", "a mapping that begins with version: 1")
		return nil
	}
	return root
}

// parseYAML parses tokens. If the parser, which is not ours, panics, the input is reported as
// wrong.
func parseYAML(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("this is not YAML: %v", r)
		}
	}()
	return yamlparser.Parse(tokens, 0, yamlparser.AllowDuplicateMapKey())
}

// readable reports bytes that no jobs file has.
func (s *source) readable() bool {
	good := true
	for i, line := range s.lines {
		for col, r := range []rune(line) {
			at := &token.Position{Line: i + 1, Column: col + 1}
			switch {
			case r == utf8.RuneError && !utf8.ValidString(line):
				s.lines[i] = strings.ToValidUTF8(line, "\ufffd")
				s.problemAt(at, 0, "", "the text is not UTF-8")
			case r < ' ' && r != '\t' || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029':
				s.problemAt(at, 0, "", "there is a control character here (%U)", r)
			default:
				continue
			}
			good = false
			break
		}
	}
	return good
}

// refused are the parts of YAML that a jobs file does not need, because they
// hide what it says.
var refused = map[token.Type]string{
	token.AnchorType:     "anchors are not possible; what several jobs share belongs in defaults",
	token.AliasType:      "aliases are not possible; what several jobs share belongs in defaults, and a text that begins with * needs quotes",
	token.MergeKeyType:   "merge keys are not possible; what several jobs share belongs in defaults",
	token.TagType:        "tags are not possible; a text that begins with ! needs quotes",
	token.DirectiveType:  "directives are not possible; a text that begins with % needs quotes",
	token.MappingKeyType: "keys with ? are not possible; write key: value",

	token.BinaryIntegerType: plainDigits,
	token.HexIntegerType:    plainDigits,
	token.OctetIntegerType:  plainDigits, // 010 is eight to some readers of YAML, ten to others
}

const plainDigits = "a number is written in decimal digits, without 0 in front or _ in between; a text like that needs quotes"

// refusal says why a token is refused; it is empty if it is not.
func refusal(t *token.Token) string {
	switch {
	case t.Type == token.IntegerType && strings.Contains(t.Value, "_"):
		return plainDigits
	case t.Type == token.InvalidType && strings.HasPrefix(t.Origin, "\t"):
		return "a tab before a key, want a blank"
	case losesTab(t):
		return "a tab in a text, want a blank; a tab that belongs to the text is \\t in double quotes"
	}
	return refused[t.Type]
}

// losesTab reports whether a text has a tab that the lexer, which is not ours, leaves out, or
// behind which it loses the end of the line.
func losesTab(t *token.Token) bool {
	return strings.Contains(strings.TrimSpace(t.Origin), "\t") &&
		(t.Type == token.DoubleQuoteType || !strings.Contains(t.Value, "\t"))
}

// plain reports tokens that are refused, and input that would take the parser too long.
func (s *source) plain(parts []token.Tokens) bool {
	good := true
	for _, tokens := range parts {
		size := sizing{keys: map[int]int{}}
		refusedLine := 0 // one problem for each line is enough: * * * * * has five aliases
		for _, t := range tokens {
			if msg := size.add(t); msg != "" {
				s.problemAt(t.Position, 0, "", "%s", msg)
				return false
			}
			if msg := refusal(t); msg != "" && t.Position.Line != refusedLine {
				good, refusedLine = false, t.Position.Line
				if text := s.unquoted(t.Position); text != "" && msg == refused[t.Type] {
					msg = fmt.Sprintf("a text that begins with %c needs quotes, since YAML has another meaning for it: write %q", text[0], text)
				}
				s.problemAt(t.Position, 0, "", "%s", msg)
			}
		}
	}
	return good
}

// A sizing follows the tokens of a file and tells when there is more than the
// parser can take: it goes down one call for each level, and the time for a
// mapping grows with the square of its keys.
type sizing struct {
	flow    int // open brackets
	line    int
	entries int         // list entries that begin in line
	keys    map[int]int // in the open block mapping of a column
	effort  int
}

// maxEffort is reached by a mapping of 15 000 keys, other than that of the jobs.
const maxEffort = 15_000 * 15_000 / 2

// add counts a token and returns what is too much, or nothing.
func (z *sizing) add(t *token.Token) string {
	if t.Position.Line != z.line {
		z.line, z.entries = t.Position.Line, 0
	}
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		z.flow++
	case token.SequenceEndType, token.MappingEndType:
		z.flow--
	case token.SequenceEntryType:
		z.entries++
	case token.MappingValueType:
		if z.flow > 0 || t.Prev == nil {
			break
		}
		column := t.Prev.Position.Column
		for other := range z.keys {
			if other > column {
				delete(z.keys, other)
			}
		}
		z.keys[column]++
		z.effort += z.keys[column]
	}
	switch {
	case z.flow > maxNesting, z.entries > maxNesting, len(z.keys) > maxNesting:
		return "the nesting is too deep"
	case z.effort > maxEffort:
		return "there are too many keys in one file; use several files"
	}
	return ""
}

// unquotedSchedule is the end of a line on which a schedule has no quotes.
var unquotedSchedule = pattern.Lazy(`\bschedule["']?:\s*$`)

// unquoted returns the schedule that begins at a place without quotes, or "".
func (s *source) unquoted(at *token.Position) string {
	if at == nil || at.Line < 1 || at.Line > len(s.lines) {
		return ""
	}
	line := []rune(s.lines[at.Line-1])
	begin := min(max(0, at.Column-1), len(line))
	before, text := string(line[:begin]), string(line[begin:])
	if !unquotedSchedule().MatchString(before) {
		return ""
	}
	text, _, _ = strings.Cut(text, " #")
	if strings.Contains(before, "{") { // the mapping goes on behind it
		text = text[:len(text)-len(strings.TrimLeft(text, "*/0123456789 ,-@abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
		text, _, _ = strings.Cut(text, ", ")
	}
	return strings.TrimSpace(text)
}

const quoteNotClosed = "the quote that begins here is not closed in this line"

var unquotedTemplate = pattern.Lazy(`(^|[:\-,\[]\s+)\{\{`)

// colonInText is a key with a text that looks as if it had a key as well.
var colonInText = pattern.Lazy(`^\s*(- )?[\w-]+:\s+[^"'{\[|>#][^#]*:\s`)

// openQuote returns the first text in quotes that goes on in the next line, of those before
// the token that is wrong, or nil.
func openQuote(parts []token.Tokens, wrong *token.Token) *token.Token {
	for _, tokens := range parts {
		for _, t := range tokens {
			quoted := t.Type == token.DoubleQuoteType || t.Type == token.SingleQuoteType
			switch {
			case t == wrong:
				return nil
			case quoted && strings.Contains(strings.TrimSpace(t.Origin), "\n"):
				return t
			}
		}
	}
	return nil
}

// syntax reports an error of the YAML parser in tokens.
func (s *source) syntax(err error, parts []token.Tokens) {
	var wrong *token.Token
	var at *token.Position
	var msg string
	if e, ok := err.(interface {
		GetToken() *token.Token
		GetMessage() string
	}); ok {
		msg = e.GetMessage()
		if wrong = e.GetToken(); wrong != nil {
			at = wrong.Position
		}
	} else {
		msg = err.Error()
	}
	p := s.note(at, 0, "", "")
	begin := p.Snippet[:len(p.Snippet)-len(strings.TrimLeft(p.Snippet, " \t"))]
	switch {
	case strings.Contains(begin, "\t"), strings.Contains(msg, "'\t'"):
		msg = "a tab in the indentation, want blanks"
	case strings.HasPrefix(msg, "could not find end character of "):
		msg = quoteNotClosed
	case strings.Contains(msg, "flow mapping end token '}'"):
		msg = "the { in this line is not closed"
	case strings.Contains(msg, "sequence end token ']'"):
		msg = "the [ in this line is not closed"
	case msg == "',' or '}' must be specified":
		msg = "a comma or } is missing before this, or the { above is not closed"
	case msg == "',' or ']' must be specified":
		msg = "a comma or ] is missing before this, or the [ above is not closed"
	case unquotedTemplate().MatchString(p.Snippet):
		msg = "a text that begins with {{ needs quotes"
	case strings.Contains(msg, "is a reserved character"):
		msg += "; a text that begins with it needs quotes"
		if text := s.unquoted(at); text != "" {
			msg += fmt.Sprintf(": write %q", text)
		}
	}
	if strings.Contains(msg, "not allowed in this context") {
		if quote := openQuote(parts, wrong); quote != nil {
			at, msg = quote.Position, quoteNotClosed
		} else if line, why := misplaced(s.lines); why != "" {
			at, msg = line, why
		} else if colonInText().MatchString(p.Snippet) {
			msg = "a text with a colon and a blank in it needs quotes"
		}
	}
	s.problemAt(at, 0, "", "%s", msg)
}
