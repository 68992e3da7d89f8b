package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/jobs"
)

const aboutWhy = `Say when a job starts next, why its last runs did not succeed or have not ended,
and what its items wait for. With the number of a run, the key of an occurrence, or
the name of an item, say what has become of it.`

// recentRuns is among how many of the newest runs of a job "runner why" looks.
const recentRuns = 50

// A whyDocument says why something is as it is.
type whyDocument struct {
	Job   string `json:"job"`
	Key   string `json:"key,omitempty"` // of the occurrence; empty for the job itself
	Item  string `json:"item,omitempty"`
	State string `json:"state"`
	Why   string `json:"why"`
	Run   int64  `json:"run,omitempty"`
}

func (a *app) whyCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	c := &cobra.Command{
		Use:   "why JOB [RUN]",
		Short: "Explain the state of a job, a run or an item",
		Long:  aboutWhy,
		Example: `  runner why nightly
  runner why nightly 25
  runner why archive-runs run_7`,
		Args: arguments(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			job, err := source.job(args[0])
			if err != nil {
				return err
			}
			docs, err := a.reasons(c.Context(), job)
			if err != nil {
				return err
			}
			if len(args) > 1 {
				key, _ := jobs.ParseKey(args[1]) // nothing has the key that is none
				docs = slices.DeleteFunc(docs, func(d whyDocument) bool {
					return (d.Key != string(key) || key == "") && d.Item != args[1] && strconv.FormatInt(d.Run, 10) != args[1]
				})
				if len(docs) == 0 {
					return usageError{fmt.Errorf("job %[1]s has no item and no recent run %[2]q; runner runs --job %[1]s lists its runs", job.Name, args[1])}
				}
			} else {
				docs = slices.DeleteFunc(docs, func(d whyDocument) bool {
					return d.State == string(ledger.Succeeded) || d.State == string(arrival.IsDone)
				})
			}
			return a.print(newList(docs), func(w io.Writer) { whyTable(w, docs) })
		},
	}
	source.flags(c.Flags())
	return c
}

// reasons says why a job, its newest runs and its items are as they are.
func (a *app) reasons(ctx context.Context, job *jobs.Job) ([]whyDocument, error) {
	docs := []whyDocument{whyJob(job, time.Now())}
	l, err := a.openLedger(ctx, refuseIfAbsent)
	if err != nil {
		return nil, err
	}
	if l != nil {
		defer l.Close() //nolint:errcheck // it was only read
		paused, err := l.Pauses(ctx)
		if err != nil {
			return nil, err
		}
		if p := describePause(paused, job.Name); p != nil {
			docs[0].State, docs[0].Why = "paused", p.Text(rfc3339)
		}
		standings, err := l.Standings(ctx)
		if err != nil {
			return nil, err
		}
		docs[0].Why += whatIsAmiss(standings[job.Name])
	}
	about := map[string]bool{} // keys of items that have a run
	if job.ForEach != nil {
		if err := lookReason(ctx, l, job, &docs[0]); err != nil {
			return nil, err
		}
		items, err := a.itemsOf(ctx, l, job, false)
		if err != nil {
			return nil, err
		}
		for _, d := range items {
			docs = append(docs, whyDocument{Job: job.Name, Key: d.Key, Item: d.Name, State: d.State, Why: whyItem(&d), Run: d.Run})
			about[d.Key] = d.Run != 0
		}
	}
	if l == nil {
		return docs, nil
	}
	return runReasons(ctx, l, job, docs, about)
}

