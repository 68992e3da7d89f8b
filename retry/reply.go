package retry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const maxReply = 64 << 20 // bytes

var errTooLong = fmt.Errorf("reply is longer than %d bytes", maxReply)

// A reply is the body of an answer in memory. Reading it gives data, then err,
// or [io.EOF] if the body was whole.
type reply struct {
	data []byte
	rest bytes.Reader
	err  error
}

// readReply reads and closes body.
func readReply(body io.ReadCloser) *reply {
	r := &reply{}
	if body == nil {
		return r
	}
	defer func() { _ = body.Close() }() // it was only read
	r.data, r.err = io.ReadAll(io.LimitReader(body, maxReply+1))
	if len(r.data) > maxReply {
		r.data, r.err = r.data[:maxReply], errTooLong
	}
	r.rest.Reset(r.data)
	return r
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
