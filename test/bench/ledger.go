package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/test/postgres"
)

// recordTime is how long runs are recorded for each figure.
const recordTime = 3 * time.Second

// recorded is how many runs a ledger of many years has.
const recorded = 1_000_000

// inStrip is of how many runs the strip of a job has the ends, before it is cut.
const inStrip = 50

// ledger measures how many runs a ledger records, each with a claim, a
// submission, its acceptance and an outcome: in a new one of either engine, and
// in a SQLite file with many runs.
func (b *bench) ledger(ctx context.Context) (table, error) {
	t, err := records(ctx, "ledger, SQLite", "sqlite:"+filepath.Join(b.dir, "new.db"))
	if err != nil {
		return nil, err
	}
	old := filepath.Join(b.dir, "old.db")
	if err := fill(ctx, old, recorded); err != nil {
		return nil, err
	}
	rows, err := records(ctx, "ledger, SQLite with 1 000 000 runs", "sqlite:"+old)
	if err != nil {
		return nil, err
	}
	t = append(t, rows...)
	if rows, err = onPostgres(ctx); err != nil {
		return nil, err
	}
	return append(t, rows...), nil
}

// onPostgres measures a server that it starts, where one is installed.
func onPostgres(ctx context.Context) (t table, err error) {
	server, err := postgres.Start("bench")
	if errors.Is(err, postgres.ErrMissing) {
		return table{{what: "ledger, PostgreSQL", ours: "skipped", bare: none, figure: "not installed", budget: none, verdict: none}}, nil
	}
	if err != nil {
		return nil, err
	}
	t, err = records(ctx, "ledger, PostgreSQL", server.URL(nil))
	return t, errors.Join(err, server.Close())
}

// records measures the ledger at url.
func records(ctx context.Context, what, url string) (table, error) {
	l, err := ledger.Open(ctx, url, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer l.Close() //nolint:errcheck // it is thrown away
	var t table
	for _, at := range []int{1, writers} {
		n, err := recordRuns(ctx, l, at)
		if err != nil {
			return nil, err
		}
		t = append(t, plain(fmt.Sprintf("%s, runs, %d at a time", what, at), n))
	}
	begin := time.Now()
	if _, err := l.Latest(ctx); err != nil {
		return nil, err
	}
	return append(t, plain(what+", latest of each job", span(time.Since(begin)))), nil
}

// recordRuns records runs for some time, so many at a time.
func recordRuns(ctx context.Context, l *ledger.Ledger, at int) (perSecond, error) {
	var done atomic.Int64
	begin := time.Now()
	all, ctx := errgroup.WithContext(ctx)
	for worker := range at {
		all.Go(func() error {
			for i := 0; time.Since(begin) < recordTime; i++ {
				if err := recordRun(ctx, l, fmt.Sprintf("%d-%d-%d", at, worker, i)); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	err := all.Wait()
	return perSecond(float64(done.Load()) / time.Since(begin).Seconds()), err
}

// recordRun does all that is written about a run.
func recordRun(ctx context.Context, l *ledger.Ledger, key string) error {
	const holder = "bench"
	run, _, err := l.Claim(ctx, ledger.Claim{Job: "bench", Key: key, Due: time.Now(), Holder: holder, Lease: time.Minute})
	if err != nil {
		return err
	}
	m := ledger.Submission{ID: key, Run: run.ID, Attempt: 1, Label: "bench " + key, Document: []byte(strings.Repeat("x", 1000))}
	if err := l.Submit(ctx, holder, m); err != nil {
		return err
	}
	if err := l.Accepted(ctx, key, "task "+key); err != nil {
		return err
	}
	if err := l.Ended(ctx, key, "SUCCEEDED", ledger.Totals{}); err != nil {
		return err
	}
	return l.Finish(ctx, run.ID, holder, ledger.Outcome{State: ledger.Succeeded})
}

// fill makes a SQLite file with so many runs of a hundred jobs, every five minutes up to
// now, with the totals of the days and the ends of the newest runs of each job, as the
// program keeps them. It does so in one transaction, behind the ledger's back: through the
// ledger it would take many minutes.
func fill(ctx context.Context, file string, runs int) (err error) {
	l, err := ledger.Open(ctx, "sqlite:"+file, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", file+"?_pragma=synchronous(off)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, fmt.Sprintf(`
		BEGIN;
		WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %[1]d)
		INSERT INTO runs (id, job, key, due, state, holder, lease_until, claimed, began, finished)
		SELECT i + 1, 'job-' || (i %% 100), i / 100, due, 'succeeded', 'old', 0, due, due, due + 60000000
		FROM (SELECT i, %[2]d - (%[1]d - i) / 100 * 300000000 AS due FROM n);
		INSERT INTO submissions (id, run, step, part, attempt, label, document, task_id, status, created, accepted)
		SELECT 'submission-' || id, id, 0, 0, 1, job || ' ' || key, zeroblob(300), 'task-' || id, 'SUCCEEDED', due, due FROM runs;
		INSERT INTO strips (job, ends)
		SELECT job, string_agg(';' || concat_ws(' ', id, state, began, finished), '' ORDER BY id) FROM runs WHERE id > %[1]d - 100 * %[3]d GROUP BY job;
		INSERT INTO days (day, job, runs, files, bytes) SELECT finished / 86400000000, job, count(*), 0, 0 FROM runs GROUP BY 1, 2;
		COMMIT`, runs, time.Now().UnixMicro(), inStrip))
	if err != nil {
		return fmt.Errorf("fill a ledger: %w", err)
	}
	return nil
}
