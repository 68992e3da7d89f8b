package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A differ is the flags of "runner plan" that ask what an occurrence would do about
// each file, as both sides are now.
type differ struct {
	detail
	wanted bool // by --diff
}

func (d *differ) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&d.wanted, "diff", false, "list both sides, and say what would happen to each file")
	d.detail.flags(flags, "with --diff: print every file on its own line, and nothing else", "with --diff: how many paths of each action to print")
}

// check returns what is wrong with the flags.
func (d *differ) check(a *app) error {
	if d.list && !d.wanted {
		return usageError{errors.New("--list goes with --diff")}
	}
	return d.detail.check(a)
}

// A diffDocument is what one step would do.
type diffDocument struct {
	Counts map[audit.Action]tally `json:"counts"`
	First  []changeDocument       `json:"first"` // of each action but same
	// Kept counts what a prune keeps, by reason.
	Kept map[string]int64 `json:"kept,omitempty"`
	// Note says why a prune deletes nothing yet.
	Note string `json:"note,omitempty"`
	// Refused says that the step would be refused, and why.
	Refused string `json:"refused,omitempty"`
	// Replaced says which only copies of pruned files the job lets be replaced.
	Replaced string `json:"replaced,omitempty"`
}

// A tally counts files, or what is counted like them.
type tally struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

func (t *tally) add(bytes int64) { t.Files++; t.Bytes += bytes }

func (t tally) String() string {
	if t.Bytes == 0 {
		return strconv.FormatInt(t.Files, 10)
	}
	return fmt.Sprintf("%d, %s", t.Files, size(t.Bytes))
}

// A changeDocument is what a task would do about one path.
type changeDocument struct {
	Step        int          `json:"step"` // from 1
	Action      audit.Action `json:"action"`
	Source      string       `json:"source,omitempty"`
	Destination string       `json:"destination,omitempty"`
	Size        int64        `json:"size"`
	Why         string       `json:"why,omitempty"`
}

// explain says what an action means.
func explain(a audit.Action) string {
	return map[audit.Action]string{
		audit.Copy:       "not at the destination",
		audit.Replace:    "copied over the file at the destination",
		audit.Compare:    "Globus compares them first, and copies what differs",
		audit.Same:       "stays as it is by the sync level",
		audit.Delete:     "not at the source, or deleted by the step",
		audit.Keep:       "not proven to be elsewhere",
		audit.Exclude:    "left out by a filter rule; a folder with all below it counts once",
		audit.CopyLink:   "symbolic links, made again at the destination",
		audit.FollowLink: "symbolic links, of which Globus copies what they lead to",
		audit.LeaveLink:  "symbolic links, left out",
		audit.LeaveOther: "neither files nor folders, left out",
		audit.Block:      "cannot be done, because of what is there",
		audit.Absent:     "does not exist",
		audit.Unlisted:   "folders that cannot be listed: what would happen below them is not known",
	}[a]
}

// run adds to each step of a plan what it would do now, or prints that as a list.
func (d *differ) run(ctx context.Context, a *app, o engine.Order, p *plan) error {
	switch {
	case !d.wanted:
		return nil
	case p.Sample:
		return usageError{fmt.Errorf("--diff: each run of job %s is about an item; name one with --item; runner items %s lists them", o.Job.Name, o.Job.ItemsOf)}
	}
	globus, err := a.connect(wiring{})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(a.stdout)
	for i, s := range p.Steps {
		if s.Transfer != nil || s.Delete != nil || s.Prune != nil && len(s.Prune.Of) > 0 {
			p.Steps[i].Diff = newDiff()
		}
	}
	c := comparison{app: a, globus: globus.transfer, job: o.Job, key: o.Key}
	c.engine = engine.New(globus.transfer, a.log, engine.WithManifests(a.inputs.open))
	for work, err := range c.engine.Works(o) {
		if err != nil {
			return usageError{err}
		}
		step := max(work.Position.Step, 1)
		to := p.Steps[step-1].Diff
		var changes iter.Seq2[audit.Change, error]
		switch {
		case to == nil:
			continue
		case work.Prune != nil:
			changes = c.pruned(ctx, work.Prune, to)
		default:
			changes = c.submitted(ctx, work.Document, to)
		}
		if err := d.take(a, changes, step, to, out); err != nil {
			return fmt.Errorf("compare both sides of step %d: %w", step, err)
		}
	}
	return unwritten(out.Flush())
}

func newDiff() *diffDocument {
	d := &diffDocument{Counts: map[audit.Action]tally{}, First: []changeDocument{}}
	for _, action := range audit.Actions() {
		d.Counts[action] = tally{}
	}
	return d
}

// A comparison finds out what the steps of a job would do now.
type comparison struct {
	app    *app
	globus *transfer.Client
	engine *engine.Engine
	job    *jobs.Job
	key    jobs.Key
}

// submitted yields what a document would do, and says whether it would replace the only
// copies of pruned files.
func (c *comparison) submitted(ctx context.Context, doc transfer.Document, to *diffDocument) iter.Seq2[audit.Change, error] {
	changes := audit.Diff(ctx, c.globus, doc)
	t, ok := doc.(*transfer.Transfer)
	if ok && t.DeleteDestinationExtra {
		changes = guarded(changes, t, &c.job.Guard, to)
	}
	if !ok || !c.job.Receipts {
		return changes
	}
	return c.replacing(ctx, changes, t, to)
}

