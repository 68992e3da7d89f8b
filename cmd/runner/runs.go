package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/internal/spelling"
)

// A runDocument is a run of the ledger as it is printed.
type runDocument struct {
	runlog.Document
	ExitCode    *int                 `json:"exit_code,omitempty"` // nil until it has ended
	Next        string               `json:"next,omitempty"`      // the next command
	Paths       []runlog.Path        `json:"paths,omitempty"`
	MorePaths   int                  `json:"more_paths,omitempty"`
	Submissions []submissionDocument `json:"submissions,omitempty"`
	Events      []runlog.Event       `json:"events,omitempty"`
}

// A submissionDocument is one attempt at a part of a run.
type submissionDocument struct {
	SubmissionID string          `json:"submission_id"`
	TaskID       string          `json:"task_id,omitempty"`
	Flow         string          `json:"flow_id,omitempty"` // then task_id is that of a run of this flow
	URL          string          `json:"url,omitempty"`     // the task's page
	Status       string          `json:"status,omitempty"`
	Label        string          `json:"label"`
	Attempt      int             `json:"attempt"`
	Created      time.Time       `json:"created"`
	Document     json.RawMessage `json:"document"`
}

func describeRun(r *ledger.Run) runDocument {
	d := runDocument{Document: runlog.Describe(r)}
	if r.State.Final() {
		d.ExitCode = new(statusOf(kindOf(r.Outcome)))
	}
	return d
}

func (a *app) runsCommand() *cobra.Command {
	var q ledger.Query
	var from, until since
	c := &cobra.Command{
		Use:   "runs",
		Short: "List what was run, newest first",
		Example: `  runner runs --job nightly --state failed --since 2026-11-01
  runner runs --since 2026-11-24 --until 2026-11-25 --limit 0`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			q.Since, q.Until = from.time, until.time
			switch {
			case q.Limit < 0:
				return usageError{fmt.Errorf("--limit %d: want a number from 0 on; 0 lists all", q.Limit)}
			case !q.Until.IsZero() && !q.Since.Before(q.Until):
				return usageError{fmt.Errorf("--until %s is not after --since %s", until.text, from.text)}
			}
			return a.onRecords(c.Context(), func(ctx context.Context, l *ledger.Ledger) error { return a.listRuns(ctx, l, q) })
		},
	}
	c.Flags().StringVar(&q.Job, "job", "", "only this job")
	c.Flags().Var(oneOf(&q.State, "STATE", ledger.States()...), "state", "claimed, submitted, succeeded, failed, canceled, timed_out or skipped")
	c.Flags().Var(&from, "since", "started then or later: so long ago, such as 12h, or an instant such as 2026-11-21")
	c.Flags().Var(&until, "until", "started before: so long ago, such as 12h, or an instant such as 2026-11-22")
	c.Flags().IntVar(&q.Limit, "limit", 50, "how many to list; 0: all")
	c.AddCommand(
		a.onRun("show", "Show a run with its attempts, tasks and events", a.showRun),
		a.cancelCommand(),
		a.retryCommand(),
	)
	return c
}

// listRuns prints the runs that are asked for.
func (a *app) listRuns(ctx context.Context, l *ledger.Ledger, q ledger.Query) error {
	var docs []runDocument
	var rows [][]string
	var deleted []string // beside rows
	some := false
	unfinished := map[int64][]string{} // of rows
	for r, err := range l.Runs(ctx, q) {
		if err != nil {
			return err
		}
		docs = append(docs, describeRun(r))
		took := ""
		if r.State.Final() {
			took = seconds(r.Finished.Sub(r.Began)).String()
		}
		rows = append(rows, []string{
			strconv.FormatInt(r.ID, 10), r.Job, shortened(r.Key), string(r.State), started(r), took,
			strconv.FormatInt(r.Files, 10), size(r.Bytes), why(r),
		})
		if !r.State.Final() {
			unfinished[r.ID] = rows[len(rows)-1]
		}
		deleted = append(deleted, strconv.FormatInt(r.FilesDeleted, 10))
		some = some || r.FilesDeleted > 0
	}
	notes, err := l.NotesOn(ctx, slices.Collect(maps.Keys(unfinished))...)
	if err != nil {
		return err
	}
	for id, row := range unfinished {
		row[len(row)-1] = runlog.HeldBriefly(notes[id], maxBrief)
	}
	head := []string{"RUN", "JOB", "OCCURRENCE", "STATE", "STARTED", "TOOK", "FILES", "BYTES", "WHY"}
	if some {
		before := len(head) - 1
		head = slices.Insert(head, before, "DELETED")
		for i := range rows {
			rows[i] = slices.Insert(rows[i], before, deleted[i])
		}
	}
	nothing := "no runs yet"
	if len(docs) == 0 && q.Job != "" {
		if err := a.knownJob(ctx, l, q.Job); err != nil {
			return err
		}
		nothing += " of job " + q.Job
	}
	if q.State != "" || !q.Since.IsZero() || !q.Until.IsZero() {
		nothing = strings.Replace(nothing, "runs yet", "such runs", 1)
	}
	return a.print(newList(docs), func(w io.Writer) {
		tableOr(w, nothing, head, rows)
	})
}

