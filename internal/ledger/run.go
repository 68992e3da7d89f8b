package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A State is how far a run has come.
type State string

// The states of a run. All but the first two are final.
const (
	Claimed   State = "claimed"   // somebody works on it, and Globus has accepted nothing yet
	Submitted State = "submitted" // there is a task at Globus, or there may be one
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Canceled  State = "canceled"
	TimedOut  State = "timed_out"
	Skipped   State = "skipped" // by policy
)

// States returns all states of a run.
func States() []State {
	return []State{Claimed, Submitted, Succeeded, Failed, Canceled, TimedOut, Skipped}
}

// Final reports whether a run in this state has ended.
func (s State) Final() bool {
	switch s {
	case Succeeded, Failed, Canceled, TimedOut, Skipped:
		return true
	}
	return false
}

// Ending says how a run in this state has ended, such as "has succeeded" or "was
// canceled".
func (s State) Ending() string {
	switch s {
	case Canceled, Skipped:
		return "was " + string(s)
	case TimedOut:
		return "has timed out"
	case Succeeded, Failed:
		return "has " + string(s)
	}
	return "has not ended"
}

// A Run is what was done about an occurrence.
type Run struct {
	ID  int64
	Job string
	Key string    // of the occurrence
	Due time.Time // zero if the occurrence has no instant

	// Step and Attempt are those of the newest submission; 0 and 1 before the
	// first. Again says that an operator wants another attempt at that step,
	// which is not submitted yet.
	Step    int
	Attempt int
	Again   bool

	Holder          string    // who works on it, or did last
	LeaseUntil      time.Time // when others may take it over; zero if anybody may
	CancelRequested bool
	Claims          int       // how often it was given to somebody; 1 for one that is new
	Claimed         time.Time // the first time, or when an operator asked for it
	Began           time.Time // when a holder first took it up, or took it up after a retry; zero until then
	Finished        time.Time // zero until the state is final

	// First and Alone are set only by [Ledger.Claim], and only for a new run: the
	// job had no earlier run, or no earlier run that had not ended.
	First, Alone bool

	Outcome // its State is the run's; the rest is zero until the state is final
}

// An Outcome says how a run ended.
type Outcome struct {
	State State
	// Class, Code, Message and RequestID tell what went wrong.
	Class, Code, Message, RequestID string

	Totals
	FilesDeleted int64 // by mirrors and prunes, as far as that is known
}

// Totals are what a task has done, or the sums over all tasks of a run, of all its
// attempts.
type Totals struct {
	Files, FilesSkipped, Bytes, SkippedErrors, Faults int64
}

const runColumns = `id, job, key, due, step, attempt, again, holder, lease_until, cancel_requested, claims, claimed, began, finished,
	state, class, code, message, request_id, files, files_skipped, bytes, skipped_errors, faults, files_deleted`

// scanRun reads the columns of a run, and then more columns of a statement.
func scanRun(rows *sql.Rows, more ...any) (*Run, error) {
	r := new(Run)
	err := rows.Scan(append([]any{
		&r.ID, &r.Job, &r.Key,
		instant{&r.Due},
		&r.Step, &r.Attempt, &r.Again, &r.Holder,
		instant{&r.LeaseUntil},
		&r.CancelRequested, &r.Claims,
		instant{&r.Claimed},
		instant{&r.Began},
		instant{&r.Finished},
		&r.State, &r.Class, &r.Code, &r.Message, &r.RequestID,
		&r.Files, &r.FilesSkipped, &r.Bytes, &r.SkippedErrors, &r.Faults, &r.FilesDeleted,
	}, more...)...)
	switch {
	case r.Holder == "" && !r.State.Final(): // asked for, maybe once more
		r.Began = time.Time{}
	case r.Began.IsZero(): // of an older program
		r.Began = r.Claimed
	}
	return r, err
}

// runs returns the runs that a statement selects or changes, as [Run]s.
func (s session) runs(ctx context.Context, query string, args ...any) ([]*Run, error) {
	var runs []*Run
	err := s.query(ctx, func(rows *sql.Rows) error {
		r, err := scanRun(rows)
		runs = append(runs, r)
		return err
	}, query, args...)
	return runs, err
}

// run is runs for a statement about one run. If there is none, the error is ErrNone.
func (s session) run(ctx context.Context, query string, args ...any) (*Run, error) {
	runs, err := s.runs(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, ErrNone
	}
	return runs[0], nil
}

// fence selects a run if it is the holder's and has not ended. It does not say
// finished = 0, because PostgreSQL would then read all of the holder's entries in
// runs_unfinished.
const fence = `id = $1 AND holder = $2 AND finished <= 0`

const (
	runByID  = `SELECT ` + runColumns + ` FROM runs WHERE id = $1`
	runByKey = `SELECT ` + runColumns + ` FROM runs WHERE job = $1 AND key = $2`
)

