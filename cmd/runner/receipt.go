package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
)

// A receiptDocument is a receipt as it is printed, without its rows.
type receiptDocument struct {
	File   string `json:"file,omitempty"` // if it was read from one
	Run    int64  `json:"run"`
	Job    string `json:"job"`
	Key    string `json:"key"`
	TaskID string `json:"task_id"`
	// Seal is the end of the receipt; null while it is pending, because Globus
	// could not say yet what was copied.
	Seal *proof.Seal `json:"seal"`
	// Signature is what is known of the signature: checked, not checked or none.
	Signature string `json:"signature,omitempty"`
}

func (a *app) receiptCommand() *cobra.Command {
	var as, task string
	c := &cobra.Command{
		Use:   "receipt RUN",
		Short: "Show or export the receipts of a run: what was copied, file by file",
		Long: `Show or export the receipts of a run: what was copied, file by file.

Receipts are kept for jobs with receipts: true. The export as jsonl is the receipt
itself, which "runner receipt verify" checks; the other formats are derived from
it. Paths in checksum files and bags are relative to the deepest folder at the
destination that contains all copies.`,
		Example: `  runner receipt 12
  runner receipt 12 --as jsonl >run-12.jsonl
  runner receipt 12 --as sha256sum >SHA256SUMS`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.onReceipts(c.Context(), args[0], func(ctx context.Context, l *ledger.Ledger, run int64, kept []keptReceipt) error {
				if as == "" && task == "" {
					return a.showReceipts(kept)
				}
				one, err := chooseReceipt(kept, run, task)
				if err != nil {
					return err
				}
				if as == "" {
					return a.showReceipts([]keptReceipt{*one})
				}
				a.stderr.clear()
				return a.exportReceipt(ctx, l, one, as)
			})
		},
	}
	c.Flags().Var(oneOf(&as, "FORMAT", asJSONL, asCSV, asSHA256, asMD5, asBag), "as", "print the receipt as jsonl, csv, sha256sum, md5sum or bagit (a tar of the tag files)")
	c.Flags().StringVar(&task, "task", "", "the receipt of this task, if the run has several")
	c.AddCommand(a.receiptVerifyCommand(), a.receiptProveCommand())
	return c
}

// A keptReceipt is a receipt of the ledger with the task that it is about.
type keptReceipt struct {
	*ledger.Receipt
	task string
}

func (k *keptReceipt) seal() *proof.Seal {
	if k.Sealed.IsZero() {
		return nil
	}
	return account.SealOf(k.Receipt)
}

// onReceipts calls do with the receipts of the run that an argument names.
func (a *app) onReceipts(ctx context.Context, arg string, do func(ctx context.Context, l *ledger.Ledger, run int64, kept []keptReceipt) error) error {
	run, err := parseRun(arg)
	if err != nil {
		return err
	}
	return a.onRecords(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		kept, err := receiptsOf(ctx, l, run)
		if err != nil {
			return err
		}
		return do(ctx, l, run, kept)
	})
}

// receiptsOf returns the receipts of a run, those that are pending as well.
func receiptsOf(ctx context.Context, l *ledger.Ledger, run int64) ([]keptReceipt, error) {
	var kept []keptReceipt
	for _, pending := range []bool{false, true} {
		all, err := l.Receipts(ctx, ledger.ReceiptQuery{Run: run, Pending: pending})
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			k := keptReceipt{Receipt: r}
			if k.task, err = taskOf(ctx, l, r); err != nil {
				return nil, err
			}
			kept = append(kept, k)
		}
	}
	if len(kept) == 0 {
		return nil, whyNoReceipt(ctx, l, run)
	}
	return kept, nil
}

// taskOf returns the id of the task that a receipt is about; empty while the receipt is
// pending.
func taskOf(ctx context.Context, l *ledger.Ledger, r *ledger.Receipt) (string, error) {
	if r.Sealed.IsZero() {
		return "", nil
	}
	in, err := proof.NewReader(l.ReadText(ctx, r.ID, r.Text))
	if err != nil {
		return "", fmt.Errorf("read the receipt of run %d: %w", r.Run, err)
	}
	return in.Receipt.TaskID, nil
}

// whyNoReceipt returns the error that says why a run has no receipt.
func whyNoReceipt(ctx context.Context, l *ledger.Ledger, run int64) error {
	r, err := l.Run(ctx, run)
	switch {
	case err != nil:
		return noRun(run, err)
	case !r.State.Final():
		return usageError{fmt.Errorf("run %d of job %s has no receipt yet: it has not ended", run, r.Job)}
	case r.State != ledger.Succeeded:
		return usageError{fmt.Errorf("run %d of job %s has no receipt: it is %s, and only a task that succeeded has one; runner runs show %d says more", run, r.Job, r.State, run)}
	}
	copied, err := hasCopied(ctx, l, run)
	switch {
	case err != nil:
		return err
	case !copied:
		return usageError{fmt.Errorf("run %d of job %s has no receipt: it has copied nothing; runner runs show %d says what it did", run, r.Job, run)}
	}
	return usageError{fmt.Errorf("run %d of job %s has no receipt: only the transfers of a job with receipts: true, or whose files a prune may delete, have one", run, r.Job)}
}

// hasCopied reports whether a run has submitted a transfer.
func hasCopied(ctx context.Context, l *ledger.Ledger, run int64) (bool, error) {
	sent, err := l.Submissions(ctx, run)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(sent, func(s ledger.Submission) bool {
		var doc struct {
			Type string `json:"DATA_TYPE"`
		}
		return json.Unmarshal(s.Document, &doc) != nil || doc.Type == "transfer"
	}), nil
}

// chooseReceipt returns the receipt that is to be exported.
func chooseReceipt(kept []keptReceipt, run int64, task string) (*keptReceipt, error) {
	var tasks []string
	for i := range kept {
		if task != "" && kept[i].task == task || task == "" && len(kept) == 1 {
			return &kept[i], nil
		}
		tasks = append(tasks, kept[i].task)
	}
	if task != "" {
		return nil, usageError{fmt.Errorf("--task: run %d has no receipt of task %s; there are %s", run, task, someOf(tasks))}
	}
	return nil, usageError{fmt.Errorf("run %d has %d receipts: choose one with --task; there are %s", run, len(kept), someOf(tasks))}
}

func (a *app) showReceipts(kept []keptReceipt) error {
	var docs []receiptDocument
	var rows [][]string
	for _, k := range kept {
		seal := k.seal()
		doc := receiptDocument{Run: k.Run, Job: k.Job, Key: k.Key, TaskID: k.task, Seal: seal}
		if seal != nil {
			doc.Signature = signatureState(seal, false)
		}
		docs = append(docs, doc)
		row := []string{k.task, "pending", "", "", "", ""}
		if seal != nil {
			row = []string{
				k.task, strconv.FormatInt(seal.Number, 10), strconv.FormatInt(seal.Copied, 10), strconv.FormatInt(seal.Skipped, 10),
				doc.Signature, string(seal.Digest),
			}
		}
		rows = append(rows, row)
	}
	return a.print(newList(docs), func(w io.Writer) {
		table(w, []string{"TASK", "RECEIPT", "COPIED", "SKIPPED", "SIGNATURE", "DIGEST"}, rows)
	})
}
