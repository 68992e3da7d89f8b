package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// A resultDocument is the result of a run as it is printed. Its JSON form is
// stable.
type resultDocument struct {
	Job      string         `json:"job"`
	Key      string         `json:"key"`
	State    ledger.State   `json:"state"`
	ExitCode int            `json:"exit_code"`
	Attempt  int            `json:"attempt"`
	Adopted  bool           `json:"adopted"`
	TaskID   string         `json:"task_id,omitempty"` // of the only task
	Tasks    []taskDocument `json:"tasks"`

	totals
	FilesDeleted        *int64 `json:"files_deleted,omitempty"`          // of mirrors, if it is known
	FilesDeletedAtLeast bool   `json:"files_deleted_at_least,omitempty"` // there may be more

	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Note     string    `json:"note,omitempty"`
	Error    *problem  `json:"error,omitempty"`

	elapsed time.Duration
	rate    int64 // of the last transfer, in bytes per second
}

// totals are sums over the tasks of a run.
type totals struct {
	Files         int64 `json:"files_transferred"`
	FilesSkipped  int64 `json:"files_skipped"`
	Bytes         int64 `json:"bytes_transferred"`
	SkippedErrors int64 `json:"skipped_errors"`
	Faults        int64 `json:"faults"`
}

// files says what became of files.
func (t totals) files() string {
	return fmt.Sprintf("%d transferred, %d skipped because they were there", t.Files, t.FilesSkipped)
}

// A resultsDocument is the results of several jobs that were run at once.
type resultsDocument struct {
	Runs []*resultDocument `json:"runs"`
}

// A taskDocument is one task of a result.
type taskDocument struct {
	TaskID       string `json:"task_id"`
	SubmissionID string `json:"submission_id,omitempty"`
	Status       string `json:"status,omitempty"` // empty if it was not looked at
	Label        string `json:"label"`
}

// document makes the printed form of a result.
func (a *app) document(ctx context.Context, r *engine.Result) *resultDocument {
	d := &resultDocument{
		Job: r.Job, Key: string(r.Key), State: r.State,
		Attempt: r.Attempt, Adopted: r.Adopted, Tasks: []taskDocument{},
		Started: r.Started.Truncate(time.Second), Finished: r.Finished.Truncate(time.Second),
		Note: r.Note, totals: totals(r.Totals()), elapsed: r.Finished.Sub(r.Started),
	}
	for _, t := range r.Tasks {
		row := taskDocument{TaskID: t.TaskID, SubmissionID: t.SubmissionID, Label: t.Label}
		if last := t.Last; last != nil {
			row.Status = string(last.Status)
			if last.Type != "DELETE" {
				d.rate = last.EffectiveBytesPerSecond
			}
		}
		d.Tasks = append(d.Tasks, row)
	}
	if len(d.Tasks) == 1 {
		d.TaskID = d.Tasks[0].TaskID
	}
	if deleted := r.Deleted(); deleted != nil {
		d.FilesDeleted, d.FilesDeletedAtLeast = &deleted.Files, deleted.AtLeast
	}
	if r.Err != nil {
		p := classify(ctx, r.Err)
		p.Message = a.sentence(r.Err)
		d.ExitCode, d.Error = p.status, &p
	}
	return d
}

// tasksShown is how many tasks of a run are named.
const tasksShown = 10

// text prints the result for people. A run without a task has nothing to show
// but its error, which is shown elsewhere.
func (d *resultDocument) text(w io.Writer) {
	if len(d.Tasks) == 0 {
		if d.Note != "" && d.Error == nil {
			fmt.Fprintln(w, plain.Line(d.Note))
		}
		return
	}
	last := d.Tasks[len(d.Tasks)-1]
	pairs := []string{"job", d.Job, "occurrence", d.Key}
	if len(d.Tasks) == 1 {
		pairs = append(pairs, "task", last.TaskID, "submission", last.SubmissionID)
	} else {
		for _, t := range d.Tasks[:min(len(d.Tasks), tasksShown)] {
			pairs = append(pairs, "task", fmt.Sprintf("%s (%s)", t.TaskID, t.Label))
		}
		if more := len(d.Tasks) - tasksShown; more > 0 {
			pairs = append(pairs, "task", fmt.Sprintf("and %d more: -F json prints all", more))
		}
	}
	pairs = append(pairs, "state", string(d.State))
	if d.Adopted {
		pairs = append(pairs, "adopted", "yes, an earlier start had submitted it")
	}
	if last.Status != "" {
		pairs = append(pairs,
			"files", d.files(),
			"bytes", fmt.Sprintf("%s (%s/s)", size(d.Bytes), size(d.rate)),
			"skipped errors", fmt.Sprint(d.SkippedErrors),
			"faults", fmt.Sprint(d.Faults),
		)
	}
	if d.FilesDeleted != nil {
		pairs = append(pairs, "files deleted", engine.Deletes{Files: *d.FilesDeleted, AtLeast: d.FilesDeletedAtLeast}.String())
	}
	pairs = append(pairs, "elapsed", seconds(d.elapsed).String())
	properties(w, pairs...)
}
