package globussim

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
)

// erase is the visitor of a delete. For a folder that has to be emptied first, it
// returns its content and the folder itself.
func (w *worker) erase(_ context.Context, u *unit) ([]unit, error) {
	t := w.task
	root := t.src.root
	refuse := func(code string, fatal bool) *failure {
		return &failure{code: code, collection: t.src, path: u.src, command: "delete", fatal: fatal}
	}
	if t.src.condition().Offline {
		return nil, refuse(codeOffline, false)
	}
	if u.src == "/" || !t.src.allows(t.owner, u.src, "w") {
		return nil, refuse(codeDenied, false)
	}
	info, err := root.Lstat(inRoot(u.src))
	if errors.Is(err, fs.ErrNotExist) && u.above == nil && t.spec.InterpretGlobs {
		if found := w.expand(u); len(found) > 0 {
			if w.keepFound(u) != nil {
				return nil, refuse(codeEndpoint, false)
			}
			return found, nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Below an item, somebody else was faster.
		if t.spec.IgnoreMissing || u.above != nil || u.item.found {
			return nil, nil
		}
		return nil, refuse(codeNotFound, true)
	case err != nil:
		return nil, refuse(codeOf(err), false)
	case w.keepFound(u) != nil:
		return nil, refuse(codeEndpoint, false)
	case info.IsDir():
		w.found(u, func(d *taskDoc) { d.Directories++ })
	case info.Mode()&fs.ModeSymlink != 0:
		w.found(u, func(d *taskDoc) { d.Symlinks++ })
	default:
		w.found(u, func(d *taskDoc) { d.Files++ })
	}
	if info.IsDir() && t.spec.Recursive && !u.emptied {
		below, err := w.contentFirst(u, info)
		if err != nil {
			return nil, refuse(codeOf(err), false)
		}
		return below, nil
	}
	switch err := root.Remove(inRoot(u.src)); {
	case errors.Is(err, syscall.ENOTEMPTY):
		u.emptied = false // somebody else has put something into it
		return nil, refuse(codeNotEmpty, !t.spec.Recursive)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, refuse(codeOf(err), false)
	}
	return nil, nil
}

// contentFirst returns what is in a folder, and the folder itself as the last.
func (w *worker) contentFirst(u *unit, info fs.FileInfo) ([]unit, error) {
	entries, err := readAll(w.task.src, u.src)
	if err != nil {
		return nil, err
	}
	here := &folder{info, u.above}
	below := make([]unit, 0, len(entries)+1)
	for _, entry := range entries {
		below = append(below, unit{item: u.item, src: join(u.src, entry.Name()), above: here})
	}
	self := *u
	self.emptied, self.above = true, here
	return append(below, self), nil
}

// expand returns the paths that the last component of an item matches.
func (w *worker) expand(u *unit) []unit {
	dir, pattern := path.Split(u.src)
	if !strings.ContainsAny(pattern, `*?[\`) {
		return nil
	}
	entries, err := readDir(w.task.src, path.Clean(dir))
	if err != nil {
		return nil // the item is missing, then
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !glob(pattern, e.Name()) })
	found := make([]unit, len(entries))
	for i, entry := range entries {
		found[i] = unit{item: u.item, src: join(dir, entry.Name()), above: &folder{}}
	}
	return found
}
