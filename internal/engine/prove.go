package engine

import (
	"context"
	"iter"
	"strings"

	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Judged path is a file of a source, or a folder of which no file can be
// judged, and why it is not proven. An empty Reason says that the destination
// has what the file holds.
type Judged struct {
	Path   string
	Reason proof.Reason
}

// Unlisted is the reason of a folder whose files could not be seen.
const Unlisted proof.Reason = "could not be listed"

// Prove lists what both sides of a receipt have now, and judges each file of the
// source. It changes nothing. An error is the last pair.
func (e *Engine) Prove(ctx context.Context, open proof.Open) iter.Seq2[Judged, error] {
	return func(yield func(Judged, error) bool) {
		judge, err := proof.NewJudge(open)
		if err != nil {
			yield(Judged{}, err)
			return
		}
		defer judge.Close()
		r, err := open()
		if err != nil {
			yield(Judged{}, err)
			return
		}
		for row, err := range r.Rows() {
			if err != nil {
				yield(Judged{}, err)
				return
			}
			if row.Item == nil {
				return // items come first
			}
			for s, err := range e.sights(ctx, &r.Receipt, row.Item) {
				j := Judged{Path: s.Path, Reason: s.unseen}
				if err == nil && s.unseen == "" {
					j.Reason, err = judge.File(s.Sight)
				}
				if !yield(j, err) || err != nil {
					return
				}
			}
		}
	}
}

// A prospect is a file of a source, or a folder that could not be seen.
type prospect struct {
	proof.Sight
	unseen proof.Reason // why; empty for a file
}

// sights yields the files that an item has at the source now, with what is at the
// destination.
func (e *Engine) sights(ctx context.Context, head *proof.Receipt, item *proof.Item) iter.Seq2[prospect, error] {
	return func(yield func(prospect, error) bool) {
		if item.Recursive == nil && !strings.HasSuffix(item.Source, "/") || item.Recursive != nil && !*item.Recursive {
			s, folder, err := e.sightOf(ctx, head, item)
			if err != nil || !folder {
				if err != nil || s.unseen != "" || s.Source.File {
					yield(s, err)
				}
				return
			}
		}
		from, to := strings.TrimSuffix(item.Source, "/")+"/", strings.TrimSuffix(item.Destination, "/")+"/"
		source := tree.Folder{Lister: e.globus, Collection: head.Source, Path: from, LocalUser: head.Options.SourceLocalUser}
		destination := tree.Folder{Lister: e.globus, Collection: head.Destination, Path: to, LocalUser: head.Options.DestinationLocalUser}
		for p, err := range tree.Compare(ctx, source, destination, tree.Options{Rules: tree.NewRules(head.Options.FilterRules)}) {
			if err != nil {
				yield(prospect{}, err)
				return
			}
			s, ok := sightOfPair(p)
			if !ok {
				continue
			}
			s.Path, s.Destination = from+p.Path, to+p.Path
			if !yield(s, nil) {
				return
			}
		}
	}
}

// sightOfPair is what a pair says about a file of the source, or about a folder
// with files that nobody has seen; ok is false for all else.
func sightOfPair(p tree.Pair) (s prospect, ok bool) {
	if p.Source == nil {
		return prospect{}, false
	}
	for _, side := range []*tree.Entry{p.Source, p.Destination} {
		if side != nil && side.Err != nil && !gone(side.Err) {
			return prospect{unseen: Unlisted}, true
		}
	}
	if p.Source.Kind != tree.File {
		return prospect{}, false
	}
	s.Source = proof.State{File: true, Size: p.Source.Size, Modified: p.Source.Modified}
	if d := p.Destination; d != nil {
		s.Copy = &proof.State{File: d.Kind == tree.File, Size: d.Size, Modified: d.Modified}
	}
	return s, true
}

// sightOf is the prospect of a single file; folder reports that it is none.
func (e *Engine) sightOf(ctx context.Context, head *proof.Receipt, item *proof.Item) (s prospect, folder bool, err error) {
	s.Path, s.Destination = item.Source, item.Destination
	there, err := e.globus.Stat(ctx, head.Source, item.Source)
	switch {
	case ctx.Err() != nil:
		return s, false, context.Cause(ctx)
	case gone(err):
		return s, false, nil
	case err != nil:
		s.unseen = Unlisted
		return s, false, nil //nolint:nilerr // the reason says that it could not be seen
	case there.Type == "dir" && there.LinkTarget == "":
		return s, item.Recursive == nil, nil
	}
	state := func(e *transfer.Entry) proof.State {
		one := single(e, nil)
		return proof.State{File: one.Kind == tree.File, Size: one.Size, Modified: one.Modified}
	}
	s.Source = state(there)
	at, err := e.globus.Stat(ctx, head.Destination, item.Destination)
	switch {
	case ctx.Err() != nil:
		return s, false, context.Cause(ctx)
	case err == nil:
		s.Copy = new(state(at))
	case !gone(err):
		s.Blind = true
	}
	return s, false, nil
}
