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
// whole seconds, two on some disks: a file that changes after it was listed and
// still has the same time then has changed before Globus reads it.
const settling = 3 * time.Second

// accounted returns the document of a part of which a receipt is kept.
func (p *part) accounted() (*transfer.Transfer, bool) {
	doc, ok := p.doc.(*transfer.Transfer)
	return doc, ok && p.run.job.Receipts
}

// snapshot keeps what the source has, right before the present attempt is
// submitted for the first time. Without it the receipt proves less; the files
// are copied all the same.
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
	back, err := p.run.engine.returning(ctx, l, p.run.job, doc)
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
		return nil // the snapshot of an earlier start stays
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

// logInventory logs what a source has.
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

// An unreadableError is why nothing can be copied from a source.
type unreadableError struct{ error }

// Unwrap returns the cause.
func (e *unreadableError) Unwrap() error { return e.error }

// unreadable returns the error with which a run ends because a path of its
// source could not be listed, or nil if it goes on: the path is one of many, may
// be left out, or the job waits for it.
func (p *part) unreadable(doc *transfer.Transfer, u account.Unlisted) error {
	err := u.Err
	_, ok := errors.AsType[*transfer.Error](err)
	switch kind := fault.Of(err).Kind; {
	case kind == fault.Credentials: // all else would be refused as well
	case kind != fault.Refused || !ok || !u.Item || doc.SkipSourceErrors || p.run.job.On.Hopeless != jobs.Cancel:
		return nil
	}
	if f := noSource(doc, u.Path, err); f != nil {
		return &unreadableError{f}
	}
	return &unreadableError{fmt.Errorf("list the source %s: %w", u.Path, err)}
}

// noSource returns the failure of a transfer whose source does not exist, if err says
// that; else nil.
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

// receipt keeps what the task of the present attempt has copied, which has
// succeeded. If Globus cannot say it now, it is asked again later.
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

// SealPending asks Globus again for what it could not say when a task of the job
// had ended, and returns how many receipts it has completed. An empty name means
// all jobs.
func (e *Engine) SealPending(ctx context.Context, l *ledger.Ledger, job string) (sealed int, err error) {
	return e.receipts.SealPending(ctx, l, job)
}

// An openReceipt is one of the ledger, which is read.
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
