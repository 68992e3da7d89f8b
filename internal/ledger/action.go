package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// An ActionKind says what a person can ask for.
type ActionKind string

// The kinds of actions.
const (
	ActionPause   ActionKind = "pause"   // of a job: nothing new of it starts by its schedule, see [Ledger.Pauses]
	ActionResume  ActionKind = "resume"  // of a job that is paused
	ActionTrigger ActionKind = "trigger" // of a job: a run of it that starts now, or a look at the folder of its items
	ActionRetry   ActionKind = "retry"   // of a run, see [Ledger.Retry]
	ActionCancel  ActionKind = "cancel"  // of a run, see [Ledger.RequestCancel]; of one that has ended without success: it is given up
)

// An Action is what somebody asked for.
type Action struct {
	At    time.Time // set by Act
	Kind  ActionKind
	Job   string    // set by Act for a retry and a cancel
	Run   int64     // of a retry and a cancel; set by Act for a trigger that makes a run; else 0
	Who   string    // asked for it
	Why   string    // the reason; may be empty
	Until time.Time // when a pause ends by itself; zero: it does not
	Key   string    // of the occurrence that a trigger makes, empty for a look; it is not kept, the run has it

	// Alarms are the kinds of the alarms that a cancel settles if it gives up the last
	// failed run of their job, see [Alarm.GivenUp]. They are not kept.
	Alarms []string
	GaveUp bool // set by Act for a cancel of a run that had ended; it is not kept
}

// Act does what somebody asks for, and records who asked and why: both, or neither.
// A run that is triggered or retried starts when a scheduler next looks for runs that
// nobody holds. Act returns the action with the fields that it has set.
//
// A run that does not exist is ErrNone. A run whose state does not allow it is
// ErrState, as is to resume a job that is not paused, and a trigger whose
// occurrence is there already.
func (l *Ledger) Act(ctx context.Context, a Action) (Action, error) {
	a.Who, a.Why = text(a.Who), text(a.Why)
	done := a
	err := l.write(ctx, fmt.Sprintf("%s %s", a.Kind, a.object()), func(ctx context.Context, s session) error {
		done = a
		return s.together(ctx, func() error { return s.act(ctx, &done) })
	})
	return done, err
}

// object is what an action is about.
func (a *Action) object() string {
	if a.Run != 0 {
		return fmt.Sprintf("run %d", a.Run)
	}
	return "job " + a.Job
}

func (s session) act(ctx context.Context, a *Action) error {
	if err := s.change(ctx, a); err != nil {
		return err
	}
	err := s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(instant{&a.At}, &a.Job) }, `
		INSERT INTO actions (at, what, job, run, who, why, until)
		SELECT @now, CAST($1 AS TEXT), COALESCE((SELECT job FROM runs WHERE id = $3), $2), CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT)
		RETURNING at, job`, string(a.Kind), a.Job, a.Run, a.Who, a.Why, stamp(a.Until))
	if err != nil || a.Run == 0 {
		return err
	}
	return s.note(ctx, a.Run, a.At, a.note(), a.by())
}

// by says who asked for an action, and why.
func (a *Action) by() string {
	if a.Why == "" {
		return "by " + a.Who
	}
	return "by " + a.Who + ": " + a.Why
}

// note is the kind of a note on a run.
func (a *Action) note() string {
	switch {
	case a.Kind == ActionTrigger:
		return "triggered"
	case a.GaveUp:
		return "given_up"
	}
	return string(a.Kind) + "_requested"
}

