package evidence

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
)

// A stream is the files of a group, read up to the current one.
type stream struct {
	next func() (*File, error, bool)
	stop func()
	now  *File
}

// merge yields the files of groups of one source, each file once with its copies
// from all groups. A group is opened when its first possible path comes, and
// closed after its last file.
func merge(ctx context.Context, globus tree.Globus, groups []*group, o Options) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		var open []*stream
		defer func() {
			for _, s := range open {
				s.stop()
			}
		}()
		last := ""
		for {
			// The lowest path of the open groups; groups that may have a
			// lower or the same path are opened first.
			low := ""
			for _, s := range open {
				if low == "" || proof.ComparePaths(s.now.Path, low) < 0 {
					low = s.now.Path
				}
			}
			if len(groups) > 0 && (low == "" || proof.ComparePaths(groups[0].first, low) <= 0) {
				s := &stream{}
				s.next, s.stop = iter.Pull2(groups[0].files(ctx, globus, o))
				open, groups = append(open, s), groups[1:]
				var err error
				if open, err = advance(open, len(open)-1); err != nil {
					yield(nil, err)
					return
				}
				continue
			}
			if low == "" {
				return
			}
			var all *File
			for i, s := range slices.Backward(open) { // advance may remove one
				if s.now.Path != low {
					continue
				}
				all = s.now.join(all)
				var err error
				if open, err = advance(open, i); err != nil {
					yield(nil, err)
					return
				}
			}
			if proof.ComparePaths(low, last) <= 0 {
				all.refute(proof.LookedTwice) // trees overlap
			} else {
				last = low
			}
			if !yield(all, nil) {
				return
			}
		}
	}
}

// advance moves a stream to its next file, or removes it after the last one.
func advance(open []*stream, i int) ([]*stream, error) {
	f, err, ok := open[i].next()
	if err != nil {
		return open, err
	}
	if open[i].now = f; !ok {
		open[i].stop()
		open = slices.Delete(open, i, i+1)
	}
	return open, nil
}

// join adds what another group says about the same path. Of two results for the
// same copy, the proven one stays, and of two proven ones the one that proves
// more.
func (f *File) join(other *File) *File {
	if other == nil {
		return f
	}
	if f.Pruned != other.Pruned || !f.State.Same(other.State) { // it changed between two looks
		if f.Pruned {
			f.State, f.Pruned = other.State, false
		}
		f.refute(proof.Since)
		other.refute(proof.Since)
	}
	f.Folder = f.Folder && other.Folder
	for _, c := range other.Copies {
		i, there := slices.BinarySearchFunc(f.Copies, c, func(a, b Copy) int { return a.At.compare(b.At) })
		switch {
		case !there:
			f.Copies = slices.Insert(f.Copies, i, c)
		case c.better(&f.Copies[i]):
			f.Copies[i] = c
		}
	}
	return f
}

func (c *Copy) better(than *Copy) bool {
	if c.Reason == "" && than.Reason == "" {
		return c.Since.Before(than.Since)
	}
	return weight(c.Reason) < weight(than.Reason)
}

// refute makes all copies of a file unproven.
func (f *File) refute(why proof.Reason) {
	for i := range f.Copies {
		if c := &f.Copies[i]; c.Reason == "" {
			c.Reason, c.Since = why, time.Time{}
		}
	}
}
