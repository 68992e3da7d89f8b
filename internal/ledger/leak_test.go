package ledger_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// resident returns how many bytes of memory the process has.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("the memory of a process is not to be had: %v", err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestClosedLedgerLeavesNoMemory(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "runner.db")
	use := func(times int) {
		for range times {
			l, err := ledger.Open(t.Context(), url, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			_, err = l.Receipts(t.Context(), ledger.ReceiptQuery{})
			ok(t, err)
			ok(t, l.Close())
		}
	}
	use(50)
	before := resident(t)
	use(200)
	if more := resident(t) - before; more > 16<<20 {
		t.Errorf("the process grew by %d KiB while the ledger was opened and closed 200 times", more>>10)
	}
}
