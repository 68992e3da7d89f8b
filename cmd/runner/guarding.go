package main

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/jobs"
)

// A guarding is what the command line says, for one run, of how much may be deleted.
type guarding struct {
	allowEmpty bool
	maxDelete  string // empty: as the job says
	look       int    // 0: as the job says
}

func (g *guarding) flags(flags *pflag.FlagSet, maxDelete string) {
	flags.BoolVar(&g.allowEmpty, "allow-empty-source", false, "let a mirror delete everything because its source is empty")
	flags.StringVar(&g.maxDelete, "max-delete", "", maxDelete+": a share of its files, a number of files, or none for no limit")
	flags.IntVar(&g.look, "look", 0, "how many folders of a mirror to look at on each side before it may delete; default: guard.look of the job, or 2000")
}

// check refuses a limit for jobs that have nothing to limit.
func (g *guarding) check(chosen []*jobs.Job) error {
	limits := func(s jobs.Step) bool {
		return s.Prune != nil || s.Transfer != nil && s.Transfer.DeleteDestinationExtra
	}
	if g.maxDelete == "" || slices.ContainsFunc(chosen, func(j *jobs.Job) bool { return slices.ContainsFunc(j.Steps, limits) }) {
		return nil
	}
	return usageError{fmt.Errorf("--max-delete %s: it limits what a mirror or a prune deletes, and none of %s has one", g.maxDelete, someOf(namesOf(chosen)))}
}

// of returns a job as it is for this run.
func (g *guarding) of(job *jobs.Job) (*jobs.Job, error) {
	if *g == (guarding{}) {
		return job, nil
	}
	guarded := *job
	if g.allowEmpty {
		guarded.Guard.AllowEmptySource = true
	}
	switch {
	case g.look < 0:
		return nil, usageError{fmt.Errorf("--look %d: want a number from 1 on", g.look)}
	case g.look > 0:
		guarded.Guard.Look = g.look
	}
	if g.maxDelete == "" {
		return &guarded, nil
	}
	most, err := jobs.ParseMaxDelete(g.maxDelete)
	if err != nil {
		return nil, usageError{fmt.Errorf("--max-delete: %w", err)}
	}
	guarded.Guard.MaxDelete = most
	guarded.Steps = slices.Clone(job.Steps)
	for i, step := range guarded.Steps {
		if step.Prune != nil {
			prune := *step.Prune
			prune.MaxDelete = most
			guarded.Steps[i].Prune = &prune
		}
	}
	return &guarded, nil
}
