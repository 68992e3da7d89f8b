package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

// The exit statuses.
const (
	exitFailed      = 1  // a task ended FAILED, or somebody else cancelled it
	exitUsage       = 2  // wrong command line or environment
	exitSkipped     = 3  // source errors were skipped that the job does not allow
	exitCredentials = 4  // the service account or person is not let in
	exitTemporary   = 5  // the service could not be reached within the retries
	exitUnknown     = 6  // submitted, but not confirmed
	exitRefused     = 7  // permanent refusal
	exitGuard       = 8  // a guard refused
	exitTimedOut    = 10 // not done in time
	exitNeedsHuman  = 11 // suspended or paused, and policy said not to wait
)

// A usageError is a mistake on the command line or in the environment.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// A statusError ends the process with a status that was asked for.
type statusError struct {
	error
	status int
}

func (s statusError) Unwrap() error { return s.error }

// A problem is an error as a result document shows it.
type problem struct {
	Class     string `json:"class"`
	Code      string `json:"code,omitempty"` // of Globus
	Message   string `json:"message"`
	RequestID string `json:"request_id,omitempty"`
	status    int
}

var kinds = map[engine.Kind]int{
	engine.Failed: exitFailed, engine.CanceledTask: exitFailed, engine.SkippedErrors: exitSkipped,
	engine.Unknown: exitUnknown, engine.Refused: exitRefused, engine.Guard: exitGuard,
	engine.TimedOut: exitTimedOut, engine.NeedsHuman: exitNeedsHuman,
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

// classify finds out of what class an error is, and with which status it ends
// the process.
func classify(ctx context.Context, err error) problem {
	p := problem{Class: "failed", status: exitFailed, Message: err.Error()}
	sig, signaled := errors.AsType[caught](context.Cause(ctx))
	f, isFailure := errors.AsType[*engine.Failure](err)
	e, isTransfer := errors.AsType[*transfer.Error](err)
	c, isAuth := errors.AsType[*auth.Error](err)
	_, isLogin := errors.AsType[*login.Error](err)
	_, isStore := errors.AsType[*login.StoreError](err)
	if isTransfer {
		p.Code, p.RequestID = e.Code, e.RequestID
	}
	switch {
	case isFailure && f.Kind == engine.Interrupted, !isFailure && signaled:
		p.Class, p.status = string(engine.Interrupted), sig.status()
		if !signaled {
			p.status = exitFailed
		}
	case isAuth && !c.Temporary():
		p.Class, p.Code, p.status = "credentials", c.Code, exitCredentials
	case isLogin:
		p.Class, p.status = "credentials", exitCredentials
	case isFailure:
		p.Class, p.status = string(f.Kind), kinds[f.Kind]
		if f.Code != "" {
			p.Code = f.Code
		}
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		p.Class, p.status = string(engine.TimedOut), exitTimedOut
	case isUsage(err) || isStore:
		p.Class, p.status = "usage", exitUsage
	case isTransfer:
		class := doctor.ClassOf(e)
		p.Class, p.status = string(class), classStatus(class)
	case isAuth || isNetwork(err) || isTemporary(err):
		p.Class, p.status = "temporary", exitTemporary
	}
	return p
}

func isTemporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

func isUsage(err error) bool {
	_, ok := errors.AsType[usageError](err)
	return ok || errors.Is(err, clientcreds.ErrNoCredentials)
}

// classStatus is the exit status for a class of errors of Globus.
func classStatus(class doctor.Class) int {
	switch class {
	case doctor.Usage:
		return exitUsage
	case doctor.Credentials:
		return exitCredentials
	case doctor.Temporary:
		return exitTemporary
	}
	return exitRefused
}

// isConsent reports whether err is that a person's consent is missing.
func isConsent(err error) bool {
	e, ok := errors.AsType[*transfer.Error](err)
	return ok && e.NeedsConsent()
}

// sentence is what a person reads: the error and, where there is one, the next
// step.
func (a *app) sentence(err error) string {
	text := err.Error()
	_, isFailure := errors.AsType[*engine.Failure](err)
	c, isAuth := errors.AsType[*auth.Error](err)
	l, isLogin := errors.AsType[*login.Error](err)
	s, isStore := errors.AsType[*login.StoreError](err)
	switch { // whatever was to be done
	case isFailure, isConsent(err):
	case isLogin:
		text = l.Error()
	case isStore:
		text = s.Error()
	case isAuth:
		text = "log in: " + c.Error()
	}
	if step := a.nextStep(err); step != "" {
		text += "; " + step
	}
	return text
}

// nextStep says what to do about an error, unless it says so itself.
func (a *app) nextStep(err error) string {
	if _, ok := errors.AsType[*engine.Failure](err); ok {
		return ""
	}
	if _, ok := errors.AsType[*login.Error](err); ok {
		if a.who == nil || isConsent(err) {
			return "" // nobody was logged in before, or its text has it
		}
		return a.who.again()
	}
	_, isStore := errors.AsType[*login.StoreError](err)
	if _, ok := errors.AsType[*auth.Error](err); ok || isStore {
		return "" // its text has it
	}
	if e, ok := errors.AsType[*transfer.Error](err); ok && e.NeedsSession() && a.who.person() {
		return fmt.Sprintf("%s needs a session that meets this; %s", a.who, a.who.session(e.Authorization))
	}
	return doctor.Advice(err, a.identity())
}
