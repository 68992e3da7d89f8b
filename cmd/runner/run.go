package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
)

const aboutRun = `Run one occurrence of each job named, or of the one job that the RUNNER_JOB_*
variables describe: submit, wait, report.

A start with the same job and occurrence continues what an earlier one began: it
adopts a task that exists, and makes a new attempt after one that failed. The
occurrence is --scheduled-for, else RUNNER_OCCURRENCE, else the Kubernetes
Job's name in RUNNER_KUBERNETES_JOB, else the run of the CI system, else a new
one.

If another task or run is in the way, the run is skipped: the exit status is 12,
or 0 with --skip-ok.

Reports are written even if the run fails, but not with --dry-run. In GitHub
Actions the step gets its summary, its outputs and an annotation for an error
without any flag.`

func (a *app) runCommand() *cobra.Command {
	var f following
	var r reporting
	var scheduledFor string
	var all bool
	c := &cobra.Command{
		Use:   "run [JOB...]",
		Short: "Run one occurrence of jobs now: submit, wait, report",
		Long:  aboutRun,
		Example: `  RUNNER_JOB_SOURCE=$LAB:/data/ RUNNER_JOB_DESTINATION=$VAULT:/raw/ runner run
  runner run nightly --scheduled-for 2026-11-21T02:00:00Z --timeout 2h`,
		Args: arguments(0, 1000),
		// The reports tell about a wrong environment too.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(c *cobra.Command, args []string) error {
			orders, err := a.orders(args, all, scheduledFor)
			if err == nil {
				a.recorded = true
				err = a.runAll(c.Context(), orders, f, len(args) > 1 || all)
			}
			if !f.dryRun {
				a.tell(c.Context(), r, orders, err)
			}
			return err
		},
	}
	f.flags(c.Flags())
	r.flags(c.Flags())
	a.jobsFlag(c)
	c.Flags().BoolVar(&all, "all", false, "run every job of the jobs file")
	c.Flags().StringVar(&scheduledFor, "scheduled-for", "", "the scheduled instant of the occurrence, such as 2026-11-21T02:00:00Z; last: the newest at which the job was due")
	return c
}

// orders prepares the start and finds out what there is to do.
func (a *app) orders(names []string, all bool, scheduledFor string) ([]engine.Order, error) {
	if err := a.ready(); err != nil {
		return nil, err
	}
	chosen, err := a.choose(names, all)
	if err != nil {
		return nil, err
	}
	if scheduledFor == lastOccurrence {
		return lastOrders(chosen, time.Now())
	}
	key, fresh, err := a.env.Occurrence.key(scheduledFor)
	if err != nil {
		return nil, err
	}
	at := key.Due()
	if at.IsZero() {
		at = time.Now().UTC()
	}
	var orders []engine.Order
	for _, job := range chosen {
		orders = append(orders, engine.Order{Job: job, Key: key, At: at, Fresh: fresh})
	}
	return orders, nil
}

// choose finds the jobs to run.
func (a *app) choose(names []string, all bool) ([]*jobs.Job, error) {
	if len(names) > 0 && all {
		return nil, usageError{errors.New("--all and names of jobs exclude each other")}
	}
	if len(names) == 0 && !all && !a.described() {
		return nil, a.nothingNamed()
	}
	file, err := a.loadJobs(names...)
	if err == nil && a.described() && a.env.State == "" {
		a.env.State = stateNone
	}
	if err != nil || len(names) == 0 {
		return allJobs(file), err
	}
	var chosen []*jobs.Job
	for _, name := range names {
		job, err := a.findJob(file, name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, job)
	}
	return chosen, nil
}

// nothingNamed says which jobs could have been named.
func (a *app) nothingNamed() error {
	if file, err := a.loadJobs(); err == nil {
		return usageError{fmt.Errorf("no job is named, and RUNNER_JOB_SOURCE and RUNNER_JOB_DESTINATION, which must both be set, describe none: "+
			"name one of %s, or --all", someOf(jobNames(file)))}
	}
	_, err := a.env.Job.file()
	return err
}

func allJobs(file *jobs.File) []*jobs.Job {
	if file == nil {
		return nil
	}
	return file.Jobs
}

// runAll does the orders side by side and prints what came of them.
func (a *app) runAll(ctx context.Context, orders []engine.Order, f following, list bool) error {
	if !list {
		return a.follow(ctx, orders[0], f)
	}
	results := make([]*engine.Result, len(orders))
	errs := make([]error, len(orders))
	if f.dryRun {
		for i, o := range orders {
			errs[i] = a.dryRun(o)
		}
		return errors.Join(errs...)
	}
	do, done, err := a.recorder(ctx)
	if err != nil {
		return err
	}
	defer done()
	var wg sync.WaitGroup
	for i, o := range orders {
		o.NoWait, o.CancelOnInterrupt = f.noWait, f.onInterrupt == cancelTask
		wg.Go(func() {
			bounded, cancel := f.timeout.bound(ctx)
			defer cancel()
			results[i], errs[i] = do(bounded, o)
		})
	}
	wg.Wait()
	docs := []*resultDocument{}
	for i, res := range results {
		if res == nil {
			a.results = append(a.results, a.undone(ctx, orders[i], errs[i]))
			continue
		}
		res.Err = f.outcome(res)
		doc := a.document(ctx, res)
		docs = append(docs, doc)
		a.results = append(a.results, doc)
		errs[i] = res.Err
	}
	printed := a.print(map[string]any{"runs": docs}, func(w io.Writer) {
		for _, d := range docs {
			d.text(w)
		}
	})
	return worst(ctx, append(errs, printed))
}

// worst returns the error with the gravest exit status, as a whole list.
func worst(ctx context.Context, errs []error) error {
	all := errors.Join(errs...)
	if all == nil {
		return nil
	}
	grave := []int{
		exitSkipped, exitTemporary, exitUnknown, exitTimedOut, exitNeedsHuman, exitIncomplete, exitFailed,
		exitGuard, exitRefused, exitUsage, exitCredentials,
	}
	status := exitSkipped
	for _, err := range errs {
		if err == nil {
			continue
		}
		if s := exitStatus(ctx, err); s > 100 || slices.Index(grave, s) > slices.Index(grave, status) {
			status = s
		}
	}
	return statusError{all, status}
}
