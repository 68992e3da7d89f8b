// Package arrival finds the items of a watched folder that are ready. It decides by
// what a look finds there and by what was recorded of earlier looks. The caller
// records the result and starts the items that are ready.
package arrival

import (
	"context"
	"iter"
	"time"

	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
)

// A Stage is how far the newest occurrence of an item has come.
type Stage string

// The stages.
const (
	Unborn Stage = ""       // it has none: the item waits
	Queued Stage = "queued" // it was found ready, and nobody works on it yet
	Active Stage = "active"
	Done   Stage = "done"
	Failed Stage = "failed"
)

// Known is what was kept of an item.
type Known struct {
	Name       string
	Generation int   // of the newest occurrence, or of the one that it waits for; from 1
	Stage      Stage // of that occurrence
	// State and Why are what the last look said.
	State State
	Why   string
	// Fingerprint is that of the last look which saw all of the item, Unchanged for
	// how long it had been the same by then, and Looked the end of that look.
	Fingerprint string
	Unchanged   time.Duration
	Looked      Instant
	Modified    time.Time // the item's Time
	Size        int64     // the item's Size
	Gone        bool      // the last look did not find it
}

// A State is what a look says of an item.
type State string

// The states. An item that waits says for what.
const (
	IsReady      State = "ready"
	IsWaiting    State = "waiting"    // it has not been unchanged for long enough
	IsUnmarked   State = "no_marker"  // there is no marker
	IsLocked     State = "locked"     // there is a marker that must not be there
	IsYoung      State = "young"      // it was modified too short a time ago
	IsEmpty      State = "empty"      // it has no files, or only empty ones and no marker
	IsUnreadable State = "unreadable" // it could not be listed in whole
	IsRefused    State = "refused"    // Globus could not copy a thing of that name
	IsOld        State = "old"        // it is history
	IsIgnored    State = "ignored"    // it does not match
	IsGone       State = "gone"       // the folder does not have it any more
	IsQueued     State = "queued"
	IsActive     State = "active"
	IsDone       State = "done"
	IsFailed     State = "failed"
)

// States returns all states.
func States() []State {
	return []State{
		IsReady, IsWaiting, IsUnmarked, IsLocked, IsYoung, IsEmpty, IsUnreadable, IsRefused, IsOld, IsIgnored, IsGone,
		IsQueued, IsActive, IsDone, IsFailed,
	}
}

// A Finding is what a look says of one item.
type Finding struct {
	Item  jobs.Item // its Path is empty if Globus could not copy it
	State State
	Why   string // the state in words; empty where the word says it all
	Err   error  // why the item could not be listed, or cannot be copied

	// What is to be kept of the item, beside the State, Why, Time and Size. It is the
	// same as before unless Changed is set, which is never for a new entry that is
	// not an item. Key is that of the generation.
	Generation  int
	Key         jobs.Key
	Fingerprint string
	Unchanged   time.Duration
	Looked      Instant
	Changed     bool
}

// Look looks once at the folder of a job and judges what is in it. known yields
// what was kept of its items by byte order of their names, and so come the
// findings: of what is in the folder, and of what was known and is gone. An error,
// which is the last value, says that the look ended early; what came before it
// holds. If it comes first, nothing is known of the folder.
//
// The folder is listed once, and of the folders in it those that are new or
// waiting; where again is changed, those that are done as well. A few of them are
// listed at the same time. Memory holds the names of the folder.
func Look(ctx context.Context, lister tree.Lister, each *jobs.ForEach, known iter.Seq2[Known, error], clock *Clock) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		l := &look{ctx: ctx, lister: lister, each: each, clock: clock}
		defer l.group.Wait()
		defer cancel()
		l.run(known, yield)
	}
}
