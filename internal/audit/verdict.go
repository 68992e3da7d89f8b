package audit

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Verdict says what became of a file of a source.
type Verdict string

// The verdicts on files, and on what else is counted.
const (
	Lost      Verdict = "lost"      // has a receipt, but the destination has no copy, or one that no receipt lists; also if a prune deleted the file at the source
	Missing   Verdict = "missing"   // has no copy, or another task replaced it
	Changed   Verdict = "changed"   // since its receipt
	InFlight  Verdict = "in_flight" // a run that has not ended is to copy it
	Delivered Verdict = "delivered" // a receipt proves it
	Present   Verdict = "present"   // equal at the destination, without a proof
	Pruned    Verdict = "pruned"    // a prune deleted it, and the copy exists
	Excluded  Verdict = "excluded"  // by a filter rule; a folder with its content

	Vanished Verdict = "vanished" // a folder of the source that is gone with files that no prune deleted
	Unseen   Verdict = "unlisted" // a folder that cannot be listed
	Linked   Verdict = "link"     // a symbolic link
	Device   Verdict = "other"    // neither a file nor a folder nor a link
)

// Verdicts returns all verdicts, the gravest first.
func Verdicts() []Verdict {
	return []Verdict{Lost, Missing, Vanished, Unseen, Changed, InFlight, Present, Delivered, Pruned, Excluded, Linked, Device}
}

// Alarms reports whether a file may have no copy.
func (v Verdict) Alarms() bool { return v == Lost || v == Missing || v == Vanished || v == Unseen }

// Settled reports whether a file needs no attention: it is at the destination,
// or does not belong there.
func (v Verdict) Settled() bool {
	return v == Delivered || v == Present || v == Pruned || v == Linked || v == Device
}

// Sentence sums up the verdicts of an audit that alarm; jobs names the audited
// jobs. It is empty if there are none.
func Sentence(count map[Verdict]int64, jobs string) string {
	var parts []string
	for _, p := range []struct {
		verdict Verdict
		one     string
		many    string
	}{
		{Lost, "1 file was copied, but the copy is gone or changed", "%d files were copied, but the copies are gone or changed"},
		{Missing, "1 file is not at the destination", "%d files are not at the destination"},
		{Vanished, "1 folder of the source does not exist any more", "%d folders of the source do not exist any more"},
		{Unseen, "1 folder cannot be listed", "%d folders cannot be listed"},
	} {
		switch n := count[p.verdict]; n {
		case 0:
		case 1:
			parts = append(parts, p.one)
		default:
			parts = append(parts, fmt.Sprintf(p.many, n))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("audit of %s: %s", jobs, strings.Join(parts, ", "))
}

// A Finding is the verdict on one file.
type Finding struct {
	Verdict     Verdict
	From        string // collection id
	Source      string // whole path
	To          string // collection id
	Destination string // absolute path where the file belongs
	Size        int64  // bytes, at the source
	Run         int64  // the run of the receipt, or the run that is to copy the file; may be 0
	Why         string // empty if settled, unless the copy has another form of the name
	Gone        bool   // nothing is at the destination in its place
	Pruned      bool   // a prune has deleted it at the source
}

// A Flight is a document of a run that has not ended.
type Flight struct {
	Run int64
	Doc *transfer.Transfer
}

// An Inquiry audits the files of one or more sources.
type Inquiry struct {
	Found   *evidence.Evidence
	Flights []Flight
	// Later, unless nil, finds out which task wrote a copy that differs from
	// its receipt.
	Later Later

	most int // files held back; 0 means mostHeld
}

// Files lists both sides and yields the verdict on each file of the sources. If
// a file belongs to several destinations, the gravest verdict counts. An error
// is the last pair: a receipt was changed, ctx has ended, or a collection does
// not answer.
func (q *Inquiry) Files(ctx context.Context, globus tree.Globus) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		h := holder{inquiry: q}
		for f, err := range q.Found.Files(ctx, globus) {
			if err == nil {
				err = h.take(f)
			}
			if err != nil {
				yield(Finding{}, err)
				return
			}
			if h.full() && !h.release(ctx, yield) {
				return
			}
		}
		h.release(ctx, yield)
	}
}

// judge returns the gravest finding about the copies of a file.
func (q *Inquiry) judge(f *evidence.File, doubts map[*evidence.Copy]*doubt) (worst Finding, err error) {
	grave := Verdicts()
	for i := range f.Copies {
		c := &f.Copies[i]
		found, err := q.copied(f, c, doubts[c])
		if err != nil {
			return Finding{}, err
		}
		if i == 0 || slices.Index(grave, found.Verdict) < slices.Index(grave, worst.Verdict) {
			worst = found
		}
	}
	return worst, nil
}

