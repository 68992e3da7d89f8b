package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/globus-runner/globus-runner/globussim"
)

// oneShot measures "runner run --no-wait": log in, look for a task of the
// occurrence, submit one, end.
func (b *bench) oneShot(ctx context.Context) (table, error) {
	// Each program has a Globus of its own, so that both find the same one.
	mine, err := b.simulate(ctx)
	if err != nil {
		return nil, err
	}
	defer mine.stop()
	theirs, err := b.simulate(ctx)
	if err != nil {
		return nil, err
	}
	defer theirs.stop()

	source := globussim.CollectionID("lab") + ":/file"
	destination := func(run int) string { return fmt.Sprintf("%s:/file-%d", globussim.CollectionID("vault"), run) }
	ours := process{path: b.runner, args: same("run", "--no-wait"), env: func(run int) []string {
		return slices.Concat(mine.env, []string{
			"RUNNER_JOB_NAME=bench", "RUNNER_JOB_SOURCE=" + source, "RUNNER_JOB_DESTINATION=" + destination(run),
			fmt.Sprintf("RUNNER_OCCURRENCE=run-%d", run),
		})
	}}
	bare := process{path: filepath.Join(b.bare, "submit"), env: same(theirs.env...), args: func(run int) []string {
		return []string{"-look-up", "-label", fmt.Sprintf("bench run-%d", run), source, destination(run)}
	}}
	a, z, err := b.compare(ctx, b.runs, ours, bare)
	if err != nil {
		return nil, err
	}
	sent, err := requests(mine.State(), theirs.State(), b.runs+1)
	if err != nil {
		return nil, err
	}
	return append(ratios("one-shot", a, z, 3), sent), nil
}

// requests is the row of the requests of one run, which depend on no machine.
// The error says that the programs did not do the same.
func requests(ours, bare globussim.State, runs int) (row, error) {
	if len(ours.Tasks) != runs || len(bare.Tasks) != runs {
		return row{}, fmt.Errorf("the runner started %d tasks and the bare program %d in %d runs", len(ours.Tasks), len(bare.Tasks), runs)
	}
	mine, theirs := float64(total(ours.Routes))/float64(runs), float64(total(bare.Routes))/float64(runs)
	return row{
		what: "one-shot, requests", ours: fmt.Sprintf("%.4g", mine), bare: fmt.Sprintf("%.4g", theirs),
		figure: fmt.Sprintf("%+.4g", mine-theirs), budget: "+0", verdict: verdict(mine == theirs), fixed: true,
	}, nil
}

// total counts the requests of all routes.
func total(routes map[string]int) int {
	n := 0
	for _, requests := range routes {
		n += requests
	}
	return n
}
