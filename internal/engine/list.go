package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	filesOfList   = 5000
	foldersOfList = 200 // of the source; each of them is listed right before the list is sent
	// listLife is how long Globus may take for a list: what it names is not looked
	// at again, so it must not wait in a queue for long.
	listLife = time.Hour
	// sendTime bounds the sending of a list, with all repetitions below the client.
	sendTime = 30 * time.Second
	// unclearLists is how many lists in a row are given up before the run is left to
	// a later start.
	unclearLists = 3
	// looksAtOnce is how many folders of a list are looked at at once.
	looksAtOnce = 4
	// lookedUp is up to how many files of a folder are looked up one by one.
	lookedUp = 2
	// statusDropped is the status of a list of which Globus has shown no task. It is
	// not sent again.
	statusDropped = "DROPPED"
)

// A list is files of one source that are to be deleted together.
type list struct {
	source  evidence.Place
	files   []proven
	folders int
	last    string // folder
	trial   bool   // it has one file, to see whether its copies stay, see [pruning.haveStayed]
}

// A proven file may be deleted, as long as it and its copies are as they were
// seen.
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
	if folder, _ := split(f.Path); len(l.files) == 0 || folder != l.last {
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
		part.shelves, err = l.shelved()
		return part, err
	})
	if err != nil {
		return err
	}
	p.sum.Files += int64(len(l.files))
	for _, f := range l.files {
		p.hasEmptied(l.source, f.path)
	}
	if l.trial && len(l.files) > 0 {
		return p.haveStayed(ctx, l)
	}
	return nil
}

// hasEmptied takes note of the folder of a file that was deleted.
func (p *pruning) hasEmptied(at evidence.Place, file string) {
	if p.step.EmptyFolders {
		folder, _ := split(file)
		p.emptied[folderAt{at, folder}] = true
	}
}

// deliver sends what look finds, and follows the task to its end. Look is given a
// new submission id, and returns nil if there is nothing left to send. Whatever
// makes it wait lets it look anew.
func (p *pruning) deliver(ctx context.Context, look func(ctx context.Context, submissionID string) (*part, error)) error {
	r := p.run
	var met obstacles
	for {
		id, err := r.globus.SubmissionID(ctx)
		if err != nil {
			return fmt.Errorf("get a submission id: %w", err)
		}
		part, err := look(ctx, id)
		if err != nil || part == nil {
			return err
		}
		done, err := part.sendOnce(ctx, &met)
		if !done {
			p.cast(part.doc)
		}
		switch {
		case err != nil:
			return err
		case !done && r.journal.unsent():
			if err := r.withdrawn(); err != nil {
				return err
			}
			continue
		case !done:
			continue
		case r.order.NoWait && !part.awaited:
			return errDetached
		}
		err = part.watch(ctx)
		f, ok := errors.AsType[*Failure](err)
		switch {
		case err == nil:
			p.tries = 0
			r.result.State = ledger.Claimed // of what comes next nothing was submitted
			return nil
		case !ok || !f.again || p.tries >= r.job.BackoffLimit:
			return err
		}
		if err := r.backOff(ctx, f, part.attempt, part.tries); err != nil {
			return err
		}
		p.tries++
	}
}

// cast takes note of the files of a list that may be at Globus without anybody
// knowing: they are no copies of others any more.
func (p *pruning) cast(document transfer.Document) {
	if doc, ok := document.(*transfer.Delete); ok {
		for _, i := range doc.Items {
			p.adrift[spot{doc.Endpoint, i.Path}] = true
		}
	}
}

// newPart returns the part that sends a list of paths. It has a place for itself,
// so that its label is that of no other list.
func (p *pruning) newPart(submissionID string, at evidence.Place, paths []string) *part {
	r := p.run
	doc := &transfer.Delete{Endpoint: at.Collection, LocalUser: at.LocalUser, IgnoreMissing: true}
	doc.Deadline = transfer.Time{Time: time.Now().Add(min(listLife, r.job.ActiveDeadline)).Truncate(time.Second)}
	for _, path := range paths {
		doc.Items = append(doc.Items, transfer.DeleteItem{Path: path})
	}
	place := jobs.Position{Step: p.at.Step, Part: r.journal.lastPart(p.at.Step) + 1}
	return &part{
		run: r, position: place, doc: doc, attempt: 1, tries: p.tries, submissionID: submissionID,
		deletes: &Deletes{}, guarded: true, once: true,
	}
}

// sendOnce sends the document of the part, and never again. It reports whether
// there is a task of it. If there is not, and no error, it has waited until
// another document can be sent.
func (p *part) sendOnce(ctx context.Context, met *obstacles) (done bool, err error) {
	doc, err := p.record(ctx)
	if err != nil {
		return false, err
	}
	sending, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	sent, err := p.post(sending, doc)
	switch {
	case err == nil:
		p.accepted(ctx, sent)
		return true, nil
	case !errors.Is(err, transfer.ErrUnclear):
		return p.overcome(ctx, err, met)
	}
	found, lookUp := p.find(ctx)
	switch {
	case found:
		return true, lookUp
	case lookUp != nil:
		return false, p.unclear(err)
	}
	p.drop(ctx)
	if met.unclear++; met.unclear == unclearLists {
		return false, p.unclear(err)
	}
	return false, nil
}

