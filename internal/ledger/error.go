package ledger

// An Error is that of a ledger which cannot be used, and says why and what to
// do about it. Nothing was written, or it may be written again: see [Ledger].
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
