package arrival

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	atOnce = 4 // items that are listed at the same time
	inARow = 3 // temporary failures before the look checks that the folder itself can be listed
)

// A look is one look at a folder.
type look struct {
	ctx     context.Context //nolint:containedctx // as long as the look
	lister  tree.Lister
	each    *jobs.ForEach
	clock   *Clock
	markers markers
	names   []string // of all entries of the folder, sorted; needed if items are files
	group   sync.WaitGroup
	failing int // consecutive items that met a temporary failure
}

// run implements [Look].
func (l *look) run(known iter.Seq2[Known, error], yield func(Finding, error) bool) {
	entries, err := l.list()
	if err != nil {
		yield(Finding{}, err)
		return
	}
	l.markers = newMarkers(l.each)
	if l.each.Kind == jobs.FileItems {
		for i := range entries {
			l.names = append(l.names, entries[i].Path)
		}
	}
	// The findings in progress, in the order of the names; each is sent when
	// its item has been listed.
	var making []chan Finding
	take := func() bool {
		var found Finding
		select {
		case found = <-making[0]:
		case <-l.ctx.Done():
			yield(Finding{}, context.Cause(l.ctx))
			return false
		}
		making = making[1:]
		if err := l.ended(&found); err != nil {
			yield(Finding{}, err)
			return false
		}
		return yield(found, nil)
	}
	for pair, err := range beside(l.items(entries), known) {
		if err != nil {
			yield(Finding{}, err)
			return
		}
		done := make(chan Finding, 1)
		if pair.entry == nil {
			done <- l.gone(pair.known)
		} else {
			l.judge(pair.entry, pair.known, done)
		}
		if making = append(making, done); len(making) == atOnce && !take() {
			return
		}
	}
	for len(making) > 0 {
		if !take() {
			return
		}
	}
}

// list lists the folder.
func (l *look) list() ([]tree.Entry, error) {
	entries, err := tree.List(l.ctx, l.folder(l.each.Folder))
	switch {
	case err == nil:
	case l.ctx.Err() != nil:
		err = context.Cause(l.ctx)
	case noCollection(err):
		err = fmt.Errorf("collection %s does not exist, or was deleted; correct folder in for_each: %w", l.each.Collection, err)
	case tree.Gone(err):
		err = fmt.Errorf("there is no folder %s on collection %s; make it, or correct folder in for_each: %w", l.each.Folder, l.each.Collection, err)
	}
	return entries, err
}

// noCollection reports whether err says that the collection does not exist.
func noCollection(err error) bool {
	e, ok := errors.AsType[*transfer.Error](err)
	return ok && e.NoCollection()
}

func (l *look) folder(path string) tree.Folder {
	return tree.Folder{Lister: l.lister, Collection: l.each.Collection, Path: path, LocalUser: l.each.LocalUser}
}

// items returns one entry of each name: if a name is both a file and a folder, only the
// one that may be an item.
func (l *look) items(entries []tree.Entry) []tree.Entry {
	wanted := l.wanted()
	entries = slices.DeleteFunc(entries, func(e tree.Entry) bool {
		if e.Kind == wanted {
			return false
		}
		i, there := slices.BinarySearchFunc(entries, e, func(a, b tree.Entry) int { return strings.Compare(a.Path, b.Path) })
		return there && (i+1 < len(entries) && entries[i+1].Path == e.Path) // a file and a folder
	})
	return slices.CompactFunc(entries, func(a, b tree.Entry) bool { return a.Path == b.Path }) // names that are not UTF-8
}

// wanted returns the kind of entries that may be items.
func (l *look) wanted() tree.Kind {
	if l.each.Kind == jobs.FileItems {
		return tree.File
	}
	return tree.Dir
}

// ended returns an error if the look must end, because the item could not be
// listed for a reason that applies to all others.
func (l *look) ended(found *Finding) error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	if found.State != IsUnreadable {
		l.failing = 0
		return nil
	}
	switch fault.Of(found.Err).Kind {
	case fault.Credentials:
		return found.Err
	case fault.Temporary:
		if l.failing++; l.failing < inARow {
			return nil
		}
		l.failing = 0
		_, err := l.list()
		return err
	}
	l.failing = 0
	return nil
}

// gone returns the finding for a known item that is not in the folder.
func (l *look) gone(k *Known) Finding {
	f := of(k)
	f.Item = jobs.Item{Name: k.Name, Path: l.each.Folder + k.Name, Time: k.Modified, Size: k.Size}
	f.State, f.Changed = IsGone, !k.Gone
	return f
}

// of returns the finding that leaves what is known unchanged.
func of(k *Known) Finding {
	return Finding{
		Generation: k.Generation, Key: jobs.ItemKey(k.Name, k.Generation), Fingerprint: k.Fingerprint, Unchanged: k.Unchanged, Looked: k.Looked,
	}
}