// record writes down the document of the part.
func (p *part) record(ctx context.Context) (transfer.Document, error) {
	doc, err := p.prepare(ctx)
	if err != nil {
		return nil, err
	}
	return doc, p.run.journal.addSubmission(ctx, p.entry(), doc)
}

// drop gives up a list of which Globus has shown no task.
func (p *part) drop(ctx context.Context) {
	p.run.log.Warn("a list of files to delete may not have reached Globus; it is not sent again, and the files are checked anew",
		"submission_id", p.submissionID, "files", p.deletes.Files)
	p.run.journal.addStatus(ctx, p.position, statusDropped)
}

// followEarlier brings the lists of earlier starts to their end.
func (p *pruning) followEarlier(ctx context.Context) error {
	j := p.run.journal
	all := j.lists(p.at.Step)
	before := p.run.result.filesDeleted()
	for i, s := range all {
		err := p.run.followList(ctx, s)
		if doc, err := decode(s); err == nil {
			p.recall(doc)
			if j.sent[positionOf(s)].Status == statusDropped {
				p.cast(doc)
			}
		}
		f, ok := errors.AsType[*Failure](err)
		switch last := i == len(all)-1; {
		case err == nil:
		case ok && f.again && (!last || j.run.Again):
			// Another list followed, or an operator wants one.
		case ok && f.again && s.Tries < p.run.job.BackoffLimit:
			p.tries = s.Tries + 1
		default:
			return err
		}
	}
	p.sum.Files = p.run.result.filesDeleted() - before
	return nil
}

// followList brings a list that an earlier start has recorded to its end. It is
// not sent again: the files may have changed since.
func (r *run) followList(ctx context.Context, s ledger.Submission) error {
	p := &part{run: r, position: positionOf(s), attempt: s.Attempt, tries: s.Tries, submissionID: s.ID, once: true, deletes: &Deletes{}}
	if s.Deletes != nil {
		p.deletes.Files = *s.Deletes
	}
	switch {
	case s.Status == statusRefused || s.Status == statusDropped:
		return nil
	case s.TaskID != "":
		r.log.Info("task adopted", "task_id", s.TaskID, "attempt", p.attempt)
		p.setTask(Task{TaskID: s.TaskID, SubmissionID: s.ID, Label: s.Label, Deletes: p.deletes}, true)
		return p.watch(ctx)
	}
	var err error
	if p.doc, err = decode(s); err != nil {
		return err
	}
	confirming, cancel := confirmation(ctx)
	defer cancel()
	found, err := p.adoptOwn(confirming)
	switch {
	case found && err == nil:
		return p.watch(ctx)
	case err != nil && ctx.Err() != nil:
		return unconfirmed(err)
	case err == nil:
		p.drop(ctx)
	}
	return err
}

// stillProven looks at the files of a list, here and where their copies are, and
// returns those that are as they were when they were judged.
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
	going := map[spot]bool{}
	for _, f := range l.files {
		going[spot{l.source.Collection, f.path}] = true
	}
	for _, f := range l.files {
		why := now.moved(l.source, f)
		if why == "" && slices.ContainsFunc(f.copies, func(c evidence.Copy) bool {
			at := spot{c.At.Collection, c.Path}
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

// A spot is where a file is.
type spot struct{ collection, path string }

// Views are what some folders have now, as far as it is wanted.
type views struct {
	globus  *transfer.Client
	folders map[folderAt]*view
}

type folderAt struct {
	place evidence.Place
	path  string
}

// A view is what a folder has now: the states of those of the wanted names that
// are there.
type view struct {
	wanted map[string]bool
	states map[string]proof.State
	err    error // why it could not be seen
}

func newViews(globus *transfer.Client) *views {
	return &views{globus, map[folderAt]*view{}}
}

func (v *views) want(at evidence.Place, path string) {
	folder, name := split(path)
	key := folderAt{at, folder}
	if v.folders[key] == nil {
		v.folders[key] = &view{wanted: map[string]bool{}, states: map[string]proof.State{}}
	}
	v.folders[key].wanted[name] = true
}

// look looks at all folders. An error says that ctx has ended.
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
		}
	}
}

// moved returns why a file is not proven any more.
func (v *views) moved(source evidence.Place, f proven) proof.Reason {
	why := v.differs(source, f.path, &f.state)
	for _, c := range f.copies {
		why = cmp.Or(why, v.differs(c.At, c.Path, c.State))
	}
	return why
}

// differs returns why a path is not as it was.
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
