// Package ledger records what happened: runs of occurrences and their
// submissions, durably. It holds an occurrence once, however many processes
// claim it, and has a submission on disk before Globus hears of it.
//
// A ledger is a SQLite file, or a PostgreSQL database that several replicas
// share. What should happen and when is left to package jobs, and doing it to
// package engine.
//
// Read run.go first: [Ledger.Claim] gives a run to one holder, [Ledger.Renew] keeps it
// and [Ledger.Finish] ends it. Each other kind of record has a file of its own. The SQL
// is written once, in the words of a dialect (see ledger.go), for the two stores in
// sqlite.go and postgres.go. The tables are in schema.go.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Errors to ask for with [errors.Is].
var (
	// ErrNone says that the ledger has no such run or submission.
	ErrNone = errors.New("not in the ledger")
	// ErrLost says that a run is not, or no longer, the holder's: somebody
	// else took it over, or it has ended. Whoever gets this error leaves the run alone.
	ErrLost = errors.New("not ours")
	// ErrExists says that the run has another submission for the same step, part and
	// attempt.
	ErrExists = errors.New("submitted already")
	// ErrURL says that a URL does not name a ledger.
	ErrURL = errors.New(`neither "sqlite:<file>" nor "postgres://user@host/database"`)
	// ErrState says that the run's state does not allow what was asked.
	ErrState = errors.New("not possible in this state")
	// ErrAbsent says that there is no ledger to be opened by [OpenExisting].
	ErrAbsent = errors.New("there is no ledger")
	// ErrGone says that the ledger's file was deleted, moved away or replaced while it
	// was open. It can be used again when that file is back.
	ErrGone = errors.New("not the file that was opened")
)

// A Ledger is an open ledger. Its methods may be called concurrently, and
// other processes may have the same ledger open.
//
// What a method has written is on disk when it returns without an error. If
// the connection to PostgreSQL breaks or ctx ends in the middle, it may be
// written although there is an error. Every method may then be called again
// with the same arguments; only a note may then be recorded twice.
//
// Instants are in UTC, exact to the microsecond. Leases are measured by the
// clock of the machine (SQLite) or of the database server (PostgreSQL).
type Ledger struct {
	store store
	log   *slog.Logger
	zips  sync.Pool // of *gzip.Writer, each of which has 1 MiB
}

// A store is one of the engines that keep a ledger.
type store interface {
	// write calls f, which makes one change at most, and makes that durable.
	// f may be called again after an error.
	write(ctx context.Context, f func(context.Context, session) error) error
	read(ctx context.Context, f func(context.Context, session) error) error
	// exclusive calls f in a transaction. No two exclusive ones run at the same time.
	exclusive(ctx context.Context, f func(context.Context, session) error) error
	serve(holder string) (release func(), err error)
	attend(holder string, bury func(dead string) error) (release func(), err error)
	dead(each func(file, holder string) error) error
	name() string // for messages
	close() error
}

// Open opens the ledger at url, which is "sqlite:" and the name of a file, or
// "postgres://user:password@host:port/database" with libpq's parameters. It
// makes the file (readable by its owner only), the folder of the file and the
// schema where they do not exist, and brings an older schema up to date. A
// newer one is an error, as is a database of another program.
//
// A server that does not answer is given up after 10 seconds, or as url's
// connect_timeout says. Where url names several servers, the one that takes
// writes is used, unless its target_session_attrs says otherwise. A ledger that
// cannot be used makes the error of every method an [*Error]. No error and no
// log holds the url's password.
func Open(ctx context.Context, url string, log *slog.Logger) (*Ledger, error) {
	return open(ctx, url, log, schema(), true)
}

// OpenExisting is [Open] for those who only read: where there is no ledger, it makes
// none, and the error is [ErrAbsent].
func OpenExisting(ctx context.Context, url string, log *slog.Logger) (*Ledger, error) {
	return open(ctx, url, log, schema(), false)
}

// open opens a ledger. If there is none, it makes one if create is set.
func open(ctx context.Context, url string, log *slog.Logger, migrations []string, create bool) (*Ledger, error) {
	var (
		s   store
		err error
	)
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "sqlite":
		s, err = openSQLite(rest, create)
	case "postgres", "postgresql":
		s, err = openPostgres(url)
	default:
		return nil, fmt.Errorf("open ledger: %s is %w", shown(url), ErrURL)
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	l := &Ledger{store: s, log: log}
	if err := l.upgrade(ctx, migrations, create); err != nil {
		return nil, fmt.Errorf("open ledger: %w", errors.Join(err, s.close()))
	}
	return l, nil
}

