// Package arrival finds the items of a watched folder that are ready. [Look] lists
// the folder and compares it with what earlier looks recorded. The caller records
// the findings and starts the items that are ready.
package arrival

import (
	"context"
	"iter"
	"time"

	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
)

// A Stage is the progress of the newest occurrence of an item.
type Stage string

// The stages.
const (
	Unborn Stage = ""       // there is none yet: the item waits
	Queued Stage = "queued" // it is ready, and no process works on it yet
	Active Stage = "active"
	Done   Stage = "done"
	Failed Stage = "failed"

	Canceled Stage = "canceled" // by somebody, who may also have given up one that failed
)

// Known is what the ledger recorded about an item.
type Known struct {
	Name       string
	Generation int   // of the newest occurrence, or of the next if the item waits; from 1
	Stage      Stage // of that occurrence
	// State and Why are the result of the last look.
	State State
	Why   string
	// Fingerprint is from the last look that saw all of the item, Unchanged is
	// how long it had been the same by then, and Looked is the end of that
	// look.
	Fingerprint string
	Unchanged   time.Duration
	Looked      Instant
	Modified    time.Time // the item's Time
	Size        int64     // the item's Size
	Gone        bool      // the last look did not find it
}

// A State is the result of a look at an item.
type State string

// The states.
const (
	IsReady      State = "ready"
	IsWaiting    State = "waiting"    // it has not been unchanged for long enough
	IsUnmarked   State = "no_marker"  // there is no marker
	IsLocked     State = "locked"     // there is a marker that must not be there
	IsYoung      State = "young"      // it was modified too recently
	IsEmpty      State = "empty"      // it has no files, or only empty ones and no marker
	IsUnreadable State = "unreadable" // it could not be listed completely
	IsRefused    State = "refused"    // Globus cannot copy a file of this name
	IsOld        State = "old"        // newer_than excludes it
	IsIgnored    State = "ignored"    // it does not match
	IsGone       State = "gone"       // the folder does not have it any more
	IsQueued     State = "queued"
	IsActive     State = "active"
	IsDone       State = "done"
	IsFailed     State = "failed"
	IsCanceled   State = "canceled"
)

// States returns all states.
func States() []State {
	return []State{
		IsReady, IsWaiting, IsUnmarked, IsLocked, IsYoung, IsEmpty, IsUnreadable, IsRefused, IsOld, IsIgnored, IsGone,
		IsQueued, IsActive, IsDone, IsFailed, IsCanceled,
	}
}

// A Finding is the result of a look for one item.
type Finding struct {
	Item  jobs.Item // its Path is empty if Globus could not copy it
	State State
	Why   string // more about the state; empty if there is nothing to add
	Err   error  // why the item could not be listed, or cannot be copied

	// What to record about the item, besides State, Why, Time and Size. It is the
	// same as before unless Changed is set, which it never is for a new entry
	// that is not an item. Key is the key of the generation.
	Generation  int
	Key         jobs.Key
	Fingerprint string
	Unchanged   time.Duration
	Looked      Instant
	Changed     bool
}

// Look looks once at the folder of a job. known yields what was recorded about its
// items, in byte order of their names. Look yields a finding, in the same order,
// for each entry of the folder and each known item that is gone. An error is the
// last pair and says that the look ended early; the findings before it are valid.
// If it comes first, nothing is known about the folder.
//
// The folder is listed once. Of its subfolders, those that are new or waiting are
// listed, and with again: changed also those that are done, a few at the same
// time. Memory holds the names in the folder.
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
