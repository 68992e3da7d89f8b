package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
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

// The formats of an export.
const (
	asJSONL  = "jsonl"
	asCSV    = "csv"
	asSHA256 = "sha256sum"
	asMD5    = "md5sum"
	asBag    = "bagit"
)

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
			run, err := parseRun(args[0])
			if err != nil {
				return err
			}
			return a.onRecords(c.Context(), func(ctx context.Context, l *ledger.Ledger) error {
				kept, err := receiptsOf(ctx, l, run)
				if err != nil {
					return err
				}
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
			if !pending {
				in, err := proof.NewReader(l.ReadText(ctx, r.ID, r.Text))
				if err != nil {
					return nil, fmt.Errorf("read the receipt of run %d: %w", run, err)
				}
				k.task = in.Receipt.TaskID
			}
			kept = append(kept, k)
		}
	}
	if len(kept) > 0 {
		return kept, nil
	}
	r, err := l.Run(ctx, run)
	switch {
	case err != nil:
		return nil, noRun(run, err)
	case !r.State.Final():
		return nil, usageError{fmt.Errorf("run %d of job %s has no receipt yet: it has not ended", run, r.Job)}
	case r.State != ledger.Succeeded:
		return nil, usageError{fmt.Errorf("run %d of job %s has no receipt: it is %s, and only a task that succeeded has one; runner runs show %d says more", run, r.Job, r.State, run)}
	}
	copied, err := hasCopied(ctx, l, run)
	switch {
	case err != nil:
		return nil, err
	case !copied:
		return nil, usageError{fmt.Errorf("run %d of job %s has no receipt: it has copied nothing; runner runs show %d says what it did", run, r.Job, run)}
	}
	return nil, usageError{fmt.Errorf("run %d of job %s has no receipt: only the transfers of a job with receipts: true, or whose files a prune may delete, have one", run, r.Job)}
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
			doc.Signature = signatureState(seal, nil)
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

// exportReceipt writes a receipt to standard output as it is read.
func (a *app) exportReceipt(ctx context.Context, l *ledger.Ledger, k *keptReceipt, as string) error {
	err := k.whole()
	if err != nil {
		return err
	}
	open := func() (*proof.Reader, error) { return account.Open(ctx, l, k.Receipt) }
	switch as {
	case asJSONL:
		var text io.Reader
		if text, err = account.Text(ctx, l, k.Receipt); err == nil {
			_, err = io.Copy(a.stdout, text)
		}
	case asCSV:
		var r *proof.Reader
		if r, err = open(); err == nil {
			err = proof.WriteCSV(a.stdout, r)
		}
	case asBag:
		err = proof.WriteBag(a.stdout, open)
	default:
		if err = proof.WriteSums(a.stdout, open, strings.TrimSuffix(as, "sum")); err == nil {
			err = a.sayWhereToCheck(open, as)
		}
	}
	if err == nil {
		return nil
	}
	advice := ""
	if e, ok := errors.AsType[*proof.ChecksumError](err); ok && (e.Only+"sum" == asMD5 || e.Only+"sum" == asSHA256) {
		advice = "; use --as " + e.Only + "sum"
	}
	return statusError{fmt.Errorf("export the receipt of run %d: %w%s", k.Run, err, advice), exitFailed}
}

// sayWhereToCheck says on standard error to which folder the paths of a checksum
// list are relative.
func (a *app) sayWhereToCheck(open func() (*proof.Reader, error), as string) error {
	in, err := open()
	if err != nil {
		return err
	}
	folder, err := proof.Below(open)
	if err == nil {
		fmt.Fprintf(a.stderr, "check it in the folder %s of collection %s: %s -c FILE\n", plain.Line(folder), plain.Line(in.Receipt.Destination), as)
	}
	return err
}

