package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

const aboutRun = `Run one occurrence of each job named, or of the one job that the RUNNER_JOB_*
variables describe: submit, wait, report. Several jobs run side by side, but one
that comes after another of them is started when that has succeeded, and is
skipped when it has not.

A start with the same job and occurrence continues what an earlier one began: it
adopts a task that exists, and makes a new attempt after one that failed. The
occurrence is --scheduled-for, else RUNNER_OCCURRENCE, else the Kubernetes
Job's name in RUNNER_KUBERNETES_JOB, else the run of the CI system, else a new
one.

For a job with for_each, run looks at the folder once and does all items that are
ready, at most max_active at the same time. Items that did not succeed in an
earlier start are not done again, and make the exit status 1. RUNNER_OCCURRENCE
with the key of an item does this item as it is now, ready or not.

If another task or run is in the way, the run is skipped: the exit status is 12,
or 0 with --skip-ok.

Reports are written even if the run fails, but not with --dry-run. In GitHub
Actions, the step gets its summary, its outputs and an annotation for an error
without any flag.`

func (a *app) runCommand() *cobra.Command {
	var f following
	w := runRequest{source: jobsSource{env: a.env}}
	var r reporting
	c := &cobra.Command{
		Use:   "run [JOB...]",
		Short: "Run one occurrence of jobs now: submit, wait, report",
		Long:  aboutRun,
		Example: `  RUNNER_JOB_SOURCE=$LAB:/data/ RUNNER_JOB_DESTINATION=$VAULT:/raw/ runner run
  runner run nightly --scheduled-for 2026-11-21T02:00:00Z --timeout 2h`,
		Args: arguments(0, 1000),
		// The reports tell about a wrong environment too.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(c *cobra.Command, names []string) error {
			w.names = names
			err := a.ready(c)
			if err == nil {
				err = w.find(time.Now(), a.log)
			}
			var docs []*resultDocument
			if err == nil {
				docs, err = a.runAll(c.Context(), &w, f)
				w.nameFollowers(a.log, docs)
			}
			if !f.dryRun {
				a.writeReports(c.Context(), r, docs, w.orders, err)
			}
			return err
		},
	}
	f.flags(c.Flags())
	r.flags(c.Flags())
	w.source.flags(c.Flags())
	c.Flags().BoolVar(&w.all, "all", false, "run every job of the jobs file")
	w.guarding.flags(c.Flags(), "how much a mirror or a prune may delete in this run, in place of its max_delete")
	c.Flags().IntVar(&w.limit, "limit", 0, "for a job with for_each: how many items to do at most; 0: all that are ready")
	c.Flags().StringVar(&w.scheduledFor, "scheduled-for", "", "the scheduled instant of the occurrence, such as 2026-11-21T02:00:00Z; last: the newest at which the job was due")
	return c
}

// A runRequest is what "runner run" was asked to do.
type runRequest struct {
	source       jobsSource
	names        []string
	all          bool
	scheduledFor string
	limit        int // of items of a job; 0: all
	guarding     guarding

	orders    []engine.Order  // what there is to do
	asked     map[string]bool // names of the jobs that are run
	followers []*jobs.Job     // the jobs that come after others and are not run
	recording recording
}

// find finds out what there is to do, and how to do it again.
func (w *runRequest) find(now time.Time, log *slog.Logger) error {
	err := w.findOrders(now, log)
	for i := range w.orders {
		o := &w.orders[i]
		o.Repeat = "RUNNER_OCCURRENCE=" + engine.KeyHere + " runner run"
		if w.all || len(w.names) > 0 {
			o.Repeat += " " + o.Job.Name
		}
	}
	return err
}

