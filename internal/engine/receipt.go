package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// settling is how long nothing is submitted after a listing. Times of files
	// have whole seconds, two on some disks: a file that changes after it was
	// listed and still has the same time then has changed before Globus reads it.
	settling = 3 * time.Second
	// remembered is how long Globus can say what a task has copied.
	remembered = 30 * 24 * time.Hour
)

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
	if _, err := p.run.engine.SealPending(ctx, l, p.run.job.Name); err != nil {
		p.run.log.Warn("a receipt of an earlier run is still pending", "err", err)
	}
	kept, err := p.beginReceipt(ctx)
	if err != nil {
		return unusable(err)
	}
	listed := time.Now()
	name := rand.Text()
	seen, err := p.list(ctx, doc, l.WriteText(ctx, kept.ID, name))
	if err == nil {
		err = l.KeepSnapshot(ctx, p.run.journal.holder, kept.ID, name, listed)
	}
	_, unreadable := errors.AsType[*unreadableError](err)
	switch {
	case errors.Is(err, ledger.ErrExists):
		return nil // the snapshot of an earlier start stays
	case errors.Is(err, ledger.ErrLost), unreadable:
		return err
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		p.run.log.Warn("the source could not be listed before the submission, so that the receipt proves less", "err", err)
		return nil
	}
	seen.logTo(p.run.log.With("elapsed", time.Since(listed)))
	return sleep(ctx, settling)
}

func (p *part) beginReceipt(ctx context.Context) (*ledger.Receipt, error) {
	return p.run.journal.ledger.BeginReceipt(ctx, ledger.Receipt{
		Run: p.run.journal.run.ID, Job: p.run.job.Name, Key: string(p.run.order.Key), Step: p.position.Step, Part: p.position.Part, Attempt: p.attempt,
	})
}

// An inventory is what a listing of the source has found.
type inventory struct {
	files    int
	unlisted int   // paths that could not be listed
	first    error // why the first of them could not
}

// logTo logs what was found.
func (i *inventory) logTo(log *slog.Logger) {
	switch {
	case i.unlisted > 0:
		log.Warn("a part of the source could not be listed, so that the receipt proves less", "files", i.files, "paths_not_listed", i.unlisted, "err", i.first)
	case i.files == 0:
		log.Warn("the source has no files, so the receipt will have none")
	default:
		log.Info("source listed for the receipt", "files", i.files)
	}
}

// list writes down the files that the items of a document have at the source. A
// path that cannot be listed is counted: of its files nothing is proven.
func (p *part) list(ctx context.Context, doc *transfer.Transfer, to io.WriteCloser) (seen inventory, err error) {
	for f, err := range p.run.engine.files(ctx, doc, false) {
		switch {
		case err != nil:
			return seen, err
		case f.entry.Err != nil:
			if err := p.unreadable(doc, f); err != nil {
				return seen, err
			}
			if seen.unlisted++; seen.unlisted == 1 {
				seen.first = fmt.Errorf("list %s: %w", f.source, f.entry.Err)
			}
		case f.entry.Kind == tree.File:
			seen.files++
			found := &proof.Found{Path: f.source, Size: f.entry.Size, Modified: f.entry.Modified}
			if err := proof.Append(to, proof.Row{Found: found}); err != nil {
				return seen, err
			}
		}
	}
	return seen, to.Close()
}

// An unreadableError is why nothing can be copied from a source.
type unreadableError struct{ error }

// Unwrap returns the cause.
func (e *unreadableError) Unwrap() error { return e.error }

// unreadable returns the error with which a run ends because a path of its
// source could not be listed, or nil if it goes on: the path is one of many, may
// be left out, or the job waits for it.
func (p *part) unreadable(doc *transfer.Transfer, f located) error {
	err := f.entry.Err
	e, ok := errors.AsType[*transfer.Error](err)
	switch kind := fault.Of(err).Kind; {
	case kind == fault.Credentials: // all else would be refused as well
	case kind != fault.Refused || !ok || f.entry.Path != "" || doc.SkipSourceErrors || p.run.job.On.Hopeless != jobs.Cancel:
		return nil
	case e.NotFound() && !strings.HasPrefix(e.Code, "Endpoint"):
		return &unreadableError{&Failure{
			Kind: fault.Refused, Code: e.Code, state: ledger.Failed,
			Message: advised(fmt.Sprintf("the source %s does not exist on collection %s, and nothing was submitted", f.source, doc.SourceEndpoint), "FILE_NOT_FOUND"),
		}}
	}
	return &unreadableError{fmt.Errorf("list the source %s: %w", f.source, err)}
}

