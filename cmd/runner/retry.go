package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

const aboutRetry = `Repeat a run that did not succeed or was skipped; or all that the flags choose.
Without --state, those are the runs that failed or timed out.`

// retryCommand is askOfRun for one run, or for all that are chosen by flags.
func (a *app) retryCommand() *cobra.Command {
	c := a.askOfRun("retry", "Repeat a run that did not succeed or was skipped", a.retryRun)
	var q ledger.Query
	var from since
	one := c.RunE
	c.Use = "retry [RUN]"
	c.Long = aboutRetry
	c.Example = `  runner runs retry 25
  runner runs retry --job images --state failed --since 12h`
	c.Args = arguments(0, 1)
	c.RunE = func(c *cobra.Command, args []string) error {
		q.Since = from.time
		switch chosen := q != (ledger.Query{}); {
		case !chosen && len(args) == 0:
			return usageError{errors.New("give the number of a run, or choose several with --job, --state and --since")}
		case chosen && len(args) > 0:
			return usageError{errors.New("the number of a run goes alone, without --job, --state and --since")}
		case !chosen:
			return one(c, args)
		}
		reason := c.Flag("reason").Value.String()
		return a.onRecords(c.Context(), func(ctx context.Context, l *ledger.Ledger) error { return a.retryRuns(ctx, l, q, reason) })
	}
	flags := c.Flags()
	flags.StringVar(&q.Job, "job", "", "all runs of this job")
	flags.Var(oneOf(&q.State, "STATE", ledger.Failed, ledger.TimedOut, ledger.Canceled, ledger.Skipped), "state", "all runs in this state: failed, timed_out, canceled or skipped")
	flags.Var(&from, "since", "all runs that started then or later: so long ago, such as 12h, or an instant such as 2026-11-21")
	return c
}

// retryRuns asks again for all runs that a query finds, the oldest first. What somebody
// canceled, or a policy skipped, must be asked for by its state.
func (a *app) retryRuns(ctx context.Context, l *ledger.Ledger, q ledger.Query, reason string) error {
	if q.Job != "" {
		if err := a.knownJob(ctx, l, q.Job); err != nil {
			return err
		}
	}
	var ids []int64
	for r, err := range l.Runs(ctx, q) {
		if err != nil {
			return err
		}
		if q.State != "" || r.State == ledger.Failed || r.State == ledger.TimedOut {
			ids = append(ids, r.ID)
		}
	}
	slices.Reverse(ids)
	docs := []runDocument{}
	for _, id := range ids {
		_, err := l.Act(ctx, ledger.Action{Kind: ledger.ActionRetry, Run: id, Who: a.user(), Why: reason})
		if errors.Is(err, ledger.ErrState) {
			continue // somebody else was faster
		}
		if err != nil {
			return err
		}
		run, err := l.Run(ctx, id)
		if err != nil {
			return err
		}
		docs = append(docs, describeRun(run))
	}
	return a.print(newList(docs), func(w io.Writer) {
		if len(docs) == 0 {
			fmt.Fprintln(w, "no such runs")
			return
		}
		fmt.Fprintf(w, "%s will be done again by runner serve, or by\n", plain.Count(len(docs), "run"))
		for i := range docs {
			fmt.Fprintln(w, "  "+startAgain(docs[i].Job, docs[i].Key))
		}
	})
}

// retryRun asks for a run again.
func (a *app) retryRun(ctx context.Context, l *ledger.Ledger, id int64, reason string) error {
	_, err := l.Act(ctx, ledger.Action{Kind: ledger.ActionRetry, Run: id, Who: a.user(), Why: reason})
	if errors.Is(err, ledger.ErrState) {
		return noRetry(ctx, l, id)
	}
	if err != nil {
		return err
	}
	run, err := l.Run(ctx, id)
	if err != nil {
		return err
	}
	return a.print(describeRun(run), func(w io.Writer) {
		fmt.Fprintf(w, "run %d will be done again by runner serve, or by %s\n", id, startAgain(run.Job, run.Key))
	})
}

// startAgain is the command that does an occurrence again, where no serve is at work.
func startAgain(job, key string) string {
	return fmt.Sprintf("RUNNER_OCCURRENCE=%s runner run %s", key, job)
}

// noRetry says why a run cannot be done again.
func noRetry(ctx context.Context, l *ledger.Ledger, id int64) error {
	run, err := l.Run(ctx, id)
	switch {
	case err != nil:
		return err
	case run.State.Final() && jobs.Key(run.Key).IsItem():
		return usageError{fmt.Errorf("run %d has succeeded, and an item that is done is not done again; with again: changed in its for_each it is done once more when it has changed", id)}
	case run.State.Final():
		return usageError{fmt.Errorf("run %d has succeeded, so there is nothing to do again; runner run %s starts another occurrence", id, run.Job)}
	case time.Now().After(run.LeaseUntil):
		return usageError{fmt.Errorf("run %d waits already to be taken up by runner serve, or by the next start of job %s", id, run.Job)}
	}
	return usageError{fmt.Errorf("run %d is at work, by %s; to begin it anew, cancel it first with runner runs cancel %d", id, run.Holder, id)}
}
