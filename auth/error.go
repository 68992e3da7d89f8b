package auth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/delay"
	"github.com/globus-runner/globus-runner/internal/plain"
)

const maxErrorText = 300 // characters kept of each text of the service

// Developers is the page where applications are registered: service accounts
// and native apps.
const Developers = "https://app.globus.org/settings/developers"

// An Error is a reply outside 2xx from Globus Auth. Each of its texts is one
// line and holds no secret, whatever the service sent.
type Error struct {
	Status      int           // HTTP status
	Code        string        // the OAuth error, such as invalid_client; else the code of the first detail; may be empty
	Description string        // the OAuth error description; may be empty
	Details     []Detail      // the service's own list of errors; may be empty
	ClientID    string        // of the application that asked; empty if the request carried a token
	Native      bool          // the application is a native app, without a secret
	Login       bool          // the request was for a token, so the login itself failed
	RetryAfter  time.Duration // zero if the reply named none
	// Foreign says what answered in place of Globus Auth: a proxy's page, or
	// a redirect to a network's login. It is empty if the reply has the
	// service's form, and for 429 and 5xx, which a gateway may send on its
	// behalf.
	Foreign string
}

// A Detail is one error in the service's own list. Any field may be empty.
type Detail struct{ ID, Status, Code, Title, Detail string }

// Temporary reports whether the same request may succeed later: for 429, 5xx and
// the like, and when something else answered in place of the service.
func (e *Error) Temporary() bool {
	return e.Foreign != "" || delay.Passing(e.Status)
}

// Error returns one line: what the service said and, if it refused the
// application, what to check.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Globus Auth: HTTP %d", e.Status)
	for _, text := range e.texts() {
		b.WriteString(": " + text)
	}
	if e.Foreign != "" {
		b.WriteString(": not the service but " + e.Foreign + " answered")
	}
	if advice := e.Advice(); advice != "" {
		b.WriteString("; " + advice)
	}
	return b.String()
}

// BadScope reports whether a scope was refused, such as one that does not exist.
func (e *Error) BadScope() bool { return strings.Contains(strings.ToLower(e.Code), "scope") }

// Advice says what to check if the application was refused; otherwise it is empty.
func (e *Error) Advice() string {
	switch {
	case !e.Refused():
		return ""
	case e.Native:
		return fmt.Sprintf("client %s was refused: check that the id is of a native app that is registered on %s", e.ClientID, Developers)
	case e.is("unauthorized_client"):
		return fmt.Sprintf("client %s was refused: its id is of a native app or another kind that cannot log in by itself; "+
			"register a service account on %s and use its id and secret", e.ClientID, Developers)
	}
	return fmt.Sprintf("client %s was refused: check that the secret was copied whole, "+
		"that the id is of a service account and not of a native app, "+
		"and that the secret was not deleted on %s", e.ClientID, Developers)
}

// is reports whether the error has an OAuth code. The service's own list writes it
// in capital letters.
func (e *Error) is(code string) bool { return strings.EqualFold(e.Code, code) }

// texts returns what the service said, each text once.
func (e *Error) texts() []string {
	all := []string{e.Code, e.Description}
	for _, d := range e.Details {
		all = append(all, d.Code, d.Title, d.Detail)
	}
	var texts []string
	seen := map[string]bool{"": true}
	for _, text := range all {
		if key := strings.ToLower(text); !seen[key] {
			seen[key] = true
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return []string{http.StatusText(e.Status)}
	}
	return texts
}

// Refused reports whether the application's id or secret was not accepted.
func (e *Error) Refused() bool {
	return e.ClientID != "" && e.Foreign == "" && !e.GrantRefused() && (e.Status == http.StatusUnauthorized ||
		e.is("invalid_client") || e.is("unauthorized_client"))
}

// GrantRefused reports whether the code or refresh token of a grant was not
// accepted: it was used, revoked or is too old.
func (e *Error) GrantRefused() bool { return e.is("invalid_grant") }

// A strangeReply is a 2xx reply that is not the expected document.
type strangeReply struct{ err error }

func (e *strangeReply) Error() string {
	return "Globus Auth: the reply is damaged, or comes from a proxy on the way: " + e.err.Error()
}
func (e *strangeReply) Unwrap() error { return e.err }

// Temporary reports true: damage and proxies pass.
func (e *strangeReply) Temporary() bool { return true }

// newError reads both forms of the service's errors. A body of neither form is
// no problem: a gateway answers with a page.
func newError(resp *http.Response, body []byte, hide *strings.Replacer) *Error {
	e := &Error{Status: resp.StatusCode, RetryAfter: delay.Of(resp.Header, time.Now())}
	text := func(v any) string { return tidy(hide, v) }

	var doc map[string]any
	if json.Unmarshal(body, &doc) != nil {
		if resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
			e.Foreign = foreign(resp, body, text)
		}
		return e
	}
	code := func(v any) string {
		if word, ok := v.(string); ok && isCode(word) && hide.Replace(word) != masked {
			return word // callers compare it, whatever words a secret has in it
		}
		return text(v)
	}
	e.Code, e.Description = code(doc["error"]), text(doc["error_description"])
	list, _ := doc["errors"].([]any)
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			e.Details = append(e.Details, Detail{
				ID: text(m["id"]), Status: text(m["status"]), Code: code(m["code"]),
				Title: text(m["title"]), Detail: text(m["detail"]),
			})
		}
	}
	if e.Code == "" && len(e.Details) > 0 {
		e.Code = e.Details[0].Code
	}
	return e
}

// isCode reports whether a text has the form of a code, letters of one case with a _
// among them. A Globus secret does not have this form.
func isCode(text string) bool {
	other := func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }
	lower := strings.ToLower(text)
	return strings.Contains(text, "_") && (text == lower || text == strings.ToUpper(text)) && !strings.ContainsFunc(lower, other)
}

// foreign says what sent a reply that is not the service's. It is empty for a
// reply without a body, which says nothing.
func foreign(resp *http.Response, body []byte, text func(any) string) string {
	if to, err := resp.Location(); err == nil {
		return "a redirect to " + text(to.Host)
	}
	if len(body) == 0 {
		return ""
	}
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if kind = text(kind); kind == "" {
		return "something else"
	}
	return "something with a reply of type " + kind
}

// tidy returns a text or number of the service as one line of limited length,
// with secrets masked. Other values become "".
func tidy(hide *strings.Replacer, v any) string {
	var text string
	switch v := v.(type) {
	case string:
		text = hide.Replace(v)
	case float64:
		text = strconv.FormatFloat(v, 'f', -1, 64)
	}
	return plain.Short(text, maxErrorText)
}