// knownJob refuses the name of a job that neither the ledger nor the jobs file
// has.
func (a *app) knownJob(ctx context.Context, l *ledger.Ledger, name string) error {
	latest, err := l.Latest(ctx)
	if err != nil {
		return err
	}
	known := slices.Collect(maps.Keys(latest))
	if file, err := (jobsSource{env: a.env}).load(); err == nil { // what was run counts without a jobs file too
		known = append(known, file.names()...)
	}
	if slices.Contains(known, name) {
		return nil
	}
	slices.Sort(known)
	hint := "; no job has run yet, and there is no jobs file"
	if known = slices.Compact(known); len(known) > 0 {
		hint = cmp.Or(spelling.Hint(name, known...), "; there are "+someOf(known))
	}
	return usageError{fmt.Errorf("--job: neither the ledger nor the jobs file has a job %q%s", name, hint)}
}

// onRecords opens the ledger, which must be there, for as long as do takes.
func (a *app) onRecords(ctx context.Context, do func(context.Context, *ledger.Ledger) error) error {
	l, err := a.needLedger(ctx, refuseIfAbsent)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // every write was checked
	return do(ctx, l)
}

func parseRun(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id <= 0 {
		return 0, usageError{fmt.Errorf("%q is not the number of a run; runner runs lists them", s)}
	}
	return id, nil
}

func (a *app) showRun(ctx context.Context, l *ledger.Ledger, id int64) error {
	r, err := l.Run(ctx, id)
	if err != nil {
		return err
	}
	doc := describeRun(r)
	sent, err := l.Submissions(ctx, id)
	if err != nil {
		return err
	}
	for _, s := range sent {
		page := ""
		if s.TaskID != "" {
			page = a.env.TaskPage(s.TaskID, s.Flow)
		}
		doc.Submissions = append(doc.Submissions, submissionDocument{s.ID, s.TaskID, s.Flow, page, s.Status, s.Label, s.Attempt, s.Created, s.Document})
	}
	notes, err := l.Notes(ctx, id)
	if err != nil {
		return err
	}
	doc.Events = runlog.Events(r, sent, notes)
	doc.Paths, doc.MorePaths = runlog.Paths(sent)
	doc.Next = runlog.Next(r, sent)
	return a.print(doc, func(w io.Writer) { doc.text(w) })
}

// copied reports whether the run has a transfer, or may get one.
func (d *runDocument) copied() bool {
	isCopy := func(p runlog.Path) bool { return p.Source != "" }
	return d.Totals != runlog.Totals{} || slices.ContainsFunc(d.Paths, isCopy) || d.Finished == nil && len(d.Paths) == 0
}

// text prints all that is known of a run.
func (d *runDocument) text(w io.Writer) {
	pairs := []string{"run", strconv.FormatInt(d.Run, 10), "job", d.Job, "occurrence", d.Key, "state", d.State}
	if d.ExitCode != nil {
		pairs = append(pairs, "exit status", strconv.Itoa(*d.ExitCode))
	}
	if d.Error != nil {
		pairs = append(pairs, "why", plain.Line(d.Error.Text()))
	}
	pairs = append(pairs, "next", d.Next, "held by", d.Holder)
	if d.Waited() {
		pairs = append(pairs, "asked for", d.Claimed.Format(time.RFC3339))
	}
	if d.Began != nil {
		pairs = append(pairs, "started", d.Began.Format(time.RFC3339))
	}
	if d.Finished != nil {
		pairs = append(pairs, "finished", d.Finished.Format(time.RFC3339))
	}
	if d.copied() {
		pairs = append(pairs, "files", filesText(d.Totals), "bytes", size(d.Bytes))
	}
	if d.FilesDeleted > 0 {
		pairs = append(pairs, "files deleted", strconv.FormatInt(d.FilesDeleted, 10))
	}
	for _, p := range d.Paths {
		pairs = append(pairs, "path", plain.Line(p.String()))
	}
	if d.MorePaths > 0 {
		pairs = append(pairs, "path", fmt.Sprintf("and %d more", d.MorePaths))
	}
	for _, s := range d.Submissions {
		pairs = append(pairs, "see", s.URL)
	}
	properties(w, pairs...)
	var rows [][]string
	for _, s := range d.Submissions {
		rows = append(rows, []string{strconv.Itoa(s.Attempt), s.TaskID, s.Status, s.SubmissionID, s.Label})
	}
	table(w, []string{"ATTEMPT", "TASK", "STATUS", "SUBMISSION", "LABEL"}, rows)
	rows = nil
	for _, e := range d.Events {
		rows = append(rows, []string{e.Time.Format(time.RFC3339), e.Kind, e.Text})
	}
	table(w, []string{"TIME", "EVENT", "WHAT"}, rows)
}

