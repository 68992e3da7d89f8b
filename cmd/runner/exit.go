package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/internal/sharing"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

// The exit statuses.
const (
	exitFailed      = 1  // a task ended FAILED, or somebody else canceled it
	exitUsage       = 2  // wrong command line or environment
	exitIncomplete  = 3  // source errors were skipped that the job does not allow, or an audit found files missing
	exitCredentials = 4  // the service account or person has no access
	exitTemporary   = 5  // the service could not be reached within the retries
	exitUnknown     = 6  // submitted, but not confirmed
	exitRefused     = 7  // permanent refusal
	exitGuard       = 8  // a guard refused
	exitTimedOut    = 10 // not done in time
	exitNeedsHuman  = 11 // suspended or paused, and policy said not to wait
	exitSkipped     = 12 // another task or run is in the way, and policy said not to begin
)

// statusOf returns the exit status of a kind of error. No other function knows it, except
// for signals.
func statusOf(k fault.Kind) int {
	status, special := map[fault.Kind]int{
		"":                  0,
		fault.Usage:         exitUsage,
		fault.Credentials:   exitCredentials,
		fault.Temporary:     exitTemporary,
		fault.Unknown:       exitUnknown,
		fault.Refused:       exitRefused,
		fault.Guard:         exitGuard,
		fault.SkippedErrors: exitIncomplete,
		fault.Missing:       exitIncomplete,
		fault.TimedOut:      exitTimedOut,
		fault.NeedsHuman:    exitNeedsHuman,
		fault.Skipped:       exitSkipped,
	}[k]
	if !special {
		return exitFailed
	}
	return status
}

// kindOf returns the kind of error that a recorded run ended with; empty if it succeeded.
func kindOf(o ledger.Outcome) fault.Kind { return fault.Kind(runlog.Class(o)) }

// A usageError is a mistake on the command line or in the environment.
type usageError struct{ error }

// usage makes a usageError of err, unless that is nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func (e usageError) Unwrap() error { return e.error }

// isUsage reports whether err is a mistake on the command line or in the
// environment.
func isUsage(err error) bool {
	_, ok := errors.AsType[usageError](err)
	return ok
}

// Means tells package fault what it means.
func (usageError) Means() fault.Meaning { return fault.Meaning{Kind: fault.Usage} }

// A statusError is an error with an exit status of its own.
type statusError struct {
	error
	status int
}

func (s statusError) Unwrap() error { return s.error }

// An errorDocument is an error as a result document shows it.
type errorDocument struct {
	Class     fault.Kind `json:"class"`
	Code      string     `json:"code,omitempty"` // of Globus
	Message   string     `json:"message"`
	RequestID string     `json:"request_id,omitempty"`
	status    int
}

// exitStatus is the status that the process ends with because of err.
func exitStatus(ctx context.Context, err error) int {
	if err == nil {
		return 0
	}
	if s, ok := errors.AsType[statusError](err); ok {
		return s.status
	}
	return classify(ctx, err).status
}

// A statusMap has the exit status of an error by the HTTP status of Globus's answer.
type statusMap map[int]int

func (m *statusMap) String() string { return "" }
func (m *statusMap) Type() string   { return "HTTP=EXIT,…" }

// Set adds pairs. The exit statuses are those that globus-cli allows.
func (m *statusMap) Set(text string) error {
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		from, to, _ := strings.Cut(pair, "=")
		answered, err := strconv.Atoi(from)
		exit, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil || answered < 100 || answered > 599 || exit < 0 || exit > 1 && exit < 50 || exit > 99 {
			return fmt.Errorf("%q is not an HTTP status and an exit status of 0, 1 or 50 to 99, such as 404=50", pair)
		}
		if *m == nil {
			*m = statusMap{}
		}
		(*m)[answered] = exit
	}
	return nil
}

// status is exitStatus, changed as --map-http-status says.
func (a *app) status(ctx context.Context, err error) int {
	answered := 0
	if e, ok := errors.AsType[*transfer.Error](err); ok {
		answered = e.Status
	} else if e, ok := errors.AsType[*auth.Error](err); ok {
		answered = e.Status
	}
	if status, mapped := a.out.statuses[answered]; mapped {
		return status
	}
	return exitStatus(ctx, err)
}

// classify finds out the kind of an error, and its exit status. The reason of the error may
// be a signal, or the end of ctx.
func classify(ctx context.Context, err error) errorDocument {
	m := fault.Of(err)
	p := errorDocument{Class: m.Kind, Code: m.Code, RequestID: m.RequestID, Message: err.Error()}
	sig, signaled := errors.AsType[caught](context.Cause(ctx))
	_, isFailure := errors.AsType[*engine.Failure](err)
	switch {
	case signaled && !isFailure:
		p.Class = fault.Interrupted
	case !isFailure && m.Kind != fault.Credentials && ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded):
		p.Class = fault.TimedOut
	}
	if p.status = statusOf(p.Class); signaled && p.Class == fault.Interrupted {
		p.status = sig.status()
	}
	return p
}

// isConsent reports whether err says that a person's consent is missing.
func isConsent(err error) bool {
	e, ok := errors.AsType[*transfer.Error](err)
	return ok && e.NeedsConsent()
}

// sentence returns the error for a person, with the next step if there is one.
func (a *app) sentence(err error) string {
	text := err.Error()
	_, isFailure := errors.AsType[*engine.Failure](err)
	_, isRefusal := errors.AsType[*sharing.Refusal](err)
	c, isAuth := errors.AsType[*auth.Error](err)
	l, isLogin := errors.AsType[*login.Error](err)
	s, isStore := errors.AsType[*login.StoreError](err)
	switch { // these leave out what was tried
	case isFailure, isRefusal, isConsent(err):
	case isLogin:
		_, advice, _ := strings.Cut(text, l.Error())
		text = l.Error() + advice
	case isStore:
		text = s.Error()
	case isAuth && c.Login:
		text = "log in: " + c.Error()
	}
	who, _ := a.env.Identity() // where it is not known, the step does not depend on it
	said := isLogin && strings.Contains(text, settings.LogInAgain)
	if step := fault.Next(err, who.Fault()); step != "" && !said && !strings.Contains(text, step) {
		text += "; " + step
	}
	return text
}

// canceled reports whether err says that a signal or somebody else ended the context, and
// no more.
func canceled(err error) bool {
	_, isFailure := errors.AsType[*engine.Failure](err) // it says what was done
	_, signaled := errors.AsType[caught](err)
	return !isFailure && (signaled || errors.Is(err, context.Canceled))
}

// withoutCanceled takes away what the word "interrupted" says.
var withoutCanceled = strings.NewReplacer(": context canceled, waiting to repeat after", "", ": context canceled", "")
