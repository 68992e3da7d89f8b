package ledger

import (
	"errors"
	"syscall"
)

// An Error says why a ledger cannot be used, and what to do about it. Nothing was
// written, or the same may be written again: see [Ledger].
type Error struct {
	err       error
	temporary bool
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// Temporary reports whether the same call may succeed later: a server that is
// away, a disk that is full. Otherwise somebody has to mend the ledger first.
func (e *Error) Temporary() bool { return e.temporary }

// ofSystem returns an error of the operating system about a file as an [Error].
func ofSystem(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err, passing(err)}
}

// passing reports whether an error of the operating system may go away without a change
// to the file or its permissions.
func passing(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
		syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.EAGAIN, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
