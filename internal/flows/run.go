package flows

import (
	"time"

	"github.com/globus-runner/globus-runner/internal/automate"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// A Run is one execution of a flow.
type Run struct {
	ID      string           `json:"run_id"`
	Flow    string           `json:"flow_id"`
	Label   string           `json:"label"`
	Status  Status           `json:"status"`
	Start   automate.Instant `json:"start_time"`
	Details Details          `json:"details"` // zero if the service omits them
}

// Started returns when the run began, or zero if the service does not say.
func (r *Run) Started() time.Time { return r.Start.Time }

// A Status is the status of a run.
type Status string

// The statuses. A run that was canceled has Failed.
const (
	Active    Status = "ACTIVE"
	Inactive  Status = "INACTIVE" // it waits for a consent or a session of its owner
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	Ended     Status = "ENDED"
)

// Final reports whether a run of this status has ended.
func (s Status) Final() bool { return s == Succeeded || s == Failed || s == Ended }

// Canceled is the code of a run that was canceled.
const Canceled = "FlowCanceled"

// Details are what the service says about the status of a run.
type Details struct {
	Code          automate.Text `json:"code"`
	Description   automate.Text `json:"description"`
	RequiredScope automate.Text `json:"required_scope"` // that needs a consent; may be empty
}

// Reason says in one line why a run is in its status, bounded and without control
// characters. It is empty if the service does not say.
func (d Details) Reason() string {
	code, why := plain.Short(string(d.Code), automate.MaxCode), plain.Short(string(d.Description), automate.MaxMessage)
	switch {
	case code == "":
		return why
	case why == "":
		return code
	}
	return code + ": " + why
}