func (w *runRequest) findOrders(now time.Time, log *slog.Logger) error {
	chosen, err := w.choose(log)
	if err != nil {
		return err
	}
	if err := w.checkLimit(chosen); err != nil {
		return err
	}
	if w.scheduledFor == lastOccurrence {
		w.orders, err = lastOrders(chosen, now)
		return err
	}
	key, fresh, err := w.source.env.Occurrence.Key(w.scheduledFor)
	if err != nil {
		return usageError{err}
	}
	at := key.Due()
	if at.IsZero() {
		at = now.UTC()
	}
	for _, job := range chosen {
		o := engine.Order{Job: job, Key: key, At: at, Fresh: fresh}
		warnOfInstant(log, o, now)
		w.orders = append(w.orders, o)
	}
	return nil
}

// clockJitter is how much later than the clock of this machine an instant may be that
// another one passes on.
const clockJitter = time.Minute

// warnOfInstant warns of an occurrence that its schedule does not have, or does not have yet.
func warnOfInstant(log *slog.Logger, o engine.Order, now time.Time) {
	due := o.Key.Due()
	if due.IsZero() {
		return
	}
	log = log.With("job", o.Job.Name, "occurrence", string(o.Key))
	switch s := o.Job.Schedule; {
	case s != nil && !s.Last(due).Equal(due):
		log.Warn("the schedule does not have this occurrence, so this run takes the place of none that it has; runner next lists those to come", "last", s.Last(due))
	case due.After(now.Add(clockJitter)):
		log.Warn("the occurrence is not due yet: it is done now, and is not done again when it is due", "due_in", due.Sub(now).Round(time.Second))
	}
}

// checkLimit refuses a limit that says nothing.
func (w *runRequest) checkLimit(chosen []*jobs.Job) error {
	switch {
	case w.limit < 0:
		return usageError{fmt.Errorf("--limit %d: want a number from 0 on", w.limit)}
	case w.limit > 0 && !slices.ContainsFunc(chosen, func(job *jobs.Job) bool { return job.ForEach != nil }):
		return usageError{fmt.Errorf("--limit %d: it limits the items of a job with for_each, and none of %s has one", w.limit, someOf(namesOf(chosen)))}
	}
	return nil
}

// checkWait refuses to end before the jobs that others come after.
func (w *runRequest) checkWait(f following) error {
	for _, o := range w.orders {
		if f.noWait && w.asked[o.Job.After] {
			return usageError{fmt.Errorf("--no-wait: job %s comes after job %s, which has not succeeded when Globus has accepted its task; leave out %[1]s, or --no-wait", o.Job.Name, o.Job.After)}
		}
	}
	return nil
}

// choose finds the jobs to run.
func (w *runRequest) choose(log *slog.Logger) ([]*jobs.Job, error) {
	if len(w.names) > 0 && w.all {
		return nil, usageError{errors.New("--all and names of jobs exclude each other")}
	}
	if len(w.names) == 0 && !w.all && !w.source.described() {
		return nil, w.nothingNamed()
	}
	file, err := w.source.load(w.names...)
	if err != nil {
		return nil, err
	}
	if file.from.described() {
		// It needs no ledger, and does not say what a jobs file beside it keeps.
		w.recording = recording{wanted: w.source.env.State != ""}
	} else {
		w.recording = recording{wanted: true, history: file.History, channels: file.Channels}
	}
	chosen, err := file.named(w.names)
	if err != nil {
		return nil, err
	}
	if err := w.guarding.check(chosen); err != nil {
		return nil, err
	}
	file.logDoubts(log, chosen)
	guarded := make([]*jobs.Job, len(chosen))
	w.asked = make(map[string]bool, len(chosen))
	for i, job := range chosen {
		w.asked[job.Name] = true
		if guarded[i], err = w.guarding.of(job); err != nil {
			return nil, err
		}
	}
	for _, job := range file.Jobs {
		if job.After != "" && !job.Suspend && !w.asked[job.Name] {
			w.followers = append(w.followers, job)
		}
	}
	return guarded, nil
}

// nothingNamed says which jobs could have been named.
func (w *runRequest) nothingNamed() error {
	if file, err := w.source.load(); err == nil {
		return usageError{fmt.Errorf("name a job (%s), or --all", someOf(file.names()))}
	}
	_, err := w.source.env.Job.File()
	return usageError{err}
}

