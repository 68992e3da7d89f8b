package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// An Action is what a task would do with a path.
type Action string

// The actions. A file is anything but a folder or a link.
const (
	Copy       Action = "copy"        // the destination does not have the file
	Replace    Action = "replace"     // the destination has a different one, or all files are copied
	Compare    Action = "compare"     // Globus decides, by checksums or because a listing does not show enough
	Same       Action = "same"        // the sync level does not copy it
	Delete     Action = "delete"      // at the destination of a mirror, or by a delete
	Keep       Action = "keep"        // a prune keeps it, because no receipt proves that it is elsewhere
	Exclude    Action = "exclude"     // a filter rule excludes it; a folder with its content
	CopyLink   Action = "copy_link"   // a link is created at the destination
	FollowLink Action = "follow_link" // the target of a link is copied, however large it is
	LeaveLink  Action = "leave_link"  // a link is not copied
	LeaveOther Action = "leave_other" // something else, such as a device, is not copied
	Block      Action = "block"       // something of another kind is in the way
	Absent     Action = "absent"      // a path of the document does not exist
	Unlisted   Action = "unlisted"    // a folder cannot be listed, so it is not known what would be done below it
)

// Actions returns all actions, in the order in which they are shown.
func Actions() []Action {
	return []Action{Copy, Replace, Compare, Same, Delete, Keep, Exclude, CopyLink, FollowLink, LeaveLink, LeaveOther, Block, Absent, Unlisted}
}

// A Change is what a task would do with one path.
type Change struct {
	Item        int // of the document, from 0
	Action      Action
	Source      string    // absolute path; empty for a deletion
	Destination string    // absolute path; may be empty
	Size        int64     // bytes of the file; 0 if it is not a file
	There       int64     // bytes of the file that exists at the destination of a copied file; 0 if none does
	Modified    time.Time // of a file that is copied, at the source; otherwise zero
	Why         error     // of Keep, Block, Absent and Unlisted
}

// Diff yields what a task would do if doc were submitted now. An error is the
// last pair: a temporary one, or that of ctx.
func Diff(ctx context.Context, globus tree.Globus, doc transfer.Document) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		var items []iter.Seq2[Change, error]
		switch doc := doc.(type) {
		case *transfer.Transfer:
			for _, item := range doc.Items {
				items = append(items, diffItem(ctx, globus, doc, item))
			}
		case *transfer.Delete:
			for _, item := range doc.Items {
				items = append(items, deleteItem(ctx, globus, doc, item.Path))
			}
		}
		for i, changes := range items {
			for c, err := range changes {
				c.Item = i
				if !yield(c, err) || err != nil {
					return
				}
			}
		}
	}
}

