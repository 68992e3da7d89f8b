package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/globus-runner/globus-runner/transfer"
)

// Render returns the steps of one occurrence, with the templates in their paths
// resolved. at is the instant that the occurrence is about: when it was due, or
// when somebody started it. The steps are the caller's to change.
//
// A template knows .Job, .Time (at, in the job's zone) and .Key, and the
// functions
//
//	strftime "%Y/%m/%d"   the time as text, as in C
//	date                  the same as strftime "%Y-%m-%d"
//	add "-24h"            another time: s, m and h are elapsed time, d are
//	                      days of the calendar
//	env "NAME"            a variable of Job.Env
//
// A variable that is not set is an error, and so is a path that is not absolute
// or has a line break or .. in it, or a delete of everything on a collection.
func (j *Job) Render(key Key, at time.Time) ([]Step, error) {
	r := renderer{moment: momentOf(j, key, at), env: j.Env}
	steps := make([]Step, len(j.Steps))
	for i := range j.Steps {
		steps[i] = r.step(&j.Steps[i])
	}
	if r.err != nil {
		return nil, fmt.Errorf("job %s: %w", j.Name, r.err)
	}
	return steps, nil
}

// RenderLabels returns the labels of one occurrence, as [Job.Render] does with
// the steps.
func (j *Job) RenderLabels(key Key, at time.Time) (map[string]string, error) {
	m := momentOf(j, key, at)
	labels := make(map[string]string, len(j.Labels))
	for _, name := range slices.Sorted(maps.Keys(j.Labels)) {
		text, err := renderText(j.Labels[name], m, j.Env)
		if err == nil {
			err = transfer.CheckLabel(text)
		}
		if err != nil {
			return nil, fmt.Errorf("job %s: label %s: %w", j.Name, name, err)
		}
		labels[name] = text
	}
	return labels, nil
}

// A renderer resolves the templates of one occurrence and keeps the first error.
type renderer struct {
	moment moment
	env    map[string]string
	err    error
}

// text resolves a text, and looks at what has become of it.
func (r *renderer) text(text string, check func(string) error) string {
	if !strings.Contains(text, "{{") || r.err != nil {
		return text
	}
	rendered, err := renderText(text, r.moment, r.env)
	if err == nil && check != nil {
		err = check(rendered)
	}
	if err != nil {
		r.err = fmt.Errorf("%s: %w", text, err)
	}
	return rendered
}

func (r *renderer) step(s *Step) Step {
	step := *s
	step.Manifest = r.text(s.Manifest, nil)
	switch {
	case s.Transfer != nil:
		doc := *s.Transfer
		doc.FilterRules = slices.Clone(doc.FilterRules)
		doc.Items = slices.Clone(doc.Items)
		for i := range doc.Items {
			item := &doc.Items[i]
			item.SourcePath = r.text(item.SourcePath, checkPath)
			item.DestinationPath = r.text(item.DestinationPath, checkPath)
		}
		step.Transfer = &doc
	case s.Delete != nil:
		doc := *s.Delete
		doc.Items = slices.Clone(doc.Items)
		for i := range doc.Items {
			doc.Items[i].Path = r.text(doc.Items[i].Path, func(path string) error {
				return errors.Join(checkPath(path), checkDelete(path))
			})
		}
		step.Delete = &doc
	case s.Mkdir != nil:
		step.Mkdir = &Mkdir{Collection: s.Mkdir.Collection, Path: r.text(s.Mkdir.Path, checkPath)}
	}
	return step
}

// A moment is what templates see.
type moment struct {
	Job  string
	Time instant
	Key  Key
}

func momentOf(j *Job, key Key, at time.Time) moment {
	zone := j.Zone
	if zone == nil {
		zone = time.UTC
	}
	return moment{Job: j.Name, Time: instant{at.In(zone)}, Key: key}
}

// An instant is a time that a template shows as RFC 3339.
type instant struct{ time time.Time }

func (i instant) String() string { return i.time.Format(time.RFC3339) }

// sampleTime is the instant for which templates are tried.
func sampleTime() time.Time { return time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC) }

func sampleKey() Key { return ScheduledKey(sampleTime()) }

