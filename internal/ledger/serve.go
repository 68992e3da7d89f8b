package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Held is the error of [Ledger.Serve] when another process serves the ledger.
type Held struct {
	File   string    `json:"-"`
	Holder string    `json:"holder"`
	Host   string    `json:"host"`
	PID    int       `json:"pid"`
	Since  time.Time `json:"since"`
}

func (h *Held) Error() string {
	if h.PID == 0 {
		return fmt.Sprintf("%s is served by another process", h.File)
	}
	return fmt.Sprintf("%s is served by process %d on %s since %s (%s)",
		h.File, h.PID, h.Host, h.Since.Format(time.RFC3339), h.Holder)
}

// Serve makes the holder the one that serves the ledger, until release is
// called or the process dies. If another one does, the error is a [*Held].
// A file is served by one process, PostgreSQL by as many as want. Who serves a
// file after a process that died ends its leases: the lock tells that it is dead.
func (l *Ledger) Serve(ctx context.Context, holder string) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	release, err = l.store.serve(holder, func(dead string) error { return l.Release(ctx, dead) })
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	return release, nil
}

// serve locks a file beside the ledger: to close the ledger's own file would
// let go the locks that SQLite has on it. The kernel frees it with the
// process, so that nobody has to guess whether a holder still lives. Bury is
// called with the holder that died with the lock.
func (l *sqliteStore) serve(holder string, bury func(dead string) error) (func(), error) {
	f, err := os.OpenFile(l.file+".serve", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600) // a link could lead to a file that is not ours
	if err != nil {
		return nil, ofSystem(err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = l.held(f)
	}
	if err == nil {
		if dead := l.held(f); dead.Holder != "" { // who ends in order leaves nothing
			err = bury(dead.Holder)
		}
	}
	if err == nil {
		err = ofSystem(introduce(f, holder))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		_ = f.Truncate(0) // what it says is read only while it is locked
		_ = f.Close()     // frees the lock, whatever it returns
	}, nil
}

// held reads who has the lock. It may have been taken this very moment, and
// say nothing yet.
func (l *sqliteStore) held(f io.Reader) *Held {
	h := new(Held)
	if b, err := io.ReadAll(io.LimitReader(f, 4096)); err != nil || json.Unmarshal(b, h) != nil {
		h = new(Held)
	}
	h.File = l.file
	return h
}

// introduce writes who has the lock.
func introduce(f *os.File, holder string) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	b, err := json.Marshal(Held{Holder: holder, Host: host, PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(b, '\n'), 0)
	return err
}
