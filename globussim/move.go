package globussim

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// A unit is one path that a task has to handle: an item, or what was found below one.
type unit struct {
	item     *item
	src, dst string // resolved
	above    *folder
	symlink  bool // make the link again instead of following it
	emptied  bool // a folder whose contents have been deleted
	counted  bool // it is among the files, folders or links found
}

// A folder is one on the way down to a unit. Links can lead back up.
type folder struct {
	info  fs.FileInfo
	above *folder
}

func (f *folder) holds(info fs.FileInfo) bool {
	for ; f != nil; f = f.above {
		if os.SameFile(f.info, info) {
			return true
		}
	}
	return false
}

// rawSource is the path of the source as the submission would spell it.
func (u unit) rawSource() string { return raw(u.item.rawSrc, u.item.src, u.src) }

func (u unit) rawDestination() string { return raw(u.item.rawDst, u.item.dst, u.dst) }

func raw(submitted, top, p string) string {
	if p == top {
		return submitted
	}
	return strings.TrimSuffix(submitted, "/") + "/" + strings.TrimPrefix(strings.TrimPrefix(p, top), "/")
}

func (u unit) atSource(t *task, code string) *failure {
	return &failure{code: code, collection: t.src, path: u.src, source: true, command: "transfer"}
}

func (u unit) atDestination(t *task, code string) *failure {
	return &failure{
		code: code, collection: t.dst, path: u.dst, command: "transfer",
		fatal: code == codeQuota && t.spec.FailOnQuotaErrors,
	}
}

// skips records a source error that the document allows to be skipped.
func (w *worker) skips(u unit, f *failure) bool {
	if !f.source || !w.task.spec.SkipSourceErrors || f.code != codeNotFound && f.code != codeDenied {
		return false
	}
	w.update(func(d *taskDoc) {
		d.SubtasksPending--
		d.SubtasksSkippedErrors++
		w.task.skips = append(w.task.skips, skip{
			Source: u.rawSource(), Destination: u.rawDestination(), Code: f.code, At: w.server.now(),
			Details:   strings.ReplaceAll(f.details(), `\r\n`, "%0D%0A"),
			Directory: u.item.recursive != nil && *u.item.recursive,
			Checksum:  u.item.checksum, Algorithm: u.item.algorithm,
		})
	})
	return true
}

// reach fails if one side of a transfer is offline.
func (w *worker) reach(u unit) error {
	t := w.task
	switch {
	case t.src.condition().Offline:
		return u.atSource(t, codeOffline)
	case t.dst.condition().Offline:
		return u.atDestination(t, codeOffline)
	}
	return nil
}

// visit is the visitor of a transfer: it returns what is below a folder.
func (w *worker) visit(ctx context.Context, u *unit) ([]unit, error) {
	t := w.task
	if err := w.reach(*u); err != nil {
		return nil, err
	}
	if t.done[pair{u.rawSource(), u.rawDestination()}] {
		w.found(u, func(d *taskDoc) { d.Files++ })
		return nil, nil
	}
	if !t.src.allows(t.owner, u.src, "r") {
		return nil, u.atSource(t, codeDenied)
	}
	if u.symlink {
		return nil, w.link(u)
	}
	info, err := t.src.root.Stat(inRoot(u.src))
	if err != nil {
		return nil, u.atSource(t, codeOf(err))
	}
	recursive := u.item.recursive
	top := u.above == nil
	switch {
	case info.IsDir() && top && recursive != nil && !*recursive:
		return nil, u.atSource(t, codeIsADirectory)
	case info.IsDir():
		w.found(u, func(d *taskDoc) { d.Directories++ })
		return w.folder(ctx, u, info)
	case top && recursive != nil && *recursive:
		return nil, u.atSource(t, codeNotADirectory)
	case !info.Mode().IsRegular():
		return nil, u.atSource(t, codeEndpoint)
	}
	w.found(u, func(d *taskDoc) { d.Files++ })
	return nil, w.file(ctx, u, info)
}

// found counts a unit when its type is first known.
func (w *worker) found(u *unit, count func(d *taskDoc)) {
	if !u.counted {
		u.counted = true
		w.update(count)
	}
}

