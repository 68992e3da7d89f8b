package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// A detail is the flags that say how many of the files found are printed.
type detail struct {
	list  bool // every file, one a line, and nothing else
	limit int  // else so many of each kind
}

// flags adds the flags; list and limit say what they do.
func (d *detail) flags(flags *pflag.FlagSet, list, limit string) {
	flags.BoolVar(&d.list, "list", false, list)
	flags.IntVar(&d.limit, "limit", 3, limit)
}

// check returns what is wrong with the flags.
func (d *detail) check(a *app) error {
	switch {
	case d.list && a.out.query.expr != nil:
		return usageError{errors.New("--jmespath looks at one document, and --list prints one for each file; use one of them")}
	case d.limit < 0:
		return usageError{fmt.Errorf("--limit %d is negative", d.limit)}
	}
	return nil
}

// printLine prints one element of a list that is not held in memory: JSON if that was
// asked for, or else its fields between tabs.
func (a *app) printLine(out *bufio.Writer, doc any, fields ...string) error {
	if a.out.format == formatJSON {
		text, err := json.Marshal(doc)
		if err != nil {
			return fmt.Errorf("encode the result: %w", err)
		}
		_, err = out.Write(append(plain.JSON(text), '\n'))
		return unwritten(err)
	}
	for i, f := range fields {
		fields[i] = plain.Line(cmp.Or(f, "-"))
	}
	_, err := out.WriteString(strings.Join(fields, "\t") + "\n")
	return unwritten(err)
}
