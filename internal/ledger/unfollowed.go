package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// A Follower is a job that does each occurrence after another job has done it.
type Follower struct {
	Job, After string
	Since      time.Time // it follows the runs that ended then or later
}

// An Unfollowed run has succeeded, and the job By, which comes after its job, has no run of
// its occurrence.
type Unfollowed struct {
	By  string
	Run *Run
}

// Unfollowed returns up to limit unfollowed runs, the earliest end first, and when the
// ledger looked, by its clock.
func (l *Ledger) Unfollowed(ctx context.Context, by []Follower, limit int) (found []Unfollowed, now time.Time, err error) {
	type row struct {
		After string `json:"after"`
		Since int64  `json:"since"`
	}
	rows, first := make(map[string]row, len(by)), int64(0)
	for i, f := range by {
		rows[text(f.Job)] = row{text(f.After), stamp(f.Since)}
		if i == 0 || stamp(f.Since) < first {
			first = stamp(f.Since)
		}
	}
	doc, err := json.Marshal(rows)
	if err != nil {
		return nil, now, err
	}
	err = l.read(ctx, "look for runs to follow", func(ctx context.Context, s session) error {
		found = nil
		if err := s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(instant{&now}) }, `SELECT @now`); err != nil {
			return err
		}
		return s.query(ctx, func(rows *sql.Rows) error {
			var u Unfollowed
			var err error
			u.Run, err = scanRun(rows, &u.By)
			found = append(found, u)
			return err
		}, `
			SELECT `+runColumns+`, follower FROM runs JOIN (
				SELECT key AS follower, value ->> 'after' AS followed, CAST(value ->> 'since' AS BIGINT) AS since FROM json_each($1)
			) AS followers ON followed = job
			WHERE finished > 0 AND finished >= $2 AND finished >= since AND state = 'succeeded'
				AND NOT EXISTS (SELECT 1 FROM runs AS following WHERE following.job = follower AND following.key = runs.key)
			ORDER BY finished, id LIMIT $3`, string(doc), first, limit)
	})
	return found, now, err
}
