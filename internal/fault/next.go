package fault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/automate"
	"github.com/globus-runner/globus-runner/login"
	"github.com/globus-runner/globus-runner/transfer"
)

// An Identity is the identity whose request failed, as far as the next step
// depends on it.
type Identity struct {
	// Name is <client id>@clients.auth.globus.org for a service account, or
	// words for who it is.
	Name string
	// Login returns how a person logs in again, with the session and scopes
	// that the service demands; the argument may be nil. Login is nil for a
	// service account, and if nobody was logged in.
	Login func(session *transfer.AuthorizationParameters) string
}

// RunAgain is the next step if waiting helps.
const RunAgain = "run again later"

// StartPersonal is the next step for a personal computer that is not connected.
const StartPersonal = "start Globus Connect Personal on that computer, or ask its owner to"

// CheckNetwork is the next step for a service that cannot be reached.
const CheckNetwork = "check the network, the proxy and the address, or run again later"

// Ask returns the advice to ask a collection's owner for a favor. owner is empty if
// not known.
func Ask(owner, favor string) string {
	if owner != "" {
		owner = " (" + owner + ")"
	}
	return "ask the collection's owner" + owner + " to " + favor
}

// Next says in one sentence what to do about an error, or what to ask a
// collection's owner for. It is empty if there is nothing to say, or if the
// error's text already says it.
func Next(err error, who Identity) string {
	if s, ok := errors.AsType[speaker](err); ok {
		if cause := errors.Unwrap(s); s.Means().Kind == TimedOut && OnTheWay(cause) {
			return nextOnTheWay(cause)
		}
		return ""
	}
	e, isTransfer := errors.AsType[*transfer.Error](err)
	if _, ok := errors.AsType[*login.Error](err); ok {
		if who.Login == nil || isTransfer && e.NeedsConsent() {
			return "" // nobody was logged in before, or its text says what to do
		}
		return who.Login(nil)
	}
	if _, ok := errors.AsType[*login.StoreError](err); ok {
		return ""
	}
	if c, ok := errors.AsType[*auth.Error](err); ok {
		return nextAtAuth(c)
	}
	if isTransfer {
		return next(e, who)
	}
	if e, ok := errors.AsType[*automate.Error](err); ok {
		return nextAtAutomate(e, who)
	}
	if OnTheWay(err) {
		return nextOnTheWay(err)
	}
	return ""
}

// nextAtAuth is Next for an error of Globus Auth.
func nextAtAuth(e *auth.Error) string {
	switch {
	case e.Foreign != "":
		return elsewhere
	case denied(e):
		return e.Advice()
	case e.Temporary():
		return RunAgain
	case !e.Login:
		return ""
	}
	return "check GLOBUS_SDK_SERVICE_URL_AUTH: the service does not understand the request"
}

// elsewhere is the next step if something else answers in place of a service.
const elsewhere = "check the proxy, the address of the service, and whether this network wants a login in a browser first; or run again later"

// next is Next for an error of Globus Transfer.
func next(e *transfer.Error, who Identity) string {
	switch {
	case e.Foreign:
		return elsewhere
	case e.NeedsConsent():
		return fmt.Sprintf("the consent could not be obtained for %s: ask the collection's owner whether service accounts are allowed", who.Name)
	case e.NeedsSession() && who.Login != nil:
		return fmt.Sprintf("%s needs a session that meets this; %s", who.Name, who.Login(e.Authorization))
	case e.NeedsSession():
		return fmt.Sprintf("%s is a service account and has no session, so it can never meet this: ask the collection's owner to exempt it, or to share a guest collection with it", who.Name)
	case e.Unauthenticated():
		return "the service does not accept the token of " + who.Name
	case e.NoCollection():
		return "check the collection id: runner endpoints finds collections by name"
	case strings.HasSuffix(e.Code, "MkdirFailed.NotFound"):
		return "the folder above it is missing, and only one folder is made at a time: make that one first"
	case e.NotFound():
		return "check the id and the path"
	case strings.HasSuffix(e.Code, "MkdirFailed.Exists"):
		return "it is there already; runner stat shows whether it is a folder"
	case e.NotDirectory():
		return "the path leads to a file, or through one; runner stat shows a file"
	case strings.HasSuffix(e.Code, "LoginFailed"):
		return Ask("", "map "+who.Name+" to a local account")
	case e.Paused():
		return "ask the collection's manager when the pause ends, and run again then"
	case e.PermissionDenied():
		return Ask("", "give "+who.Name+" access")
	case e.Code == "GCDisconnectedException" || strings.HasSuffix(e.Code, ".GCDisconnected"):
		return StartPersonal
	case e.Temporary() || e.Backlog():
		return RunAgain
	}
	return ""
}

// nextAtAutomate is Next for an error of Globus Flows or Globus Timers.
func nextAtAutomate(e *automate.Error, who Identity) string {
	switch {
	case e.NotStarter():
		return "ask the flow's owner to add " + who.Name + " to its starters"
	case e.MissingScope() && who.Login != nil:
		wanted := &transfer.AuthorizationParameters{}
		if scope := e.Scope(); scope != "" {
			wanted.RequiredScopes = []string{scope}
		}
		return who.Login(wanted)
	case e.Unauthenticated() || e.MissingScope():
		return e.Service + " does not accept the token of " + who.Name
	case e.NotFound() && e.Service == automate.Timers:
		return "check the id of the timer: runner timer list shows the timers of " + who.Name
	case e.NotFound():
		return "check the id of the flow, and whether " + who.Name + " may see it"
	case e.Temporary():
		return RunAgain
	}
	return ""
}

// nextOnTheWay is Next for a request that got no reply.
func nextOnTheWay(err error) string {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "check the clock of this machine; if it is right, the certificate has to be renewed by whoever runs the service or the proxy"
	}
	if verification || authority || host {
		return "if the network inspects TLS, name its CA bundle in GLOBUS_SDK_VERIFY_SSL; else somebody else answers at this address"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" {
		return "check the proxy in HTTPS_PROXY, or name the host in NO_PROXY"
	}
	return CheckNetwork
}
