package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// mostReturned is how many files are looked at that bear names of pruned ones.
	mostReturned = 10_000
	// receiptsOfReturned is in how many of the newest receipts of the job they are
	// looked for.
	receiptsOfReturned = 100
)

// Returned are files of a source that bear names of files that prunes have deleted
// there. To copy them replaces the only copies of those.
type returned struct {
	part      *part
	doc       *transfer.Transfer
	at        evidence.Place
	deletions *evidence.Deletions
	now       map[string]proof.State
	more      int // that are not in now
}

// returning looks for files that have returned. It finds none if the transfer
// replaces no file.
func (p *part) returning(ctx context.Context, doc *transfer.Transfer) (*returned, error) {
	r := &returned{
		part: p, doc: doc, at: evidence.Place{Collection: doc.SourceEndpoint, LocalUser: doc.SourceLocalUser},
		deletions: evidence.NewDeletions(), now: map[string]proof.State{},
	}
	if doc.SyncLevel != nil && *doc.SyncLevel == transfer.SyncExists {
		return r, nil
	}
	return r, AddPruned(ctx, p.run.journal.ledger, r.deletions)
}

// see takes note of a file of the source.
func (r *returned) see(f *proof.Found) {
	switch {
	case r.deletions.Last(r.at, f.Path).IsZero():
	case len(r.now) == mostReturned:
		r.more++
	default:
		r.now[f.Path] = proof.State{File: true, Size: f.Size, Modified: f.Modified}
	}
}

// guard refuses the transfer if it would replace the only copy of a file, unless
// the job allows that.
func (r *returned) guard(ctx context.Context) error {
	if err := r.known(ctx); err != nil {
		return err
	}
	if err := r.there(ctx); err != nil || len(r.now) == 0 {
		return err
	}
	paths := slices.SortedFunc(maps.Keys(r.now), proof.ComparePaths)
	m := mirror{first: paths[:min(len(paths), firstPaths)]}
	n := int64(len(paths) + r.more)
	run := r.part.run
	if run.job.Guard.OverwritePruned {
		run.log.Warn("new files replace the only copies of pruned files of the same names", "files", n, "first", paths[0])
		run.journal.note(ctx, "replaced", fmt.Sprintf("only copies of pruned files that are replaced: %d (%s)", n, m.examples(n)))
		return nil
	}
	return refuse("new files at the source that have the names of pruned files: %d (%s); copying them would replace the only copies of those; "+
		"give them other names, or let them be replaced (guard: {overwrite_pruned: allow})", n, m.examples(n))
}

// known leaves out the files that were copied again since the prune, and those that
// are what was copied before it.
func (r *returned) known(ctx context.Context) error {
	if len(r.now) == 0 {
		return nil
	}
	l, left := r.part.run.journal.ledger, maps.Clone(r.now)
	all, err := l.Receipts(ctx, ledger.ReceiptQuery{Job: r.part.run.job.Name})
	if err != nil {
		return unusable(err)
	}
	for _, kept := range slices.Backward(all[max(0, len(all)-receiptsOfReturned):]) {
		if len(left) == 0 {
			return nil
		}
		in, err := account.Open(ctx, l, kept)
		if err != nil {
			return unusable(err)
		}
		for row, err := range in.Rows() {
			switch {
			case err != nil:
				return unusable(fmt.Errorf("read the receipt of run %d: %w", kept.Run, err))
			case row.Found == nil:
				continue
			}
			path := row.Found.Path
			now, asked := left[path]
			if !asked {
				continue
			}
			delete(left, path)
			if kept.Created.After(r.deletions.Last(r.at, path)) || now.Same(proof.State{File: true, Size: row.Found.Size, Modified: row.Found.Modified}) {
				delete(r.now, path)
			}
		}
	}
	return nil
}

// there leaves out the files that have nothing in their places.
func (r *returned) there(ctx context.Context) error {
	to := evidence.Place{Collection: r.doc.DestinationEndpoint, LocalUser: r.doc.DestinationLocalUser}
	views := newViews(r.part.run.globus)
	for path := range r.now {
		views.want(to, r.destination(path))
	}
	if err := views.look(ctx); err != nil {
		return err
	}
	for path := range r.now {
		folder, name := split(r.destination(path))
		if v := views.folders[folderAt{to, folder}]; v.err == nil && v.states[name] == (proof.State{}) {
			delete(r.now, path)
		}
	}
	return nil
}

// destination is where a file of the source is copied.
func (r *returned) destination(path string) string {
	for _, i := range r.doc.Items {
		from := strings.TrimSuffix(i.SourcePath, "/")
		if rest, ok := strings.CutPrefix(path, from); ok && (rest == "" || rest[0] == '/') {
			return strings.TrimSuffix(i.DestinationPath, "/") + rest
		}
	}
	return path
}