// replacing passes on what a transfer would do, and says whether it would replace the
// only copies of pruned files.
func (c *comparison) replacing(ctx context.Context, changes iter.Seq2[audit.Change, error], t *transfer.Transfer, to *diffDocument) iter.Seq2[audit.Change, error] {
	return func(yield func(audit.Change, error) bool) {
		l, err := c.app.openLedger(ctx, nilIfAbsent)
		if err != nil {
			yield(audit.Change{}, err)
			return
		}
		if l == nil {
			changes(yield)
			return
		}
		defer l.Close() //nolint:errcheck // it was only read
		copies, err := c.engine.ReplacedCopies(ctx, l, c.job, c.key, t)
		if err != nil {
			yield(audit.Change{}, err)
			return
		}
		for change, err := range changes {
			if change.Action == audit.Replace || change.Action == audit.Compare {
				copies.See(change.Source, change.Size, change.Modified)
			}
			if !yield(change, err) || err != nil {
				return
			}
		}
		switch text, refused, err := copies.Say(ctx); {
		case err != nil:
			yield(audit.Change{}, err)
		case refused:
			to.Refused = text
		case text != "":
			to.Replaced = text
		}
	}
}

// pruned yields what a prune would do.
func (c *comparison) pruned(ctx context.Context, step *jobs.Prune, to *diffDocument) iter.Seq2[audit.Change, error] {
	return func(yield func(audit.Change, error) bool) {
		l, err := c.app.needLedger(ctx, nilIfAbsent)
		if err != nil {
			yield(audit.Change{}, err)
			return
		}
		if l != nil {
			defer l.Close() //nolint:errcheck // it was only read
		}
		if to.Note, err = noReceipts(ctx, l, step); err != nil {
			yield(audit.Change{}, err)
			return
		}
		to.Kept = map[string]int64{}
		var gone, files int64
		for f, err := range c.engine.Prospects(ctx, l, step, time.Now()) {
			change := audit.Change{Action: audit.Delete, Source: f.Path, Size: f.Size}
			if !f.Folder {
				files++
			}
			if f.Kept == "" {
				gone++
			} else {
				change.Action, change.Why = audit.Keep, errors.New(string(f.Kept))
				to.Kept[string(f.Kept)]++
			}
			if !yield(change, err) || err != nil {
				return
			}
		}
		if most := cmp.Or(step.MaxDelete, jobs.NoMaxDelete); !most.Allows(gone, files) {
			to.Refused = fmt.Sprintf("%d of %s would be deleted, more than max_delete allows (%s)", gone, plain.Count(files, "file"), most)
		}
	}
}

// noReceipts says that no job of a prune has a receipt; it returns nothing if one has.
// The ledger is nil if there is none yet.
func noReceipts(ctx context.Context, l *ledger.Ledger, step *jobs.Prune) (string, error) {
	what := "there are no receipts of %s yet"
	if l == nil {
		what = "there is no ledger yet, and so no receipt of %s"
	}
	for _, job := range step.Of {
		if l == nil {
			break
		}
		if all, err := l.Receipts(ctx, ledger.ReceiptQuery{Job: job}); err != nil || len(all) > 0 {
			return "", err
		}
	}
	return fmt.Sprintf(what+": a prune deletes nothing before", strings.Join(step.Of, ", ")), nil
}

// take counts or prints what a step would do.
func (d *differ) take(a *app, changes iter.Seq2[audit.Change, error], step int, to *diffDocument, out *bufio.Writer) error {
	for c, err := range changes {
		if err != nil {
			return err
		}
		change := changeDocument{Step: step, Action: c.Action, Source: c.Source, Destination: c.Destination, Size: c.Size}
		if c.Why != nil {
			if fault.Of(c.Why).Kind == fault.Credentials {
				return c.Why // nothing else will be seen either
			}
			change.Why = c.Why.Error()
		}
		if d.list {
			if err := a.printLine(out, change, strconv.Itoa(step), string(c.Action), strconv.FormatInt(c.Size, 10), c.Source, c.Destination, change.Why); err != nil {
				return err
			}
			continue
		}
		count := to.Counts[c.Action]
		if count.Files < int64(d.limit) && c.Action != audit.Same {
			to.First = append(to.First, change)
		}
		count.add(c.Size)
		to.Counts[c.Action] = count
	}
	return nil
}

// show prints for people what a step would do.
func (d *diffDocument) show(w io.Writer) {
	nothing := true
	for _, action := range audit.Actions() {
		n := d.Counts[action]
		if n.Files == 0 {
			continue
		}
		nothing = false
		why := explain(action)
		if action == audit.Delete && d.Kept != nil {
			why = "proven to be elsewhere"
		}
		fmt.Fprintf(w, "  %s: %s: %s\n", action, n, why)
		shown := int64(0)
		for _, c := range d.First {
			if c.Action != action {
				continue
			}
			shown++
			path := cmp.Or(c.Source, c.Destination)
			if c.Why != "" {
				path += ": " + c.Why
			}
			fmt.Fprintf(w, "    %s\n", plain.Line(path))
		}
		if more := n.Files - shown; more > 0 && action != audit.Same {
			fmt.Fprintf(w, "    and %d more; --list prints all\n", more)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(d.Kept)) {
		fmt.Fprintf(w, "  kept: %d: %s\n", d.Kept[reason], plain.Line(reason))
	}
	if d.Note != "" {
		fmt.Fprintf(w, "  %s\n", plain.Line(d.Note))
	}
	if d.Replaced != "" {
		fmt.Fprintf(w, "  %s\n", plain.Line(d.Replaced))
	}
	if d.Refused != "" {
		fmt.Fprintf(w, "  refused: %s\n", plain.Line(d.Refused))
	}
	if nothing && d.Note == "" {
		fmt.Fprintln(w, "  nothing to do")
	}
}
