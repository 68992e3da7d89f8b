package jobs

import (
	"errors"
	"fmt"
)

// A Problem is one fault in a jobs file, or something odd about it.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`    // from 1; 0 if it is about the whole file
	Col     int    `json:"col,omitempty"`     // in characters, from 1
	Field   string `json:"field,omitempty"`   // dotted, such as jobs.nightly.transfer.source
	Msg     string `json:"message"`           // what is wrong, and what would be right
	Snippet string `json:"snippet,omitempty"` // the line, without its end
	// Prune is about the same files as a delete that is refused because it asks
	// for no proof. Nil for all other problems.
	Prune *Prune `json:"-"`
}

// Error returns the problem on one line, in the form of a compiler's messages.
func (p *Problem) Error() string {
	text := p.File
	if p.Line > 0 {
		text += fmt.Sprintf(":%d:%d", p.Line, p.Col)
	}
	for _, part := range []string{p.Field, p.Msg} {
		if text != "" && part != "" {
			text += ": "
		}
		text += part
	}
	return text
}

// Problems returns the problems in an error of [Parse].
func Problems(err error) []*Problem {
	joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if !ok {
		return nil
	}
	var problems []*Problem
	for _, err := range joined.Unwrap() {
		if p, ok := errors.AsType[*Problem](err); ok {
			problems = append(problems, p)
		}
	}
	return problems
}
