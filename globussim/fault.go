package globussim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// When a [Fault] drops the connection.
const (
	DropBefore = "before" // the request has no effect
	DropAfter  = "after"  // the request takes effect, its answer is lost
)

// A Fault is what goes wrong with the next requests that match it. It is an
// error reply if it has a Status, and otherwise spoils the real answer. Its
// JSON form, for the control path, has the field names in snake_case, and Clock
// and Delay as strings such as "1.5s".
type Fault struct {
	Method string `json:"method,omitempty"` // "POST"; empty matches every method
	// Path is matched with the request's decoded path: a pattern of
	// [path.Match] such as "/v0.10/task/*", or a prefix that ends in "/...",
	// such as "/v0.10/...", for everything below it. Empty matches every
	// request to the services; the control path is never matched.
	Path string `json:"path,omitempty"`

	// Times is how many matching requests it hits: 0 means one, a negative
	// number means all of them until [Server.ClearFaults].
	Times int `json:"times,omitempty"`
	Skip  int `json:"skip,omitempty"` // how many matching requests go well first

	// Status makes it an error reply, which the request gets instead of
	// taking effect. Code and Message fill the error document of the service
	// that was asked and have defaults.
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// AfterEffect lets the request take effect before the error reply, as
	// behind a gateway that gave up too early.
	AfterEffect bool `json:"after_effect,omitempty"`
	// RetryAfter is sent as the header of that name: seconds or an HTTP date.
	RetryAfter string `json:"retry_after,omitempty"`

	// Body replaces the body of the error reply, or that of the real answer,
	// whose status stays. ContentType is its type; the default is text/html
	// for a body that starts with "<", else application/json.
	Body        string `json:"body,omitempty"`
	ContentType string `json:"content_type,omitempty"`

	// Truncate ends the connection after so many bytes of the body, while
	// Content-Length announces the whole: the client meets an unexpected end.
	Truncate int `json:"truncate,omitempty"`
	// Cut leaves only so many bytes of the body in a reply that is otherwise
	// in order: the client reads all of it, and half a document.
	Cut int `json:"cut,omitempty"`

	// Clock is how far the service's clock is ahead of this machine's in the
	// answer, as its Date shows.
	Clock time.Duration `json:"-"`

	// Delay holds the answer back. The request has taken effect by then, if it
	// has any, and the wait ends when the client gives up.
	Delay time.Duration `json:"-"`
	// Drop ends the connection without an answer: [DropBefore] or [DropAfter].
	Drop string `json:"drop,omitempty"`
}

// Fail orders faults. Of several that match a request, the first one ordered
// hits it. Fail panics if a fault is not valid: a negative number, a Path that
// is not a pattern, a Status outside 200 to 599, an unknown Drop, or one without
// any consequence.
func (s *Server) Fail(faults ...Fault) {
	for _, f := range faults {
		if err := f.check(); err != nil {
			panic("globussim: " + err.Error())
		}
	}
	s.faults.add(faults...)
}

// Faults returns the faults that are still to come, with what is left of their
// Times and Skip.
func (s *Server) Faults() []Fault { return s.faults.pending() }

// ClearFaults takes back all faults that are still to come.
func (s *Server) ClearFaults() { s.faults.clear() }

func (f *Fault) check() error {
	_, badPattern := path.Match(f.Path, "")
	switch {
	case badPattern != nil:
		return fmt.Errorf("fault: path %q is not a pattern", f.Path)
	case f.Skip < 0 || f.Truncate < 0 || f.Cut < 0 || f.Delay < 0:
		return errors.New("fault: skip, truncate, cut or delay is negative")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("fault: status %d is not between 200 and 599", f.Status)
	case f.Drop != "" && f.Drop != DropBefore && f.Drop != DropAfter:
		return fmt.Errorf("fault: drop is %q, not %q or %q", f.Drop, DropBefore, DropAfter)
	case f.Status == 0 && f.Body == "" && f.Truncate == 0 && f.Cut == 0 && f.Clock == 0 && f.Delay == 0 && f.Drop == "":
		return errors.New("fault: it has no consequence: set status, body, truncate, cut, clock, delay or drop")
	}
	return nil
}

func (f *Fault) matches(r *http.Request) bool {
	if f.Method != "" && !strings.EqualFold(f.Method, r.Method) {
		return false
	}
	if prefix, ok := strings.CutSuffix(f.Path, "..."); ok && strings.HasSuffix(prefix, "/") {
		return strings.HasPrefix(r.URL.Path, prefix)
	}
	ok, _ := path.Match(f.Path, r.URL.Path) // a bad pattern was refused
	return ok || f.Path == ""
}

