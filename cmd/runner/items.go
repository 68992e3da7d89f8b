package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/jobs"
)

const aboutItems = `List the items of a job with for_each, and say what each of them waits for.

The list shows what the last look found: "runner serve" looks when the job's
schedule says so, and "runner run JOB" looks once. --look looks at the folder now,
also lists items that are left out, and records nothing. Without a ledger, every
list is a look.

Items that are ready but have not begun are queued. They start in the order that
for_each says, at most max_active at the same time.`

// An itemDocument is an item of a job as it is printed.
type itemDocument struct {
	Name       string     `json:"name"`
	Key        string     `json:"key,omitempty"` // of its newest occurrence; empty for what is left out
	Generation int        `json:"generation"`    // how many occurrences it has had, with this one
	State      string     `json:"state"`
	Why        string     `json:"why,omitempty"`
	Position   int        `json:"position,omitempty"` // among those that are queued, from 1
	Since      *time.Time `json:"since,omitempty"`    // when it came into the state
	Gone       *time.Time `json:"gone,omitempty"`     // since when the folder does not have it
	Size       *int64     `json:"size,omitempty"`     // bytes; of a folder only if all of it was listed
	Modified   *time.Time `json:"modified,omitempty"`
	Looked     *time.Time `json:"looked,omitempty"` // when it was listed last
	Run        int64      `json:"run,omitempty"`
}

// A lookDocument says how the looks at the folder of a job went.
type lookDocument struct {
	Looked *time.Time `json:"looked,omitempty"` // when the last one that saw the folder ended
	Failed *time.Time `json:"failed,omitempty"` // when the last one ended early; absent if it did not
	Why    string     `json:"why,omitempty"`    // it ended early
	Next   *time.Time `json:"next,omitempty"`   // when the next one is due
}

// An itemsResult is the result of "runner items".
type itemsResult struct {
	list[itemDocument]
	Look *lookDocument `json:"look,omitempty"` // without --look, and with a ledger
}

func (a *app) itemsCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	var look bool
	var state string
	c := &cobra.Command{
		Use:   "items JOB",
		Short: "List the items of a job, and what they wait for",
		Long:  aboutItems,
		Example: `  runner items archive-runs
  runner items archive-runs --state failed -F json --jmespath 'data[].name'`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			job, err := source.watching(args[0])
			if err != nil {
				return err
			}
			ifAbsent := refuseIfAbsent
			if look {
				ifAbsent = nilIfAbsent
			}
			l, err := a.openLedger(c.Context(), ifAbsent)
			if err != nil {
				return err
			}
			if l != nil {
				defer l.Close() //nolint:errcheck // it was only read
			}
			docs, err := a.itemsOf(c.Context(), l, job, look)
			if err != nil {
				return err
			}
			if state != "" {
				docs = slices.DeleteFunc(docs, func(d itemDocument) bool { return d.State != state })
			}
			result := itemsResult{list: newList(docs)}
			if l != nil && !look {
				if result.Look, err = lastLook(c.Context(), l, job); err != nil {
					return err
				}
			}
			return a.print(result, result.text)
		},
	}
	source.flags(c.Flags())
	c.Flags().BoolVar(&look, "look", false, "look at the folder now, and also list items that are left out")
	c.Flags().Var(oneOf(&state, "STATE", itemStates()...), "state", "only items in this state, such as waiting, queued, active, done or failed")
	return c
}

// itemStates are all states of an item.
func itemStates() []string {
	all := []string{string(ledger.Skipped), string(ledger.TimedOut)}
	for _, s := range arrival.States() {
		all = append(all, string(s))
	}
	return all
}

// watching returns a job of the jobs file, which must have a for_each.
func (s *jobsSource) watching(name string) (*jobs.Job, error) {
	file, err := s.load(name)
	if err != nil {
		return nil, err
	}
	job, err := file.job(name)
	if err != nil {
		return nil, err
	}
	if job.ForEach == nil {
		return nil, usageError{fmt.Errorf("job %s has no for_each, so it has no items", name)}
	}
	return job, nil
}

