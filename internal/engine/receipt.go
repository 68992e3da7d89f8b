package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// settling is how long nothing is submitted after a listing. Times of files have
// a resolution of one second, or two on some disks. With this pause, a file that
// changes after it was listed and keeps its time has changed before Globus reads
// it.
const settling = 3 * time.Second

// accounted returns the document of a part, and whether a receipt is kept for it.
func (p *part) accounted() (*transfer.Transfer, bool) {
	doc, ok := p.doc.(*transfer.Transfer)
	return doc, ok && p.run.job.Receipts
}

// snapshot records what the source has, right before the present attempt is
// submitted for the first time. If it fails, the files are copied nevertheless,
// but the receipt proves less.
func (p *part) snapshot(ctx context.Context) error {
	doc, ok := p.accounted()
	if !ok {
		return nil
	}
	if p.run.journal == nil {
		return &Failure{
			Kind: fault.Usage, state: ledger.Failed,
			Message: fmt.Sprintf("job %s keeps receipts, and there is no ledger for them: set RUNNER_STATE, or turn receipts off", p.run.job.Name),
		}
	}
	l := p.run.journal.ledger
	if _, err := p.run.engine.receipts.SealPending(ctx, l, p.run.job.Name); err != nil {
		p.run.log.Warn("a receipt of an earlier run is still pending", "err", err)
	}
	kept, err := p.beginReceipt(ctx)
	if err != nil {
		return unusable(err)
	}
	back, err := p.run.engine.returning(ctx, l, p.run.job, p.run.order.Key, doc)
	if err != nil {
		return unusable(err)
	}
	seen, err := p.run.engine.receipts.Snapshot(ctx, l, p.run.journal.holder, kept, doc, back.see, func(u account.Unlisted) error { return p.unreadable(doc, u) })
	_, unreadable := errors.AsType[*unreadableError](err)
	switch {
	case errors.Is(err, ledger.ErrLost), unreadable:
		return err
	case err != nil && ctx.Err() != nil:
		return err
	}
	if err := p.guardCopies(ctx, back); err != nil {
		return err
	}
	switch {
	case errors.Is(err, ledger.ErrExists):
		return nil // the snapshot of an earlier start is kept
	case err != nil:
		p.run.log.Warn("the source could not be listed before the submission, so the receipt proves less", "err", err)
		return nil
	}
	logInventory(p.run.log, seen)
	return sleep(ctx, settling)
}

func (p *part) beginReceipt(ctx context.Context) (*ledger.Receipt, error) {
	return p.run.journal.ledger.BeginReceipt(ctx, ledger.Receipt{
		Run: p.run.journal.run.ID, Job: p.run.job.Name, Key: string(p.run.order.Key), Step: p.position.Step, Part: p.position.Part, Attempt: p.attempt,
	})
}

// logInventory logs the inventory of a source.
func logInventory(log *slog.Logger, found *account.Inventory) {
	switch {
	case found.Unlisted > 0:
		log.Warn("a part of the source could not be listed, so the receipt proves less",
			"files", found.Files, "paths_not_listed", found.Unlisted, "elapsed", found.Elapsed, "err", found.First)
	case found.Files == 0:
		log.Warn("the source has no files, so the receipt will have none", "elapsed", found.Elapsed)
	default:
		log.Info("source listed for the receipt", "files", found.Files, "elapsed", found.Elapsed)
	}
}

// An unreadableError says why nothing can be copied from a source.
type unreadableError struct{ error }

// Unwrap returns the cause.
func (e *unreadableError) Unwrap() error { return e.error }

// unreadable returns the error that ends a run because a path of its source
// could not be listed. It is nil if the run goes on: the path is one of many,
// may be skipped, or the job waits for it.
func (p *part) unreadable(doc *transfer.Transfer, u account.Unlisted) error {
	err := u.Err
	_, ok := errors.AsType[*transfer.Error](err)
	switch kind := fault.Of(err).Kind; {
	case kind == fault.Credentials: // all other requests would be refused as well
	case kind != fault.Refused || !ok || !u.Item || doc.SkipSourceErrors || p.run.job.On.Hopeless != jobs.Cancel:
		return nil
	}
	if f := noSource(doc, u.Path, err); f != nil {
		return &unreadableError{f}
	}
	return &unreadableError{fmt.Errorf("list the source %s: %w", u.Path, err)}
}

// noSource returns the failure of a transfer whose source does not exist, if err says
// that; otherwise nil.
func noSource(doc *transfer.Transfer, path string, err error) *Failure {
	e, ok := errors.AsType[*transfer.Error](err)
	if !ok || !tree.Gone(e) {
		return nil
	}
	return &Failure{
		Kind: fault.Refused, Code: e.Code, state: ledger.Failed,
		Message: advised(fmt.Sprintf("the source %s does not exist on collection %s, and nothing was submitted", path, doc.SourceEndpoint), "FILE_NOT_FOUND"),
	}
}

// receipt seals the receipt of the present attempt, whose task has succeeded.
// If Globus cannot say yet what was copied, it is asked again later.
func (p *part) receipt(ctx context.Context) {
	doc, ok := p.accounted()
	if !ok || p.run.journal == nil {
		return
	}
	kept, err := p.beginReceipt(ctx)
	if err == nil && kept.Sealed.IsZero() {
		err = p.run.engine.receipts.Seal(ranked(ctx, later), p.run.journal.ledger, kept, doc, p.run.result.task().Last)
	}
	if err != nil {
		p.run.log.Warn("the receipt is pending: it is asked for again later", "task_id", p.run.result.task().TaskID, "err", err)
		p.run.journal.note(ctx, "receipt_pending", err.Error())
	}
}

// SealPending completes the pending receipts of a job, about which Globus had no
// answer when the task ended. It returns how many it completed. An empty name
// means all jobs.
func (e *Engine) SealPending(ctx context.Context, l *ledger.Ledger, job string) (sealed int, err error) {
	return e.receipts.SealPending(ctx, l, job)
}

// An openReceipt is an open receipt of the ledger.
type openReceipt struct {
	kept *ledger.Receipt
	*proof.Reader
}

// newest opens receipts one after the other, the newest first. An error is the last
// pair.
func newest(ctx context.Context, l *ledger.Ledger, all []*ledger.Receipt) iter.Seq2[openReceipt, error] {
	return func(yield func(openReceipt, error) bool) {
		for _, kept := range slices.Backward(all) {
			in, err := account.Open(ctx, l, kept)
			if err != nil {
				err = fmt.Errorf("read the receipt of run %d: %w", kept.Run, err)
			}
			if !yield(openReceipt{kept, in}, err) || err != nil {
				return
			}
		}
	}
}
