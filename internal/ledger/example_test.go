package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func Example() {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	ctx := context.Background()
	l, err := ledger.Open(ctx, "sqlite:"+filepath.Join(dir, "runner.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close() //nolint:errcheck // everything is on disk

	for range 2 {
		run, mine, err := l.Claim(ctx, ledger.Claim{
			Job: "nightly", Key: "2026-11-21T02:00:00Z", Holder: "host 4711", Lease: time.Minute,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(run.State, "mine:", mine)
		if !mine {
			return
		}
		// Before the document is sent, it is on disk.
		if err := l.Submit(ctx, run.Holder, ledger.Submission{ID: "c1d2", Run: run.ID, Attempt: 1, Document: []byte("{}")}); err != nil {
			fmt.Println(err)
			return
		}
		if err := l.Accepted(ctx, "c1d2", "a3b4"); err != nil {
			fmt.Println(err)
			return
		}
		if err := l.Finish(ctx, run.ID, run.Holder, ledger.Outcome{State: ledger.Succeeded, Totals: ledger.Totals{Files: 412}}); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// claimed mine: true
	// succeeded mine: false
}
