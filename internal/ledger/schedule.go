package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// A Schedule records how far the schedule of a job has come, so that a restart or another
// replica continues from there.
type Schedule struct {
	Job       string
	Expr      string // the schedule as it is written; empty if the job, or its schedule, was removed
	Zone      string // name of its time zone
	Suspended bool
	Cursor    time.Time // the newest instant that was dealt with
}

// Schedules returns the schedules of all jobs, by name.
func (l *Ledger) Schedules(ctx context.Context) (map[string]Schedule, error) {
	var known map[string]Schedule
	err := l.read(ctx, "read the schedules", func(ctx context.Context, s session) (err error) {
		known, err = s.schedules(ctx)
		return err
	})
	return known, err
}

// Reschedule records the schedules that f returns, all or none. f gets those that were
// recorded before, by job; no other call of Reschedule changes them meanwhile. f may be
// called again after an error.
func (l *Ledger) Reschedule(ctx context.Context, f func(known map[string]Schedule) (changed []Schedule)) error {
	err := l.store.exclusive(ctx, func(ctx context.Context, s session) error {
		known, err := s.schedules(ctx)
		if err != nil {
			return err
		}
		return s.keep(ctx, f(known), `expr = excluded.expr, zone = excluded.zone, suspended = excluded.suspended, cursor = excluded.cursor`)
	})
	if err != nil {
		return fmt.Errorf("write the schedules: %w", err)
	}
	return nil
}

// MoveCursors moves the cursors of jobs ahead. It skips a job whose recorded schedule,
// zone or suspension differs, and never moves a cursor back: another replica may have
// been faster.
func (l *Ledger) MoveCursors(ctx context.Context, moved []Schedule) error {
	return l.write(ctx, "move the cursors of schedules", func(ctx context.Context, s session) error {
		return s.keep(ctx, moved, `cursor = excluded.cursor
			WHERE schedules.expr = excluded.expr AND schedules.zone = excluded.zone AND schedules.suspended = excluded.suspended
				AND schedules.cursor < excluded.cursor`)
	})
}

// keep inserts schedules, or changes those that are there as update says. It is
// one statement, and always locks rows in the same order.
func (s session) keep(ctx context.Context, all []Schedule, update string) error {
	if len(all) == 0 {
		return nil
	}
	type row struct {
		Expr      string `json:"expr"`
		Zone      string `json:"zone"`
		Suspended int    `json:"suspended"`
		Cursor    int64  `json:"cursor"`
	}
	rows := make(map[string]row, len(all))
	for _, is := range all {
		r := row{Expr: text(is.Expr), Zone: text(is.Zone), Cursor: stamp(is.Cursor)}
		if is.Suspended {
			r.Suspended = 1
		}
		rows[text(is.Job)] = r
	}
	doc, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, `
		INSERT INTO schedules (job, expr, zone, suspended, cursor)
		SELECT key, value ->> 'expr', value ->> 'zone', CAST(value ->> 'suspended' AS BIGINT), CAST(value ->> 'cursor' AS BIGINT)
		FROM json_each($1) WHERE true ORDER BY key
		ON CONFLICT (job) DO UPDATE SET `+update, string(doc))
	return err
}

func (s session) schedules(ctx context.Context) (map[string]Schedule, error) {
	known := map[string]Schedule{}
	err := s.query(ctx, func(rows *sql.Rows) error {
		var is Schedule
		err := rows.Scan(&is.Job, &is.Expr, &is.Zone, &is.Suspended, instant{&is.Cursor})
		known[is.Job] = is
		return err
	}, `SELECT job, expr, zone, suspended, cursor FROM schedules`)
	return known, err
}
