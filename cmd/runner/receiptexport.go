package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/proof"
)

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
	switch {
	case err != nil:
	case in.Receipt.Files == 0:
		fmt.Fprintf(a.stderr, "the list is empty, because the task copied no file; of files that were equal already, %d in all, there is no checksum: "+
			"runner receipt prove %d says which of them are proven\n", in.Receipt.Equal, in.Receipt.Run)
	default:
		fmt.Fprintf(a.stderr, "check it in the folder %s of collection %s: %s -c FILE\n", plain.Line(folder), plain.Line(in.Receipt.Destination), as)
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

// The formats of an export.
const (
	asJSONL  = "jsonl"
	asCSV    = "csv"
	asSHA256 = "sha256sum"
	asMD5    = "md5sum"
	asBag    = "bagit"
)
