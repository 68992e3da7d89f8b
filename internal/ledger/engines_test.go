package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/test/postgres"
	"github.com/globus-runner/globus-runner/test/scratch"
)

// TestMain also plays the other processes of the tests, see child.
func TestMain(m *testing.M) {
	if what := os.Getenv("LEDGER_TEST_CHILD"); what != "" {
		os.Exit(beChild(what))
	}
	code := scratch.Run(m)
	if server.Server != nil {
		_ = server.Close() // it is a temporary one
	}
	os.Exit(code)
}

// engines are the ways to get the URL of a new ledger.
var engines = map[string]func(testing.TB) string{
	"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "runner.db") },
	"postgres": schema,
}

func onEngines(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	for name, newURL := range engines {
		t.Run(name, func(t *testing.T) { f(t, newURL(t)) })
	}
}

func open(t testing.TB, url string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), url, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

const postgresPassword = "se/cr@t?"

// server is the PostgreSQL server of this test process, once a test wants it.
var server struct {
	sync.Once
	*postgres.Server
	err error
}

// schema returns the URL of a schema of its own.
func schema(t testing.TB) string {
	t.Helper()
	server.Do(func() { server.Server, server.err = postgres.Start(postgresPassword, "fsync=off") })
	if errors.Is(server.err, postgres.ErrMissing) {
		t.Skip("skipped: ", server.err)
	}
	ok(t, server.err)
	name, address, err := server.Schema(t.Context())
	ok(t, err)
	t.Cleanup(func() { ok(t, server.Exec(context.Background(), "DROP SCHEMA "+name+" CASCADE")) })
	return address
}

// sqlExec changes a SQLite file behind the ledger's back.
func sqlExec(t testing.TB, file string, queries ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { ok(t, db.Close()) }()
	for _, q := range queries {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
}
