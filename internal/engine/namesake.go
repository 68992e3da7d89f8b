package engine

import (
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// All steps of a pipeline have the same key. If two of them have jobs of the same name and
// other paths, such as the legs of a matrix, the second one finds the run or the task of the
// first, and must not take it for its own: it would succeed without copying anything.

// mostCompared is how many copied files are compared with the paths of a document.
const mostCompared = 1000

// namesake returns why a task that has succeeded, and was found by its label or its
// submission id alone, is about other files than this part. It returns nil if it is not, or
// if that cannot be told.
func (p *part) namesake(ctx context.Context, t *transfer.Task) error {
	doc, ok := p.doc.(*transfer.Transfer)
	if !ok || !p.found && p.repeated == nil {
		return nil
	}
	var items []transfer.Item
	for at, its := range p.run.engine.itemsAt(p.run.order, t.RequestTime.Time) {
		if at == p.position {
			items = slices.Concat(its, doc.Items)
			break
		}
	}
	if items == nil {
		return nil
	}
	var last *transfer.SuccessfulTransfer
	seen := 0
	for f, err := range p.run.globus.SuccessfulTransfers(ctx, t.TaskID) {
		if err != nil || covers(items, f) {
			return nil // an error may last: Globus forgets the list
		}
		if last, seen = f, seen+1; seen == mostCompared {
			break
		}
	}
	if last == nil {
		return nil // nothing had to be copied
	}
	what := fmt.Sprintf("has copied other files, such as %s to %s", plain.Line(last.SourcePath), plain.Line(last.DestinationPath))
	if p.repeated != nil {
		return p.usedFor(t, what)
	}
	return &Failure{
		Kind: fault.Refused, TaskID: t.TaskID, state: ledger.Failed,
		Message: fmt.Sprintf("task %s already has the label of this occurrence, %q, but %s: %s", t.TaskID, t.Label, what, p.run.order.tellApart()),
	}
}

// taken returns the error of an order whose occurrence has a run already: a [*Taken], unless
// the run has succeeded with other paths.
func (e *Engine) taken(ctx context.Context, rec Recording, run *ledger.Run, o Order) error {
	if run.State != ledger.Succeeded || !o.Key.Due().IsZero() || o.Key.IsItem() {
		return &Taken{run}
	}
	all, err := rec.Ledger.Submissions(ctx, run.ID)
	if err != nil {
		return unusable(err)
	}
	sent := newestOf(all)
	for at, now := range e.itemsAt(o, run.Claimed) {
		s, ok := sent[at]
		if !ok || s.Flow != "" {
			continue
		}
		doc, err := decode(s)
		if err != nil {
			return err
		}
		if had, ok := doc.(*transfer.Transfer); ok && !slices.EqualFunc(had.Items, now, samePaths) {
			return &Failure{Kind: fault.Refused, Message: fmt.Sprintf(
				"run %d has done occurrence %s of job %s, but copied %s to %s, and this start is to copy %s to %s: %s", run.ID, o.Key, o.Job.Name,
				plain.Line(had.Items[0].SourcePath), plain.Line(had.Items[0].DestinationPath), plain.Line(now[0].SourcePath), plain.Line(now[0].DestinationPath), o.tellApart())}
		}
	}
	return &Taken{run}
}

// tellApart says how a step of a pipeline gets an occurrence of its own.
func (o *Order) tellApart() string {
	return fmt.Sprintf("if several steps of a pipeline have a job %s, or the job was changed, give it another name, or set another RUNNER_OCCURRENCE than %s", o.Job.Name, o.Key)
}

// itemsAt yields the items that an order has, by their positions, if it began at that time,
// which their paths may contain. It leaves out those whose paths contain the hour, and all
// with a date soon after midnight, as nobody knows exactly when an earlier start rendered
// them.
func (e *Engine) itemsAt(o Order, began time.Time) iter.Seq2[jobs.Position, []transfer.Item] {
	return func(yield func(jobs.Position, []transfer.Item) bool) {
		shortlyBefore, stop1 := iter.Pull2(e.transfersAt(o, began.Add(-mostRendering)))
		defer stop1()
		hourBefore, stop2 := iter.Pull2(e.transfersAt(o, began.Add(-time.Hour)))
		defer stop2()
		hourAfter, stop3 := iter.Pull2(e.transfersAt(o, began.Add(time.Hour)))
		defer stop3()
		for at, items := range e.transfersAt(o, began) {
			_, first, ok1 := shortlyBefore()
			_, before, ok2 := hourBefore()
			_, after, ok3 := hourAfter()
			if !ok1 || !ok2 || !ok3 {
				return
			}
			// A date is the same an hour before or an hour after, and an hour is not.
			if len(items) == 0 || !slices.EqualFunc(items, first, samePaths) ||
				!slices.EqualFunc(items, before, samePaths) && !slices.EqualFunc(items, after, samePaths) {
				continue
			}
			if !yield(at, items) {
				return
			}
		}
	}
}

// mostRendering is the longest time for which a start may have rendered its paths before it
// was recorded, or its task was accepted.
const mostRendering = 5 * time.Minute

// transfersAt yields the items of each work of an order that begins at a time, which are
// none if the work is not a transfer. It ends at the first that cannot be rendered.
func (e *Engine) transfersAt(o Order, began time.Time) iter.Seq2[jobs.Position, []transfer.Item] {
	o.At = began
	return func(yield func(jobs.Position, []transfer.Item) bool) {
		for work, err := range e.Works(o) {
			if err != nil {
				return
			}
			var items []transfer.Item
			if t, ok := work.Document.(*transfer.Transfer); ok {
				items = t.Items
			}
			if !yield(work.Position, items) {
				return
			}
		}
	}
}

func samePaths(a, b transfer.Item) bool {
	return a.SourcePath == b.SourcePath && a.DestinationPath == b.DestinationPath
}

// covers reports whether a file was copied for one of the items.
func covers(items []transfer.Item, f *transfer.SuccessfulTransfer) bool {
	return slices.ContainsFunc(items, func(i transfer.Item) bool {
		return isBelow(f.SourcePath, i.SourcePath) && isBelow(f.DestinationPath, i.DestinationPath)
	})
}

// isBelow reports whether a path is top or below it, as far as they tell: what is relative to
// a home folder may be anywhere.
func isBelow(file, top string) bool {
	if !strings.HasPrefix(file, "/") || !strings.HasPrefix(top, "/") || strings.HasPrefix(top, "/~") {
		return true
	}
	file, top = path.Clean(file), path.Clean(top)
	return top == "/" || file == top || strings.HasPrefix(file, top+"/")
}
