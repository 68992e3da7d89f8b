package retry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	maxReply      = 8 << 20   // bytes, decompressed
	maxErrorReply = 256 << 10 // bytes of a reply outside 2xx
	smallReply    = 4 << 10   // bytes; a reply about a single resource fits
)

// A tooLongError replaces the body of a reply beyond the bound.
type tooLongError int // the bound, in bytes

func (e tooLongError) Error() string {
	return fmt.Sprintf("the reply is longer than %d KiB", int(e)>>10)
}

// TooLong reports true. It identifies the error to packages that do not know its
// type.
func (e tooLongError) TooLong() bool { return true }

// A reply is the body of an answer in memory. Reading it gives data, then err,
// or [io.EOF] if the body was whole.
type reply struct {
	data []byte
	rest bytes.Reader
	err  error
}

// readReply reads at most limit bytes of body, and closes it.
func readReply(body io.ReadCloser, limit int) *reply {
	r := &reply{}
	if body == nil {
		return r
	}
	defer func() { _ = body.Close() }() // it was only read
	r.data, r.err = read(body, limit)
	r.rest.Reset(r.data)
	return r
}

// read reads body. Its buffer grows in few steps, because small steps would take
// several times the memory. It does not start at the limit, because listings of
// folders bring many replies of a few hundred KiB.
func read(body io.Reader, limit int) ([]byte, error) {
	data := make([]byte, 0, smallReply)
	for {
		if len(data) == cap(data) {
			data = append(make([]byte, 0, min(4*cap(data), limit+1)), data...)
		}
		n, err := body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case len(data) > limit:
			return nil, tooLongError(limit)
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return data, err
		}
	}
}

// Bytes returns the unread rest without a copy, and the error that follows it
// unless that is [io.EOF].
func (r *reply) Bytes() ([]byte, error) {
	return r.data[len(r.data)-r.rest.Len():], r.err
}

// Read implements [io.Reader].
func (r *reply) Read(p []byte) (int, error) {
	n, err := r.rest.Read(p)
	if errors.Is(err, io.EOF) && r.err != nil {
		err = r.err
	}
	return n, err
}

// Close implements [io.Closer]; the body below is closed already.
func (r *reply) Close() error { return nil }

// A stopwatch ends a try that takes too long. Limit stops it while the try
// waits for its turn.
type stopwatch struct {
	timer *time.Timer
	limit time.Duration
}

type stopwatchKey struct{}

// withTimeout returns a context that ends after limit, unless that is
// negative, with a timeoutError as its cause.
func withTimeout(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if limit < 0 {
		return ctx, func() { cancel(nil) }
	}
	timer := time.AfterFunc(limit, func() { cancel(timeoutError(limit)) })
	ctx = context.WithValue(ctx, stopwatchKey{}, &stopwatch{timer: timer, limit: limit})
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}

// stopped calls wait with the try's stopwatch stopped, if there is one.
func stopped(ctx context.Context, wait func() error) error {
	if w, ok := ctx.Value(stopwatchKey{}).(*stopwatch); ok && w.timer.Stop() {
		defer w.timer.Reset(w.limit)
	}
	return wait()
}

// attemptError returns err, or the try's timeout if that is what caused it.
func attemptError(ctx context.Context, err error) error {
	if timeout, ok := errors.AsType[timeoutError](context.Cause(ctx)); ok && err != nil {
		return timeout
	}
	return err
}

// A timeoutError says that one try took too long. It is a net.Error, and not
// [context.DeadlineExceeded], which is the caller's own deadline.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	return "no reply within " + time.Duration(e).String()
}
func (e timeoutError) Timeout() bool   { return true }
func (e timeoutError) Temporary() bool { return true }
