package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/internal/spelling"
)

// sampleTime is the instant for which templates are tried.
func sampleTime() time.Time { return time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC) }

func sampleKey() Key { return ScheduledKey(sampleTime()) }

// A scope is what the templates of a job may name.
type scope struct {
	env  map[string]string
	item *Item // nil if there is none
}

// sampleEnv has a value for each variable that templates may read.
func (s *source) sampleEnv() map[string]string {
	if len(s.env) == 0 {
		return nil
	}
	env := maps.Clone(s.env)
	for name, value := range env {
		if value == "" {
			env[name] = "sample"
		}
	}
	return env
}

// sample executes a template that begins some characters after the beginning of
// n, and reports what is wrong with it.
func (s *source) sample(n ast.Node, field, text string, offset int) (string, bool) {
	in := scope{env: s.sampleEnv()}
	each, _ := s.eachOf(s.job)
	if each != nil {
		in.item = each.Sample()
	}
	sampled, err := renderText(text, momentOf(&Job{Name: s.job}, sampleKey(), sampleTime(), in.item), in)
	if err == nil {
		s.doubtTemplate(n, field, text)
		return sampled, true
	}
	if each != nil && each.vague {
		return "", false // there is a problem already, which may be the reason
	}
	fault, ok := errors.AsType[*templateError](err)
	switch scalar, plain := n.(*ast.StringNode); {
	case !ok || !plain:
		offset = 0 // lines of a block of text are not counted
	default:
		if t := scalar.Token.Type; t == token.DoubleQuoteType || t == token.SingleQuoteType {
			offset++
		}
		offset += utf8.RuneCountInString(text[:min(fault.offset, len(text))])
	}
	s.problemAt(n.GetToken().Position, offset, field, "%v", err)
	return "", false
}

// functions are those of the templates.
func functions(env map[string]string) template.FuncMap {
	return template.FuncMap{
		"strftime": func(format string, i instant) (string, error) { return strftime(format, i.time) },
		"date":     func(i instant) string { return i.time.Format(time.DateOnly) },
		"add":      addTime,
		"env": func(name string) (string, error) {
			value, ok := env[name]
			switch {
			case !ok:
				return "", fmt.Errorf("%s is not in the file's env list", name)
			case value == "":
				return "", fmt.Errorf("%s is not set", name)
			}
			return value, nil
		},
	}
}

// addTime returns the instant some time after i, or before.
func addTime(text string, i instant) (instant, error) {
	plain, minus := strings.CutPrefix(text, "-")
	plain = strings.TrimPrefix(plain, "+")
	d, err := ParseDuration(plain)
	if err != nil {
		return i, fmt.Errorf("%q is not a duration such as -24h or -1d", short(text))
	}
	days := 0
	for _, part := range durationPart().FindAllStringSubmatch(plain, -1) {
		if part[2] == "d" {
			n, _ := ParseDuration(part[0]) // a part of what was good
			days += int(n / day)
		}
	}
	d -= time.Duration(days) * day
	if minus {
		d, days = -d, -days
	}
	return instant{i.time.AddDate(0, 0, days).Add(d)}, nil
}

// renderText executes a template that parses.
func renderText(text string, m moment, in scope) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	tree, err := parseTemplate(text)
	if err == nil {
		err = in.checkTemplate(tree)
	}
	if err != nil {
		return "", err
	}
	t, err := template.New("").Funcs(functions(in.env)).Option("missingkey=error").AddParseTree("", tree)
	if err != nil {
		return "", templateFault(err, 0)
	}
	var b strings.Builder
	if err := t.Execute(&b, m); err != nil {
		return "", templateFault(err, 0)
	}
	return b.String(), nil
}

// A templateError is a mistake in a template.
type templateError struct {
	offset int // in bytes
	msg    string
}

func (e *templateError) Error() string { return e.msg }

// The package text/template puts this before its messages.
var templatePrefix = pattern.Lazy(`^template: [^:]*:\d+(:\d+)?: (executing "[^"]*" at )?(<.*>: error calling [a-z]+: )?`)

func templateFault(err error, offset int) *templateError {
	msg := templatePrefix().ReplaceAllString(err.Error(), "")
	if m := singleQuotes().FindStringSubmatch(msg); m != nil {
		msg = fmt.Sprintf("text in a template stands in double quotes: write %q there, and put the whole value into single quotes", m[1])
	} else if noQuotes().MatchString(msg) {
		msg = `text in a template stands in double quotes, such as strftime "%Y-%m-%d"`
	} else if notClosed().MatchString(msg) {
		msg = "it is not closed: write }} at its end"
	}
	return &templateError{offset, "template: " + msg}
}

// What package text/template says of mistakes that are told in other words.
var (
	singleQuotes = pattern.Lazy(`^malformed character constant: '(.*)'$`)
	noQuotes     = pattern.Lazy(`^unexpected "%" in operand`)
	notClosed    = pattern.Lazy(`^unexpected "}" in (operand|command)|^unclosed action`)
)

// parseTemplate parses a template.
func parseTemplate(text string) (*parse.Tree, error) {
	tree := parse.New("")
	tree.Mode = parse.SkipFuncCheck
	tree, err := tree.Parse(text, "", "", map[string]*parse.Tree{})
	if err != nil {
		return nil, templateFault(err, max(0, strings.Index(text, "{{")))
	}
	return tree, nil
}

