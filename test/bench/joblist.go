package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// jobName is the name of a generated job.
func jobName(i int) string { return fmt.Sprintf("job-%05d", i) }

// writeJobs writes a jobs file. Each job copies one file to a place of its own,
// when schedule says.
func writeJobs(name string, n int, schedule func(i int) string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "version: 1\ncollections:\n  lab: %s\n  vault: %s\njobs:\n", globussim.CollectionID("lab"), globussim.CollectionID("vault"))
	for i := range n {
		fmt.Fprintf(w, "  %s:\n    schedule: %q\n    transfer:\n      source: lab:/file\n", jobName(i), schedule(i))
		fmt.Fprintf(w, "      destination: 'vault:/%s/{{ .Time | strftime \"%%Y-%%m-%%d\" }}/file'\n      sync_level: checksum\n", jobName(i))
	}
	return errors.Join(w.Flush(), f.Close())
}

// far is a schedule that is not due for half a year, with a minute for each job.
func far(i int) string {
	return fmt.Sprintf("%d %d 15 %d *", i%60, i/60%24, time.Now().AddDate(0, 6, 0).Month())
}

// daily is the schedule of what is due once a day, at the time of day of at.
func daily(at time.Time) func(int) string {
	return func(int) string { return fmt.Sprintf("%d %d * * *", at.Minute(), at.Hour()) }
}

// writers is how many goroutines fill or measure a ledger. Changes that come
// together share a transaction.
const writers = 100

// dueNow writes a jobs file of daily jobs, and a ledger in which each of them
// ran yesterday. All are due today since the beginning of this minute, so that
// whoever schedules them starts all of them at once, and need not ask Globus
// whether a lost ledger had begun with them.
func dueNow(ctx context.Context, file, url string, n int) error {
	at := time.Now().UTC().Truncate(time.Minute)
	if err := writeJobs(file, n, daily(at)); err != nil {
		return err
	}
	l, err := ledger.Open(ctx, url, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	yesterday := at.AddDate(0, 0, -1)
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(writers)
	for i := range n {
		all.Go(func() error {
			run, _, err := l.Claim(ctx, ledger.Claim{
				Job: jobName(i), Key: string(jobs.ScheduledKey(yesterday)), Due: yesterday, Holder: "bench", Lease: time.Minute,
			})
			if err != nil {
				return err
			}
			return l.Finish(ctx, run.ID, "bench", ledger.Outcome{State: ledger.Succeeded})
		})
	}
	return errors.Join(all.Wait(), l.Close())
}
