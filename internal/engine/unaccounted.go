package engine

import (
	"context"
	"fmt"
	"iter"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// unaccounted is why a prune keeps a folder that some occurrence of a job copies
// from.
const unaccounted proof.Reason = "has no receipt, since it was not copied, or before there were receipts (a folder counts once)"

// mostSeries is how many folders are listed to find those without a receipt.
const mostSeries = 500

// Unaccounted counts the folders that some occurrence of a job copies from and that
// have no receipt.
type Unaccounted struct {
	Folders int
	First   string // one of them
}

// String says which of the folders an audit looks at.
func (u Unaccounted) String() string {
	return fmt.Sprintf("%s, such as %s; of them, only those of the runs that the audit covers and of the newest occurrence are audited", plain.Count(u.Folders, "folder"), plain.Line(u.First))
}

// Unaccounted counts the folders of a job that have no receipt. A job that keeps no
// receipts has none.
func (e *Engine) Unaccounted(ctx context.Context, l *ledger.Ledger, job *jobs.Job) (u Unaccounted, err error) {
	if !job.Receipts || l == nil {
		return u, nil
	}
	var lanes jobs.Lanes
	lanes.Add(job, len(job.Steps))
	kept, err := l.Receipts(ctx, ledger.ReceiptQuery{Job: job.Name})
	if err != nil {
		return u, err
	}
	found, err := evidence.Gather(account.Opens(ctx, l, kept), evidence.Options{})
	if err != nil {
		return u, err
	}
	for folder := range foldersWithout(ctx, e.globus, &lanes, found) {
		if u.Folders++; u.Folders == 1 {
			u.First = folder
		}
	}
	return u, nil
}

// unaccounted yields the folders without a receipt that counts. Nothing in them is
// ever deleted.
func (p *pruning) unaccounted(ctx context.Context, globus *transfer.Client, found *evidence.Evidence) iter.Seq[string] {
	if len(p.step.Of) == 0 {
		return func(func(string) bool) {} // the run itself has copied everything that it is about
	}
	return foldersWithout(ctx, globus, &p.lanes, found)
}

// foldersWithout yields the folders that occurrences copy from and that have no
// receipt. Folders that cannot be listed are left out, because nothing depends
// on them.
func foldersWithout(ctx context.Context, globus *transfer.Client, lanes *jobs.Lanes, found *evidence.Evidence) iter.Seq[string] {
	return func(yield func(string) bool) {
		look := serial{globus: globus, found: found, rest: mostSeries, seen: map[evidence.Place]map[string]bool{}}
		for s := range lanes.Series() {
			if !look.folders(ctx, s, s.In.Path, yield) {
				return
			}
		}
	}
}

// A serial lists the folders of series.
type serial struct {
	globus *transfer.Client
	found  *evidence.Evidence
	rest   int // folders that may still be listed
	seen   map[evidence.Place]map[string]bool
}

// folders yields the folders of a series that are in a folder. It returns false if
// yield did.
func (l *serial) folders(ctx context.Context, s jobs.Series, in string, yield func(string) bool) bool {
	if l.rest--; l.rest < 0 {
		return true
	}
	at := evidence.Place{Collection: s.In.Collection, LocalUser: s.In.LocalUser}
	entries, _ := tree.List(ctx, tree.Folder{Lister: l.globus, Collection: at.Collection, Path: in, LocalUser: at.LocalUser}) // see above
	for _, e := range entries {
		folder := in + e.Path + "/"
		switch {
		case e.Kind != tree.Dir || !s.Names[0].MatchString(e.Path):
		case len(s.Names) > 1:
			if !l.folders(ctx, jobs.Series{In: s.In, Names: s.Names[1:]}, folder, yield) {
				return false
			}
		case l.seen[at][folder] || l.found.Tells(at, folder):
		default:
			if l.seen[at] == nil {
				l.seen[at] = map[string]bool{}
			}
			l.seen[at][folder] = true
			if !yield(folder) {
				return false
			}
		}
	}
	return true
}
