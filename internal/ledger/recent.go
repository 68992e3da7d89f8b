package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
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

// Strips returns the strips of jobs, by name, each with the bars of the newest runs, at
// most length: of those that have not ended, and of those that ended last. A job without
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
		bars, err := s.openBars(ctx, string(doc))
		if err == nil {
			err = s.endedBars(ctx, string(doc), length, bars)
		}
		if err != nil {
			return err
		}
		last, err := s.runs(ctx, `SELECT `+runColumns+` FROM runs WHERE id IN (
			SELECT (SELECT max(id) FROM runs AS of_job WHERE of_job.job = names.key) FROM json_each($1) AS names)`, string(doc))
		for _, r := range last {
			strips[r.Job] = Strip{Bars: newest(bars[r.Job], length), Last: r}
		}
		return err
	})
	return strips, err
}

// newest sorts bars, and returns the newest ones.
func newest(bars []Bar, length int) []Bar {
	slices.SortFunc(bars, func(a, b Bar) int { return cmp.Compare(a.ID, b.ID) })
	return bars[max(0, len(bars)-length):]
}

// openBars returns the runs of the jobs of a JSON object that have not ended.
func (s session) openBars(ctx context.Context, names string) (map[string][]Bar, error) {
	all := map[string][]Bar{}
	err := s.query(ctx, func(rows *sql.Rows) error {
		var job string
		var b Bar
		err := rows.Scan(&job, &b.ID, &b.State, instant{&b.Began})
		all[job] = append(all[job], b)
		return err
	}, `
		SELECT job, id, state, CASE WHEN began = 0 OR holder = '' THEN claimed ELSE began END
		FROM runs WHERE finished = 0 AND job IN (SELECT key FROM json_each($1))`, names)
	return all, err
}

// endedBars adds to bars the runs of each job of a JSON object that ended last, at most
// length of each. They are in one row for each job: with thousands of jobs, reading a row
// for each run would take most of the time of a page.
func (s session) endedBars(ctx context.Context, names string, length int, bars map[string][]Bar) error {
	return s.query(ctx, func(rows *sql.Rows) error {
		var job, ends string
		var oldest int64 // run that is not forgotten
		err := rows.Scan(&job, &ends, &oldest)
		if err == nil {
			bars[job], err = addEnds(bars[job], ends, length, oldest)
		}
		return err
	}, `
		SELECT strips.job, strips.ends, COALESCE((SELECT min(id) FROM runs WHERE runs.job = strips.job), 0)
		FROM json_each($1) AS names JOIN strips ON strips.job = names.key`, names)
}

// addEnds adds the runs that ended last, at most length, from the end of the text of a
// strip. If a run has ended more than once, its last end counts.
func addEnds(bars []Bar, ends string, length int, oldest int64) ([]Bar, error) {
	bars = slices.Grow(bars, length)
	for most := len(bars) + length; len(bars) < most; {
		i := strings.LastIndexByte(ends, ';')
		if i < 0 {
			break // what is before it may be a part of an end
		}
		b, err := readEnd(ends[i+1:])
		if err != nil {
			return nil, err
		}
		ends = ends[:i]
		if b.ID >= oldest && !slices.ContainsFunc(bars, func(has Bar) bool { return has.ID == b.ID }) {
			bars = append(bars, b)
		}
	}
	return bars, nil
}

// readEnd reads one end of a run from the text of a strip.
func readEnd(text string) (Bar, error) {
	id, rest, ok0 := cutNumber(text)
	state, rest, _ := strings.Cut(rest, " ")
	began, rest, ok1 := cutNumber(rest)
	finished, rest, ok2 := cutNumber(rest)
	if !ok0 || !ok1 || !ok2 || rest != "" {
		return Bar{}, fmt.Errorf("%q is not the end of a run", text)
	}
	return Bar{id, stateOf(state), unstamp(began), unstamp(finished)}, nil
}

// cutNumber returns the number at the beginning of a text, and what follows the blank
// after it. A page reads a hundred thousand of them.
func cutNumber(text string) (n int64, rest string, ok bool) {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			n = 10*n + int64(c-'0')
		case c == ' ':
			return n, text[i+1:], i > 0
		default:
			return 0, "", false
		}
	}
	return n, "", text != ""
}

// The text of a strip is cut to enough for the ends of 30 runs when it is longer than
// mostStrip characters.
const (
	mostStrip   = 3000
	enoughStrip = 2000
)

// addToStrip adds the end of a run to the strip of its job: ";<id> <state> <began>
// <finished>".
func (s session) addToStrip(ctx context.Context, run int64) error {
	_, err := s.exec(ctx, fmt.Sprintf(`
		INSERT INTO strips (job, ends)
		SELECT job, ';' || concat_ws(' ', id, state, CASE WHEN began = 0 THEN claimed ELSE began END, finished) FROM runs WHERE id = $1
		ON CONFLICT (job) DO UPDATE SET ends = CASE
			WHEN length(strips.ends) > %d THEN substr(strips.ends, length(strips.ends) - %d) ELSE strips.ends END || excluded.ends`,
		mostStrip, enoughStrip), run)
	return err
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

// newestActions is among how many of the newest actions [Ledger.ChangedRuns] looks.
const newestActions = 100

// ChangedRuns returns the versions of the runs that may have changed since an instant, by
// their ids: those that have not ended, those that have ended since, and those that
// somebody has acted on since.
func (l *Ledger) ChangedRuns(ctx context.Context, since time.Time) ([]RunVersion, error) {
	var all []RunVersion
	err := l.read(ctx, "look for runs that have changed", func(ctx context.Context, s session) error {
		all = nil
		return s.query(ctx, func(rows *sql.Rows) error {
			var is RunVersion
			err := rows.Scan(&is.ID, &is.Job, &is.State, &is.Attempt, &is.Holder, &is.Again, &is.CancelRequested, instant{&is.Finished})
			all = append(all, is)
			return err
		}, fmt.Sprintf(`
			SELECT id, job, state, attempt, holder, again, cancel_requested, finished FROM runs WHERE id IN (
				SELECT id FROM runs WHERE finished = 0 UNION ALL SELECT id FROM runs WHERE finished > 0 AND finished >= $1
				UNION ALL SELECT run FROM actions WHERE at >= $1 AND id > (SELECT COALESCE(max(id), 0) - %d FROM actions)
			) ORDER BY id`, newestActions), stamp(since))
	})
	return all, err
}
