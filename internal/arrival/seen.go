package arrival

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/glob"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// errChanging is the error of an item that lost a folder while it was listed.
var errChanging = errors.New("it changed while it was listed")

// A sight is what one look at an item saw.
type sight struct {
	begin, end  Instant
	fingerprint string // empty if the item was not seen completely
	size        int64
	newest      time.Time // the latest modification of anything in it; zero if not known
	files       int
	marker      bool
	lock        string // a marker that must not exist; empty if there is none
	err         error  // why it could not be listed completely
}

// seen looks at an item.
func (l *look) seen(e *tree.Entry) sight {
	s := sight{begin: l.clock.Now()}
	if l.each.Kind == jobs.FileItems {
		s.file(e)
		s.marker, s.lock = l.markers.beside(l.names, e.Path)
	} else {
		s.newest = e.Modified
		s.folder(l.ctx, l.folder(l.each.Folder+e.Path), l.markers)
	}
	s.end = l.clock.Now()
	return s
}

func (s *sight) file(e *tree.Entry) {
	s.fingerprint = fmt.Sprintf("%d %d", e.Size, stamp(e.Modified))
	s.size, s.newest, s.files = e.Size, e.Modified, 1
}

// folder lists a folder completely, unless its markers already say that it is
// not complete.
func (s *sight) folder(ctx context.Context, f tree.Folder, m markers) {
	d := &door{Lister: f.Lister, markers: m, path: f.Path + "/"}
	f.Lister = d
	sum := sha256.New()
	for e, err := range tree.Walk(ctx, f, tree.Options{}) {
		switch {
		case err != nil:
			s.err = err
			return
		case e.Err != nil && e.Path != "" && tree.Gone(e.Err):
			s.err = errChanging
			return
		case e.Err != nil:
			s.err = e.Err
			return
		case e.Path != "":
			s.add(sum, e, m)
		case d.closed(): // that comes first
			s.marker, s.lock = d.marker, d.lock
			return
		}
	}
	s.marker = d.marker
	s.fingerprint = hex.EncodeToString(sum.Sum(nil))
}

// add adds an entry below an item.
func (s *sight) add(sum hash.Hash, e *tree.Entry, m markers) {
	size := e.Size
	if e.Kind == tree.Dir {
		size = 0 // it says nothing of what is in it
	} else {
		s.files++
		s.size += size
	}
	if e.Modified.After(s.newest) {
		s.newest = e.Modified
	}
	if name := path.Base(e.Path); s.lock == "" && m.locks(name) {
		s.lock = e.Path
	}
	fmt.Fprintf(sum, "%s\x00%s\x00%d\x00%d\n", e.Path, e.Kind, size, stamp(e.Modified))
}

func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// Fingerprint lists an item and returns its fingerprint and number of files. The
// fingerprint differs from that of a [Finding] if the item has changed since.
func Fingerprint(ctx context.Context, globus tree.Globus, each *jobs.ForEach, item *jobs.Item) (fingerprint string, files int, err error) {
	f := tree.Folder{Lister: globus, Collection: each.Collection, Path: item.Path, LocalUser: each.LocalUser}
	var s sight
	if each.Kind == jobs.FileItems {
		e := tree.Stat(ctx, globus, f)
		if e.Err != nil {
			return "", 0, e.Err
		}
		s.file(e)
	} else {
		s.folder(ctx, f, markers{})
	}
	return s.fingerprint, s.files, s.err
}

// markers are the names that say whether an item is complete.
type markers struct {
	want, refuse string // empty if there are none
	wanted, lock glob.Pattern
}

func newMarkers(each *jobs.ForEach) markers {
	m := markers{want: each.Ready.Marker, refuse: each.Ready.NoMarker}
	m.wanted, m.lock = glob.Parse(m.want), glob.Parse(m.refuse)
	return m
}

// marks reports whether an entry of a folder is its marker.
func (m markers) marks(name string) bool { return m.want != "" && m.wanted.Match(name) }

// locks reports whether an entry of a folder is a marker that must not exist.
func (m markers) locks(name string) bool { return m.refuse != "" && m.lock.Match(name) }

// isMarker reports whether a file is the marker of another one.
func (m markers) isMarker(name string) bool { return made(m.want, name) || made(m.refuse, name) }

// nameOf returns the name of the marker of a file.
func (m markers) nameOf(file string) string { return strings.Replace(m.want, "*", file, 1) }

// made reports whether a name matches a pattern, with at least one character
// for the star.
func made(pattern, name string) bool {
	before, after, ok := strings.Cut(pattern, "*")
	return ok && len(name) > len(before)+len(after) && strings.HasPrefix(name, before) && strings.HasSuffix(name, after)
}

// beside finds the markers of a file among the sorted names of its folder.
func (m markers) beside(names []string, file string) (marked bool, lock string) {
	there := func(pattern string) (string, bool) {
		name := strings.Replace(pattern, "*", file, 1)
		_, ok := slices.BinarySearch(names, name)
		return name, ok
	}
	_, marked = there(m.want)
	if name, ok := there(m.refuse); ok {
		lock = name
	}
	return marked, lock
}

// A door is a lister that notes the markers at the top level of an item while
// it is listed.
type door struct {
	tree.Lister
	markers
	path   string // of the item, with a slash at the end
	marker bool
	lock   string
}

// Ls lists a folder.
func (d *door) Ls(ctx context.Context, collection string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	all := d.Lister.Ls(ctx, collection, q)
	if q.Path != d.path {
		return all
	}
	return func(yield func(*transfer.Entry, error) bool) {
		for e, err := range all {
			if err == nil {
				d.marker = d.marker || d.marks(e.Name)
				if d.lock == "" && d.locks(e.Name) {
					d.lock = e.Name
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// closed reports whether the markers say that the item is not complete, so its
// subfolders need not be listed.
func (d *door) closed() bool { return d.want != "" && !d.marker || d.lock != "" }
