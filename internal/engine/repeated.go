package engine

import (
	"context"
	"fmt"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/transfer"
)

// Globus starts one task for a submission id, and does not compare what is sent under it
// later. If somebody uses an id for two documents, the second one is not done, and the task
// of the first one must not be reported as its own.

// repeats sees whether the submission id of the order has started a task before. If that is
// about something else than this part, it returns the failure; otherwise it keeps the task.
// Only the end of the task tells which paths it has copied, see [part.namesake].
func (p *part) repeats(ctx context.Context, sent *transfer.Submitted) error {
	if p.submissionID != p.run.order.SubmissionID || !sent.Duplicate() {
		return nil
	}
	whole, cancel := beyond(ctx, grace) // as the submission
	defer cancel()
	t, err := p.run.globus.Task(whole, sent.TaskID)
	if gone(err) {
		return nil // Globus has accepted it a moment ago, which not all of its servers know
	}
	if err != nil {
		return fmt.Errorf("look at task %s, which submission id %s has started: %w", sent.TaskID, p.submissionID, err)
	}
	if what := p.unlike(t); what != "" {
		return p.usedFor(t, what)
	}
	p.repeated = t
	return nil
}

// unlike says in what a task is not what this part sends; empty if it may be the same.
func (p *part) unlike(t *transfer.Task) string {
	_, deletes := p.doc.(*transfer.Delete)
	switch {
	case deletes && t.Type != "DELETE":
		return "is a transfer"
	case !deletes && t.Type == "DELETE":
		return "is a delete"
	case collections(p.doc) != taskCollections(t):
		return "is about other collections"
	case t.Label != p.label():
		return fmt.Sprintf("has the label %q and not %q", plain.Line(t.Label), p.label())
	}
	return ""
}

// usedFor is the failure of an order whose submission id has started another task.
func (p *part) usedFor(t *transfer.Task, what string) *Failure {
	return &Failure{
		Kind: fault.Usage, TaskID: t.TaskID, state: ledger.Failed,
		Message: fmt.Sprintf("nothing was submitted: submission id %s has started task %s before, which %s; a submission of its own needs an id of its own, "+
			"which runner task generate-submission-id gets", p.submissionID, t.TaskID, what),
	}
}
