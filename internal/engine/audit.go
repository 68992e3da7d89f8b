package engine

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// Inquire asks what has become of the files of a job. It is about the trees of
// all that the job's runs submitted since then, and of its newest occurrence that
// was due by now; of a job without a schedule, which no run was about, of one that
// starts now. All receipts of these trees count. A nil ledger knows no runs.
func (e *Engine) Inquire(ctx context.Context, l *ledger.Ledger, job *jobs.Job, since, now time.Time) (*audit.Inquiry, error) {
	q := &inquest{engine: e, ledger: l, job: job, trees: map[string]bool{}}
	if l != nil {
		if err := q.runs(ctx, since); err != nil {
			return nil, err
		}
		if err := q.receipts(ctx, since); err != nil {
			return nil, err
		}
	}
	if err := q.newest(now); err != nil {
		return nil, err
	}
	found, err := evidence.Gather(q.kept, evidence.Options{Trees: q.blanks})
	if err != nil {
		return nil, fmt.Errorf("read the receipts of job %s: %w", job.Name, err)
	}
	return &audit.Inquiry{Found: found, Flights: q.flights}, nil
}

// An inquest collects what an inquiry is about.
type inquest struct {
	engine *Engine
	ledger *ledger.Ledger
	job    *jobs.Job

	trees   map[string]bool // of the documents that were added
	blanks  []proof.Open
	kept    []proof.Open
	flights []audit.Flight
}

// runs adds what was submitted since then, and what is under way.
func (q *inquest) runs(ctx context.Context, since time.Time) error {
	for run, err := range q.ledger.Runs(ctx, ledger.Query{Job: q.job.Name, Since: since}) {
		if err == nil {
			err = q.run(ctx, run)
		}
		if err != nil {
			return err
		}
	}
	for run, err := range q.ledger.Runs(ctx, ledger.Query{Job: q.job.Name, Unfinished: true}) {
		if err == nil && run.Claimed.Before(since) {
			err = q.run(ctx, run)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// run adds what a run has submitted; or, if it has submitted nothing yet, what it
// will.
func (q *inquest) run(ctx context.Context, run *ledger.Run) error {
	sent, err := q.ledger.Submissions(ctx, run.ID)
	if err != nil {
		return err
	}
	for _, s := range sent {
		doc, err := decode(s)
		if err != nil {
			return err
		}
		t, ok := doc.(*transfer.Transfer)
		if !ok {
			continue
		}
		if err := q.add(run.ID, t); err != nil {
			return err
		}
		if !run.State.Final() && s.Status == "" {
			q.flights = append(q.flights, audit.Flight{Run: run.ID, Doc: t})
		}
	}
	if len(sent) > 0 || run.State.Final() || run.Due.IsZero() {
		return nil
	}
	return q.occurrence(run.Due, func(t *transfer.Transfer) {
		q.flights = append(q.flights, audit.Flight{Run: run.ID, Doc: t})
	})
}

// newest adds what the newest occurrence that was due is about.
func (q *inquest) newest(now time.Time) error {
	at := now
	if q.job.Schedule != nil {
		at = q.job.Schedule.Last(now)
	} else if len(q.trees) > 0 {
		return nil
	}
	if at.IsZero() {
		return nil
	}
	return q.occurrence(at, func(*transfer.Transfer) {})
}

// occurrence adds what an occurrence of the job is about.
func (q *inquest) occurrence(at time.Time, also func(*transfer.Transfer)) error {
	for work, err := range q.engine.Works(Order{Job: q.job, Key: jobs.ScheduledKey(at), At: at}) {
		if err != nil {
			return err
		}
		if t, ok := work.Document.(*transfer.Transfer); ok {
			if err := q.add(0, t); err != nil {
				return err
			}
			also(t)
		}
	}
	return nil
}

// add adds the trees of a document, unless it has them already.
func (q *inquest) add(run int64, doc *transfer.Transfer) error {
	open, err := proof.Blank(head(&ledger.Receipt{Run: run, Job: q.job.Name}, doc, &transfer.Task{}), items(doc))
	if err != nil {
		return err
	}
	trees, err := evidence.TreesOf(open)
	if err == nil && !q.trees[trees] {
		q.trees[trees] = true
		q.blanks = append(q.blanks, open)
	}
	return err
}

// items are the items of a document as a receipt has them.
func items(doc *transfer.Transfer) iter.Seq[proof.Item] {
	return func(yield func(proof.Item) bool) {
		for _, i := range doc.Items {
			if !yield(proof.Item{Source: i.SourcePath, Destination: i.DestinationPath, Recursive: i.Recursive}) {
				return
			}
		}
	}
}

// receipts adds the receipts of the job. Those of runs that were forgotten tell
// what these submitted.
func (q *inquest) receipts(ctx context.Context, since time.Time) error {
	for after := int64(0); ; {
		page, err := q.ledger.Receipts(ctx, ledger.ReceiptQuery{Job: q.job.Name, After: after})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, kept := range page {
			after = kept.ID
			open := func() (*proof.Reader, error) { return OpenReceipt(ctx, q.ledger, kept) }
			q.kept = append(q.kept, open)
			if kept.Created.Before(since) {
				continue
			}
			trees, err := evidence.TreesOf(open)
			if err != nil {
				return fmt.Errorf("read the receipt of run %d: %w", kept.Run, err)
			}
			if !q.trees[trees] {
				q.trees[trees] = true
				q.blanks = append(q.blanks, open)
			}
		}
	}
}
