package evidence

import (
	"context"
	"iter"
	"strings"

	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// A sight is what both sides now have at a path of the source.
type sight struct {
	proof.Sight
	folder bool
	absent bool                 // the source does not have it
	begins bool                 // marks the beginning of an item
	reason proof.Reason         // why no receipt can prove it; may be empty
	err    error                // why a folder, or the copy of a single file, could not be seen
	rule   *transfer.FilterRule // that excludes it; may be nil
}

// A look lists the folders that a receipt is about.
type look struct {
	globus              tree.Globus
	source, destination Place
	rules               tree.Rules
	sample              func(path string) bool // nil chooses all
	deletions           *Deletions             // unless nil, entries that only the destination has are seen as well
}

func newLook(globus tree.Globus, head *proof.Receipt, options Options) *look {
	o := head.Options
	return &look{
		globus: globus, rules: tree.NewRules(o.FilterRules), sample: options.Sample, deletions: options.Deletions,
		source: Place{head.Source, o.SourceLocalUser}, destination: Place{head.Destination, o.DestinationLocalUser},
	}
}

// items yields the sights of items, one item after the other.
func (l *look) items(ctx context.Context, all iter.Seq2[*proof.Item, error]) iter.Seq2[*sight, error] {
	return func(yield func(*sight, error) bool) {
		for item, err := range all {
			if err != nil {
				yield(nil, err)
				return
			}
			for s, err := range l.item(ctx, item) {
				if !yield(s, err) || err != nil {
					return
				}
			}
		}
	}
}

// item yields the sights of an item. The last pair may be an error: ctx has
// ended.
func (l *look) item(ctx context.Context, item *proof.Item) iter.Seq2[*sight, error] {
	return func(yield func(*sight, error) bool) {
		source := tree.Folder{Collection: l.source.Collection, Path: item.Source, LocalUser: l.source.LocalUser}
		destination := tree.Folder{Collection: l.destination.Collection, Path: item.Destination, LocalUser: l.destination.LocalUser}
		if !yield(&sight{Sight: proof.Sight{Path: lowest(item)}, begins: true}, nil) {
			return
		}
		options := tree.Options{Rules: l.rules, Excluded: true, Fold: proof.Fold}
		if l.sample != nil {
			options.Sample = func(path string) bool { return l.sample(below(item.Source, path, true)) }
		}
		for p, err := range tree.CompareItem(ctx, l.globus, source, destination, item.Recursive, options) {
			if err != nil {
				yield(nil, err)
				return
			}
			s := sightOf(p)
			if p.Path == "" && p.Source != nil && tree.Gone(p.Source.Err) {
				switch {
				case p.Source.Kind == tree.Dir:
					s = &sight{folder: true, reason: Vanished, err: p.Source.Err}
				case item.Recursive == nil && l.isFolder(ctx, destination):
					folder := *item
					folder.Recursive = new(true)
					l.item(ctx, &folder)(yield)
					return
				case !l.deletions.Last(l.source, item.Source).IsZero():
					s = l.copied(ctx, destination)
				}
			}
			if ctx.Err() != nil {
				yield(nil, context.Cause(ctx))
				return
			}
			if s == nil || p.Path == "" && !s.folder && l.sample != nil && !l.sample(item.Source) {
				continue
			}
			// An excluded folder is among the files, as in the listing.
			slash := s.folder && s.rule == nil
			s.Path, s.Destination = below(item.Source, p.Path, slash), below(item.Destination, p.Path, slash)
			if !yield(s, nil) {
				return
			}
		}
	}
}

// isFolder reports whether the destination of an item is a folder. Then its
// source, which is gone, was a folder as well.
func (l *look) isFolder(ctx context.Context, destination tree.Folder) bool {
	return tree.Stat(ctx, l.globus, destination).Kind == tree.Dir
}

// copied returns the sight of a single file that is gone at the source but has a
// copy.
func (l *look) copied(ctx context.Context, destination tree.Folder) *sight {
	s := &sight{absent: true}
	switch to := tree.Stat(ctx, l.globus, destination); {
	case to.Err == nil:
		s.Copy = new(state(to))
	case !tree.Gone(to.Err):
		s.Blind, s.err = true, to.Err
	}
	return s
}

// below returns a path below top.
func below(top, path string, slash bool) string {
	if path != "" {
		top = strings.TrimSuffix(top, "/") + "/" + path
	}
	if slash {
		top = strings.TrimSuffix(top, "/") + "/"
	}
	return top
}

// sightOf returns the sight for a pair that is a file of the source, or a folder
// whose files are not yielded; otherwise nil.
func sightOf(p tree.Pair) *sight {
	from, to := p.Source, p.Destination
	switch {
	case from == nil || tree.Gone(from.Err):
		return absentOf(to)
	case from.Err != nil:
		return &sight{folder: from.Kind == tree.Dir, reason: Unlisted, err: from.Err}
	case from.Rule != nil:
		return &sight{Sight: proof.Sight{Source: state(from)}, folder: from.Kind == tree.Dir, reason: Excluded, rule: from.Rule}
	case from.Kind == tree.Dir && to != nil && to.Err != nil && !tree.Gone(to.Err):
		return &sight{folder: true, reason: Unlisted, err: to.Err}
	case from.Kind == tree.Dir:
		return nil
	}
	s := &sight{Sight: proof.Sight{Source: state(from)}}
	switch {
	case from.Kind == tree.Link:
		s.reason = Linked
	case from.Kind == tree.Other:
		s.reason = Special
	case to != nil && to.Err != nil:
		s.Blind, s.err = true, to.Err
	case to != nil:
		s.Copy = new(state(to))
		if p.Renamed {
			s.reason = Renamed
		}
	}
	return s
}

// absentOf returns the sight of an entry that only the destination has.
func absentOf(to *tree.Entry) *sight {
	switch {
	case to == nil || to.Err == nil && to.Kind == tree.Dir || tree.Gone(to.Err):
		return nil
	case to.Err != nil:
		return &sight{absent: true, folder: true, reason: Unlisted, err: to.Err}
	}
	return &sight{absent: true, Sight: proof.Sight{Copy: new(state(to))}}
}

func state(e *tree.Entry) proof.State {
	return proof.State{File: e.Kind == tree.File, Size: e.Size, Modified: e.Modified}
}
