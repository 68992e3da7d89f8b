package transfer

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/delay"
	"github.com/globus-runner/globus-runner/internal/plain"
)

const (
	maxQuote   = 200  // characters quoted of a reply that is not understood
	maxMessage = 2000 // characters kept of a message
)

// An Error is a reply of the Transfer service outside 2xx, or one within 2xx
// that could not be understood.
type Error struct {
	Method, Path string        // the request; Path is below the base URL, without the query
	Status       int           // HTTP status
	Code         string        // the service's dotted code; empty if the body carried none
	Message      string        // what the service says (see [Reason]), or what came instead; one line
	Foreign      bool          // a proxy or a network's login page answered, with a status below 500
	RequestID    string        // to quote to Globus support; may be empty
	RetryAfter   time.Duration // how long the service asks to wait; zero if it does not say
	// RequiredScopes are the scopes that need a consent, from wherever the
	// body names them.
	RequiredScopes []string
	// Authorization says which session or consents are needed; nil if none.
	Authorization *AuthorizationParameters
}

// Error returns one line: the request, the status, the code, the message, the
// request id.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d", e.Method, e.Path, e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.RequestID != "" {
		b.WriteString(" (request id " + e.RequestID + ")")
	}
	return b.String()
}

// Temporary reports whether the same request may succeed soon. A collection's own
// error is not temporary, because repeating does not help before somebody repairs
// the collection. Neither are a required session and a full backlog. A proxy that
// answers in place of the service is.
func (e *Error) Temporary() bool {
	switch {
	case e.NeedsSession() || e.Backlog():
		return false
	case e.Foreign:
		return true
	case e.CollectionFailed():
		return e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable
	}
	return e.Status/100 == 2 || delay.Passing(e.Status)
}

// Unauthenticated reports whether the service did not accept the token.
func (e *Error) Unauthenticated() bool {
	return e.Status == http.StatusUnauthorized && !e.Foreign || e.last() == "AuthenticationFailed"
}

// NeedsConsent reports whether a consent for RequiredScopes is missing.
func (e *Error) NeedsConsent() bool {
	return e.Code == "ConsentRequired" || e.Status == http.StatusForbidden && len(e.RequiredScopes) > 0
}

// NeedsSession reports whether a person must log in, in a certain way, before
// the request can succeed. A service account cannot do that.
func (e *Error) NeedsSession() bool { return e.Authorization.session() }

// Paused reports whether a manager of the collection has paused the operation. The
// Message says why.
func (e *Error) Paused() bool { return e.Code == "OperationPaused" }

// PermissionDenied reports whether the identity lacks a role, an access rule or
// a file permission.
func (e *Error) PermissionDenied() bool {
	return !e.NeedsConsent() && !e.NeedsSession() && !e.Unauthenticated() && !e.Paused() &&
		(e.Status == http.StatusForbidden && !e.Foreign || strings.HasSuffix(e.Code, "PermissionDenied"))
}

// NotFound reports whether the task, collection or path does not exist.
func (e *Error) NotFound() bool {
	return e.Status == http.StatusNotFound && !e.Foreign || strings.HasSuffix(e.Code, "NotFound")
}

// NotDirectory reports whether the path is a file, or leads through one.
func (e *Error) NotDirectory() bool { return strings.HasSuffix(e.Code, "NotDirectory") }

// NoCollection reports whether the collection does not exist or was deleted. NotFound
// is then true as well, and nothing is known about the path.
func (e *Error) NoCollection() bool { return e.NotFound() && strings.HasPrefix(e.Code, "Endpoint") }

// Overlap reports whether a submission was refused because an unfinished task has
// the same collections and paths. If the submission was sent before, that task
// may be its own. Conflicts of other requests, or with other codes, do not count.
func (e *Error) Overlap() bool {
	_, resource, _ := strings.Cut(strings.TrimPrefix(e.Path, "/"), "/")
	submission := e.Method == http.MethodPost && (resource == "transfer" || resource == "delete")
	return submission && e.Status == http.StatusConflict && e.last() == "Conflict"
}

// Exists reports whether an access rule was refused because its principal already
// has one for the path.
func (e *Error) Exists() bool {
	return e.Status == http.StatusConflict && !e.Foreign && e.last() == "Exists"
}

// Backlog reports whether the identity has as many unfinished tasks as the
// service allows. A submission may succeed after some have ended, in minutes or
// hours.
func (e *Error) Backlog() bool { return e.last() == "TooManyPendingJobs" }

// CollectionFailed reports whether the error comes from a collection and was
// passed on by the service. The collection may be offline, for example.
func (e *Error) CollectionFailed() bool {
	return strings.Contains(e.Code, "ExternalError") || strings.Contains(e.Code, "EndpointError") ||
		e.Code == "GCDisconnectedException"
}

// last returns the last element of the dotted code.
func (e *Error) last() string { return e.Code[strings.LastIndexByte(e.Code, '.')+1:] }

// refused returns the error for a reply outside 2xx. A proxy may have written
// the body, so it takes what it can from it.
func refused(r request, resp *http.Response, body []byte) *Error {
	e := r.newError(resp.StatusCode)
	e.RetryAfter = delay.Of(resp.Header, time.Now())
	doc, ok := object(body)
	e.Code = plain.Short(text(doc["code"]), maxQuote)
	e.RequestID = plain.Short(text(doc["request_id"]), maxQuote)
	e.Message = plain.Short(Reason(text(doc["message"])), maxMessage)
	if e.Message == "" {
		e.Message = cmp.Or(http.StatusText(resp.StatusCode), "unknown status")
		if text := plain.Short(string(quoted(body)), maxQuote); text != "" && e.Code == "" {
			e.Message += ": " + text
		}
	}
	if resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
		e.Foreign = !ok && len(body) > 0 || resp.Header.Get("Location") != ""
	}
	e.Authorization = authorization(doc["authorization_parameters"])
	e.RequiredScopes = append(texts(doc["required_scopes"]), texts(doc["required_scope"])...)
	if a := e.Authorization; a != nil {
		e.RequiredScopes = append(e.RequiredScopes, a.RequiredScopes...)
	}
	e.RequiredScopes = distinct(e.RequiredScopes)
	return e
}

func (r request) newError(status int) *Error {
	path, _ := r.escapedPath() // cannot fail: r was sent
	return &Error{Method: r.method, Path: path, Status: status}
}

// distinct returns list without repetitions, in the same order.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
