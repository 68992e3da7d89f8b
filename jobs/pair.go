package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"path"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/transfer"
)

// Check returns the first thing wrong with the paths of a step whose templates
// are resolved. The lines of a manifest are checked when they are read.
func (s *Step) Check() error {
	switch {
	case s.Manifest != "":
		return nil
	case s.Transfer != nil:
		pairs := newPairs(s.Transfer, "item")
		for i := range s.Transfer.Items {
			item := &s.Transfer.Items[i]
			err := cmp.Or(checkPath(item.SourcePath), checkPath(item.DestinationPath))
			if err == nil {
				err = pairs.add(item, i+1)
			}
			if err != nil {
				if len(s.Transfer.Items) > 1 {
					return fmt.Errorf("item %d: %w", i+1, err)
				}
				return err
			}
		}
	case s.Delete != nil:
		for _, item := range s.Delete.Items {
			if err := checkPath(item.Path); err != nil {
				return err
			}
			if err := checkDelete(item.Path, s.Delete.InterpretGlobs); err != nil {
				return err
			}
		}
	case s.Mkdir != nil:
		if err := checkPath(s.Mkdir.Path); err != nil {
			return err
		}
		return checkNoWildcard(s.Mkdir.Path)
	case s.Share != nil:
		return s.Share.check()
	}
	return nil
}

// A fault is something wrong with one key of an item.
type fault struct{ key, msg string }

func (f *fault) Error() string { return f.msg }

// checkEnds returns what is wrong with one item by itself. Its paths are
// absolute.
func checkEnds(item *transfer.Item) (faults []*fault) {
	isFile := item.Recursive != nil && !*item.Recursive
	isFolder := item.Recursive != nil && *item.Recursive || strings.HasSuffix(item.SourcePath, "/")
	summed := item.ExternalChecksum != ""
	add := func(key, msg string) { faults = append(faults, &fault{key, msg}) }
	if err := checkNoWildcard(item.SourcePath); err != nil {
		add("source", err.Error())
	}
	if err := checkNoWildcard(item.DestinationPath); err != nil {
		add("destination", err.Error())
	}
	if isFile && isFolder {
		add("recursive", "a source that ends in / is a folder, but recursive is false")
	}
	if summed && isFolder {
		add("external_checksum", "a checksum is of a file, but the source is a folder")
	}
	if (isFile || summed) && !isFolder && strings.HasSuffix(item.DestinationPath, "/") {
		add("destination", fmt.Sprintf("the source is a file, but %s is a folder; write %s", short(item.DestinationPath),
			short(item.DestinationPath+path.Base(item.SourcePath))))
	}
	return faults
}

// pairs checks the items of one transfer, one by one. With a million items, it needs 30 MiB.
type pairs struct {
	from, to string // collections
	mirror   bool
	unit     string // what the numbers of items count
	seed     maphash.Seed
	taken    map[uint64]int32 // number of an item by the hash of its destination; nil if they are not compared
	only     map[uint64]bool  // the hashes to compare; nil means all
	above    map[uint64]int32 // the same as taken by the folders above; in a mirror
	sums     *tally           // hashes of all destinations, if they are to be compared at the end
}

// A tally finds equal hashes among many, which it holds in parts to be sorted.
type tally [256][]uint64

func (t *tally) add(sum uint64) { t[sum>>56] = append(t[sum>>56], sum) }

// twice returns the hashes that were added more than once.
func (t *tally) twice() map[uint64]bool {
	found := map[uint64]bool{}
	for _, part := range t {
		slices.Sort(part)
		for i := 1; i < len(part); i++ {
			if part[i] == part[i-1] {
				found[part[i]] = true
			}
		}
	}
	return found
}

func newPairs(doc *transfer.Transfer, unit string) *pairs {
	return &pairs{
		from: doc.SourceEndpoint, to: doc.DestinationEndpoint, mirror: doc.DeleteDestinationExtra,
		unit: unit, seed: maphash.MakeSeed(), taken: map[uint64]int32{}, above: map[uint64]int32{},
	}
}

// add checks the item with a number, from 1, by itself and beside those before
// it. Its paths have been checked.
func (p *pairs) add(item *transfer.Item, number int) error {
	for _, fault := range checkEnds(item) {
		return fault
	}
	m := move{mirror: p.mirror, from: spot{p.from, item.SourcePath}, to: spot{p.to, item.DestinationPath}}
	if err := m.self(); err != nil {
		return err
	}
	return p.claim(item.DestinationPath, number)
}

// claim records a destination, which must not be that of an earlier item.
func (p *pairs) claim(destination string, number int) error {
	at := spot{path: destination}.clean()
	sum := maphash.String(p.seed, at.path)
	if p.sums != nil {
		p.sums.add(sum)
	}
	if p.taken == nil || p.only != nil && !p.only[sum] {
		return nil
	}
	if other, ok := p.taken[sum]; ok {
		return fmt.Errorf("the destination %s is that of %s %d as well, and one would replace the other; give each its own, or copy them in two steps",
			short(destination), p.unit, other)
	}
	p.taken[sum] = int32(number)
	if !p.mirror {
		return nil
	}
	other, meet := p.above[sum]
	for folder := range at.folders() {
		sum := maphash.String(p.seed, folder.path)
		if n, ok := p.taken[sum]; ok && folder != at {
			other, meet = n, true
		}
		p.above[sum] = int32(number)
	}
	if meet {
		return fmt.Errorf("the destination %s and that of %s %d lie one inside the other, so delete_destination_extra would delete what was just copied",
			short(destination), p.unit, other)
	}
	return nil
}

// self says how the ends of a transfer meet.
func (m *move) self() error {
	from, to := m.from.clean(), m.to.clean()
	switch {
	case from == to:
		return errors.New("source and destination are the same")
	case to.below(from):
		return errors.New("the destination is inside the source: each run would copy the copies of the last")
	case m.mirror && from.below(to):
		return errors.New("the source is inside the destination, where delete_destination_extra would delete it")
	}
	return nil
}

// CheckRename returns the first thing wrong with a new name for a path on the
// same collection.
func CheckRename(from, to string) error {
	old, renamed := spot{path: from}.clean(), spot{path: to}.clean()
	switch {
	case strings.Trim(old.path, "/~") == "":
		return fmt.Errorf("%s is the top of the collection, which has no other name", short(from))
	case old == renamed:
		return errors.New("the old path and the new one are the same")
	case renamed.below(old):
		return errors.New("the new path is inside the old one")
	}
	return nil
}
