package engine

import (
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Class says what progress an unfinished task makes.
type Class string

// The classes of an unfinished task.
const (
	Progressing Class = "progressing"
	Retrying    Class = "retrying"    // met an error, and Globus tries again
	Stalled     Class = "stalled"     // no progress for a long time
	Needs       Class = "needs_human" // suspended or paused
	Hopeless    Class = "hopeless"    // would make no progress until its deadline
)

// A task is hopeless when an error that does not pass by itself has stopped it for this
// long.
const (
	hopelessAtFirst = 10 * time.Second // before it has moved anything: somebody may be making its folder
	hopelessLater   = time.Minute      // after that: during a large file, the counters do not change
)

// A course records what the looks at one task have shown so far.
type course struct {
	stalledAfter time.Duration
	moved        time.Time // when progress was last seen, or the task was held
	work         int64     // the sum of the counters then
	stuck        time.Time // when an error that does not pass by itself was first seen; zero if there is none
	troubled     time.Time // when an error was first seen that is not overcome; zero if there is none
}

// classify records what the task shows now, and returns its class.
func (c *course) classify(t *transfer.Task, now time.Time) Class {
	needs := t.Status == transfer.Inactive || t.IsPaused
	// The time in which a task was held does not count.
	if w := workOf(t); w != c.work || c.moved.IsZero() || t.NiceStatus == "Queued" || needs {
		c.work, c.moved, c.stuck = w, now, time.Time{}
	}
	trouble := troubled(t)
	if !trouble {
		c.troubled = time.Time{}
	} else if c.troubled.IsZero() {
		c.troubled = now
	}
	if !trouble || !fault.OfTask(t.NiceStatus).Lasting {
		c.stuck = time.Time{}
	} else if c.stuck.IsZero() {
		c.stuck = now
	}
	patience := hopelessLater
	if t.BytesTransferred+t.FilesTransferred+t.FilesSkipped == 0 {
		patience = hopelessAtFirst
	}
	switch {
	case needs:
		return Needs
	case !c.stuck.IsZero() && now.Sub(c.stuck) >= patience:
		return Hopeless
	case now.Sub(c.moved) >= c.stalledAfter:
		return Stalled
	case trouble:
		return Retrying
	}
	return Progressing
}

// troubled reports whether the task has met an error that it has not overcome.
func troubled(t *transfer.Task) bool {
	switch t.NiceStatus {
	case "", "OK", "Queued":
		return t.IsOK != nil && !*t.IsOK
	}
	return true
}

// workOf returns a number that grows whenever the task makes progress.
func workOf(t *transfer.Task) int64 {
	return t.BytesTransferred + t.BytesChecksummed + t.Files + t.Directories +
		t.FilesTransferred + t.FilesSkipped + t.SubtasksSucceeded
}
