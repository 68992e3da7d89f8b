package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	connectTimeout = 10 * time.Second // with one server, unless the URL says it
	oneOfSeveral   = 5 * time.Second  // the same where the URL names several servers
	answerTimeout  = 30 * time.Second // for one change or question
	attemptTimeout = 10 * time.Second // for it on one connection
	pingTimeout    = 2 * time.Second  // for a connection that was idle
	reconnectTime  = 15 * time.Second // how long a server that was there is waited for
	reconnectPause = 200 * time.Millisecond
	freshTries     = 2 // how many connections are replaced that the server does not let write

	// A connection lives so long at most: when the name of the server leads to
	// another one after a failover, nobody works with the old one for longer.
	connLife     = 5 * time.Minute
	connIdleLife = 1 * time.Minute

	postgresConns = 8
	exclusiveLock = 7236273485291746 // any number that nobody else takes
)

// A postgresStore keeps the ledger in a PostgreSQL database.
type postgresStore struct {
	db       *sql.DB
	database string      // for messages: without the password
	there    atomic.Bool // the server has answered before
}

func openPostgres(url string) (*postgresStore, error) {
	config, err := postgresConfig(url)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*config, stdlib.OptionShouldPing(silent))
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	db.SetConnMaxIdleTime(connIdleLife)
	db.SetConnMaxLifetime(connLife)
	return &postgresStore{
		db:       db,
		database: fmt.Sprintf("PostgreSQL database %s on %s", cmp.Or(config.Database, config.User), strings.Join(hosts(config), " and ")),
	}, nil
}

// silent pings the server of a connection that was idle, and reports true if there is no
// answer. The connection is then closed, and the caller gets another one. Without the
// ping, the caller would wait for a server that has vanished.
func silent(ctx context.Context, p stdlib.ShouldPingParams) bool {
	if p.IdleDuration <= time.Second {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return p.Conn.Ping(ctx) != nil
}

// hosts are the servers that a URL names, each once.
func hosts(config *pgx.ConnConfig) []string {
	names := []string{config.Host}
	for _, f := range config.Fallbacks {
		if !slices.Contains(names, f.Host) {
			names = append(names, f.Host)
		}
	}
	return names
}

// several reports whether a URL names several servers: hosts or ports.
func several(config *pgx.ConnConfig) bool {
	return slices.ContainsFunc(config.Fallbacks, func(f *pgconn.FallbackConfig) bool {
		return f.Host != config.Host || f.Port != config.Port
	})
}

// postgresConfig parses url. Its errors do not quote the url: a part of a password with
// special characters could be in any part of it.
func postgresConfig(url string) (*pgx.ConnConfig, error) {
	_, rest, _ := strings.Cut(url, "://")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 && strings.ContainsAny(rest[:at], "@/?#") {
		return nil, errors.New("the PostgreSQL URL is ambiguous: write @ / ? # in a user or password as %40 %2F %3F %23")
	}
	// A password among parameters without a ? would be part of a name, and shown.
	if place, _, _ := strings.Cut(rest[strings.LastIndexByte(rest, '@')+1:], "?"); strings.ContainsAny(place, "=&") {
		return nil, errors.New("the PostgreSQL URL has parameters without a ? before them: write postgres://user@host/database?sslmode=…, and = & in a name as %3D %26")
	}
	config, err := pgx.ParseConfig(url)
	if cause := errors.Unwrap(err); cause != nil && strings.Contains(err.Error(), ": failed to configure TLS (") {
		return nil, fmt.Errorf("the PostgreSQL URL sets up TLS wrongly: %w; sslmode is disable, allow, prefer, require, verify-ca or verify-full, and sslrootcert a readable file in PEM", cause)
	}
	if err != nil {
		return nil, errors.New("the PostgreSQL URL is malformed: it is written postgres://user:password@host:port/database?sslmode=…")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
		if several(config) {
			config.ConnectTimeout = oneOfSeveral
		}
	}
	if several(config) && config.ValidateConnect == nil {
		// Only the primary takes writes.
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "globus-runner"
	}
	return config, nil
}

func (l *postgresStore) name() string { return l.database }

func (l *postgresStore) close() error { return l.db.Close() }

func (l *postgresStore) dialect() dialect {
	return dialect{
		tables: `SELECT tablename FROM pg_tables WHERE schemaname = current_schema()`,
		// A process that is frozen in the middle must not lock its rows for ever.
		begin: fmt.Sprintf("BEGIN; SET LOCAL idle_in_transaction_session_timeout = %d", answerTimeout.Milliseconds()),
		words: strings.NewReplacer(
			"@now", "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint",
			"@lock", "FOR UPDATE",
			"@skip", "FOR UPDATE SKIP LOCKED",
			"@bytes", "BYTEA",
			"@bytewise", `COLLATE "C"`,
			"@id", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
		),
		args: func(args []any) []any { return args },
	}
}

func (l *postgresStore) read(ctx context.Context, f func(context.Context, session) error) error {
	return l.write(ctx, f)
}

// write may repeat f: a single statement is a transaction, as are several that are made
// together, and every change may be made twice. It tries again for a while when a server
// that has answered before restarts, or when the connection breaks.
func (l *postgresStore) write(ctx context.Context, f func(context.Context, session) error) error {
	return l.within(ctx, answerTimeout, attemptTimeout, f)
}

// within calls f until it succeeds, on another connection if that may help. All calls
// together take at most the time all, and each call takes at most each.
func (l *postgresStore) within(ctx context.Context, all, each time.Duration, f func(context.Context, session) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, all, fmt.Errorf("no answer within %v", all))
	defer cancel()
	fresh := 0
	for begin := time.Now(); ; {
		err := l.once(ctx, each, f)
		if _, spoke := errors.AsType[*pgconn.PgError](err); err == nil || spoke && passes(err) {
			l.there.Store(true)
		}
		if stale(err) {
			l.forget()
			fresh++
		}
		if err == nil || ctx.Err() != nil || !l.there.Load() || !passes(err) || fresh > freshTries || time.Since(begin) > reconnectTime {
			return l.explain(ctx, err)
		}
		select {
		case <-time.After(reconnectPause):
		case <-ctx.Done():
		}
	}
}

