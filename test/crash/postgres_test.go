package crash_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
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

	"github.com/jackc/pgx/v5"
)

// A postgres is the PostgreSQL server of this test process. It listens on a
// socket in a temporary folder and ends when the process does.
type postgres struct {
	once  sync.Once
	err   error
	dir   string
	alive io.Closer // the server stops when this is closed
	cmd   *exec.Cmd

	mu     sync.Mutex
	places int
}

var database postgres

const databasePassword = "pg-canary-8Wd2"

// place returns the URL of a schema of its own, and the name that those who use
// it are to give themselves. It skips the test if the programs of PostgreSQL are
// not installed.
func (p *postgres) place(t *testing.T) (place, name string) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		t.Skip("skipped: the programs of PostgreSQL are not installed (apt-get install postgresql)")
	}
	p.once.Do(func() { p.err = p.start(filepath.Dir(found[len(found)-1])) })
	if p.err != nil {
		t.Fatal(p.err)
	}
	p.mu.Lock()
	p.places++
	name = "round" + strconv.Itoa(p.places)
	p.mu.Unlock()
	p.exec(t, "CREATE SCHEMA "+name)
	return p.url(url.Values{"search_path": {name}}), name
}

// cut breaks all connections of those who have given themselves the name.
func (p *postgres) cut(t *testing.T, name string) {
	t.Helper()
	p.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '"+name+"'")
}

func (p *postgres) start(bin string) (err error) {
	if p.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return err
	}
	as, err := ordinaryUser()
	if err != nil {
		return err
	}
	password := filepath.Join(p.dir, "password")
	if err := os.WriteFile(password, []byte(databasePassword+"\n"), 0o644); err != nil {
		return err
	}
	if as != nil {
		if err := os.Chown(p.dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.CommandContext(context.Background(), filepath.Join(bin, "initdb"), "--pgdata="+p.dir+"/data", "--username=runner",
		"--auth=scram-sha-256", "--pwfile="+password, "--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = p.dir, &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	// The shell reads from us, so that the server ends with us.
	p.cmd = exec.CommandContext(context.Background(), "/bin/sh", "-c", `"$@" </dev/null & read gone; kill -INT $!; wait $!`, "sh",
		filepath.Join(bin, "postgres"), "-D", p.dir+"/data", "-k", p.dir, "-c", "listen_addresses=", "-c", "max_connections=300", "-c", "fsync=off")
	p.cmd.Dir, p.cmd.SysProcAttr = p.dir, &syscall.SysProcAttr{Credential: as, Setpgid: true}
	if p.alive, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	said, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
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

// stop stops the server, if it was started.
func (p *postgres) stop() {
	if p.alive != nil {
		_ = p.alive.Close() // which it notices
		_ = p.cmd.Wait()    // however it ended
	}
	if p.dir != "" {
		_ = os.RemoveAll(p.dir) // it is a temporary one
	}
}

func (p *postgres) url(params url.Values) string {
	params.Set("host", p.dir)
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword("runner", databasePassword), Path: "/postgres", RawQuery: params.Encode(),
	}).String()
}

func (p *postgres) exec(t *testing.T, query string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.url(url.Values{}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the query was answered
	if _, err := conn.Exec(t.Context(), query); err != nil {
		t.Fatal(err)
	}
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
