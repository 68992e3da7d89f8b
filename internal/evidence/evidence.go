// Package evidence says what receipts prove about the files that a source has
// now. It lists the source and the destinations, and changes nothing.
//
// [Gather] finds the trees that a set of receipts is about. [Evidence.Files] lists
// them and yields each file of the sources once, with what is known of its copy
// at each destination: why it is not proven, or since when it is. Receipts of the
// same trees share one listing of both sides and are judged side by side, so that
// memory does not grow with the number of files.
//
// The callers supply the receipts and decide what to do with a file.
package evidence

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// Why a path is not proven, beside the reasons of package proof.
const (
	Unlisted proof.Reason = "could not be listed"          // a folder, on one side: its files are not seen
	Excluded proof.Reason = "is excluded by a filter rule" // of the task
	Linked   proof.Reason = "is a symbolic link"
	Special  proof.Reason = "is not a regular file"
	// Renamed is why nobody looks for a proof: the disk writes names in a form of its
	// own, and lists them so, or it is a file of another name.
	Renamed proof.Reason = "has another form of its name at the destination, in capital letters or accents"
	// Vanished is why nothing is seen of a folder that was copied. Without
	// [Options.Deletions], prunes or the job itself may have deleted its files.
	Vanished proof.Reason = "does not exist, although a receipt says that it had files"
)

// A Place is a collection, as one of several local accounts sees it.
type Place struct {
	Collection string // id
	LocalUser  string // may be empty
}

func (p Place) compare(other Place) int {
	return cmp.Or(cmp.Compare(p.Collection, other.Collection), cmp.Compare(p.LocalUser, other.LocalUser))
}

// A File is what a source has at a path that is not a folder, or a folder whose
// files could not be seen.
type File struct {
	Source Place
	Path   string      // whole; of a folder that could not be listed with a slash at its end
	Folder bool        // its files are not told: they could not be seen on one side, or a rule excludes it
	State  proof.State // now; zero for a folder, and for a file that was deleted
	Pruned bool        // it is gone, because a prune has deleted it: see [Options.Deletions]
	Copies []Copy      // one for each destination of which a receipt tells, ordered by it
}

// A Copy is what is known of a file at one destination.
type Copy struct {
	At    Place
	Path  string       // where it was looked for, whole
	State *proof.State // now; nil if nothing is there, or if it cannot be seen
	// Reason is why the copy is not proven. Empty says that it is: the
	// destination has what the file holds.
	Reason proof.Reason
	// By is the head of the receipt that says so: of those that prove the copy
	// the newest; or else of that with the reason. It is nil where no receipt was
	// asked: for a folder, a link, or an excluded file.
	By *proof.Receipt
	// Since is when the task of the oldest receipt that proves the copy ended, by
	// the clock of Globus. It is zero if the copy is not proven.
	Since time.Time
	Err   error                // why a folder, or the copy of a single file, cannot be seen
	Rule  *transfer.FilterRule // by which the task excluded the path; nil if it did not
}

// Proven returns the copies that are proven, the one that was proven first at
// the front.
func (f *File) Proven() []Copy {
	var all []Copy
	for _, c := range f.Copies {
		if c.Reason == "" {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b Copy) int { return a.Since.Compare(b.Since) })
	return all
}

// Reason returns why no copy is proven, by the receipt that tells most. It is
// empty if one is.
func (f *File) Reason() proof.Reason {
	var best *Copy
	for i := range f.Copies {
		if c := &f.Copies[i]; best == nil || weight(c.Reason) < weight(best.Reason) {
			best = c
		}
	}
	if best == nil {
		return ""
	}
	return best.Reason
}

// weight puts first what tells most about a file: of a copy that was made once,
// more than of one that never was.
func weight(r proof.Reason) int {
	switch r {
	case "":
		return 0
	case proof.NotBefore:
		return 3
	case proof.NotCopied, proof.Missed, Excluded:
		return 2
	}
	return 1
}

// Options say what counts.
type Options struct {
	// Least is the lowest sync level by which Globus must have compared a copy
	// with its source. Zero means [transfer.SyncChecksum].
	Least transfer.SyncLevel
	// Until prefers receipts of tasks that had ended by then, where there are
	// more than can be judged in step. Zero prefers the newest.
	Until time.Time
	// Trees are receipts, perhaps of tasks that have none (see [proof.Blank]),
	// whose trees are looked at; receipts of other trees are left out. Nil looks at
	// the trees of all receipts.
	Trees []proof.Open
	// About, unless nil, chooses receipts by their items: one counts if one of its
	// items is chosen.
	About func(from, to Place, item *proof.Item) bool
	// Others, unless nil, finds what may have replaced copies since. It is asked once,
	// about the receipts that are judged, by their places among those of [Gather].
	Others func(judged []int) (*proof.Others, error)
	// Deletions, unless nil, are the files that prunes have deleted. Those of which
	// a receipt tells are looked at as well.
	Deletions *Deletions
	// Sample, unless nil, chooses by their paths the folders, whole and with a slash,
	// and the single files that are looked at. It is asked more than once.
	Sample func(path string) bool
}

