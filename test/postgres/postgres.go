// Package postgres starts a PostgreSQL server for a test or a benchmark, where
// its programs are installed as Debian installs them.
package postgres

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// ErrMissing says that PostgreSQL is not installed.
var ErrMissing = errors.New("the programs of PostgreSQL are not installed (apt-get install postgresql)")

// A Server listens on a socket in a temporary folder. It ends when it is closed
// and when the process that started it ends, however that ends. Its methods may
// be called concurrently.
type Server struct {
	dir      string
	password string
	alive    io.Closer // the server stops when this is closed
	cmd      *exec.Cmd

	mu      sync.Mutex
	schemas int
}

// Start starts a server with an empty database and a user with this password.
// It takes a second or two. Settings such as "fsync=off" are those of
// postgresql.conf. If PostgreSQL is not installed, the error is [ErrMissing].
func Start(password string, settings ...string) (*Server, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return nil, ErrMissing
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, password: password}
	if err := s.start(filepath.Dir(found[len(found)-1]), settings); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) start(bin string, settings []string) error {
	as, err := ordinaryUser()
	if err != nil {
		return err
	}
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(s.password+"\n"), 0o644); err != nil {
		return err
	}
	if as != nil {
		if err := os.Chown(s.dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.CommandContext(context.Background(), filepath.Join(bin, "initdb"), "--pgdata="+data, "--username=runner",
		"--auth=scram-sha-256", "--pwfile="+password, "--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	// The shell reads from us, so that the server ends with us.
	args := []string{
		"-c", `"$@" </dev/null & read gone; kill -INT $!; wait $!`, "sh",
		filepath.Join(bin, "postgres"), "-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=300",
	}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	s.cmd = exec.CommandContext(context.Background(), "/bin/sh", args...)
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
	for lines := bufio.NewScanner(said); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "ready to accept connections") {
			go io.Copy(io.Discard, said) //nolint:errcheck // until it ends
			return nil
		}
	}
	return fmt.Errorf("postgres did not start: %s", log.String())
}

// Close stops the server and removes what it has written.
func (s *Server) Close() error {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.alive.Close() // which it notices
		_ = s.cmd.Wait()    // however it ended
	}
	return os.RemoveAll(s.dir)
}

// URL returns the address of the database, with these parameters.
func (s *Server) URL(params url.Values) string {
	query := url.Values{"host": {s.dir}}
	maps.Copy(query, params)
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword("runner", s.password), Path: "/postgres", RawQuery: query.Encode(),
	}).String()
}

// Schema makes a schema that nobody else has, and returns its name and the
// address under which it is the only one.
func (s *Server) Schema(ctx context.Context) (name, address string, err error) {
	s.mu.Lock()
	s.schemas++
	name = "schema" + strconv.Itoa(s.schemas)
	s.mu.Unlock()
	return name, s.URL(url.Values{"search_path": {name}}), s.Exec(ctx, "CREATE SCHEMA "+name)
}

// Exec executes a statement, on a connection of its own.
func (s *Server) Exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.URL(nil))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// ordinaryUser returns who to be when we are root, else nil: PostgreSQL does
// not run as root.
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
