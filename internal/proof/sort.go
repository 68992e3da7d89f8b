package proof

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

// sortedAtOnce is how many rows a [Sorter] has in memory before it puts them
// away.
const sortedAtOnce = 20_000

// A Scratch keeps what does not fit into memory, until the caller clears it.
type Scratch interface {
	// Create makes the text number n, from 0. It is complete when it is closed.
	Create(n int) (io.WriteCloser, error)
	Open(n int) (io.ReadCloser, error)
}

// A Sorter puts rows in the order in which receipts have them. It holds some
// thousand rows, however many there are.
type Sorter struct {
	scratch Scratch
	most    int
	held    []*line
	put     int // texts in scratch
}

// NewSorter returns a Sorter that puts away what is too much.
func NewSorter(scratch Scratch) *Sorter { return &Sorter{scratch: scratch, most: sortedAtOnce} }

// Add takes a row, in any order.
func (s *Sorter) Add(r Row) error {
	if r.section() == 0 {
		return fmt.Errorf("a row of a receipt must be of one kind")
	}
	text, err := encode(r)
	if err != nil {
		return err
	}
	if s.held = append(s.held, &line{r, text}); len(s.held) < s.most {
		return nil
	}
	return s.putAway()
}

func (s *Sorter) sort() {
	slices.SortFunc(s.held, compareLines)
	s.held = slices.CompactFunc(s.held, func(a, b *line) bool { return bytes.Equal(a.text, b.text) })
}

func (s *Sorter) putAway() error {
	s.sort()
	w, err := s.scratch.Create(s.put)
	if err != nil {
		return err
	}
	for _, l := range s.held {
		if _, err := w.Write(l.text); err != nil {
			_ = w.Close() // the first error tells more
			return err
		}
	}
	s.held = s.held[:0]
	s.put++
	return w.Close()
}

// Rows yields all rows in order, each once. An error is the last pair. No more
// rows may be added.
func (s *Sorter) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		s.sort()
		sources := []*source{{held: s.held}}
		defer func() {
			for _, src := range sources {
				src.close()
			}
		}()
		for n := range s.put {
			r, err := s.scratch.Open(n)
			if err != nil {
				yield(Row{}, err)
				return
			}
			sources = append(sources, &source{text: r, lines: bufio.NewReader(r)})
		}
		if err := merge(sources, func(r Row) bool { return yield(r, nil) }); err != nil {
			yield(Row{}, err)
		}
	}
}

// A source is one of several sorted lists that are merged.
type source struct {
	held  []*line // in memory
	text  io.Closer
	lines *bufio.Reader // nil for what is in memory
	now   *line         // nil after the last
}

func (s *source) close() {
	if s.text != nil {
		_ = s.text.Close() // it was only read
	}
}

func (s *source) next() error {
	s.now = nil
	if s.lines == nil {
		if len(s.held) > 0 {
			s.now, s.held = s.held[0], s.held[1:]
		}
		return nil
	}
	text, err := s.lines.ReadBytes('\n')
	if errors.Is(err, io.EOF) && len(text) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read sorted rows again: %w", err)
	}
	l := &line{text: text}
	if err := json.Unmarshal(text, &l.row); err != nil {
		return fmt.Errorf("read sorted rows again: %w", err)
	}
	s.now = l
	return nil
}

// merge yields the rows of sorted lists, until yield returns false.
func merge(sources []*source, yield func(Row) bool) error {
	for _, s := range sources {
		if err := s.next(); err != nil {
			return err
		}
	}
	var last []byte
	for {
		var first *source
		for _, s := range sources {
			if s.now != nil && (first == nil || compareLines(s.now, first.now) < 0) {
				first = s
			}
		}
		if first == nil {
			return nil
		}
		l := first.now
		if !bytes.Equal(l.text, last) && !yield(l.row) {
			return nil
		}
		last = l.text
		if err := first.next(); err != nil {
			return err
		}
	}
}

// Append writes a row as a line by itself, for [Lines].
func Append(w io.Writer, r Row) error {
	text, err := encode(r)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// Lines reads rows that [Append] has written. An error is the last pair.
func Lines(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		s := &source{lines: bufio.NewReader(r)}
		for {
			if err := s.next(); err != nil {
				yield(Row{}, err)
				return
			}
			if s.now == nil || !yield(s.now.row, nil) {
				return
			}
		}
	}
}
