// Package report writes the result of a start for CI systems: as a JUnit report
// ([JUnit]), a Markdown summary ([Summary]), key=value lines ([Outputs]) and GitHub
// annotations ([Annotate]). It only formats; the caller decides where the text goes.
//
// Texts may come from anywhere, such as the name of a file at the source. They are
// escaped so that they cannot become markup or commands.
package report

import (
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// A Report is the result of one start of the program.
type Report struct {
	Runs     []Run // in the order of the command line; none if there was nothing to do
	ExitCode int   // of the process
}

// A Run is one job's part in a [Report].
type Run struct {
	Job           string // name; empty if the start ended before it had a job
	Key           string // of the occurrence; may be empty
	State         string // such as succeeded, failed, skipped, submitted
	ExitCode      int    // 0 for success
	Attempt       int    // from 1; 0 if nothing was submitted
	Adopted       bool   // an earlier start had submitted it
	Tasks         []Task // oldest first
	Files         int64  // transferred
	Bytes         int64  // transferred
	SkippedErrors int64
	Faults        int64
	Started       time.Time
	Elapsed       time.Duration
	Note          string // why policy skipped it, or that it was done before; may be empty
	Class         string // of the error; empty if there is none
	Error         string // one sentence; empty if there is none
}

// A Task is one task of a run.
type Task struct {
	ID  string
	URL string // of its page for people; may be empty
}

// State returns the state of the whole report: that of the first run with the
// report's exit code, or else of the first run, or "" without runs.
func (r Report) State() string {
	for _, run := range r.Runs {
		if run.ExitCode == r.ExitCode {
			return run.State
		}
	}
	if len(r.Runs) == 0 {
		return ""
	}
	return r.Runs[0].State
}

// name returns the name of the run for people.
func (r Run) name() string {
	if r.Job == "" {
		return "run"
	}
	return r.Job
}

// skipped returns why the run neither succeeded nor failed; empty if it did.
func (r Run) skipped() string {
	switch {
	case r.Error != "" || r.State == "succeeded":
		return ""
	case r.Note != "":
		return r.Note
	}
	return r.State + ", its end was not waited for"
}

// maxSentence is how many characters of a sentence are shown.
const maxSentence = 4000

// sentence returns a text on one line, shortened.
func sentence(s string) string { return plain.Short(s, maxSentence) }
