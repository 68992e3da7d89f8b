package ledger_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/globus-runner/globus-runner/ledger"
)

// TestMain also plays the other processes of the tests, see child.
func TestMain(m *testing.M) {
	if what := os.Getenv("LEDGER_TEST_CHILD"); what != "" {
		os.Exit(beChild(what))
	}
	code := m.Run()
	server.stop()
	os.Exit(code)
}

// engines are the ways to get the URL of a new ledger.
var engines = map[string]func(testing.TB) string{
	"sqlite": func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "runner.db") },
	"postgres": func(t testing.TB) string {
		server.once.Do(server.start)
		if server.err != nil {
			if errors.Is(server.err, exec.ErrNotFound) {
				t.Skip("skipped: the programs of PostgreSQL are not installed (apt-get install postgresql)")
			}
			t.Fatal(server.err)
		}
		return server.place(t)
	},
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

// A postgresServer is the server of this test process. It listens on a socket in
// a temporary folder, and ends when the process does, however that ends.
type postgresServer struct {
	once   sync.Once
	err    error
	dir    string
	lock   sync.Mutex
	places int
	alive  io.Closer // the server stops when this is closed
	cmd    *exec.Cmd
}

var server postgresServer

const postgresPassword = "se/cr@t?"

func (s *postgresServer) start() { s.err = s.run() }

func (s *postgresServer) run() error {
	ctx := context.Background() // it outlives the test that starts it
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return exec.ErrNotFound
	}
	bin := filepath.Dir(found[len(found)-1])
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return err
	}
	as, err := ordinaryUser()
	if err != nil {
		return err
	}
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(postgresPassword+"\n"), 0o644); err != nil {
		return err
	}
	if as != nil {
		if err := os.Chown(s.dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "--pgdata="+s.dir+"/data", "--username=runner",
		"--auth=scram-sha-256", "--pwfile="+password, "--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	// The shell reads from us, so that the server ends with us.
	s.cmd = exec.CommandContext(ctx, "/bin/sh", "-c", `"$@" </dev/null & read gone; kill -INT $!; wait $!`, "sh",
		filepath.Join(bin, "postgres"), "-D", s.dir+"/data", "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200")
	s.cmd.Dir, s.cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: as, Setpgid: true}
	if s.alive, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	said, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	var log bytes.Buffer
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		log.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "ready to accept connections") {
			go io.Copy(io.Discard, said) //nolint:errcheck // until it ends
			return nil
		}
	}
	return fmt.Errorf("postgres did not start: %s", log.String())
}

func (s *postgresServer) stop() {
	if s.alive != nil {
		_ = s.alive.Close()
		_ = s.cmd.Wait()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

func (s *postgresServer) url(params url.Values) string {
	params.Set("host", s.dir)
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword("runner", postgresPassword), Path: "/postgres", RawQuery: params.Encode(),
	}).String()
}

// place returns the URL of a schema of its own.
func (s *postgresServer) place(t testing.TB) string {
	t.Helper()
	s.lock.Lock()
	s.places++
	name := "t" + strconv.Itoa(s.places)
	s.lock.Unlock()
	s.exec(t, "CREATE SCHEMA "+name)
	t.Cleanup(func() { s.exec(t, "DROP SCHEMA "+name+" CASCADE") })
	return s.url(url.Values{"search_path": {name}})
}

func (s *postgresServer) exec(t testing.TB, query string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url(url.Values{}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement's error is what matters
	if _, err := conn.Exec(ctx, query); err != nil {
		t.Fatal(err)
	}
}

// ordinaryUser returns who to be when we are root, else nil.
func ordinaryUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
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
