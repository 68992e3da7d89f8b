package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	filesOfList   = 5000
	foldersOfList = 200 // folders of the source, each of which is listed right before the list is sent
)

// A list is files of one source that one task deletes.
type list struct {
	source  evidence.Place
	files   []proven
	folders int
	last    string // folder
	trial   bool   // it has a single file, to see whether its copies stay; see [pruning.haveStayed]
}

// A proven is a file that may be deleted as long as it and its copies do not
// change.
type proven struct {
	path   string
	state  proof.State
	copies []evidence.Copy
}

func (l *list) hasRoomFor(f *evidence.File) bool {
	folder, _ := split(f.Path)
	switch {
	case len(l.files) == 0:
		return true
	case len(l.files) == filesOfList || l.trial || f.Source != l.source:
		return false
	}
	return l.folders < foldersOfList || folder == l.last
}

func (l *list) add(f *evidence.File, copies []evidence.Copy) {
	l.source = f.Source
	if folder, _ := split(f.Path); folder != l.last {
		l.folders, l.last = l.folders+1, folder
	}
	l.files = append(l.files, proven{f.Path, f.State, copies})
}

// split returns the folder of a path, with a slash at its end, and the name in it.
func split(path string) (folder, name string) {
	i := strings.LastIndexByte(path, '/') + 1
	return path[:i], path[i:]
}

// delete deletes the files of a list that are still proven.
func (p *pruning) delete(ctx context.Context, l list) error {
	if len(l.files) == 0 {
		return nil
	}
	err := p.deliver(ctx, func(ctx context.Context, id string) (*part, error) {
		var err error
		if l.files, err = p.stillProven(ctx, l); err != nil || len(l.files) == 0 {
			return nil, err
		}
		var paths []string
		for _, f := range l.files {
			paths = append(paths, f.path)
		}
		part := p.newPart(id, l.source, paths)
		part.deletes.Files, part.awaited = int64(len(paths)), l.trial
		part.rival = func(ctx context.Context) (int64, error) { return p.rival(ctx, &l) }
		part.shelves, err = l.shelved()
		return part, err
	})
	if err != nil {
		return err
	}
	p.sum.Files += int64(len(l.files))
	var paths []string
	for _, f := range l.files {
		p.hasEmptied(l.source, f.path)
		paths = append(paths, f.path)
	}
	if err := p.free(ctx, jobs.FileItems, l.source, paths); err != nil {
		return err
	}
	if l.trial && len(l.files) > 0 {
		return p.haveStayed(ctx, l)
	}
	return nil
}

// hasEmptied records the folder of a file that was deleted.
func (p *pruning) hasEmptied(at evidence.Place, file string) {
	if p.step.EmptyFolders {
		folder, _ := split(file)
		p.emptied[folderAt{at, folder}] = true
	}
}

// stillProven looks at the files of a list and their copies, and returns the
// files that have not changed since they were judged.
func (p *pruning) stillProven(ctx context.Context, l list) (still []proven, err error) {
	now := newViews(p.run.globus)
	for _, f := range l.files {
		now.want(l.source, f.path)
		for _, c := range f.copies {
			now.want(c.At, c.Path)
		}
	}
	if err := now.look(ctx); err != nil {
		return nil, err
	}
	going := map[evidence.Spot]bool{}
	for _, f := range l.files {
		going[evidence.SpotOf(l.source.Collection, f.path)] = true
	}
	for _, f := range l.files {
		why := now.moved(l.source, f)
		if why == "" && slices.ContainsFunc(f.copies, func(c evidence.Copy) bool {
			at := evidence.SpotOf(c.At.Collection, c.Path)
			return going[at] || p.adrift[at]
		}) {
			why = circular
		}
		if why != "" {
			p.sum.Kept[why]++
			continue
		}
		still = append(still, f)
	}
	return still, nil
}
