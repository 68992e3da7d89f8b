package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// mostReturned is how many files with the names of pruned ones are looked at.
	mostReturned = 10_000
	// receiptsOfReturned is how many of the newest receipts of the job are
	// searched for them.
	receiptsOfReturned = 100
)

// A returned finds files of a source that a transfer would copy over the only
// copies of files that prunes have deleted, or of an earlier item of the same name.
type returned struct {
	job      *jobs.Job
	ledger   *ledger.Ledger
	globus   *transfer.Client
	from, to evidence.Place
	lanes    map[string][]string // destinations of items, by their sources; without slashes at their ends
	pruned   *evidence.Deletions // pruned files, by their source paths
	copies   *evidence.Deletions // their copies, by their paths in the form of [proof.Fold]
	earlier  *evidence.Deletions // copies of earlier items of the same name, likewise
	now      map[string]comeback // by the path of the copy
	more     int                 // number of those that are not in now
}

// A comeback is a file that would replace a copy.
type comeback struct {
	source string
	state  proof.State
	pruned time.Time // when the file that the copy belongs to was deleted
	// earlier says that it was not deleted by a prune, but belonged to an earlier item;
	// pruned is when the copy was there.
	earlier bool
}

// returning returns a returned for a transfer of an occurrence. It finds nothing if the
// transfer does not replace files.
func (e *Engine) returning(ctx context.Context, l *ledger.Ledger, job *jobs.Job, key jobs.Key, doc *transfer.Transfer) (*returned, error) {
	r := &returned{
		job: job, ledger: l, globus: e.globus, lanes: map[string][]string{}, now: map[string]comeback{},
		from:   evidence.Place{Collection: doc.SourceEndpoint, LocalUser: doc.SourceLocalUser},
		to:     evidence.Place{Collection: doc.DestinationEndpoint, LocalUser: doc.DestinationLocalUser},
		pruned: evidence.NewDeletions(), copies: evidence.NewDeletions(), earlier: evidence.NewDeletions(),
	}
	if doc.SyncLevel != nil && *doc.SyncLevel == transfer.SyncExists {
		return r, nil
	}
	for _, i := range doc.Items {
		from := strings.TrimSuffix(i.SourcePath, "/")
		r.lanes[from] = append(r.lanes[from], strings.TrimSuffix(i.DestinationPath, "/"))
	}
	for list, err := range prunedLists(l.Lists(ctx)) {
		if err != nil {
			return nil, err
		}
		list.addTo(r.pruned)
		r.addCopies(&list)
	}
	return r, r.addEarlier(ctx, key)
}

