package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// An auditDocument is the result of an audit of a job.
type auditDocument struct {
	Job      string                  `json:"job"`
	Since    time.Time               `json:"since"`
	Verdicts map[audit.Verdict]tally `json:"verdicts"`
	// First are the first of each verdict that somebody may want to look at.
	First []findingDocument `json:"first"`
	// ReceiptsLeftOut is how many receipts were not read, because there are too many of
	// the same folders.
	ReceiptsLeftOut int `json:"receipts_left_out"`
	// FoldersWithoutReceipt counts those of all occurrences; of these, the folders of the
	// audited runs and of the newest occurrence are audited.
	FoldersWithoutReceipt int `json:"folders_without_receipt"`

	// RenamedFiles are present with names of another form.
	RenamedFiles int64 `json:"renamed_files"`

	renamed string             // one of them
	without engine.Unaccounted // the same folders
	once    bool               // the job copies its items once, even if they change
	late    bool               // a file of an item that is done is missing
	several bool               // the job copies to more than one collection
	next    []string           // what to do about files that are missing or lost, each once
}

// A findingDocument is the verdict on one file.
type findingDocument struct {
	Job         string        `json:"job"`
	Verdict     audit.Verdict `json:"verdict"`
	From        string        `json:"source_collection"` // id
	Source      string        `json:"source"`
	To          string        `json:"destination_collection"` // id
	Destination string        `json:"destination"`
	Size        int64         `json:"size"`
	Run         int64         `json:"run,omitempty"` // whose receipt tells, or that is to copy it
	Why         string        `json:"why,omitempty"`
	Next        string        `json:"next,omitempty"` // what to do about a file that is missing or lost
}

const aboutAudit = `List both sides of jobs, and report what has become of each file in their sources.
Nothing is changed.

  delivered   a receipt proves that the destination has it
  present     no receipt, but the destination has an equal file: the same size and,
              if the job preserves times, the same time, otherwise not older
  in_flight   a run that has not ended will copy it
  changed     it has changed since it was copied
  missing     it is not at the destination, or another job has replaced its copy
  lost        it was copied, and the copy is gone, or somebody unknown has replaced it
  pruned      a prune has deleted it after it was copied, and the copy is there
  excluded    a filter rule leaves it out; an excluded folder counts once
  vanished    a folder of a source is gone, although no prune has deleted its files
  unlisted    a folder cannot be listed
  link, other it is not a file

The audit covers the folders and files of the jobs' runs since --since, and those of
the newest occurrence that was due.

The exit status is 3 if a file is missing or lost, or if a folder has vanished or
cannot be listed. --list prints each file that is neither delivered nor present, or
present under another form of its name, on its own line: job, verdict, size, source,
destination, run, reason and, for a missing or lost file, the command that copies
it again, separated by tabs; or one JSON object.`

// An auditor carries out an audit.
type auditor struct {
	app   *app
	since since
	names shortNames
	detail
	out *bufio.Writer
}

func (a *app) auditCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	d := auditor{app: a, since: since{text: "30d", time: time.Now().Add(-30 * 24 * time.Hour)}, out: bufio.NewWriter(a.stdout)}
	c := &cobra.Command{
		Use:   "audit [JOB…]",
		Short: "Say what has become of each file of the sources of jobs",
		Long:  aboutAudit,
		Example: `  runner audit nightly --since 7d
  runner audit --list | grep missing`,
		Args: arguments(0, 10_000),
		RunE: func(c *cobra.Command, args []string) error {
			if err := d.check(a); err != nil {
				return err
			}
			file, err := source.load(args...)
			if err != nil {
				return err
			}
			chosen, err := file.named(args)
			if err != nil {
				return err
			}
			if chosen, err = copying(chosen, len(args) == 0); err != nil {
				return err
			}
			d.names = collectionNames(file.File)
			return d.run(c.Context(), chosen)
		},
	}
	source.flags(c.Flags())
	c.Flags().Var(&d.since, "since", "audit the files of runs since then: a duration such as 7d, or an instant such as 2026-11-01")
	d.flags(c.Flags(), "print every file that is neither delivered nor present on its own line, and nothing else", "how many files of each verdict to print")
	return c
}