// itemsOf returns the items of a job, by name. Without a ledger, and with look, it
// looks at the folder.
func (a *app) itemsOf(ctx context.Context, l *ledger.Ledger, job *jobs.Job, look bool) ([]itemDocument, error) {
	if l == nil {
		return a.lookNow(func(e *engine.Engine) findings { return e.FindingsWithoutLedger(ctx, job) })
	}
	if look {
		return a.lookNow(func(e *engine.Engine) findings { return e.Findings(ctx, l, job) })
	}
	var docs []itemDocument
	states := map[int64]ledger.State{}
	for row, err := range l.Items(ctx, job.Name) {
		if err != nil {
			return nil, err
		}
		docs = append(docs, describeItem(row))
		states[row.Run] = row.RunState
	}
	held, err := runlog.HeldRuns(ctx, l, states)
	if err != nil {
		return nil, err
	}
	for i := range docs {
		if why := held[docs[i].Run]; why != "" {
			docs[i].Why += "; " + why
		}
	}
	return a.numbered(ctx, l, job, docs)
}

// numbered adds the position in the queue to each item that is queued.
func (a *app) numbered(ctx context.Context, l *ledger.Ledger, job *jobs.Job, docs []itemDocument) ([]itemDocument, error) {
	queue, err := engine.Queue(ctx, l, job)
	place := make(map[jobs.Key]int, len(queue))
	for i, key := range queue {
		place[key] = i + 1
	}
	for i := range docs {
		docs[i].Position = place[jobs.Key(docs[i].Key)]
	}
	return docs, err
}

// describeItem describes an item of the ledger.
func describeItem(row *ledger.Item) itemDocument {
	d := itemDocument{
		Name: row.Name, Key: row.Key, Generation: row.Generation, State: row.State, Why: row.Why, Since: runlog.Known(row.Since), Gone: runlog.Known(row.Gone),
		Size: engine.ItemSize(row.Size, row.Fingerprint), Modified: runlog.Known(row.Modified), Looked: runlog.Known(row.Looked), Run: row.Run,
	}
	d.State, d.Why = engine.ItemState(row, time.Now())
	return d
}

// findings yields what a look finds.
type findings = iter.Seq2[arrival.Finding, error]

// lookNow returns what a look finds, and records nothing.
func (a *app) lookNow(look func(*engine.Engine) findings) ([]itemDocument, error) {
	globus, err := a.connect(wiring{})
	if err != nil {
		return nil, err
	}
	var docs []itemDocument
	e := engine.New(globus.transfer, a.log, engine.WithClock(globus.clock))
	for f, err := range look(e) {
		if err != nil {
			return nil, err
		}
		d := itemDocument{
			Name: f.Item.Name, Key: string(f.Key), Generation: f.Generation, State: string(f.State), Why: f.Why,
			Size: engine.ItemSize(f.Item.Size, f.Fingerprint), Modified: runlog.Known(f.Item.Time), Looked: runlog.Known(f.Looked.Time),
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// lastLook returns how the looks at the folder of a job went.
func lastLook(ctx context.Context, l *ledger.Ledger, job *jobs.Job) (*lookDocument, error) {
	last, err := l.LastLook(ctx, job.Name)
	d := &lookDocument{Looked: runlog.Known(last.Looked), Failed: runlog.Known(last.Failed), Why: last.Why}
	if job.Schedule != nil && !job.Suspend {
		d.Next = runlog.Known(job.Schedule.Next(time.Now()).UTC())
	}
	return d, err
}

// text says whether the looks succeed, and when the next one comes.
func (d *lookDocument) text() string {
	var said string
	switch {
	case d.Failed != nil:
		said = fmt.Sprintf("the last look failed at %s: %s", d.Failed.Format(time.RFC3339), d.Why)
	case d.Looked != nil:
		said = "the last look was at " + d.Looked.Format(time.RFC3339)
	default:
		said = "nothing has looked at the folder yet"
	}
	if d.Next != nil {
		said += "; the next one is due at " + d.Next.Format(time.RFC3339)
	}
	return plain.Line(said)
}

// text prints the table, and below it how the looks went.
func (r *itemsResult) text(w io.Writer) {
	var rows [][]string
	for _, d := range r.Data {
		why := d.Why
		if d.Position > 0 {
			why = "place " + strconv.Itoa(d.Position)
		}
		since, modified, bytes := "", "", "-"
		if d.Since != nil {
			since = d.Since.Format(time.RFC3339)
		}
		if d.Modified != nil {
			modified = d.Modified.Format(time.RFC3339)
		}
		if d.Size != nil {
			bytes = size(*d.Size)
		}
		rows = append(rows, []string{shortened(d.Name), words(d.State), modified, bytes, since, cmp.Or(why, "-")})
	}
	tableOr(w, "no items", []string{"ITEM", "STATE", "MODIFIED", "SIZE", "SINCE", "WHY"}, rows)
	if r.Look != nil {
		fmt.Fprintln(w, r.Look.text())
	}
}