// diffItem is Diff for an item of a transfer.
func diffItem(ctx context.Context, globus tree.Globus, doc *transfer.Transfer, item transfer.Item) iter.Seq2[Change, error] {
	source := tree.Folder{Collection: doc.SourceEndpoint, Path: item.SourcePath, LocalUser: doc.SourceLocalUser}
	destination := tree.Folder{Collection: doc.DestinationEndpoint, Path: item.DestinationPath, LocalUser: doc.DestinationLocalUser}
	options := tree.Options{Rules: tree.NewRules(doc.FilterRules), Excluded: true}
	return func(yield func(Change, error) bool) {
		d := differ{doc: doc, item: item}
		for p, err := range tree.CompareItem(ctx, globus, source, destination, item.Recursive, options) {
			var changes []Change
			if err == nil {
				changes, err = d.changes(p)
			}
			if err != nil {
				yield(Change{}, err)
				return
			}
			for _, c := range changes {
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}

// A differ decides what would be done with the pairs of an item, in the order of
// a listing.
type differ struct {
	doc     *transfer.Transfer
	item    transfer.Item
	blocked *tree.Pair // a folder of the source that cannot be created
}

// changes returns the changes for a pair: of the source's entry, and of what is
// in its way.
func (d *differ) changes(p tree.Pair) (all []Change, err error) {
	at := Change{Source: below(d.item.SourcePath, p.Path), Destination: below(d.item.DestinationPath, p.Path)}
	if s := p.Source; s != nil && s.Err != nil {
		action, err := d.failed(p, s, at.Source)
		if action == "" {
			return nil, err
		}
		return []Change{{Action: action, Source: at.Source, Why: s.Err}}, nil
	}
	if there := p.Destination; there != nil && there.Err != nil && !tree.Gone(there.Err) {
		if err := unlisted(at.Destination, there.Err); err != nil {
			return nil, err
		}
		return []Change{{Action: Unlisted, Destination: at.Destination, Why: there.Err}}, nil
	}
	if p.Source != nil {
		if c := d.copied(p, at); c.Action != "" {
			all = append(all, c)
		}
	}
	if d.goes(p) {
		all = append(all, Change{Action: Delete, Destination: at.Destination, Size: size(p.Destination)})
	}
	return all, nil
}

// failed returns the action for an error of the source; empty if there is nothing to
// report.
func (d *differ) failed(p tree.Pair, s *tree.Entry, path string) (Action, error) {
	switch {
	case errors.Is(s.Err, tree.ErrFolder):
		return Block, nil
	case tree.Gone(s.Err) && p.Path == "":
		return Absent, nil
	case tree.Gone(s.Err):
		return "", nil // it was deleted meanwhile
	}
	return Unlisted, unlisted(path, s.Err)
}

// copied returns the change for an entry of the source. The action is empty for
// a folder, because creating it does not count as a change.
func (d *differ) copied(p tree.Pair, c Change) Change {
	s := p.Source
	if s.Rule != nil {
		return Change{Action: Exclude, Source: c.Source, Size: size(s)}
	}
	switch s.Kind {
	case tree.Other:
		return Change{Action: LeaveOther, Source: c.Source}
	case tree.Link:
		switch {
		case p.Path == "" || d.doc.RecursiveSymlinks == "copy": // an item that is a link is followed
			c.Action = FollowLink
		case d.doc.RecursiveSymlinks == "keep":
			c.Action = CopyLink
		default:
			return Change{Action: LeaveLink, Source: c.Source}
		}
	case tree.File:
		c.Action, c.Size, c.Modified = d.file(s, p.Destination), s.Size, s.Modified
		if p.Destination != nil {
			c.There = p.Destination.Size
		}
	}
	switch {
	case d.isBlocked(p.Path) && c.Action != "":
		c.Action, c.Why = Block, d.inTheWay(*d.blocked)
	case p.Destination == nil || d.doc.DeleteDestinationExtra || (s.Kind == tree.Dir) == (p.Destination.Kind == tree.Dir):
	default:
		if s.Kind == tree.Dir {
			d.blocked = &p
		}
		c.Action, c.Why = Block, d.inTheWay(p)
	}
	return c
}

// inTheWay returns an error that says what exists at the destination of a pair.
func (d *differ) inTheWay(p tree.Pair) error {
	what := "a file"
	if p.Destination.Kind == tree.Dir {
		what = "a folder"
	}
	return fmt.Errorf("%s stands at %s", what, below(d.item.DestinationPath, p.Path))
}

// isBlocked reports whether a path is below a folder that cannot be created.
func (d *differ) isBlocked(path string) bool {
	return d.blocked != nil && strings.HasPrefix(path, d.blocked.Path+"/")
}

// file returns the action for a file by the sync level. Each level has its own
// test. It is not known whether Globus also applies the tests of lower levels,
// so the action is Compare if they differ.
func (d *differ) file(s, there *tree.Entry) Action {
	switch {
	case there == nil || there.Kind == tree.Dir:
		return Copy
	case d.doc.SyncLevel == nil:
		return Replace
	case *d.doc.SyncLevel == transfer.SyncExists:
		return Same
	case there.Kind != tree.File:
		return Compare
	}
	differ := s.Size != there.Size
	switch *d.doc.SyncLevel {
	case transfer.SyncSize:
		if differ {
			return Replace
		}
	case transfer.SyncMtime:
		switch {
		case s.Modified.IsZero() || there.Modified.IsZero():
			return Compare
		case s.Modified.After(there.Modified):
			return Replace
		case differ:
			return Compare
		}
	default:
		if differ {
			return Replace
		}
		return Compare
	}
	return Same
}

// goes reports whether a mirror deletes the destination's entry. Folders are
// not counted.
func (d *differ) goes(p tree.Pair) bool {
	if p.Destination == nil || p.Destination.Kind == tree.Dir || !d.doc.DeleteDestinationExtra || p.Path == "" {
		return false
	}
	// Globus does not touch what exists in the place of a link of the source.
	return p.Source == nil || p.Source.Kind == tree.Dir
}

// deleteItem is Diff for a path of a delete.
func deleteItem(ctx context.Context, globus tree.Globus, doc *transfer.Delete, at string) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		if doc.InterpretGlobs && strings.ContainsAny(path.Base(at), `*?[\`) {
			deleteMatches(ctx, globus, doc, at, yield)
			return
		}
		e := tree.Stat(ctx, globus, tree.Folder{Collection: doc.Endpoint, Path: at, LocalUser: doc.LocalUser})
		if ctx.Err() != nil {
			yield(Change{}, context.Cause(ctx))
			return
		}
		deleteEntry(ctx, globus, doc, at, e, yield)
	}
}

// deleteMatches yields the changes for the entries of a folder that match the
// last element of a path.
func deleteMatches(ctx context.Context, globus tree.Globus, doc *transfer.Delete, at string, yield func(Change, error) bool) {
	folder := tree.Folder{Lister: globus, Collection: doc.Endpoint, Path: path.Dir(strings.TrimSuffix(at, "/")), LocalUser: doc.LocalUser}
	matching := tree.NewRules([]transfer.FilterRule{{Method: "include", Name: path.Base(at)}, {Method: "exclude", Name: "*"}})
	found := false
	for e, err := range tree.Walk(ctx, folder, tree.Options{Rules: matching, Look: 1}) {
		switch {
		case err != nil:
			yield(Change{}, err)
			return
		case e.Path == "" && e.Err == nil:
			continue
		case e.Path == "":
			deleteEntry(ctx, globus, doc, folder.Path, e, yield)
			return
		}
		found = true
		target := below(folder.Path, e.Path)
		if e.Kind == tree.Dir {
			e = &tree.Entry{Kind: tree.Dir} // it was not listed
		}
		if !deleteEntry(ctx, globus, doc, target, e, yield) {
			return
		}
	}
	if !found {
		yield(Change{Action: Absent, Destination: at}, nil)
	}
}

// deleteEntry yields the changes for a path that is to be deleted, and for
// everything below it. more is false if yield returned false.
func deleteEntry(ctx context.Context, globus tree.Globus, doc *transfer.Delete, at string, e *tree.Entry, yield func(Change, error) bool) (more bool) {
	switch {
	case tree.Gone(e.Err):
		return yield(Change{Action: Absent, Destination: at, Why: e.Err}, nil)
	case e.Err != nil:
		if err := unlisted(at, e.Err); err != nil {
			yield(Change{}, err)
			return false
		}
		return yield(Change{Action: Unlisted, Destination: at, Why: e.Err}, nil)
	case e.Kind != tree.Dir:
		return yield(Change{Action: Delete, Destination: at, Size: size(e)}, nil)
	case !doc.Recursive:
		return yield(Change{Action: Block, Destination: at, Why: fmt.Errorf("%s is a folder, and recursive is false", at)}, nil)
	}
	folder := tree.Folder{Lister: globus, Collection: doc.Endpoint, Path: at, LocalUser: doc.LocalUser}
	for e, err := range tree.Walk(ctx, folder, tree.Options{}) {
		switch {
		case err != nil:
			yield(Change{}, err)
			return false
		case e.Kind == tree.Dir && e.Err == nil:
			continue
		}
		if !deleteEntry(ctx, globus, doc, below(at, e.Path), e, yield) {
			return false
		}
	}
	return true
}
