package engine

import (
	"cmp"
	"context"
	"sync"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// looksAtOnce is how many folders of a list are looked at concurrently.
	looksAtOnce = 4
	// lookedUp is up to how many files of a folder are looked up one by one,
	// without listing the folder.
	lookedUp = 2
)

// Views are the present states of wanted files in some folders.
type views struct {
	globus  *transfer.Client
	folders map[folderAt]*view
}

type folderAt struct {
	place evidence.Place
	path  string
}

// A view is the present states of wanted files in a folder.
type view struct {
	wanted map[string]bool
	states map[string]proof.State
	forms  map[string]bool // other names in the folder, in the form of [proof.Fold]; nil if not needed
	err    error           // why it could not be seen
}

func newViews(globus *transfer.Client) *views {
	return &views{globus, map[folderAt]*view{}}
}

func (v *views) want(at evidence.Place, path string) *view {
	folder, name := split(path)
	key := folderAt{at, folder}
	if v.folders[key] == nil {
		v.folders[key] = &view{wanted: map[string]bool{}, states: map[string]proof.State{}}
	}
	v.folders[key].wanted[name] = true
	return v.folders[key]
}

// look looks at all folders. It returns an error only if ctx has ended.
func (v *views) look(ctx context.Context) error {
	var group sync.WaitGroup
	slots := make(chan struct{}, looksAtOnce)
	for at, w := range v.folders {
		slots <- struct{}{}
		group.Go(func() {
			w.look(ctx, v.globus, at)
			<-slots
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// look looks at a folder, or at a few files in it.
func (w *view) look(ctx context.Context, globus *transfer.Client, at folderAt) {
	see := func(name string, e *tree.Entry) {
		w.states[name] = proof.State{File: e.Kind == tree.File, Size: e.Size, Modified: e.Modified}
	}
	if as := transfer.AsLocalUser(at.place.LocalUser); len(w.wanted) <= lookedUp {
		for name := range w.wanted {
			switch e, err := globus.Stat(ctx, at.place.Collection, at.path+name, as); {
			case err == nil:
				see(name, tree.EntryOf(e))
			case !tree.Gone(err):
				w.err = err
			}
		}
		return
	}
	folder := tree.Folder{Lister: globus, Collection: at.place.Collection, Path: at.path, LocalUser: at.place.LocalUser}
	for e, err := range tree.Walk(ctx, folder, tree.Options{Look: 1}) {
		switch {
		case err != nil:
			w.err = err
		case e.Path == "" && e.Err != nil && !tree.Gone(e.Err):
			w.err = e.Err
		case w.wanted[e.Path]:
			see(e.Path, e)
		case w.forms != nil:
			w.forms[proof.Fold(e.Path)] = true
		}
	}
}

// moved returns why a file is no longer proven, if it is not.
func (v *views) moved(source evidence.Place, f proven) proof.Reason {
	why := v.differs(source, f.path, &f.state)
	for _, c := range f.copies {
		why = cmp.Or(why, v.differs(c.At, c.Path, c.State))
	}
	return why
}

// differs returns why the state of a path differs from was, if it does.
func (v *views) differs(at evidence.Place, path string, was *proof.State) proof.Reason {
	folder, name := split(path)
	w := v.folders[folderAt{at, folder}]
	is, there := w.states[name]
	switch {
	case w.err != nil:
		return evidence.Unlisted
	case was == nil || !there || !is.Same(*was):
		return moved
	}
	return ""
}
