package ledger

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// giveUp makes a run that has ended without success a canceled one: nobody will do it
// again, and nothing counts it as wrong any more. It leaves all other runs alone.
func (s session) giveUp(ctx context.Context, a *Action) error {
	job := ""
	err := s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&job) }, `
		UPDATE runs SET state = 'canceled', class = 'canceled', code = '', request_id = '', message = CAST($2 AS TEXT) || CASE
			WHEN message = '' THEN '' WHEN state = 'failed' THEN '; it had failed: ' WHEN state = 'timed_out' THEN '; it had timed out: '
			ELSE '; it was skipped: ' END || message
		WHERE id = $1 AND state IN ('failed', 'timed_out', 'skipped') RETURNING job`, a.Run, "given up "+a.by())
	if err != nil || job == "" {
		return err
	}
	a.GaveUp = true
	if err := s.addToStrip(ctx, a.Run); err != nil {
		return err
	}
	return s.settle(ctx, job, a)
}

// settle marks the alarms of a job about runs that have failed, if no such run is left.
func (s session) settle(ctx context.Context, job string, a *Action) error {
	is, _, err := s.standing(ctx, job)
	if err != nil {
		return err
	}
	settles := func(alarm Alarm) bool { return slices.Contains(a.Alarms, alarm.Kind) }
	var since time.Time
	for _, alarm := range is.Alarms {
		if settles(alarm) && (since.IsZero() || alarm.Since.Before(since)) {
			since = alarm.Since
		}
	}
	if since.IsZero() {
		return nil
	}
	if left, err := s.failed(ctx, job, since); left > 0 || err != nil {
		return err
	}
	return s.tell(ctx, job, func(now Standing) (Standing, []Notice) {
		for i := range now.Alarms {
			if settles(now.Alarms[i]) {
				now.Alarms[i].GivenUp = a.by()
			}
		}
		return now, nil
	})
}

// clocksDiffer allows for the clock that an alarm begins by, which is not the one that
// ends a run.
const clocksDiffer = time.Minute

// Failed returns how many items of a job that are in its folder have failed; of a job
// without items, how many of its runs have failed since about an instant. A run that was
// done again with success, or was given up, has not failed.
func (l *Ledger) Failed(ctx context.Context, job string, since time.Time) (n int, err error) {
	err = l.read(ctx, "count what has failed of job "+job, func(ctx context.Context, s session) (err error) {
		n, err = s.failed(ctx, job, since)
		return err
	})
	return n, err
}

func (s session) failed(ctx context.Context, job string, since time.Time) (n int, err error) {
	err = s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&n) }, `
		SELECT CASE WHEN EXISTS (SELECT 1 FROM items WHERE job = $1) THEN (SELECT count(*)`+itemsEnded+`('failed', 'timed_out'))
		ELSE (SELECT count(*) FROM runs WHERE job = $1 AND finished > 0 AND finished >= $2 AND state IN ('failed', 'timed_out')) END`,
		job, stamp(since.Add(-clocksDiffer)))
	return n, err
}