// judge judges an entry of the folder, and sends the finding immediately or when
// the item has been listed.
func (l *look) judge(e *tree.Entry, k *Known, done chan<- Finding) {
	fresh := k == nil
	if fresh {
		k = &Known{Name: e.Path, Generation: 1}
	}
	f := of(k)
	modified := e.Modified
	if modified.IsZero() {
		modified = k.Modified
	}
	if modified.IsZero() {
		modified = l.clock.Now().Time
	}
	size := e.Size
	if e.Kind == tree.Dir {
		size = k.Size // a folder's own size says nothing about its content
	}
	var err error
	f.Item, err = l.each.Item(e.Path, modified, size)
	if err != nil {
		f.Item.Name = e.Path
	}
	state, why := l.passes(e)
	switch {
	case k.Stage == Active, (k.Stage == Done || k.Stage == Failed || k.Stage == Canceled) && !l.again(e, k):
		f.State = State(k.Stage)
	case state != "":
		f.State, f.Why = state, why
	case strings.ContainsRune(e.Path, '\uFFFD'):
		f.State, f.Why = IsRefused, "its name is not UTF-8, which Globus cannot copy; rename it"
	case err != nil:
		f.State, f.Why, f.Err = IsRefused, err.Error(), err
	case fresh && l.each.NewerThan > 0 && !e.Modified.IsZero() && e.Modified.Before(l.clock.Now().Time.Add(-l.each.NewerThan)):
		f.State, f.Why = IsOld, fmt.Sprintf("modified %s, more than %s before it was first seen", e.Modified.Format(time.RFC3339), span(l.each.NewerThan))
	case k.Stage == Queued:
		f.State = IsQueued
	case l.each.Kind == jobs.FileItems:
		f = l.settle(k, f, l.seen(e))
	default:
		l.group.Go(func() { done <- l.settle(k, f, l.seen(e)).after(k, fresh) })
		return
	}
	done <- f.after(k, fresh)
}

// longestName is the longest name of an item that is recorded, in bytes. No file system has
// longer ones, and an index of PostgreSQL does not accept them.
const longestName = 1024

// after sets Changed if there is anything new to record about the item.
func (f Finding) after(k *Known, fresh bool) Finding {
	switch {
	case fresh:
		f.Changed = f.State != IsIgnored && f.State != IsOld && f.State != IsGone && len(f.Item.Name) <= longestName
	case f.Generation != k.Generation, f.State == IsGone && !k.Gone:
		f.Changed = true
	case k.Stage == Unborn, k.Stage == Queued && f.State == IsIgnored:
		f.Changed = k.Gone != (f.State == IsGone) || f.State != k.State || f.Why != k.Why ||
			f.Fingerprint != k.Fingerprint || f.Unchanged != k.Unchanged || f.Looked != k.Looked
	default: // it is back and provably the same; a run may be about to delete it
		f.Changed = k.Gone && f.State == State(k.Stage) && k.Stage != Active
	}
	return f
}

// again reports whether an item whose occurrence has ended must be listed to find
// out whether it has changed.
func (l *look) again(e *tree.Entry, k *Known) bool {
	if k.Gone { // another one may have taken its name
		return l.each.Kind == jobs.FileItems || e.Modified.IsZero() || !e.Modified.Equal(k.Modified)
	}
	return l.each.Again == jobs.AgainChanged
}

// SetAside is the prefix of folders that a prune is about to delete.
const SetAside = ".pruned-"

// passes returns IsIgnored, and why, for an entry that is not an item.
func (l *look) passes(e *tree.Entry) (State, string) {
	switch {
	case e.Kind != l.wanted():
		return IsIgnored, "it is a " + kinds[e.Kind] + ", and items are " + kinds[l.wanted()] + "s"
	case strings.HasPrefix(e.Path, SetAside):
		return IsIgnored, "a prune has set it aside"
	case l.each.Kind == jobs.FileItems && l.markers.isMarker(e.Path):
		return IsIgnored, "it is the marker of another file"
	}
	if _, ok := l.each.Match.Name(e.Path); !ok {
		return IsIgnored, "it does not match " + l.each.Match.String()
	}
	return "", ""
}

var kinds = map[tree.Kind]string{tree.File: "file", tree.Dir: "folder", tree.Link: "link", tree.Other: "special file"}

// A pair is an entry of the folder and what is known about it.
type pair struct {
	entry *tree.Entry // nil if it is not in the folder
	known *Known      // nil if it is new
}

// beside joins entries with what is known about them, by name. Both are sorted by
// name.
func beside(entries []tree.Entry, known iter.Seq2[Known, error]) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		next := 0
		for k, err := range known {
			if err != nil {
				yield(pair{}, err)
				return
			}
			for ; next < len(entries) && entries[next].Path < k.Name; next++ {
				if !yield(pair{entry: &entries[next]}, nil) {
					return
				}
			}
			p := pair{known: &k}
			if next < len(entries) && entries[next].Path == k.Name {
				p.entry = &entries[next]
				next++
			}
			if !yield(p, nil) {
				return
			}
		}
		for ; next < len(entries); next++ {
			if !yield(pair{entry: &entries[next]}, nil) {
				return
			}
		}
	}
}
