package account_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
)

// decade is a ledger in which so many jobs have a receipt of each day, and nothing else.
func decade(t testing.TB, jobs, days int) *ledger.Ledger {
	t.Helper()
	file := filepath.Join(t.TempDir(), "runner.db")
	l, err := ledger.Open(t.Context(), "sqlite:"+file, slog.New(slog.DiscardHandler))
	must(t, err)
	must(t, l.Close())
	db, err := sql.Open("sqlite", "file:"+file)
	must(t, err)
	defer db.Close() //nolint:errcheck // the commit says it
	tx, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	receipt, err := tx.PrepareContext(t.Context(), `INSERT INTO receipts (id, run, step, part, attempt, job, key, created, listed, sealed, text, number, content, previous, digest, items)
		VALUES ($1, $1, 1, 0, 1, $2, $3, $4, $4, $4, 'text', $1, $5, $6, $7, 1)`)
	must(t, err)
	chunk, err := tx.PrepareContext(t.Context(), `INSERT INTO texts (receipt, name, number, data) VALUES ($1, 'text', 0, $2)`)
	must(t, err)
	begin := time.Now().AddDate(0, 0, -days)
	var zipped bytes.Buffer
	var previous proof.Digest
	zip := gzip.NewWriter(&zipped)
	for id := int64(1); id <= int64(jobs*days); id++ {
		job, at := int(id)%jobs, begin.Add(time.Duration(id)*24*time.Hour/time.Duration(jobs)).UTC().Truncate(time.Second)
		zipped.Reset()
		zip.Reset(&zipped)
		w, err := proof.NewWriter(zip, proof.Receipt{
			Run: id, Job: fmt.Sprint("job-", job), Key: fmt.Sprint("at:", id), Attempt: 1, Source: "lab", Destination: "vault",
			Options: proof.Options{VerifyChecksum: true}, Listed: at, Requested: at, Completed: at.Add(time.Minute),
		})
		must(t, err)
		must(t, w.Write(proof.Row{Item: &proof.Item{Source: fmt.Sprintf("/out/%d/", job), Destination: fmt.Sprintf("/in/%d/", job)}}))
		counts, content := w.Sum()
		must(t, zip.Close())
		seal := proof.NewSeal(counts, content, id, previous, nil)
		_, err = receipt.ExecContext(t.Context(), id, fmt.Sprint("job-", job), fmt.Sprint("at:", id), at.UnixMicro(), string(content), string(previous), string(seal.Digest))
		previous = seal.Digest
		must(t, err)
		_, err = chunk.ExecContext(t.Context(), id, zipped.Bytes())
		must(t, err)
	}
	must(t, tx.Commit())
	l, err = ledger.Open(t.Context(), "sqlite:"+file, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

func TestOthersAreAskedForSinceTheOldestOfSomeReceipts(t *testing.T) {
	l := decade(t, 3, 20)
	kept, err := l.Receipts(t.Context(), ledger.ReceiptQuery{Job: "job-1"})
	must(t, err)
	if len(kept) != 20 {
		t.Fatalf("%d receipts of the job, want 20", len(kept))
	}
	of := account.Others(t.Context(), l, kept)
	for _, tt := range []struct {
		some []int
		want int
	}{{[]int{0}, 40}, {[]int{19}, 2}, {[]int{19, 17}, 6}, {[]int{17, 19}, 6}} {
		others, err := of(tt.some)
		must(t, err)
		if got := len(others.Sealed); got != tt.want {
			t.Errorf("receipts of other jobs since those at %v: got %d, want %d", tt.some, got, tt.want)
		}
	}
}

// BenchmarkTenYears finds the receipts that a nightly prune of one job of sixty goes by.
func BenchmarkTenYears(b *testing.B) {
	l := decade(b, 60, 3650)
	before, most := heap(), int64(0)
	for b.Loop() {
		kept, err := l.Receipts(b.Context(), ledger.ReceiptQuery{Job: "job-7"})
		must(b, err)
		found, err := evidence.Gather(account.Opens(b.Context(), l, kept), evidence.Options{Others: account.Others(b.Context(), l, kept)})
		must(b, err)
		most = max(most, heap()-before)
		runtime.KeepAlive(found)
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
}