func (a *app) receiptVerifyCommand() *cobra.Command {
	var keyFile string
	c := &cobra.Command{
		Use:   "verify FILE…",
		Short: "Check receipts that were exported as jsonl: nothing was changed, removed, added or moved",
		Long: `Check that nothing was changed, removed, added or moved in receipts that were
exported as jsonl. Neither the ledger nor an account is needed. - is standard
input.

Without --key, this detects only accidental changes: a person who changes a receipt
on purpose can also write a new digest. A signature reveals that, too. If several
receipts are given, those with consecutive numbers must follow each other.`,
		Example: `  runner receipt verify run-12.jsonl
  runner receipt verify --key receipts.pub run-12.jsonl run-13.jsonl`,
		Args: arguments(1, 100_000),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := publicKey(keyFile)
			if err != nil {
				return usageError{fmt.Errorf("--key: %w", err)}
			}
			var docs []receiptDocument
			var problems []error
			for _, file := range args {
				doc, err := a.verifyReceipt(file, key)
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
	c.Flags().StringVar(&keyFile, "key", "", "file of the public key (PEM) by which every receipt must be signed")
	return c
}

func (a *app) verifyReceipt(file string, key ed25519.PublicKey) (*receiptDocument, error) {
	in, name := a.lists.stdin, "standard input"
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
	head, seal, err := proof.Verify(in, key)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		if errors.Is(err, proof.ErrNotReceipt) {
			err = usageError{err}
		}
		return nil, err
	}
	return &receiptDocument{
		File: name, Run: head.Run, Job: head.Job, Key: head.Key, TaskID: head.TaskID, Seal: seal, Signature: signatureState(seal, key),
	}, nil
}

// The states of a signature.
const (
	unsigned  = "none"
	unchecked = "not checked"
	checked   = "checked"
)

func signatureState(s *proof.Seal, key ed25519.PublicKey) string {
	switch {
	case s.Signature == "":
		return unsigned
	case key == nil:
		return unchecked
	}
	return checked
}

// signatureText says in words what state a signature is in.
func signatureText(state string) string {
	return map[string]string{unsigned: "not signed", unchecked: "signed, not checked (--key)", checked: "signed by the key"}[state]
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

// readKey returns the key in a file in PEM form, which parse reads. Want says which
// key it should be, and how to make one.
func readKey[K any](file string, parse func(der []byte) (any, error), want string) (key K, err error) {
	text, err := readBounded(file)
	if err != nil {
		return key, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return key, fmt.Errorf("%s has no key in PEM form: openssl genpkey -algorithm ed25519 makes one, and openssl pkey -pubout its public key", file)
	}
	parsed, err := parse(block.Bytes)
	key, ok := parsed.(K)
	if err != nil || !ok {
		return key, fmt.Errorf("%s is not %s", file, want)
	}
	return key, nil
}

// publicKey reads the key that signatures are checked with; nil if there is no
// file.
func publicKey(file string) (ed25519.PublicKey, error) {
	if file == "" {
		return nil, nil
	}
	return readKey[ed25519.PublicKey](file, x509.ParsePKIXPublicKey, "a public Ed25519 key: openssl pkey -pubout makes the public key of a private one")
}

// signing returns what signs receipts, with RUNNER_SIGNING_KEY_FILE.
func (a *app) signing() (engine.Option, error) {
	file := a.env.SigningKeyFile
	if file == "" {
		return engine.WithSigningKey(nil), nil
	}
	key, err := readKey[ed25519.PrivateKey](file, x509.ParsePKCS8PrivateKey, "a private Ed25519 key: openssl genpkey -algorithm ed25519 makes one")
	if err != nil {
		return nil, usageError{fmt.Errorf("RUNNER_SIGNING_KEY_FILE: %w", err)}
	}
	return engine.WithSigningKey(key), nil
}

// sealEvery is how often serve asks again for receipts that are pending.
const sealEvery = 10 * time.Minute

// completeReceipts asks Globus from time to time for what it could not say when
// a task had ended.
func (s *server) completeReceipts(ctx context.Context, e *engine.Engine, l *ledger.Ledger) {
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	for {
		n, err := e.SealPending(ctx, l, "")
		if err != nil && ctx.Err() == nil {
			s.app.log.Warn("some receipts are still pending", "err", err)
		}
		if n > 0 {
			s.app.log.Info("pending receipts completed", "count", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
