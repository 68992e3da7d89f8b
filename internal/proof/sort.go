package proof

import (
	"bufio"
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

const (
	// sortedAtOnce is how many rows a [Sorter] keeps in memory.
	sortedAtOnce = 10_000
	// mergedAtOnce is how many texts are merged at once. Each takes a few hundred
	// KiB.
	mergedAtOnce = 32
)

// A Scratch stores texts that do not fit into memory, until the caller clears it.
type Scratch interface {
	// Create creates text number n, from 0. It is complete once it is closed.
	Create(n int) (io.WriteCloser, error)
	Open(n int) (io.ReadCloser, error)
}

// A Sorter sorts rows into the order of receipts. It keeps some thousand rows
// in memory, however many there are.
//
// When it is full, it writes the lowest row that may follow the last one of the
// current text. So rows that come nearly in order, like those of a listing, make
// one text, and texts of other rows are twice as long as what fits into memory.
type Sorter struct {
	scratch Scratch
	most    int
	held    heldLines
	text    int            // number of the text that is being written
	out     io.WriteCloser // that text; nil before the first row
	last    *line          // last line of that text
	texts   []int          // numbers of the complete texts
	made    int
}

// NewSorter returns a Sorter that stores in scratch what does not fit into memory.
func NewSorter(scratch Scratch) *Sorter { return &Sorter{scratch: scratch, most: sortedAtOnce} }

// Add adds a row; rows may come in any order.
func (s *Sorter) Add(r Row) error {
	added, err := newLine(r)
	if err != nil {
		return err
	}
	l := heldLine{added, s.text}
	if s.last != nil && compareLines(l.line, s.last) < 0 {
		l.text++
	}
	heap.Push(&s.held, l)
	if len(s.held) <= s.most {
		return nil
	}
	return s.putAway(heap.Pop(&s.held).(heldLine))
}

// putAway writes a row to its text, which may be the next one.
func (s *Sorter) putAway(l heldLine) error {
	if s.out != nil && l.text != s.text {
		if err := s.end(); err != nil {
			return err
		}
	}
	if s.out == nil {
		out, err := s.create()
		if err != nil {
			return err
		}
		s.out, s.text = out, l.text
	}
	if s.last != nil && s.last.text == l.line.text {
		return nil
	}
	s.last = l.line
	_, err := io.WriteString(s.out, l.line.text)
	return err
}

func (s *Sorter) create() (io.WriteCloser, error) {
	out, err := s.scratch.Create(s.made)
	if err != nil {
		return nil, err
	}
	s.texts = append(s.texts, s.made)
	s.made++
	return out, nil
}

// end completes the current text.
func (s *Sorter) end() error {
	if s.out == nil {
		return nil
	}
	out := s.out
	s.out, s.last = nil, nil
	return out.Close()
}

// Rows yields all rows in order, without repetitions. An error is the last
// pair. No rows may be added afterwards.
func (s *Sorter) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		err := s.end()
		for err == nil && len(s.texts) > mergedAtOnce {
			err = s.join()
		}
		if err == nil {
			slices.SortFunc(s.held, func(a, b heldLine) int { return compareLines(a.line, b.line) })
			err = s.merge(&source{held: s.held}, s.texts, func(l *line) (bool, error) { return yield(l.row, nil), nil })
		}
		if err != nil {
			yield(Row{}, err)
		}
	}
}

// join merges several texts into one.
func (s *Sorter) join() error {
	some := s.texts[:mergedAtOnce]
	s.texts = slices.Clone(s.texts[mergedAtOnce:])
	out, err := s.create()
	if err != nil {
		return err
	}
	err = s.merge(&source{}, some, func(l *line) (bool, error) {
		_, err := io.WriteString(out, l.text)
		return true, err
	})
	return errors.Join(err, out.Close())
}

// merge yields the lines in memory and in texts, in order, until yield returns
// false or an error.
func (s *Sorter) merge(held *source, texts []int, yield func(*line) (bool, error)) error {
	all := []*source{held}
	defer func() {
		for _, src := range all {
			src.close()
		}
	}()
	for _, n := range texts {
		r, err := s.scratch.Open(n)
		if err != nil {
			return err
		}
		all = append(all, &source{text: r, lines: bufio.NewReader(r)})
	}
	var left sources
	for _, src := range all {
		if err := src.next(); err != nil {
			return err
		}
		if src.now != nil {
			left = append(left, src)
		}
	}
	heap.Init(&left)
	last := ""
	for len(left) > 0 {
		first := left[0]
		if l := first.now; l.text != last {
			if more, err := yield(l); !more || err != nil {
				return err
			}
			last = l.text
		}
		if err := first.next(); err != nil {
			return err
		}
		if first.now == nil {
			heap.Pop(&left)
		} else {
			heap.Fix(&left, 0)
		}
	}
	return nil
}

// A heldLine is a line in memory, and the text to which it can be written.
type heldLine struct {
	*line
	text int
}

// heldLines is a heap with the line on top that is written next.
type heldLines []heldLine

func (h heldLines) Len() int      { return len(h) }
func (h heldLines) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h heldLines) Less(i, j int) bool {
	return cmp.Or(h[i].text-h[j].text, compareLines(h[i].line, h[j].line)) < 0
}
func (h *heldLines) Push(l any) { *h = append(*h, l.(heldLine)) } //nolint:forcetypeassert // see Add

func (h *heldLines) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = heldLine{}
	*h = (*h)[:last]
	return l
}

// A source is one of the sorted lists that are merged.
type source struct {
	held  []heldLine // in memory
	text  io.Closer
	lines *bufio.Reader // nil for what is in memory
	now   *line         // nil after the last
}

// sources is a heap with the source on top whose current row is the lowest.
type sources []*source

func (s sources) Len() int           { return len(s) }
func (s sources) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s sources) Less(i, j int) bool { return compareLines(s[i].now, s[j].now) < 0 }
func (s *sources) Push(any)          {} // sources are never added

func (s *sources) Pop() any {
	last := len(*s) - 1
	*s = (*s)[:last]
	return nil
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
			s.now, s.held = s.held[0].line, s.held[1:]
		}
		return nil
	}
	text, err := s.lines.ReadString('\n')
	if errors.Is(err, io.EOF) && text == "" {
		return nil
	}
	if err == nil {
		s.now, err = readLine(text)
	}
	if err != nil {
		return fmt.Errorf("read sorted rows again: %w", err)
	}
	return nil
}

// Append writes a row as a line that [Lines] can read.
func Append(w io.Writer, r Row) error {
	l, err := newLine(r)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, l.text)
	return err
}

// Lines yields the rows that [Append] wrote. An error is the last pair.
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
