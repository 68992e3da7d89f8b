package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

const (
	// batchOfRuns is how many runs one transaction deletes, with all that
	// belongs to them. It is short because others wait for its end.
	batchOfRuns = 100
	// keepGone is how long an item is kept after it has left its folder.
	keepGone = 120 * 24 * time.Hour
	// keepDays is how long the totals of a day are kept.
	keepDays = 400 * 24 * time.Hour
	// pageOfJobs is how many names of jobs are read at once.
	pageOfJobs = 200
)

// A Retention says which finished runs a ledger keeps: those that meet both
// conditions.
type Retention struct {
	Since time.Time // ended then or later; the zero time lets every run meet it
	Runs  int       // among the newest of its job, so many that have ended; 0 lets every run meet it
}

// ForgetRuns deletes the finished runs that are not to be kept, with all that belongs to
// them, and returns how many. However old they are, the newest run of a job stays, the one
// with the latest Due, and the run of an item that did not succeed, so that it can be done
// again or given up. ForgetRuns works in small transactions, between which others can
// write; after an error the number is right.
func (l *Ledger) ForgetRuns(ctx context.Context, keep Retention) (int, error) {
	if err := l.forgetItems(ctx); err != nil {
		return 0, err
	}
	if err := l.forgetActions(ctx, keep.Since); err != nil {
		return 0, err
	}
	total, err := l.forgetAged(ctx, keep.Since)
	if err != nil || keep.Runs <= 0 {
		return total, err
	}
	last := ""
	for {
		names, err := l.jobsAfter(ctx, last)
		if err != nil {
			return total, err
		}
		for _, job := range names {
			n, err := l.forgetBeyond(ctx, job, keep.Runs)
			total += n
			if err != nil {
				return total, err
			}
			last = job
		}
		if len(names) < pageOfJobs {
			return total, nil
		}
	}
}

// ForgetRunsEvery is ForgetRuns, unless another call of it began less than a period ago.
func (l *Ledger) ForgetRunsEvery(ctx context.Context, period time.Duration, keep Retention) (int, error) {
	n := 0
	err := l.write(ctx, "see whether to forget runs", func(ctx context.Context, s session) (err error) {
		// One in the future was written by a clock that was ahead.
		n, err = s.exec(ctx, `UPDATE ledger SET pruned = @now WHERE pruned <= @now - $1 OR pruned > @now`, period.Microseconds())
		return err
	})
	if err != nil || n == 0 {
		return 0, err
	}
	return l.ForgetRuns(ctx, keep)
}

// settled is a condition of runs, named old: they are not about an item that may be in its
// folder and did not succeed.
func settled() string {
	return fmt.Sprintf(`(old.state NOT IN ('failed', 'timed_out', 'skipped') OR NOT EXISTS (
		SELECT 1 FROM items WHERE items.job = old.job AND items.key = old.key AND (gone = 0 OR gone >= @now - %d)))`, keepGone.Microseconds())
}

// forgetAged deletes the runs that ended before an instant.
func (l *Ledger) forgetAged(ctx context.Context, before time.Time) (int, error) {
	return l.batches(ctx, `
		SELECT id FROM runs old
		WHERE finished > 0 AND finished < $1 AND `+settled()+`
			AND EXISTS (SELECT 1 FROM runs WHERE job = old.job AND id > old.id)
			AND EXISTS (SELECT 1 FROM runs WHERE job = old.job AND (due > old.due OR (due = old.due AND id > old.id)))
		ORDER BY finished LIMIT $2`, stamp(before), batchOfRuns)
}

// forgetBeyond deletes the finished runs of a job but the newest ones.
func (l *Ledger) forgetBeyond(ctx context.Context, job string, newest int) (int, error) {
	var beyond int64 // the newest run that has so many newer ones
	err := l.read(ctx, "count the runs of job "+job, func(ctx context.Context, s session) error {
		beyond = 0
		// It reads indexes alone: runs_of_job, and runs_open for the runs that do
		// not count because they have not ended. A very old one of these makes
		// one run more stay.
		return s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&beyond) }, `
			SELECT id FROM runs WHERE job = $1 ORDER BY id DESC
			LIMIT 1 OFFSET CAST($2 AS BIGINT) + (SELECT count(*) FROM runs WHERE job = $1 AND finished = 0)`, job, newest)
	})
	if err != nil || beyond == 0 {
		return 0, err
	}
	return l.batches(ctx, `
		SELECT id FROM runs old
		WHERE job = $1 AND id <= $2 AND finished > 0 AND `+settled()+`
			AND EXISTS (SELECT 1 FROM runs WHERE job = old.job AND (due > old.due OR (due = old.due AND id > old.id)))
		ORDER BY id LIMIT $3`, job, beyond, batchOfRuns)
}

