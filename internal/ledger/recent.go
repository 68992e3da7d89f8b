package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Bar is what a picture of many runs shows of one.
type Bar struct {
	ID       int64
	State    State
	Began    time.Time // or when it was asked for, if nobody has begun it
	Finished time.Time // zero until the state is final
}

// A Strip has the newest runs of a job.
type Strip struct {
	Bars []Bar // the newest last
	Last *Run  // the newest
}

// Strips returns the strips of jobs, by name, each with at most length bars. A job without
// runs has none.
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
		last, err := s.runs(ctx, `SELECT `+runColumns+` FROM runs WHERE id IN (
			SELECT (SELECT max(id) FROM runs AS of_job WHERE of_job.job = names.key) FROM json_each($1) AS names)`, string(doc))
		for _, r := range last {
			strips[r.Job] = Strip{Bars: bars[r.Job], Last: r}
		}
		return err
	})
	return strips, err
}

// bars returns the newest runs of each job of a JSON object, at most length of each, with
// one index look-up for each job. The runs of a job are read as one text: with thousands
// of jobs, scanning a column of each run would take most of the time.
func (s session) bars(ctx context.Context, names string, length int) (map[string][]Bar, error) {
	all := map[string][]Bar{}
	err := s.query(ctx, func(rows *sql.Rows) error {
		var job string
		var text sql.NullString // null if the job has no runs
		err := rows.Scan(&job, &text)
		if err == nil && text.Valid {
			all[job], err = readBars(text.String)
		}
		return err
	}, `
		SELECT names.key, (
			SELECT string_agg(concat_ws(' ', id, state, CASE WHEN began = 0 OR finished = 0 AND holder = '' THEN claimed ELSE began END, finished), ' ')
			FROM runs WHERE job = names.key AND id >= COALESCE(
				(SELECT id FROM runs AS r WHERE r.job = names.key ORDER BY id DESC LIMIT 1 OFFSET $2),
				(SELECT min(id) FROM runs AS r WHERE r.job = names.key)))
		FROM json_each($1) AS names`, names, length-1)
	return all, err
}

// readBars reads the text of the bars of a job, and sorts them.
func readBars(text string) ([]Bar, error) {
	const words = 4 // of a bar
	bars := make([]Bar, 0, strings.Count(text, " ")/words+1)
	next := func() (word string) {
		word, text, _ = strings.Cut(text, " ")
		return word
	}
	for text != "" {
		id, err0 := strconv.ParseInt(next(), 10, 64)
		state := stateOf(next())
		began, err1 := strconv.ParseInt(next(), 10, 64)
		finished, err2 := strconv.ParseInt(next(), 10, 64)
		if err := cmp.Or(err0, err1, err2); err != nil {
			return nil, fmt.Errorf("read run %d: %w", id, err)
		}
		bars = append(bars, Bar{id, state, unstamp(began), unstamp(finished)})
	}
	slices.SortFunc(bars, func(a, b Bar) int { return cmp.Compare(a.ID, b.ID) })
	return bars, nil
}

// stateOf returns the state of a name, without keeping the text that the name is a part
// of.
func stateOf(name string) State {
	if i := slices.Index(States(), State(name)); i >= 0 {
		return States()[i]
	}
	return State(strings.Clone(name))
}

// A RunVersion changes whenever something changes that a list of runs shows.
type RunVersion struct {
	ID              int64
	Job             string
	State           State
	Attempt         int
	Holder          string
	Again           bool
	CancelRequested bool
	Finished        time.Time
}

// ChangedRuns returns the versions of the runs that may have changed since an instant, by
// their ids: those that have not ended, and those that have ended since.
func (l *Ledger) ChangedRuns(ctx context.Context, since time.Time) ([]RunVersion, error) {
	var all []RunVersion
	err := l.read(ctx, "look for runs that have changed", func(ctx context.Context, s session) error {
		all = nil
		return s.query(ctx, func(rows *sql.Rows) error {
			var is RunVersion
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
