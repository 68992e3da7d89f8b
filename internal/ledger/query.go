package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"time"
)

// Run returns a run by its id. If there is none, the error is ErrNone.
func (l *Ledger) Run(ctx context.Context, id int64) (*Run, error) {
	var run *Run
	err := l.read(ctx, fmt.Sprintf("run %d", id), func(ctx context.Context, s session) (err error) {
		run, err = s.run(ctx, runByID, id)
		return err
	})
	return run, err
}

// RunOf returns the run of an occurrence. If there is none, the error is ErrNone.
func (l *Ledger) RunOf(ctx context.Context, job, key string) (*Run, error) {
	var run *Run
	err := l.read(ctx, fmt.Sprintf("run of %s %s", job, key), func(ctx context.Context, s session) (err error) {
		run, err = s.run(ctx, runByKey, job, key)
		return err
	})
	return run, err
}

// A Query says which runs to list. Its zero value is all of them.
type Query struct {
	Job        string    // of this job
	State      State     // in this state
	Unfinished bool      // in a state that is not final
	Since      time.Time // claimed then or later
	Until      time.Time // claimed before
	Open       time.Time // ended then or later, or not at all
	Below      int64     // with a smaller id; 0 means any
	Limit      int       // at most so many; 0 means all
}

const pageOfRuns = 200

// Runs lists runs, the newest first, and fetches them by pages as it goes.
// After an error, which is the last value, the run is nil.
func (l *Ledger) Runs(ctx context.Context, q Query) iter.Seq2[*Run, error] {
	return func(yield func(*Run, error) bool) {
		left := q.Limit
		if left <= 0 {
			left = math.MaxInt
		}
		for below := cmp.Or(q.Below, math.MaxInt64); left > 0; {
			page, err := l.page(ctx, q, below, min(left, pageOfRuns))
			if err != nil {
				yield(nil, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
				below = r.ID
			}
			if len(page) < pageOfRuns {
				return
			}
			left -= len(page)
		}
	}
}

func (l *Ledger) page(ctx context.Context, q Query, below int64, limit int) ([]*Run, error) {
	query, args := `SELECT `+runColumns+` FROM runs WHERE id < $1`, []any{below, limit}
	and := func(condition string, arg any) {
		args = append(args, arg)
		query += fmt.Sprintf(" AND %s $%d", condition, len(args))
	}
	if q.Job != "" {
		and("job =", q.Job)
	}
	if q.State != "" {
		and("state =", string(q.State))
	}
	if q.Unfinished {
		query += " AND finished = 0"
	}
	if !q.Since.IsZero() {
		and("claimed >=", stamp(q.Since))
	}
	if !q.Until.IsZero() {
		and("claimed <", stamp(q.Until))
	}
	if !q.Open.IsZero() {
		and("finished NOT BETWEEN 1 AND", stamp(q.Open)-1)
	}
	var runs []*Run
	err := l.read(ctx, "list runs", func(ctx context.Context, s session) (err error) {
		runs, err = s.runs(ctx, query+` ORDER BY id DESC LIMIT $2`, args...)
		return err
	})
	return runs, err
}

// namesOfJobs finds the names of the jobs that have runs, with one index look-up for
// each: DISTINCT would read the whole index.
const namesOfJobs = `
	WITH RECURSIVE names (name) AS (
		SELECT min(job) FROM runs
		UNION ALL
		SELECT (SELECT min(job) FROM runs WHERE job > name) FROM names WHERE name IS NOT NULL
	)`

// Latest returns for each job its run with the latest Due, or its newest run
// if none has a Due.
func (l *Ledger) Latest(ctx context.Context) (map[string]*Run, error) {
	latest := map[string]*Run{}
	err := l.read(ctx, "latest runs", func(ctx context.Context, s session) error {
		runs, err := s.runs(ctx, namesOfJobs+`
			SELECT `+runColumns+` FROM names
			JOIN runs ON id = (SELECT id FROM runs WHERE job = name ORDER BY due DESC, id DESC LIMIT 1)`)
		for _, r := range runs {
			latest[r.Job] = r
		}
		return err
	})
	return latest, err
}

// LatestDue returns for each job that has runs with a Due up to an instant the
// latest of these.
func (l *Ledger) LatestDue(ctx context.Context, until time.Time) (map[string]time.Time, error) {
	latest := map[string]time.Time{}
	err := l.read(ctx, "latest due runs", func(ctx context.Context, s session) error {
		return s.query(ctx, func(rows *sql.Rows) error {
			var job string
			var due time.Time
			err := rows.Scan(&job, instant{&due})
			latest[job] = due
			return err
		}, namesOfJobs+`
			SELECT name, due FROM names
			JOIN runs ON id = (SELECT id FROM runs WHERE job = name AND due > 0 AND due <= $1 ORDER BY due DESC, id DESC LIMIT 1)`,
			stamp(until))
	})
	return latest, err
}

// Ends says when runs of a job ended, among those that are not forgotten.
type Ends struct {
	Last    time.Time // the newest run that has ended
	Success time.Time // the newest run that has succeeded; zero if there is none
}

// Ends returns for each job that has runs when the newest of them ended.
func (l *Ledger) Ends(ctx context.Context) (map[string]Ends, error) {
	ends := map[string]Ends{}
	err := l.read(ctx, "read when runs ended", func(ctx context.Context, s session) error {
		return s.query(ctx, func(rows *sql.Rows) error {
			var job string
			var e Ends
			err := rows.Scan(&job, instant{&e.Last}, instant{&e.Success})
			ends[job] = e
			return err
		}, namesOfJobs+`
			SELECT name,
				COALESCE((SELECT finished FROM runs WHERE job = name AND finished > 0 ORDER BY id DESC LIMIT 1), 0),
				COALESCE((SELECT finished FROM runs WHERE job = name AND state = $1 ORDER BY id DESC LIMIT 1), 0)
			FROM names WHERE name IS NOT NULL`, Succeeded)
	})
	return ends, err
}
