package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
		return fmt.Sprintf("%s is served by another process: stop that one first, or give this one another ledger", h.File)
	}
	return fmt.Sprintf("%s is served by process %d on %s since %s (%s): stop that one first, or give this one another ledger",
		h.File, h.PID, h.Host, h.Since.Format(time.RFC3339), h.Holder)
}

// Serve makes the holder the one that serves the ledger, until release is called or the
// process dies. If another process serves it, the error is a [*Held]. Only one process
// serves a file; any number may serve a PostgreSQL database. Serve also calls
// [Ledger.Attend].
func (l *Ledger) Serve(ctx context.Context, holder string) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	unlock, err := l.store.serve(holder)
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	leave, err := l.Attend(ctx, holder)
	if err != nil {
		unlock()
		return nil, err
	}
	return func() { leave(); unlock() }, nil
}

// Attend shows others that the holder is alive, until release is called or the process
// dies, and ends the leases of holders that have died. It works by a locked file beside
// the ledger's file: the kernel frees the lock when the process ends. With PostgreSQL it
// does nothing, and only the end of a lease shows that its holder is gone.
func (l *Ledger) Attend(ctx context.Context, holder string) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	release, err = l.store.attend(holder, func(dead string) error { return l.Release(ctx, dead) })
	if err != nil {
		return nil, fmt.Errorf("tell others that this process lives: %w", err)
	}
	return release, nil
}

// Died reports whether a holder is known to have died after [Ledger.Attend]. With
// PostgreSQL that is never known.
func (l *Ledger) Died(holder string) (died bool, err error) {
	err = l.store.dead(func(_, dead string) error {
		died = died || dead == holder
		return nil
	})
	return died, err
}

// serve locks a file beside the ledger. It does not use the ledger's own file, because
// closing that would free the locks of SQLite.
func (l *sqliteStore) serve(holder string) (func(), error) {
	f, err := os.OpenFile(l.file+".serve", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600) // a link could lead to a file that is not ours
	if err != nil {
		return nil, ofSystem(err)
	}
	err = lock(f)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = l.held(f)
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

// lock locks a file, until it is closed or the process dies. It does not wait.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// attending is what the names of the locked files of holders have after the name of the
// ledger.
const attending = ".run-"

// attend makes a locked file that names the holder. The file gets its final name when it
// is locked, so a file of such a name that is not locked is of a process that died.
func (l *sqliteStore) attend(holder string, bury func(dead string) error) (func(), error) {
	if err := l.buryAll(bury); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(l.file), ".runner-*")
	if err != nil {
		return nil, ofSystem(err)
	}
	name := l.file + attending + strings.TrimPrefix(filepath.Base(f.Name()), ".runner-")
	err = lock(f)
	if err == nil {
		err = introduce(f, holder)
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return nil, errors.Join(ofSystem(err), os.Remove(f.Name()), f.Close())
	}
	return func() {
		_ = os.Remove(name) // if it stays, it looks like that of a process that died
		_ = f.Close()       // frees the lock, whatever it returns
	}, nil
}

// buryAll calls bury with each holder that has died. Two processes may do it at the same
// time: the name of a holder is never used again.
func (l *sqliteStore) buryAll(bury func(dead string) error) error {
	return l.dead(func(file, holder string) error {
		if holder != "" {
			if err := bury(holder); err != nil {
				return err
			}
		}
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			return ofSystem(err)
		}
		return nil
	})
}

// dead calls each with the file of each holder that has died, and with the holder's name
// or "".
func (l *sqliteStore) dead(each func(file, holder string) error) error {
	entries, err := os.ReadDir(filepath.Dir(l.file))
	if err != nil {
		return ofSystem(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), filepath.Base(l.file)+attending) {
			if err := l.ifDead(filepath.Join(filepath.Dir(l.file), entry.Name()), each); err != nil {
				return err
			}
		}
	}
	return nil
}

// ifDead calls each with a file, unless its holder is alive.
func (l *sqliteStore) ifDead(file string, each func(file, holder string) error) error {
	f, err := os.OpenFile(file, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil // it was removed just now, or is another user's: then its lease tells
	}
	defer f.Close() //nolint:errcheck // it was only read
	if lock(f) != nil {
		return nil // its holder is alive
	}
	return each(file, l.held(f).Holder)
}

// held reads who has the lock. Right after the lock was taken, the file may be empty.
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
