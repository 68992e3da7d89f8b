package evidence

import (
	"cmp"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/proof"
)

// A contest is about places to which files were copied from more than one source.
// Files of two sources may have one size and one time, and if the copies keep the
// times, nothing that is listed tells which of them is there. The one counts that
// was copied last.
type contest struct {
	lanes     map[spot][]lane
	many      int
	open      []entrant
	contested map[spot]bool // files and folders to which two sources lead
	all       bool          // there are too many lanes to tell

	seed    maphash.Seed
	writers []writer // by place and source, once they are sorted
	sorted  int      // how many are
	read    bool
}

// A spot is a path at a collection, in the form that is the same for paths which some
// disks take for one.
type spot struct{ collection, path string }

func spotOf(collection, path string) spot {
	return spot{strings.ToLower(collection), proof.Fold(path)}
}

// A lane leads from a source to a destination. Paths have no slash at their ends.
type lane struct {
	from                Place
	source, destination string
}

// An entrant is a receipt that tells who has written.
type entrant struct {
	collection string
	open       proof.Open
}

// A writer is a source from which a file was copied to a place, as hashes, and when
// the last task that did so had ended.
type writer struct {
	place, source uint64
	ended         int64 // nanoseconds since 1970
}

func newContest() *contest {
	return &contest{lanes: map[spot][]lane{}, contested: map[spot]bool{}, seed: maphash.MakeSeed()}
}

// add adds a receipt.
func (c *contest) add(r *receipt) {
	c.open = append(c.open, entrant{strings.ToLower(r.head.Destination), r.open})
}

// addLane adds an item of a receipt.
func (c *contest) addLane(r *receipt, i *proof.Item) {
	if c.all {
		return
	}
	l := lane{r.source(), strings.TrimSuffix(i.Source, "/"), strings.TrimSuffix(i.Destination, "/")}
	at := spotOf(r.head.Destination, l.destination)
	if slices.Contains(c.lanes[at], l) {
		return
	}
	c.lanes[at] = append(c.lanes[at], l)
	if c.many++; c.many > mostTops {
		c.all, c.lanes = true, nil
	}
}

// close finds the places to which several sources lead.
func (c *contest) close() {
	for at, lanes := range c.lanes {
		for _, l := range lanes {
			for top, rest := range above(l.destination) {
				for _, other := range c.lanes[spotOf(at.collection, top)] {
					if other.from != l.from || other.source+rest != l.source {
						c.contested[at] = true
					}
				}
			}
		}
	}
	c.lanes = nil
}

// above yields a path and the folders above it, without slashes at their ends, each
// with the rest of the path.
func above(path string) iter.Seq2[string, string] {
	return func(yield func(top, rest string) bool) {
		for end := len(path); end >= 0; end = strings.LastIndexByte(path[:end], '/') {
			if !yield(path[:end], path[end:]) {
				return
			}
		}
	}
}

// has reports whether a file at a path may be contested.
func (c *contest) has(collection, path string) bool {
	if c.all {
		return true
	}
	if len(c.contested) == 0 {
		return false
	}
	for top := range above(path) {
		if c.contested[spotOf(collection, top)] {
			return true
		}
	}
	return false
}

// survey reads who has written to contested places, once.
func (c *contest) survey() error {
	if c.read || !c.all && len(c.contested) == 0 {
		return nil
	}
	collections := map[string]bool{}
	for at := range c.contested {
		collections[at.collection] = true
	}
	for _, r := range c.open {
		if !c.all && !collections[r.collection] {
			continue
		}
		if err := c.readWriters(r.open); err != nil {
			return err
		}
	}
	c.sort()
	c.read, c.open = true, nil
	return nil
}

func (c *contest) readWriters(open proof.Open) error {
	in, err := open()
	if err != nil {
		return err
	}
	h := &in.Receipt
	from := Place{h.Source, h.Options.SourceLocalUser}
	for row, err := range in.Rows() {
		if err != nil {
			return err
		}
		if r := row.Copied; r != nil && c.has(h.Destination, r.Destination) {
			c.writers = append(c.writers, writer{c.place(h.Destination, r.Destination), c.source(from, r.Source), h.Completed.UnixNano()})
			if len(c.writers) > 2*c.sorted+1000 {
				c.sort()
			}
		}
	}
	return nil
}

// sort leaves the last writing of each source to each place.
func (c *contest) sort() {
	slices.SortFunc(c.writers, func(a, b writer) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.source, b.source), cmp.Compare(b.ended, a.ended))
	})
	c.writers = slices.CompactFunc(c.writers, func(a, b writer) bool { return a.place == b.place && a.source == b.source })
	c.sorted = len(c.writers)
}

// replaced reports whether a task that ended after an instant may have copied another
// file to the place of a copy.
func (c *contest) replaced(from Place, path, collection, copied string, after time.Time) bool {
	place, source := c.place(collection, copied), c.source(from, path)
	i, _ := slices.BinarySearchFunc(c.writers, place, func(w writer, place uint64) int { return cmp.Compare(w.place, place) })
	for ; i < len(c.writers) && c.writers[i].place == place; i++ {
		if c.writers[i].source != source && c.writers[i].ended >= after.UnixNano() {
			return true
		}
	}
	return false
}

func (c *contest) place(collection, path string) uint64 {
	return maphash.Comparable(c.seed, spotOf(collection, path))
}

func (c *contest) source(from Place, path string) uint64 {
	return maphash.Comparable(c.seed, struct {
		Place
		path string
	}{from, path})
}