// copying returns the jobs that copy something. Unless all jobs were chosen, one that
// copies nothing is an error.
func copying(chosen []*jobs.Job, all bool) (some []*jobs.Job, err error) {
	for _, j := range chosen {
		switch {
		case slices.ContainsFunc(j.Steps, func(s jobs.Step) bool { return s.Transfer != nil }):
			some = append(some, j)
		case !all:
			return nil, usageError{fmt.Errorf("the job %s copies nothing, so there is nothing to audit; name one that has a transfer", j.Name)}
		}
	}
	return some, nil
}

// run audits jobs one after the other.
func (d *auditor) run(ctx context.Context, chosen []*jobs.Job) error {
	globus, err := d.app.connect(wiring{})
	if err != nil {
		return err
	}
	l, err := d.app.openLedger(ctx, nilIfAbsent)
	if err != nil {
		return err
	}
	if l != nil {
		defer l.Close() //nolint:errcheck // it was only read
	}
	e := engine.New(globus.transfer, d.app.log, engine.WithManifests(d.app.inputs.open))
	var docs []auditDocument
	for _, job := range chosen {
		doc, err := d.audit(ctx, e, l, globus.transfer, job)
		if err != nil {
			return fmt.Errorf("audit job %s: %w", job.Name, err)
		}
		docs = append(docs, *doc)
	}
	if err := d.print(docs); err != nil {
		return err
	}
	return d.alarm(docs)
}

// audit audits a job.
func (d *auditor) audit(ctx context.Context, e *engine.Engine, l *ledger.Ledger, globus *transfer.Client, job *jobs.Job) (*auditDocument, error) {
	doc := &auditDocument{Job: job.Name, Since: d.since.time.UTC().Truncate(time.Second), Verdicts: map[audit.Verdict]tally{}, First: []findingDocument{}, several: severalDestinations(job)}
	doc.once = job.Items != nil && job.Items.Again == jobs.AgainNever
	for _, v := range audit.Verdicts() {
		doc.Verdicts[v] = tally{}
	}
	inquiry, err := e.Inquire(ctx, l, job, d.since.time, time.Now(), nil)
	if err != nil {
		return nil, err
	}
	if doc.ReceiptsLeftOut = inquiry.Found.Unread; doc.ReceiptsLeftOut > 0 {
		d.app.log.Warn("not all receipts of the same folders are read: files that only the others prove count as present, not delivered", "job", job.Name, "left_out", doc.ReceiptsLeftOut)
	}
	mender := e.Mender(l, job, d.since.time)
	for f, err := range inquiry.Files(ctx, globus) {
		if err != nil {
			return nil, err
		}
		mend, err := mender.Next(ctx, &f, d.names.of)
		if err == nil {
			err = d.take(doc, f, mend)
		}
		if err != nil {
			return nil, err
		}
	}
	if doc.without, err = e.Unaccounted(ctx, l, job); err != nil {
		return nil, err
	}
	doc.FoldersWithoutReceipt = doc.without.Folders
	return doc, nil
}

// severalDestinations reports whether a job copies to more than one collection.
func severalDestinations(job *jobs.Job) bool {
	to := ""
	for _, s := range job.Steps {
		if s.Transfer == nil {
			continue
		}
		if to != "" && s.Transfer.DestinationEndpoint != to {
			return true
		}
		to = s.Transfer.DestinationEndpoint
	}
	return false
}

// mostNext is how many commands an audit holds, for people.
const mostNext = 10

// take counts or prints a finding.
func (d *auditor) take(doc *auditDocument, f audit.Finding, mend engine.Mend) error {
	next := cmp.Or(mend.Command, mend.Advice)
	if next != "" && len(doc.next) <= mostNext && !slices.Contains(doc.next, next) {
		doc.next = append(doc.next, next)
	}
	doc.late = doc.late || mend.Done && f.Verdict == audit.Missing
	count := doc.Verdicts[f.Verdict]
	number := count.Files
	count.add(f.Size)
	doc.Verdicts[f.Verdict] = count
	if f.Verdict == audit.Present && f.Why != "" {
		if doc.RenamedFiles++; doc.RenamedFiles == 1 {
			doc.renamed = f.Source
		}
	}
	if f.Verdict.Settled() && (f.Why == "" || !d.list) {
		return nil
	}
	found := findingDocument{doc.Job, f.Verdict, f.From, f.Source, f.To, f.Destination, f.Size, f.Run, f.Why, next}
	if !d.list {
		if number < int64(d.limit) && f.Verdict != audit.Excluded {
			doc.First = append(doc.First, found)
		}
		return nil
	}
	run := ""
	if f.Run > 0 {
		run = strconv.FormatInt(f.Run, 10)
	}
	return d.app.printLine(d.out, found, doc.Job, string(f.Verdict), strconv.FormatInt(f.Size, 10),
		d.names.of(f.From)+":"+f.Source, d.names.of(f.To)+":"+f.Destination, run, f.Why, next)
}

