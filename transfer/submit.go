package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// ErrUnclear marks the error of a submission that may have reached the service
// and started a task: it was sent and got no answer, or an answer that does not
// say. It is safe to submit the same document again with the same submission
// id, which finds out.
var ErrUnclear = errors.New("the submission may have taken effect")

// SubmissionID returns a new submission id. One that is never used costs
// nothing. API: GET /submission_id.
func (c *Client) SubmissionID(ctx context.Context) (string, error) {
	s, err := call[submissionID](ctx, c, request{method: http.MethodGet, path: []string{"submission_id"}})
	if err != nil {
		return "", err
	}
	return s.Value, nil
}

type submissionID struct {
	Value string `json:"value"`
}

func (s *submissionID) keep(json.RawMessage) {}
func (s *submissionID) missing() string      { return require("value", s.Value) }

// A Submitted is the service's answer to a submission: a task exists.
type Submitted struct {
	TaskID       string `json:"task_id"`
	SubmissionID string `json:"submission_id"`
	Code         string `json:"code"` // Accepted or Duplicate
	Message      string `json:"message"`
	RequestID    string `json:"request_id"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (s *Submitted) keep(doc json.RawMessage) { s.Raw = doc }
func (s *Submitted) missing() string          { return require("task_id", s.TaskID) }

// Duplicate reports whether the submission had been accepted before. TaskID is
// then the task that it started.
func (s *Submitted) Duplicate() bool { return s.Code == "Duplicate" }

// Submit starts the task that doc describes. If doc has no submission id, Submit
// gets one and leaves it in doc: the service starts one task for it, however
// often doc is submitted. The service does not check whether the paths exist.
//
// What the service refuses is an [*Error]: see its Overlap, Backlog,
// NeedsConsent and PermissionDenied. If the task may exist all the same, the
// error is also an [ErrUnclear]. API: GET /submission_id, POST /transfer, POST
// /delete.
func (c *Client) Submit(ctx context.Context, doc Document) (*Submitted, error) {
	if doc == nil {
		return nil, errors.New("submit: there is no document")
	}
	if head := doc.Head(); head.SubmissionID == "" {
		id, err := c.SubmissionID(ctx)
		if err != nil {
			return nil, fmt.Errorf("submit a %s: %w", doc.resource(), err)
		}
		head.SubmissionID = id
	}
	sent := new(attempts)
	s, err := call[Submitted](ctx, c, request{
		method:   http.MethodPost,
		path:     []string{doc.resource()},
		body:     doc,
		attempts: sent,
	})
	if err != nil && sent.unclear(err) {
		return nil, fmt.Errorf("%w: %w", ErrUnclear, err)
	}
	return s, err
}

// attempts counts how often a request was really sent. The transports below a
// Client repeat requests without its knowledge, but all of them pass on the
// trace in the request's context.
type attempts struct {
	connected atomic.Bool  // a connection was established
	written   atomic.Int32 // times the request was written in full
	answered  atomic.Int32 // times a reply began
}

func (a *attempts) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { a.connected.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			a.connected.Store(true)
			if info.Err == nil {
				a.written.Add(1)
			}
		},
		GotFirstResponseByte: func() { a.answered.Add(1) },
	}
}

// unclear reports whether the request may have taken effect although it ended
// with err.
func (a *attempts) unclear(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return a.connected.Load()
	}
	switch {
	case a.written.Load() > a.answered.Load(): // an earlier attempt got no answer
		return true
	case e.Status == http.StatusConflict && a.written.Load() > 1 && !e.Backlog() && !e.CollectionFailed():
		return true // whatever its code, it may be about the task of an earlier attempt
	case e.Status == http.StatusServiceUnavailable: // the service refused before it looked at it
		return false
	}
	return e.Status >= 500 || e.Status/100 == 2
}