// inStep is how many receipts of the same trees are judged in step.
const inStep = 16

// Evidence is a set of receipts, by the trees that they are about. Its methods
// may be called one after the other.
type Evidence struct {
	// Unread counts receipts that are left out because there are too many of the
	// same trees. What only they prove counts as not proven.
	Unread int
	// Strangers counts receipts that are left out by [Options.About].
	Strangers int

	options Options
	groups  []*group                  // by source, then by the first path
	tops    map[Place]map[string]bool // folders that tasks were told to copy, or to copy from; nil if there are too many
	allTops int
	contest *contest
}

// mostTops bounds how many folders are remembered that tasks were told to copy.
const mostTops = 100_000

// Gather reads the beginning of each receipt. What is not a receipt is an error;
// whether one was changed shows when [Evidence.Files] reads it to its end.
func Gather(receipts []proof.Open, o Options) (*Evidence, error) {
	if o.Least == 0 {
		o.Least = transfer.SyncChecksum
	}
	e := &Evidence{options: o, tops: map[Place]map[string]bool{}, contest: newContest()}
	byTrees := map[string]*group{}
	for i, open := range slices.Concat(o.Trees, receipts) {
		i -= len(o.Trees)
		if err := e.add(i, open, byTrees); err != nil {
			return nil, err
		}
	}
	for _, g := range e.groups {
		e.Unread += g.choose(o)
	}
	if err := e.contend(); err != nil {
		return nil, err
	}
	slices.SortFunc(e.groups, func(a, b *group) int {
		return cmp.Or(a.source.compare(b.source), proof.ComparePaths(a.first, b.first), a.destination.compare(b.destination))
	})
	return e, nil
}

// add adds a receipt to its group. Its place is negative for one of [Options.Trees].
func (e *Evidence) add(place int, open proof.Open, byTrees map[string]*group) error {
	ofTrees, entered := place < 0, e.contest
	if ofTrees {
		entered = nil // it may be of a task that there is not
	}
	r, err := begin(open, e.options.About, entered)
	switch {
	case err != nil:
		return err
	case r.first == "":
		return nil
	case !r.about:
		e.Strangers++
		return nil
	}
	g := byTrees[r.trees]
	switch {
	case g == nil && e.options.Trees != nil && !ofTrees:
		return nil
	case g == nil:
		g = &group{first: r.first, source: r.source(), destination: r.destination(), contest: e.contest}
		byTrees[r.trees] = g
		e.groups = append(e.groups, g)
		e.addTops(g.source, r.tops)
	case g.receipts[0].place < 0:
		g.receipts = nil // it has told the trees, and may be the same receipt
	}
	r.place, r.tops = place, nil // the tops of a group are the same
	g.receipts = append(g.receipts, r)
	return nil
}

// contend adds what may have replaced copies.
func (e *Evidence) contend() error {
	var judged []int
	for _, g := range e.groups {
		for _, r := range g.receipts {
			if r.place >= 0 {
				judged = append(judged, r.place)
			}
		}
	}
	if e.options.Others != nil && len(judged) > 0 {
		others, err := e.options.Others(judged)
		if err == nil {
			err = e.contest.addOthers(others)
		}
		if err != nil {
			return err
		}
	}
	e.contest.close()
	return nil
}

func (e *Evidence) addTops(at Place, tops []string) {
	if e.allTops += len(tops); e.allTops > mostTops {
		e.tops = nil
	}
	if e.tops == nil {
		return
	}
	if e.tops[at] == nil {
		e.tops[at] = map[string]bool{}
	}
	for _, top := range tops {
		e.tops[at][top] = true
	}
}

// Inside reports whether a folder of a source, with a slash at its end, is below
// one that tasks were told to copy, and is not such a folder itself. It is false
// where there are too many of them to tell.
func (e *Evidence) Inside(at Place, folder string) bool {
	tops := e.tops[at]
	if tops[folder] {
		return false
	}
	for above := folder; ; {
		i := strings.LastIndexByte(strings.TrimSuffix(above, "/"), '/')
		if i < 0 {
			return false
		}
		if above = above[:i+1]; tops[above] {
			return true
		}
	}
}

// Tells reports whether a receipt covers a folder, with a slash at its end: its task was
// told to copy that folder or one above it. It is true where there are too many folders
// to remember.
func (e *Evidence) Tells(at Place, folder string) bool {
	return e.tops == nil || e.tops[at][folder] || e.Inside(at, folder)
}

// Files lists both sides of all trees and yields each file of the sources: one
// source after the other, ordered by [proof.ComparePaths]. An error is the last
// pair: ctx has ended, or a receipt cannot be read or was changed.
func (e *Evidence) Files(ctx context.Context, globus tree.Globus) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		if err := e.contest.survey(); err != nil {
			yield(nil, err)
			return
		}
		for rest := e.groups; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].source == rest[0].source {
				n++
			}
			for f, err := range merge(ctx, globus, rest[:n], e.options) {
				if !yield(f, err) || err != nil {
					return
				}
			}
			rest = rest[n:]
		}
	}
}
