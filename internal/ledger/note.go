package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A Note is an event in the life of a run.
type Note struct {
	At   time.Time
	Kind string // one word
	Text string
}

// Note adds a note to a run. It needs no lease.
func (l *Ledger) Note(ctx context.Context, run int64, at time.Time, kind, message string) error {
	return l.write(ctx, fmt.Sprintf("note on run %d", run), func(ctx context.Context, s session) error {
		n, err := s.exec(ctx, `
			INSERT INTO notes (run, at, kind, message)
			SELECT id, CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT) FROM runs WHERE id = $1`,
			run, stamp(at), text(kind), text(message))
		if err == nil && n == 0 {
			return ErrNone
		}
		return err
	})
}

// Notes returns the notes on a run by their instants. A run that does not
// exist has none.
func (l *Ledger) Notes(ctx context.Context, run int64) ([]Note, error) {
	var notes []Note
	err := l.read(ctx, fmt.Sprintf("notes on run %d", run), func(ctx context.Context, s session) error {
		notes = nil
		return s.query(ctx, func(rows *sql.Rows) error {
			var n Note
			err := rows.Scan(instant{&n.At}, &n.Kind, &n.Text)
			notes = append(notes, n)
			return err
		}, `SELECT at, kind, message FROM notes WHERE run = $1 ORDER BY at, id`, run)
	})
	return notes, err
}
