package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// receiptOf begins a receipt of a new run of job j.
func receiptOf(t testing.TB, l *ledger.Ledger, key string) (*ledger.Run, *ledger.Receipt) {
	t.Helper()
	run := claim(t, l, "j", key, "me", time.Hour)
	r, err := l.BeginReceipt(t.Context(), ledger.Receipt{Run: run.ID, Job: "j", Key: key, Step: 1, Part: 2, Attempt: 1})
	ok(t, err)
	return run, r
}

func writeText(t testing.TB, l *ledger.Ledger, receipt int64, name string, text []byte) {
	t.Helper()
	w := l.WriteText(t.Context(), receipt, name)
	for len(text) > 0 {
		n := min(len(text), 70_000)
		_, err := w.Write(text[:n])
		ok(t, err)
		text = text[n:]
	}
	ok(t, w.Close())
}

func readText(t testing.TB, l *ledger.Ledger, receipt int64, name string) ([]byte, error) {
	t.Helper()
	r := l.ReadText(t.Context(), receipt, name)
	text, err := io.ReadAll(r)
	return text, errors.Join(err, r.Close())
}

// seal is a seal that shows what it was given.
func seal(number int64, previous string) ledger.Seal {
	return ledger.Seal{
		Number: number, Content: "c", Previous: previous, Digest: fmt.Sprintf("d%d", number), Signature: "s",
		Items: 1, Copied: 2, Found: 3, Landed: 5, SkippedRows: 4,
	}
}

func TestReceiptIsKept(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		run, r := receiptOf(t, l, "1")
		same, err := l.BeginReceipt(ctx, ledger.Receipt{Run: run.ID, Job: "j", Key: "1", Step: 1, Part: 2, Attempt: 1})
		if err != nil || same.ID != r.ID {
			t.Errorf("begun again: got %+v and %v, want id %d", same, err, r.ID)
		}
		writeText(t, l, r.ID, "list", []byte("a"))
		listed := time.Date(2026, 11, 20, 1, 2, 3, 0, time.UTC)
		ok(t, l.KeepSnapshot(ctx, "me", r.ID, "list", listed))
		writeText(t, l, r.ID, "whole", []byte("b"))
		if all, err := l.Receipts(ctx, ledger.ReceiptQuery{}); err != nil || len(all) != 0 {
			t.Errorf("before it is sealed: got %v and %v", all, err)
		}
		ok(t, l.Seal(ctx, r.ID, "whole", seal))
		want := &ledger.Receipt{
			ID: r.ID, Run: run.ID, Job: "j", Key: "1", Step: 1, Part: 2, Attempt: 1, Created: r.Created,
			Listed: listed, Snapshot: "list", Text: "whole", Seal: seal(1, ""),
		}
		all, err := l.Receipts(ctx, ledger.ReceiptQuery{Run: run.ID})
		ok(t, err)
		if d := cmp.Diff([]*ledger.Receipt{want}, all, cmpopts.IgnoreFields(ledger.Receipt{}, "Sealed")); d != "" {
			t.Error(d)
		}
		if all[0].Sealed.Before(r.Created) {
			t.Errorf("sealed %v, begun %v", all[0].Sealed, r.Created)
		}
		if text, err := readText(t, l, r.ID, "whole"); err != nil || string(text) != "b" {
			t.Errorf("got %q and %v", text, err)
		}
		_, err = readText(t, l, r.ID, "list") // it is in the receipt
		wantError(t, "another text of a sealed receipt", err, ledger.ErrNone)
		wantError(t, "sealed again", l.Seal(ctx, r.ID, "whole", seal), ledger.ErrExists)
		wantError(t, "seal of none", l.Seal(ctx, 99, "whole", seal), ledger.ErrNone)
		wantError(t, "snapshot of none", l.KeepSnapshot(ctx, "me", 99, "list", listed), ledger.ErrNone)
	})
}

func TestTextsOfManyChunks(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		_, r := receiptOf(t, l, "1")
		text := make([]byte, 600_000) // it cannot be compressed
		random := rand.NewChaCha8([32]byte{})
		_, err := random.Read(text)
		ok(t, err)
		writeText(t, l, r.ID, "long", text)
		writeText(t, l, r.ID, "empty", nil)
		if got, err := readText(t, l, r.ID, "long"); err != nil || !bytes.Equal(got, text) {
			t.Errorf("got %d bytes and %v", len(got), err)
		}
		if got, err := readText(t, l, r.ID, "empty"); err != nil || len(got) != 0 {
			t.Errorf("got %d bytes and %v", len(got), err)
		}
		w := l.WriteText(t.Context(), r.ID, "cut")
		_, err = w.Write(text)
		ok(t, err) // and never closed
		_, err = readText(t, l, r.ID, "cut")
		wantError(t, "a text that was cut off", err, io.ErrUnexpectedEOF)
		if w := l.WriteText(t.Context(), 99, "x"); w.Close() == nil {
			t.Error("a text of no receipt was written")
		}
	})
}

