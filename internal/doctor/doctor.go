// Package doctor finds out, before jobs are due, what would keep them from running. A
// [Check] looks at one thing and returns its [Finding]s; [Run] makes checks
// concurrently, each for a bounded time. [Globus.Checks] returns the checks of an
// identity, its jobs and their collections. The caller adds checks of the machine:
// environment, files, network.
package doctor

import (
	"context"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
)

// A Level says how bad a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning" // jobs may run, or may run later
	Error   Level = "error"   // jobs will not run
)

// A Finding is one thing that was seen.
type Finding struct {
	Group   string `json:"-"`       // heading
	Check   string `json:"check"`   // name of the check, in snake_case
	Subject string `json:"subject"` // what was checked, such as a collection; may be empty
	Level   Level  `json:"level"`
	Seen    string `json:"seen"`
	Advice  string `json:"advice"` // one sentence: what to do, or what to ask for; may be empty
	Code    string `json:"code"`   // of Globus; may be empty

	// NotChecked names what was not checked because of it: other checks of
	// the same group, or other groups.
	NotChecked []string `json:"not_checked,omitempty"`

	// Ends is the end of an access that the jobs need; see [Globus.Ending].
	Ends time.Time `json:"-"`
	Jobs []string  `json:"-"`
	// Unseen is why it is not known when an access ends; nil if it is known.
	Unseen error `json:"-"`

	Kind fault.Kind `json:"-"` // of an Error
	// Stop says that checks that need this one are not made.
	Stop bool `json:"-"`
}

// Good returns a finding that needs no action.
func Good(seen string) Finding { return Finding{Level: OK, Seen: seen} }

// Doubt returns a warning.
func Doubt(seen, advice string) Finding {
	return Finding{Level: Warning, Seen: seen, Advice: advice}
}

// Bad returns an error.
func Bad(kind fault.Kind, seen, advice string) Finding {
	return Finding{Level: Error, Seen: seen, Advice: advice, Kind: kind}
}

// Stopping returns f with Stop set.
func (f Finding) Stopping() Finding {
	f.Stop = true
	return f
}

// A Check looks at one thing.
type Check struct {
	Group   string // heading of its findings
	Name    string // in snake_case
	Subject string // may be empty
	// Needs are the checks to wait for. If one of them stops or is not
	// made, neither is this one.
	Needs []*Check
	// Look makes the check. It may return no findings, and should return
	// when ctx ends.
	Look func(ctx context.Context) []Finding
	// Quiet says that nobody need be told if the check is not made.
	Quiet bool
	// Slow is how many times longer than others it may take; 0 means 1.
	Slow int
	// Grace is extra time for a Look that has to clean up after its context
	// has ended. Its findings then count.
	Grace time.Duration
}
