package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/internal/sharing"
	"github.com/globus-runner/globus-runner/transfer"
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

	runlog.Totals
	FilesDeleted        *int64 `json:"files_deleted,omitempty"`          // of mirrors, if it is known
	FilesDeletedAtLeast bool   `json:"files_deleted_at_least,omitempty"` // there may be more

	Pruned   *prunedDocument         `json:"pruned,omitempty"`  // by the prunes of this start
	Audited  map[audit.Verdict]int64 `json:"audited,omitempty"` // files by verdict
	Shared   []*sharing.Rule         `json:"shared,omitempty"`  // access rules, in the order of the steps
	Started  time.Time               `json:"started"`
	Finished time.Time               `json:"finished"`
	Note     string                  `json:"note,omitempty"`
	Error    *errorDocument          `json:"error,omitempty"`

	elapsed time.Duration
	done    time.Time // when the last of its tasks had succeeded, if that was before this start
	copied  bool      // one of the tasks is a transfer
	rate    int64     // of the last transfer, in bytes per second
}

// filesText says what became of files.
func filesText(t runlog.Totals) string {
	return fmt.Sprintf("%d transferred, %d skipped because they were there", t.Files, t.FilesSkipped)
}

// A prunedDocument is what the prunes of a run did.
type prunedDocument struct {
	FilesDeleted   int64                  `json:"files_deleted"`
	FoldersRemoved int64                  `json:"folders_removed"`
	Kept           map[proof.Reason]int64 `json:"kept"` // files by reason

	text string
}

// A resultsDocument is the results of several jobs that were run at once.
type resultsDocument struct {
	Runs []*resultDocument `json:"runs"`
}

// A taskDocument is one task of a result.
type taskDocument struct {
	TaskID       string `json:"task_id"`
	Flow         string `json:"flow_id,omitempty"` // then task_id is that of a run of this flow
	SubmissionID string `json:"submission_id,omitempty"`
	Status       string `json:"status,omitempty"` // empty if it was not looked at
	Label        string `json:"label"`
}

// kind says what it is for people.
func (t *taskDocument) kind() string {
	if t.Flow != "" {
		return "flow run"
	}
	return "task"
}

// document makes the printed form of a result.
func (a *app) document(ctx context.Context, r *engine.Result) *resultDocument {
	d := &resultDocument{
		Job: r.Job, Key: string(r.Key), State: r.State,
		Attempt: r.Attempt, Adopted: r.Adopted, Tasks: []taskDocument{},
		Started: r.Started.Truncate(time.Second), Finished: r.Finished.Truncate(time.Second),
		Note: r.Note, Shared: r.Shared, Totals: runlog.Totals(r.Totals()), elapsed: r.Finished.Sub(r.Started),
	}
	for _, t := range r.Tasks {
		row := taskDocument{TaskID: t.TaskID, Flow: t.Flow, SubmissionID: t.SubmissionID, Label: t.Label}
		if last := t.Last; last != nil {
			row.Status = string(last.Status)
			if last.Type != "DELETE" {
				d.copied = true
				d.rate = last.EffectiveBytesPerSecond
			}
		}
		if t.FlowRun != nil {
			row.Status = string(t.FlowRun.Status)
		}
		d.Tasks = append(d.Tasks, row)
	}
	if d.done = doneBefore(r); !d.done.IsZero() && d.Note == "" {
		d.Note = "it was done at " + d.done.UTC().Format(time.RFC3339) + "; nothing was copied now"
	}
	if len(d.Tasks) == 1 {
		d.TaskID = d.Tasks[0].TaskID
	}
	if deleted := r.Deleted(); deleted != nil {
		d.FilesDeleted, d.FilesDeletedAtLeast = &deleted.Files, deleted.AtLeast
	}
	if p := r.Pruned; p != nil {
		d.Pruned = &prunedDocument{p.Files, p.Folders, p.Kept, p.String()}
	}
	if r.Audited != nil {
		d.Audited = map[audit.Verdict]int64{}
		for _, v := range audit.Verdicts() {
			d.Audited[v] = r.Audited[v]
		}
	}
	if r.Err != nil {
		p := classify(ctx, r.Err)
		p.Message = a.sentence(r.Err)
		d.ExitCode, d.Error = a.status(ctx, r.Err), &p
	}
	return d
}

// doneBefore returns when the last task of a result had succeeded, if all had before this
// start; else zero.
func doneBefore(r *engine.Result) (last time.Time) {
	for _, t := range r.Tasks {
		if !r.Adopted || t.Last == nil || t.Last.Status != transfer.Succeeded || !t.Last.CompletionTime.Before(r.Started) {
			return time.Time{}
		}
		if end := t.Last.CompletionTime.Time; end.After(last) {
			last = end
		}
	}
	return last
}

// tasksShown is how many tasks of a run are named.
const tasksShown = 10

// text prints the result for people. A run that has done nothing has nothing to
// show but its error, which is shown elsewhere.
func (d *resultDocument) text(w io.Writer) {
	if len(d.Tasks) == 0 && d.Pruned == nil && d.Audited == nil && len(d.Shared) == 0 {
		if d.Note != "" && d.Error == nil {
			fmt.Fprintln(w, plain.Line(d.Note))
		}
		return
	}
	pairs := []string{"job", d.Job, "occurrence", d.Key}
	pairs = append(pairs, d.tasks()...)
	pairs = append(pairs, "state", string(d.State))
	if d.Adopted {
		how := "yes, an earlier start had submitted it"
		if !d.done.IsZero() {
			how += ", and " + d.Note
		}
		pairs = append(pairs, "adopted", how)
	}
	if d.copied {
		pairs = append(pairs, "files", filesText(d.Totals), "bytes", fmt.Sprintf("%s (%s/s)", size(d.Bytes), size(d.rate)))
	}
	if n := len(d.Tasks); n > 0 && d.Tasks[n-1].Status != "" {
		pairs = append(pairs,
			"skipped errors", fmt.Sprint(d.SkippedErrors),
			"faults", fmt.Sprint(d.Faults),
		)
	}
	if d.FilesDeleted != nil {
		pairs = append(pairs, "files deleted", engine.Deletes{Files: *d.FilesDeleted, AtLeast: d.FilesDeletedAtLeast}.String())
	}
	if d.Pruned != nil {
		pairs = append(pairs, "pruned", d.Pruned.text)
	}
	if d.Audited != nil {
		pairs = append(pairs, "audited", d.verdicts())
	}
	for _, rule := range d.Shared {
		pairs = append(pairs, "share", plain.Line(rule.String()))
	}
	pairs = append(pairs, "elapsed", seconds(d.elapsed).String())
	properties(w, pairs...)
}

// tasks names the tasks for people.
func (d *resultDocument) tasks() (pairs []string) {
	if len(d.Tasks) == 1 {
		return []string{d.Tasks[0].kind(), d.Tasks[0].TaskID, "submission", d.Tasks[0].SubmissionID}
	}
	for _, t := range d.Tasks[:min(len(d.Tasks), tasksShown)] {
		pairs = append(pairs, t.kind(), fmt.Sprintf("%s (%s)", t.TaskID, t.Label))
	}
	if more := len(d.Tasks) - tasksShown; more > 0 {
		pairs = append(pairs, "task", fmt.Sprintf("and %d more: -F json prints all", more))
	}
	return pairs
}

// verdicts are the numbers of an audit for people.
func (d *resultDocument) verdicts() string {
	var parts []string
	for _, v := range columns() {
		if n := d.Audited[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(v), "_", " ")))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "no files")
}
