package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
)

// Why a prune keeps a file that a receipt proves, besides copies and older_than.
const (
	moved    proof.Reason = "changed while the prune was under way" // or its copy did
	circular proof.Reason = "has a copy that is pruned as well"     // at the same time
	tooMany  proof.Reason = "is more than max_delete allows"        // it did not exist, or was not proven, when the files were counted
	estray   proof.Reason = "was copied to where its job does not copy it now"
	lineEnd  proof.Reason = "has a line end in its path, with which Globus deletes nothing"
	away     proof.Reason = "does not exist any more, so there is nothing to delete in it (a folder counts once)"
)

// A pruning does a prune step. It deletes files in lists. Each list is checked
// again right before it is sent, and is sent once.
type pruning struct {
	run      *run
	step     *jobs.Prune
	at       jobs.Position
	newest   *ledger.Receipt // the newest receipt that counts; nil if there is none
	receipts int             // number of receipts that count
	lanes    jobs.Lanes      // what is now copied, and to where; nothing else is deleted
	by       time.Time       // when a copy must have been proven; zero if that does not matter
	tries    int             // consecutive lists whose task has failed

	looked  int64 // files seen when they were counted for max_delete
	chosen  int64 // files put into lists
	sum     Pruned
	strange int                        // receipts that do not count, because nothing is now copied between their paths
	emptied map[folderAt]bool          // folders from which files were deleted
	watched map[string]*jobs.ForEach   // jobs whose items were copied, by name
	stayed  map[way]bool               // ways by which copies are certainly not the files themselves
	probed  map[way]bool               // ways that were probed, whatever was seen
	adrift  map[evidence.Spot]bool     // files of lists that may or may not be at Globus
	aside   map[evidence.Place][]aside // folders that an earlier start set aside
}

// prune does a prune step.
func (r *run) prune(ctx context.Context, work Work) error {
	if r.journal == nil {
		return &Failure{
			Kind: fault.Usage, state: ledger.Failed,
			Message: fmt.Sprintf("job %s prunes by receipts, and there is no ledger with them: set RUNNER_STATE", r.job.Name),
		}
	}
	p := &pruning{run: r, step: work.Prune, at: work.Position, sum: Pruned{Kept: map[proof.Reason]int64{}}, stayed: map[way]bool{}, probed: map[way]bool{}, emptied: map[folderAt]bool{}, adrift: map[evidence.Spot]bool{}, aside: map[evidence.Place][]aside{}}
	p.heed(r.job, time.Now())
	if err := p.followEarlier(ctx); err != nil || r.journal.past(p.at) {
		return err
	}
	if err := p.finishAside(ctx); err != nil {
		return err
	}
	found, err := p.gather(ctx)
	if err != nil {
		return err
	}
	if err := p.guard(ctx, found); err != nil {
		return err
	}
	if err = p.deleteProven(ctx, found); err == nil {
		err = p.removeEmptied(ctx, found)
	}
	if err == nil {
		for range p.unaccounted(ctx, p.run.globus, found) {
			p.sum.Kept[unaccounted]++
		}
	}
	if err == nil || p.sum.Files > 0 {
		p.report(ctx)
	}
	return err
}

// heed sets what counts for a prune of a job at an instant.
func (p *pruning) heed(job *jobs.Job, now time.Time) {
	if p.step.OlderThan > 0 {
		p.by = now.Add(-p.step.OlderThan)
	}
	if len(p.step.Of) == 0 {
		p.lanes.Add(job, p.at.Step-1)
		p.watch(job)
	}
	for _, of := range p.step.Jobs {
		p.lanes.Add(of, len(of.Steps))
		p.watch(of)
	}
}

// watch records the for_each of a job.
func (p *pruning) watch(job *jobs.Job) {
	if job.Items == nil {
		return
	}
	if p.watched == nil {
		p.watched = map[string]*jobs.ForEach{}
	}
	p.watched[job.ItemsOf] = job.Items
}

// gather reads the beginnings of the receipts that count.
func (p *pruning) gather(ctx context.Context) (*evidence.Evidence, error) {
	kept, err := p.counting(ctx)
	if err != nil {
		return nil, err
	}
	p.receipts = len(kept)
	for _, k := range kept {
		if p.newest == nil || k.ID > p.newest.ID {
			p.newest = k
		}
	}
	found, err := p.read(ctx, p.run.journal.ledger, kept)
	if err != nil {
		return nil, p.unreadable(err)
	}
	p.warn(p.run.log, found)
	return found, nil
}

// warn logs how many receipts are left out.
func (p *pruning) warn(log *slog.Logger, found *evidence.Evidence) {
	if found.Unread > 0 {
		log.Warn("not all receipts of the same folders are read: files that only the others prove are kept", "left_out", found.Unread)
	}
	if found.Strangers > 0 {
		log.Warn("some receipts do not count, because their jobs copy between other paths now", "of", strings.Join(p.step.Of, ", "), "left_out", found.Strangers)
	}
}

