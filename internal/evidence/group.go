package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// A receipt is a receipt whose head and items were read.
type receipt struct {
	head  *proof.Receipt
	open  proof.Open
	place int      // index among the receipts of Gather; negative for one of Options.Trees
	trees string   // the same for receipts about the same folders
	first string   // the lowest path that it may be about; empty without items
	tops  []string // folders that are its items, or contain a file that is
	about bool     // Options.About is true for one of its items
}

// begin reads the head and the items of a receipt, and adds it to c unless that is
// nil.
func begin(open proof.Open, about func(from, to Place, item *proof.Item) bool, c *contest) (*receipt, error) {
	in, err := open()
	if err != nil {
		return nil, err
	}
	r := &receipt{head: new(in.Receipt), open: open, about: about == nil} // the reader has large buffers
	if c != nil {
		c.add(r)
	}
	sum := sha256.New()
	text := json.NewEncoder(sum)
	h := r.head
	if err := text.Encode([]any{h.Source, h.Destination, h.Options.SourceLocalUser, h.Options.DestinationLocalUser, h.Options.FilterRules}); err != nil {
		return nil, err
	}
	for item, err := range items(in) {
		if err != nil {
			return nil, err
		}
		if err := text.Encode(item); err != nil {
			return nil, err
		}
		r.about = r.about || about(r.source(), r.destination(), item)
		if low := lowest(item); r.first == "" || proof.ComparePaths(low, r.first) < 0 {
			r.first = low
		}
		if c != nil {
			c.addLane(r.head, item)
		}
		for _, top := range topsOf(item) {
			if len(r.tops) == 0 || r.tops[len(r.tops)-1] != top {
				r.tops = append(r.tops, top)
			}
		}
	}
	r.trees = string(sum.Sum(nil))
	return r, nil
}

// TreesOf returns a name for the folders that a receipt is about. It is the same
// for receipts about the same folders.
func TreesOf(open proof.Open) (string, error) {
	r, err := begin(open, nil, nil)
	if err != nil {
		return "", err
	}
	return r.trees, nil
}

// items yields the items of a receipt, which are its first rows.
func items(in *proof.Reader) iter.Seq2[*proof.Item, error] {
	return func(yield func(*proof.Item, error) bool) {
		for row, err := range in.Rows() {
			if err == nil && row.Item == nil {
				return
			}
			if !yield(row.Item, err) || err != nil {
				return
			}
		}
	}
}

// lowest returns the lowest path that an item can be about.
func lowest(i *proof.Item) string {
	if folder, known := isFolder(i); folder && known {
		return strings.TrimSuffix(i.Source, "/") + "/"
	}
	return i.Source
}

// topsOf returns the folder that an item is, or the folder of a file item; both
// if it may be either.
func topsOf(i *proof.Item) (tops []string) {
	folder, known := isFolder(i)
	if !folder || !known {
		tops = append(tops, i.Source[:strings.LastIndexByte(i.Source, '/')+1])
	}
	if folder {
		tops = append(tops, strings.TrimSuffix(i.Source, "/")+"/")
	}
	return tops
}

// isFolder reports whether an item is a folder, if that is known from the item.
func isFolder(i *proof.Item) (folder, known bool) {
	if i.Recursive != nil {
		return *i.Recursive, true
	}
	return true, strings.HasSuffix(i.Source, "/")
}

func (r *receipt) source() Place { return sourceOf(r.head) }

func sourceOf(h *proof.Receipt) Place { return Place{h.Source, h.Options.SourceLocalUser} }

func (r *receipt) destination() Place {
	return Place{r.head.Destination, r.head.Options.DestinationLocalUser}
}

// provesNothing reports whether a receipt cannot prove any file: nothing was
// copied or compared, or it is not known what the source had.
func (r *receipt) provesNothing(least transfer.SyncLevel) bool {
	level := r.head.Options.SyncLevel
	return r.head.Listed.IsZero() || r.head.Files == 0 && (level == nil || *level < int(least))
}

// A group is the receipts about the same folders.
type group struct {
	source, destination Place
	first               string     // the lowest path that they may be about
	receipts            []*receipt // the newest first
	contest             *contest
}

// choose keeps as many receipts as are read in step, and returns how many others
// that may prove something are left out.
func (g *group) choose(o Options) (left int) {
	newest := func(a, b *receipt) int { return b.head.Completed.Compare(a.head.Completed) }
	slices.SortStableFunc(g.receipts, newest)
	if len(g.receipts) <= inStep {
		return 0
	}
	first := g.receipts[0]
	g.receipts = slices.DeleteFunc(g.receipts, func(r *receipt) bool { return r != first && r.provesNothing(o.Least) })
	if left = len(g.receipts) - inStep; left <= 0 {
		return 0
	}
	young := 0
	for !o.Until.IsZero() && young < len(g.receipts) && g.receipts[young].head.Completed.After(o.Until) {
		young++
	}
	old := g.receipts[young:]
	young = min(young, max(inStep/4, inStep-len(old))) // these show which files were copied too late
	g.receipts = slices.Concat(g.receipts[:young], old[:inStep-young])
	return left
}

// files lists the folders of a group and judges each file by its receipts.
func (g *group) files(ctx context.Context, globus tree.Globus, o Options) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		judges := sync.OnceValues(func() ([]*proof.Judge, error) { return g.judges(o.Least) })
		in, err := g.receipts[0].open()
		if err != nil {
			yield(nil, err)
			return
		}
		deleted, err := g.vanished(o.Deletions)
		if err != nil {
			yield(nil, err)
			return
		}
		defer deleted.close()
		look := newLook(globus, &in.Receipt, o)
		for s, err := range deleted.within(look.items(ctx, items(in)), o.Sample) {
			var f *File
			if err == nil {
				f, err = g.judge(judges, s)
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// judges returns the judges of the group's receipts, after reading these to their
// ends. It is not called if there is nothing to judge.
func (g *group) judges(least transfer.SyncLevel) (all []*proof.Judge, err error) {
	for _, r := range g.receipts {
		j, err := proof.NewJudge(r.open, least)
		if err != nil {
			return nil, fmt.Errorf("the receipt of run %d: %w", r.head.Run, err)
		}
		all = append(all, j)
	}
	return all, nil
}

// judge judges a sight by all receipts.
func (g *group) judge(judges func() ([]*proof.Judge, error), s *sight) (*File, error) {
	c := Copy{At: g.destination, Path: s.Destination, State: s.Copy, Reason: s.reason, Err: s.err, Rule: s.rule}
	f := &File{Source: g.source, Path: s.Path, Folder: s.folder, State: s.Source, Pruned: s.Pruned}
	if s.reason == "" {
		all, err := judges()
		if err == nil {
			err = g.ask(all, s, &c)
		}
		if err != nil {
			return nil, err
		}
	}
	f.Copies = []Copy{c}
	return f, nil
}

// ask fills in what the judges' receipts prove about a copy.
func (g *group) ask(judges []*proof.Judge, s *sight, c *Copy) error {
	for i, j := range judges {
		reason, err := j.File(s.Sight)
		if err != nil {
			return err
		}
		by := g.receipts[i].head
		if reason == "" {
			reason = g.contest.replaced(g.source, &s.Sight, by)
		}
		if reason == "" {
			c.Since = by.Completed // later judges are of older receipts
		}
		if i == 0 || weight(reason) < weight(c.Reason) {
			c.By, c.Reason = by, reason
		}
	}
	if s.Pruned && c.Reason == proof.NotBefore && s.Copy == nil && !s.Blind {
		c.Reason = proof.Gone // its own receipt is no longer read
	}
	return nil
}