// folder makes the destination folder and returns what is in the source's.
func (w *worker) folder(ctx context.Context, u *unit, info fs.FileInfo) ([]unit, error) {
	t := w.task
	if u.above.holds(info) {
		return nil, nil // a link that leads up, or the destination inside the source
	}
	if !t.dst.allows(t.owner, u.dst, "w") {
		return nil, u.atDestination(t, codeDenied)
	}
	entries, err := readDir(t.src, u.src)
	if err != nil {
		return nil, u.atSource(t, codeOf(err))
	}
	if err := w.makeFolder(u, u.dst); err != nil {
		return nil, err
	}
	above := &folder{info, u.above}
	if u.above == nil {
		target, err := t.dst.root.Stat(inRoot(u.dst))
		if err != nil {
			return nil, u.atDestination(t, codeOf(err))
		}
		above.above = &folder{info: target}
	}
	if t.spec.DeleteDestinationExtra {
		if err := w.compare(ctx, u, entries); err != nil {
			return nil, err
		}
	}
	var below []unit
	for _, entry := range entries {
		name, kind := entry.Name(), entry.Type()
		if !included(t.spec.rules, name, kind.IsDir()) {
			continue
		}
		child := unit{item: u.item, src: join(u.src, name), dst: join(u.dst, name), above: above}
		switch {
		case kind&fs.ModeSymlink != 0:
			w.update(func(d *taskDoc) { d.Symlinks++ })
			if *t.doc.RecursiveSymlinks == "ignore" {
				continue
			}
			child.symlink = *t.doc.RecursiveSymlinks == "keep"
		case !kind.IsDir() && !kind.IsRegular():
			continue // a pipe, a socket or a device
		}
		below = append(below, child)
	}
	return below, nil
}

// makeFolder makes a destination folder with its parents.
func (w *worker) makeFolder(u *unit, dir string) error {
	if dir == w.made || dir == "/" {
		return nil
	}
	if err := w.task.dst.root.MkdirAll(inRoot(dir), 0o755); err != nil {
		return u.atDestination(w.task, codeOf(err))
	}
	w.made = dir
	return nil
}

// link makes a symbolic link again, with the same target.
func (w *worker) link(u *unit) error {
	t := w.task
	target, err := t.src.root.Readlink(inRoot(u.src))
	if err != nil {
		return u.atSource(t, codeOf(err))
	}
	if !t.dst.allows(t.owner, u.dst, "w") {
		return u.atDestination(t, codeDenied)
	}
	if err := t.dst.root.Remove(inRoot(u.dst)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return u.atDestination(t, codeOf(err))
	}
	if err := t.dst.root.Symlink(target, inRoot(u.dst)); err != nil {
		return u.atDestination(t, codeOf(err))
	}
	return nil
}

// file copies a file if the sync level asks for it.
func (w *worker) file(ctx context.Context, u *unit, info fs.FileInfo) error {
	t := w.task
	switch {
	case !t.dst.allows(t.owner, u.dst, "w"):
		return u.atDestination(t, codeDenied)
	case u.above == nil && strings.HasSuffix(u.item.rawDst, "/"):
		return u.atDestination(t, codeIsADirectory)
	}
	old, err := t.dst.root.Stat(inRoot(u.dst))
	switch {
	case err == nil && old.IsDir():
		return u.atDestination(t, codeIsADirectory)
	case err == nil:
		if differs, err := w.differs(ctx, u, info, old); err != nil || !differs {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return u.atDestination(t, codeOf(err))
	}
	freed := int64(0) // by replacing the old file
	if old != nil {
		freed = old.Size()
	}
	if !w.fits(info.Size() - freed) {
		return u.atDestination(t, codeQuota)
	}
	if err := w.makeFolder(u, path.Dir(u.dst)); err != nil {
		return err
	}
	size, err := w.write(ctx, *u, info)
	if err == nil {
		w.used += size - freed
	}
	return err
}

// fits tells whether the destination's quota leaves room for so many bytes
// more.
func (w *worker) fits(bytes int64) bool {
	p := w.task.dst
	quota := p.condition().Quota
	if quota == 0 {
		return true
	}
	if !w.measured {
		w.used, w.measured = used(p), true
	}
	return w.used+bytes <= quota
}

// used returns how many bytes a collection has. A file that cannot be read counts as empty.
func used(p *collection) (bytes int64) {
	_ = fs.WalkDir(p.root.FS(), ".", func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}

// readDir lists a folder by name, without files that are not complete.
func readDir(p *collection, abs string) ([]fs.DirEntry, error) {
	entries, err := readAll(p, abs)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), partPrefix) }), err
}

// readAll lists all of a folder by name.
func readAll(p *collection, abs string) ([]fs.DirEntry, error) {
	f, err := p.root.Open(inRoot(abs))
	if err != nil {
		return nil, err
	}
	defer shut(f)
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// shut closes a file that was only read, so that there is nothing to lose.
func shut(f *os.File) { _ = f.Close() }
