package runlog

import (
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// A Document is a run as commands print it and the API returns it.
type Document struct {
	Run     int64  `json:"run"`
	Job     string `json:"job"`
	Key     string `json:"key"`
	State   string `json:"state"`
	Attempt int    `json:"attempt"`
	Holder  string `json:"holder,omitempty"` // the process that works on it

	Claimed  time.Time  `json:"claimed"`         // or when a person asked for it
	Began    *time.Time `json:"began,omitempty"` // absent until a process takes it
	Finished *time.Time `json:"finished,omitempty"`

	Totals
	FilesDeleted int64 `json:"files_deleted"`

	Error *Problem `json:"error,omitempty"`
}

// Totals are sums over the tasks of a run.
type Totals struct {
	Files         int64 `json:"files_transferred"`
	FilesSkipped  int64 `json:"files_skipped"`
	Bytes         int64 `json:"bytes_transferred"`
	SkippedErrors int64 `json:"skipped_errors"`
	Faults        int64 `json:"faults"`
}

// A Problem says what went wrong with a run.
type Problem struct {
	Class     string `json:"class"`
	Code      string `json:"code,omitempty"` // of Globus
	Message   string `json:"message"`
	RequestID string `json:"request_id,omitempty"`
}

// Describe returns the document of a run.
func Describe(r *ledger.Run) Document {
	d := Document{
		Run: r.ID, Job: r.Job, Key: r.Key, State: string(r.State), Attempt: r.Attempt,
		Claimed: r.Claimed, Totals: Totals(r.Totals), FilesDeleted: r.FilesDeleted,
	}
	if !r.Began.IsZero() {
		d.Began = &r.Began
	}
	if r.State.Final() {
		d.Finished = &r.Finished
	} else {
		d.Holder = r.Holder
	}
	if r.Message != "" {
		d.Error = &Problem{Class(r.Outcome), r.Code, r.Message, r.RequestID}
	}
	return d
}

// Class returns the kind of error that a recorded run ended with, or "" if it did
// everything it should.
func Class(o ledger.Outcome) string {
	if o.State == ledger.Skipped {
		return string(ledger.Skipped) // a skip by policy is not an error in the ledger
	}
	return o.Class
}

// Waited reports whether the run waited, or still waits, between the request for
// it and its begin.
func (d Document) Waited() bool { return d.Began == nil || d.Began.Sub(d.Claimed) >= time.Second }
