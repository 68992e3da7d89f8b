package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// An answer is a 2xx reply to a request.
type answer struct {
	request
	status int
	doc    []byte
}

// A reply is a decoded document that keeps its JSON.
type reply[T any] interface {
	*T
	keep(doc json.RawMessage)
}

// call sends r and decodes the reply.
func call[T any, P reply[T]](ctx context.Context, c *Client, r request) (*T, error) {
	_, v, err := ask[T, P](ctx, c, r)
	return v, err
}

// ask is [call] for callers that need the reply itself, too.
func ask[T any, P reply[T]](ctx context.Context, c *Client, r request) (*answer, *T, error) {
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	if len(a.doc) > maxDocument {
		return nil, nil, a.tooLong("the reply is longer than %d KiB", maxDocument>>10)
	}
	v, err := decode[T, P](a, a.doc)
	if err != nil {
		return nil, nil, err
	}
	if v, ok := any(v).(interface{ missing() string }); ok && v.missing() != "" {
		return nil, nil, a.unread("the reply has no %s: %s", v.missing(), quoted(a.doc))
	}
	return a, v, nil
}

// require returns name if its value is empty.
func require(name, value string) string {
	if value == "" {
		return name
	}
	return ""
}

// decode decodes the JSON object doc, which is the whole answer a or a part of it.
func decode[T any, P reply[T]](a *answer, doc []byte) (*T, error) {
	v := new(T)
	if err := a.unmarshal(doc, v); err != nil {
		return nil, err
	}
	P(v).keep(doc)
	return v, nil
}

// unmarshal decodes the JSON object doc, the whole answer a or a part of it,
// into v. Its error is an [*Error].
func (a *answer) unmarshal(doc []byte, v any) error {
	doc = bytes.TrimSpace(doc)
	switch {
	case len(doc) == 0:
		return a.unread("the reply is empty")
	case doc[0] != '{':
		return a.unread("the reply is not a JSON object: %s", quoted(doc))
	}
	err := json.Unmarshal(doc, v)
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return a.unread("the reply is damaged JSON (%v): %s", err, quoted(doc))
	}
	if err != nil {
		return a.unread("the reply is not what was expected: %v", err)
	}
	return nil
}

// tooLong is unread for a reply that is too long.
func (a *answer) tooLong(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrTooLong, a.unread(format, args...))
}

// unread returns the error for a 2xx reply that cannot be understood.
func (a *answer) unread(format string, args ...any) *Error {
	e := a.newError(a.status)
	e.Message = plain.Short(fmt.Sprintf(format, args...), maxQuote)
	return e
}

// quoted returns the beginning of doc, a little more than an error shows.
func quoted(doc []byte) []byte { return doc[:min(len(doc), 4*maxQuote)] }
