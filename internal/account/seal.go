package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// remembered is how long Globus knows what a task copied.
const remembered = 30 * 24 * time.Hour

// Seal asks Globus what a task copied, and completes its receipt. If another
// process completes it first, that is not an error.
func (k *Keeper) Seal(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt, doc *transfer.Transfer, task *transfer.Task) error {
	err := k.seal(ctx, l, kept, doc, task)
	if errors.Is(err, ledger.ErrNone) && isSealed(ctx, l, kept) {
		return nil // another process completed it, and deleted its parts
	}
	return err
}

// isSealed reports whether a receipt is known to be complete.
func isSealed(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt) bool {
	sealed, err := l.Receipts(ctx, ledger.ReceiptQuery{Run: kept.Run})
	return err == nil && slices.ContainsFunc(sealed, func(r *ledger.Receipt) bool { return r.ID == kept.ID })
}

func (k *Keeper) seal(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt, doc *transfer.Transfer, task *transfer.Task) error {
	if kept.Listed.After(task.RequestTime.Time) {
		// The task may have been adopted, and have begun before the listing.
		k.Log.Warn("the listing of the source is not older than the task, by the clock of Globus, and is left out of the receipt",
			"task_id", task.TaskID, "listed", kept.Listed, "requested", task.RequestTime.Time)
		kept.Listed, kept.Snapshot = time.Time{}, ""
	}
	sorter := proof.NewSorter(scratch{ctx, l, kept.ID, rand.Text()})
	for row, err := range k.rows(ctx, l, kept, doc, task.TaskID) {
		if err == nil {
			err = sorter.Add(row)
		}
		if err != nil {
			return err
		}
	}
	name := rand.Text()
	text := l.WriteText(ctx, kept.ID, name)
	head := Head(kept, doc, task)
	if head.Options.VerifyChecksum && !task.VerifyChecksum {
		head.Options.VerifyChecksum = false
		k.Log.Warn("Globus did not compare checksums, although the job asks for that: a collection may not be able to; its files do not count as proven",
			"task_id", task.TaskID)
	}
	out, err := proof.NewWriter(text, head)
	if err != nil {
		return err
	}
	for row, err := range sorter.Rows() {
		if err == nil {
			err = out.Write(row)
		}
		if err != nil {
			return err
		}
	}
	if err := text.Close(); err != nil {
		return err
	}
	counts, content := out.Sum()
	err = l.Seal(ctx, kept.ID, name, func(number int64, previous string) ledger.Seal {
		s := proof.NewSeal(counts, content, number, proof.Digest(previous), k.Signing)
		return ledger.Seal{
			Number: number, Content: string(content), Previous: previous, Digest: string(s.Digest), Signature: s.Signature,
			Items: s.Items, Copied: s.Copied, Found: s.Found, Landed: s.Landed, SkippedRows: s.Skipped,
		}
	})
	if errors.Is(err, ledger.ErrExists) {
		return nil // another process was faster
	}
	if err == nil {
		k.Log.Info("receipt kept", "task_id", task.TaskID, "files", counts.Copied, "skipped_errors", counts.Skipped)
	}
	return err
}

// rows yields all rows of a receipt, in no order.
func (k *Keeper) rows(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt, doc *transfer.Transfer, taskID string) iter.Seq2[proof.Row, error] {
	return func(yield func(proof.Row, error) bool) {
		for _, i := range doc.Items {
			if !yield(proof.Row{Item: &proof.Item{Source: i.SourcePath, Destination: i.DestinationPath, Recursive: i.Recursive}}, nil) {
				return
			}
		}
		for c, err := range k.Globus.SuccessfulTransfers(ctx, taskID) {
			if err != nil {
				yield(proof.Row{}, fmt.Errorf("read what task %s has copied: %w", taskID, err))
				return
			}
			row := proof.Row{Copied: &proof.Copied{
				Source: c.SourcePath, Destination: c.DestinationPath, Size: c.Size, Checksum: c.Checksum, Algorithm: c.ChecksumAlgorithm,
			}}
			if !yield(row, nil) {
				return
			}
		}
		for s, err := range k.Globus.SkippedErrors(ctx, taskID) {
			if err != nil {
				yield(proof.Row{}, fmt.Errorf("read what task %s has skipped: %w", taskID, err))
				return
			}
			row := proof.Row{Skipped: &proof.Skipped{Source: s.SourcePath, Destination: s.DestinationPath, Code: s.ErrorCode, Folder: s.IsDirectory}}
			if !yield(row, nil) {
				return
			}
		}
		for f, err := range k.files(ctx, doc, true) {
			if err == nil && (f.entry.Err != nil || f.entry.Kind != tree.File) {
				continue
			}
			row := proof.Row{}
			if err == nil {
				row.Landed = &proof.Landed{Source: f.source, Destination: f.destination, Size: f.entry.Size, Modified: f.entry.Modified}
			}
			if !yield(row, err) {
				return
			}
		}
		if kept.Snapshot == "" {
			return
		}
		for row, err := range proof.Lines(l.ReadText(ctx, kept.ID, kept.Snapshot)) {
			if (err != nil || row.Found != nil) && !yield(row, err) {
				return
			}
		}
	}
}

