// Package runlog says what happened in a run, from the ledger's records: its events
// ([Events]), what it moved or deleted ([Paths]), and what a person can do about it
// ([Advice], [Next]). It also has the documents of runs, actions and pauses that the
// command line and the API share.
package runlog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/transfer"
)

// An Event is something that happened in a run.
type Event struct {
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	Text string    `json:"text"`
}

// Events returns the events of a run in order of time. Most of them come from
// the records of the run and of its submissions; the others are notes.
func Events(r *ledger.Run, sent []ledger.Submission, notes []ledger.Note) []Event {
	events := []Event{{r.Claimed, "claimed", "occurrence " + r.Key}}
	for _, s := range sent {
		events = append(events, Event{s.Created, "recorded", fmt.Sprintf("submission %s, attempt %d: %s", s.ID, s.Attempt, s.Label)})
		if !s.Accepted.IsZero() {
			what := "task "
			if s.Flow != "" {
				what = "run of flow " + s.Flow + ": "
			}
			events = append(events, Event{s.Accepted, "submitted", what + s.TaskID})
		}
	}
	for _, n := range notes {
		events = append(events, Event{n.At, n.Kind, n.Text})
	}
	if r.State.Final() {
		events = append(events, Event{r.Finished, ledger.NoteEnded, string(r.State)})
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return events
}

// A Path is a path that a submission moves or deletes.
type Path struct {
	Source      string `json:"source,omitempty"`
	Destination string `json:"destination,omitempty"`
	Deleted     string `json:"deleted,omitempty"`
}

// String returns the path on one line.
func (p Path) String() string {
	if p.Deleted != "" {
		return "delete " + p.Deleted
	}
	return p.Source + " -> " + p.Destination
}

// mostPaths is how many paths of a run are shown; its submissions have all.
const mostPaths = 20

// Paths returns the paths that a run moves or deletes, each once, and the
// number of further ones. It ignores documents that cannot be read.
func Paths(sent []ledger.Submission) (paths []Path, more int) {
	seen := map[Path]bool{}
	add := func(p Path) {
		if seen[p] {
			return
		}
		seen[p] = true
		if len(paths) < mostPaths {
			paths = append(paths, p)
		} else {
			more++
		}
	}
	for _, s := range sent {
		var t transfer.Transfer
		if json.Unmarshal(s.Document, &t) == nil && t.SourceEndpoint != "" {
			for _, item := range t.Items {
				add(Path{Source: t.SourceEndpoint + ":" + item.SourcePath, Destination: t.DestinationEndpoint + ":" + item.DestinationPath})
			}
			continue
		}
		var d transfer.Delete
		if json.Unmarshal(s.Document, &d) == nil {
			for _, item := range d.Items {
				add(Path{Deleted: d.Endpoint + ":" + item.Path})
			}
		}
	}
	return paths, more
}

// Next returns the command to type next about a run, or "" if there is nothing to do.
func Next(r *ledger.Run, sent []ledger.Submission) string {
	switch r.State {
	case ledger.Succeeded:
		return ""
	case ledger.Skipped:
		if !strings.Contains(r.Message, retry) {
			return ""
		}
	case ledger.Claimed, ledger.Submitted:
		return fmt.Sprintf("runner runs cancel %d", r.ID)
	case ledger.Failed, ledger.TimedOut:
		if r.Class == missing {
			_, next, _ := strings.Cut(r.Message, "; ")
			return next
		}
		if r.Class == "guard" {
			of := r.Job
			if strings.HasPrefix(r.Key, "item:") {
				of += " --item " + r.Key
			}
			return fmt.Sprintf("runner plan %s --diff; when that is as it should be, runner runs retry %d", of, r.ID)
		}
		if i := len(sent) - 1; i >= 0 && sent[i].TaskID != "" && sent[i].Flow == "" && sent[i].Status != string(transfer.Succeeded) {
			return fmt.Sprintf("runner task events %s, then runner runs retry %d", sent[i].TaskID, r.ID)
		}
	}
	return fmt.Sprintf("runner runs retry %d", r.ID)
}
