package evidence

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/proof"
)

// A contest finds places to which files were copied from more than one source.
// Files of two sources may have the same size and time, and if copies keep the
// times, no listing shows which of them is there. Then the last one copied
// counts.
type contest struct {
	lanes     map[Spot][]lane
	many      int
	open      []entrant
	unsealed  iter.Seq2[*proof.Unsealed, error] // nil for none
	contested map[Spot]bool                     // files and folders with more than one source
	all       bool                              // there are too many lanes, so every place counts as contested

	seed    maphash.Seed
	writers []writer                    // the first sorted of them are ordered by place and source
	sorted  int                         // how many are
	blind   map[Spot]map[lane]time.Time // lanes along which a task may have copied anything, and until when
	blinds  int
	allTo   time.Time // until when tasks may have copied anything anywhere; zero if none may
	read    bool
}

// A Spot is a path on a collection, in a form that is the same for paths that some
// disks treat as the same.
type Spot struct{ collection, path string }

// SpotOf returns the spot of a path on a collection.
func SpotOf(collection, path string) Spot {
	return Spot{strings.ToLower(collection), proof.Fold(path)}
}

// A lane leads from a source to a destination. Paths have no slash at their ends.
type lane struct {
	from                Place
	source, destination string
}

// An entrant is a receipt that lists copies.
type entrant struct {
	collection string
	open       proof.Open
}

// A writer records that a file was copied from a source to a place, given as
// hashes, and when the last task that did so ended.
type writer struct {
	place, source uint64
	ended         int64 // nanoseconds since 1970, on Globus's clock or, without a receipt, on ours
	unsealed      bool  // the task has no receipt, and may not have copied the file
}

// forever stands for the end of a task whose end is not known.
func forever() time.Time { return time.Unix(1<<33, 0) }

func newContest() *contest {
	return &contest{lanes: map[Spot][]lane{}, contested: map[Spot]bool{}, seed: maphash.MakeSeed(), blind: map[Spot]map[lane]time.Time{}}
}

// add adds a receipt.
func (c *contest) add(r *receipt) {
	c.open = append(c.open, entrant{strings.ToLower(r.head.Destination), r.open})
}

// addOthers adds tasks that prove nothing.
func (c *contest) addOthers(o *proof.Others) error {
	for _, open := range o.Sealed {
		if _, err := begin(open, nil, c); err != nil {
			return err
		}
	}
	if c.unsealed = o.Unsealed; c.unsealed == nil {
		return nil
	}
	for u, err := range c.unsealed {
		if err != nil {
			return err
		}
		for i := range u.Items {
			c.addLane(&u.Receipt, &i)
		}
	}
	return nil
}

func laneOf(h *proof.Receipt, source, destination string) lane {
	return lane{sourceOf(h), strings.TrimSuffix(source, "/"), strings.TrimSuffix(destination, "/")}
}

// addLane adds an item of a receipt.
func (c *contest) addLane(h *proof.Receipt, i *proof.Item) {
	if c.all {
		return
	}
	l := laneOf(h, i.Source, i.Destination)
	at := SpotOf(h.Destination, l.destination)
	if slices.Contains(c.lanes[at], l) {
		return
	}
	c.lanes[at] = append(c.lanes[at], l)
	if c.many++; c.many > mostTops {
		c.all, c.lanes = true, nil
	}
}

// close finds the places that have several sources.
func (c *contest) close() {
	for at, lanes := range c.lanes {
		for _, l := range lanes {
			for top, rest := range above(l.destination) {
				for _, other := range c.lanes[SpotOf(at.collection, top)] {
					if other.from != l.from || other.source+rest != l.source {
						c.contested[at] = true
					}
				}
			}
		}
	}
	c.lanes = nil
}

// above yields a path and the folders above it, without slashes at their ends, and
// the rest of the path for each.
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
		if c.contested[SpotOf(collection, top)] {
			return true
		}
	}
	return false
}