// runReasons adds to docs why the newest runs of a job are as they are. What is said of a run
// of an item whose key is in about goes into the item's own document.
func runReasons(ctx context.Context, l *ledger.Ledger, job *jobs.Job, docs []whyDocument, about map[string]bool) ([]whyDocument, error) {
	var succeeded int64 // the newest run that has, of a job without items
	for run, err := range l.Runs(ctx, ledger.Query{Job: job.Name, Limit: recentRuns}) {
		if err != nil {
			return nil, err
		}
		d := whyDocument{Job: job.Name, Key: run.Key, State: string(run.State), Why: runlog.Advice(run), Run: run.ID}
		if d.Why == "" && !run.State.Final() {
			if d.Why, err = unfinished(ctx, l, run); err != nil {
				return nil, err
			}
		}
		switch {
		case job.ForEach != nil || jobs.Key(run.Key).IsItem(): // another item makes up for nothing
		case run.State == ledger.Succeeded && succeeded == 0:
			succeeded = run.ID
		case run.State.Final() && run.State != ledger.Succeeded && succeeded != 0:
			d.Why += fmt.Sprintf("; run %d of this job, a newer one, has succeeded", succeeded)
		}
		if i := slices.IndexFunc(docs, func(d whyDocument) bool { return about[run.Key] && d.Run == run.ID }); i >= 0 {
			if d.Why != "" {
				docs[i].Why = d.Why
			}
			continue
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// whatIsAmiss says since when a job is late or overdue.
func whatIsAmiss(s ledger.Standing) (text string) {
	for _, a := range s.Alarms {
		if event := notify.Event(a.Kind); event == notify.Late || event == notify.Overdue {
			text += fmt.Sprintf("; %s since %s: %s", a.Kind, a.Since.UTC().Format(time.RFC3339), a.Why)
		}
	}
	return text
}

// unfinished says of a run of the ledger why it has not ended, and what holds it.
func unfinished(ctx context.Context, l *ledger.Ledger, run *ledger.Run) (string, error) {
	notes, err := l.Notes(ctx, run.ID)
	if err != nil {
		return "", err
	}
	died, err := l.Died(run.Holder)
	if err != nil {
		return "", err
	}
	return whyUnfinished(run, notes, !died && time.Now().Before(run.LeaseUntil)), nil
}

// whyUnfinished says why a run has not ended, and what holds it. Its holder may live.
func whyUnfinished(run *ledger.Run, notes []ledger.Note, lives bool) string {
	held := runlog.Held(run.State, notes)
	if held != "" {
		held = "; " + held
	}
	switch {
	case run.Holder == "":
		return "somebody has asked for it; it waits for runner serve to start it"
	case lives:
		return run.Holder + " works on it" + held
	default:
		return "nobody works on it; runner serve, or the next start of the job, will" + held
	}
}

// lookReason says of a job that looks for items if its last look has failed.
func lookReason(ctx context.Context, l *ledger.Ledger, job *jobs.Job, d *whyDocument) error {
	if l == nil || d.State == "paused" || d.State == "suspended" {
		return nil
	}
	look, err := lastLook(ctx, l, job)
	if err == nil && look.Failed != nil {
		d.Why = look.text()
	}
	return err
}

// whyJob says when a job starts.
func whyJob(job *jobs.Job, now time.Time) whyDocument {
	d := whyDocument{Job: job.Name, State: "by hand", Why: "it has no schedule, and starts with runner run " + job.Name}
	switch {
	case job.Suspend:
		d.State, d.Why = "suspended", "the jobs file says suspend: true"
	case job.After != "":
		d.State, d.Why = "follows", "it starts when "+job.After+" has succeeded"
	case job.Schedule != nil && job.ForEach != nil:
		d.State, d.Why = "scheduled", "it looks at "+job.ForEach.Folder+" next at "+job.Schedule.Next(now).UTC().Format(time.RFC3339)
	case job.Schedule != nil:
		at := job.Schedule.Next(now)
		d.State, d.Why = "scheduled", "it starts next at "+job.Due(jobs.ScheduledKey(at), at).UTC().Format(time.RFC3339)
	}
	return d
}

// whyItem says why an item is where it is.
func whyItem(d *itemDocument) string {
	switch {
	case d.Position > 0:
		return fmt.Sprintf("it is ready, and is number %d in the queue", d.Position)
	case d.Gone != nil:
		return "the folder does not have it since " + d.Gone.Format(time.RFC3339)
	}
	return d.Why
}

func whyTable(w io.Writer, docs []whyDocument) {
	var rows [][]string
	for _, d := range docs {
		about := d.Key
		if d.Item != "" {
			about = d.Item
		}
		rows = append(rows, []string{d.Job, shortened(about), words(d.State), d.Why})
	}
	table(w, []string{"JOB", "ABOUT", "STATE", "WHY"}, rows)
}