// print prints the numbers of all jobs, and the first findings.
func (d *auditor) print(docs []auditDocument) error {
	if d.list {
		return unwritten(d.out.Flush())
	}
	return d.app.print(newList(docs), func(w io.Writer) {
		head := []string{"JOB"}
		for _, v := range columns() {
			head = append(head, strings.ToUpper(strings.ReplaceAll(string(v), "_", " ")))
		}
		var rows [][]string
		for _, doc := range docs {
			row := []string{doc.Job}
			for _, v := range columns() {
				row = append(row, strconv.FormatInt(doc.Verdicts[v].Files, 10))
			}
			rows = append(rows, row)
		}
		tableOr(w, "no jobs", head, rows)
		for _, doc := range docs {
			doc.show(w, d.names)
			doc.showRenamed(w)
			doc.showFolders(w)
		}
	})
}

// columns are the verdicts in the order of the table.
func columns() []audit.Verdict {
	return []audit.Verdict{
		audit.Delivered, audit.Pruned, audit.Present, audit.InFlight, audit.Changed, audit.Missing, audit.Lost,
		audit.Excluded, audit.Vanished, audit.Unseen, audit.Linked, audit.Device,
	}
}

// show prints the first findings about a job.
func (doc *auditDocument) show(w io.Writer, names shortNames) {
	for _, v := range audit.Verdicts() {
		shown := int64(0)
		for _, f := range doc.First {
			if f.Verdict != v {
				continue
			}
			shown++
			at := ""
			if doc.several {
				at = " at " + names.of(f.To)
			}
			fmt.Fprintf(w, "%s %s%s: %s\n", v, plain.Line(f.Source), at, plain.Line(f.Why))
		}
		if more := doc.Verdicts[v].Files - shown; more > 0 && shown > 0 {
			fmt.Fprintf(w, "%s: and %d more of job %s; --list prints all\n", v, more, doc.Job)
		}
	}
	for i, next := range doc.next {
		if i == mostNext {
			fmt.Fprintf(w, "next step: and more for job %s; --list prints all\n", doc.Job)
			break
		}
		fmt.Fprintf(w, "next step: %s\n", next)
	}
	if doc.late && doc.once {
		fmt.Fprintf(w, "an item that is done is not copied again: if files come later, write again: changed in the for_each of job %s\n", doc.Job)
	}
}

// showRenamed counts the files of which no receipt can tell, because the destination
// has other names for them.
func (doc *auditDocument) showRenamed(w io.Writer) {
	if doc.RenamedFiles > 0 {
		fmt.Fprintf(w, "present under another form of their names, so that no receipt proves them: %s of job %s, such as %s\n",
			plain.Count(doc.RenamedFiles, "file"), doc.Job, plain.Line(doc.renamed))
	}
}

// showFolders counts the folders that have no receipt.
func (doc *auditDocument) showFolders(w io.Writer) {
	if doc.without.Folders > 0 {
		fmt.Fprintf(w, "without a receipt of job %s: %v\n", doc.Job, doc.without)
	}
}

// alarm returns the error of an audit that has found files missing or lost.
func (d *auditor) alarm(docs []auditDocument) error {
	var where []string
	named := true // each of them was printed
	total := map[audit.Verdict]int64{}
	for _, doc := range docs {
		n := int64(0)
		for _, v := range audit.Verdicts() {
			if v.Alarms() {
				n += doc.Verdicts[v].Files
				total[v] += doc.Verdicts[v].Files
				named = named && (d.list || doc.Verdicts[v].Files <= int64(d.limit))
			}
		}
		if n > 0 {
			where = append(where, doc.Job)
		}
	}
	if len(where) == 0 {
		return nil
	}
	sentence := audit.Sentence(total, someOf(where))
	if !named {
		sentence += fmt.Sprintf("; runner audit %s --list names them", strings.Join(where[:min(len(where), 3)], " "))
	}
	return statusError{errors.New(sentence), exitIncomplete}
}
