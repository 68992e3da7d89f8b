package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/transfer"
)

// Advice says in one sentence what to do about an error of the services or of
// the way to them, or what to ask a collection's owner for; it is empty if
// there is nothing to say. Username is that of a service account, or words for
// it.
func Advice(err error, username string) string {
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return e.Advice()
	}
	e, ok := errors.AsType[*transfer.Error](err)
	if !ok {
		return networkAdvice(err)
	}
	switch {
	case e.NeedsConsent():
		return fmt.Sprintf("the consent could not be obtained for %s: ask the collection's owner whether service accounts are allowed", username)
	case e.NeedsSession():
		return fmt.Sprintf("%s is a service account and has no session, so it can never meet this: ask the collection's owner to exempt it, or to share a guest collection with it", username)
	case e.Unauthenticated():
		return "the service does not take the token of " + username
	case e.NotFound() && strings.HasPrefix(e.Code, "Endpoint"):
		return "check the collection id: runner endpoints finds collections by name"
	case e.NotFound():
		return "check the id and the path"
	case strings.HasSuffix(e.Code, "LoginFailed"):
		return askOwner("", "map "+username+" to a local account")
	case e.PermissionDenied():
		return askOwner("", "give "+username+" access")
	case disconnected(e.Code):
		return startPersonal
	case e.Temporary() || e.Backlog():
		return "run again later"
	}
	return ""
}

// startPersonal is the advice for a personal computer that is not connected.
const startPersonal = "start Globus Connect Personal on that computer, or ask its owner to"

// askOwner is the sentence for the owner of a collection, who may be known.
func askOwner(owner, favour string) string {
	if owner != "" {
		owner = " (" + owner + ")"
	}
	return "ask the collection's owner" + owner + " to " + favour
}

// disconnected reports whether the code is of a personal computer that cannot
// be reached.
func disconnected(code string) bool {
	return code == "GCDisconnectedException" || strings.HasSuffix(code, ".GCDisconnected")
}

// networkAdvice is Advice for a request that got no reply.
func networkAdvice(err error) string {
	if _, ok := errors.AsType[*url.Error](err); !ok {
		return ""
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok || isUntrusted(err) {
		return "if the network inspects TLS, name its CA bundle in GLOBUS_SDK_VERIFY_SSL; else somebody else answers at this address"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" {
		return "check the proxy in HTTPS_PROXY, or name the host in NO_PROXY"
	}
	return "check the network, the proxy and the address, or run again later"
}

func isUntrusted(err error) bool {
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	return authority || host
}

// ClassOf says of what class an error of the services, or of the way to them,
// is. It is empty for any other error.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*auth.Error](err); ok {
		if e.Temporary() {
			return Temporary
		}
		return Credentials
	}
	e, ok := errors.AsType[*transfer.Error](err)
	switch {
	case !ok:
		if _, ok := errors.AsType[*url.Error](err); ok {
			return Temporary
		}
		return ""
	case e.Unauthenticated() || e.NeedsConsent() || e.NeedsSession():
		return Credentials
	case e.Temporary() || e.Backlog() || unwell(e.Code):
		return Temporary
	}
	return Refused
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

// failed returns the finding that err is. What is neither a reply nor of the
// network is of the credentials.
func (g *Globus) failed(err error) Finding {
	f := Bad(g.class(err), describe(err), g.advise(err))
	switch {
	case f.Class != "":
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		f.Class = Temporary
	default:
		f.Class = Credentials
	}
	if e, ok := errors.AsType[*transfer.Error](err); ok {
		f.Code = e.Code
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		f.Code = e.Code
	}
	return f
}

func (g *Globus) advise(err error) string {
	if g.Advise != nil {
		return g.Advise(err)
	}
	return Advice(err, g.Username)
}

func (g *Globus) class(err error) Class {
	if g.Class != nil {
		return g.Class(err)
	}
	return ClassOf(err)
}

// describe says what an error is, without what to do about it.
func describe(err error) string {
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return strings.TrimSuffix(e.Error(), "; "+e.Advice())
	}
	if e, ok := errors.AsType[*transfer.Error](err); ok {
		if e.Code == "" {
			return fmt.Sprintf("HTTP %d: %s", e.Status, e.Message)
		}
		return e.Code + ": " + e.Message
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "gave no answer in time"
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		if u, bad := url.Parse(e.URL); bad == nil {
			return u.Hostname() + ": " + e.Err.Error()
		}
		return e.Err.Error()
	}
	return err.Error()
}
