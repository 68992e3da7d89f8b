package tree

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/globus-runner/globus-runner/transfer"
)

// ErrFolder is the error of an item that should be a file but is a folder.
var ErrFolder = errors.New("it is a folder, and a file is asked for")

// A Globus lists folders and looks at single paths, as [transfer.Client] does.
type Globus interface {
	Lister
	Stat(ctx context.Context, collection, path string, opts ...transfer.FileOption) (*transfer.Entry, error)
}

// CompareItem compares both sides of an item of a transfer: two folders, as
// [Compare] does, or two files, which are one pair without a path. recursive
// says whether the source must be a folder or a file; nil means that the path
// and what exists there decide, as with Globus. The folders are listed by
// globus.
func CompareItem(ctx context.Context, globus Globus, source, destination Folder, recursive *bool, o Options) iter.Seq2[Pair, error] {
	source.Lister, destination.Lister = globus, globus
	return func(yield func(Pair, error) bool) {
		if recursive != nil && !*recursive || recursive == nil && !strings.HasSuffix(source.Path, "/") {
			p, err := compareFiles(ctx, globus, source, destination)
			isFolder := err == nil && p.Source.Kind == Dir
			if !isFolder || recursive != nil {
				if isFolder {
					p.Source.Err = ErrFolder
				}
				yield(p, err)
				return
			}
		}
		Compare(ctx, source, destination, o)(yield)
	}
}

// compareFiles looks at two paths. A folder at the source is not compared.
func compareFiles(ctx context.Context, globus Globus, source, destination Folder) (Pair, error) {
	var p Pair
	p.Source = Stat(ctx, globus, source)
	if p.Source.Err == nil && p.Source.Kind != Dir {
		if p.Destination = Stat(ctx, globus, destination); Gone(p.Destination.Err) {
			p.Destination = nil
		}
	}
	if ctx.Err() != nil { // an entry's error may be the context's
		return Pair{}, context.Cause(ctx)
	}
	return p, nil
}

// Stat looks at one path and returns an entry without a Path. If that fails, the
// entry has an Err, and its Kind is empty.
func Stat(ctx context.Context, globus Globus, f Folder) *Entry {
	found, err := globus.Stat(ctx, f.Collection, f.Path, transfer.AsLocalUser(f.LocalUser))
	if err != nil {
		return &Entry{Kind: Other, Err: err}
	}
	return EntryOf(found)
}
