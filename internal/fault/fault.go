// Package fault says what an error means: its kind ([Of]) and the next step for a
// person ([Next]). It covers the errors of every layer: services, network,
// credentials, ledger and tasks. All packages ask it, so that the same error is
// reported in the same way everywhere. The command line decides which exit status
// a kind has.
package fault

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/internal/automate"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Kind says in what way something failed.
type Kind string

// The kinds, with their names in results and in the ledger.
const (
	Usage         Kind = "usage"          // wrong command line, environment or jobs file
	Credentials   Kind = "credentials"    // the identity is not accepted
	Temporary     Kind = "temporary"      // it may go away by itself
	Refused       Kind = "refused"        // it does not go away until somebody changes something
	Guard         Kind = "guard"          // a guard refused to submit
	Skipped       Kind = "skipped"        // another task or run is in the way, and the policy says not to begin
	Failed        Kind = "failed"         // the task ended FAILED; also any error of which nothing else is known
	Canceled      Kind = "canceled"       // somebody canceled the task or the run
	SkippedErrors Kind = "skipped_errors" // the task succeeded without some of its files
	Missing       Kind = "missing"        // an audit found files without a copy, or folders that it cannot see
	Unknown       Kind = "unknown"        // the outcome could not be found out
	TimedOut      Kind = "timed_out"      // not done in time
	NeedsHuman    Kind = "needs_human"    // the task was suspended or paused
	Interrupted   Kind = "interrupted"    // a signal ended the wait
)

// A Meaning is what an error means.
type Meaning struct {
	Kind      Kind
	Code      string // of Globus; may be empty
	RequestID string // to quote to Globus support; may be empty
}

// A speaker is an error that knows its own meaning.
type speaker interface {
	error
	Means() Meaning
}

// Of returns the meaning of err, which must not be nil. An unknown error is of
// kind [Failed].
func Of(err error) Meaning {
	said, speaks := errors.AsType[speaker](err)
	c, isAuth := errors.AsType[*auth.Error](err)
	e, isTransfer := errors.AsType[*transfer.Error](err)
	au, isAutomate := errors.AsType[*automate.Error](err)
	_, isLogin := errors.AsType[*login.Error](err)
	_, isStore := errors.AsType[*login.StoreError](err)
	l, isLedger := errors.AsType[*ledger.Error](err)
	m := Meaning{Kind: Failed}
	if isTransfer {
		m.Code, m.RequestID = e.Code, e.RequestID
	}
	if isAutomate {
		m.Code, m.RequestID = au.Code, au.DebugID
	}
	if speaks {
		own := said.Means()
		m.Kind = own.Kind
		if own.Code != "" {
			m.Code = own.Code
		}
	}
	switch {
	case speaks && m.Kind == Interrupted:
	case isAuth && denied(c):
		m.Kind, m.Code = Credentials, c.Code
	case isLogin:
		m.Kind = Credentials
	case speaks:
	case errors.Is(err, clientcreds.ErrNoCredentials) || isStore:
		m.Kind = Usage
	case isLedger && !l.Temporary(): // somebody has to repair the ledger first
		m.Kind = Usage
	case isTransfer:
		m.Kind = kindOf(e)
	case isAutomate:
		m.Kind = kindOfAutomate(au)
	case isAuth && !c.Login && !c.Temporary():
		m.Kind, m.Code = Refused, c.Code
	case isAuth || OnTheWay(err) || Transient(err):
		m.Kind = Temporary
		if isAuth {
			m.Code = c.Code
		}
	}
	return m
}

// denied reports whether Globus Auth does not accept the identity. Its other
// errors are about the request, or come from a program that answers in its
// place.
func denied(e *auth.Error) bool {
	switch {
	case e.Foreign != "":
		return false
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden, e.Refused(), e.GrantRefused():
		return true
	}
	return e.BadScope()
}

// kindOf returns the kind of an error of Globus Transfer.
func kindOf(e *transfer.Error) Kind {
	switch {
	case e.Unauthenticated() || e.NeedsConsent() || e.NeedsSession():
		return Credentials
	case e.Temporary() || e.Backlog() || unwell(e):
		return Temporary
	}
	return Refused
}

// kindOfAutomate returns the kind of an error of Globus Flows or Globus Timers.
func kindOfAutomate(e *automate.Error) Kind {
	switch {
	case e.Unauthenticated() || e.MissingScope():
		return Credentials
	case e.Temporary():
		return Temporary
	}
	return Refused
}

// unwell reports whether a collection's own error may go away by itself. Errors
// about the path or the permission do not.
func unwell(e *transfer.Error) bool {
	if !e.CollectionFailed() {
		return false
	}
	for _, lasting := range []string{"PermissionDenied", "NotFound", "Exists", "LoginFailed", "NotDirectory"} {
		if strings.HasSuffix(e.Code, lasting) {
			return false
		}
	}
	return true
}

// TokenRefused reports whether a service does not accept a token that Globus Auth has
// issued for it. Auth accepted the identity, so the service may be in trouble.
func TokenRefused(err error) bool {
	if e, ok := errors.AsType[*transfer.Error](err); ok {
		return e.Unauthenticated() && !e.NeedsConsent() && !e.NeedsSession()
	}
	e, ok := errors.AsType[*automate.Error](err)
	return ok && e.Unauthenticated()
}

// OnTheWay reports whether err is of a request that got no reply.
func OnTheWay(err error) bool {
	_, ok := errors.AsType[*url.Error](err)
	return ok
}

// Transient reports whether the same request may succeed soon without anybody's
// help. A request that did not reach the service may, unless the layer that
// adds the credentials says otherwise. A collection's own error is not
// transient, because somebody may have to repair the collection first.
func Transient(err error) bool {
	type knowing interface {
		error
		Temporary() bool
	}
	lost, ok := errors.AsType[*url.Error](err)
	if !ok {
		e, ok := errors.AsType[knowing](err)
		return ok && e.Temporary()
	}
	e, ok := errors.AsType[knowing](lost.Err)
	_, network := e.(net.Error) // its Temporary means something else
	return !ok || network || e.Temporary()
}
