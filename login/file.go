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

const maxToken = 16 << 10 // bytes that a token is sure to fit into

// lock waits until nobody else holds the lock of a file. The lock is on a file
// beside it, because the file itself is replaced, and ends with the process.
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

// WriteToken writes a token to a file as a whole, for its user alone.
func WriteToken(file string, token auth.Secret) error {
	return replace(file, []byte(token.Reveal()+"\n"))
}

// Writable finds out whether [WriteToken] could write the file, which it does
// not change: what comes then may be had only once.
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

// replace writes a file as a whole, for its user alone. It is on the disk when
// replace returns.
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

// beside writes a temporary file in the folder of another one, for its user
// alone, and returns its name.
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
