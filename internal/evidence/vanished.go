package evidence

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/proof"
)

// A vanished tells the files of a group that prunes have deleted at the source. They
// come from the rows of its receipts, in the order of their paths.
type vanished struct {
	streams   []*landing
	before    *landing // what the source had before the newest task that tells; nil if none does
	deletions *Deletions
	at        Place
}

// A landing is a receipt that is read, up to a file that is looked for.
type landing struct {
	next func() (proof.Row, error, bool)
	stop func()
	now  *proof.Landed // that the destination had after the task; nil at the end
	had  *proof.Found  // that the source had before the task; nil at the end
}

// vanished opens what the receipts of a group say about files that are gone. Nil
// deletions ask for none.
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

// wanted reports whether a row is of the copy of a file that was deleted.
func (v *vanished) wanted(row proof.Row) bool {
	return row.Landed != nil && !v.deletions.Last(v.at, row.Landed.Source).IsZero()
}

// advance moves to the next row that is wanted.
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

// had reports whether the newest receipt has files below a folder that no
// prune has deleted. Folders are asked about in the order of their paths.
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

// path returns the path of the next file; empty if there is none.
func (v *vanished) path() (low string) {
	for _, l := range v.streams {
		if l.now != nil && (low == "" || proof.ComparePaths(l.now.Source, low) < 0) {
			low = l.now.Source
		}
	}
	return low
}

// take returns the next file and where its copy was, and moves on.
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

// within adds to the sights of a group those of files that were deleted at the
// source. Both come in the order of their paths, but that an item without a slash
// at its end may be a folder.
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

// A missing is the files that were deleted at the source, while both sides are
// listed.
type missing struct {
	*vanished
	sample func(string) bool
	item   string            // the path of the present item, with a slash at its end if it is a folder
	others map[string]string // files of other items, with the paths of their copies
	hidden []string          // folders that could not be listed
	folder *sight            // the last one that is at the destination alone, and could not be listed
	err    error
}

// before yields the files that come before a sight. More is false if no more is
// wanted.
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

// rest yields what is left in the end.
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

// see returns what to make of a sight; nil for nothing.
func (m *missing) see(s *sight) *sight {
	if s.begins {
		m.item = s.Path
		return nil
	}
	_, deleted := m.others[s.Path]
	delete(m.others, s.Path)
	switch {
	case s.reason == Vanished && m.deletions != nil: // a prune may have emptied it
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

// gone is the sight of a file that is gone on both sides; nil if that is not known,
// or nobody wants to know it.
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
