// Package flows is a client of Globus Flows: it starts runs of a flow, finds them
// by their labels, looks at them and cancels them. Credentials and the retries of
// single requests belong to the HTTP clients below it.
package flows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/globus-runner/globus-runner/internal/automate"
)

const (
	maxReply  = 8 << 20 // bytes read of a reply; a page of runs has the whole state of each
	pageSize  = 10      // runs in a page
	maxPages  = 1000    // in one list
	maxMarker = 64 << 10
)

// ErrUnclear says that a start may have made a run although the reply is missing.
// [Client.Runs] finds the run as soon as the service lists it.
var ErrUnclear = errors.New("the flow may have been started")

// A Client calls Globus Flows on behalf of one identity. Its methods may be called
// concurrently.
type Client struct {
	http    *http.Client
	starter Starter
	service automate.Service
}

// A Starter returns an HTTP client whose token may start a flow, and lets the flow
// use the data of mapped collections, given by id. The client must not repeat a
// POST, because each one makes a run.
type Starter func(flow string, dataAccess []string) *http.Client

// An Option configures a [Client].
type Option func(*Client)

// WithBaseURL sends requests below u instead of to the production service.
func WithBaseURL(u *url.URL) Option { return func(c *Client) { c.service.Base = u } }

// New returns a Client that reads and cancels runs through hc, and starts flows
// through starter.
func New(hc *http.Client, starter Starter, opts ...Option) *Client {
	production := &url.URL{Scheme: "https", Host: "flows.automate.globus.org"}
	c := &Client{http: hc, starter: starter, service: automate.Service{Name: automate.Flows, Base: production, MaxReply: maxReply}}
	for _, opt := range opts {
		opt(c)
	}
	return c
}

// ResourceServer and [Scopes] are what a token needs to read and cancel runs.
const ResourceServer = "flows.globus.org"

const scopeBase = "https://auth.globus.org/scopes/"

// Scopes returns the scopes of [ResourceServer] that a Client needs.
func Scopes() []string {
	const server = scopeBase + "eec9b274-0c81-4334-bdc2-54e90e689b9a/"
	return []string{server + "view_flows", server + "run_status", server + "run_manage"}
}

// Scope returns the scope for starting a flow that may use the data of mapped
// collections, given by id. Its resource server is the flow's id.
func Scope(flow string, dataAccess []string) string {
	scope := scopeBase + flow + "/flow_" + strings.ReplaceAll(flow, "-", "_") + "_user"
	if len(dataAccess) == 0 {
		return scope
	}
	var data []string
	for _, id := range dataAccess {
		data = append(data, "*"+scopeBase+id+"/data_access")
	}
	return scope + "[*urn:globus:auth:scope:transfer.api.globus.org:all[" + strings.Join(data, " ") + "]]"
}

// A Form is the request to start a run.
type Form struct {
	Body  map[string]any `json:"body"`  // the flow's input
	Label string         `json:"label"` // 1 to 64 characters
	Tags  []string       `json:"tags,omitempty"`
}

// Start starts a flow; form is the JSON of a [Form]. If the reply does not say
// whether a run was started, the error is an [ErrUnclear]. After any other error, none
// was: an [*automate.Error] if the service refused to start it.
// API: POST /flows/<flow>/run.
func (c *Client) Start(ctx context.Context, flow string, form []byte, dataAccess []string) (*Run, error) {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { sent.Store(true) },
		WroteRequest: func(httptrace.WroteRequestInfo) { sent.Store(true) },
	})
	r := automate.Request{Method: http.MethodPost, Path: []string{"flows", flow, "run"}, Body: form}
	run, err := c.run(ctx, c.starter(flow, dataAccess), r)
	if err == nil || !sent.Load() {
		return run, err
	}
	if e, ok := errors.AsType[*automate.Error](err); ok && !unclear(e) {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", ErrUnclear, err)
}

// unclear reports whether a start may have taken effect in spite of e. A repetition
// cannot be recognized, so only a certain refusal by the service means no.
func unclear(e *automate.Error) bool {
	return e.Temporary() && e.Status != http.StatusTooManyRequests
}

