package proof

import "github.com/globus-runner/globus-runner/transfer"

// A Tally counts the files of a receipt as its rows are read: those that were copied,
// and those that the source had before and that were not.
type Tally struct {
	files, equal int64
	skipped      bool // the task has skipped some paths
	copied       *rowsInOrder
	last         Row
}

// NewTally returns a Tally of a receipt, which is also read as a whole.
func NewTally(open Open) (*Tally, error) {
	copied, err := rowsOf(open, ofCopied)
	return &Tally{copied: copied}, err
}

// Count counts a row. The rows come in the order of the receipt. It reports whether
// that is the first row of a file of the source.
func (t *Tally) Count(row Row) (first bool, err error) {
	before := t.last
	t.last = row
	switch {
	case row.Copied != nil && (before.Copied == nil || row.Copied.Source != before.Copied.Source):
		t.files++
		return true, nil
	case row.Found != nil && (before.Found == nil || row.Found.Path != before.Found.Path):
		rows, err := t.copied.rows(row.Found.Path)
		if err == nil && len(rows) == 0 {
			t.equal++
			return true, nil
		}
		return false, err
	case row.Skipped != nil:
		t.skipped = true
	}
	return false, nil
}

// cut reports whether the receipt lists not all files that its task has copied.
func (t *Tally) cut(of *Receipt) bool { return t.files != of.Files }

// missed reports whether the task neither copied nor compared some files that were
// there before: they were away for a moment.
func (t *Tally) missed(of *Receipt) bool { return t.equal > of.Equal }

// Compared reports whether a task has found equal, by their checksums, all files of its
// source that it did not copy.
func (t *Tally) Compared(of *Receipt) bool {
	level := of.Options.SyncLevel
	return level != nil && *level == int(transfer.SyncChecksum) && !t.skipped && !t.cut(of) && !t.missed(of)
}