// A Claim asks for an occurrence.
type Claim struct {
	Job, Key string
	Due      time.Time     // zero if the occurrence has no instant
	Item     bool          // the occurrence is about an item of the job
	Holder   string        // names one process, and no other at the same time
	Lease    time.Duration // how long the run stays the holder's without [Ledger.Renew]
}

// Claim returns the run of an occurrence, and whether it is the caller's to work on:
// because it is new, because the same holder has it, or because it has not ended and its
// lease is over. If several claim a new occurrence at the same time, one gets it. The
// lease of another holder counts for at most c.Lease from now, in case it was written by
// a clock that was ahead.
func (l *Ledger) Claim(ctx context.Context, c Claim) (run *Run, mine bool, err error) {
	if c.Job == "" || c.Key == "" || c.Holder == "" {
		return nil, false, errors.New("claim: job, key and holder must be given")
	}
	err = l.write(ctx, fmt.Sprintf("claim %s %s", c.Job, c.Key), func(ctx context.Context, s session) error {
		var err error
		if run, mine, err = s.claim(ctx, c); err == nil && c.Item {
			err = s.take(ctx, c.Job, c.Key)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return run, mine, nil
}

func (s session) claim(ctx context.Context, c Claim) (*Run, bool, error) {
	var run *Run
	err := s.query(ctx, func(rows *sql.Rows) (err error) {
		var later, busy bool
		if run, err = scanRun(rows, &later, &busy); err == nil && run.Claims == 1 {
			run.First, run.Alone = !later, !busy
		}
		return err
	}, `
		INSERT INTO runs (job, key, due, holder, lease_until, claimed, began)
		VALUES ($1, $2, $3, $4, @now + $5, @now, @now)
		ON CONFLICT (job, key) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until, claims = runs.claims + 1,
			began = CASE WHEN runs.holder = '' THEN excluded.began ELSE runs.began END
		WHERE runs.finished = 0 AND (runs.holder = excluded.holder OR runs.lease_until <= @now)
		RETURNING `+runColumns+`,
			EXISTS (SELECT 1 FROM runs AS earlier WHERE earlier.job = runs.job AND earlier.id < runs.id),
			EXISTS (SELECT 1 FROM runs AS earlier WHERE earlier.job = runs.job AND earlier.id < runs.id AND earlier.finished = 0)`,
		c.Job, c.Key, stamp(c.Due), c.Holder, c.Lease.Microseconds())
	if run != nil || err != nil {
		return run, err == nil, err
	}
	if run, err = s.run(ctx, runByKey, c.Job, c.Key); err != nil {
		return nil, false, err
	}
	return run, false, s.shorten(ctx, c.Holder, c.Lease)
}

// shorten limits the leases of other holders to one lease from now. A longer one was
// written by a clock that was ahead; a holder that is alive renews it.
func (s session) shorten(ctx context.Context, holder string, lease time.Duration) error {
	_, err := s.exec(ctx, `UPDATE runs SET lease_until = @now + $2 WHERE finished = 0 AND holder <> $1 AND lease_until > @now + $2`,
		holder, lease.Microseconds())
	return err
}

// Renew extends the leases of all runs of the holder to lease from now, and returns how
// many there are. This includes leases that have ended, if nobody has taken over the run.
func (l *Ledger) Renew(ctx context.Context, holder string, lease time.Duration) (int, error) {
	var n int
	err := l.write(ctx, "renew leases", func(ctx context.Context, s session) (err error) {
		n, err = s.exec(ctx, `UPDATE runs SET lease_until = @now + $2 WHERE holder = $1 AND finished = 0`, holder, lease.Microseconds())
		return err
	})
	return n, err
}

// Release ends the leases of the holder now, so that others need not wait for them to
// end. The runs stay unfinished.
func (l *Ledger) Release(ctx context.Context, holder string) error {
	return l.write(ctx, "release leases", func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `UPDATE runs SET lease_until = 0 WHERE holder = $1 AND finished = 0`, holder)
		if err == nil {
			_, err = s.exec(ctx, `UPDATE watches SET lease_until = 0 WHERE holder = $1`, holder)
		}
		return err
	})
}

// TakeOver gives the holder up to limit unfinished runs whose lease has ended, and
// returns them, the earliest claim first. If several call it at the same time, each gets
// different runs. They include runs of the same holder whose leases it did not renew in
// time. Longer leases of others are shortened to this one.
func (l *Ledger) TakeOver(ctx context.Context, holder string, lease time.Duration, limit int) ([]*Run, error) {
	var runs []*Run
	err := l.write(ctx, "take over runs", func(ctx context.Context, s session) (err error) {
		runs, err = s.runs(ctx, `
			WITH free AS (
				SELECT id FROM runs WHERE finished = 0 AND lease_until <= @now ORDER BY claimed, id LIMIT $3 @skip
			)
			UPDATE runs SET holder = $1, lease_until = @now + $2, claims = claims + 1, began = CASE WHEN holder = '' THEN @now ELSE began END
			WHERE id IN (SELECT id FROM free)
			RETURNING `+runColumns, holder, lease.Microseconds(), limit)
		if err == nil {
			err = s.shorten(ctx, holder, lease)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(runs, func(a, b *Run) int {
		if c := a.Claimed.Compare(b.Claimed); c != 0 {
			return c
		}
		return int(a.ID - b.ID)
	})
	return runs, nil
}

// Finish records how a run ended, for good unless somebody asks for [Ledger.Retry]. If
// the run is not the holder's, the error is ErrLost. It is not an error if the holder has
// recorded the same outcome before.
func (l *Ledger) Finish(ctx context.Context, run int64, holder string, o Outcome) error {
	return l.finish(ctx, run, holder, o, nil)
}

// finish is Finish. If it ends the run, it calls then in the same transaction, unless
// that is nil.
func (l *Ledger) finish(ctx context.Context, run int64, holder string, o Outcome, then func(context.Context, session) error) error {
	if !o.State.Final() {
		return fmt.Errorf("finish run %d: %q is not a state of a finished run", run, o.State)
	}
	o.Class, o.Code, o.Message, o.RequestID = text(o.Class), text(o.Code), text(o.Message), text(o.RequestID)
	return l.write(ctx, fmt.Sprintf("finish run %d", run), func(ctx context.Context, s session) error {
		return s.together(ctx, func() error { return s.finish(ctx, run, holder, o, then) })
	})
}

func (s session) finish(ctx context.Context, run int64, holder string, o Outcome, then func(context.Context, session) error) error {
	if err := s.addToDay(ctx, run, holder, o.Totals); err != nil {
		return err
	}
	n, err := s.exec(ctx, `
		UPDATE runs SET finished = @now, lease_until = 0, state = $3, class = $4, code = $5, message = $6,
			request_id = $7, files = $8, files_skipped = $9, bytes = $10, skipped_errors = $11, faults = $12, files_deleted = $13
		WHERE `+fence,
		run, holder, string(o.State), o.Class, o.Code, o.Message,
		o.RequestID, o.Files, o.FilesSkipped, o.Bytes, o.SkippedErrors, o.Faults, o.FilesDeleted)
	if err == nil && n > 0 {
		err = s.addToStrip(ctx, run)
	}
	if err == nil && n > 0 && then != nil {
		return then(ctx, s)
	}
	if err != nil || n > 0 {
		return err
	}
	r, err := s.lost(ctx, run)
	if r != nil && r.Holder == holder && r.Outcome == o {
		return nil
	}
	return err
}

// lost returns a run that a statement with a fence did not select, and why not.
func (s session) lost(ctx context.Context, id int64) (*Run, error) {
	r, err := s.run(ctx, runByID, id)
	switch {
	case err != nil:
		return nil, err
	case r.State.Final():
		return r, fmt.Errorf("%w: it is %s since %s", ErrLost, r.State, r.Finished.Format(time.RFC3339))
	default:
		return r, fmt.Errorf("%w: it is held by %q", ErrLost, r.Holder)
	}
}

// notInState returns why a statement about runs in some state did not select a run.
func (s session) notInState(ctx context.Context, id int64) error {
	r, err := s.run(ctx, runByID, id)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: run %d %s", ErrState, id, r.State.Ending())
}

// RequestCancel asks whoever holds a run to cancel it, see
// [Ledger.CancelRequests]. If the run has ended, the error is ErrState.
func (l *Ledger) RequestCancel(ctx context.Context, run int64) error {
	return l.write(ctx, fmt.Sprintf("cancel run %d", run), func(ctx context.Context, s session) error { return s.requestCancel(ctx, run) })
}

func (s session) requestCancel(ctx context.Context, run int64) error {
	n, err := s.exec(ctx, `UPDATE runs SET cancel_requested = 1 WHERE id = $1 AND finished = 0`, run)
	if err != nil || n > 0 {
		return err
	}
	return s.notInState(ctx, run)
}

// CancelRequests returns the runs of the holder that somebody asked to cancel.
func (l *Ledger) CancelRequests(ctx context.Context, holder string) ([]int64, error) {
	var ids []int64
	err := l.read(ctx, "look for cancel requests", func(ctx context.Context, s session) error {
		ids = nil
		return s.query(ctx, func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			ids = append(ids, id)
			return err
		}, `SELECT id FROM runs WHERE holder = $1 AND finished = 0 AND cancel_requested = 1 ORDER BY id`, holder)
	})
	return ids, err
}
