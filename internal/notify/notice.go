// Package notify decides what people and machines hear of: which events of a run or
// of a job become notices, and on which channels. Package channel sends a notice, and
// package ledger keeps it until it is sent.
//
// A [Desk] makes notices of what the engine reports. A [Watch] makes those about what does
// not happen, such as a late run, and an [AccessWatch] those about access that ends soon.
// Each returns or applies a [ledger.Transition], because what was told before is kept in
// the ledger. A [Sender] sends the notices that wait there.
package notify

import (
	"context"
	"time"
)

// An Event says what a notice is about.
type Event string

// The events, by the names that they have in a jobs file.
const (
	Failed     Event = "failed"      // a run ended without success
	Recovered  Event = "recovered"   // what was reported before is over
	Skipped    Event = "skipped"     // a run did not begin, by policy
	NeedsHuman Event = "needs_human" // a task is suspended or paused
	Stalled    Event = "stalled"     // a task makes no progress, or is hopeless
	Refused    Event = "refused"     // a guard refused to submit
	Late       Event = "late"        // an occurrence is due and has not begun
	Overdue    Event = "overdue"     // there was no success for too long
	Nothing    Event = "nothing"     // a run succeeded with less than expected
	Missing    Event = "missing"     // an audit found files without a copy
	Digest     Event = "digest"      // what happened in a day or a week
	Access     Event = "access"      // a grant, a secret or a certificate ends soon

	// Started and Succeeded are events of each run. With Failed, they are what a
	// dead-man service wants to hear.
	Started   Event = "started"
	Succeeded Event = "succeeded"

	// Test is the event of a notice that somebody sends to try a channel.
	Test Event = "test"

	// Canceled is the kind of the alarm about runs that were canceled. Its notices have
	// the event Failed. It has a kind of its own because it must not hide a failure, and
	// nothing recovers from it.
	Canceled Event = "canceled"
)

// Events returns all events.
func Events() []Event {
	return []Event{
		Failed, Recovered, Skipped, NeedsHuman, Stalled, Refused, Late, Overdue, Nothing, Missing, Digest, Access, Started, Succeeded, Test,
	}
}

// Words returns the words for all events.
func (Event) Words() []string {
	var all []string
	for _, e := range Events() {
		all = append(all, string(e))
	}
	return all
}

// A Notice is one message to people or machines about an event of a run or a job.
// Its texts are clean, but not escaped: a channel escapes them as its format wants.
// None of them can hold a secret.
type Notice struct {
	ID    string    `json:"id"` // the same each time the notice is sent
	Event Event     `json:"event"`
	Job   string    `json:"job,omitempty"`   // empty for a digest
	Key   string    `json:"key,omitempty"`   // of the occurrence; may be empty
	Run   int64     `json:"run,omitempty"`   // in the ledger; 0 if there is none
	Time  time.Time `json:"time"`            // of the event
	Title string    `json:"title"`           // one sentence: what happened, to which job
	Lines []string  `json:"lines,omitempty"` // why, and what to do next
	Error *Cause    `json:"error,omitempty"` // nil where nothing went wrong
	Tasks []Task    `json:"tasks,omitempty"` // of the run, in the order of their submission
	Link  string    `json:"link,omitempty"`  // to the run or job on the page; set when it is sent, if the page's address is known
	Files *int64    `json:"files,omitempty"` // that were copied; nil if that is not known
	Bytes *int64    `json:"bytes,omitempty"` // that were copied; nil if that is not known
}

// A Cause is what went wrong.
type Cause struct {
	Class     string `json:"class"`                // as in the results of runner run
	Code      string `json:"code,omitempty"`       // Globus's; may be empty
	Message   string `json:"message"`              // what happened
	RequestID string `json:"request_id,omitempty"` // to quote to Globus support; may be empty
	Next      string `json:"next,omitempty"`       // the next step; empty if Message has it or there is none
}

// A Task is a task of a run at Globus.
type Task struct {
	TaskID string `json:"task_id"`
	Flow   string `json:"flow_id,omitempty"` // then task_id is that of a run of this flow
	Label  string `json:"label,omitempty"`
	Link   string `json:"link"` // at app.globus.org
}

// TestNotice returns the notice that tries a channel.
func TestNotice(channel string, now time.Time) *Notice {
	return &Notice{
		ID: digest("test", channel, now.Format(time.RFC3339Nano)), Event: Test, Time: now,
		Title: "This is a test of the channel " + channel,
		Lines: []string{"Somebody has started runner notify test " + channel, "There is nothing to do: notices arrive here"},
	}
}

// A Channel sends notices. Send may be called concurrently. It returns nil when the
// receiver has taken the notice. If the error has a method Lasting() bool that returns
// true, sending again is of no use. If it has a method RetryAfter() time.Duration, that
// says how long to wait before sending again.
type Channel interface {
	Send(ctx context.Context, n *Notice) error
}