// possible is what a template may do. Loops and the functions of text/template
// are left out, because a path needs none and some never end.
const possible = "possible are .Job, .Time, .Key, with for_each .Item.Name, and the functions strftime, date, add and env"

// checkTemplate reports what is not possible in a template.
func (in scope) checkTemplate(tree *parse.Tree) error {
	for _, n := range tree.Root.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
		case *parse.ActionNode:
			if err := in.checkPipe(n.Pipe); err != nil {
				return err
			}
		default:
			return &templateError{int(n.Position()), "template: there are only values here, no conditions and loops; " + possible}
		}
	}
	return nil
}

func (in scope) checkPipe(pipe *parse.PipeNode) error {
	if len(pipe.Decl) > 0 {
		return &templateError{int(pipe.Position()), "template: variables are not possible; " + possible}
	}
	for _, cmd := range pipe.Cmds {
		for i, arg := range cmd.Args {
			if err := in.checkArgument(arg, i); err != nil {
				return err
			}
		}
		switch f, _ := cmd.Args[0].(*parse.IdentifierNode); {
		case f == nil:
		case f.Ident == "env":
			if err := in.checkEnv(cmd); err != nil {
				return err
			}
		case f.Ident == "strftime" && !formatted(cmd):
			return &templateError{int(f.Position()), `template: strftime needs a format, such as strftime "%Y"`}
		}
	}
	return nil
}

// formatted reports whether a call of strftime has a format, which is its first argument.
func formatted(call *parse.CommandNode) bool {
	return len(call.Args) > 1 && call.Args[1].Type() != parse.NodeField
}

// checkArgument looks at the part i of a command.
func (in scope) checkArgument(arg parse.Node, i int) error {
	offset := int(arg.Position())
	switch arg := arg.(type) {
	case *parse.StringNode:
		return nil
	case *parse.PipeNode:
		return in.checkPipe(arg)
	case *parse.FieldNode:
		switch {
		case arg.Ident[0] == "Item":
			return in.checkItem(arg)
		case strings.EqualFold(arg.Ident[0], "Item"):
			parts := []string{"", "Item"}
			if len(arg.Ident) > 1 {
				parts = append(parts, cmp.Or(spelling.Nearest(arg.Ident[1], itemParts()), "Name"))
			}
			return &templateError{offset, fmt.Sprintf("template: there is no %s, did you mean %s?", short(arg.String()), strings.Join(parts, "."))}
		case len(arg.Ident) > 1:
			return &templateError{offset, fmt.Sprintf("template: %s has no parts, use strftime for those of a time", "."+arg.Ident[0])}
		case slices.Contains([]string{"Job", "Time", "Key"}, arg.Ident[0]):
			return nil
		}
		return &templateError{offset, fmt.Sprintf("template: there is no .%s%s", short(arg.Ident[0]), cmp.Or(spelling.Hint(arg.Ident[0], "Job", "Time", "Key", "Item"), "; "+possible))}
	case *parse.IdentifierNode:
		names := slices.Sorted(maps.Keys(functions(nil)))
		if i == 0 && slices.Contains(names, arg.Ident) {
			return nil
		}
		return &templateError{offset, fmt.Sprintf("template: there is no function %s%s", short(arg.Ident), cmp.Or(spelling.Hint(arg.Ident, names...), "; "+possible))}
	}
	return &templateError{offset, fmt.Sprintf("template: %s is not possible; %s", short(arg.String()), possible)}
}

// checkItem looks at a part of an item.
func (in scope) checkItem(arg *parse.FieldNode) error {
	fault := func(format string, args ...any) error {
		return &templateError{int(arg.Position()), "template: " + fmt.Sprintf(format, args...)}
	}
	if in.item == nil {
		return fault("there is no .Item, because neither this job nor one that it comes after has for_each")
	}
	groups := slices.Sorted(maps.Keys(in.item.Groups))
	all := append(itemParts(), groups...)
	switch {
	case len(arg.Ident) == 1:
		return fault("write which part of .Item, such as .Item.Name")
	case len(arg.Ident) > 2:
		return fault(".Item.%s has no parts, use strftime for those of a time", arg.Ident[1])
	case slices.Contains(all, arg.Ident[1]):
		return nil
	}
	return fault("an item has no %s%s", short(arg.Ident[1]), cmp.Or(spelling.Hint(arg.Ident[1], all...), "; possible are "+among(all)+
		", and the named groups of match: {pattern: …}"))
}

// checkEnv wants that a variable is named in the template itself, so that it is
// known before the job starts.
func (in scope) checkEnv(cmd *parse.CommandNode) error {
	offset := int(cmd.Position())
	if len(cmd.Args) != 2 {
		return &templateError{offset, `template: env wants the name of a variable in quotes, such as env "SITE"`}
	}
	name, ok := cmd.Args[1].(*parse.StringNode)
	if !ok {
		return &templateError{offset, `template: env wants the name of a variable in quotes, such as env "SITE"`}
	}
	if _, ok := in.env[name.Text]; !ok {
		return &templateError{offset, fmt.Sprintf("template: the variable %s is not allowed%s", short(name.Text),
			cmp.Or(spelling.Hint(name.Text, slices.Sorted(maps.Keys(in.env))...), "; add it to the file's env list"))}
	}
	return nil
}
