package main

import (
	"context"
	"os"
)

// size measures the program's file.
func (b *bench) size(context.Context) (table, error) {
	info, err := os.Stat(b.runner)
	if err != nil {
		return nil, err
	}
	r := atMost("program file", size(info.Size()), 28<<20)
	r.fixed = true
	return table{r}, nil
}