// shown returns a URL of an unknown kind for a message, unless it may hold a password.
func shown(url string) string {
	if strings.ContainsAny(url, "@=") || strings.Contains(url, "://") {
		return "its URL"
	}
	return strconv.Quote(url)
}

// Close ends the use of the ledger. Leases stay as they are, see [Ledger.Release].
func (l *Ledger) Close() error { return l.store.close() }

// Check writes to the ledger, which shows whether a run could be recorded now.
func (l *Ledger) Check(ctx context.Context) error {
	return l.write(ctx, "check ledger", func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `UPDATE ledger SET checked = @now`)
		return err
	})
}

// Origin returns what [Ledger.SetOrigin] was told last, or "".
func (l *Ledger) Origin(ctx context.Context) (origin string, err error) {
	err = l.read(ctx, "read whose ledger it is", func(ctx context.Context, s session) error {
		return s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&origin) }, `SELECT origin FROM ledger`)
	})
	return origin, err
}

// SetOrigin records which jobs file the runs in the ledger come from.
func (l *Ledger) SetOrigin(ctx context.Context, origin string) error {
	return l.write(ctx, "note whose ledger it is", func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `UPDATE ledger SET origin = $1 WHERE origin <> $1`, text(origin))
		return err
	})
}

// write calls f in a session that may change the ledger; doing says what for.
func (l *Ledger) write(ctx context.Context, doing string, f func(context.Context, session) error) error {
	if err := l.store.write(ctx, f); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func (l *Ledger) read(ctx context.Context, doing string, f func(context.Context, session) error) error {
	if err := l.store.read(ctx, f); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// A dialect is what differs between the engines in SQL. Statements are
// written with $1, $2 … and these words: @now (microseconds since 1970),
// @lock (locks the rows of a SELECT), @skip (locks those that are free),
// @bytes (a type), @bytewise (how to compare texts), @id (a type: the engine counts up, no number comes twice).
type dialect struct {
	tables string // selects the names of all tables
	begin  string // begins a transaction; empty if every change is made in one
	words  *strings.Replacer
	args   func([]any) []any // adds what the words need
}

// A session is the use of one connection.
type session struct {
	conn *sql.Conn
	dialect
	// prepared holds statements of the connection by their text. It is nil if
	// the driver does that itself.
	prepared map[string]*sql.Stmt
}

// together makes the changes of f as one: all of them are made, or none.
func (s session) together(ctx context.Context, f func() error) error {
	if s.begin == "" {
		return f()
	}
	if _, err := s.exec(ctx, s.begin); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = s.exec(ctx, "COMMIT")
	}
	if err != nil { // whoever gets the connection next must not be in the transaction
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
		defer cancel()
		_, _ = s.exec(ctx, "ROLLBACK") // if this fails, the connection is lost and the server rolls back
	}
	return err
}

// rollbackTime bounds the end of a transaction whose context may have ended.
const rollbackTime = 5 * time.Second

// exec returns the number of rows that the statement changed.
func (s session) exec(ctx context.Context, query string, args ...any) (int, error) {
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	var res sql.Result
	if stmt != nil {
		res, err = stmt.ExecContext(ctx, s.args(args)...)
	} else {
		res, err = s.conn.ExecContext(ctx, s.words.Replace(query), s.args(args)...)
	}
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// query calls row for each row of the result.
func (s session) query(ctx context.Context, row func(*sql.Rows) error, query string, args ...any) error {
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return err
	}
	var rows *sql.Rows
	if stmt != nil {
		rows, err = stmt.QueryContext(ctx, s.args(args)...)
	} else {
		rows, err = s.conn.QueryContext(ctx, s.words.Replace(query), s.args(args)...)
	}
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err below has the error
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// prepare returns nil if the statement need not be prepared.
func (s session) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s.prepared == nil || s.prepared[query] != nil {
		return s.prepared[query], nil
	}
	stmt, err := s.conn.PrepareContext(ctx, s.words.Replace(query))
	if err == nil {
		s.prepared[query] = stmt
	}
	return stmt, err
}

// stamp returns t as it is kept: in microseconds since 1970, 0 for the zero time.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant scans what stamp returned.
type instant struct{ *time.Time }

func (i instant) Scan(v any) error {
	us, ok := v.(int64)
	if !ok {
		return fmt.Errorf("%T is not an instant", v)
	}
	*i.Time = unstamp(us)
	return nil
}

// unstamp is the inverse of stamp.
func unstamp(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// text returns s without what one of the databases cannot store.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
