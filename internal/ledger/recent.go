package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// A Bar is as much of a run as a picture of many shows.
type Bar struct {
	ID       int64
	State    State
	Claimed  time.Time
	Finished time.Time // zero until the state is final
}

// A Strip is what the newest runs of a job were.
type Strip struct {
	Bars []Bar // the newest last
	Last *Run  // the newest
}

// newestOf selects the newest runs of each job of a list of names: one jump in
// the index for each job, and its rows. Beside a limit it takes the names as the
// keys of a JSON object.
const newestOf = `
	FROM json_each($1) AS names
	JOIN runs ON runs.job = names.key AND runs.id >= COALESCE(
		(SELECT id FROM runs AS r WHERE r.job = names.key ORDER BY id DESC LIMIT 1 OFFSET $2),
		(SELECT min(id) FROM runs AS r WHERE r.job = names.key))`

// Strips returns up to so many of the newest runs of each of these jobs. A job
// without runs has none.
func (l *Ledger) Strips(ctx context.Context, names []string, length int) (map[string]Strip, error) {
	strips := make(map[string]Strip, len(names))
	if len(names) == 0 || length <= 0 {
		return strips, nil
	}
	asked := make(map[string]int, len(names))
	for _, name := range names {
		asked[text(name)] = 1
	}
	doc, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	err = l.read(ctx, "read the newest runs", func(ctx context.Context, s session) error {
		clear(strips)
		err := s.query(ctx, func(rows *sql.Rows) error {
			var job string
			var b Bar
			err := rows.Scan(&job, &b.ID, &b.State, instant{&b.Claimed}, instant{&b.Finished})
			strip := strips[job]
			strip.Bars = append(strip.Bars, b)
			strips[job] = strip
			return err
		}, `SELECT runs.job, runs.id, runs.state, runs.claimed, runs.finished`+newestOf+` ORDER BY runs.job, runs.id`, string(doc), length-1)
		if err != nil {
			return err
		}
		last, err := s.runs(ctx, `SELECT `+runColumns+` FROM runs WHERE id IN (SELECT runs.id`+newestOf+`)`, string(doc), 0)
		for _, r := range last {
			strip := strips[r.Job]
			strip.Last = r
			strips[r.Job] = strip
		}
		return err
	})
	return strips, err
}

// A Sign tells whether a run has changed: another look that gives an equal one has
// seen the same.
type Sign struct {
	ID              int64
	Job             string
	State           State
	Attempt         int
	Holder          string
	Again           bool
	CancelRequested bool
	Finished        time.Time
}

// Moving returns signs of the runs that have not ended, and of those that have
// since an instant, by their ids. Where runs change, they do so here.
func (l *Ledger) Moving(ctx context.Context, since time.Time) ([]Sign, error) {
	var all []Sign
	err := l.read(ctx, "look for runs that have changed", func(ctx context.Context, s session) error {
		all = nil
		return s.query(ctx, func(rows *sql.Rows) error {
			var is Sign
			err := rows.Scan(&is.ID, &is.Job, &is.State, &is.Attempt, &is.Holder, &is.Again, &is.CancelRequested, instant{&is.Finished})
			all = append(all, is)
			return err
		}, `
			SELECT id, job, state, attempt, holder, again, cancel_requested, finished FROM runs WHERE id IN (
				SELECT id FROM runs WHERE finished = 0 UNION ALL SELECT id FROM runs WHERE finished > 0 AND finished >= $1
			) ORDER BY id`, stamp(since))
	})
	return all, err
}
