package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// patience is how long a change waits for other processes that write to the file.
const patience = 30 * time.Second

// A sqliteStore keeps the ledger in a file. It uses one connection, because SQLite allows
// one change at a time and readers would only delay it. Changes that come while another
// one waits for the disk share the next transaction, so that the disk does not have to
// confirm each of them.
type sqliteStore struct {
	db   *sql.DB
	file string
	turn chan struct{} // full while somebody uses the session
	open session       // the zero value until it is used
	used fs.FileInfo   // the file that the session has open

	mu    sync.Mutex // never held while waiting
	queue []*change
}

// A change waits to be made.
type change struct {
	make func(context.Context, session) error
	done chan error // gets its outcome, which waits there
}

// openSQLite opens a file. If there is none, it makes one if create is set, and otherwise
// returns ErrAbsent.
func openSQLite(file string, create bool) (*sqliteStore, error) {
	if file == "" {
		return nil, errors.New(`the URL names no file: "sqlite:<file>"`)
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) && !create {
		return nil, fmt.Errorf("%w at %s", ErrAbsent, file)
	}
	if err := makeFile(file); err != nil {
		return nil, ofSystem(err)
	}
	// In journal mode DELETE a commit is on disk only when its folder is, which
	// synchronous=FULL does not wait for; in mode TRUNCATE it does. The busy
	// timeout is short because [patient] waits too, and heeds the context.
	params := url.Values{"_pragma": {"busy_timeout(50)", "foreign_keys(1)", "journal_mode(truncate)", "synchronous(full)"}}
	connector, err := sqlite.NewConnector((&url.URL{Scheme: "file", Path: file, RawQuery: params.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return &sqliteStore{db: db, file: file, turn: make(chan struct{}, 1)}, nil
}

// makeFile makes the file and its folder unless they exist, readable by the owner only.
// SQLite would make the file readable by everybody.
func makeFile(file string) error {
	info, err := os.Stat(file)
	if err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a file", file)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	if err != nil {
		return fmt.Errorf("make its file: %w", err)
	}
	return f.Close()
}

func (l *sqliteStore) name() string { return l.file }

func (l *sqliteStore) close() error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	var err error
	if l.open.conn != nil {
		for _, stmt := range l.open.prepared {
			err = errors.Join(err, stmt.Close())
		}
		err = errors.Join(err, l.open.conn.Close())
		l.open = session{}
	}
	return errors.Join(err, l.db.Close())
}

// dialect writes each bound LIMIT as a sum: with a plain parameter, SQLite would plan the
// statement again whenever a value is bound.
func (l *sqliteStore) dialect() dialect {
	return dialect{
		tables: `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
		words: strings.NewReplacer("@lock", "", "@skip", "", "@bytes", "BLOB", "@bytewise", "",
			"@id", "INTEGER PRIMARY KEY AUTOINCREMENT", "LIMIT $", "LIMIT 0 + $"),
		args: func(args []any) []any {
			return append(args, sql.Named("now", time.Now().UnixMicro()))
		},
	}
}

func (l *sqliteStore) read(ctx context.Context, f func(context.Context, session) error) error {
	return l.use(ctx, func(forever context.Context, s session) error {
		return patient(ctx, func() error { return f(forever, s) })
	})
}

func (l *sqliteStore) exclusive(ctx context.Context, f func(context.Context, session) error) error {
	return l.use(ctx, func(forever context.Context, s session) error {
		return s.transaction(ctx, func() error { return f(forever, s) })
	})
}

// use calls f with the connection when it is its turn. The context that f gets never ends:
// SQLite would roll the transaction back.
func (l *sqliteStore) use(ctx context.Context, f func(context.Context, session) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
		return l.connected(ctx, f)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// connected is use for whoever has the turn.
func (l *sqliteStore) connected(ctx context.Context, f func(context.Context, session) error) error {
	forever := context.WithoutCancel(ctx)
	err := patient(ctx, func() error { return l.connect(forever) })
	if err == nil {
		err = l.same()
	}
	if err == nil {
		err = f(forever, l.open)
	}
	return l.explain(err)
}

// connect opens the session. It stays open, because SQLite takes longer to prepare a
// statement than to execute it.
func (l *sqliteStore) connect(ctx context.Context) error {
	if l.open.conn != nil {
		return nil
	}
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	if l.used, err = os.Stat(l.file); err != nil {
		return errors.Join(ofSystem(err), conn.Close())
	}
	l.open = session{conn, l.dialect(), map[string]*sql.Stmt{}}
	return nil
}

// same returns an error if the session's file no longer has the ledger's name: nobody
// would find again what is written to it. If the same file is back, there is no error.
func (l *sqliteStore) same() error {
	now, err := os.Stat(l.file)
	switch {
	case err == nil && os.SameFile(l.used, now):
		return nil
	case err == nil:
		err = gone(l.file + ": another file was put in its place while it was in use; start the program again to use that one")
	case errors.Is(err, fs.ErrNotExist):
		err = gone(l.file + ": it was deleted or moved away while it was in use; put it back, or start the program again with a new ledger")
	}
	return &Error{err, true}
}

// gone is an [ErrGone] with details.
type gone string

func (g gone) Error() string        { return string(g) }
func (g gone) Is(target error) bool { return target == ErrGone }

func (l *sqliteStore) write(ctx context.Context, f func(context.Context, session) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c := &change{make: f, done: make(chan error, 1)}
	l.mu.Lock()
	l.queue = append(l.queue, c)
	l.mu.Unlock()

	select {
	case err := <-c.done:
		return err
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		if l.withdraw(c) {
			return context.Cause(ctx)
		}
		return <-c.done
	}
	if len(c.done) == 0 {
		err := l.connected(ctx, func(forever context.Context, s session) error {
			return l.makeAll(ctx, forever, s, l.take)
		})
		if l.withdraw(c) { // the transaction did not begin
			return err
		}
	}
	return <-c.done
}

// take returns all changes that wait, and empties the queue.
func (l *sqliteStore) take() []*change {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.queue
	l.queue = nil
	return batch
}

// withdraw takes c out of the queue, and reports whether it was there.
func (l *sqliteStore) withdraw(c *change) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.queue)
	l.queue = slices.DeleteFunc(l.queue, func(q *change) bool { return q == c })
	return len(l.queue) < n
}

// makeAll makes the changes that next returns in one transaction, or each in its own if
// that fails, and sends each its outcome. If the first transaction cannot begin, it
// returns an error and does not call next.
func (l *sqliteStore) makeAll(ctx, forever context.Context, s session, next func() []*change) error {
	var batch []*change
	var outcomes []error
	err := s.transaction(ctx, func() error {
		batch = next()
		outcomes = make([]error, len(batch))
		for i, c := range batch {
			outcomes[i] = c.make(forever, s)
			if _, ok := errors.AsType[*sqlite.Error](outcomes[i]); ok {
				return outcomes[i] // the transaction may be gone
			}
		}
		return nil
	})
	if err == nil {
		err = l.same()
	}
	if err != nil && batch == nil {
		return err
	}
	for i, c := range batch {
		if err == nil {
			c.done <- outcomes[i]
			continue
		}
		alone := err
		if len(batch) > 1 {
			alone = l.makeAll(forever, forever, s, func() []*change { return batch[i : i+1] })
		}
		if alone != nil {
			c.done <- l.explain(alone)
		}
	}
	return nil
}

// transaction calls f in a transaction that may write. If ctx ends before the transaction
// begins, it returns.
func (s session) transaction(ctx context.Context, f func() error) error {
	forever := context.WithoutCancel(ctx)
	exec := func(ctx context.Context, query string) error {
		return patient(ctx, func() error {
			_, err := s.conn.ExecContext(forever, query)
			return err
		})
	}
	if err := exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = exec(forever, "COMMIT")
	}
	if err != nil {
		_, _ = s.conn.ExecContext(forever, "ROLLBACK") // an error means that SQLite did it already
	}
	return err
}

// patient repeats f while another process uses the file.
func patient(ctx context.Context, f func() error) error {
	for begin := time.Now(); ; {
		err := f()
		e, ok := errors.AsType[*sqlite.Error](err)
		if !ok || e.Code()&0xff != sqlite3.SQLITE_BUSY || time.Since(begin) > patience {
			return err
		}
		timer := time.NewTimer(rand.N(10 * time.Millisecond))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// explain adds to an error of SQLite what a person can do about it.
func (l *sqliteStore) explain(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	if l.used != nil {
		if gone := l.same(); gone != nil { // SQLite may call such a file read-only, or its disk broken
			return gone
		}
	}
	why, temporary := "", false
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		why, temporary = "the disk is full", true
	case sqlite3.SQLITE_READONLY:
		why = "it may be read but not written: look at the permissions of the file and its folder"
	case sqlite3.SQLITE_CANTOPEN:
		why = "it cannot be opened: look at the permissions of the file and its folder"
		if cause := l.probe(); cause != nil {
			why, temporary = "it cannot be opened: "+cause.Error(), passing(cause)
		}
	case sqlite3.SQLITE_NOTADB:
		why = "the file is not a SQLite database: give the ledger another name, or move the file away if it was a ledger"
	case sqlite3.SQLITE_CORRUPT:
		why = damaged
	case sqlite3.SQLITE_BUSY:
		why, temporary = fmt.Sprintf("another process has used it for more than %v", patience), true
	case sqlite3.SQLITE_IOERR:
		why, temporary = "the disk cannot be read or written", true
	case sqlite3.SQLITE_NOMEM:
		why, temporary = "there is not enough memory", true
	case sqlite3.SQLITE_ERROR:
		if strings.Contains(err.Error(), "no such table") {
			why = "its tables are gone; " + damaged
		}
	}
	if why == "" {
		return &Error{fmt.Errorf("%s: %w", l.file, err), false}
	}
	return &Error{fmt.Errorf("%s: %s (%w)", l.file, why, err), temporary}
}

const damaged = "the file is damaged: stop every runner that uses it, and move it away with its -journal file, or put a copy back; " +
	"a new ledger knows no earlier runs, and finds tasks that are there by their labels"

// probe returns why no file can be made beside the ledger, or nil. SQLite makes one for
// each change, but does not say why that fails.
func (l *sqliteStore) probe() error {
	f, err := os.CreateTemp(filepath.Dir(l.file), ".runner-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
