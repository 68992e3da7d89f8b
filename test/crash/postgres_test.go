package crash_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/globus-runner/globus-runner/test/postgres"
)

const databasePassword = "pg-canary-8Wd2"

// database is the PostgreSQL server of this test process, once a test wants it.
var database struct {
	sync.Once
	server *postgres.Server
	err    error
}

func startedDatabase(t *testing.T) *postgres.Server {
	t.Helper()
	database.Do(func() { database.server, database.err = postgres.Start(databasePassword, "fsync=off") })
	if errors.Is(database.err, postgres.ErrMissing) {
		t.Skip("skipped: ", database.err)
	}
	if database.err != nil {
		t.Fatal(database.err)
	}
	return database.server
}