// onRun makes a command with the number of a run as its argument.
func (a *app) onRun(name, short string, do func(ctx context.Context, l *ledger.Ledger, id int64) error) *cobra.Command {
	return &cobra.Command{
		Use:   name + " RUN",
		Short: short,
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseRun(args[0])
			if err != nil {
				return err
			}
			return a.onRecords(c.Context(), func(ctx context.Context, l *ledger.Ledger) error { return noRun(id, do(ctx, l, id)) })
		},
	}
}

// askOfRun is onRun for a command that asks for something, for a reason.
func (a *app) askOfRun(name, short string, do func(ctx context.Context, l *ledger.Ledger, id int64, reason string) error) *cobra.Command {
	var reason string
	c := a.onRun(name, short, func(ctx context.Context, l *ledger.Ledger, id int64) error { return do(ctx, l, id, reason) })
	c.Flags().StringVar(&reason, "reason", "", "the reason, which is recorded together with who asked")
	return c
}

const aboutCancel = `Cancel a run that has not ended, and its task. A run that failed, timed out or was
skipped is given up: it counts as canceled from now on, and is not reported any more.`

func (a *app) cancelCommand() *cobra.Command {
	c := a.askOfRun("cancel", "Cancel a run and its task, or give up one that failed", a.cancelRun)
	c.Long = aboutCancel
	c.Example = `  runner runs cancel 25 --reason "the sample was bad"`
	return c
}

// cancelRun asks whoever works on a run to cancel it, and does so itself if
// nobody does. A run that has ended without success is given up.
func (a *app) cancelRun(ctx context.Context, l *ledger.Ledger, id int64, reason string) error {
	done, refused := l.Act(ctx, ledger.Action{Kind: ledger.ActionCancel, Run: id, Who: a.user(), Why: reason, Alarms: notify.Failures()})
	if refused != nil && !errors.Is(refused, ledger.ErrState) {
		return refused
	}
	run, err := l.Run(ctx, id)
	switch {
	case err != nil:
		return err
	case refused != nil:
		return usageError{fmt.Errorf("run %d cannot be canceled: it %s already", id, run.State.Ending())}
	case done.GaveUp:
		return a.changed(ctx, l, id, fmt.Sprintf("run %[1]d is given up: it had ended, and counts as canceled now; to do it after all: runner runs retry %[1]d", id))
	}
	rec, leave := a.attend(ctx, l)
	defer leave()
	globus, err := a.connect(wiring{acts: true})
	if err != nil {
		a.log.Warn("if nobody works on the run, it is canceled by the next start of its job: this one cannot log in", "run", id, "err", err)
		return a.changed(ctx, l, id, fmt.Sprintf("run %d will be canceled by the start that works on it, or by the next one", id))
	}
	res, err := engine.New(globus.transfer, a.log, engine.WithFlows(globus.flows)).Cancel(ctx, rec, run)
	taken, busy := errors.AsType[*engine.Taken](err)
	switch {
	case busy && taken.Run.State.Final():
		return a.changed(ctx, l, id, fmt.Sprintf("run %d has ended meanwhile: %s", id, taken.Run.State))
	case busy:
		return a.changed(ctx, l, id, fmt.Sprintf("run %d will be canceled by the start that works on it", id))
	case err != nil:
		return err
	case !res.State.Final():
		return fmt.Errorf("cancel run %d: %w", id, res.Err)
	case res.State == ledger.Canceled && res.Err != nil:
		return a.changed(ctx, l, id, fmt.Sprintf("run %d: %v", id, res.Err))
	}
	return a.changed(ctx, l, id, fmt.Sprintf("run %d could not be canceled any more: it has %s", id, res.State))
}

// changed prints a run after a change; said says what will come of it.
func (a *app) changed(ctx context.Context, l *ledger.Ledger, id int64, said string) error {
	run, err := l.Run(ctx, id)
	if err != nil {
		return err
	}
	return a.print(describeRun(run), func(w io.Writer) { fmt.Fprintln(w, plain.Line(said)) })
}

// noRun puts what the ledger says about a run into words.
func noRun(id int64, err error) error {
	if errors.Is(err, ledger.ErrNone) {
		return usageError{fmt.Errorf("there is no run %d; runner runs lists them", id)}
	}
	return err
}

// notPossible is noRun for what is asked of a job.
func notPossible(err error) error {
	if errors.Is(err, ledger.ErrState) {
		return usageError{err}
	}
	return err
}
