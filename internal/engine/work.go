package engine

import (
	"fmt"
	"io"
	"iter"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Work is one thing to be done for an order: a folder to make, or a document
// to submit.
type Work struct {
	Place    jobs.Place
	Mkdir    *jobs.Mkdir
	Document transfer.Document // with its label, without submission id and deadline
}

// Works returns what is to be done for the order, in its order: the steps of
// the job with their templates resolved, a manifest in parts. It asks nobody.
// An error is the last pair.
func (r *run) Works() iter.Seq2[Work, error] {
	return func(yield func(Work, error) bool) {
		steps, err := r.Job.Render(r.Key, r.At)
		if err != nil {
			yield(Work{}, err)
			return
		}
		for i := range steps {
			var at jobs.Place
			if len(steps) > 1 {
				at.Step = i + 1
			}
			for work, err := range r.step(&steps[i], at) {
				if !yield(work, err) || err != nil {
					return
				}
			}
		}
	}
}

// Works returns what Run would do for an order.
func (e *Engine) Works(o Order) iter.Seq2[Work, error] { return e.begin(o).Works() }

func (r *run) step(s *jobs.Step, at jobs.Place) iter.Seq2[Work, error] {
	return func(yield func(Work, error) bool) {
		switch {
		case s.Mkdir != nil:
			yield(Work{Place: at, Mkdir: s.Mkdir}, nil)
		case s.Manifest != "":
			for doc, err := range r.parts(s) {
				at.Part++
				if !yield(r.work(at, doc), err) || err != nil {
					return
				}
			}
		default:
			yield(r.work(at, s.Document()), nil)
		}
	}
}

func (r *run) work(at jobs.Place, doc transfer.Document) Work {
	if doc == nil {
		return Work{}
	}
	doc = own(doc)
	doc.Head().Label = r.label(at, 1)
	return Work{Place: at, Document: doc}
}

// label is the label of the task that does attempt n at a place.
func (o *Order) label(at jobs.Place, n int) string {
	if o.Label != "" {
		return o.Label
	}
	return jobs.Label(o.Job.Name, o.Key, at, n)
}

// own returns a copy of doc with a header of its own, because a job may have
// several occurrences at once.
func own(doc transfer.Document) transfer.Document {
	if d, ok := doc.(*transfer.Delete); ok {
		return new(*d)
	}
	return new(*doc.(*transfer.Transfer))
}

// parts reads a manifest and returns a document for every so many of its lines.
// The whole manifest is checked first, so that a wrong line submits nothing.
func (r *run) parts(s *jobs.Step) iter.Seq2[transfer.Document, error] {
	return func(yield func(transfer.Document, error) bool) {
		var items []transfer.Item
		flush := func() bool {
			doc := *s.Transfer
			doc.Items, items = items, nil
			return yield(&doc, nil)
		}
		err := r.checkManifest(s)
		if err != nil {
			yield(nil, err)
			return
		}
		f, err := r.open(s.Manifest)
		if err != nil {
			yield(nil, fmt.Errorf("manifest %s: %w", s.Manifest, err))
			return
		}
		defer f.Close() //nolint:errcheck // it was only read
		for item, err := range jobs.CheckedItems(f, s.Transfer) {
			if err != nil {
				yield(nil, fmt.Errorf("manifest %s: %w", s.Manifest, err))
				return
			}
			if items = append(items, item); len(items) == s.ItemsPerTask && !flush() {
				return
			}
		}
		if len(items) > 0 {
			flush()
		}
	}
}

// checkManifest reads the manifest of a step from beginning to end.
func (r *run) checkManifest(s *jobs.Step) error {
	open := func() (io.ReadCloser, error) { return r.open(s.Manifest) }
	if _, err := jobs.CheckItems(open, s.Transfer); err != nil {
		return fmt.Errorf("manifest %s: %w", s.Manifest, err)
	}
	return nil
}
