package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A Day has the totals of a day (UTC): how many runs ended, and what they moved. A run
// that ended before and was retried counts again, with what it has moved since.
type Day struct {
	Day                time.Time // its beginning
	Runs, Files, Bytes int64
}

// day is a day in microseconds.
const day = 24 * 60 * 60 * 1_000_000

// Days returns what was done on each day since the one of an instant, by a job, or
// by all if the name is empty. Days on which nothing ended are left out.
func (l *Ledger) Days(ctx context.Context, job string, since time.Time) ([]Day, error) {
	var all []Day
	query, args := `SELECT day, sum(runs), sum(files), sum(bytes) FROM days WHERE day >= $1`, []any{stamp(since) / day}
	if job != "" {
		query, args = query+` AND job = $2`, append(args, job)
	}
	err := l.read(ctx, "read what was done each day", func(ctx context.Context, s session) error {
		all = nil
		return s.query(ctx, func(rows *sql.Rows) error {
			var number int64
			var d Day
			err := rows.Scan(&number, &d.Runs, &d.Files, &d.Bytes)
			d.Day = time.UnixMicro(number * day).UTC()
			all = append(all, d)
			return err
		}, query+` GROUP BY day ORDER BY day`, args...)
	})
	return all, err
}

// addToDay adds to this day a run of the holder that is about to end, and what it has
// moved since it ended before, if it did. The totals stay when the run is forgotten.
func (s session) addToDay(ctx context.Context, run int64, holder string, all Totals) error {
	_, err := s.exec(ctx, fmt.Sprintf(`
		INSERT INTO days (day, job, runs, files, bytes)
		SELECT @now / %d, job, 1, CAST($3 AS BIGINT) - files, CAST($4 AS BIGINT) - bytes FROM runs WHERE `+fence+`
		ON CONFLICT (day, job) DO UPDATE SET runs = days.runs + 1, files = days.files + excluded.files, bytes = days.bytes + excluded.bytes`, day),
		run, holder, all.Files, all.Bytes)
	return err
}

// reopenDay no longer counts a run that is to be retried among those that ended on its
// day. What it moved on that day still counts.
func (s session) reopenDay(ctx context.Context, run int64) error {
	_, err := s.exec(ctx, fmt.Sprintf(`
		UPDATE days SET runs = days.runs - 1 FROM runs
		WHERE runs.id = $1 AND runs.finished > 0 AND runs.state <> 'succeeded' AND days.job = runs.job AND days.day = runs.finished / %d`, day), run)
	return err
}