// A located entry is one of a listing, with the paths that it has, or belongs
// to, on both sides.
type located struct {
	source, destination string
	entry               *tree.Entry
}

// files yields what the items of a document have at the source, or what the
// destination has in their places.
func (e *Engine) files(ctx context.Context, doc *transfer.Transfer, destination bool) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		for _, item := range doc.Items {
			for f, err := range e.filesOf(ctx, doc, item, destination) {
				if !yield(f, err) || err != nil {
					return
				}
			}
		}
	}
}

// filesOf is files for one item.
func (e *Engine) filesOf(ctx context.Context, doc *transfer.Transfer, item transfer.Item, destination bool) iter.Seq2[located, error] {
	top := tree.Folder{Lister: e.globus, Collection: doc.SourceEndpoint, Path: item.SourcePath, LocalUser: doc.SourceLocalUser}
	if destination {
		top = tree.Folder{Lister: e.globus, Collection: doc.DestinationEndpoint, Path: item.DestinationPath, LocalUser: doc.DestinationLocalUser}
	}
	return func(yield func(located, error) bool) {
		folder := item.Recursive != nil && *item.Recursive || item.Recursive == nil && strings.HasSuffix(item.SourcePath, "/")
		if !folder {
			entry, err := e.globus.Stat(ctx, top.Collection, top.Path)
			switch {
			case ctx.Err() != nil:
				yield(located{}, context.Cause(ctx))
				return
			case err != nil || entry.Type != "dir":
				yield(located{item.SourcePath, item.DestinationPath, single(entry, err)}, nil)
				return
			case item.Recursive != nil:
				return // a file was wanted
			}
		}
		from, to := strings.TrimSuffix(item.SourcePath, "/")+"/", strings.TrimSuffix(item.DestinationPath, "/")+"/"
		for entry, err := range tree.Walk(ctx, top, tree.Options{Rules: tree.NewRules(doc.FilterRules)}) {
			f := located{entry: entry}
			if err == nil {
				f.source, f.destination = from+entry.Path, to+entry.Path
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// single is the entry of an item that is not a folder.
func single(found *transfer.Entry, err error) *tree.Entry {
	if err != nil {
		return &tree.Entry{Err: err}
	}
	return tree.EntryOf(found)
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
		err = p.run.engine.seal(ctx, p.run.journal.ledger, kept, doc, p.run.result.task().Last)
	}
	if err != nil {
		p.run.log.Warn("the receipt is pending: it is asked for again later", "task_id", p.run.result.task().TaskID, "err", err)
		p.run.journal.note(ctx, "receipt_pending", err.Error())
	}
}

// seal asks Globus what a task has copied, and completes its receipt.
func (e *Engine) seal(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt, doc *transfer.Transfer, task *transfer.Task) error {
	if !kept.Listed.IsZero() && kept.Listed.After(task.RequestTime.Time) {
		// It may be a task that was found, and began before.
		e.log.Warn("the listing of the source is not older than the task, by the clock of Globus, and is left out of the receipt",
			"task_id", task.TaskID, "listed", kept.Listed, "requested", task.RequestTime.Time)
		kept.Listed, kept.Snapshot = time.Time{}, ""
	}
	sorter := proof.NewSorter(scratch{ctx, l, kept.ID, rand.Text()})
	for row, err := range e.rows(ctx, l, kept, doc, task.TaskID) {
		if err == nil {
			err = sorter.Add(row)
		}
		if err != nil {
			return err
		}
	}
	name := rand.Text()
	text := l.WriteText(ctx, kept.ID, name)
	out, err := proof.NewWriter(text, head(kept, doc, task))
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
		s := proof.NewSeal(counts, content, number, proof.Digest(previous), e.signing)
		return ledger.Seal{
			Number: number, Content: string(content), Previous: previous, Digest: string(s.Digest), Signature: s.Signature,
			Items: s.Items, Copied: s.Copied, Found: s.Found, Landed: s.Landed, SkippedRows: s.Skipped,
		}
	})
	if errors.Is(err, ledger.ErrExists) {
		return nil // somebody else was faster
	}
	if err == nil {
		e.log.Info("receipt kept", "task_id", task.TaskID, "files", counts.Copied, "skipped_errors", counts.Skipped)
	}
	return err
}

// rows yields all rows of a receipt, in no order.
func (e *Engine) rows(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt, doc *transfer.Transfer, taskID string) iter.Seq2[proof.Row, error] {
	return func(yield func(proof.Row, error) bool) {
		for _, i := range doc.Items {
			if !yield(proof.Row{Item: &proof.Item{Source: i.SourcePath, Destination: i.DestinationPath, Recursive: i.Recursive}}, nil) {
				return
			}
		}
		for c, err := range e.globus.SuccessfulTransfers(ctx, taskID) {
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
		for s, err := range e.globus.SkippedErrors(ctx, taskID) {
			if err != nil {
				yield(proof.Row{}, fmt.Errorf("read what task %s has skipped: %w", taskID, err))
				return
			}
			row := proof.Row{Skipped: &proof.Skipped{Source: s.SourcePath, Destination: s.DestinationPath, Code: s.ErrorCode, Folder: s.IsDirectory}}
			if !yield(row, nil) {
				return
			}
		}
		for f, err := range e.files(ctx, doc, true) {
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
			if !yield(row, err) {
				return
			}
		}
	}
}

// head is the head of a receipt.
func head(kept *ledger.Receipt, doc *transfer.Transfer, task *transfer.Task) proof.Receipt {
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
		Files: task.FilesTransferred, Listed: kept.Listed, Requested: task.RequestTime.UTC(), Completed: task.CompletionTime.UTC(),
	}
}

// OpenReceipt reads a sealed receipt of a ledger.
func OpenReceipt(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt) (*proof.Reader, error) {
	text, err := ReceiptText(ctx, l, kept)
	if err != nil {
		return nil, err
	}
	return proof.NewReader(text)
}

// ReceiptText returns the text of a sealed receipt of a ledger.
func ReceiptText(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt) (io.Reader, error) {
	end, err := SealOf(kept).Line()
	if err != nil {
		return nil, err
	}
	return io.MultiReader(l.ReadText(ctx, kept.ID, kept.Text), bytes.NewReader(end)), nil
}

// SealOf returns the end of a sealed receipt.
func SealOf(kept *ledger.Receipt) *proof.Seal {
	return &proof.Seal{
		Counts:  proof.Counts{Items: kept.Items, Copied: kept.Copied, Found: kept.Found, Landed: kept.Landed, Skipped: kept.SkippedRows},
		Content: proof.Digest(kept.Content), Number: kept.Number, Previous: proof.Digest(kept.Previous),
		Digest: proof.Digest(kept.Digest), Signature: kept.Signature,
	}
}

// SealPending asks Globus again for what it could not say when a task of the job
// had ended, and returns how many receipts it has completed. An empty name means
// all jobs.
func (e *Engine) SealPending(ctx context.Context, l *ledger.Ledger, job string) (sealed int, err error) {
	var problems []error
	for after := int64(0); ; {
		page, err := l.Receipts(ctx, ledger.ReceiptQuery{Job: job, Pending: true, After: after})
		if err != nil || len(page) == 0 {
			return sealed, errors.Join(append(problems, err)...)
		}
		for _, kept := range page {
			after = kept.ID
			if time.Since(kept.Created) > remembered {
				continue // Globus has forgotten it
			}
			if err := e.sealLate(ctx, l, kept); err != nil {
				problems = append(problems, fmt.Errorf("complete the receipt of run %d: %w", kept.Run, err))
				continue
			}
			sealed++
		}
	}
}

// sealLate completes a receipt whose run is over.
func (e *Engine) sealLate(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt) error {
	sent, err := l.Submissions(ctx, kept.Run)
	if err != nil {
		return err
	}
	for _, s := range sent {
		if (jobs.Position{Step: s.Step, Part: s.Part}) != (jobs.Position{Step: kept.Step, Part: kept.Part}) || s.Attempt != kept.Attempt {
			continue
		}
		doc, err := decode(s)
		if err != nil {
			return err
		}
		task, err := e.globus.Task(ctx, s.TaskID)
		if err != nil {
			return err
		}
		copied, ok := doc.(*transfer.Transfer)
		if !ok {
			return fmt.Errorf("submission %s is not a transfer", s.ID)
		}
		return e.seal(ctx, l, kept, copied, task)
	}
	return ledger.ErrNone
}

// A scratch keeps what a receipt is sorted with among its texts, until it is
// sealed.
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
