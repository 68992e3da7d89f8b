package ledger

import (
	"context"
	"log/slog"
)

// OpenVersion is Open as the program did it when the schema had that version.
func OpenVersion(ctx context.Context, url string, log *slog.Logger, version int) (*Ledger, error) {
	return open(ctx, url, log, schema()[:version], true)
}

// Migrate takes the ledger to the version after the newest one by a further
// migration.
func (l *Ledger) Migrate(ctx context.Context, migration string) error {
	return l.upgrade(ctx, append(schema(), migration), true)
}

// Exec changes the ledger by statements of its own.
func (l *Ledger) Exec(ctx context.Context, statements string) error {
	return l.store.exclusive(ctx, func(ctx context.Context, s session) error {
		_, err := s.conn.ExecContext(ctx, statements)
		return err
	})
}

// Meanwhile changes the ledger, and calls do after the transaction has begun and before
// its first write.
func (l *Ledger) Meanwhile(ctx context.Context, do func()) error {
	return l.write(ctx, "change the ledger", func(ctx context.Context, s session) error {
		do()
		_, err := s.exec(ctx, `UPDATE ledger SET checked = @now`)
		return err
	})
}

// Find returns the run of an occurrence. If there is none, the error is ErrNone.
func (l *Ledger) Find(ctx context.Context, job, key string) (*Run, error) {
	for r, err := range l.Runs(ctx, Query{Job: job}) {
		if err != nil || r.Key == key {
			return r, err
		}
	}
	return nil, ErrNone
}

// LimitPages makes the disk of a SQLite ledger full at n pages.
func (l *Ledger) LimitPages(ctx context.Context, n string) error {
	return l.store.read(ctx, func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `PRAGMA max_page_count = `+n)
		return err
	})
}

// Version is that of the newest schema.
func Version() int { return len(schema()) }

// ReadURL returns how messages name the database of a PostgreSQL URL.
func ReadURL(url string) (place string, err error) {
	s, err := openPostgres(url)
	if err != nil {
		return "", err
	}
	return s.database, s.close()
}
