package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/transfer"
)

// A proofDocument says how many files of a source are proven to be at the
// destination.
type proofDocument struct {
	Run       int64            `json:"run"`
	Job       string           `json:"job"`
	TaskID    string           `json:"task_id"`
	Proven    int64            `json:"proven"`
	Pruned    int64            `json:"pruned"`     // files that a prune has deleted, and whose copies are there
	NotProven map[string]int64 `json:"not_proven"` // by reason
	NotJudged map[string]int64 `json:"not_judged"` // what is not a file, or was not to be copied, by reason
	Paths     []provenPath     `json:"paths"`      // those that are not proven or not judged, up to --limit
	lost      int64            // pruned files whose copies are not proven now; NotProven has them too
}

type provenPath struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

func (a *app) receiptProveCommand() *cobra.Command {
	var task string
	var limit int
	c := &cobra.Command{
		Use:   "prove RUN",
		Short: "Compare a receipt with both sides now: which files are proven to be at the destination",
		Long: `Compare a receipt with both sides as they are now, and say which files are proven to
be at the destination.

Every file that the source has now is either proven, or there is a reason why it is
not. A file that a prune has deleted is looked for at the destination. Nothing is
changed. The exit status is 3 if a file is not proven, or if the copy of a pruned
file is gone.`,
		Example: `  runner receipt prove 12`,
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.onReceipts(c.Context(), args[0], func(ctx context.Context, l *ledger.Ledger, run int64, kept []keptReceipt) error {
				one, err := chooseReceipt(kept, run, task)
				if err != nil {
					return err
				}
				if err := one.whole(); err != nil {
					return err
				}
				globus, err := a.connect(wiring{})
				if err != nil {
					return err
				}
				return a.prove(ctx, globus.transfer, l, one, limit)
			})
		},
	}
	c.Flags().StringVar(&task, "task", "", "the receipt of this task, if the run has several")
	c.Flags().IntVar(&limit, "limit", 20, "how many paths that are not proven to print")
	return c
}

func (a *app) prove(ctx context.Context, globus *transfer.Client, l *ledger.Ledger, k *keptReceipt, limit int) error {
	deletions := evidence.NewDeletions()
	if err := engine.AddPruned(ctx, l, deletions); err != nil {
		return err
	}
	kept := []*ledger.Receipt{k.Receipt}
	found, err := evidence.Gather(account.Opens(ctx, l, kept), evidence.Options{Deletions: deletions, Others: account.Others(ctx, l, kept)})
	if err != nil {
		return fmt.Errorf("read the receipt of run %d: %w", k.Run, err)
	}
	doc := &proofDocument{
		Run: k.Run, Job: k.Job, TaskID: k.task,
		NotProven: map[string]int64{}, NotJudged: map[string]int64{}, Paths: []provenPath{},
	}
	not, listed := int64(0), int64(0)
	for f, err := range found.Files(ctx, globus) {
		if err != nil {
			return fmt.Errorf("compare the receipt of run %d with what is there: %w", k.Run, err)
		}
		reason, judged := doc.take(f)
		if reason == "" {
			continue
		}
		if listed++; judged {
			not++
			doc.NotProven[reason]++
		} else {
			doc.NotJudged[reason]++
		}
		if len(doc.Paths) < limit {
			doc.Paths = append(doc.Paths, provenPath{f.Path, reason})
		}
	}
	if err := a.print(doc, func(w io.Writer) { doc.text(w, not, listed) }); err != nil {
		return err
	}
	if not == 0 {
		return nil
	}
	return statusError{fmt.Errorf("%s of run %d %s not proven to be at the destination", plain.Count(not, "file"), k.Run, are(not)), exitIncomplete}
}

// take counts a file that is proven. Of any other it returns why it is not, and
// whether anybody wants it to be.
func (d *proofDocument) take(f *evidence.File) (reason string, judged bool) {
	switch why := f.Reason(); {
	case f.Pruned:
		verdict, why := audit.OfPruned(&f.Copies[0])
		if verdict == audit.Pruned {
			d.Pruned++
		} else {
			d.lost++
		}
		return why, true
	case why == "":
		d.Proven++
		return "", true
	case why == evidence.Vanished: // its files are not there now
		return "", false
	default:
		return string(why), why != evidence.Linked && why != evidence.Special && why != evidence.Excluded
	}
}

// text prints the numbers and the first paths for people; not is how many files
// are not proven, and listed how many paths there are.
func (d *proofDocument) text(w io.Writer, not, listed int64) {
	there := not - d.lost
	switch {
	case d.Proven > 0 || there > 0:
		fmt.Fprintf(w, "%s at the source %s proven to be at the destination, %d %s not\n", plain.Count(d.Proven, "file"), are(d.Proven), there, are(there))
	case d.Pruned == 0 && d.lost == 0:
		fmt.Fprintln(w, "the source has no files now that could be proven")
	}
	counted(w, d.lost, "file was pruned after it was proven, but its copy is not proven now",
		"files were pruned after they were proven, but their copies are not proven now")
	counts(w, d.NotProven)
	counted(w, d.Pruned, "file was pruned after it was proven, and its copy is there",
		"files were pruned after they were proven, and their copies are there")
	if len(d.NotJudged) > 0 {
		fmt.Fprintln(w, "not judged:")
		counts(w, d.NotJudged)
	}
	var rows [][]string
	for _, p := range d.Paths {
		rows = append(rows, []string{p.Path, p.Reason})
	}
	if len(rows) == 0 {
		return
	}
	table(w, []string{"PATH", "WHY IT IS NOT PROVEN"}, rows)
	if more := listed - int64(len(rows)); more > 0 {
		fmt.Fprintf(w, "and %d more: --limit %d prints them\n", more, listed)
	}
}