// Head returns the head of a receipt.
func Head(kept *ledger.Receipt, doc *transfer.Transfer, task *transfer.Task) proof.Receipt {
	o := proof.Options{
		VerifyChecksum: doc.VerifyChecksum, PreserveTimestamp: doc.PreserveTimestamp, SkipSourceErrors: doc.SkipSourceErrors,
		RecursiveSymlinks: doc.RecursiveSymlinks, FilterRules: doc.FilterRules,
		SourceLocalUser: doc.SourceLocalUser, DestinationLocalUser: doc.DestinationLocalUser,
	}
	if doc.SyncLevel != nil {
		o.SyncLevel = new(int(*doc.SyncLevel))
	}
	return proof.Receipt{
		Run: kept.Run, Job: kept.Job, Key: kept.Key, Step: kept.Step, Part: kept.Part, Attempt: kept.Attempt, TaskID: task.TaskID,
		Source: doc.SourceEndpoint, Destination: doc.DestinationEndpoint, Options: o,
		Files: task.FilesTransferred, Equal: task.FilesSkipped, Listed: kept.Listed, Requested: task.RequestTime.UTC(), Completed: task.CompletionTime.UTC(),
	}
}

// SealPending completes the pending receipts of a job, about which Globus had no
// answer when the task ended. It returns how many it completed. An empty name
// means all jobs.
func (k *Keeper) SealPending(ctx context.Context, l *ledger.Ledger, job string) (sealed int, err error) {
	pending, err := l.Receipts(ctx, ledger.ReceiptQuery{Job: job, Pending: true})
	if err != nil {
		return 0, err
	}
	var problems []error
	for _, kept := range pending {
		if time.Since(kept.Created) > remembered {
			continue // Globus has forgotten it
		}
		if err := k.sealLate(ctx, l, kept); err != nil {
			problems = append(problems, fmt.Errorf("complete the receipt of run %d: %w", kept.Run, err))
			continue
		}
		sealed++
	}
	return sealed, errors.Join(problems...)
}

// sealLate completes a receipt whose run has ended.
func (k *Keeper) sealLate(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt) error {
	sent, err := l.Submissions(ctx, kept.Run)
	if err != nil {
		return err
	}
	for _, s := range sent {
		if s.Step != kept.Step || s.Part != kept.Part || s.Attempt != kept.Attempt {
			continue
		}
		doc, err := transfer.ParseDocument(s.Document)
		if err != nil {
			return fmt.Errorf("read the recorded submission %s: %w", s.ID, err)
		}
		copied, ok := doc.(*transfer.Transfer)
		if !ok {
			return fmt.Errorf("submission %s is not a transfer", s.ID)
		}
		task, err := k.Globus.Task(ctx, s.TaskID)
		if err != nil {
			return err
		}
		return k.Seal(ctx, l, kept, copied, task)
	}
	return ledger.ErrNone
}

// A scratch stores the sorter's texts of a receipt in the ledger, until the
// receipt is sealed.
type scratch struct {
	ctx     context.Context //nolint:containedctx // as long as it is sorted
	ledger  *ledger.Ledger
	receipt int64
	name    string
}

func (s scratch) Create(n int) (io.WriteCloser, error) {
	return s.ledger.WriteText(s.ctx, s.receipt, fmt.Sprint(s.name, n)), nil
}

func (s scratch) Open(n int) (io.ReadCloser, error) {
	return s.ledger.ReadText(s.ctx, s.receipt, fmt.Sprint(s.name, n)), nil
}
