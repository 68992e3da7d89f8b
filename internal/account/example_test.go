package account_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

// A receipt is begun before a task with what the source has, and sealed after it with
// what Globus reports.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is temporary
	if err := keepOne(context.Background(), "sqlite:"+filepath.Join(dir, "runner.db")); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 4000 files before the task
	// receipt 1: 4000 copied, 4000 there after it, whole: true
}

// keepOne keeps the receipt of one task in a new ledger.
func keepOne(ctx context.Context, url string) (err error) {
	log := slog.New(slog.DiscardHandler)
	l, err := ledger.Open(ctx, url, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	run, _, err := l.Claim(ctx, ledger.Claim{Job: "nightly", Key: "manual:1", Holder: "me", Lease: time.Hour})
	if err != nil {
		return err
	}
	kept, err := l.BeginReceipt(ctx, ledger.Receipt{Run: run.ID, Job: run.Job, Key: run.Key, Step: 1, Attempt: 1})
	if err != nil {
		return err
	}
	doc := &transfer.Transfer{SourceEndpoint: "lab", DestinationEndpoint: "vault", Items: []transfer.Item{{SourcePath: "/out/", DestinationPath: "/in/"}}}
	globus := transfer.New(&http.Client{Transport: &field{folders: 4, look: func() {}}})
	keeper := &account.Keeper{Globus: globus, Log: log}
	found, err := keeper.Snapshot(ctx, l, "me", kept, doc, func(*proof.Found) {}, func(u account.Unlisted) error { return u.Err })
	if err != nil {
		return err
	}
	fmt.Println(found.Files, "files before the task")

	task := &transfer.Task{TaskID: "t", FilesTransferred: 4000, RequestTime: transfer.Time{Time: time.Now()}, CompletionTime: transfer.Time{Time: time.Now()}}
	if err := keeper.Seal(ctx, l, kept, doc, task); err != nil {
		return err
	}
	all, err := l.Receipts(ctx, ledger.ReceiptQuery{Run: run.ID})
	if err != nil {
		return err
	}
	text, err := account.Text(ctx, l, all[0])
	if err != nil {
		return err
	}
	_, seal, err := proof.Verify(text)
	fmt.Printf("receipt %d: %d copied, %d there after it, whole: %t\n", seal.Number, seal.Copied, seal.Landed, err == nil || errors.Is(err, proof.ErrUnsigned))
	return nil
}
