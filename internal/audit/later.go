package audit

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
)

// mostHeld is how many files may wait for what later receipts say about some of
// them. All receipts are read once for so many files.
const mostHeld = 10_000

// A doubt is about a copy that differs from its receipt, or whose file has
// changed since. Another task, perhaps of another job, may have written the copy
// later.
type doubt struct {
	file    *evidence.File
	copied  *evidence.Copy
	changed bool // the file has changed

	own    *proof.Copied // its row in the receipt; nil if the receipt does not list it as copied
	latest writing       // from the receipt that is being read
	by     *writing      // the task that wrote the present copy, or found it equal; nil if no receipt says
}

// A writing is what a receipt says about one copy.
type writing struct {
	by     *proof.Receipt
	copied *proof.Copied // nil if the task did not write it
	before proof.State   // the source's file before the task; zero if not known
}

// doubtful reports whether later receipts must be read for a copy.
func doubtful(v Verdict, c *evidence.Copy) bool {
	return (v == Lost || v == Changed) && c.State != nil
}

// A holder holds files back while there are doubts about their copies.
type holder struct {
	inquiry *Inquiry
	files   []*evidence.File
	doubts  map[*evidence.Copy]*doubt
}

// take adds a file.
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

// full reports whether no more files may be held.
func (h *holder) full() bool {
	return len(h.doubts) == 0 || len(h.files) == cmp.Or(h.inquiry.most, mostHeld)
}

// release yields the findings on the held files. It reports whether yield wants
// more.
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

// settle reads the later receipts for all doubts.
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
	for open, err := range h.inquiry.Later(ctx, first) {
		if err == nil {
			err = ask(open, destinations, sources)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ask asks a receipt about doubts, which are given by the paths of their copies and by
// those of their files.
func ask(open proof.Open, destinations, sources map[string][]*doubt) error {
	in, err := open()
	if err != nil {
		return err
	}
	tally, err := proof.NewTally(open)
	if err != nil {
		return err
	}
	var equal []*doubt // used if the task compared all files
	for row, err := range in.Rows() {
		if err == nil {
			_, err = tally.Count(row)
		}
		switch {
		case err != nil:
			return fmt.Errorf("the receipt of run %d: %w", in.Receipt.Run, err)
		case row.Copied != nil:
			for _, d := range destinations[row.Copied.Destination] {
				d.copies(&in.Receipt, row.Copied)
			}
		case row.Found != nil:
			for _, d := range sources[row.Found.Path] { // found rows come after the copied ones
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
	if tally.Compared(&in.Receipt) {
		for _, d := range equal {
			d.compared()
		}
	}
	return nil
}

// copies takes in that a task copied a file to the place of the copy.
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

// finds takes in what the source of the file had before a task.
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

// copiedBy reports whether a task wrote a copy of the file in its state at that
// time.
func (d *doubt) copiedBy(w *writing) bool {
	return w.copied != nil && w.copied.Source == d.file.Path && strings.EqualFold(w.by.Source, d.file.Source.Collection)
}

// lands takes in what was in the place of the copy after a task. The newest receipt
// that lists what is there now counts. It reports whether the task did not write it,
// but may have found it equal.
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

// compared takes in that the task of the current receipt found the copy equal.
func (d *doubt) compared() {
	if w := d.latest; d.file.Pruned || w.before.Same(d.file.State) {
		d.by = &w
	}
}

// same reports whether the destination now has the content of the file. For a file that
// a prune has deleted, a later version is as good, but only if it was verified.
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

// resolve corrects the finding on a copy according to later receipts.
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
	case d.file.Pruned: // the content does not exist any more
		found.Why = "was deleted by a prune, and its copy " + job
	default:
		found.Verdict, found.Why = Missing, job+" at the destination"
	}
	found.Run = d.by.by.Run
}

// Later yields, newest first, the receipts of all jobs that may have been
// completed after the first receipt of a run, including that one. An error is the
// last pair.
type Later func(ctx context.Context, run int64) iter.Seq2[proof.Open, error]
