package engine

import (
	"time"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// An Observer is told what the engine does, so that it can be shown and counted.
type Observer interface {
	// Observe may be called concurrently. The engine waits for its return.
	Observe(Event)
}

// An Event is one of the types below.
type Event interface{ event() }

type (
	// Looked is a look at a task.
	Looked struct {
		Job     string
		Task    *transfer.Task
		Class   Class
		Started time.Time // when the run began
	}

	// Ended says that a run of a [Scheduler] has ended, or was left to a later
	// start.
	Ended struct {
		Job      *jobs.Job
		Result   *Result
		Lateness time.Duration // zero if it was not due at an instant
	}

	// Planned is the next start of a job.
	Planned struct {
		Job  string
		Next time.Time // zero if it has none on a schedule
	}

	// ItemsLooked is a look at the folder of a job: how many items are in each state.
	ItemsLooked struct {
		Job    string
		States map[arrival.State]int
	}

	// LooksFail says since when looks at the folder of a job fail.
	LooksFail struct {
		Job   string
		Since time.Time // zero if they do not, or if another replica looks
	}

	// Removed says that a job was removed.
	Removed struct{ Job string }

	// Queued says how many occurrences wait for a place, and how many have one.
	Queued struct {
		Waiting, Active int
		Oldest          time.Time // when the first that waits was due; zero if none was due at an instant
	}

	// Told says that there may be notices to be sent.
	Told struct{}

	// Turned is a turn of the scheduler's loop. There is one at least once a minute.
	Turned struct{}
)

func (Looked) event()      {}
func (Ended) event()       {}
func (Planned) event()     {}
func (ItemsLooked) event() {}
func (LooksFail) event()   {}
func (Removed) event()     {}
func (Queued) event()      {}
func (Told) event()        {}
func (Turned) event()      {}

// observe tells the observer, if there is one.
func (e *Engine) observe(what Event) {
	if e.observer != nil {
		e.observer.Observe(what)
	}
}
