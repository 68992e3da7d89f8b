package ledger

import "context"

// Migrate takes the ledger to the version after the newest one by a further
// migration.
func (l *Ledger) Migrate(ctx context.Context, migration string) error {
	return l.upgrade(ctx, append(schema(), migration))
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