func sampleMoment(job string) moment {
	return momentOf(&Job{Name: job}, sampleKey(), sampleTime())
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
	sampled, err := renderText(text, sampleMoment(s.job), s.sampleEnv())
	if err == nil {
		return sampled, true
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
	d, err := parseDuration(plain)
	if err != nil {
		return i, fmt.Errorf("%q is not a duration such as -24h or -1d", short(text))
	}
	days := 0
	for _, part := range durationPart.FindAllStringSubmatch(plain, -1) {
		if part[2] == "d" {
			n, _ := parseDuration(part[0]) // a part of what was good
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
func renderText(text string, m moment, env map[string]string) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	tree, err := parseTemplate(text)
	if err == nil {
		err = checkTemplate(tree, env)
	}
	if err != nil {
		return "", err
	}
	t, err := template.New("").Funcs(functions(env)).Option("missingkey=error").AddParseTree("", tree)
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
var templatePrefix = regexp.MustCompile(`^template: [^:]*:\d+(:\d+)?: (executing "[^"]*" at )?(<.*>: error calling [a-z]+: )?`)

func templateFault(err error, offset int) *templateError {
	return &templateError{offset, "template: " + templatePrefix.ReplaceAllString(err.Error(), "")}
}

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
const possible = "possible are .Job, .Time, .Key, and the functions strftime, date, add and env"

// checkTemplate reports what is not possible in a template.
func checkTemplate(tree *parse.Tree, env map[string]string) error {
	for _, n := range tree.Root.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
		case *parse.ActionNode:
			if err := checkPipe(n.Pipe, env); err != nil {
				return err
			}
		default:
			return &templateError{int(n.Position()), "template: there are only values here, no conditions and loops; " + possible}
		}
	}
	return nil
}

func checkPipe(pipe *parse.PipeNode, env map[string]string) error {
	if len(pipe.Decl) > 0 {
		return &templateError{int(pipe.Position()), "template: variables are not possible; " + possible}
	}
	for _, cmd := range pipe.Cmds {
		for i, arg := range cmd.Args {
			if err := checkArgument(arg, i, env); err != nil {
				return err
			}
		}
		if f, ok := cmd.Args[0].(*parse.IdentifierNode); ok && f.Ident == "env" {
			if err := checkEnv(cmd, env); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkArgument looks at the part i of a command.
func checkArgument(arg parse.Node, i int, env map[string]string) error {
	offset := int(arg.Position())
	switch arg := arg.(type) {
	case *parse.StringNode:
		return nil
	case *parse.PipeNode:
		return checkPipe(arg, env)
	case *parse.FieldNode:
		switch {
		case len(arg.Ident) > 1:
			return &templateError{offset, fmt.Sprintf("template: %s has no parts, use strftime for those of a time", "."+arg.Ident[0])}
		case slices.Contains([]string{"Job", "Time", "Key"}, arg.Ident[0]):
			return nil
		}
		return &templateError{offset, fmt.Sprintf("template: there is no .%s%s", short(arg.Ident[0]), cmp.Or(near(arg.Ident[0], "Job", "Time", "Key"), "; "+possible))}
	case *parse.IdentifierNode:
		names := slices.Sorted(maps.Keys(functions(nil)))
		if i == 0 && slices.Contains(names, arg.Ident) {
			return nil
		}
		return &templateError{offset, fmt.Sprintf("template: there is no function %s%s", short(arg.Ident), cmp.Or(near(arg.Ident, names...), "; "+possible))}
	}
	return &templateError{offset, fmt.Sprintf("template: %s is not possible; %s", short(arg.String()), possible)}
}

// near is a question about a misspelt name, or nothing.
func near(name string, words ...string) string {
	if word := nearest(name, words); word != "" {
		return ", did you mean " + word + "?"
	}
	return ""
}

// checkEnv wants that a variable is named in the template itself, so that it is
// known before the job starts.
func checkEnv(cmd *parse.CommandNode, env map[string]string) error {
	offset := int(cmd.Position())
	if len(cmd.Args) != 2 {
		return &templateError{offset, `template: env wants the name of a variable in quotes, such as env "SITE"`}
	}
	name, ok := cmd.Args[1].(*parse.StringNode)
	if !ok {
		return &templateError{offset, `template: env wants the name of a variable in quotes, such as env "SITE"`}
	}
	if _, ok := env[name.Text]; !ok {
		return &templateError{offset, fmt.Sprintf("template: the variable %s is not allowed; add it to the file's env list", short(name.Text))}
	}
	return nil
}
