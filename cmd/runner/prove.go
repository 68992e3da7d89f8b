package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

// A proofDocument says how many files of a source are proven to be at the
// destination.
type proofDocument struct {
	Run       int64            `json:"run"`
	Job       string           `json:"job"`
	TaskID    string           `json:"task_id"`
	Proven    int64            `json:"proven"`
	NotProven map[string]int64 `json:"not_proven"` // by reason
	Paths     []provenPath     `json:"paths"`      // those that are not proven, up to --limit
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
		Long: `Compare a receipt with both sides now: which files are proven to be at the destination.

Each file that the source has now is proven, or there is a reason why it is not.
Nothing is changed. Exit status 3 if a file is not proven.`,
		Example: `  runner receipt prove 12`,
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			run, err := parseRun(args[0])
			if err != nil {
				return err
			}
			return a.onLedger(c.Context(), func(ctx context.Context, l *ledger.Ledger) error {
				kept, err := receiptsOf(ctx, l, run)
				if err != nil {
					return err
				}
				one, err := chooseReceipt(kept, run, task)
				if err != nil {
					return err
				}
				if err := one.whole(); err != nil {
					return err
				}
				open := func() (*proof.Reader, error) { return account.Open(ctx, l, one.Receipt) }
				globus, err := a.connect(wiring{})
				if err != nil {
					return err
				}
				return a.prove(ctx, globus.transfer, one, open, limit)
			})
		},
	}
	c.Flags().StringVar(&task, "task", "", "the receipt of this task, if the run has several")
	c.Flags().IntVar(&limit, "limit", 20, "how many files that are not proven to print")
	return c
}

func (a *app) prove(ctx context.Context, globus *transfer.Client, k *keptReceipt, open proof.Open, limit int) error {
	found, err := evidence.Gather([]proof.Open{open}, evidence.Options{})
	if err != nil {
		return fmt.Errorf("read the receipt of run %d: %w", k.Run, err)
	}
	doc := proofDocument{Run: k.Run, Job: k.Job, TaskID: k.task, NotProven: map[string]int64{}, Paths: []provenPath{}}
	not := int64(0)
	for f, err := range found.Files(ctx, globus) {
		if err != nil {
			return fmt.Errorf("compare the receipt of run %d with what is there: %w", k.Run, err)
		}
		switch reason := f.Reason(); reason {
		case "":
			doc.Proven++
		case evidence.Excluded: // nobody wanted it to be copied
		default:
			not++
			doc.NotProven[string(reason)]++
			if len(doc.Paths) < limit {
				doc.Paths = append(doc.Paths, provenPath{f.Path, string(reason)})
			}
		}
	}
	err = a.print(doc, func(w io.Writer) {
		fmt.Fprintf(w, "%d files at the source are proven to be at the destination, %d are not\n", doc.Proven, not)
		for _, reason := range slices.Sorted(maps.Keys(doc.NotProven)) {
			fmt.Fprintf(w, "  %d: %s\n", doc.NotProven[reason], reason)
		}
		var rows [][]string
		for _, p := range doc.Paths {
			rows = append(rows, []string{p.Path, p.Reason})
		}
		if len(rows) > 0 {
			table(w, []string{"PATH", "WHY IT IS NOT PROVEN"}, rows)
		}
		if more := not - int64(len(rows)); more > 0 && len(rows) > 0 {
			fmt.Fprintf(w, "and %d more: --limit %d prints them\n", more, not)
		}
	})
	if err == nil && not > 0 {
		return statusError{fmt.Errorf("%d files of run %d are not proven to be at the destination", not, k.Run), exitIncomplete}
	}
	return err
}

// whole returns an error if the receipt is pending.
func (k *keptReceipt) whole() error {
	if !k.Sealed.IsZero() {
		return nil
	}
	return statusError{fmt.Errorf("the receipt of run %d is pending: Globus could not say yet what was copied; runner serve, or the next run of job %s, asks again", k.Run, k.Job), exitTemporary}
}
