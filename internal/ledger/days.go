package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A Day is what the runs that ended on a day (UTC) have done.
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

// count adds a run that has ended to its day, or takes away one that can be done
// again (-1). The sums stay when the run is forgotten.
func (s session) count(ctx context.Context, run int64, sign int) error {
	_, err := s.exec(ctx, fmt.Sprintf(`
		INSERT INTO days (day, job, runs, files, bytes)
		SELECT finished / %d, job, $2, CAST($2 AS BIGINT) * files, CAST($2 AS BIGINT) * bytes FROM runs WHERE id = $1 AND finished > 0 AND ($2 > 0 OR state <> 'succeeded')
		ON CONFLICT (day, job) DO UPDATE SET runs = days.runs + excluded.runs, files = days.files + excluded.files, bytes = days.bytes + excluded.bytes`, day),
		run, sign)
	return err
}
