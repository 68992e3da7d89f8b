package ledger

import (
	"context"
	"fmt"
	"time"
)

// Retry makes a run that ended without success claimable again, and records that
// another attempt is wanted at the step it had reached, until the next [Ledger.Submit].
// What the run has done so far stays, and a note of the kind [NoteEnded] keeps how it had
// ended. If the run succeeded or has not ended, the error is ErrState.
func (l *Ledger) Retry(ctx context.Context, run int64) error {
	return l.write(ctx, fmt.Sprintf("retry run %d", run), func(ctx context.Context, s session) error {
		return s.together(ctx, func() error { return s.retry(ctx, run) })
	})
}

func (s session) retry(ctx context.Context, run int64) error {
	r, err := s.run(ctx, runByID+` @lock`, run)
	switch {
	case err != nil:
		return err
	case !r.State.Final(), r.State == Succeeded:
		return s.notInState(ctx, run)
	}
	if err := s.reopenDay(ctx, run); err != nil {
		return err
	}
	if err := s.note(ctx, run, r.Finished, NoteEnded, r.ending()); err != nil {
		return err
	}
	_, err = s.exec(ctx, `
		UPDATE runs SET state = 'claimed', again = 1, holder = '', lease_until = 0, cancel_requested = 0,
			finished = 0, class = '', code = '', message = '', request_id = ''
		WHERE id = $1`, run)
	return err
}

// ending says how a run has ended, after which time, and why.
func (r *Run) ending() string {
	what := fmt.Sprintf("%s after %s", r.State, r.Finished.Sub(r.Began).Round(time.Second))
	if r.Message == "" {
		return what
	}
	return what + ": " + r.Message
}
