package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// Globus deletes a folder only together with its content, which may change until
// then. Therefore an emptied folder is set aside: it gets a name that nobody
// else knows, and is deleted if it is still empty then. The list of those names
// is recorded before the first folder is renamed, so that a later start finds
// the folders, deletes the empty ones, and gives the others their names back.

// asideMark is the prefix of folders that are set aside.
const asideMark = arrival.SetAside

// An aside is a folder that is set aside, or will be.
type aside struct {
	path, name string // its old and its new path, without a slash at the end
	done       bool   // it has its new name
	// probe, unless nil, looks at the folder, which was created for that.
	probe func(ctx context.Context) error
}

// asideOf returns the folder at path with the name by which this run sets it aside.
func (p *pruning) asideOf(path string) aside {
	path = strings.TrimSuffix(path, "/")
	above, name := split(path)
	return aside{path: path, name: fmt.Sprintf("%s%s%d-%s", above, asideMark, p.run.journal.run.ID, name)}
}

// removeEmptied removes the folders from which files were deleted and that are
// now empty, the deepest first.
func (p *pruning) removeEmptied(ctx context.Context, found *evidence.Evidence) error {
	p.addItems()
	maps.DeleteFunc(p.emptied, func(f folderAt, _ bool) bool { return !found.Inside(f.place, f.path) && !p.isItem(f) })
	depth := func(f folderAt) int { return strings.Count(f.path, "/") }
	left := slices.SortedFunc(maps.Keys(p.emptied), func(a, b folderAt) int {
		return cmp.Or(depth(b)-depth(a), cmp.Compare(a.place.Collection, b.place.Collection), cmp.Compare(a.path, b.path))
	})
	for len(left) > 0 {
		level := 1
		for level < len(left) && level < foldersOfList && left[level].place == left[0].place && depth(left[level]) == depth(left[0]) {
			level++
		}
		var all []aside
		for _, f := range left[:level] {
			n, err := p.entries(ctx, f.place, f.path)
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err == nil && n == 0:
				all = append(all, p.asideOf(f.path))
			}
		}
		if err := p.remove(ctx, left[0].place, all); err != nil {
			return err
		}
		left = left[level:]
	}
	return nil
}

// addItems adds the folders above those that were emptied, up to their items, because
// an item is moved as a whole.
func (p *pruning) addItems() {
	for _, f := range slices.Collect(maps.Keys(p.emptied)) {
		for _, each := range p.watched {
			below, ok := strings.CutPrefix(f.path, each.Folder)
			if !ok || each.Kind == jobs.FileItems || !strings.EqualFold(each.Collection, f.place.Collection) {
				continue
			}
			for i, c := range below {
				if c == '/' {
					p.emptied[folderAt{f.place, each.Folder + below[:i+1]}] = true
				}
			}
		}
	}
}

// isItem reports whether a folder is an item, which is not needed once it is empty.
func (p *pruning) isItem(f folderAt) bool {
	for range p.itemsAmong(jobs.FolderItems, f.place, []string{strings.TrimSuffix(f.path, "/")}) {
		return true
	}
	return false
}

// itemsAmong yields the names of those paths that are items of a kind, for each job.
func (p *pruning) itemsAmong(kind jobs.ItemKind, at evidence.Place, paths []string) iter.Seq2[string, []string] {
	return func(yield func(job string, names []string) bool) {
		for job, each := range p.watched {
			if (each.Kind == jobs.FileItems) != (kind == jobs.FileItems) || !strings.EqualFold(each.Collection, at.Collection) {
				continue
			}
			var names []string
			for _, path := range paths {
				if folder, name := split(path); folder == each.Folder {
					names = append(names, name)
				}
			}
			if len(names) > 0 && !yield(job, names) {
				return
			}
		}
	}
}

// free records that items were deleted. What the next look finds under such a name
// may be another item, even without a look in between.
func (p *pruning) free(ctx context.Context, kind jobs.ItemKind, at evidence.Place, paths []string) error {
	for job, names := range p.itemsAmong(kind, at, paths) {
		if err := p.run.journal.ledger.SetGone(ctx, job, names); err != nil {
			return unusable(err)
		}
	}
	return nil
}

// entries returns the number of entries of a folder, 0 if it is empty.
func (p *pruning) entries(ctx context.Context, at evidence.Place, path string) (n int, err error) {
	for _, err := range p.run.globus.Ls(ctx, at.Collection, transfer.LsQuery{Path: path, LocalUser: at.LocalUser, Limit: 1}) {
		return 1, err
	}
	return 0, nil
}

// remove removes empty folders.
func (p *pruning) remove(ctx context.Context, at evidence.Place, all []aside) error {
	if at.LocalUser != "" { // it is not confirmed that a rename heeds the local user
		return nil
	}
	err := p.deliver(ctx, func(ctx context.Context, id string) (*part, error) {
		for len(all) > 0 {
			var names []string
			for _, a := range all {
				names = append(names, a.name)
			}
			part := p.newPart(id, at, names)
			part.doc.(*transfer.Delete).Recursive = true
			part.awaited = all[0].probe != nil
			if _, err := part.record(ctx); err != nil {
				return nil, err
			}
			still, err := p.setAside(ctx, at, all)
			switch {
			case err != nil:
				return nil, err
			case len(still) == len(all):
				all = still
				return part, nil
			}
			p.run.journal.addRefusal(ctx, part.position) // it was not sent
			all = still
			if id, err = p.run.globus.SubmissionID(ctx); err != nil {
				return nil, fmt.Errorf("get a submission id: %w", err)
			}
		}
		return nil, nil
	})
	switch {
	case err == nil:
		var paths []string
		for _, a := range all {
			if a.probe == nil {
				paths = append(paths, a.path)
			}
		}
		p.sum.Folders += int64(len(paths))
		return p.free(ctx, jobs.FolderItems, at, paths)
	case p.run.result.endsWith(err): // otherwise a later start finds them
		err = errors.Join(err, p.restore(ctx, at, all))
	}
	return err
}

