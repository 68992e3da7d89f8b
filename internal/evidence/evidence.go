// Package evidence says what receipts prove about the files that a source has
// now. It lists both sides and changes nothing.
//
// [Gather] finds the folders that a set of receipts is about. [Evidence.Files]
// lists them and yields each file of the sources once, with its copy at each
// destination: why it is not proven, or since when it is. Receipts of the same
// folders share one listing of both sides and are read in step, so that memory
// does not grow with the number of files.
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

// Why a path is not proven, besides the reasons of package proof.
const (
	Unlisted proof.Reason = "could not be listed"          // a folder on one side, so its files were not seen
	Excluded proof.Reason = "is excluded by a filter rule" // of the task
	Linked   proof.Reason = "is a symbolic link"
	Special  proof.Reason = "is not a regular file"
	// Renamed means that the destination lists the name in another form: the disk
	// changes names, or it is another file.
	Renamed proof.Reason = "has another form of its name at the destination, in capital letters or accents"
	// Vanished is the reason for a folder that was copied and does not
	// exist any more. Without [Options.Deletions], prunes or the job itself
	// may have deleted its files.
	Vanished proof.Reason = "does not exist, although a receipt says that it had files"
)

// A Place is a collection as seen by a local account.
type Place struct {
	Collection string // id
	LocalUser  string // may be empty
}

func (p Place) compare(other Place) int {
	return cmp.Or(cmp.Compare(p.Collection, other.Collection), cmp.Compare(p.LocalUser, other.LocalUser))
}

// A File is an entry of a source that is not a folder, or a folder whose files
// could not be seen.
type File struct {
	Source Place
	Path   string      // absolute; a folder that could not be listed has a slash at its end
	Folder bool        // its files are not yielded: they could not be seen on one side, or a rule excludes the folder
	State  proof.State // present state; zero for a folder, and for a file that was deleted
	Pruned bool        // it is gone because a prune deleted it; see [Options.Deletions]
	Copies []Copy      // one for each destination in a receipt, ordered by destination
}

// A Copy is what is known about a file at one destination.
type Copy struct {
	At    Place
	Path  string       // absolute path at which it was expected
	State *proof.State // present state; nil if it does not exist or cannot be seen
	// Reason is why the copy is not proven. It is empty if it is proven:
	// the destination has the content of the file.
	Reason proof.Reason
	// By is the head of the newest receipt that proves the copy, or of the
	// one that gave the Reason. It is nil for a folder, a link or an excluded
	// file, for which no receipt is read.
	By *proof.Receipt
	// Since is when the task of the oldest receipt that proves the copy
	// ended, on Globus's clock. It is zero if the copy is not proven.
	Since time.Time
	Err   error                // why a folder, or the copy of a single file, could not be seen
	Rule  *transfer.FilterRule // rule that excluded the path from the task; may be nil
}

// Proven returns the proven copies, the one that was proven first at the front.
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

// Reason returns why no copy is proven, from the receipt that says most. It is
// empty if a copy is proven.
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

// weight orders reasons by how much they say: that a copy was made once says
// more than that it never was.
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

// Options configure [Gather].
type Options struct {
	// Least is the lowest sync level by which Globus must have compared a
	// copy with its source; see [proof.NewJudge]. Zero means
	// [transfer.SyncChecksum].
	Least transfer.SyncLevel
	// Until prefers receipts of tasks that ended by then, if there are more
	// than can be read in step. Zero prefers the newest.
	Until time.Time
	// Trees are receipts, perhaps made with [proof.Blank], whose folders are
	// listed; receipts about other folders are left out. Nil lists the folders
	// of all receipts.
	Trees []proof.Open
	// About, unless nil, chooses receipts: one counts if About is true for one
	// of its items.
	About func(from, to Place, item *proof.Item) bool
	// Others, unless nil, finds what may have replaced copies since. It is called
	// once, with the indexes of the receipts that are used, among those of
	// [Gather].
	Others func(judged []int) (*proof.Others, error)
	// Deletions, unless nil, are the files that prunes have deleted. Those in a
	// receipt are yielded as well.
	Deletions *Deletions
	// Sample, unless nil, chooses the folders and single files to look at, by
	// absolute path; that of a folder ends in a slash. It may be called more than
	// once for a path.
	Sample func(path string) bool
}

// inStep is how many receipts of the same folders are read in step.
const inStep = 16

// Evidence is a set of receipts, grouped by the folders that they are about.
// Its methods must not be called concurrently.
type Evidence struct {
	// Unread counts receipts that are left out because there are too many
	// for the same folders. What only they prove counts as not proven.
	Unread int
	// Strangers counts receipts that [Options.About] left out.
	Strangers int

	options Options
	groups  []*group                  // by source, then by the first path
	tops    map[Place]map[string]bool // folders that are items of tasks, or contain a file that is; nil if there are too many
	allTops int
	contest *contest
}

// mostTops bounds how many of these folders are remembered.
const mostTops = 100_000

// Gather reads the beginning of each receipt. It is an error if one is not a
// receipt. Whether one was changed shows when [Evidence.Files] reads it to its
// end.
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

// add adds a receipt to its group. place is negative for one of [Options.Trees].
func (e *Evidence) add(place int, open proof.Open, byTrees map[string]*group) error {
	ofTrees, entered := place < 0, e.contest
	if ofTrees {
		entered = nil // it may be of a task that does not exist
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
		g.receipts = nil // it has named the folders, and may be one of the receipts
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
// an item of a task, and is not an item itself. It is false if there are too
// many items to remember.
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

// Tells reports whether a receipt covers a folder, with a slash at its end: an item of
// its task is that folder or one above it. It is true if there are too many items to
// remember.
func (e *Evidence) Tells(at Place, folder string) bool {
	return e.tops == nil || e.tops[at][folder] || e.Inside(at, folder)
}

// Files lists both sides of all folders and yields each file of the sources,
// source by source, in the order of [proof.ComparePaths]. An error is the last
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