// copied returns the finding on a copy of a file. d is the doubt about it, which must
// be settled, or nil.
func (q *Inquiry) copied(f *evidence.File, c *evidence.Copy, d *doubt) (Finding, error) {
	found := Finding{From: f.Source.Collection, Source: f.Path, To: c.At.Collection, Destination: c.Path, Size: f.State.Size, Gone: c.State == nil, Pruned: f.Pruned}
	if f.Folder {
		found.Size = 0
	}
	switch {
	case c.Reason == evidence.Vanished:
		found.Verdict, found.Why = Vanished, string(c.Reason)
		return found, nil
	case c.Err != nil:
		if err := unlisted(f.Path, c.Err); err != nil {
			return Finding{}, err
		}
		found.Verdict, found.Why = Unseen, c.Err.Error()
		return found, nil
	case c.Rule != nil:
		found.Verdict, found.Why = Excluded, fmt.Sprintf("is excluded by the rule %q", c.Rule.Name)
		return found, nil
	case c.Reason == evidence.Linked:
		found.Verdict, found.Size = Linked, 0
		return found, nil
	case c.Reason == evidence.Special:
		found.Verdict, found.Size = Device, 0
		return found, nil
	}
	if found.Verdict, found.Why = verdictOf(f.State, c); f.Pruned {
		found.Verdict, found.Why = OfPruned(c)
	}
	switch found.Verdict {
	case Delivered, Changed, Lost, Pruned:
		found.Run = c.By.Run
	}
	if found.Verdict == Present && c.Reason == evidence.Renamed {
		found.Why = string(c.Reason)
	}
	d.resolve(&found)
	if found.Verdict == Missing || found.Verdict == Changed {
		if run := q.inFlight(&found); run != 0 {
			found.Verdict, found.Run, found.Why = InFlight, run, fmt.Sprintf("is to be copied by run %d, which has not ended", run)
		}
	}
	return found, nil
}

// OfPruned judges a file that a prune has deleted at the source, by its copy. why
// is empty if the copy exists.
func OfPruned(c *evidence.Copy) (v Verdict, why string) {
	switch {
	case c.Err != nil:
		return Unseen, c.Err.Error()
	case c.State == nil:
		return Lost, "was deleted by a prune, and its copy is gone"
	case c.Reason == proof.OtherThere || c.Reason == proof.Replaced || !c.State.File:
		return Lost, "was deleted by a prune, and its copy is not the same any more"
	}
	return Pruned, ""
}

// verdictOf judges a file by what receipts say about its copy, or else by what
// both sides show.
func verdictOf(source proof.State, c *evidence.Copy) (v Verdict, why string) {
	there := c.State
	preserved := c.By != nil && c.By.Options.PreserveTimestamp
	switch c.Reason {
	case "":
		return Delivered, ""
	case proof.Since, proof.WhileCopied:
		switch {
		case there == nil:
			return Lost, string(proof.Gone)
		case !equal(source, *there, true):
			return Changed, string(c.Reason)
		}
		return Present, ""
	case proof.NotOurs: // different clocks say nothing about a copy of the same size
		if there == nil || !there.File || there.Size != source.Size {
			return Lost, string(c.Reason)
		}
		return Present, ""
	case proof.Replaced:
		return Lost, string(c.Reason)
	case proof.NotVerified, proof.Ambiguous, proof.Gone, proof.NeverThere, proof.OtherThere:
		if there == nil || !equal(source, *there, preserved) {
			return Lost, string(c.Reason)
		}
		return Present, ""
	}
	if there == nil || !equal(source, *there, preserved) {
		return Missing, missing(source, there)
	}
	return Present, ""
}

// equal reports whether both sides show the same file, as far as listings can:
// of the same size, and with the same time if copies keep it, or else not
// older.
func equal(source, there proof.State, preserved bool) bool {
	switch {
	case !there.File || source.Size != there.Size:
		return false
	case source.Modified.IsZero() || there.Modified.IsZero():
		return true
	case preserved:
		return source.Modified.Equal(there.Modified)
	}
	return !there.Modified.Before(source.Modified)
}

// missing says what exists in the place of a copy.
func missing(source proof.State, there *proof.State) string {
	switch {
	case there == nil:
		return "is not at the destination"
	case !there.File:
		return "has something that is not a file in its place"
	case there.Size != source.Size:
		return "has a file of another size in its place"
	case there.Modified.Before(source.Modified):
		return "has an older file in its place"
	}
	return "has a file of another time in its place"
}

// inFlight returns the run that is to copy a file, or 0.
func (q *Inquiry) inFlight(f *Finding) int64 {
	for _, flight := range q.Flights {
		if f.ItemOf(flight.Doc) != nil {
			return flight.Run
		}
	}
	return 0
}

// ItemOf returns the item of a transfer that copies the file to its destination, or nil.
func (f *Finding) ItemOf(doc *transfer.Transfer) *transfer.Item {
	if !strings.EqualFold(doc.SourceEndpoint, f.From) || !strings.EqualFold(doc.DestinationEndpoint, f.To) {
		return nil
	}
	for i := range doc.Items {
		item := &doc.Items[i]
		from, to := strings.TrimSuffix(item.SourcePath, "/"), strings.TrimSuffix(item.DestinationPath, "/")
		if path, ok := strings.CutPrefix(f.Source, from); ok && (path == "" || path[0] == '/') && f.Destination == to+path {
			return item
		}
	}
	return nil
}
