package engine

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// Inquire prepares an audit of the files of a job. It is about the folders and files that
// the job's runs submitted since an instant, and those of its newest occurrence that was
// due by now. If no run was about a job without a schedule, it is about an occurrence that
// starts now. A suspended job and a job about items have no such occurrence. All receipts
// about these folders count. A nil ledger has no runs. sample, unless nil, chooses folders
// and single files by path.
func (e *Engine) Inquire(ctx context.Context, l *ledger.Ledger, job *jobs.Job, since, now time.Time, sample func(path string) bool) (*audit.Inquiry, error) {
	q := &inquest{engine: e, ledger: l, job: job, trees: map[string]bool{}, deletions: evidence.NewDeletions()}
	if l != nil {
		if err := AddPruned(ctx, l, q.deletions); err != nil {
			return nil, err
		}
		if err := q.addRuns(ctx, since); err != nil {
			return nil, err
		}
		if err := q.addReceipts(ctx, since); err != nil {
			return nil, err
		}
	}
	if err := q.addNewest(now); err != nil {
		return nil, err
	}
	found, err := evidence.Gather(account.Opens(ctx, l, q.kept), evidence.Options{Trees: q.blanks, Sample: sample, Deletions: q.deletions, Others: account.Others(ctx, l, q.kept)})
	if err != nil {
		return nil, fmt.Errorf("read the receipts of job %s: %w", job.Name, err)
	}
	return &audit.Inquiry{Found: found, Flights: q.flights, Later: q.later}, nil
}

// audit does an audit step. The run fails if files are missing or lost, or if
// folders cannot be listed.
func (r *run) audit(ctx context.Context, step *jobs.Audit) error {
	of := step.Jobs
	if len(of) == 0 {
		of = []*jobs.Job{r.job}
	}
	var names, alarming, again []string
	total := map[audit.Verdict]int64{}
	for _, job := range of {
		count, mends, err := r.auditOf(ctx, step, job)
		if err != nil {
			return fmt.Errorf("audit job %s: %w", job.Name, err)
		}
		names = append(names, job.Name)
		if audit.Sentence(count, "") != "" {
			alarming = append(alarming, job.Name)
			again = append(again, mends...)
		}
		for v, n := range count {
			total[v] += n
		}
	}
	r.result.addAudited(total)
	what := strings.Join(names, ", ")
	if step.Sample.Fraction() < 1 {
		what += fmt.Sprintf(", %s of the folders", step.Sample)
	}
	sentence := audit.Sentence(total, what)
	if sentence == "" {
		r.journal.note(ctx, "audited", fmt.Sprintf("audit of %s: nothing is missing", what))
		return nil
	}
	next := fmt.Sprintf("runner audit %s --list names them", strings.Join(alarming, " "))
	if len(again) > 0 {
		next += "; to copy again: " + plain.Some(again, mostMendsTold)
	}
	return &Failure{Kind: fault.Missing, state: ledger.Failed, Message: sentence + "; " + next}
}

const (
	mostMends     = 1000 // commands that copy again what an audit misses
	mostMendsTold = 3    // of them, in its sentence
)

