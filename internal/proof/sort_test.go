package proof

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
)

// shelf is a [Scratch] in memory that counts.
type shelf struct {
	texts []*bytes.Buffer
	open  int
	most  int // that were open at once
}

func (s *shelf) Create(n int) (io.WriteCloser, error) {
	if n != len(s.texts) {
		return nil, fmt.Errorf("text %d comes after %d", n, len(s.texts))
	}
	b := new(bytes.Buffer)
	s.texts = append(s.texts, b)
	return struct {
		io.Writer
		io.Closer
	}{b, io.NopCloser(nil)}, nil
}

func (s *shelf) Open(n int) (io.ReadCloser, error) {
	s.open++
	s.most = max(s.most, s.open)
	return closer{bytes.NewReader(s.texts[n].Bytes()), s}, nil
}

type closer struct {
	io.Reader
	of *shelf
}

func (c closer) Close() error {
	c.of.open--
	return nil
}

func TestSorterPutsAwayFewTexts(t *testing.T) {
	const rows, held = 4000, 50
	row := func(n int) Row { return Row{Found: &Found{Path: fmt.Sprintf("/%05d", n)}} }
	ordered := func(n int) int { return n }
	for name, tt := range map[string]struct {
		place func(n int) int // in the order, of the row that is the nth to come
		texts int             // at most
	}{
		"in order":        {ordered, 1},
		"nearly in order": {func(n int) int { return n ^ 7 }, 1},
		"two listings":    {func(n int) int { return n/2 + n%2*rows/2 }, 80},
		"in no order":     {func(n int) int { return n * 1009 % rows }, 80 * 2 / 3},
		"backwards":       {func(n int) int { return rows - 1 - n }, 83},
	} {
		t.Run(name, func(t *testing.T) {
			shelf := new(shelf)
			s := &Sorter{scratch: shelf, most: held}
			for n := range rows {
				if err := s.Add(row(tt.place(n))); err != nil {
					t.Fatal(err)
				}
			}
			var got, want []string
			for r, err := range s.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r.Found.Path)
			}
			for n := range rows {
				want = append(want, row(n).Found.Path)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d rows are not in order", len(got))
			}
			if n := len(shelf.texts); n > tt.texts || shelf.most > mergedAtOnce || shelf.open > 0 {
				t.Errorf("%d texts, want at most %d; %d were open at once, and %d still are", n, tt.texts, shelf.most, shelf.open)
			}
		})
	}
}