// once calls f with a connection, which goes back to the pool unless it is stale.
func (l *postgresStore) once(ctx context.Context, limit time.Duration, f func(context.Context, session) error) error {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = f(bounded, session{conn: conn, dialect: l.dialect()})
	if stale(err) {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // has the pool drop it
		_ = conn.Close()                                           // it is gone already
		return err
	}
	return errors.Join(err, conn.Close())
}

// forget closes the idle connections: they are as stale as the one that failed.
func (l *postgresStore) forget() {
	l.db.SetMaxIdleConns(0)
	l.db.SetMaxIdleConns(postgresConns)
}

// stale reports whether err says that nothing was done because of this connection, and
// that another one may work: its server has become a standby, or a pooler has lost the
// prepared statements.
func stale(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch e.Code {
	case "25006", // read_only_sql_transaction
		"25P02", "25P03", // in_failed_sql_transaction, idle_in_transaction_session_timeout
		"26000", "42P05": // a prepared statement that is not there, or is
		return true
	}
	return e.Code == "0A000" && strings.Contains(e.Message, "cached plan")
}

// passes reports whether the same call may succeed later: the connection broke, the
// server is starting, stopping or out of resources, or another transaction was in the
// way.
func passes(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code[:min(2, len(e.Code))] {
		case "08", "40", "53", "58": // connection, rollback, resources, system
			return true
		case "57": // the operator; 57P04 says that the database was dropped
			return e.Code != "57P04"
		}
		return e.Code == "55P03" || stale(err) // lock_not_available
	}
	_, refused := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	return refused || network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

func (l *postgresStore) exclusive(ctx context.Context, f func(context.Context, session) error) error {
	return l.within(ctx, answerTimeout, answerTimeout, func(ctx context.Context, s session) error {
		return s.together(ctx, func() error {
			if _, err := s.exec(ctx, "SELECT pg_advisory_xact_lock($1)", exclusiveLock); err != nil {
				return err
			}
			return f(ctx, s)
		})
	})
}

// serve lets everybody serve: leases and claims keep them apart.
func (l *postgresStore) serve(string) (func(), error) { return func() {}, nil }

// attend does nothing: nobody can tell whether a process on another machine lives.
func (l *postgresStore) attend(string, func(string) error) (func(), error) { return func() {}, nil }

// dead calls nobody, for the same reason.
func (l *postgresStore) dead(func(string, string) error) error { return nil }