// batches deletes the runs whose ids a query selects, a batch at a time, until there are
// no more.
func (l *Ledger) batches(ctx context.Context, query string, args ...any) (total int, err error) {
	for {
		n := 0
		err := l.write(ctx, "forget runs", func(ctx context.Context, s session) error {
			return s.together(ctx, func() (err error) {
				n, err = s.forget(ctx, query, args...)
				return err
			})
		})
		if err != nil {
			return total, err
		}
		if total += n; n < batchOfRuns {
			return total, nil
		}
	}
}

// forgetActions deletes actions from before an instant, pauses that have ended, and the
// totals of days long past.
func (l *Ledger) forgetActions(ctx context.Context, before time.Time) error {
	return l.write(ctx, "forget old actions", func(ctx context.Context, s session) error {
		if _, err := s.exec(ctx, `DELETE FROM pauses WHERE until > 0 AND until <= @now`); err != nil {
			return err
		}
		if _, err := s.exec(ctx, `DELETE FROM days WHERE day < $1`, stamp(time.Now().Add(-keepDays))/day); err != nil {
			return err
		}
		_, err := s.exec(ctx, `DELETE FROM actions WHERE at < $1`, stamp(before))
		return err
	})
}

// forgetItems deletes the items that left their folder longer ago than Globus remembers
// tasks. Before that, a new item of the same name would be given the task of the old one.
func (l *Ledger) forgetItems(ctx context.Context) error {
	return l.write(ctx, "forget items that are gone", func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `
			DELETE FROM items WHERE gone > 0 AND gone < @now - $1
				AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.job = items.job AND runs.key = items.key)`, keepGone.Microseconds())
		return err
	})
}

// forget deletes the runs whose ids a query selects. How a run about an item ended is
// kept with the item, because an item that is done must stay done.
func (s session) forget(ctx context.Context, query string, args ...any) (int, error) {
	ids := map[int64]int{}
	err := s.query(ctx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids[id] = 1
		return err
	}, query, args...)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	doc, err := json.Marshal(ids)
	if err != nil {
		return 0, err
	}
	const forgotten = `(SELECT CAST(key AS BIGINT) FROM json_each($1))`
	if _, err := s.exec(ctx, `
		UPDATE items SET state = runs.state, why = runs.message, since = runs.finished FROM runs
		WHERE runs.id IN `+forgotten+` AND items.job = runs.job AND items.key = runs.key`, string(doc)); err != nil {
		return 0, err
	}
	// What their tasks may have copied still matters, see [Ledger.Unsealed].
	if _, err := s.exec(ctx, `
		UPDATE receipts SET document = s.document, ended = CASE WHEN s.status = '' THEN 0 ELSE runs.finished END FROM submissions s, runs
		WHERE receipts.run IN `+forgotten+` AND receipts.sealed = 0 AND runs.id = receipts.run AND `+ofReceipt+` AND `+maySent, string(doc)); err != nil {
		return 0, err
	}
	return s.exec(ctx, `DELETE FROM runs WHERE id IN `+forgotten, string(doc))
}

// jobsAfter returns the sorted names of jobs that have runs, with one index look-up for
// each.
func (l *Ledger) jobsAfter(ctx context.Context, last string) ([]string, error) {
	var names []string
	err := l.read(ctx, "names of jobs", func(ctx context.Context, s session) error {
		names = nil
		return s.query(ctx, func(rows *sql.Rows) error {
			var name string
			err := rows.Scan(&name)
			names = append(names, name)
			return err
		}, `
			WITH RECURSIVE names (name) AS (
				SELECT min(job) FROM runs WHERE job > $1
				UNION ALL
				SELECT (SELECT min(job) FROM runs WHERE job > name) FROM names WHERE name IS NOT NULL
			)
			SELECT name FROM names WHERE name IS NOT NULL LIMIT $2`, last, pageOfJobs)
	})
	return names, err
}
