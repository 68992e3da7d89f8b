package login

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/globus-runner/globus-runner/auth"
)

const maxToken = 16 << 10 // bytes; every token fits

// lock waits for the lock of a file and takes it. The lock is on a second file
// beside it, because the file itself is replaced. It ends with the process.
func lock(ctx context.Context, name string) (release func(), err error) {
	f, err := os.OpenFile(name+".lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // frees the lock, whatever it returns
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for another process that uses %s: %w", name, ctx.Err()), f.Close())
		case <-time.After(lockPause):
		}
	}
}

// WriteToken replaces a file by one that holds the token and that only its user can
// read.
func WriteToken(file string, token auth.Secret) error {
	return replace(file, []byte(token.Reveal()+"\n"))
}

// Writable checks whether [WriteToken] could write the file, without changing
// it. Call it before you ask for a token that can be had only once.
func Writable(file string) error {
	if info, err := os.Lstat(file); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder", file)
	}
	temporary, err := beside(file, make([]byte, maxToken))
	if err != nil {
		return err
	}
	return os.Remove(temporary)
}

// replace replaces a file by one that only its user can read. The new file is
// on disk when replace returns.
func replace(name string, data []byte) error {
	temporary, err := beside(name, data)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, name); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	_ = d.Sync() // some file systems cannot
	return d.Close()
}

// beside writes a temporary file, which only its user can read, beside another
// one, and returns its name.
func beside(name string, data []byte) (temporary string, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(f.Name()) // the error before it counts
		return "", err
	}
	return f.Name(), nil
}
