package evidence

import (
	"iter"
	"strings"

	"github.com/globus-runner/globus-runner/internal/proof"
)

// Vanished are the files of a group that prunes have deleted at the source. They
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

// had reports whether the newest receipt tells of files below a folder that no
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

// within adds to the sights of a group, which come in the order of their paths,
// those of files that were deleted at the source.
func (v *vanished) within(sights iter.Seq2[*sight, error], sample func(string) bool) iter.Seq2[*sight, error] {
	return func(yield func(*sight, error) bool) {
		hidden := ""
		var folder *sight // at the destination alone, and not listed
		missing := func(path, destination string) *sight {
			switch {
			case hidden != "" && strings.HasPrefix(path, hidden):
				return nil
			case folder != nil && strings.HasPrefix(path, folder.Path):
				hidden = folder.Path
				return folder
			case sample != nil && !sample(path) && !sample(path[:strings.LastIndexByte(path, '/')+1]):
				return nil
			}
			return &sight{Sight: proof.Sight{Path: path, Destination: destination, Pruned: true}}
		}
		// until yields the files before a path, or all that are left. It takes out
		// the one of that path.
		until := func(end string) (there, more bool) {
			for next := v.path(); next != "" && (end == "" || proof.ComparePaths(next, end) <= 0); next = v.path() {
				path, destination, err := v.take()
				if err != nil {
					yield(nil, err)
					return false, false
				}
				if path == end {
					there = true
				} else if s := missing(path, destination); s != nil && !yield(s, nil) {
					return false, false
				}
			}
			return there, true
		}
		for s, err := range sights {
			if err != nil {
				yield(nil, err)
				return
			}
			deleted, more := until(s.Path)
			switch {
			case !more:
				return
			case s.reason == Vanished:
				if had, err := v.had(s.Path); err != nil || !had {
					if err != nil {
						yield(nil, err)
						return
					}
					continue
				}
			case s.absent && s.folder:
				folder = s
				continue
			case s.absent && !deleted:
				continue
			case s.absent:
				s.Pruned = true
			case s.reason == Unlisted && s.folder:
				hidden = s.Path
			}
			if !yield(s, nil) {
				return
			}
		}
		until("")
	}
}
