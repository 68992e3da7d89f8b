package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/engine"
	"github.com/globus-runner/globus-runner/transfer"
)

// The exit statuses.
const (
	exitFailed      = 1  // a task ended FAILED, or somebody else cancelled it
	exitUsage       = 2  // wrong command line or environment
	exitSkipped     = 3  // source errors were skipped that the job does not allow
	exitCredentials = 4  // the service account is not let in
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
	case isFailure:
		p.Class, p.status = string(f.Kind), kinds[f.Kind]
		if f.Code != "" {
			p.Code = f.Code
		}
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		p.Class, p.status = string(engine.TimedOut), exitTimedOut
	case isUsage(err):
		p.Class, p.status = "usage", exitUsage
	case isTransfer:
		p.Class, p.status = classifyReply(e)
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

// classifyReply is classify for a reply of the Transfer service.
func classifyReply(e *transfer.Error) (class string, status int) {
	switch {
	case e.Unauthenticated() || e.NeedsConsent() || e.NeedsSession():
		return "credentials", exitCredentials
	case e.Temporary() || e.Backlog() || unwell(e.Code):
		return "temporary", exitTemporary
	}
	return "refused", exitRefused
}

// unwell reports whether a collection's own error may pass by itself. What
// names the path or the permission does not.
func unwell(code string) bool {
	if code == "GCDisconnectedException" {
		return true
	}
	if !strings.Contains(code, "ExternalError") && !strings.Contains(code, "EndpointError") {
		return false
	}
	for _, lasting := range []string{"PermissionDenied", "NotFound", "Exists", "LoginFailed", "NotDirectory"} {
		if strings.HasSuffix(code, lasting) {
			return false
		}
	}
	return true
}

// sentence is what a person reads: the error and, where there is one, the next
// step.
func (a *app) sentence(err error) string {
	text := err.Error()
	_, isFailure := errors.AsType[*engine.Failure](err)
	if c, ok := errors.AsType[*auth.Error](err); ok && !isFailure {
		text = "log in: " + c.Error() // whatever was to be done then
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
	e, isTransfer := errors.AsType[*transfer.Error](err)
	if !isTransfer {
		if _, isAuth := errors.AsType[*auth.Error](err); isNetwork(err) && !isAuth {
			return "check the network, the proxy and the address, or run again later"
		}
		return ""
	}
	identity := a.identity()
	switch {
	case e.NeedsConsent():
		return fmt.Sprintf("the consent could not be obtained for %s: ask the collection's owner whether service accounts are allowed", identity)
	case e.NeedsSession():
		return fmt.Sprintf("%s is a service account and has no session, so it can never meet this: ask the collection's owner to exempt it, or to share a guest collection with it", identity)
	case e.Unauthenticated():
		return "the service does not take the token of " + identity
	case e.NotFound() && strings.HasPrefix(e.Code, "Endpoint"):
		return "check the collection id: runner endpoints finds collections by name"
	case e.NotFound():
		return "check the id and the path"
	case e.PermissionDenied():
		return fmt.Sprintf("ask the collection's owner to give %s access", identity)
	case e.Temporary() || e.Backlog():
		return "run again later"
	}
	return ""
}