// survey reads which tasks wrote to contested places, once.
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
	if c.unsealed != nil {
		for u, err := range c.unsealed {
			if err == nil && (c.all || collections[strings.ToLower(u.Destination)]) {
				err = c.readUnsealed(u)
			}
			if err != nil {
				return err
			}
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
	for row, err := range in.Rows() {
		if err != nil {
			return err
		}
		if r := row.Copied; r != nil && c.has(h.Destination, r.Destination) {
			c.addWriter(writer{place: c.place(h.Destination, r.Destination), source: c.source(sourceOf(h), r.Source), ended: h.Completed.UnixNano()})
		}
	}
	return nil
}

// readUnsealed reads what a task without a receipt may have copied: the files that the
// source had. If these are not known, the task may have copied anything. The same holds
// if copies keep the times, because a file with an old time may have come after the
// source was listed; otherwise its copy would have a new time.
func (c *contest) readUnsealed(u *proof.Unsealed) error {
	until := u.Until
	if until.IsZero() {
		until = forever()
	}
	blind := u.Found == nil || u.Options.PreserveTimestamp
	to := map[string][]string{} // destinations of the items, by their sources
	for i := range u.Items {
		l := laneOf(&u.Receipt, i.Source, i.Destination)
		if blind {
			c.addBlind(u.Destination, l, until)
		} else {
			to[l.source] = append(to[l.source], l.destination)
		}
	}
	if blind {
		return nil
	}
	for row, err := range u.Found {
		switch {
		case err != nil:
			return fmt.Errorf("read what the source of run %d had: %w", u.Run, err)
		case row.Skipped != nil:
			c.addBlind(u.Destination, laneOf(&u.Receipt, row.Skipped.Source, row.Skipped.Destination), until)
		case row.Found != nil:
			for top, rest := range above(row.Found.Path) {
				for _, destination := range to[top] {
					c.addUnsealedWriter(u, row.Found, destination+rest, until)
				}
			}
		}
	}
	return nil
}

// addUnsealedWriter adds a file that a task without a receipt may have copied.
func (c *contest) addUnsealedWriter(u *proof.Unsealed, f *proof.Found, destination string, until time.Time) {
	if !c.has(u.Destination, destination) {
		return
	}
	c.addWriter(writer{place: c.place(u.Destination, destination), source: c.source(sourceOf(&u.Receipt), f.Path), ended: until.UnixNano(), unsealed: true})
}

func (c *contest) addWriter(w writer) {
	if c.writers = append(c.writers, w); len(c.writers) > 2*c.sorted+1000 {
		c.sort()
	}
}

// addBlind adds a lane along which a task may have copied anything.
func (c *contest) addBlind(collection string, l lane, until time.Time) {
	at := SpotOf(collection, l.destination)
	if c.blind[at] == nil {
		c.blind[at] = map[lane]time.Time{}
	}
	before, there := c.blind[at][l]
	if !there {
		if c.blinds++; c.blinds > mostTops {
			c.allTo = later(c.allTo, until)
			return
		}
	}
	c.blind[at][l] = later(before, until)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sort keeps only the last writer for each place and source.
func (c *contest) sort() {
	same := func(a, b writer) int {
		unsealed := 0
		if a.unsealed != b.unsealed {
			if unsealed = 1; b.unsealed {
				unsealed = -1
			}
		}
		return cmp.Or(cmp.Compare(a.place, b.place), unsealed, cmp.Compare(a.source, b.source))
	}
	slices.SortFunc(c.writers, func(a, b writer) int { return cmp.Or(same(a, b), cmp.Compare(b.ended, a.ended)) })
	c.writers = slices.CompactFunc(c.writers, func(a, b writer) bool { return same(a, b) == 0 })
	c.sorted = len(c.writers)
}

// replaced returns why a copy that a receipt proves may now be that of another file. It
// is empty if no task may have copied another file to its place since. A task without a
// receipt may have copied the file again after it was replaced.
func (c *contest) replaced(from Place, s *proof.Sight, by *proof.Receipt) proof.Reason {
	place, source := c.place(by.Destination, s.Destination), c.source(from, s.Path)
	own, other := c.blindTo(from, s, by.Destination)
	last, again, since := int64(0), int64(0), !other.IsZero() && !other.Before(by.Listed)
	if !own.IsZero() {
		again = own.UnixNano()
	}
	i, _ := slices.BinarySearchFunc(c.writers, place, func(w writer, place uint64) int { return cmp.Compare(w.place, place) })
	for ; i < len(c.writers) && c.writers[i].place == place; i++ {
		switch w := &c.writers[i]; {
		case w.source == source && w.unsealed:
			again = max(again, w.ended)
		case w.source == source:
		case !w.unsealed && w.ended >= by.Requested.UnixNano():
			last = max(last, w.ended)
		case w.unsealed && w.ended >= by.Listed.UnixNano():
			since = true
		}
	}
	switch {
	case last > again:
		return proof.Replaced
	case last > 0 || since:
		return proof.Overwritten
	}
	return ""
}

// blindTo returns until when tasks that may have copied anything may have written the
// place of a copy: with the file itself, and with another one.
func (c *contest) blindTo(from Place, s *proof.Sight, collection string) (own, other time.Time) {
	if other = c.allTo; len(c.blind) == 0 {
		return own, other
	}
	for top, rest := range above(s.Destination) {
		for l, until := range c.blind[SpotOf(collection, top)] {
			if l.from == from && l.source+rest == s.Path {
				own = later(own, until)
			} else {
				other = later(other, until)
			}
		}
	}
	return own, other
}

func (c *contest) place(collection, path string) uint64 {
	return maphash.Comparable(c.seed, SpotOf(collection, path))
}

func (c *contest) source(from Place, path string) uint64 {
	return maphash.Comparable(c.seed, struct {
		Place
		path string
	}{from, path})
}