// auditOf counts the files of a job by verdict. again are the commands that copy those
// again that are missing or lost.
func (r *run) auditOf(ctx context.Context, step *jobs.Audit, job *jobs.Job) (by map[audit.Verdict]int64, again []string, err error) {
	began := time.Now()
	var choose func(path string) bool
	sample := sampleOf(step.Sample, r.order.Key)
	if sample != nil {
		choose = sample.choose
	}
	c, err := r.count(ctx, job, began.Add(-step.Window()), began, choose)
	if err == nil && sample != nil && len(c.by) == 0 { // as happens with few folders
		if choose = sample.another(); choose != nil {
			c, err = r.count(ctx, job, began.Add(-step.Window()), began, choose)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	without, err := r.engine.Unaccounted(ctx, r.rec.Ledger, job)
	if err != nil {
		return nil, nil, err
	}
	if without.Folders > 0 {
		r.journal.note(ctx, "unaccounted", fmt.Sprintf("without a receipt of job %s: %v", job.Name, without))
	}
	attrs := []any{"of", job.Name, "elapsed", time.Since(began), "receipts_left_out", c.unread, "folders_without_receipt", without.Folders}
	for _, v := range audit.Verdicts() {
		attrs = append(attrs, string(v), c.by[v])
	}
	r.log.Info("job audited", attrs...)
	return c.by, c.again, nil
}

// A census is what an audit of a job counts.
type census struct {
	by     map[audit.Verdict]int64
	unread int      // receipts that were left out
	again  []string // each once: the commands that copy again what is missing or lost
}

// count counts the files of a job, of the folders and single files that choose chooses.
func (r *run) count(ctx context.Context, job *jobs.Job, since, now time.Time, choose func(path string) bool) (*census, error) {
	q, err := r.engine.Inquire(ctx, r.rec.Ledger, job, since, now, choose)
	if err != nil {
		return nil, err
	}
	c := &census{by: map[audit.Verdict]int64{}, unread: q.Found.Unread}
	mender := r.engine.Mender(r.rec.Ledger, job, since)
	for f, err := range q.Files(ctx, r.globus) {
		if err != nil {
			return nil, err
		}
		c.by[f.Verdict]++
		next, err := mender.Next(ctx, &f, func(id string) string { return id })
		if err != nil {
			return nil, err
		}
		if next.Command != "" && !slices.Contains(c.again, next.Command) && len(c.again) < mostMends {
			c.again = append(c.again, next.Command)
		}
	}
	return c, nil
}

// An inquest collects the documents and receipts of an inquiry.
type inquest struct {
	engine *Engine
	ledger *ledger.Ledger
	job    *jobs.Job

	trees   map[string]bool // of the documents that were added
	blanks  []proof.Open
	kept    []*ledger.Receipt
	flights []audit.Flight

	deletions *evidence.Deletions
}

// addRuns adds what was submitted since an instant, and unfinished runs.
func (q *inquest) addRuns(ctx context.Context, since time.Time) error {
	for _, query := range []ledger.Query{{Job: q.job.Name, Since: since}, {Job: q.job.Name, Unfinished: true}} {
		for run, err := range q.ledger.Runs(ctx, query) {
			if err == nil && (!query.Unfinished || run.Claimed.Before(since)) { // skips runs that the first query has found
				err = q.addRun(ctx, run)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// addRun adds what a run has submitted, or will submit if it has not yet.
func (q *inquest) addRun(ctx context.Context, run *ledger.Run) error {
	sent, docs, err := documents(ctx, q.ledger, run.ID)
	if err != nil {
		return err
	}
	for i, s := range sent {
		if d, ok := docs[i].(*transfer.Delete); ok && d.Recursive && !s.Once && s.Status != statusRefused {
			at := evidence.Place{Collection: d.Endpoint, LocalUser: d.LocalUser}
			for _, item := range d.Items {
				q.deletions.AddFolder(at, item.Path)
			}
		}
		t, ok := docs[i].(*transfer.Transfer)
		if !ok {
			continue
		}
		if err := q.addDocument(run.ID, t); err != nil {
			return err
		}
		if !run.State.Final() && s.Status == "" {
			q.flights = append(q.flights, audit.Flight{Run: run.ID, Doc: t})
		}
	}
	if len(sent) > 0 || run.State.Final() || run.Due.IsZero() {
		return nil
	}
	return q.addOccurrence(run.Due, func(t *transfer.Transfer) {
		q.flights = append(q.flights, audit.Flight{Run: run.ID, Doc: t})
	})
}

// addNewest adds the documents of the newest occurrence that was due.
func (q *inquest) addNewest(now time.Time) error {
	at := now
	switch {
	case q.job.Schedule != nil:
		at = q.job.Schedule.Last(now)
		for !at.IsZero() && q.job.Due(jobs.ScheduledKey(at), at).After(now) { // its jitter has not passed
			at = q.job.Schedule.Last(at.Add(-1))
		}
	case len(q.trees) > 0:
		return nil
	}
	if q.job.Items != nil {
		return nil // an item that was not begun is not expected at the destination
	}
	if at.IsZero() || q.job.Suspend {
		return nil
	}
	return q.addOccurrence(at, func(*transfer.Transfer) {})
}

// addOccurrence adds the documents of an occurrence of the job.
func (q *inquest) addOccurrence(at time.Time, also func(*transfer.Transfer)) error {
	for work, err := range q.engine.Works(Order{Job: q.job, Key: jobs.ScheduledKey(at), At: at}) {
		if err != nil {
			return err
		}
		if t, ok := work.Document.(*transfer.Transfer); ok {
			if err := q.addDocument(0, t); err != nil {
				return err
			}
			also(t)
		}
	}
	return nil
}

// addDocument adds the folders and files of a document.
func (q *inquest) addDocument(run int64, doc *transfer.Transfer) error {
	open, err := proof.Blank(account.Head(&ledger.Receipt{Run: run, Job: q.job.Name}, doc, &transfer.Task{}), account.Items(doc))
	if err != nil {
		return err
	}
	return q.addTrees(open)
}

// addReceipts adds the receipts of the job. For runs that the ledger has
// forgotten, they say what was submitted.
func (q *inquest) addReceipts(ctx context.Context, since time.Time) error {
	all, err := q.ledger.Receipts(ctx, ledger.ReceiptQuery{Job: q.job.Name})
	if err != nil {
		return err
	}
	q.kept = all
	for _, kept := range all {
		open := func() (*proof.Reader, error) { return account.Open(ctx, q.ledger, kept) }
		if kept.Created.Before(since) {
			continue
		}
		if err := q.addTrees(open); err != nil {
			return fmt.Errorf("read the receipt of run %d: %w", kept.Run, err)
		}
	}
	return nil
}

// later opens, newest first, the receipts of all jobs that were sealed after the
// first receipt of the run was begun.
func (q *inquest) later(ctx context.Context, run int64) iter.Seq2[proof.Open, error] {
	return func(yield func(proof.Open, error) bool) {
		since := time.Now()
		for _, kept := range q.kept { // a later run may have begun before it
			if kept.Run >= run && kept.Created.Before(since) {
				since = kept.Created
			}
		}
		all, err := q.ledger.Receipts(ctx, ledger.ReceiptQuery{Since: since})
		if err != nil {
			yield(nil, err)
			return
		}
		for _, kept := range slices.Backward(all) {
			open := func() (*proof.Reader, error) {
				in, err := account.Open(ctx, q.ledger, kept)
				if err != nil {
					err = fmt.Errorf("read the receipt of run %d: %w", kept.Run, err)
				}
				return in, err
			}
			if !yield(open, nil) {
				return
			}
		}
	}
}

// addTrees adds the folders of a receipt, unless they were added before.
func (q *inquest) addTrees(open proof.Open) error {
	trees, err := evidence.TreesOf(open)
	if err == nil && !q.trees[trees] {
		q.trees[trees] = true
		q.blanks = append(q.blanks, open)
	}
	return err
}