// runAll does the orders side by side, but those of a job that comes after another one
// behind it, and prints what came of them: of several a list.
func (a *app) runAll(ctx context.Context, w *runRequest, f following) ([]*resultDocument, error) {
	if f.dryRun {
		return nil, a.dryRun(a.sampled(w.orders)...)
	}
	if err := w.checkWait(f); err != nil {
		return nil, err
	}
	if len(w.names) < 2 && !w.all && !looks(w.orders[0]) {
		doc, err := a.follow(ctx, w.orders[0], f, w.recording)
		if doc == nil {
			return nil, err
		}
		return []*resultDocument{doc}, err
	}
	by, err := a.worker(ctx, w.recording)
	if err != nil {
		return nil, err
	}
	defer by.done()
	looked := by.expand(ctx, w)
	errs := make([]error, len(w.orders))
	turns, all := turnsOf(w.orders), newSequence(w.orders, w.asked)
	var wg sync.WaitGroup
	for i, o := range w.orders {
		wg.Go(func() {
			do := by.do
			if why := all.before(i); why != "" {
				do = skips(why)
			}
			defer turns.take(ctx, o)()
			var res *engine.Result
			res, errs[i] = f.do(ctx, o, do)
			all.ended(i, res)
		})
	}
	wg.Wait()
	var docs []*resultDocument
	begun := []*resultDocument{}
	for i, res := range all.results {
		if res == nil {
			docs = append(docs, a.undone(ctx, w.orders[i], errs[i]))
			continue
		}
		doc := a.document(ctx, res)
		docs, begun = append(docs, doc), append(begun, doc)
		errs[i] = ofJob(w.orders, i, res.Err)
	}
	printed := a.printRun(resultsDocument{begun}, func(w io.Writer) {
		for _, d := range begun {
			d.text(w)
		}
		if len(docs) == 0 && looked == nil {
			fmt.Fprintln(w, "no item is ready; runner items lists them, and says what they wait for")
		}
	})
	return docs, worst(ctx, append(errs, looked, printed))
}

// nameFollowers says which jobs come after those that have succeeded, and how they start.
func (w *runRequest) nameFollowers(log *slog.Logger, docs []*resultDocument) {
	for _, d := range docs {
		for _, job := range w.followers {
			if d.State == ledger.Succeeded && job.After == d.Job {
				log.Info("runner run does not start the job that comes after this one; a runner serve that uses this ledger does, and so does the command",
					"job", d.Job, "after_it", job.Name, "command", startAgain(job.Name, d.Key))
			}
		}
	}
}

// ofJob says of which of several orders an error is.
func ofJob(orders []engine.Order, i int, err error) error {
	name := orders[i].Job.Name
	if err == nil || len(orders) == 1 || strings.Contains(err.Error(), "job "+name) {
		return err
	}
	return fmt.Errorf("job %s: %w", name, err)
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

// lastOccurrence is the value of --scheduled-for that stands for the newest
// instant at which a job was due.
const lastOccurrence = "last"

// lastOrders are the orders for the newest occurrences of jobs.
func lastOrders(chosen []*jobs.Job, now time.Time) ([]engine.Order, error) {
	var orders []engine.Order
	byName := map[string]*jobs.Job{}
	for _, job := range chosen {
		byName[job.Name] = job
	}
	for _, job := range chosen {
		first := job
		for first.Schedule == nil && byName[first.After] != nil {
			first = byName[first.After]
		}
		if first.Schedule == nil {
			return nil, usageError{fmt.Errorf("--scheduled-for last: job %s has no schedule; give an instant such as 2026-11-21T02:00:00Z", job.Name)}
		}
		at := first.Schedule.Last(now)
		if at.IsZero() {
			return nil, usageError{fmt.Errorf("--scheduled-for last: job %s was not due in the last ten years", job.Name)}
		}
		orders = append(orders, engine.Order{Job: job, Key: jobs.ScheduledKey(at), At: at})
	}
	return orders, nil
}
