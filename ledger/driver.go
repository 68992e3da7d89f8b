package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A connector is the part of pgx/stdlib that the ledger needs: database/sql
// over pgx, without the second connection pool that stdlib brings along.
type connector struct{ config *pgx.ConnConfig }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, c.config)
	if err != nil {
		return nil, err
	}
	return &postgresConn{conn: conn, used: time.Now()}, nil
}

func (c connector) Driver() driver.Driver { return c }

// Open is not called: a connector knows where to connect to.
func (c connector) Open(string) (driver.Conn, error) { return c.Connect(context.Background()) }

type postgresConn struct {
	conn *pgx.Conn
	used time.Time // when it was taken from the pool last
}

var errUnused = errors.New("package ledger does without it")

func (*postgresConn) Prepare(string) (driver.Stmt, error) { return nil, errUnused }
func (*postgresConn) Begin() (driver.Tx, error)           { return nil, errUnused }

func (c *postgresConn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return c.conn.Close(ctx)
}

func (c *postgresConn) IsValid() bool {
	return !c.conn.IsClosed() && c.conn.PgConn().TxStatus() == 'I'
}

// ResetSession finds out whether a connection that was idle still works.
func (c *postgresConn) ResetSession(ctx context.Context) error {
	idle := time.Since(c.used)
	c.used = time.Now()
	if !c.IsValid() || idle > time.Second && c.conn.Ping(ctx) != nil {
		return driver.ErrBadConn
	}
	return nil
}

func (c *postgresConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	tag, err := c.conn.Exec(ctx, query, values(args)...)
	if err != nil {
		return nil, retryable(err)
	}
	return driver.RowsAffected(tag.RowsAffected()), nil
}

func (c *postgresConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.conn.Query(ctx, query, values(args)...)
	if err != nil {
		return nil, retryable(err)
	}
	r := &postgresRows{rows: rows, more: rows.Next()} // the columns are known after the first Next
	if err := rows.Err(); err != nil {
		return nil, retryable(err)
	}
	return r, nil
}

func values(args []driver.NamedValue) []any {
	v := make([]any, len(args))
	for i, a := range args {
		v[i] = a.Value
	}
	return v
}

// retryable lets database/sql take another connection if nothing was sent.
func retryable(err error) error {
	if pgconn.SafeToRetry(err) {
		return driver.ErrBadConn
	}
	return err
}

type postgresRows struct {
	rows pgx.Rows
	more bool // the first row was reached already
}

func (r *postgresRows) Columns() []string {
	fields := r.rows.FieldDescriptions()
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

func (r *postgresRows) Next(dest []driver.Value) error {
	if !r.more && !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	r.more = false
	row, err := r.rows.Values()
	if err != nil {
		return err
	}
	for i, v := range row {
		dest[i] = v
	}
	return nil
}

func (r *postgresRows) Close() error {
	r.rows.Close()
	return r.rows.Err()
}
