package engine

import (
	"fmt"
	"iter"
	"slices"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A run that goes on in another start, or after a retry, finds its steps in the jobs file by
// their numbers. If the file has changed meanwhile, the file's step of a number may not be
// what the run has done: the copy of one folder must not stand for that of another one, which
// a later step then deletes.

// works returns what is to be done for the run. If the jobs file has changed so that the run
// cannot go on with it, these are the tasks that it has submitted, and at last the failure
// that says so.
func (r *run) works() iter.Seq2[Work, error] {
	switch j := r.journal; {
	case j != nil && r.job.Steps == nil:
		return j.recordedWorks(isSent, r.removed())
	case j != nil && len(j.sent) > 0:
		if f := r.changed(); f != nil {
			return j.recordedWorks(r.stands, f)
		}
	}
	return r.engine.Works(r.order)
}

// isSent reports whether Globus may have a submission.
func isSent(s ledger.Submission) bool { return s.Status != statusRefused }

// removed returns why the run of a job that is no longer in the jobs file is not done with
// what it has submitted; nil if it is, because the job had only one document.
func (r *run) removed() *Failure {
	if _, single := r.journal.sent[jobs.Position{}]; single && len(r.journal.sent) == 1 {
		return nil
	}
	return &Failure{
		Kind: fault.Canceled, state: ledger.Canceled,
		Message: "the job is no longer in the jobs file: its tasks were followed to their end, but what would have come next is not known",
	}
}

// changed returns why the run cannot go on with the job as it is now: a step that it has
// done, or may still be doing, is another one now, and some step is left. It returns nil if
// the run can go on.
func (r *run) changed() *Failure {
	j := r.journal
	matched := map[jobs.Position]bool{}
	var other *ledger.Submission
	left := false
	for work, err := range r.engine.Works(r.order) {
		if err != nil {
			return nil // the run meets the same error
		}
		if work.Prune != nil {
			left = true // what it has deleted so far is proven, whatever has changed
			for _, s := range j.lists(work.Position.Step) {
				matched[positionOf(s)] = true
			}
			if s, ok := j.newest(work.Position); !ok || s.Once {
				continue
			}
		}
		s, ok := j.newest(work.Position)
		if !ok || !r.stands(s) {
			made := (work.Mkdir != nil || work.Share != nil) && j.past(work.Position)
			left = left || !made
			continue
		}
		matched[work.Position] = true
		if other == nil && !isWorkOf(s, work) {
			other = &s
		}
	}
	for at, s := range j.sent {
		if other == nil && !matched[at] && r.stands(s) {
			other = &s
		}
	}
	if other == nil || !left {
		return nil
	}
	return &Failure{
		Kind: fault.Usage, state: ledger.Failed,
		Message: fmt.Sprintf("the jobs file has changed since run %d began: the run %s, which is not what the job does there now, so it does not go on with the steps that are left; let runner run %s do all of them as they are now, or put the file back and let runner runs retry %d go on",
			j.run.ID, whatItDid(*other), r.job.Name, j.run.ID),
	}
}

// stands reports whether what was submitted counts as done, or may still be at work: no
// other attempt takes its place.
func (r *run) stands(s ledger.Submission) bool {
	run := r.journal.run
	switch {
	case s.Status == statusRefused || s.Status == string(transfer.Failed):
		return false
	case run.Again && run.Step == s.Step && s.SkippedErrors > 0:
		return r.job.AllowSkipped // else it is done again
	}
	return true
}

// isWorkOf reports whether a submission is what a job does at its position: it has the same
// collections and paths, and leaves out the same files.
func isWorkOf(s ledger.Submission, work Work) bool {
	if work.Flow != nil || s.Flow != "" {
		return work.Flow != nil && work.Flow.ID == s.Flow
	}
	if s.Once || work.Document == nil {
		return false
	}
	had, err := decode(s)
	if err != nil || collections(had) != collections(work.Document) {
		return false
	}
	switch now := work.Document.(type) {
	case *transfer.Transfer:
		had, ok := had.(*transfer.Transfer)
		return ok && slices.EqualFunc(had.Items, now.Items, samePaths) && slices.Equal(had.FilterRules, now.FilterRules) &&
			had.DeleteDestinationExtra == now.DeleteDestinationExtra
	case *transfer.Delete:
		had, ok := had.(*transfer.Delete)
		return ok && slices.Equal(had.Items, now.Items)
	}
	return false
}

// whatItDid says what was submitted, such as "has copied /a/ to /b/ in step 1".
func whatItDid(s ledger.Submission) string {
	what := "has done something else"
	switch {
	case s.Flow != "":
		what = "has started flow " + s.Flow
	case s.Once:
		what = "has pruned"
	default:
		switch doc, _ := decode(s); doc := doc.(type) { // it was read before
		case *transfer.Transfer:
			what = fmt.Sprintf("has copied %s to %s", plain.Line(doc.Items[0].SourcePath), plain.Line(doc.Items[0].DestinationPath))
		case *transfer.Delete:
			what = "has deleted " + plain.Line(doc.Items[0].Path)
		}
	}
	if s.Step > 0 {
		what += fmt.Sprintf(" in step %d", s.Step)
	}
	return what
}
