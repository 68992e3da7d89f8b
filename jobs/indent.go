package jobs

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/token"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// keyLine is the rest of a line that begins with a key.
var keyLine = pattern.Lazy(`^("[^"]*"|'[^']*'|[^\s#"'{\[][^#]*?):(\s|$)`)

// misplaced returns the first line of a file that begins in a column where no key can begin,
// and says why, or nothing if there is none. It knows just enough YAML to find the mistake in
// a text that the parser has refused.
func misplaced(lines []string) (at *token.Position, why string) {
	var in indents
	for i, line := range lines {
		text := strings.TrimLeft(line, " ")
		if text == "" || text[0] == '#' || in.skips(len(line)-len(text), text) {
			continue
		}
		if why := in.add(len(line)-len(text), text); why != "" {
			return &token.Position{Line: i + 1, Column: len(line) - len(text) + 1}, why
		}
	}
	return nil, ""
}

// indents follows the indentation of a file, line by line. Columns count from 0.
type indents struct {
	open   []int // columns of the mappings and lists that a line may go on with
	closed bool  // the last line has a value, so that nothing can stand below it
	block  int   // column of the key whose text goes on below it, plus 1; 0 if there is none
	flow   int   // brackets that are open
}

// skips reports whether a line is within a text or within brackets.
func (in *indents) skips(column int, text string) bool {
	if in.flow > 0 {
		in.flow = max(0, in.flow+brackets(text))
		return true
	}
	if in.block > 0 && column >= in.block {
		return true
	}
	in.block = 0
	return false
}

// add takes a line that begins in a column, and says what is wrong with that.
func (in *indents) add(column int, text string) (why string) {
	entry := text == "-" || strings.HasPrefix(text, "- ")
	if !entry && !keyLine().MatchString(text) {
		return "" // a text that goes on
	}
	beside := -1
	for len(in.open) > 0 && in.open[len(in.open)-1] > column {
		beside = in.open[len(in.open)-1]
		in.open = in.open[:len(in.open)-1]
	}
	fits := len(in.open) > 0 && in.open[len(in.open)-1] == column
	switch {
	case !fits && beside >= 0:
		return fmt.Sprintf("this line begins in column %d, which fits no key above; its neighbors begin in column %d", column+1, beside+1)
	case !fits && in.closed:
		return fmt.Sprintf("this line begins in column %d, deeper than the key above it, which has a value already; its neighbors begin in column %d",
			column+1, in.open[len(in.open)-1]+1)
	case !fits:
		in.open = append(in.open, column)
	}
	in.closed = false
	if entry {
		rest := strings.TrimLeft(text[1:], " ")
		if keyLine().MatchString(rest) || strings.HasPrefix(rest, "- ") {
			return in.add(column+len(text)-len(rest), rest)
		}
		in.close(column, rest)
		return ""
	}
	in.close(column, strings.TrimSpace(text[len(strings.TrimRight(keyLine().FindString(text), " ")):]))
	return ""
}

// close handles what comes after a key or a dash.
func (in *indents) close(column int, value string) {
	switch {
	case value == "" || value[0] == '#':
		return
	case value[0] == '|' || value[0] == '>':
		in.block = column + 1
	default:
		in.flow = max(0, brackets(value))
	}
	in.closed = true
}

// brackets is how many brackets a text opens that it does not close.
func brackets(text string) (open int) {
	quote := rune(0)
	for _, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '{' || r == '[':
			open++
		case r == '}' || r == ']':
			open--
		}
	}
	return open
}
