package proof

import (
	"bytes"
	"iter"
	"slices"
	"time"
)

// Blank returns a receipt that says what a task was told to copy, and proves
// nothing. It is for a task that has no receipt, or that does not exist yet. All
// calls of the Open share one text.
func Blank(head Receipt, items iter.Seq[Item]) (Open, error) {
	var lines []*line
	for item := range items {
		l, err := newLine(Row{Item: &item})
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	slices.SortFunc(lines, compareLines)
	lines = slices.CompactFunc(lines, func(a, b *line) bool { return a.text == b.text })
	var text bytes.Buffer
	w, err := NewWriter(&text, head)
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		if err := w.Write(l.row); err != nil {
			return nil, err
		}
	}
	counts, content := w.Sum()
	seal := NewSeal(counts, content, 0, "", nil)
	end, err := seal.Line()
	if err != nil {
		return nil, err
	}
	text.Write(end)
	return func() (*Reader, error) { return NewReader(bytes.NewReader(text.Bytes())) }, nil
}

// An Unsealed task has no receipt, or none yet: it did not succeed, it is unfinished,
// or its job keeps no receipts. It may have copied some of its files.
type Unsealed struct {
	// Receipt is the head. Its Listed is set if the files of the source are
	// known.
	Receipt
	Items iter.Seq[Item]
	// Found yields the files that the source had right before the task, and paths
	// that could not be listed as Skipped. It is nil if the files are not known.
	// An error is the last pair.
	Found iter.Seq2[Row, error]
	// Until is an instant by which the task had ended, on the clock of Listed;
	// zero if it may be unfinished.
	Until time.Time
}

// Others are tasks that may have replaced copies that a receipt lists.
type Others struct {
	Sealed []Open // their receipts
	// Unsealed, unless nil, yields the tasks without a receipt. It is ranged
	// over more than once. An error is the last pair.
	Unsealed iter.Seq2[*Unsealed, error]
}
