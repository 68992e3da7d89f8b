package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// A Note is an event in the life of a run.
type Note struct {
	At   time.Time
	Kind string // one word
	Text string
}

// NoteEnded is the kind of the note that [Ledger.Retry] adds about the end before it.
const NoteEnded = "ended"

// Note adds a note to a run. It needs no lease.
func (l *Ledger) Note(ctx context.Context, run int64, at time.Time, kind, message string) error {
	return l.write(ctx, fmt.Sprintf("note on run %d", run), func(ctx context.Context, s session) error {
		return s.note(ctx, run, at, text(kind), text(message))
	})
}

func (s session) note(ctx context.Context, run int64, at time.Time, kind, message string) error {
	n, err := s.exec(ctx, `
		INSERT INTO notes (run, at, kind, message)
		SELECT id, CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT) FROM runs WHERE id = $1`,
		run, stamp(at), kind, message)
	if err == nil && n == 0 {
		return ErrNone
	}
	return err
}

// Notes returns the notes on a run by their instants. A run that does not
// exist has none.
func (l *Ledger) Notes(ctx context.Context, run int64) ([]Note, error) {
	all, err := l.NotesOn(ctx, run)
	return all[run], err
}

// NotesOn is [Ledger.Notes] for several runs, by run.
func (l *Ledger) NotesOn(ctx context.Context, runs ...int64) (map[int64][]Note, error) {
	all := make(map[int64][]Note, len(runs))
	if len(runs) == 0 {
		return all, nil
	}
	asked := make(map[int64]int, len(runs))
	for _, id := range runs {
		asked[id] = 1
	}
	doc, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	err = l.read(ctx, "read notes on runs", func(ctx context.Context, s session) error {
		clear(all)
		return s.query(ctx, func(rows *sql.Rows) error {
			var run int64
			var n Note
			err := rows.Scan(&run, instant{&n.At}, &n.Kind, &n.Text)
			all[run] = append(all[run], n)
			return err
		}, `SELECT run, at, kind, message FROM notes WHERE run IN (SELECT CAST(key AS BIGINT) FROM json_each($1)) ORDER BY at, id`, string(doc))
	})
	return all, err
}