// read reads the beginnings of receipts.
func (p *pruning) read(ctx context.Context, l *ledger.Ledger, kept []*ledger.Receipt) (*evidence.Evidence, error) {
	found, err := evidence.Gather(account.Opens(ctx, l, kept), evidence.Options{Least: p.least(), Until: p.by, About: p.about, Others: account.Others(ctx, l, kept)})
	if err == nil {
		p.strange = found.Strangers
	}
	return found, err
}

// about reports whether something is now copied between the paths of an item.
func (p *pruning) about(from, to evidence.Place, item *proof.Item) bool {
	return p.lanes.MayMeet(end(from, item.Source), end(to, item.Destination))
}

func end(at evidence.Place, path string) jobs.End {
	return jobs.End{Collection: at.Collection, LocalUser: at.LocalUser, Path: path}
}

// counting returns the receipts that count.
func (p *pruning) counting(ctx context.Context) ([]*ledger.Receipt, error) {
	if len(p.step.Of) == 0 {
		return p.ownReceipts(ctx)
	}
	l := p.run.journal.ledger
	var all []*ledger.Receipt
	for _, job := range p.step.Of {
		if _, err := p.run.engine.SealPending(ctx, l, job); err != nil {
			p.run.log.Warn("some receipts are pending and do not count yet: Globus could not say what was copied", "of", job, "err", err)
		}
		some, err := l.Receipts(ctx, ledger.ReceiptQuery{Job: job})
		if err != nil {
			return nil, unusable(err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// ownReceipts returns the receipts of the earlier steps of the same run. There
// must be one for each of their tasks.
func (p *pruning) ownReceipts(ctx context.Context) ([]*ledger.Receipt, error) {
	r := p.run
	var why error
	for again := false; ; again = true {
		all, err := r.journal.ledger.Receipts(ctx, ledger.ReceiptQuery{Run: r.journal.run.ID})
		if err != nil {
			return nil, unusable(err)
		}
		all = slices.DeleteFunc(all, func(k *ledger.Receipt) bool { return k.Step >= p.at.Step })
		missing := p.withoutReceipt(all)
		switch {
		case missing == 0:
			return all, nil
		case again && why == nil:
			why = errors.New("it is not complete")
			fallthrough
		case again:
			// The cause is in the text only, because it may be permanent.
			return nil, unusable(fmt.Errorf("nothing was deleted, because the receipts of %s of this run are pending (%v); the next start of the run tries again", plain.Count(missing, "task"), why)) //nolint:errorlint // see above
		}
		_, why = r.engine.SealPending(ctx, r.journal.ledger, r.job.Name)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// withoutReceipt counts the transfers of the earlier steps that have no
// receipt.
func (p *pruning) withoutReceipt(all []*ledger.Receipt) (missing int) {
	for at, s := range p.run.journal.sent {
		if at.Step >= p.at.Step || at.Step < 1 || s.Once || p.run.job.Steps[at.Step-1].Transfer == nil {
			continue
		}
		if !slices.ContainsFunc(all, func(k *ledger.Receipt) bool {
			return k.Step == at.Step && k.Part == at.Part && k.Attempt == s.Attempt
		}) {
			missing++
		}
	}
	return missing
}

// unreadable returns the error for evidence that could not be read to its end.
func (p *pruning) unreadable(err error) error {
	if _, ok := errors.AsType[*ledger.Error](err); ok || errors.Is(err, ledger.ErrNone) {
		return unusable(fmt.Errorf("read the receipts: %w", err)) // a receipt may have been deleted meanwhile
	}
	return &Failure{
		Kind: fault.Failed, state: ledger.Failed, Err: err,
		Message: "nothing more is deleted, because a receipt cannot be trusted; check the ledger",
	}
}

// files yields the files to look at. A folder that does not exist is left out if
// each occurrence copies its own folder, because an empty one may have been
// removed.
func (p *pruning) files(ctx context.Context, globus tree.Globus, found *evidence.Evidence) iter.Seq2[*evidence.File, error] {
	return func(yield func(*evidence.File, error) bool) {
		for f, err := range found.Files(ctx, globus) {
			if err == nil && f.Reason() == evidence.Vanished && !p.expects(f) {
				continue
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// expects reports whether a folder should exist as long as its job copies it.
func (p *pruning) expects(f *evidence.File) bool {
	if p.isItem(folderAt{f.Source, f.Path}) {
		return false
	}
	return len(p.step.Of) == 0 || p.lanes.AlwaysFrom(jobs.End{Collection: f.Source.Collection, LocalUser: f.Source.LocalUser, Path: f.Path})
}

// judge returns the copies that allow a file to be deleted, or the reason why it
// is kept.
func (p *pruning) judge(f *evidence.File) (copies []evidence.Copy, why proof.Reason) {
	proven := f.Proven()
	for _, c := range proven {
		if !p.lanes.Have(end(f.Source, f.Path), end(c.At, c.Path)) {
			continue
		}
		if !slices.ContainsFunc(copies, func(other evidence.Copy) bool { return other.At.Collection == c.At.Collection }) {
			copies = append(copies, c)
		}
	}
	need := max(1, p.step.Copies)
	switch why = f.Reason(); {
	case why == evidence.Vanished:
		return nil, away
	case len(proven) == 0:
		return nil, why
	case strings.ContainsAny(f.Path, "\r\n"):
		return nil, lineEnd // Globus refuses a delete that names it, with all its other files
	case len(copies) == 0:
		return nil, estray
	case len(copies) < need:
		return nil, proof.Reason(fmt.Sprintf("is proven at %d of %d collections", len(copies), need))
	case !p.by.IsZero() && copies[need-1].Since.After(p.by):
		return nil, proof.Reason(fmt.Sprintf("was proven less than %s ago (older_than)", jobs.FormatDuration(p.step.OlderThan)))
	}
	return copies[:need], ""
}

// guard counts what would be deleted, if there is a limit, and refuses too many.
func (p *pruning) guard(ctx context.Context, found *evidence.Evidence) error {
	most := p.most()
	if most == jobs.NoMaxDelete {
		return nil
	}
	var m mirror // counts alike
	for f, err := range p.files(ctx, p.run.globus, found) {
		if err != nil {
			return p.unread(ctx, err)
		}
		if f.Folder {
			continue
		}
		if _, why := p.judge(f); why != "" {
			m.losses.Keep()
			continue
		}
		if m.losses.Delete(); len(m.first) < firstPaths {
			m.first = append(m.first, f.Path)
		}
	}
	if most.Allows(m.losses.Deleted, m.losses.There) {
		p.looked = m.losses.There
		return nil
	}
	return refuse("the prune would delete %d of %s that it has looked at (%s), more than max_delete allows (%s); "+
		"check whether so much should be deleted, and then raise the limit (prune: {max_delete: %[1]d}, or --max-delete %[1]d for one run)",
		m.losses.Deleted, plain.Count(m.losses.There, "file"), m.examples(m.losses.Deleted), most)
}

// most returns how many files may be deleted.
func (p *pruning) most() jobs.MaxDelete { return cmp.Or(p.step.MaxDelete, jobs.NoMaxDelete) }

// unread returns what the error of a listing means.
func (p *pruning) unread(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return p.unreadable(err)
}

// deleteProven deletes the proven files, list by list.
func (p *pruning) deleteProven(ctx context.Context, found *evidence.Evidence) error {
	var l list
	for f, err := range p.files(ctx, p.run.globus, found) {
		if err != nil {
			return p.unread(ctx, err)
		}
		copies, why := p.judge(f)
		if why == "" && !p.most().Allows(p.chosen+1, p.looked) {
			why = tooMany
		}
		if why != "" {
			p.sum.Kept[why]++
			continue
		}
		p.chosen++
		if err := p.probe(ctx, f, copies); err != nil {
			return err
		}
		if !l.hasRoomFor(f) || p.wantsTrial(f, copies) {
			if err := p.delete(ctx, l); err != nil {
				return err
			}
			l = list{trial: p.wantsTrial(f, copies)} // the previous list may have been the trial
		}
		l.add(f, copies)
	}
	return p.delete(ctx, l)
}

// report logs and records what became of the files.
func (p *pruning) report(ctx context.Context) {
	p.run.result.addPruned(&p.sum)
	text := p.String()
	p.run.log.Info("pruned", "files", p.sum.Files, "result", text)
	p.run.journal.note(ctx, "pruned", text)
}

func (p *pruning) String() string {
	parts := []string{p.sum.String()}
	of := cmp.Or(strings.Join(p.step.Of, ", "), "this job")
	if p.newest == nil && len(p.step.Of) > 0 {
		parts[0] += "; there are no receipts of " + of + " yet"
	}
	if p.strange > 0 {
		parts = append(parts, fmt.Sprintf("receipts that do not count, because %s copies between other paths now: %d", of, p.strange))
	}
	if len(p.sum.Kept) > 0 {
		parts = append(parts, p.lister())
	}
	return strings.Join(parts, "; ")
}

// lister names the command that lists the files that are kept.
func (p *pruning) lister() string {
	switch {
	case len(p.step.Of) > 0:
		item := ""
		if p.run.order.Item != nil {
			item = " --item " + shellWord(p.run.order.Item.Name)
		}
		return fmt.Sprintf("runner plan %s%s --diff --list lists them", p.run.job.Name, item)
	case p.receipts > 1:
		return fmt.Sprintf("runner receipt prove %d --task ID lists them, task by task", p.newest.Run)
	}
	return fmt.Sprintf("runner receipt prove %d lists them", p.newest.Run)
}

// plainWord matches words that need no quotes in a shell.
var plainWord = pattern.Lazy(`^[A-Za-z0-9_.,:/@%+=-]+$`)

// shellWord quotes a name for a shell.
func shellWord(name string) string {
	if plainWord().MatchString(name) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
