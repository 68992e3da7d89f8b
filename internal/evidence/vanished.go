package evidence

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/proof"
)

// A vanished finds the files of a group that prunes have deleted at the source. It
// reads them from the receipts, in the order of their paths.
type vanished struct {
	streams   []*landing
	before    *landing // what the source had before the newest task that listed it; may be nil
	deletions *Deletions
	at        Place
}

// A landing reads the rows of a receipt that are needed.
type landing struct {
	next func() (proof.Row, error, bool)
	stop func()
	now  *proof.Landed // the current file at the destination after the task; nil at the end
	had  *proof.Found  // the current file at the source before the task; nil at the end
}

// vanished opens the receipts of a group to find deleted files. If d is nil, it
// finds none.
func (g *group) vanished(d *Deletions) (v *vanished, err error) {
	v = &vanished{deletions: d, at: g.source}
	defer func() {
		if err != nil {
			v.close()
		}
	}()
	for _, r := range g.receipts {
		if v.before == nil && d != nil && !r.head.Listed.IsZero() {
			if v.before, err = open(r); err == nil {
				err = v.before.advance(func(proof.Row) bool { return true })
			}
		}
		if err == nil && d.any() {
			var l *landing
			if l, err = open(r); err == nil {
				v.streams = append(v.streams, l)
				err = l.advance(v.wanted)
			}
		}
		if err != nil {
			return v, err
		}
	}
	return v, nil
}

func open(r *receipt) (*landing, error) {
	in, err := r.open()
	if err != nil {
		return nil, err
	}
	l := &landing{}
	l.next, l.stop = iter.Pull2(in.Rows())
	return l, nil
}

func (v *vanished) close() {
	for _, l := range v.streams {
		l.stop()
	}
	if v.before != nil {
		v.before.stop()
	}
}

// wanted reports whether a row is the copy of a file that a prune deleted.
func (v *vanished) wanted(row proof.Row) bool {
	return row.Landed != nil && !v.deletions.Last(v.at, row.Landed.Source).IsZero()
}

// advance moves to the next wanted row.
func (l *landing) advance(wanted func(proof.Row) bool) error {
	l.now, l.had = nil, nil
	for {
		row, err, more := l.next()
		if err != nil || !more {
			return err
		}
		if (row.Landed != nil || row.Found != nil) && wanted(row) {
			l.now, l.had = row.Landed, row.Found
			return nil
		}
	}
}

// had reports whether the newest receipt has files below a folder that no prune
// deleted. It must be called in the order of paths.
func (v *vanished) had(folder string) (bool, error) {
	if v.before == nil || v.deletions.hasFolder(v.at, folder) {
		return false, nil
	}
	for v.before.had != nil {
		path := v.before.had.Path
		below := strings.HasPrefix(path, folder)
		switch {
		case below && v.deletions.Last(v.at, path).IsZero():
			return true, nil
		case !below && proof.ComparePaths(path, folder) > 0:
			return false, nil
		}
		if err := v.before.advance(func(proof.Row) bool { return true }); err != nil {
			return false, err
		}
	}
	return false, nil
}

// path returns the path of the next file, or "".
func (v *vanished) path() (low string) {
	for _, l := range v.streams {
		if l.now != nil && (low == "" || proof.ComparePaths(l.now.Source, low) < 0) {
			low = l.now.Source
		}
	}
	return low
}

// take returns the paths of the next file and its copy, and moves on.
func (v *vanished) take() (path, destination string, err error) {
	path = v.path()
	for _, l := range v.streams {
		if l.now == nil || l.now.Source != path {
			continue
		}
		if destination == "" {
			destination = l.now.Destination
		}
		if err := l.advance(v.wanted); err != nil {
			return "", "", err
		}
	}
	return path, destination, nil
}

// within merges the files that were deleted at the source into the sights of a
// group. Both come in the order of paths, except that an item without a slash at
// its end may be a folder.
func (v *vanished) within(sights iter.Seq2[*sight, error], sample func(string) bool) iter.Seq2[*sight, error] {
	return func(yield func(*sight, error) bool) {
		m := &missing{vanished: v, sample: sample, others: map[string]string{}}
		for s, err := range sights {
			if err != nil {
				yield(nil, err)
				return
			}
			if !m.before(s, yield) || m.err != nil {
				break
			}
			if s = m.see(s); s != nil && !yield(s, nil) {
				return
			}
		}
		if m.err == nil {
			m.rest(yield)
		}
		if m.err != nil {
			yield(nil, m.err)
		}
	}
}

// A missing merges the deleted files of a group with its sights.
type missing struct {
	*vanished
	sample func(string) bool
	item   string            // path of the current item, with a slash at its end if it is a folder
	others map[string]string // deleted files of other items, and the paths of their copies
	hidden []string          // folders that could not be listed
	folder *sight            // the last folder that only the destination has and that could not be listed
	err    error
}

// before yields the deleted files that come before a sight. more is false if
// yield returned false.
func (m *missing) before(s *sight, yield func(*sight, error) bool) (more bool) {
	for next := m.path(); next != ""; next = m.path() {
		inItem := m.item != "" && strings.HasPrefix(next, m.item)
		switch {
		case s.begins && !inItem && proof.ComparePaths(next, m.item) > 0:
			return true
		case !s.begins && proof.ComparePaths(next, s.Path) > 0:
			return true
		}
		path, destination, err := m.take()
		if err != nil {
			m.err = err
			return false
		}
		if path == s.Path || !inItem || !strings.HasSuffix(m.item, "/") {
			m.others[path] = destination
		} else if f := m.gone(path, destination); f != nil && !yield(f, nil) {
			return false
		}
	}
	return true
}

// rest yields the remaining deleted files.
func (m *missing) rest(yield func(*sight, error) bool) {
	if !m.before(&sight{begins: true}, yield) {
		return
	}
	for path := m.path(); path != "" && m.err == nil; path = m.path() {
		var destination string
		if path, destination, m.err = m.take(); m.err == nil {
			m.others[path] = destination
		}
	}
	for _, path := range slices.SortedFunc(maps.Keys(m.others), proof.ComparePaths) {
		if f := m.gone(path, m.others[path]); m.err == nil && f != nil && !yield(f, nil) {
			return
		}
	}
}

// see returns the sight to yield for s, or nil.
func (m *missing) see(s *sight) *sight {
	if s.begins {
		m.item = s.Path
		return nil
	}
	_, deleted := m.others[s.Path]
	delete(m.others, s.Path)
	switch {
	case s.reason == Vanished && m.deletions != nil: // prunes may have emptied it
		var had bool
		if had, m.err = m.had(s.Path); !had {
			return nil
		}
	case s.absent && s.folder:
		m.folder = s
		return nil
	case s.absent && !deleted:
		return nil
	case s.absent:
		s.Pruned = true
	case s.reason == Unlisted && s.folder:
		m.hidden = append(m.hidden, s.Path)
	}
	return s
}

// gone returns the sight of a file that is gone on both sides, or nil if that is
// not known or not wanted.
func (m *missing) gone(path, destination string) *sight {
	switch {
	case slices.ContainsFunc(m.hidden, func(folder string) bool { return strings.HasPrefix(path, folder) }):
		return nil
	case m.folder != nil && strings.HasPrefix(path, m.folder.Path):
		m.hidden = append(m.hidden, m.folder.Path)
		return m.folder
	case m.sample != nil && !m.sample(path) && !m.sample(path[:strings.LastIndexByte(path, '/')+1]):
		return nil
	}
	return &sight{Sight: proof.Sight{Path: path, Destination: destination, Pruned: true}}
}