// apply answers the request through serve and spoils the answer. It returns
// nil if there is none: the connection is to be dropped. The zero Fault changes
// nothing.
func (f *Fault) apply(r *http.Request, serve func(http.ResponseWriter)) *reply {
	var p reply
	if f.Drop != DropBefore && (f.Status == 0 || f.AfterEffect) {
		serve(&p)
	}
	if !wait(r.Context(), f.Delay) || f.Drop != "" {
		return nil
	}
	if f.Status != 0 {
		p = reply{}
		f.refuse(&p, r)
	}
	if f.Clock != 0 {
		p.Header().Set("Date", time.Now().UTC().Add(f.Clock).Format(http.TimeFormat))
	}
	if f.RetryAfter != "" {
		p.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.Body != "" {
		p.body.Reset()
		p.body.WriteString(f.Body)
		kind := "application/json"
		if strings.HasPrefix(f.Body, "<") {
			kind = "text/html"
		}
		p.Header().Set("Content-Type", cmp.Or(f.ContentType, kind))
	}
	if f.Truncate > 0 {
		p.whole = p.body.Len()
		p.body.Truncate(min(f.Truncate, p.whole))
	}
	if f.Cut > 0 {
		p.body.Truncate(min(f.Cut, p.body.Len()))
	}
	return &p
}

// refuse writes the error document to p. It reads the request to its end, as
// the service would have.
func (f *Fault) refuse(p *reply, r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxTransferBody)) // the answer is an error anyway
	message := cmp.Or(f.Message, http.StatusText(f.Status), "Ordered fault")
	if isAuth(r) {
		writeAuthError(p, newAuthError(f.Status, f.Code, message))
		return
	}
	code := "ClientError"
	switch {
	case f.Status == http.StatusServiceUnavailable:
		code = "ServiceUnavailable"
	case f.Status >= http.StatusInternalServerError:
		code = "ServerError"
	}
	e := &apiError{Status: f.Status, Code: cmp.Or(f.Code, code), Message: message}
	if isFlows(r) {
		writeFlowError(p, e)
		return
	}
	p.Header().Set("X-Transfer-API-Version", transferVersion)
	writeError(p, r, e)
}

// wait pauses for d. It reports false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A faultList holds the faults to come, in the order in which they were
// ordered.
type faultList struct {
	mu     sync.Mutex
	faults []Fault
}

func (l *faultList) add(faults ...Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, faults...)
}

func (l *faultList) pending() []Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.faults)
}

func (l *faultList) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = nil
}

// take returns the fault that hits the request; usually the zero one.
func (l *faultList) take(r *http.Request) Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.faults {
		f := &l.faults[i]
		switch {
		case !f.matches(r):
		case f.Skip > 0:
			f.Skip--
		case f.Times < 0:
			return *f
		default:
			hit := *f
			if f.Times--; f.Times <= 0 {
				l.faults = slices.Delete(l.faults, i, i+1)
			}
			return hit
		}
	}
	return Fault{}
}

// A faultDocument is a Fault as JSON carries it.
type faultDocument struct {
	Fault
	Clock string `json:"clock,omitempty"`
	Delay string `json:"delay,omitempty"`
}

// parseFaults reads one fault, or a list of them.
func parseFaults(data []byte) ([]Fault, error) {
	docs := make([]faultDocument, 1)
	var into any = &docs[0]
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		into = &docs
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return nil, err
	}
	faults := make([]Fault, len(docs))
	for i, doc := range docs {
		f := doc.Fault
		if err := errors.Join(parseDelay(doc.Clock, &f.Clock), parseDelay(doc.Delay, &f.Delay)); err != nil {
			return nil, err
		}
		if err := f.check(); err != nil {
			return nil, err
		}
		faults[i] = f
	}
	return faults, nil
}

// parseDelay reads a duration, unless text is empty.
func parseDelay(text string, to *time.Duration) (err error) {
	if text != "" {
		*to, err = time.ParseDuration(text)
	}
	return err
}

func faultDocuments(faults []Fault) []faultDocument {
	docs := make([]faultDocument, len(faults))
	for i, f := range faults {
		docs[i].Fault = f
		if f.Clock != 0 {
			docs[i].Clock = f.Clock.String()
		}
		if f.Delay != 0 {
			docs[i].Delay = f.Delay.String()
		}
	}
	return docs
}
