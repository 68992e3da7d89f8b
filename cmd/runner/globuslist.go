package main

import (
	"encoding/json"
	"io"
	"iter"
)

// A globusList says how a list of Globus is printed: as Globus answers it, like globus-cli
// does, or as a table.
type globusList[T any] struct {
	dataType string // of the document
	nothing  string // in place of an empty table
	head     []string
	row      func(T) (json.RawMessage, []string)
}

// show prints items.
func (l globusList[T]) show(a *app, items iter.Seq2[T, error]) error {
	data := []json.RawMessage{}
	var rows [][]string
	for item, err := range items {
		if err != nil {
			return err
		}
		raw, row := l.row(item)
		data, rows = append(data, raw), append(rows, row)
	}
	return a.print(map[string]any{"DATA_TYPE": l.dataType, "DATA": data}, func(w io.Writer) { tableOr(w, l.nothing, l.head, rows) })
}
