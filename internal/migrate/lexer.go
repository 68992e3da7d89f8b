package migrate

import (
	"errors"
	"fmt"
	"strings"
)

// A token is an operator of the shell, or a word.
type token struct {
	op   string // such as && or >>; empty for a word
	word word
}

// is reports whether a token is an operator, or a word without quotes.
func (t token) is(text string) bool {
	return t.op == text || len(t.word) == 1 && t.word[0] == part{text: text}
}

// A word is a shell word before its expansion.
type word []part

// A part is a piece of a word.
type part struct {
	kind   partKind
	text   string // literal text, a variable's name, or a command
	quoted bool
}

type partKind int

const (
	bare partKind = iota
	variable
	substitution
)

// operators of the shell, the longer ones first.
func operators() []string {
	return []string{"&>>", "<<<", "<<-", "&&", "||", ";;", "|&", "&>", ">>", ">|", ">&", "<<", "<&", "<>", ";", "|", "&", "(", ")", "<", ">", "\n"}
}

// A lexer splits a command line as sh does.
type lexer struct {
	text   string
	pos    int
	tokens []token
	word   word
	inWord bool
}

// lex returns the tokens of a command line.
func lex(text string) ([]token, error) {
	l := lexer{text: text}
	for l.pos < len(l.text) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.endWord()
	return l.tokens, nil
}

// next reads the next token or part.
func (l *lexer) next() error {
	c := l.text[l.pos]
	switch {
	case c == ' ' || c == '\t' || c == '\r':
		l.endWord()
		l.pos++
	case c == '#' && !l.inWord:
		if end := strings.IndexByte(l.text[l.pos:], '\n'); end >= 0 {
			l.pos += end
		} else {
			l.pos = len(l.text)
		}
	case c == '\'':
		return l.single()
	case c == '"':
		return l.double()
	case c == '\\':
		if l.pos+1 == len(l.text) {
			return errors.New("it ends in a backslash")
		}
		l.add(part{text: l.text[l.pos+1 : l.pos+2], quoted: true})
		l.pos += 2
	case c == '$' || c == '`':
		return l.expansion(false)
	default:
		for _, op := range operators() {
			if strings.HasPrefix(l.text[l.pos:], op) {
				l.operator(op)
				return nil
			}
		}
		n := 1 + ordinary(l.text[l.pos+1:], " \t\r\n'\"\\$`;|&()<>")
		l.add(part{text: l.text[l.pos : l.pos+n]})
		l.pos += n
	}
	return nil
}

// ordinary returns the length of text before its first special character.
func ordinary(text, special string) int {
	if n := strings.IndexAny(text, special); n >= 0 {
		return n
	}
	return len(text)
}

// operator adds an operator. Digits right before a redirection are its number.
func (l *lexer) operator(op string) {
	redirects := strings.ContainsAny(op, "<>")
	if redirects && l.inWord && len(l.word) == 1 && !l.word[0].quoted && l.word[0].kind == bare && strings.Trim(l.word[0].text, "0123456789") == "" {
		l.word, l.inWord = nil, false
	}
	l.endWord()
	l.tokens = append(l.tokens, token{op: op})
	l.pos += len(op)
}

func (l *lexer) endWord() {
	if l.inWord {
		l.tokens = append(l.tokens, token{word: l.word})
	}
	l.word, l.inWord = nil, false
}

// add adds a part to the word. Plain text of the same kind is joined.
func (l *lexer) add(p part) {
	l.inWord = true
	if n := len(l.word); n > 0 && p.kind == bare && l.word[n-1].kind == bare && l.word[n-1].quoted == p.quoted {
		l.word[n-1].text += p.text
		return
	}
	l.word = append(l.word, p)
}

func (l *lexer) single() error {
	end := strings.IndexByte(l.text[l.pos+1:], '\'')
	if end < 0 {
		return errors.New("the quote ' is not closed")
	}
	l.add(part{text: l.text[l.pos+1 : l.pos+1+end], quoted: true})
	l.pos += end + 2
	return nil
}

func (l *lexer) double() error {
	l.pos++
	l.add(part{quoted: true})
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case c == '"':
			l.pos++
			return nil
		case c == '\\' && l.pos+1 < len(l.text) && strings.IndexByte("$`\"\\", l.text[l.pos+1]) >= 0:
			l.add(part{text: l.text[l.pos+1 : l.pos+2], quoted: true})
			l.pos += 2
		case c == '$' || c == '`':
			if err := l.expansion(true); err != nil {
				return err
			}
		default:
			n := 1 + ordinary(l.text[l.pos+1:], "\"\\$`")
			l.add(part{text: l.text[l.pos : l.pos+n], quoted: true})
			l.pos += n
		}
	}
	return errors.New(`the quote " is not closed`)
}

// expansion reads $NAME, ${NAME}, $(...) or `...`.
func (l *lexer) expansion(quoted bool) error {
	rest := l.text[l.pos:]
	if rest[0] == '`' {
		end := strings.IndexByte(rest[1:], '`')
		if end < 0 {
			return errors.New("the ` is not closed")
		}
		l.add(part{substitution, rest[1 : 1+end], quoted})
		l.pos += end + 2
		return nil
	}
	switch {
	case strings.HasPrefix(rest, "$(("):
		return errors.New("$((...)) is arithmetic, which a jobs file does not have")
	case strings.HasPrefix(rest, "$("):
		end := closing(rest[2:])
		if end < 0 {
			return errors.New("the $( is not closed")
		}
		l.add(part{substitution, rest[2 : 2+end], quoted})
		l.pos += end + 3
		return nil
	case strings.HasPrefix(rest, "${"):
		end := strings.IndexByte(rest, '}')
		switch {
		case end < 0:
			return errors.New("the ${ is not closed")
		case end == 2 || nameLength(rest[2:end]) != end-2:
			return fmt.Errorf("%s is more than the name of a variable", short(rest[:end+1]))
		}
		l.add(part{variable, rest[2:end], quoted})
		l.pos += end + 1
		return nil
	}
	n := nameLength(rest[1:])
	if n == 0 && len(rest) > 1 && strings.IndexByte("?$!#@*-0123456789", rest[1]) >= 0 {
		n = 1
	}
	if n == 0 {
		l.add(part{text: "$", quoted: quoted})
	} else {
		l.add(part{variable, rest[1 : 1+n], quoted})
	}
	l.pos += 1 + n
	return nil
}

// nameLength returns the length of the variable name that text begins with.
func nameLength(text string) int {
	for i, r := range []byte(text) {
		if r != '_' && (r|0x20 < 'a' || r|0x20 > 'z') && (i == 0 || r < '0' || r > '9') {
			return i
		}
	}
	return len(text)
}

// closing returns the index of the parenthesis that closes one opened before
// text, or -1.
func closing(text string) int {
	depth, quote := 1, byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
