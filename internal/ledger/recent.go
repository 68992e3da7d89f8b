package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A Bar is as much of a run as a picture of many shows.
type Bar struct {
	ID       int64
	State    State
	Began    time.Time // or when it was asked for, if nobody has begun it
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
		bars, err := s.bars(ctx, string(doc), length)
		if err != nil {
			return err
		}
		last, err := s.runs(ctx, `SELECT `+runColumns+` FROM runs WHERE id IN (SELECT runs.id`+newestOf+`)`, string(doc), 0)
		for _, r := range last {
			strips[r.Job] = Strip{Bars: bars[r.Job], Last: r}
		}
		return err
	})
	return strips, err
}

// bars returns up to so many of the newest runs of each job of a JSON object. They are
// so many that it shows how they are read: as the driver has them, without a conversion
// of each value, and sorted here.
func (s session) bars(ctx context.Context, names string, length int) (map[string][]Bar, error) {
	all := map[string][]Bar{}
	var job string
	var some []Bar // of job
	var cells [5]any
	err := s.query(ctx, func(rows *sql.Rows) error {
		if err := rows.Scan(&cells[0], &cells[1], &cells[2], &cells[3], &cells[4]); err != nil {
			return err
		}
		name, is0 := cells[0].(string)
		id, is1 := cells[1].(int64)
		state, is2 := cells[2].(string)
		began, is3 := cells[3].(int64)
		finished, is4 := cells[4].(int64)
		if !is0 || !is1 || !is2 || !is3 || !is4 {
			return fmt.Errorf("a run is read as %T", cells)
		}
		if name != job { // rows of a job stand together as a rule
			all[job] = some
			job, some = name, all[name]
		}
		some = append(some, Bar{id, State(state), unstamp(began), unstamp(finished)})
		return nil
	}, `SELECT runs.job, runs.id, runs.state, CASE WHEN runs.began = 0 OR runs.finished = 0 AND runs.holder = '' THEN runs.claimed ELSE runs.began END, runs.finished`+newestOf, names, length-1)
	all[job] = some
	for _, some := range all {
		slices.SortFunc(some, func(a, b Bar) int { return cmp.Compare(a.ID, b.ID) })
	}
	return all, err
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
