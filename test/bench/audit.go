package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

// The files lie in so many folders. A folder takes a request on each side, and an
// account has 20 of them in a second.
const (
	copiedFolders = 200
	filesOfFolder = 500
	copiedFiles   = copiedFolders * filesOfFolder
)

// A million files may take a minute of processor time and so much memory to be audited
// or compared, beside what the limit of requests takes.
const (
	auditTime   = span(time.Minute) * copiedFiles / 1_000_000
	auditMemory = size(64 << 20)
)

// audit measures what it costs to copy many files with a receipt, to say what has
// become of each of them, what a task would do with each, and to export the receipt.
func (b *bench) audit(ctx context.Context) (t table, err error) {
	sim, err := b.simulate(ctx)
	if err != nil {
		return nil, err
	}
	defer sim.stop()
	if err := fillFolders(filepath.Join(sim.dir, "lab", "data")); err != nil {
		return nil, err
	}
	file, state := filepath.Join(sim.dir, "jobs.yaml"), "sqlite:"+filepath.Join(sim.dir, "runner.db")
	text := fmt.Sprintf("version: 1\ncollections: {lab: %s, vault: %s}\njobs:\n  frames:\n    receipts: true\n    transfer: {source: lab:/data/, destination: vault:/raw/}\n",
		globussim.CollectionID("lab"), globussim.CollectionID("vault"))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	env := same(slices.Concat(sim.env, []string{"RUNNER_JOBS=" + file, "RUNNER_STATE=" + state, "RUNNER_LOG_LEVEL=error"})...)
	for _, step := range []struct {
		what string
		args []string
		cpu  func(what string, ours span) row
	}{
		{"run with a receipt", []string{"run", "frames"}, plain[span]},
		{"audit", []string{"audit", "frames"}, inTime},
		{"plan --diff", []string{"plan", "frames", "--diff"}, inTime},
		{"receipt as CSV", []string{"receipt", "1", "--as", "csv"}, plain[span]},
	} {
		s, err := b.time(ctx, process{path: b.runner, args: same(step.args...), env: env}, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
		what := step.what + ", 100 000 files, "
		t = append(t, step.cpu(what+"CPU time", s.cpu), atMost(what+"most memory", s.memory, auditMemory))
	}
	return t, nil
}

func inTime(what string, cpu span) row { return atMost(what, cpu, auditTime) }

// fillFolders makes the files that are copied.
func fillFolders(top string) error {
	for i := range copiedFolders {
		folder := filepath.Join(top, fmt.Sprintf("run-%06d", i))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		for j := range filesOfFolder {
			name := filepath.Join(folder, fmt.Sprintf("frame-%08d.h5", i*filesOfFolder+j))
			if err := os.WriteFile(name, []byte("tiny"), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
