package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/globus-runner/globus-runner/globussim"
)

const (
	fewLines  = 100_000
	manyLines = 1_000_000
)

// flat is how much more memory ten times the lines may take; a ratio of 10 would
// be proportional, and somewhat more than 1 is the garbage collector.
const flat = 1.5

// manifest measures what a long manifest costs: "runner run --dry-run" makes
// every document of it, and "runner run" submits them, too, with larger tasks,
// because it waits a second and more for each.
func (b *bench) manifest(ctx context.Context) (table, error) {
	base, stop, err := listen(ctx, new(sink).routes())
	if err != nil {
		return nil, err
	}
	defer stop()
	var t table
	for _, way := range []struct {
		what  string
		items int // of one task
		args  []string
	}{
		{"manifest, dry run", 5000, []string{"--dry-run"}},
		{"manifest, submitted", 50_000, nil},
	} {
		var samples [2]sample
		for i, lines := range []int{fewLines, manyLines} {
			dir, err := os.MkdirTemp(b.dir, "manifest-")
			if err != nil {
				return nil, err
			}
			if err := writeManifest(dir, lines, way.items); err != nil {
				return nil, err
			}
			env := slices.Concat(access(base), []string{
				"RUNNER_JOBS=" + filepath.Join(dir, "jobs.yaml"), "RUNNER_STATE=sqlite:" + filepath.Join(dir, "runner.db"),
				"RUNNER_LOG_LEVEL=error",
			})
			args := append([]string{"run", "frames"}, way.args...)
			if samples[i], err = b.time(ctx, process{path: b.runner, args: same(args...), env: same(env...)}, 0); err != nil {
				return nil, err
			}
		}
		few, many := samples[0], samples[1]
		t = append(t,
			ratio(way.what+", memory, 1 000 000 / 100 000 lines", many.memory, few.memory, flat),
			plain(way.what+", CPU time of 1 000 lines", (many.cpu-few.cpu)/((manyLines-fewLines)/1000)))
	}
	return t, nil
}

// writeManifest writes a jobs file with one job, frames, and its manifest.
func writeManifest(dir string, lines, items int) error {
	text := fmt.Sprintf("version: 1\ncollections: {lab: %s, vault: %s}\njobs:\n  frames:\n    transfer: {source: lab:/data/, destination: vault:/raw/, manifest: frames.txt, items_per_task: %d}\n",
		globussim.CollectionID("lab"), globussim.CollectionID("vault"), items)
	return errors.Join(os.WriteFile(filepath.Join(dir, "jobs.yaml"), []byte(text), 0o644), writeBatch(filepath.Join(dir, "frames.txt"), lines))
}