// restore gives folders that could not be deleted their names back.
func (p *pruning) restore(ctx context.Context, at evidence.Place, all []aside) error {
	for _, a := range all {
		if a.probe != nil {
			p.run.log.Warn("an empty folder that the prune has made stays, because it could not be deleted: delete it", "path", a.name)
			continue
		}
		_, err := p.run.globus.Stat(ctx, at.Collection, a.name)
		if err == nil {
			err = p.putBack(ctx, at, a, "it could not be deleted")
		}
		if err != nil && !tree.Gone(err) {
			return err
		}
	}
	return nil
}

// setAside sets folders aside, and returns those that are still empty then. The
// others get their names back.
func (p *pruning) setAside(ctx context.Context, at evidence.Place, all []aside) (still []aside, err error) {
	g := p.run.globus
	for _, a := range all {
		if !a.done {
			if err := p.bring(ctx, at, a); err != nil {
				_, there := g.Stat(ctx, at.Collection, a.name)
				switch {
				case ctx.Err() != nil:
					return nil, context.Cause(ctx)
				case there != nil && !tree.Gone(there) && a.probe == nil:
					return nil, fmt.Errorf("see whether %s was renamed: %w", a.path, there)
				case there != nil:
					a.cannot(p.run.log, err)
					continue
				}
			}
			a.done = true
		}
		n, err := p.entries(ctx, at, a.name+"/")
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case tree.Gone(err): // deleted by an earlier start, or never renamed
		case err != nil || n > 0:
			if err := p.putBack(ctx, at, a, "something came into it"); err != nil {
				return nil, err
			}
		default:
			if a.probe != nil {
				if err := a.probe(ctx); err != nil {
					return nil, err
				}
			}
			still = append(still, a)
		}
	}
	return still, nil
}

// bring renames a folder to the name under which it is deleted, or creates it there.
func (p *pruning) bring(ctx context.Context, at evidence.Place, a aside) error {
	if a.probe != nil {
		_, err := p.run.globus.Mkdir(ctx, at.Collection, a.name)
		return err
	}
	_, err := p.run.globus.Rename(ctx, at.Collection, a.path, a.name)
	return err
}

// cannot logs that a folder could not be renamed or created.
func (a *aside) cannot(log *slog.Logger, err error) {
	if a.probe != nil {
		log.Warn("it cannot be seen whether both collections show the same disk, so one file is deleted first", "path", a.name, "err", err)
		return
	}
	log.Warn("an empty folder stays, because it cannot be renamed", "path", a.path, "err", err)
}

// putBack gives a folder its name back, unless that is taken, and logs why the
// folder stays.
func (p *pruning) putBack(ctx context.Context, at evidence.Place, a aside, why string) error {
	g := p.run.globus
	_, err := g.Stat(ctx, at.Collection, a.path)
	if tree.Gone(err) {
		if _, err = g.Rename(ctx, at.Collection, a.name, a.path); err == nil {
			p.run.log.Info("a folder stays", "path", a.path, "reason", why)
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("give the folder %s its name %s back: %w", a.name, a.path, err)
	}
	p.run.log.Warn("a folder that was set aside stays, and there is another one in its place: check both", "path", a.path, "set_aside", a.name, "reason", why)
	p.run.journal.note(ctx, "set_aside", fmt.Sprintf("%s is what %s was before, and stays, because %s", a.name, a.path, why))
	return nil
}

// recall records the folders that a list of an earlier start has emptied, or
// names: the latter may have been renamed and not deleted.
func (p *pruning) recall(document transfer.Document) {
	doc, ok := document.(*transfer.Delete)
	if !ok {
		return
	}
	at := evidence.Place{Collection: doc.Endpoint, LocalUser: doc.LocalUser}
	for _, i := range doc.Items {
		if !doc.Recursive {
			p.hasEmptied(at, i.Path)
			continue
		}
		above, name := split(i.Path)
		if _, name, ok := strings.Cut(strings.TrimPrefix(name, asideMark), "-"); ok {
			p.aside[at] = append(p.aside[at], aside{path: above + name, name: i.Path, done: true})
		}
	}
}

// freeListed is [pruning.free] for the files of a list that an earlier start has
// sent. Folders are handled again.
func (p *pruning) freeListed(ctx context.Context, document transfer.Document) error {
	doc, ok := document.(*transfer.Delete)
	if !ok || doc.Recursive {
		return nil
	}
	return p.free(ctx, jobs.FileItems, evidence.Place{Collection: doc.Endpoint, LocalUser: doc.LocalUser}, pathsOf(doc))
}

// finishAside deletes the folders that an earlier start set aside, or gives
// them their names back.
func (p *pruning) finishAside(ctx context.Context) error {
	for at, all := range p.aside {
		still, err := p.setAside(ctx, at, all)
		if err == nil {
			err = p.remove(ctx, at, still)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
