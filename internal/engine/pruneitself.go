package engine

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// Two collections may show the same disk. Then a copy that looks just like its
// file may be the file itself. A prune therefore creates a folder beside the file
// and checks whether it also appears beside the copy. If no folder can be created,
// the prune deletes a single file first, and checks whether its copy stays.

// A way leads from a source to copies. There is one for each pair of collections,
// and one for each pair of paths of which one is the top of its collection,
// because a collection may show a folder of another one.
type way struct {
	from, to     evidence.Place
	source, copy string
}

func wayOf(f *evidence.File, c *evidence.Copy) way {
	from, to := path.Dir(f.Path), path.Dir(c.Path)
	for path.Base(from) == path.Base(to) && path.Dir(from) != from {
		from, to = path.Dir(from), path.Dir(to)
	}
	if path.Dir(from) != from && path.Dir(to) != to {
		from, to = "", ""
	}
	return way{f.Source, c.At, from, to}
}

// mayBeItself reports whether a copy may be the file.
func (p *pruning) mayBeItself(f *evidence.File, c *evidence.Copy) bool {
	return c.State.Same(f.State) && !p.stayed[wayOf(f, c)] && (c.By.Files == 0 || canBeSeen(f, c))
}

// canBeSeen reports whether a folder beside a file would show whether a copy is the
// file itself.
func canBeSeen(f *evidence.File, c *evidence.Copy) bool {
	return f.Source.Collection != c.At.Collection && path.Base(f.Path) == path.Base(c.Path)
}

// wantsTrial reports whether a file must be deleted alone first.
func (p *pruning) wantsTrial(f *evidence.File, copies []evidence.Copy) bool {
	return slices.ContainsFunc(copies, func(c evidence.Copy) bool { return p.mayBeItself(f, &c) })
}

// probe creates a folder beside a file, to see whether copies are the file itself.
// It returns an error if one is. What it cannot see is left to a trial.
func (p *pruning) probe(ctx context.Context, f *evidence.File, copies []evidence.Copy) error {
	copies = slices.Clone(copies)
	copies = slices.DeleteFunc(copies, func(c evidence.Copy) bool {
		return p.probed[wayOf(f, &c)] || !p.mayBeItself(f, &c) || !canBeSeen(f, &c)
	})
	if len(copies) == 0 {
		return nil
	}
	var itself *evidence.Copy
	folder, _ := split(f.Path)
	a := p.asideOf(folder + "probe")
	a.probe = func(ctx context.Context) error {
		for i := range copies {
			c := &copies[i]
			switch there, err := p.shows(ctx, c, a.name); {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err != nil:
				a.cannot(p.run.log, err)
			case there:
				itself = c
			default:
				p.stayed[wayOf(f, c)] = true
			}
		}
		return nil
	}
	for i := range copies {
		p.probed[wayOf(f, &copies[i])] = true
	}
	if err := p.remove(ctx, f.Source, []aside{a}); err != nil {
		return err
	}
	if itself == nil {
		return nil
	}
	return refuse("%s on collection %s is %s on collection %s itself, not a copy: both show the same disk; "+
		"nothing more is deleted: copy the files to another disk, or remove the prune", itself.Path, itself.At.Collection, f.Path, f.Source.Collection)
}

// shows reports whether a folder that was created beside a file appears beside a
// copy.
func (p *pruning) shows(ctx context.Context, c *evidence.Copy, made string) (bool, error) {
	folder, _ := split(c.Path)
	_, name := split(made)
	_, err := p.run.globus.Stat(ctx, c.At.Collection, folder+name, transfer.AsLocalUser(c.At.LocalUser))
	if tree.Gone(err) {
		return false, nil
	}
	return err == nil, err
}

// haveStayed checks whether the copies of a file that was deleted alone still
// exist.
func (p *pruning) haveStayed(ctx context.Context, l list) error {
	now, f := newViews(p.run.globus), l.files[0]
	for _, c := range f.copies {
		now.want(c.At, c.Path)
	}
	if err := now.look(ctx); err != nil {
		return err
	}
	for _, c := range f.copies {
		folder, name := split(c.Path)
		w := now.folders[folderAt{c.At, folder}]
		if w.err != nil {
			return fmt.Errorf("see whether the copy %s is still there: %w", c.Path, w.err)
		}
		if is, there := w.states[name]; !there || !is.Same(*c.State) { // it may have been replaced
			return &Failure{
				Kind: fault.Guard, state: ledger.Failed,
				Message: fmt.Sprintf("%s on collection %s vanished, or was replaced, after the prune deleted %s on collection %s: both seem to show the same disk, and the file had no copy; "+
					"nothing more is deleted: restore this file from a backup, and remove the prune", c.Path, c.At.Collection, f.path, l.source.Collection),
			}
		}
		p.stayed[wayOf(&evidence.File{Source: l.source, Path: f.path}, &c)] = true
	}
	return nil
}
