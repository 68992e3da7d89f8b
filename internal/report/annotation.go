package report

import (
	"fmt"
	"io"
	"strings"
)

// An Annotation is an error that GitHub shows beside a run, and in a file.
type Annotation struct {
	Title   string // may be empty
	File    string // where it is; empty if it is nowhere
	Line    int    // from 1; 0 if it is about the whole file
	Col     int    // from 1; 0 if it is about the whole line
	Message string
}

// Annotate writes a as the workflow command that GitHub Actions reads from
// both streams of a step.
func Annotate(w io.Writer, a Annotation) error {
	var where []string
	add := func(name, value string) {
		if value != "" && value != "0" {
			where = append(where, name+"="+property.Replace(value))
		}
	}
	add("title", a.Title)
	if a.File != "" {
		add("file", a.File)
		add("line", fmt.Sprint(a.Line))
		add("col", fmt.Sprint(a.Col))
	}
	head := "::error"
	if len(where) > 0 {
		head += " " + strings.Join(where, ",")
	}
	_, err := fmt.Fprintf(w, "%s::%s\n", head, message.Replace(a.Message))
	return err
}

// The escapes of workflow commands: without them a text could end its command
// and begin the next.
var (
	message  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