// Validate checks whether [Client.Start] would be accepted, without starting
// anything. The error is an [*automate.Error] if not. API: POST
// /flows/<flow>/validate_run.
func (c *Client) Validate(ctx context.Context, flow string, form []byte, dataAccess []string) error {
	r := automate.Request{Method: http.MethodPost, Path: []string{"flows", flow, "validate_run"}, Body: form}
	_, err := c.service.Do(ctx, c.starter(flow, dataAccess), r)
	return err
}

// Resume continues a run that waits for a consent, which the token of the starter
// must have. API: POST /runs/<run>/resume.
func (c *Client) Resume(ctx context.Context, run *Run, dataAccess []string) (*Run, error) {
	return c.run(ctx, c.starter(run.Flow, dataAccess), automate.Request{Method: http.MethodPost, Path: []string{"runs", run.ID, "resume"}})
}

// Run returns a run. If there is none, the error is an [*automate.Error] whose NotFound is
// true. API: GET /runs/<run>.
func (c *Client) Run(ctx context.Context, id string) (*Run, error) {
	return c.run(ctx, c.http, automate.Request{Method: http.MethodGet, Path: []string{"runs", id}})
}

// Cancel cancels a run, and returns its new state. A run that has ended does not
// change. API: POST /runs/<run>/cancel.
func (c *Client) Cancel(ctx context.Context, id string) (*Run, error) {
	return c.run(ctx, c.http, automate.Request{Method: http.MethodPost, Path: []string{"runs", id, "cancel"}})
}

// Runs yields the runs of a flow with exactly this label, the newest first. An
// error is the last pair. API: GET /runs.
func (c *Client) Runs(ctx context.Context, flow, label string) iter.Seq2[*Run, error] {
	return func(yield func(*Run, error) bool) {
		r := automate.Request{Method: http.MethodGet, Path: []string{"runs"}, Query: url.Values{
			"filter_flow_id": {flow}, "filter_label": {label}, "filter_roles": {"run_owner"},
			"per_page": {strconv.Itoa(pageSize)}, "orderby": {"start_time DESC"},
		}}
		for range maxPages {
			page, err := c.page(ctx, r)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, run := range page.Runs {
				if run.Label == label && !yield(run, nil) {
					return
				}
			}
			if !page.HasNext || page.Marker == "" {
				return
			}
			r.Query = url.Values{"marker": {page.Marker}} // the marker includes the other parameters
		}
		yield(nil, c.service.Unread(r, http.StatusOK, "the list of runs does not end"))
	}
}

// A page is a part of a list of runs.
type page struct {
	Runs    []*Run `json:"runs"`
	HasNext bool   `json:"has_next_page"`
	Marker  string `json:"marker"` // absent or null at the end
}

func (c *Client) page(ctx context.Context, r automate.Request) (*page, error) {
	doc, err := c.service.Do(ctx, c.http, r)
	if err != nil {
		return nil, err
	}
	p := new(page)
	switch err := json.Unmarshal(doc, p); {
	case err != nil:
		return nil, c.service.Unread(r, http.StatusOK, "the reply is not what was expected: %v", err)
	case p.Runs == nil: // taken for an empty list, this could start a flow twice
		return nil, c.service.Unread(r, http.StatusOK, "the reply has no list of runs in it")
	case len(p.Marker) > maxMarker:
		return nil, c.service.Unread(r, http.StatusOK, "the marker of the next page has %d bytes", len(p.Marker))
	}
	return p, nil
}

// run sends a request whose reply is a run.
func (c *Client) run(ctx context.Context, hc *http.Client, r automate.Request) (*Run, error) {
	doc, err := c.service.Do(ctx, hc, r)
	if err != nil {
		return nil, err
	}
	run := new(Run)
	if err := json.Unmarshal(doc, run); err != nil {
		return nil, c.service.Unread(r, http.StatusOK, "the reply is not what was expected: %v", err)
	}
	if run.ID == "" || run.Status == "" {
		return nil, c.service.Unread(r, http.StatusOK, "the reply has no run_id or no status")
	}
	return run, nil
}
