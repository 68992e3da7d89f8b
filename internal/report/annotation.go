package report

import (
	"fmt"
	"io"
	"strings"
)

// An Annotation is an error that GitHub shows with a run, and at a line of a file.
type Annotation struct {
	Title   string // may be empty
	File    string // empty if it is not about a file
	Line    int    // from 1; 0 if it is about the whole file
	Col     int    // from 1; 0 if it is about the whole line
	Message string
}

// Annotate writes a as a workflow command, which GitHub Actions reads from the
// output of a step.
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

// The escapes of workflow commands. Without them a text could end its command
// and begin another.
var (
	message  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
