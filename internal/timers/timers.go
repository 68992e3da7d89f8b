// Package timers is a client of Globus Timers: it lists an account's timers, and
// pauses, resumes and deletes them. It does not create any: a job with a schedule
// replaces a timer. Credentials and retries belong to the HTTP client that is passed
// in.
package timers

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/globus-runner/globus-runner/internal/automate"
)

// ResourceServer and Scope are what a token for Globus Timers needs.
const (
	ResourceServer = "524230d7-ea86-4a52-8312-86065a9e0417"
	Scope          = "https://auth.globus.org/scopes/" + ResourceServer + "/timer"
)

// maxReply is how many bytes of a reply are read: the list of timers is one page
// with the whole body of each.
const maxReply = 4 << 20

// A Client calls Globus Timers on behalf of one identity. Its methods may be called
// concurrently.
type Client struct {
	http    *http.Client
	service automate.Service
}

// New returns a Client that sends its requests through hc to the service at base.
func New(hc *http.Client, base *url.URL) *Client {
	return &Client{hc, automate.Service{Name: automate.Timers, Base: base, MaxReply: maxReply}}
}

// A Timer starts transfers, or runs of a flow, on a schedule.
type Timer struct {
	ID      string           `json:"job_id"`
	Name    string           `json:"name"`
	Status  string           `json:"status"`      // new, loaded, active, inactive, ended, …
	NextRun automate.Instant `json:"next_run"`    // zero if there is none
	LastRun automate.Instant `json:"last_ran_at"` // zero if there was none

	Raw json.RawMessage `json:"-"` // the document as received
}

// A List is all the timers of the account.
type List struct {
	Timers []Timer `json:"jobs"`

	Raw json.RawMessage `json:"-"` // the document as received
}

// A Change is the service's reply when a timer was paused or resumed.
type Change struct {
	Message automate.Text `json:"message"` // may be empty

	Raw json.RawMessage `json:"-"` // the document as received
}

// List returns the account's timers. If the service refuses, or its reply is not a
// list, the error is an [*automate.Error]. API: GET /jobs/.
func (c *Client) List(ctx context.Context) (*List, error) {
	r := automate.Request{Method: http.MethodGet, Path: []string{"jobs"}, Slash: true}
	list := new(List)
	doc, err := c.decode(ctx, r, list)
	if err != nil {
		return nil, err
	}
	if list.Timers == nil { // taken for an empty list, this could lose timers in a migration
		return nil, c.service.Unread(r, http.StatusOK, "the reply has no list of timers in it")
	}
	list.Raw = doc
	return list, nil
}

// Timer returns a timer. If there is none, the error is an [*automate.Error] whose
// NotFound is true. API: GET /jobs/<id>.
func (c *Client) Timer(ctx context.Context, id string) (*Timer, error) {
	return c.timer(ctx, http.MethodGet, id)
}

// Delete deletes a timer, and returns its last state. API: DELETE /jobs/<id>.
func (c *Client) Delete(ctx context.Context, id string) (*Timer, error) {
	return c.timer(ctx, http.MethodDelete, id)
}

// Pause keeps a timer from starting anything until it is resumed. API: POST
// /jobs/<id>/pause.
func (c *Client) Pause(ctx context.Context, id string) (*Change, error) {
	return c.change(ctx, id, "pause")
}

// Resume lets a paused timer start transfers again. API: POST
// /jobs/<id>/resume.
func (c *Client) Resume(ctx context.Context, id string) (*Change, error) {
	return c.change(ctx, id, "resume")
}

// timer sends a request whose reply is a timer.
func (c *Client) timer(ctx context.Context, method, id string) (*Timer, error) {
	r := automate.Request{Method: method, Path: []string{"jobs", id}}
	t := new(Timer)
	doc, err := c.decode(ctx, r, t)
	if err != nil {
		return nil, err
	}
	if t.ID == "" {
		return nil, c.service.Unread(r, http.StatusOK, "the reply has no job_id")
	}
	t.Raw = doc
	return t, nil
}

// change sends an order, such as pause, about a timer.
func (c *Client) change(ctx context.Context, id, order string) (*Change, error) {
	done := new(Change)
	doc, err := c.decode(ctx, automate.Request{Method: http.MethodPost, Path: []string{"jobs", id, order}}, done)
	if err != nil {
		return nil, err
	}
	done.Raw = doc
	return done, nil
}

// decode sends a request and decodes the reply into v. It also returns the reply
// itself.
func (c *Client) decode(ctx context.Context, r automate.Request, v any) (json.RawMessage, error) {
	doc, err := c.service.Do(ctx, c.http, r)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(doc, v); err != nil {
		return nil, c.service.Unread(r, http.StatusOK, "the reply is not what was expected: %v", err)
	}
	return doc, nil
}
