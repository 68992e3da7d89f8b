package migrate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// A shell is the environment of a command line: variables whose values are
// known, and the current folder.
type shell struct {
	vars map[string]string // values in the form of the jobs file: templates
	home string            // empty if it is not known
	dir  string            // the current folder; empty for the home folder
	// What the expansions so far have used.
	dates bool // the local time
	utc   bool // the time in UTC
	// Files that the line has sourced, and the variables used since that
	// they may have set.
	sourced  []string
	doubtful map[string]bool
	doubted  []string // as $NAME
}

// source remembers that a file with unknown contents was sourced.
func (s *shell) source(text string) {
	s.sourced = append(s.sourced, text)
	s.doubtful = map[string]bool{}
	for name := range s.vars {
		s.doubtful[name] = true
	}
}

// A simple is a simple command of a command line.
type simple struct {
	before string // the operator before it: ; && || | & or ""
	sets   []assignment
	words  []word
	in     word     // file that is its standard input
	outs   []string // redirections of its output
	group  bool     // it represents a group after ||
}

type assignment struct {
	name  string
	value word
}

// ungroup removes parentheses or braces around all commands, except those that
// only process the output. It returns the tokens inside and the rest.
func ungroup(tokens []token) (inner, rest []token) {
	if len(tokens) == 0 {
		return nil, nil
	}
	end := group(tokens)
	if end == 0 {
		return tokens, nil
	}
	rest = tokens[end:]
	if len(rest) > 1 && slices.Contains([]string{"", "&&", ";", "&"}, rest[0].op) {
		return tokens, nil // the rest must not see what the group changed
	}
	return tokens[1 : end-1], rest
}

// parseCommands splits tokens into simple commands.
func parseCommands(tokens []token) ([]simple, error) {
	var list []simple
	var cur simple
	end := func(op string) {
		switch op {
		case "\n", ";;":
			op = ";"
		case "|&":
			op = "|"
		}
		if len(cur.sets)+len(cur.words) > 0 {
			list = append(list, cur)
		}
		cur = simple{before: op}
	}
	for i := 0; i < len(tokens); i++ {
		if cur.before == "||" && len(cur.words) == 0 {
			if n := group(tokens[i:]); n > 0 {
				cur.words, cur.group = wordsOf(tokens[i+1:i+n-1]), true
				i += n - 1
				continue
			}
		}
		switch op := tokens[i].op; op {
		case "":
			cur.addWord(tokens[i].word)
		case "(", ")", "<<", "<<-", "<<<":
			return nil, fmt.Errorf("%q is more than a list of commands", op)
		case "\n", ";", ";;", "&&", "||", "|", "|&", "&":
			end(op)
		default: // a redirection
			if i++; i == len(tokens) || tokens[i].op != "" {
				return nil, fmt.Errorf("there is no file after %s", op)
			}
			switch {
			case op == "<":
				cur.in = tokens[i].word
			case !strings.HasSuffix(op, "&"): // not 2>&1
				cur.outs = append(cur.outs, op+" "+tokens[i].word.String())
			}
		}
	}
	end("")
	return list, nil
}

// group returns the length of the group that tokens begin with, or 0. After ||,
// a group counts as one command.
func group(tokens []token) int {
	for _, pair := range [][2]string{{"(", ")"}, {"{", "}"}} {
		if tokens[0].is(pair[0]) {
			return slices.IndexFunc(tokens, func(t token) bool { return t.is(pair[1]) }) + 1
		}
	}
	return 0
}

// wordsOf returns the words among tokens.
func wordsOf(tokens []token) (words []word) {
	for _, t := range tokens {
		if t.op == "" {
			words = append(words, t.word)
		}
	}
	return words
}

// addWord adds a word, which is an assignment if it looks like one and no other
// word but export came before.
func (c *simple) addWord(w word) {
	first := len(c.words) == 0 || len(c.words) == 1 && c.words[0].String() == "export"
	if first && w[0].kind == bare && !w[0].quoted {
		n := nameLength(w[0].text)
		if value, ok := strings.CutPrefix(w[0].text[n:], "="); ok && n > 0 {
			rest := append(word{{text: value}}, w[1:]...)
			c.sets = append(c.sets, assignment{w[0].text[:n], rest})
			return
		}
	}
	c.words = append(c.words, w)
}

// String returns the word more or less as it was written, for messages.
func (w word) String() string {
	var b strings.Builder
	for _, p := range w {
		switch p.kind {
		case variable:
			b.WriteString("$" + p.text)
		case substitution:
			b.WriteString("$(" + p.text + ")")
		default:
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// String returns the command more or less as it was written, for messages.
func (c *simple) String() string {
	var words []string
	for _, s := range c.sets {
		words = append(words, s.name+"="+s.value.String())
	}
	for _, w := range c.words {
		words = append(words, w.String())
	}
	return strings.Join(words, " ")
}

// expandAll expands words into arguments.
func (s *shell) expandAll(words []word) ([]string, error) {
	var args []string
	for _, w := range words {
		more, err := s.expand(w)
		if err != nil {
			return nil, err
		}
		args = append(args, more...)
	}
	return args, nil
}

var braces = pattern.Lazy(`\{[^{}]*(,|\.\.)[^{}]*\}`)

// expand expands a word into arguments. They are templates: braces in the text
// are escaped, and a date is an action.
func (s *shell) expand(w word) ([]string, error) {
	var args []string
	var cur strings.Builder
	started := false
	for i, p := range w {
		switch text, err := s.expandPart(p, i == 0); {
		case err != nil:
			return nil, err
		case p.kind == variable && !p.quoted && !isTemplate(text):
			for j, field := range strings.FieldsFunc(text+" ", blank) {
				if j > 0 || started && blankAt(text, 0) {
					args = append(args, cur.String())
					cur.Reset()
				}
				cur.WriteString(field)
				started = true
			}
			if started && blankAt(text, len(text)-1) {
				args = append(args, cur.String())
				cur.Reset()
				started = false
			}
		default:
			cur.WriteString(text)
			started = started || p.quoted || text != ""
		}
	}
	if started {
		args = append(args, cur.String())
	}
	return args, nil
}

func blank(r rune) bool { return r == ' ' || r == '\t' || r == '\n' }

// blankAt reports whether a text has a blank at index i.
func blankAt(text string, i int) bool {
	return i >= 0 && i < len(text) && blank(rune(text[i]))
}

// expandPart expands a part of a word; first says that the word begins with it.
func (s *shell) expandPart(p part, first bool) (string, error) {
	switch p.kind {
	case variable:
		value, ok := s.vars[p.text]
		if !ok {
			return "", fmt.Errorf("$%s: its value is not known here; set it in the crontab, such as %s=/data", p.text, p.text)
		}
		if name := "$" + p.text; s.doubtful[p.text] && !slices.Contains(s.doubted, name) {
			s.doubted = append(s.doubted, name)
		}
		return value, nil
	case substitution:
		return s.date(p.text)
	}
	text := p.text
	switch {
	case p.quoted:
	case braces().MatchString(text):
		return "", fmt.Errorf("%s: braces stand for several words; write these out", short(text))
	case first && (text == "~" || strings.HasPrefix(text, "~/")):
		if s.home == "" {
			return "", fmt.Errorf("%s: the home folder is not known here; write it out", short(text))
		}
		text = s.home + text[1:]
	}
	return literal(text), nil
}
