package flows

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

// Bounds of what is kept of a reply, in characters.
const (
	maxCode    = 80
	maxMessage = 500
)

// An Error is a reply of Globus Flows outside 2xx, or one that cannot be read.
type Error struct {
	Method, Path string        // the request; Path is below the base URL, without the query
	Status       int           // HTTP status
	Code         string        // the service's code, such as FORBIDDEN; empty if the body carried none
	Message      string        // the service's text, or the HTTP status text; one line
	DebugID      string        // to quote to Globus support; may be empty
	RetryAfter   time.Duration // how long the service asks to wait; zero if it does not say
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Globus Flows: %s %s: %d", e.Method, e.Path, e.Status)
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
	return e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError || e.Status/100 == 2
}

// Unauthenticated reports whether the service does not accept the token.
func (e *Error) Unauthenticated() bool { return e.Status == http.StatusUnauthorized }

// NotFound reports whether there is no such flow or run, or the identity may not
// see it.
func (e *Error) NotFound() bool { return e.Status == http.StatusNotFound }

// NotStarter reports whether the identity may not start the flow.
func (e *Error) NotStarter() bool { return e.Code == "FORBIDDEN" }

// MissingScope reports whether the token lacks a scope.
func (e *Error) MissingScope() bool { return e.Code == "MISSING_SCOPE" }

// unclear reports whether the request may have taken effect all the same. There is
// no key by which a repetition could be told, so only what the service has refused
// for certain has not.
func (e *Error) unclear() bool { return e.Temporary() && e.Status != http.StatusTooManyRequests }

// refused makes the error of a reply outside 2xx.
func (r request) refused(resp *http.Response, doc []byte) *Error {
	var body struct {
		Error struct {
			Code    text            `json:"code"`
			Message text            `json:"message"`
			Detail  json.RawMessage `json:"detail"` // a text, or a list of {loc, msg, type}
		} `json:"error"`
		Code    text `json:"code"` // of what Globus Auth demands
		DebugID text `json:"debug_id"`
	}
	_ = json.Unmarshal(doc, &body) // what cannot be read says nothing
	return &Error{
		Method: r.method, Path: r.escapedPath(), Status: resp.StatusCode,
		Code:       plain.Short(cmp.Or(string(body.Error.Code), string(body.Code)), maxCode),
		Message:    plain.Short(cmp.Or(detail(body.Error.Detail), string(body.Error.Message), http.StatusText(resp.StatusCode)), maxMessage),
		DebugID:    plain.Short(string(body.DebugID), maxCode),
		RetryAfter: delay.Of(resp.Header, time.Now()),
	}
}

// detail puts the detail of an error into one text.
func detail(doc json.RawMessage) string {
	var whole text
	_ = whole.UnmarshalJSON(doc)
	if whole != "" {
		return string(whole)
	}
	var list []struct {
		Loc []any `json:"loc"`
		Msg text  `json:"msg"`
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

// unread is the error of a reply that does not say what it should.
func (r request) unread(status int, format string, args ...any) *Error {
	return &Error{Method: r.method, Path: r.escapedPath(), Status: status, Message: plain.Short(fmt.Sprintf(format, args...), maxMessage)}
}
