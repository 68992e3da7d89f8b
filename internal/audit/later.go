package audit

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

// mostHeld is how many files wait, at most, for what later receipts say of some of
// them. For so many all receipts are read once.
const mostHeld = 10_000

// A doubt is about a copy that is not what a receipt says, or of a file that has
// changed since: another task, perhaps of another job, may have written it later.
type doubt struct {
	file    *evidence.File
	copied  *evidence.Copy
	changed bool // the file has

	own    *proof.Copied // what the receipt says; nil if it does not say that the file was copied
	latest writing       // what the receipt says that is being read
	by     *writing      // who has written what is there now, or found it equal; nil if no receipt tells
}

// A writing is what a receipt says of one copy.
type writing struct {
	by     *proof.Receipt
	copied *proof.Copied // nil if the task has not written it
	before proof.State   // what the source had before the task; zero if that is not known
}

// A tally is what tells whether a task has compared all files that it did not copy.
type tally struct {
	found, files int64  // at the source, and of them those that were copied
	source       string // of the last one that was copied
	skipped      bool   // some were left out
}

// heed counts a row.
func (t *tally) heed(row proof.Row) {
	switch {
	case row.Copied != nil && (t.files == 0 || row.Copied.Source != t.source):
		t.files++
		t.source = row.Copied.Source
	case row.Found != nil:
		t.found++
	case row.Skipped != nil:
		t.skipped = true
	}
}

// compared reports whether a task has found equal, by their checksums, all files of its
// source that it did not copy. A file that was away for a moment was not compared.
func (t *tally) compared(by *proof.Receipt) bool {
	level := by.Options.SyncLevel
	return level != nil && *level == int(transfer.SyncChecksum) && !t.skipped && t.files == by.Files && t.found-t.files <= by.Equal
}

// doubtful reports whether later receipts are asked about a copy.
func doubtful(v Verdict, c *evidence.Copy) bool {
	return (v == Lost || v == Changed) && c.State != nil
}

// A holder holds files back while there are doubts about copies of them.
type holder struct {
	inquiry *Inquiry
	files   []*evidence.File
	doubts  map[*evidence.Copy]*doubt
}

// take takes a file.
func (h *holder) take(f *evidence.File) error {
	h.files = append(h.files, f)
	for i := range f.Copies {
		c := &f.Copies[i]
		found, err := h.inquiry.copied(f, c, nil)
		if err != nil {
			return err
		}
		if h.inquiry.Later != nil && doubtful(found.Verdict, c) {
			if h.doubts == nil {
				h.doubts = map[*evidence.Copy]*doubt{}
			}
			h.doubts[c] = &doubt{file: f, copied: c, changed: found.Verdict == Changed}
		}
	}
	return nil
}

// full reports whether no more files need be held.
func (h *holder) full() bool {
	return len(h.doubts) == 0 || len(h.files) == cmp.Or(h.inquiry.most, mostHeld)
}

// release yields the findings on the files that were held. It reports whether more
// are wanted.
func (h *holder) release(ctx context.Context, yield func(Finding, error) bool) bool {
	if err := h.settle(ctx); err != nil {
		yield(Finding{}, err)
		return false
	}
	for _, f := range h.files {
		found, err := h.inquiry.judge(f, h.doubts)
		if !yield(found, err) || err != nil {
			return false
		}
	}
	h.files, h.doubts = h.files[:0], nil
	return true
}

// settle asks the receipts about all doubts.
func (h *holder) settle(ctx context.Context) error {
	if len(h.doubts) == 0 {
		return nil
	}
	first := int64(0)
	destinations, sources := map[string][]*doubt{}, map[string][]*doubt{}
	for c, d := range h.doubts {
		if first == 0 || c.By.Run < first {
			first = c.By.Run
		}
		destinations[c.Path] = append(destinations[c.Path], d)
		sources[d.file.Path] = append(sources[d.file.Path], d)
	}
	for in, err := range h.inquiry.Later(ctx, first) {
		if err != nil {
			return err
		}
		var t tally
		var equal []*doubt // if the task has compared all files
		for row, err := range in.Rows() {
			if err != nil {
				return fmt.Errorf("the receipt of run %d: %w", in.Receipt.Run, err)
			}
			t.heed(row)
			switch {
			case row.Copied != nil:
				for _, d := range destinations[row.Copied.Destination] {
					d.copies(&in.Receipt, row.Copied)
				}
			case row.Found != nil:
				for _, d := range sources[row.Found.Path] { // which come after the copies
					d.finds(&in.Receipt, row.Found)
				}
			case row.Landed != nil:
				for _, d := range destinations[row.Landed.Destination] {
					if d.lands(&in.Receipt, row.Landed) {
						equal = append(equal, d)
					}
				}
			}
		}
		if t.compared(&in.Receipt) {
			for _, d := range equal {
				d.compared()
			}
		}
	}
	return nil
}

