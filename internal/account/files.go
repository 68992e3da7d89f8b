package account

import (
	"context"
	"iter"
	"strings"

	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// A located entry is an entry of a listing, with its paths on both sides.
type located struct {
	source, destination string
	entry               *tree.Entry
}

// files yields the files of the items of a document at the source, or at the
// destination.
func (k *Keeper) files(ctx context.Context, doc *transfer.Transfer, destination bool) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		for _, item := range doc.Items {
			for f, err := range k.filesOf(ctx, doc, item, destination) {
				if !yield(f, err) || err != nil {
					return
				}
			}
		}
	}
}

// filesOf is files for one item.
func (k *Keeper) filesOf(ctx context.Context, doc *transfer.Transfer, item transfer.Item, destination bool) iter.Seq2[located, error] {
	top := tree.Folder{Lister: k.Globus, Collection: doc.SourceEndpoint, Path: item.SourcePath, LocalUser: doc.SourceLocalUser}
	if destination {
		top = tree.Folder{Lister: k.Globus, Collection: doc.DestinationEndpoint, Path: item.DestinationPath, LocalUser: doc.DestinationLocalUser}
	}
	return func(yield func(located, error) bool) {
		folder := item.Recursive != nil && *item.Recursive || item.Recursive == nil && strings.HasSuffix(item.SourcePath, "/")
		if !folder {
			entry, err := k.Globus.Stat(ctx, top.Collection, top.Path, transfer.AsLocalUser(top.LocalUser))
			switch {
			case ctx.Err() != nil:
				yield(located{}, context.Cause(ctx))
				return
			case err != nil || entry.Type != "dir":
				yield(located{item.SourcePath, item.DestinationPath, single(entry, err)}, nil)
				return
			case item.Recursive != nil:
				return // a file is expected
			}
		}
		from, to := strings.TrimSuffix(item.SourcePath, "/")+"/", strings.TrimSuffix(item.DestinationPath, "/")+"/"
		for entry, err := range tree.Walk(ctx, top, tree.Options{Rules: tree.NewRules(doc.FilterRules)}) {
			f := located{entry: entry}
			if err == nil {
				f.source, f.destination = from+entry.Path, to+entry.Path
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// single returns the entry of an item that is not a folder.
func single(found *transfer.Entry, err error) *tree.Entry {
	if err != nil {
		return &tree.Entry{Err: err}
	}
	return tree.EntryOf(found)
}