func TestSnapshotIsOlderThanTheSubmission(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		run, r := receiptOf(t, l, "1")
		other, err := l.BeginReceipt(ctx, ledger.Receipt{Run: run.ID, Step: 1, Part: 3, Attempt: 1})
		ok(t, err)
		wantError(t, "of another holder", l.KeepSnapshot(ctx, "you", r.ID, "list", due), ledger.ErrLost)
		ok(t, l.KeepSnapshot(ctx, "me", r.ID, "list", due))
		ok(t, l.Submit(ctx, "me", ledger.Submission{ID: "s", Run: run.ID, Step: 1, Part: 2, Attempt: 1}))
		wantError(t, "after the submission", l.KeepSnapshot(ctx, "me", r.ID, "late", due), ledger.ErrExists)
		ok(t, l.KeepSnapshot(ctx, "me", other.ID, "list", due))
		r, err = l.BeginReceipt(ctx, *r)
		if err != nil || r.Snapshot != "list" {
			t.Errorf("got %+v and %v", r, err)
		}
		ok(t, l.Finish(ctx, run.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
		wantError(t, "after the run", l.KeepSnapshot(ctx, "me", other.ID, "late", due), ledger.ErrLost)
	})
}

func TestSealsMakeOneChain(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		const n = 20
		var ids []int64
		l, second := open(t, url), open(t, url)
		for i := range n {
			_, r := receiptOf(t, l, fmt.Sprint(i))
			writeText(t, l, r.ID, "whole", nil)
			ids = append(ids, r.ID)
		}
		var group sync.WaitGroup
		for i, id := range ids {
			group.Go(func() {
				if err := []*ledger.Ledger{l, second}[i%2].Seal(t.Context(), id, "whole", seal); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		all, err := l.Receipts(t.Context(), ledger.ReceiptQuery{Job: "j"})
		ok(t, err)
		digests := map[int64]string{0: ""}
		for _, r := range all {
			digests[r.Number] = r.Digest
		}
		for _, r := range all {
			if r.Previous != digests[r.Number-1] || r.Number < 1 || r.Number > n {
				t.Errorf("receipt %d follows %q, want %q", r.Number, r.Previous, digests[r.Number-1])
			}
		}
		if len(digests) != n+1 {
			t.Errorf("got %d numbers, want %d", len(digests)-1, n)
		}
	})
}

func TestPendingReceiptsAreThoseOfTasksThatSucceeded(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		var want int64
		for _, status := range []string{"SUCCEEDED", "FAILED", ""} {
			run, r := receiptOf(t, l, "x"+status)
			ok(t, l.Submit(ctx, "me", ledger.Submission{ID: "s" + status, Run: run.ID, Step: 1, Part: 2, Attempt: 1}))
			ok(t, l.Ended(ctx, "s"+status, status, ledger.Totals{}))
			if status == "SUCCEEDED" {
				want = r.ID
			}
		}
		pending := ledger.ReceiptQuery{Pending: true}
		if all, err := l.Receipts(ctx, pending); err != nil || len(all) != 1 || all[0].ID != want {
			t.Errorf("got %v and %v, want receipt %d", all, err, want)
		}
		ok(t, l.Seal(ctx, want, "whole", seal))
		if all, err := l.Receipts(ctx, pending); err != nil || len(all) != 0 {
			t.Errorf("after it was sealed: got %v and %v", all, err)
		}
	})
}

func TestReceiptsHaveARetentionOfTheirOwn(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		for i := range 25 { // more than two batches
			run, r := receiptOf(t, l, fmt.Sprint(i))
			writeText(t, l, r.ID, "whole", []byte("x"))
			ok(t, l.Seal(ctx, r.ID, "whole", seal))
			ok(t, l.Finish(ctx, run.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
		}
		if n, err := l.ForgetRuns(ctx, ledger.Retention{Since: time.Now().Add(time.Minute)}); err != nil || n != 24 {
			t.Errorf("forgot %d runs, %v", n, err)
		}
		page, err := l.Receipts(ctx, ledger.ReceiptQuery{Limit: 20})
		ok(t, err)
		rest, err := l.Receipts(ctx, ledger.ReceiptQuery{After: page[len(page)-1].ID})
		if err != nil || len(page) != 20 || len(rest) != 5 {
			t.Errorf("got %d and %d receipts, %v, want all 25", len(page), len(rest), err)
		}
		late, err := l.Receipts(ctx, ledger.ReceiptQuery{Since: rest[2].Sealed})
		if err != nil || len(late) != 3 || late[0].ID != rest[2].ID {
			t.Errorf("got %d receipts since the third but last was sealed, %v", len(late), err)
		}
		if n, err := l.ForgetReceipts(ctx, time.Now().Add(-time.Hour)); err != nil || n != 0 {
			t.Errorf("forgot %d young receipts, %v", n, err)
		}
		if n, err := l.ForgetReceipts(ctx, time.Now().Add(time.Minute)); err != nil || n != 25 {
			t.Errorf("forgot %d receipts, %v", n, err)
		}
		_, err = readText(t, l, page[0].ID, "whole")
		wantError(t, "its text", err, ledger.ErrNone)
		_, r := receiptOf(t, l, "next")
		ok(t, l.Seal(ctx, r.ID, "whole", seal))
		if all, err := l.Receipts(ctx, ledger.ReceiptQuery{}); err != nil || len(all) != 1 || all[0].Number != 26 || all[0].Previous != "d25" {
			t.Errorf("got %+v and %v, want the chain to go on", all, err)
		}
	})
}
