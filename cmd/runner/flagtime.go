package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// An instant is a flag that takes a time in any of Globus's forms.
type instant struct{ transfer.Time }

func (i *instant) String() string { return "" }

func (i *instant) Type() string { return "TIME" }

func (i *instant) Set(text string) error { return i.UnmarshalText([]byte(text)) }

// A since is the instant from which on something is looked at: a duration before
// now, or an instant.
type since struct {
	text string
	time time.Time
}

func (s *since) String() string { return s.text }

func (s *since) Type() string { return "TIME" }

// Set reads a duration or an instant.
func (s *since) Set(text string) (err error) {
	s.text = text
	s.time, err = momentOf(text, -1)
	return err
}

// An ending is the instant until which something holds: a duration from now, or an
// instant.
type ending struct {
	text string
	time time.Time
}

func (e *ending) String() string { return e.text }

func (e *ending) Type() string { return "TIME" }

// Set reads a duration or an instant, which must not be over.
func (e *ending) Set(text string) error {
	at, err := momentOf(text, 1)
	if err != nil {
		return err
	}
	if !at.After(time.Now()) {
		return fmt.Errorf("%q is over", plain.Short(text, 40))
	}
	e.text, e.time = text, at
	return nil
}

// momentOf reads an instant, or a duration that ends at it: from now on, or before
// now if the direction is -1.
func momentOf(text string, direction time.Duration) (time.Time, error) {
	if d, err := jobs.ParseDuration(text); err == nil {
		return time.Now().Add(direction * d), nil
	}
	var at instant
	if err := at.Set(text); err != nil || at.IsZero() {
		return time.Time{}, fmt.Errorf("%q is neither a duration such as 30d nor an instant such as 2026-11-21", plain.Short(text, 40))
	}
	return at.Time.Time, nil
}

// A span is a time such as 90s, 30m or 2h; a plain number means seconds, as
// globus-cli has it.
type span time.Duration

func (s *span) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}

func (s *span) Type() string { return "DURATION" }

// Set takes a time above zero.
func (s *span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, e := strconv.ParseInt(text, 10, 32); e == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a time such as 90s, 30m or 2h", text)
	}
	*s = span(d)
	return nil
}

// bound returns ctx with s as its timeout, if there is one.
func (s span) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if s == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(s))
}
