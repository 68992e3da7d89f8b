package main

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/proof"
)

func (a *app) receiptVerifyCommand() *cobra.Command {
	var keyFiles []string
	c := &cobra.Command{
		Use:   "verify FILE…",
		Short: "Check receipts that were exported as jsonl: nothing was changed, removed, added or moved",
		Long: `Check that nothing was changed, removed, added or moved in receipts that were
exported as jsonl. Neither the ledger nor an account is needed. - is standard
input.

Without --key, this detects only accidental changes: a person who changes a receipt
on purpose can also write a new digest. A signature reveals that, too. Each receipt
must be signed by one of the keys. If several receipts are given, those with
consecutive numbers must follow each other.`,
		Example: `  runner receipt verify run-12.jsonl
  runner receipt verify --key receipts.pub run-12.jsonl run-13.jsonl
  runner receipt verify --key old.pub --key new.pub run-*.jsonl`,
		Args: arguments(1, 100_000),
		RunE: func(_ *cobra.Command, args []string) error {
			keys, err := publicKeys(keyFiles)
			if err != nil {
				return usageError{fmt.Errorf("--key: %w", err)}
			}
			var docs []receiptDocument
			var problems []error
			for _, file := range args {
				doc, err := a.verifyReceipt(file, keys)
				if err != nil {
					problems = append(problems, err)
					continue
				}
				docs = append(docs, *doc)
			}
			problems = append(problems, checkChain(docs)...)
			err = a.print(newList(docs), func(w io.Writer) {
				for _, d := range docs {
					fmt.Fprintf(w, "%s: ok: receipt %d, job %s, run %d, task %s: %s; %s\n",
						d.File, d.Seal.Number, d.Job, d.Run, d.TaskID, d.Seal.Counts, signatureText(d.Signature))
				}
			})
			switch {
			case len(problems) == 0:
				return err
			case slices.ContainsFunc(problems, func(p error) bool { return !isUsage(p) }):
				return statusError{errors.Join(append(problems, err)...), exitFailed}
			}
			return usageError{errors.Join(append(problems, err)...)}
		},
	}
	c.Flags().StringArrayVar(&keyFiles, "key", nil, "file of a public key (PEM), or of several; every receipt must be signed by one of them")
	return c
}

func (a *app) verifyReceipt(file string, keys []ed25519.PublicKey) (*receiptDocument, error) {
	in, name := a.inputs.stdin, "standard input"
	if file != "-" {
		f, err := os.Open(file)
		if run, number := parseRun(file); number == nil && errors.Is(err, fs.ErrNotExist) {
			return nil, usageError{fmt.Errorf("%w; verify wants the file of a receipt: runner receipt %d --as jsonl >run-%d.jsonl writes that of run %d", err, run, run, run)}
		}
		if err != nil {
			return nil, usageError{err}
		}
		defer f.Close() //nolint:errcheck // it was only read
		in, name = f, file
	}
	head, seal, err := proof.Verify(in, keys...)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		if _, unread := errors.AsType[*fs.PathError](err); unread || errors.Is(err, proof.ErrNotReceipt) {
			err = usageError{err}
		}
		return nil, err
	}
	return &receiptDocument{
		File: name, Run: head.Run, Job: head.Job, Key: head.Key, TaskID: head.TaskID, Seal: seal, Signature: signatureState(seal, len(keys) > 0),
	}, nil
}

// checkChain returns an error for each receipt that does not follow the one
// with the number before it.
func checkChain(docs []receiptDocument) (problems []error) {
	sorted := slices.Clone(docs)
	slices.SortStableFunc(sorted, func(a, b receiptDocument) int { return cmp.Compare(a.Seal.Number, b.Seal.Number) })
	for i := 1; i < len(sorted); i++ {
		before, after := sorted[i-1].Seal, sorted[i].Seal
		first, second := sorted[i-1].File, sorted[i].File
		switch {
		case after.Number == before.Number && after.Digest != before.Digest:
			problems = append(problems, fmt.Errorf("%s and %s are different receipts with the number %d: they are from two ledgers, or one was rewritten", first, second, after.Number))
		case after.Number == before.Number+1 && after.Previous != before.Digest:
			problems = append(problems, fmt.Errorf("%s does not follow %s: they are from two ledgers, or one was rewritten", second, first))
		}
	}
	return problems
}

// The states of a signature.
const (
	unsigned  = "none"
	unchecked = "not checked"
	checked   = "checked"
)

func signatureState(s *proof.Seal, hasKey bool) string {
	switch {
	case s.Signature == "":
		return unsigned
	case !hasKey:
		return unchecked
	}
	return checked
}

// signatureText says in words what state a signature is in.
func signatureText(state string) string {
	return map[string]string{unsigned: "not signed", unchecked: "signed, not checked (--key)", checked: "signed by the key"}[state]
}
