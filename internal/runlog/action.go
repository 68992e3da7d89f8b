package runlog

import (
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// An Action is something that a person asked for, as commands print it and the API
// returns it.
type Action struct {
	At    time.Time  `json:"at"`
	What  string     `json:"what"` // pause, resume, trigger, retry or cancel
	Job   string     `json:"job"`
	Run   int64      `json:"run,omitempty"`
	Who   string     `json:"who"`
	Why   string     `json:"why,omitempty"`
	Until *time.Time `json:"until,omitempty"` // when a pause ends by itself
}

// DescribeAction returns the document of an action.
func DescribeAction(a ledger.Action) Action {
	return Action{At: a.At, What: string(a.Kind), Job: a.Job, Run: a.Run, Who: a.Who, Why: a.Why, Until: Known(a.Until)}
}

// A Pause says who paused a job, as commands print it and the API returns it.
type Pause struct {
	Who   string     `json:"who"`
	Why   string     `json:"why,omitempty"`
	Since time.Time  `json:"since"`
	Until *time.Time `json:"until,omitempty"` // absent: until it is resumed
}

// DescribePause returns the document of a pause.
func DescribePause(p ledger.Pause) *Pause {
	return &Pause{Who: p.Who, Why: p.Why, Since: p.Since, Until: Known(p.Until)}
}

// Text says who paused the job, until when and why. write formats the instant.
func (p *Pause) Text(write func(time.Time) string) string {
	text := "paused by " + p.Who
	if p.Until != nil {
		text += " until " + write(*p.Until)
	}
	if p.Why != "" {
		text += ": " + p.Why
	}
	return text
}

// Known returns a pointer to a time, or nil if it is zero.
func Known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
