// Package account keeps receipts in the ledger: what a source has right before a
// task, and what Globus and the destination have right after it.
//
// A receipt begins with [ledger.Ledger.BeginReceipt]. [Keeper.Snapshot] adds what
// the source has. [Keeper.Seal] completes the receipt, and [Keeper.SealPending]
// completes it later if Globus could not say at once what was copied. Package
// evidence says what a receipt proves.
package account

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Keeper keeps receipts of what tasks copy. Its methods may be called
// concurrently.
type Keeper struct {
	Globus  *transfer.Client
	Signing ed25519.PrivateKey // nil signs no receipt
	Log     *slog.Logger
}

// An Inventory is the result of a listing of a source.
type Inventory struct {
	Files    int
	Unlisted int   // number of paths that could not be listed
	First    error // the error of the first of them
	Elapsed  time.Duration
}

// An Unlisted is a path of a source that could not be listed.
type Unlisted struct {
	Path string
	Item bool // it is an item of the task, and not something below one
	Err  error
}

// Snapshot records, with size and time, the files that the items of a document have
// at the source, as the snapshot of a receipt, and calls see for each. It calls
// accept for a path that cannot be listed, whose files cannot be proven; an error
// of accept ends the listing. Other errors are those of
// [ledger.Ledger.KeepSnapshot].
func (k *Keeper) Snapshot(ctx context.Context, l *ledger.Ledger, holder string, kept *ledger.Receipt, doc *transfer.Transfer, see func(*proof.Found), accept func(Unlisted) error) (*Inventory, error) {
	begin, name := time.Now(), rand.Text()
	found, err := k.list(ctx, doc, l.WriteText(ctx, kept.ID, name), see, accept)
	if err == nil {
		err = l.KeepSnapshot(ctx, holder, kept.ID, name, begin)
	}
	if err != nil {
		return nil, err
	}
	found.Elapsed = time.Since(begin)
	return found, nil
}

// list writes the files of a source to to.
func (k *Keeper) list(ctx context.Context, doc *transfer.Transfer, to io.WriteCloser, see func(*proof.Found), accept func(Unlisted) error) (*Inventory, error) {
	var found Inventory
	for f, err := range k.files(ctx, doc, false) {
		switch {
		case err != nil:
			return nil, err
		case f.entry.Err != nil:
			if err := accept(Unlisted{f.source, f.entry.Path == "", f.entry.Err}); err != nil {
				return nil, err
			}
			if found.Unlisted++; found.Unlisted == 1 {
				found.First = fmt.Errorf("list %s: %w", f.source, f.entry.Err)
			}
			if err := proof.Append(to, unlisted(f)); err != nil {
				return nil, err
			}
		case f.entry.Kind == tree.File:
			found.Files++
			row := &proof.Found{Path: f.source, Size: f.entry.Size, Modified: f.entry.Modified}
			see(row)
			if err := proof.Append(to, proof.Row{Found: row}); err != nil {
				return nil, err
			}
		}
	}
	return &found, to.Close()
}

// Open opens a sealed receipt of a ledger.
func Open(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt) (*proof.Reader, error) {
	text, err := Text(ctx, l, kept)
	if err != nil {
		return nil, err
	}
	return proof.NewReader(text)
}

// Opens returns an [Open] for each sealed receipt.
func Opens(ctx context.Context, l *ledger.Ledger, kept []*ledger.Receipt) (all []proof.Open) {
	for _, k := range kept {
		all = append(all, func() (*proof.Reader, error) { return Open(ctx, l, k) })
	}
	return all
}

// Others returns a function that finds the tasks of all jobs that may have replaced
// copies that some of the receipts list; the argument has their indexes. They are the
// receipts that were sealed after the first of these was begun, except the given ones,
// and the submissions without a receipt that may have been unfinished then.
func Others(ctx context.Context, l *ledger.Ledger, receipts []*ledger.Receipt) func(some []int) (*proof.Others, error) {
	return func(some []int) (*proof.Others, error) {
		begun := slices.MinFunc(some, func(a, b int) int { return receipts[a].Created.Compare(receipts[b].Created) })
		since := receipts[begun].Created
		all, err := l.Receipts(ctx, ledger.ReceiptQuery{Since: since})
		if err != nil {
			return nil, err
		}
		known := map[int64]bool{}
		for _, k := range receipts {
			known[k.ID] = true
		}
		all = slices.DeleteFunc(all, func(k *ledger.Receipt) bool { return known[k.ID] })
		return &proof.Others{Sealed: Opens(ctx, l, all), Unsealed: unsealedSince(ctx, l, since)}, nil
	}
}

// Text returns the text of a sealed receipt of a ledger.
func Text(ctx context.Context, l *ledger.Ledger, kept *ledger.Receipt) (io.Reader, error) {
	end, err := SealOf(kept).Line()
	if err != nil {
		return nil, err
	}
	return io.MultiReader(l.ReadText(ctx, kept.ID, kept.Text), bytes.NewReader(end)), nil
}

// SealOf returns the seal of a sealed receipt.
func SealOf(kept *ledger.Receipt) *proof.Seal {
	return &proof.Seal{
		Counts:  proof.Counts{Items: kept.Items, Copied: kept.Copied, Found: kept.Found, Landed: kept.Landed, Skipped: kept.SkippedRows},
		Content: proof.Digest(kept.Content), Number: kept.Number, Previous: proof.Digest(kept.Previous),
		Digest: proof.Digest(kept.Digest), Signature: kept.Signature,
	}
}
