package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/globus-runner/globus-runner/globussim"
)

// batchItems is how many files the batch names.
const batchItems = 100_000

// longRuns is how often something is measured that takes long, and so differs
// less from run to run.
func longRuns(runs int) int { return max(min(runs, 3), runs/8) }

// batch measures "runner transfer --batch --no-wait" with many files.
func (b *bench) batch(ctx context.Context) (table, error) {
	file := filepath.Join(b.dir, "batch.txt")
	if err := writeBatch(file, batchItems); err != nil {
		return nil, err
	}
	var mine, theirs sink
	base, stop, err := listen(ctx, mine.routes())
	if err != nil {
		return nil, err
	}
	defer stop()
	bareBase, bareStop, err := listen(ctx, theirs.routes())
	if err != nil {
		return nil, err
	}
	defer bareStop()

	source, destination := globussim.CollectionID("lab")+":/data/", globussim.CollectionID("vault")+":/raw/"
	ours := process{path: b.runner, env: same(access(base)...), args: same("transfer", source, destination, "--batch", file, "--label", "bench", "--no-wait")}
	bare := process{path: filepath.Join(b.bare, "submit"), env: same(access(bareBase)...), args: same("-label", "bench", "-batch", file, source, destination)}
	a, z, err := b.compare(ctx, longRuns(b.runs), ours, bare)
	if err != nil {
		return nil, err
	}
	document := ratio("batch of 100 000, document", size(mine.document.Load()), size(theirs.document.Load()), 0)
	if err := writeBatch(file, manyLines); err != nil {
		return nil, err
	}
	many, err := b.time(ctx, ours, 0)
	if err != nil {
		return nil, err
	}
	rows := ratios("batch of 100 000", a, z, 0)
	return append(rows, document,
		atMost("batch of 100 000, most memory", a.memory, 48<<20),
		atMost("batch of 1 000 000, most memory", many.memory, 64<<20)), nil
}

// writeBatch writes a batch in globus-cli's format.
func writeBatch(name string, items int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for i := range items {
		fmt.Fprintf(w, "frames/%03[1]d/frame-%06[2]d.h5 2026/%03[1]d/frame-%06[2]d.h5\n", i/1000, i)
	}
	return errors.Join(w.Flush(), f.Close())
}
