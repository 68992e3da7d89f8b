package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// idleTime is how long an idle scheduler is looked at.
const idleTime = 10 * time.Second

// idle measures "runner serve" with nothing to do, together with its start.
func (b *bench) idle(ctx context.Context) (table, error) {
	var t table
	for _, load := range []struct {
		jobs   int
		budget size
	}{{100, 25 << 20}, {10_000, 60 << 20}} {
		dir, err := os.MkdirTemp(b.dir, "idle-")
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "jobs.yaml")
		if err := writeJobs(file, load.jobs, far); err != nil {
			return nil, err
		}
		sim, err := b.simulate(ctx)
		if err != nil {
			return nil, err
		}
		s, err := b.time(ctx, b.serve(sim, dir, idleTime), 0)
		sim.stop()
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("serve, %d idle jobs, ", load.jobs)
		t = append(t, atMost(what+"most memory", s.memory, load.budget))
		if s.resident > 0 {
			t = append(t, atMost(what+"memory at the end", s.resident, load.budget))
		}
		t = append(t, plain(fmt.Sprintf("%sCPU time of %v", what, idleTime), s.cpu))
	}
	return t, nil
}

// serve is a scheduler of the file jobs.yaml in dir, with its ledger beside it.
func (b *bench) serve(sim *simulation, dir string, stopAfter time.Duration) process {
	return process{path: b.runner, args: same("serve"), stopAfter: stopAfter, env: same(slices.Concat(sim.env, []string{
		"RUNNER_JOBS=" + filepath.Join(dir, "jobs.yaml"), "RUNNER_STATE=sqlite:" + filepath.Join(dir, "runner.db"),
		"RUNNER_LISTEN=127.0.0.1:0", "RUNNER_LOG_LEVEL=error",
	})...)}
}
