package globussim

import (
	"context"
	"io/fs"
)

// differs tells whether a file that exists at the destination is copied again,
// and counts it if not. That each level applies its own test alone is not
// confirmed.
func (w *worker) differs(ctx context.Context, u *unit, info, old fs.FileInfo) (bool, error) {
	t := w.task
	if t.spec.SyncLevel == nil {
		return true, nil
	}
	level := *t.spec.SyncLevel
	size := info.Size() != old.Size()
	newer := info.ModTime().Unix() > old.ModTime().Unix() // documents and servers know whole seconds
	differs := level == 1 && size || level == 2 && newer
	if w.server.answers.Load().LowerLevels {
		differs = level >= 1 && size || level >= 2 && newer
	}
	if level == 3 && !differs {
		here, n, err := w.checksum(ctx, t.src, inRoot(u.src), "")
		if err != nil {
			return false, either(ctx, u.atSource(t, codeOf(err)))
		}
		there, m, err := w.checksum(ctx, t.dst, inRoot(u.dst), "")
		if err != nil {
			return false, either(ctx, u.atDestination(t, codeOf(err)))
		}
		w.advance(func(d *taskDoc) { d.BytesChecksummed += n + m })
		differs = here != there
	}
	if !differs {
		w.update(func(d *taskDoc) { d.FilesSkipped++ })
	}
	return differs, nil
}

// either returns the error of ctx if that has ended, or else the failure.
func either(ctx context.Context, f *failure) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return f
}

// compare looks for what is in the destination folder and not in the source's.
// What a filter rule excludes is left alone. An entry that the source has as
// another type is removed at once, the rest at the end of the task.
func (w *worker) compare(ctx context.Context, u *unit, entries []fs.DirEntry) error {
	t := w.task
	there, err := readDir(t.dst, u.dst)
	if err != nil {
		return u.atDestination(t, codeOf(err))
	}
	kinds := make(map[string]fs.FileMode, len(entries))
	for _, entry := range entries {
		kinds[entry.Name()] = entry.Type()
	}
	for _, entry := range there {
		name, target := entry.Name(), join(u.dst, entry.Name())
		kind, exists := kinds[name]
		switch {
		case !included(t.spec.rules, name, entry.IsDir()):
		case !exists:
			w.extras = append(w.extras, unit{item: u.item, dst: target})
		case kind.IsDir() != entry.IsDir() && kind&fs.ModeSymlink == 0:
			if _, err := w.gate(ctx); err != nil {
				return err
			}
			w.made = ""
			if err := t.dst.root.RemoveAll(inRoot(target)); err != nil {
				return u.atDestination(t, codeOf(err))
			}
		}
	}
	return nil
}

// removable returns what the source does not have, or nothing if a part of the
// source could not be seen.
func (w *worker) removable() []unit {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.task
	if len(w.extras) > 0 && len(t.skips) > 0 && !t.final() {
		t.note("DELETE_DESTINATION_EXTRA_SKIPPED", "Source errors were skipped, so nothing was deleted", false)
		return nil
	}
	if !t.final() {
		t.doc.discover(len(w.extras))
	}
	return w.extras
}

// removeExtra is the visitor that removes what the source does not have.
func (w *worker) removeExtra(_ context.Context, u *unit) ([]unit, error) {
	t := w.task
	if err := w.reach(*u); err != nil {
		return nil, err
	}
	if !t.dst.allows(t.owner, u.dst, "w") {
		return nil, u.atDestination(t, codeDenied)
	}
	if err := t.dst.root.RemoveAll(inRoot(u.dst)); err != nil {
		return nil, u.atDestination(t, codeOf(err))
	}
	return nil, nil
}