// addEarlier adds the copies of the items that had the name of the occurrence's item
// before it and were done. They are gone: an item that stays is done once, unless the job
// says again: changed, which has a new state replace an old one.
func (r *returned) addEarlier(ctx context.Context, key jobs.Key) error {
	first, _, again := strings.Cut(string(key), "@")
	if !again || !key.IsItem() || r.job.Items == nil || r.job.Items.Again == jobs.AgainChanged {
		return nil
	}
	all, err := r.ledger.Receipts(ctx, ledger.ReceiptQuery{Job: r.job.Name})
	if err != nil {
		return unusable(err)
	}
	all = slices.DeleteFunc(all, func(kept *ledger.Receipt) bool {
		base, _, _ := strings.Cut(kept.Key, "@")
		return base != first
	})
	for in, err := range newest(ctx, r.ledger, all) {
		if err != nil {
			return unusable(err)
		}
		if err := r.addItem(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

// addItem adds what a receipt says of an item, if the item was done. One that changed
// while it was copied was not: what follows it has its files.
func (r *returned) addItem(ctx context.Context, in openReceipt) error {
	switch run, err := r.ledger.Run(ctx, in.kept.Run); {
	case errors.Is(err, ledger.ErrNone): // it is forgotten, and was done long ago
	case err != nil:
		return unusable(err)
	case run.State != ledger.Succeeded:
		return nil
	}
	there := in.kept.Created.Add(time.Second) // Deletions have whole seconds
	for row, err := range in.Rows() {
		if err != nil {
			return unusable(fmt.Errorf("read the receipt of run %d: %w", in.kept.Run, err))
		}
		if row.Copied != nil {
			r.earlier.Add(anyUser(in.Receipt.Destination), proof.Fold(row.Copied.Destination), there)
		}
	}
	return nil
}

// addCopies adds the copies of the files of a list. If it is not recorded where
// they are, they are assumed to be where the transfer would put the files.
func (r *returned) addCopies(l *prunedList) {
	for _, s := range l.shelves {
		for _, path := range s.Paths {
			r.copies.Add(anyUser(s.Collection), proof.Fold(path), l.sent)
		}
	}
	if l.shelves != nil || l.source != r.from {
		return
	}
	for _, path := range l.paths {
		for to := range r.destinations(path) {
			r.copies.Add(anyUser(r.to.Collection), proof.Fold(to), l.sent)
		}
	}
}

// anyUser returns a collection without regard to the local user.
func anyUser(collection string) evidence.Place {
	return evidence.Place{Collection: strings.ToLower(collection)}
}

// see takes in a file of the source.
func (r *returned) see(f *proof.Found) {
	at := anyUser(r.to.Collection)
	for to := range r.destinations(f.Path) {
		c := comeback{source: f.Path, state: proof.State{File: true, Size: f.Size, Modified: f.Modified}, pruned: r.copies.Last(at, proof.Fold(to))}
		if there := r.earlier.Last(at, proof.Fold(to)); there.After(c.pruned) {
			c.pruned, c.earlier = there, true
		}
		switch {
		case c.pruned.IsZero():
		case len(r.now) == mostReturned:
			r.more++
		default:
			r.now[to] = c
		}
	}
}

// destinations yields the paths to which a file of the source is copied.
func (r *returned) destinations(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for end := len(path); end >= 0; end = strings.LastIndexByte(path[:end], '/') {
			for _, to := range r.lanes[path[:end]] {
				if !yield(to + path[end:]) {
					return
				}
			}
		}
	}
}

// threatened says which only copies the transfer would replace, or returns "".
func (r *returned) threatened(ctx context.Context) (string, error) {
	if err := r.known(ctx); err != nil {
		return "", err
	}
	if err := r.there(ctx); err != nil || len(r.now) == 0 {
		return "", err
	}
	copies := slices.SortedFunc(maps.Keys(r.now), proof.ComparePaths)
	var m mirror
	for _, to := range copies[:min(len(copies), firstPaths)] {
		m.first = append(m.first, r.now[to].source+" over "+to)
	}
	n := int64(len(copies) + r.more)
	return fmt.Sprintf("%d (%s)", n, m.examples(n)), nil
}

// guardCopies refuses the transfer if it would replace the only copy of a file,
// unless the job allows that.
func (p *part) guardCopies(ctx context.Context, back *returned) error {
	which, err := back.threatened(ctx)
	if err != nil || which == "" {
		return err
	}
	text, refused := back.sentence(which)
	if refused {
		return refuse("%s", text)
	}
	p.run.log.Warn("files replace only copies", "files", which, "copies_of", back.whose())
	p.run.journal.note(ctx, "replaced", text)
	return nil
}

// sentence says whether a transfer that would replace these copies is refused.
func (r *returned) sentence(which string) (text string, refused bool) {
	if r.job.Guard.OverwritePruned {
		return fmt.Sprintf("only copies of %s that are replaced: %s", r.whose(), which), false
	}
	return fmt.Sprintf("files that would be copied over the only copies of %s: %s; give them other names, copy them to another folder, "+
		"or let the copies be replaced (guard: {overwrite_pruned: allow})", r.whose(), which), true
}

// whose says which files the copies belong to.
func (r *returned) whose() string {
	for _, c := range r.now {
		if c.earlier {
			return "an earlier item of this name, which is gone from the source"
		}
	}
	return "pruned files"
}

// ReplacedCopies finds out whether a transfer of a job that keeps receipts would
// replace the only copies of files that are gone, and so be refused. Call See for each file that would be copied, and then Say.
type ReplacedCopies struct{ back *returned }

// ReplacedCopies returns a [ReplacedCopies] for a transfer of an occurrence.
func (e *Engine) ReplacedCopies(ctx context.Context, l *ledger.Ledger, job *jobs.Job, key jobs.Key, doc *transfer.Transfer) (*ReplacedCopies, error) {
	back, err := e.returning(ctx, l, job, key, doc)
	return &ReplacedCopies{back}, err
}

// See takes in a file of the source that would be copied.
func (c *ReplacedCopies) See(path string, size int64, modified time.Time) {
	c.back.see(&proof.Found{Path: path, Size: size, Modified: modified})
}

// Say returns what a run would say; refused is false if the job allows it. text
// is empty if no copy would be replaced.
func (c *ReplacedCopies) Say(ctx context.Context) (text string, refused bool, err error) {
	which, err := c.back.threatened(ctx)
	if err != nil || which == "" {
		return "", false, err
	}
	text, refused = c.back.sentence(which)
	return text, refused, nil
}

// known removes the copies that a run of the job has replaced since the prune,
// and the files that are the same as those copied before it.
func (r *returned) known(ctx context.Context) error {
	if len(r.now) == 0 {
		return nil
	}
	l := r.ledger
	all, err := l.Receipts(ctx, ledger.ReceiptQuery{Job: r.job.Name})
	if err != nil {
		return unusable(err)
	}
	unsettled := map[string][]string{} // copies of pruned files, by the paths of the files
	for to, c := range r.now {
		if c.earlier || r.pruned.Last(r.from, c.source).Equal(c.pruned) {
			unsettled[c.source] = append(unsettled[c.source], to)
		}
	}
	for in, err := range newest(ctx, l, all[max(0, len(all)-receiptsOfReturned):]) {
		if err != nil {
			return unusable(err)
		}
		for row, err := range in.Rows() {
			switch {
			case err != nil:
				return unusable(fmt.Errorf("read the receipt of run %d: %w", in.kept.Run, err))
			case row.Copied != nil && strings.EqualFold(in.Receipt.Destination, r.to.Collection) && in.kept.Created.After(r.now[row.Copied.Destination].pruned):
				delete(r.now, row.Copied.Destination)
			case row.Found != nil && len(unsettled[row.Found.Path]) > 0:
				unsettled[row.Found.Path] = r.same(row.Found, in.kept.Created, unsettled[row.Found.Path])
			}
		}
		if len(r.now) == 0 {
			break
		}
	}
	return nil
}

// same removes a file that the source had in the same state when it was pruned,
// according to the newest receipt from before that. It returns the copies that no
// receipt has listed yet.
func (r *returned) same(f *proof.Found, at time.Time, copies []string) (unsettled []string) {
	for _, to := range copies {
		switch c := r.now[to]; {
		case at.After(c.pruned):
			unsettled = append(unsettled, to)
		case c.state.Same(proof.State{File: true, Size: f.Size, Modified: f.Modified}):
			delete(r.now, to)
		}
	}
	return unsettled
}

// there removes the files that would replace nothing. If a listing has another form
// of a name, the disk is asked whether it treats both as the same.
func (r *returned) there(ctx context.Context) error {
	views := newViews(r.globus)
	for to := range r.now {
		views.want(r.to, to).forms = map[string]bool{}
	}
	if err := views.look(ctx); err != nil {
		return err
	}
	for to := range r.now {
		folder, name := split(to)
		switch v := views.folders[folderAt{r.to, folder}]; {
		case v.err != nil || v.states[name] != (proof.State{}):
			continue
		case v.forms[proof.Fold(name)]:
			if _, err := r.globus.Stat(ctx, r.to.Collection, to, transfer.AsLocalUser(r.to.LocalUser)); !tree.Gone(err) {
				continue
			}
		}
		delete(r.now, to)
	}
	return nil
}
