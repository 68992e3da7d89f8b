package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// writeUnix writes a decoded result as globus-cli's "-F unix" does, for programs that take
// words apart: a value by itself, the values of a list of values between tabs, one
// line for each object, whose keys are sorted. What is nested in an object follows
// on lines of its own, each of which begins with the key in capitals.
//
// No value, true and false are None, True and False, as in globus-cli.
func writeUnix(w io.Writer, v any) { unixWriter{w}.value("", nil, v) }

// A unixWriter writes to a buffer, which takes everything.
type unixWriter struct{ w io.Writer }

// line writes words, after the key that they are nested under.
func (u unixWriter) line(key string, words []string) {
	if key != "" {
		words = append([]string{strings.ToUpper(key)}, words...)
	}
	for i, word := range words {
		words[i] = plain.Line(word)
	}
	fmt.Fprintln(u.w, strings.Join(words, "\t"))
}

// value writes v, which is nested under key. The first words of an object's line are
// the values of columns.
func (u unixWriter) value(key string, columns []string, v any) {
	switch v := v.(type) {
	case map[string]any:
		u.object(key, columns, v)
	case []any:
		u.list(key, v)
	default:
		u.line(key, []string{word(v)})
	}
}

func (u unixWriter) object(key string, columns []string, object map[string]any) {
	var words, nested []string
	for _, name := range columns {
		value, there := object[name]
		if !there {
			value = ""
		}
		words = append(words, word(value))
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		switch {
		case slices.Contains(columns, name):
		case columns == nil && isWord(object[name]):
			words = append(words, word(object[name]))
		default:
			nested = append(nested, name)
		}
	}
	if len(words) > 0 {
		u.line(key, words)
	}
	for _, name := range nested {
		u.value(name, nil, object[name])
	}
}

// list writes the words of a list on one line, or on one line each below a key, and
// what else is in it on lines of their own. Objects share their columns.
func (u unixWriter) list(key string, list []any) {
	columns := columnsOf(list)
	var words []string
	for _, v := range list {
		if isWord(v) {
			words = append(words, word(v))
		}
	}
	switch {
	case key != "":
		for _, one := range words {
			u.line(key, []string{one})
		}
	case len(words) > 0:
		u.line("", words)
	}
	for _, v := range list {
		if !isWord(v) {
			u.value(key, columns, v)
		}
	}
}

// columnsOf are the keys whose values are words in each object of a list that has
// them, sorted; nil if there are no objects.
func columnsOf(list []any) []string {
	words, nested := map[string]bool{}, map[string]bool{}
	objects := false
	for _, v := range list {
		object, is := v.(map[string]any)
		objects = objects || is
		for name, value := range object {
			if isWord(value) {
				words[name] = true
			} else {
				nested[name] = true
			}
		}
	}
	if !objects {
		return nil
	}
	columns := []string{}
	for _, name := range slices.Sorted(maps.Keys(words)) {
		if !nested[name] {
			columns = append(columns, name)
		}
	}
	return columns
}

func isWord(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

func word(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
