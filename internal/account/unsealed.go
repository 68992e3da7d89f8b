package account

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

// late is how long after its deadline a task may still be unfinished, on a clock
// that is not Globus's.
const late = time.Hour

// unlisted returns the row of a snapshot for a path that could not be listed.
func unlisted(f located) proof.Row {
	return proof.Row{Skipped: &proof.Skipped{Source: f.source, Destination: f.destination, Folder: true}}
}

// unsealedSince yields the tasks without a receipt that may have been unfinished at or
// after an instant.
func unsealedSince(ctx context.Context, l *ledger.Ledger, begun time.Time) iter.Seq2[*proof.Unsealed, error] {
	return func(yield func(*proof.Unsealed, error) bool) {
		for u, err := range l.Unsealed(ctx, begun) {
			var task *proof.Unsealed
			if err == nil {
				task, err = unsealed(ctx, l, &u)
			}
			if (err != nil || task != nil) && (!yield(task, err) || err != nil) {
				return
			}
		}
	}
}

// unsealed returns a task without a receipt, or nil if it copies nothing.
func unsealed(ctx context.Context, l *ledger.Ledger, u *ledger.Unsealed) (*proof.Unsealed, error) {
	document, err := transfer.ParseDocument(u.Document)
	if err != nil {
		return nil, fmt.Errorf("read what run %d has submitted: %w", u.Run, err)
	}
	doc, ok := document.(*transfer.Transfer)
	if !ok {
		return nil, nil
	}
	kept := &ledger.Receipt{Run: u.Run, Step: u.Step, Part: u.Part, Attempt: u.Attempt, Listed: u.Listed}
	task := &proof.Unsealed{Receipt: Head(kept, doc, &transfer.Task{}), Items: Items(doc), Until: u.Ended}
	if u.Snapshot != "" {
		task.Found = proof.Lines(l.ReadText(ctx, u.Receipt, u.Snapshot))
	}
	if deadline := doc.Deadline.Time; u.Ended.IsZero() && !deadline.IsZero() {
		task.Until = deadline.Add(late)
	}
	return task, nil
}

// Items yields the items of a document in the form of a receipt.
func Items(doc *transfer.Transfer) iter.Seq[proof.Item] {
	return func(yield func(proof.Item) bool) {
		for _, i := range doc.Items {
			if !yield(proof.Item{Source: i.SourcePath, Destination: i.DestinationPath, Recursive: i.Recursive}) {
				return
			}
		}
	}
}
