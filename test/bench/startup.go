package main

import (
	"context"
	"path/filepath"
	"time"
)

// startUp measures what a runner takes beyond an empty program before it does
// anything.
func (b *bench) startUp(ctx context.Context) (table, error) {
	ours := process{path: b.runner, args: same("version"), env: same()}
	bare := process{path: filepath.Join(b.bare, "empty"), args: same(), env: same()}
	mine, theirs, err := b.compare(ctx, b.runs, ours, bare)
	if err != nil {
		return nil, err
	}
	return table{difference("start-up, wall time", mine.wall, theirs.wall, span(5*time.Millisecond))}, nil
}
