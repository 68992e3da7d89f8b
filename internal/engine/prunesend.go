package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	// listLife is the deadline of a list's task. Its files are not checked
	// again, so it must not wait in a queue for long.
	listLife = time.Hour
	// sendTime bounds the sending of a list, including the client's retries.
	sendTime = 30 * time.Second
	// unclearLists is how many lists in a row may be given up before the run is
	// left to a later start.
	unclearLists = 3
	// statusDropped is the status of a list for which Globus has shown no task.
	// It is not sent again.
	statusDropped = "DROPPED"
)

// deliver sends what look returns, and follows the task to its end. look gets a
// new submission id, and returns nil if there is nothing left to send. After each
// wait, deliver calls look again.
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
			r.result.State = ledger.Claimed // nothing of what comes next was submitted
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

// cast records the files of a list that may be at Globus although that is not
// confirmed: they no longer count as copies of other files.
func (p *pruning) cast(document transfer.Document) {
	if doc, ok := document.(*transfer.Delete); ok {
		for _, i := range doc.Items {
			p.adrift[evidence.SpotOf(doc.Endpoint, i.Path)] = true
		}
	}
}

// newPart returns the part that sends a list of paths. It has its own position,
// so that its label is unique.
func (p *pruning) newPart(submissionID string, at evidence.Place, paths []string) *part {
	r := p.run
	doc := &transfer.Delete{Endpoint: at.Collection, LocalUser: at.LocalUser, IgnoreMissing: true}
	doc.Deadline = transfer.Time{Time: time.Now().Add(min(listLife, r.job.ActiveDeadline)).Truncate(time.Second)}
	for _, path := range paths {
		doc.Items = append(doc.Items, transfer.DeleteItem{Path: path})
	}
	place := jobs.Position{Step: p.at.Step, Part: r.journal.lastPart(p.at.Step) + 1}
	return &part{
		run: r, position: place, doc: doc, ends: doc.Deadline, attempt: 1, tries: p.tries, submissionID: submissionID,
		deletes: &Deletes{}, guarded: true, once: true,
	}
}

// sendOnce sends the document of the part exactly once. It reports whether
// there is a task. If there is none, and no error, it has waited until another
// document can be sent.
func (p *part) sendOnce(ctx context.Context, met *obstacles) (done bool, err error) {
	doc, err := p.record(ctx)
	if err != nil {
		return false, err
	}
	if waited, err := p.giveWay(ctx); waited {
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

// record records the document of the part.
func (p *part) record(ctx context.Context) (transfer.Document, error) {
	doc, err := p.prepare(ctx)
	if err != nil {
		return nil, err
	}
	return doc, p.run.journal.addSubmission(ctx, p.entry(), doc)
}

// drop gives up a list for which Globus has shown no task.
func (p *part) drop(ctx context.Context) {
	p.run.log.Warn("a list of files to delete may not have reached Globus; it is not sent again, and the files are checked anew",
		"submission_id", p.submissionID, "files", p.deletes.Files)
	p.run.journal.addStatus(ctx, p.position, statusDropped)
}

// followEarlier follows the lists of earlier starts to their end.
func (p *pruning) followEarlier(ctx context.Context) error {
	j := p.run.journal
	all := j.lists(p.at.Step)
	before := p.run.result.filesDeleted()
	for i, s := range all {
		err := p.run.followList(ctx, s)
		if doc, unread := decode(s); unread == nil {
			p.recall(doc)
			switch status := j.sent[positionOf(s)].Status; {
			case status == statusDropped:
				p.cast(doc)
			case err == nil && status != statusRefused:
				err = p.freeListed(ctx, doc)
			}
		}
		f, ok := errors.AsType[*Failure](err)
		switch last := i == len(all)-1; {
		case err == nil:
		case ok && f.again && (!last || j.run.Again):
			// Another list followed, or an operator wants another one.
		case ok && f.again && s.Tries < p.run.job.BackoffLimit:
			p.tries = s.Tries + 1
		default:
			return err
		}
	}
	p.sum.Files = p.run.result.filesDeleted() - before
	return nil
}

// followList follows a list that an earlier start recorded to its end. It is
// not sent again, because the files may have changed since.
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