// copies heeds that a task has copied something to where the copy is.
func (d *doubt) copies(by *proof.Receipt, row *proof.Copied) {
	own := d.copied.By
	switch {
	case !strings.EqualFold(by.Destination, d.copied.At.Collection):
	case by.Run == own.Run && by.TaskID == own.TaskID:
		d.own = row
	case !by.Completed.Before(own.Completed):
		d.latest = writing{by: by, copied: row}
	}
}

// finds heeds what the source of the file had before a task.
func (d *doubt) finds(by *proof.Receipt, row *proof.Found) {
	before := proof.State{File: true, Size: row.Size, Modified: row.Modified}
	switch w := &d.latest; {
	case !strings.EqualFold(by.Source, d.file.Source.Collection) || !strings.EqualFold(by.Destination, d.copied.At.Collection):
	case by.Completed.Before(d.copied.By.Completed):
	case w.by != by:
		d.latest = writing{by: by, before: before}
	case d.copiedBy(w):
		w.before = before
	}
}

// copiedBy reports whether what a task has written is a copy of the file, as it was
// then.
func (d *doubt) copiedBy(w *writing) bool {
	return w.copied != nil && w.copied.Source == d.file.Path && strings.EqualFold(w.by.Source, d.file.Source.Collection)
}

// lands heeds what a task has left where the copy is. The newest receipt that
// lists what is there now is the one that counts. It reports whether the task did not
// write it, and may have found it equal.
func (d *doubt) lands(by *proof.Receipt, row *proof.Landed) (equal bool) {
	w, is := d.latest, proof.State{File: true, Size: row.Size, Modified: row.Modified}
	if d.by != nil || w.by != by || !is.Same(*d.copied.State) {
		return false
	}
	if w.copied == nil {
		return row.Source == d.file.Path && w.before.Size == row.Size
	}
	if w.copied.Size == row.Size {
		d.by = &w
	}
	return false
}

// compared heeds that the task of the receipt that was read has found the copy equal.
func (d *doubt) compared() {
	if w := d.latest; d.file.Pruned || w.before.Same(d.file.State) {
		d.by = &w
	}
}

// same reports whether what is there now is what the file holds. Of a file that a prune
// has deleted, a later version is as good, but only if it was verified.
func (d *doubt) same() bool {
	switch own, copied := d.own, d.by.copied; {
	case copied == nil:
		return true
	case d.file.Pruned && !d.by.by.Options.VerifyChecksum:
		return false
	case d.file.Pruned && d.copiedBy(d.by), d.by.before.File && d.by.before.Same(d.file.State):
		return true
	case d.changed || own == nil || own.Checksum == "":
		return false
	default:
		return own.Checksum == copied.Checksum && own.Algorithm == copied.Algorithm && own.Size == copied.Size
	}
}

// resolve corrects the finding on a copy by what later receipts say.
func (d *doubt) resolve(found *Finding) {
	if d == nil || d.by == nil {
		return
	}
	job := fmt.Sprintf("was replaced by job %s in run %d", d.by.by.Job, d.by.by.Run)
	switch same := d.same(); {
	case same && d.file.Pruned:
		found.Verdict, found.Why = Pruned, ""
	case same:
		found.Verdict, found.Why = Present, ""
	case d.changed:
		return
	case d.file.Pruned: // nobody has it any more
		found.Why = "was deleted by a prune, and its copy " + job
	default:
		found.Verdict, found.Why = Missing, job+" at the destination"
	}
	found.Run = d.by.by.Run
}

// Later yields the receipts of all jobs that may have been completed after the
// first receipt of a run, that one as well, the newest first. An error is the last
// pair.
type Later func(ctx context.Context, run int64) iter.Seq2[*proof.Reader, error]
