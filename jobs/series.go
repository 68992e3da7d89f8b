package jobs

import (
	"iter"
	"regexp"
	"strings"
)

// A Series are the folders that the occurrences of a job copy from, such as one for
// each day.
type Series struct {
	In    End              // the folder that they are in, with a slash at its end
	Names []*regexp.Regexp // match the names below it, level by level; at least one
}

// Series yields those of the lanes whose folders depend on the occurrence.
func (ls *Lanes) Series() iter.Seq[Series] {
	return func(yield func(Series) bool) {
		for _, l := range ls.all {
			if l.series == nil || l.single || l.anywhere {
				continue
			}
			s := *l.series
			s.In.Collection, s.In.LocalUser = l.from.Collection, l.from.LocalUser
			if !yield(s) {
				return
			}
		}
	}
}

// newSeries returns the series of a path with marks, or nil if it has none.
func newSeries(marked string) *Series {
	mark := strings.IndexAny(marked, anyDigits+anySign+anyName+anyText)
	if mark < 0 {
		return nil
	}
	begin := strings.LastIndexByte(marked[:mark], '/') + 1
	s := &Series{In: End{Path: marked[:begin]}}
	for name := range strings.SplitSeq(marked[begin:], "/") {
		if name != "" {
			s.Names = append(s.Names, whole(name))
		}
	}
	return s
}
