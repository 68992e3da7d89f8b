package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/jmespath-community/go-jmespath"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// An output says how results are printed, and the exit status that errors have.
type output struct {
	format   format
	query    query
	statuses statusMap
}

// A format is one of the formats below.
type format string

const (
	formatText format = "text"
	formatJSON format = "json"
	formatUnix format = "unix" // see writeUnix
)

// structured reports whether results are for programs.
func (o *output) structured() bool { return o.format != formatText || o.query.expr != nil }

// A query is a JMESPath expression, or nothing.
type query struct {
	text string
	expr jmespath.JMESPath
}

func (q *query) String() string { return q.text }
func (q *query) Type() string   { return "EXPR" }

// Set compiles the expression.
func (q *query) Set(s string) error {
	expr, err := jmespath.Compile(literals(s))
	if err != nil {
		return fmt.Errorf("%q is not a JMESPath expression: %w", s, err)
	}
	q.text, q.expr = s, expr
	return nil
}

// literals puts quotes around the words between backticks that are not JSON, such as
// `ACTIVE`, as the JMESPath of globus-cli does. Its documentation is full of them.
func literals(expr string) string {
	quoted := regexp.MustCompile("`(?:[^`\\\\]|\\\\.)*`|'(?:[^'\\\\]|\\\\.)*'|\"(?:[^\"\\\\]|\\\\.)*\"")
	return quoted.ReplaceAllStringFunc(expr, func(part string) string {
		word, is := strings.CutPrefix(part, "`")
		word = strings.TrimSuffix(word, "`")
		if !is || json.Valid([]byte(word)) {
			return part
		}
		text, err := json.Marshal(strings.TrimLeft(word, " "))
		if err != nil {
			return part
		}
		return "`" + string(text) + "`"
	})
}

// print writes a result to stdout: for programs, doc or what the JMESPath expression finds
// in it; for people, what text writes.
func (a *app) print(doc any, text func(io.Writer)) (err error) {
	a.stderr.clear()
	query := &a.out.query
	if query.expr != nil || a.out.format == formatUnix {
		if doc, err = decoded(doc, query.expr == nil); err != nil {
			return err
		}
	}
	if query.expr != nil {
		if doc, err = query.search(doc); err != nil {
			return err
		}
	}
	var buf bytes.Buffer
	switch {
	case a.out.format == formatUnix:
		writeUnix(&buf, doc)
	case a.out.structured():
		doc, err := encode(doc)
		if err != nil {
			return fmt.Errorf("encode the result: %w", err)
		}
		buf.Write(doc)
	default:
		text(plain.Writer(&buf))
	}
	_, err = a.stdout.Write(buf.Bytes())
	return unwritten(err)
}

// printRun is print for the result of runs. If it cannot be written, that is said here, and
// the runs end as they have: a script that sees another status would start them again.
func (a *app) printRun(doc any, text func(io.Writer)) error {
	err := a.print(doc, text)
	if unwritten, ok := errors.AsType[unwrittenError](err); ok {
		fmt.Fprintf(a.stderr, "runner: %s; the exit status is that of the run\n", plain.Line(unwritten.Error()))
		return nil
	}
	return err
}

// An unwrittenError says that a result could not be written. The command has done its work,
// and would print the result if it were started again.
type unwrittenError struct{ error }

// Unwrap returns the cause.
func (e unwrittenError) Unwrap() error { return e.error }

// Temporary reports true.
func (unwrittenError) Temporary() bool { return true }

// hungUp reports whether err only says that nobody reads what a command prints any more, as
// with runner task list | head -1.
func hungUp(err error) bool {
	unwritten, ok := errors.AsType[unwrittenError](err)
	_, joined := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	return ok && !joined && errors.Is(unwritten, syscall.EPIPE)
}

// unwritten makes an unwrittenError of err, unless that is nil.
func unwritten(err error) error {
	if err == nil {
		return nil
	}
	return unwrittenError{fmt.Errorf("write the result to standard output: %w", err)}
}

// encode returns the JSON form of a result.
func encode(doc any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return nil, err
	}
	return plain.JSON(buf.Bytes()), nil
}

// decoded returns a result as programs read it: maps, lists and words. Its
// numbers are float64, or exact and of type json.Number.
func decoded(doc any, exact bool) (v any, err error) {
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode the result: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if exact {
		dec.UseNumber()
	}
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode the result: %w", err)
	}
	return v, nil
}

// search applies the expression to a decoded result.
func (q *query) search(printed any) (any, error) {
	found, err := q.expr.Search(printed)
	switch {
	case err != nil:
		return nil, usageError{fmt.Errorf("--jmespath %q: %w", q.text, err)}
	case found == nil && !isNull(printed, q.text):
		return nil, usageError{fmt.Errorf("--jmespath %q finds nothing in the result, %s", q.text, content(printed))}
	}
	return found, nil
}

// isNull reports whether path is a list of keys between dots that leads to a null in doc.
func isNull(doc any, path string) bool {
	key, rest, deeper := strings.Cut(path, ".")
	m, _ := doc.(map[string]any)
	value, there := m[key]
	if deeper {
		return isNull(value, rest)
	}
	return there && value == nil
}

// content describes doc for a person whose expression finds nothing in it.
func content(doc any) string {
	list, isList := doc.([]any)
	if isList && len(list) > 0 {
		doc = list[0]
	}
	m, _ := doc.(map[string]any)
	names := strings.Join(slices.Sorted(maps.Keys(m)), ", ")
	switch {
	case isList && names != "":
		return fmt.Sprintf("which is a list of %d with the keys %s", len(list), names)
	case isList:
		return fmt.Sprintf("which is a list of %d", len(list))
	}
	return "whose keys are " + names
}

// properties prints pairs of a name and a value, one a line; a pair without a
// value is left out.
func properties(w io.Writer, pairs ...string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", pairs[i], plain.Line(pairs[i+1]))
		}
	}
	_ = t.Flush() // w is a buffer
}

// tableOr prints a table, or the line nothing if it has no rows.
func tableOr(w io.Writer, nothing string, head []string, rows [][]string) {
	if len(rows) == 0 {
		fmt.Fprintln(w, nothing)
	}
	table(w, head, rows)
}

// table prints rows below a head, if there are any.
func table(w io.Writer, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = plain.Line(cmp.Or(cell, "-"))
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // w is a buffer
}

// A list is how a list of documents is printed.
type list[T any] struct {
	Data []T `json:"data"`
}

// newList returns the list of rows, which may be nil.
func newList[T any](rows []T) list[T] { return list[T]{append([]T{}, rows...)} }
