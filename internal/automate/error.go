package automate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/delay"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// Bounds of the texts kept from a reply, in characters.
const (
	MaxCode    = 80
	MaxMessage = 500
)

// An Error is a reply of a service outside 2xx, or one that cannot be read.
type Error struct {
	Service      string        // Flows or Timers
	Method, Path string        // the request; Path is below the base URL, without the query
	Status       int           // HTTP status
	Code         string        // the service's code, such as FORBIDDEN; empty if the body carried none
	Message      string        // the service's text, or the HTTP status text; one line
	DebugID      string        // to quote to Globus support; may be empty
	RetryAfter   time.Duration // how long the service asks to wait; zero if it does not say
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s: %d", e.Service, e.Method, e.Path, e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.DebugID != "" {
		b.WriteString(" (debug id " + e.DebugID + ")")
	}
	return b.String()
}

// Temporary reports whether the same request may succeed later.
func (e *Error) Temporary() bool {
	return e.Status/100 == 2 || delay.Passing(e.Status)
}

// Unauthenticated reports whether the service does not accept the token.
func (e *Error) Unauthenticated() bool { return e.Status == http.StatusUnauthorized }

// NotFound reports whether the resource does not exist, or the identity may not see
// it.
func (e *Error) NotFound() bool { return e.Status == http.StatusNotFound }

// NotStarter reports whether the identity may not start the flow.
func (e *Error) NotStarter() bool { return e.Service == Flows && e.Code == "FORBIDDEN" }

// MissingScope reports whether the token lacks a scope.
func (e *Error) MissingScope() bool { return e.Code == "MISSING_SCOPE" }

// Scope returns the scope that the message names, or "".
func (e *Error) Scope() string {
	for word := range strings.FieldsSeq(e.Message) {
		word = strings.Trim(word, `'"`)
		if strings.HasPrefix(word, "https://auth.globus.org/scopes/") || strings.HasPrefix(word, "urn:globus:auth:scope:") {
			return word
		}
	}
	return ""
}

// refused returns the error for a reply outside 2xx.
func (s Service) refused(r Request, resp *http.Response, doc []byte) *Error {
	var body struct {
		Error struct {
			Code    Text            `json:"code"`
			Message Text            `json:"message"`
			Detail  json.RawMessage `json:"detail"` // a text, or a list of {loc, msg, type}
		} `json:"error"`
		Code    Text            `json:"code"`   // if Globus Auth demands something
		Detail  json.RawMessage `json:"detail"` // of Timers, if the request is invalid
		DebugID Text            `json:"debug_id"`
	}
	_ = json.Unmarshal(doc, &body) // fields that cannot be read stay empty
	return &Error{
		Service: s.Name, Method: r.Method, Path: r.escapedPath(), Status: resp.StatusCode,
		Code: plain.Short(cmp.Or(string(body.Error.Code), string(body.Code)), MaxCode),
		Message: plain.Short(cmp.Or(
			detail(body.Error.Detail), detail(body.Detail), string(body.Error.Message), http.StatusText(resp.StatusCode),
		), MaxMessage),
		DebugID:    plain.Short(string(body.DebugID), MaxCode),
		RetryAfter: delay.Of(resp.Header, time.Now()),
	}
}

// detail returns the detail of an error as one text.
func detail(doc json.RawMessage) string {
	var whole Text
	_ = whole.UnmarshalJSON(doc)
	if whole != "" {
		return string(whole)
	}
	var list []struct {
		Loc []any `json:"loc"`
		Msg Text  `json:"msg"`
	}
	if json.Unmarshal(doc, &list) != nil {
		return ""
	}
	var parts []string
	for _, problem := range list {
		part := string(problem.Msg)
		if len(problem.Loc) > 0 {
			part = strings.Trim(fmt.Sprint(problem.Loc), "[]") + ": " + part
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

// Unread returns the error for a reply that cannot be understood.
func (s Service) Unread(r Request, status int, format string, args ...any) *Error {
	return &Error{
		Service: s.Name, Method: r.Method, Path: r.escapedPath(), Status: status,
		Message: plain.Short(fmt.Sprintf(format, args...), MaxMessage),
	}
}

// A Text is a string that a service may omit or send as another type.
type Text string

// UnmarshalJSON leaves t empty if the document is not a string.
func (t *Text) UnmarshalJSON(doc []byte) error {
	var s string
	if json.Unmarshal(doc, &s) == nil {
		*t = Text(s)
	}
	return nil
}

// An Instant is a time that a service may omit or write in another form.
type Instant struct{ time.Time }

// UnmarshalJSON leaves i zero if the document is not a time in RFC 3339.
func (i *Instant) UnmarshalJSON(doc []byte) error {
	var at time.Time
	if json.Unmarshal(doc, &at) == nil {
		i.Time = at.UTC()
	}
	return nil
}
