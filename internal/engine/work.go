package engine

import (
	"fmt"
	"io"
	"iter"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Work is one thing to do for an order: a folder to create or to share, files to
// prune, jobs to audit, a flow to start, or a document to submit.
type Work struct {
	Position jobs.Position
	Mkdir    *jobs.Mkdir
	Share    *jobs.Share
	Prune    *jobs.Prune
	Audit    *jobs.Audit
	Flow     *jobs.Flow
	Document transfer.Document // with its label, without submission id and deadline
	Unproven bool              // the document deletes files that are not proven to be elsewhere

	list *ledger.Submission // a list of a prune to follow; the job is no longer known
}

// A mistake is an error in a job or a manifest that is found only when the work of
// an occurrence is made.
type mistake struct{ error }

func (m mistake) Unwrap() error { return m.error }

// Means returns its meaning for package fault: somebody has to correct a file,
// unless it could not be opened for a temporary reason.
func (m mistake) Means() fault.Meaning {
	if fault.Transient(m.error) {
		return fault.Meaning{Kind: fault.Temporary}
	}
	return fault.Meaning{Kind: fault.Usage}
}

// Works returns what Run would do for an order: the steps of the job, one after
// the other, with their templates resolved, and a manifest in parts. It makes no
// request. An error is the last pair.
func (e *Engine) Works(o Order) iter.Seq2[Work, error] {
	return func(yield func(Work, error) bool) {
		steps, err := o.Job.Render(o.Key, o.At, o.Item)
		if err != nil {
			yield(Work{}, mistake{err})
			return
		}
		for i := range steps {
			var at jobs.Position
			if len(steps) > 1 {
				at.Step = i + 1
			}
			for work, err := range e.stepWorks(&steps[i], at) {
				if work.Document != nil {
					work.Document = clone(work.Document)
					work.Document.Head().Label = o.taskLabel(work.Position, 1)
				}
				if !yield(work, err) || err != nil {
					return
				}
			}
		}
	}
}

// stepWorks yields the works of a step.
func (e *Engine) stepWorks(s *jobs.Step, at jobs.Position) iter.Seq2[Work, error] {
	return func(yield func(Work, error) bool) {
		switch {
		case s.Audit != nil:
			yield(Work{Position: at, Audit: s.Audit}, nil)
		case s.Prune != nil:
			yield(Work{Position: at, Prune: s.Prune}, nil)
		case s.Mkdir != nil:
			yield(Work{Position: at, Mkdir: s.Mkdir}, nil)
		case s.Share != nil:
			yield(Work{Position: at, Share: s.Share}, nil)
		case s.Flow != nil:
			yield(Work{Position: at, Flow: s.Flow}, nil)
		case s.Manifest == "":
			yield(Work{Position: at, Document: s.Document(), Unproven: s.Unproven}, nil)
		default:
			for doc, err := range e.manifest(s) {
				if err != nil {
					yield(Work{}, mistake{fmt.Errorf("manifest %s: %w", s.Manifest, err)})
					return
				}
				at.Part++
				if !yield(Work{Position: at, Document: doc}, nil) {
					return
				}
			}
		}
	}
}

// manifest reads the manifest of a step and yields documents of limited length.
// The whole manifest is checked first, so that nothing is submitted if a line is
// wrong.
func (e *Engine) manifest(s *jobs.Step) iter.Seq2[transfer.Document, error] {
	return func(yield func(transfer.Document, error) bool) {
		open := func() (io.ReadCloser, error) { return e.open(s.Manifest) }
		if _, err := jobs.CheckItems(open, s.Transfer); err != nil {
			yield(nil, err)
			return
		}
		f, err := open()
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close() //nolint:errcheck // it was only read
		doc := *s.Transfer
		doc.Items = nil
		for item, err := range jobs.CheckedItems(f, s.Transfer) {
			if err != nil {
				yield(nil, err)
				return
			}
			if doc.Items = append(doc.Items, item); len(doc.Items) != s.ItemsPerTask {
				continue
			}
			if !yield(&doc, nil) {
				return
			}
			doc.Items = nil
		}
		if len(doc.Items) > 0 {
			yield(&doc, nil)
		}
	}
}

// taskLabel returns the label of the task for attempt n at a position.
func (o *Order) taskLabel(at jobs.Position, n int) string {
	if o.Label != "" {
		return o.Label
	}
	return jobs.Label(o.Job.Name, o.Key, at, n)
}

// clone returns a copy of doc with its own header, because several occurrences
// of a job may be at work at once.
func clone(doc transfer.Document) transfer.Document {
	if d, ok := doc.(*transfer.Delete); ok {
		return new(*d)
	}
	return new(*doc.(*transfer.Transfer))
}