// change does what is asked for. It changes nothing if it returns an error that is
// not the engine's.
func (s session) change(ctx context.Context, a *Action) error {
	switch a.Kind {
	case ActionPause:
		_, err := s.exec(ctx, `
			INSERT INTO pauses (job, who, why, since, until) VALUES ($1, $2, $3, @now, $4)
			ON CONFLICT (job) DO UPDATE SET who = excluded.who, why = excluded.why, since = excluded.since, until = excluded.until`,
			a.Job, a.Who, a.Why, stamp(a.Until))
		return err
	case ActionResume:
		n, err := s.exec(ctx, `DELETE FROM pauses WHERE job = $1 AND (until = 0 OR until > @now)`, a.Job)
		if err == nil && n == 0 {
			return fmt.Errorf("%w: it is not paused", ErrState)
		}
		return err
	case ActionTrigger:
		if a.Key == "" {
			return s.wantLook(ctx, a.Job)
		}
		return s.trigger(ctx, a)
	case ActionRetry:
		return s.retry(ctx, a.Run)
	case ActionCancel:
		if err := s.giveUp(ctx, a); a.GaveUp || err != nil {
			return err
		}
		return s.requestCancel(ctx, a.Run)
	}
	return fmt.Errorf("%q cannot be asked for", a.Kind)
}

// trigger makes a run that nobody holds. Its column again tells it from a run whose
// holder has died.
func (s session) trigger(ctx context.Context, a *Action) error {
	err := s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&a.Run) }, `
		INSERT INTO runs (job, key, due, holder, lease_until, claimed, claims, again) VALUES ($1, $2, 0, '', 0, @now, 0, 1)
		ON CONFLICT (job, key) DO NOTHING RETURNING id`, a.Job, a.Key)
	if err == nil && a.Run == 0 {
		return fmt.Errorf("%w: occurrence %s is there already", ErrState, a.Key)
	}
	return err
}

// A Pause is why a job does not start, since when and for how long.
type Pause struct {
	Who, Why     string
	Since, Until time.Time // Until is zero if it has to be resumed
}

// Pauses returns the pauses that are in force, by job.
func (l *Ledger) Pauses(ctx context.Context) (map[string]Pause, error) {
	var all map[string]Pause
	err := l.read(ctx, "read which jobs are paused", func(ctx context.Context, s session) error {
		all = map[string]Pause{}
		return s.query(ctx, func(rows *sql.Rows) error {
			var job string
			var p Pause
			err := rows.Scan(&job, &p.Who, &p.Why, instant{&p.Since}, instant{&p.Until})
			all[job] = p
			return err
		}, `SELECT job, who, why, since, until FROM pauses WHERE until = 0 OR until > @now`)
	})
	return all, err
}

// PausesEnded returns when the last pause of each job ended, by itself or because
// somebody resumed the job. Older actions are forgotten.
func (l *Ledger) PausesEnded(ctx context.Context) (map[string]time.Time, error) {
	var all map[string]time.Time
	err := l.read(ctx, "read which pauses have ended", func(ctx context.Context, s session) error {
		all = map[string]time.Time{}
		return s.query(ctx, func(rows *sql.Rows) error {
			var job string
			var end time.Time
			err := rows.Scan(&job, instant{&end})
			all[job] = end
			return err
		}, `
			SELECT job, MAX(at) FROM (
				SELECT job, until AS at FROM pauses WHERE until > 0 AND until <= @now
				UNION ALL SELECT job, at FROM actions WHERE what = 'resume'
			) AS ended GROUP BY job`)
	})
	return all, err
}

// Actions returns the newest actions on a job and its runs, the newest first.
func (l *Ledger) Actions(ctx context.Context, job string, limit int) ([]Action, error) {
	var all []Action
	err := l.read(ctx, "read what was asked of job "+job, func(ctx context.Context, s session) error {
		all = nil
		return s.query(ctx, func(rows *sql.Rows) error {
			var a Action
			err := rows.Scan(instant{&a.At}, &a.Kind, &a.Job, &a.Run, &a.Who, &a.Why, instant{&a.Until})
			all = append(all, a)
			return err
		}, `SELECT at, what, job, run, who, why, until FROM actions WHERE job = $1 ORDER BY id DESC LIMIT $2`, job, limit)
	})
	return all, err
}
