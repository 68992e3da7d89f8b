package runlog

import (
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// A Document is a run as commands print it and as the API gives it.
type Document struct {
	Run     int64  `json:"run"`
	Job     string `json:"job"`
	Key     string `json:"key"`
	State   string `json:"state"`
	Attempt int    `json:"attempt"`
	Holder  string `json:"holder,omitempty"` // who is at it

	Claimed  time.Time  `json:"claimed"`         // or asked for, by a person
	Began    *time.Time `json:"began,omitempty"` // absent while it waits for somebody
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

// Class is the kind of error that a recorded run ended with; empty if it did all that
// was asked for.
func Class(o ledger.Outcome) string {
	if o.State == ledger.Skipped {
		return string(ledger.Skipped) // a policy is not an error, and the ledger has none
	}
	return o.Class
}

// Waited reports whether some time went by between the request for the run and its
// begin, or still does.
func (d Document) Waited() bool { return d.Began == nil || d.Began.Sub(d.Claimed) >= time.Second }
