package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// startPostgres starts a server with an empty database, and its socket, in an
// empty folder. If its programs are not where Debian puts them, the error is
// [exec.ErrNotFound].
func startPostgres(ctx context.Context, home string) (address string, stop func() error, err error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", nil, exec.ErrNotFound
	}
	bin := filepath.Dir(found[len(found)-1])
	as, err := ordinaryUser(home)
	if err != nil {
		return "", nil, err
	}
	data := filepath.Join(home, "data")
	command := func(program string, args ...string) *exec.Cmd {
		line := slices.Concat(as, []string{filepath.Join(bin, program)}, args)
		c := exec.CommandContext(ctx, line[0], line[1:]...)
		c.Dir = home
		return c
	}
	initdb := command("initdb", "--pgdata="+data, "--username=runner", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	server := command("postgres", "-D", data, "-k", home, "-c", "listen_addresses=", "-c", "max_connections=200")
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) } // it ends at once, in order
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() error {
		return errors.Join(server.Cancel(), server.Wait())
	}
	if err := appears(ctx, filepath.Join(home, ".s.PGSQL.5432")); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	query := url.Values{"host": {home}}
	return (&url.URL{Scheme: "postgres", User: url.User("runner"), Path: "/postgres", RawQuery: query.Encode()}).String(), stop, nil
}

// appears waits for a file.
func appears(ctx context.Context, name string) error {
	const patience = 20 * time.Second
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(name); err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(begin) > patience {
			return fmt.Errorf("%s did not appear within %v", name, patience)
		}
	}
}

// ordinaryUser returns the command that runs a server which refuses to run as
// root, and gives home to its user. If we are not root, the command is empty.
func ordinaryUser(home string) (command []string, err error) {
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
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return []string{"setpriv", "--reuid=" + u.Uid, "--regid=" + u.Gid, "--clear-groups"}, os.Chown(home, uid, gid)
}
