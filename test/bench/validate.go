package main

import (
	"context"
	"path/filepath"
)

// validate measures "runner validate" of 1 000 jobs.
func (b *bench) validate(ctx context.Context) (table, error) {
	file := filepath.Join(b.dir, "validate.yaml")
	if err := writeJobs(file, 1000, far); err != nil {
		return nil, err
	}
	s, err := b.repeat(ctx, longRuns(b.runs), process{path: b.runner, args: same("validate", file), env: same()})
	if err != nil {
		return nil, err
	}
	return table{
		plain("validate 1 000 jobs, wall time", s.wall),
		plain("validate 1 000 jobs, CPU time", s.cpu),
		plain("validate 1 000 jobs, memory", s.memory),
	}, nil
}
