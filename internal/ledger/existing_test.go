package ledger_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestALedgerThatIsNotThereIsNotMadeByThoseWhoRead(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		for range 2 { // the first has made nothing
			l, err := ledger.OpenExisting(t.Context(), url, logger(t))
			if !errors.Is(err, ledger.ErrAbsent) {
				t.Fatalf("got %v, %v, want ErrAbsent", l, err)
			}
		}
		if file, is := strings.CutPrefix(url, "sqlite:"); is {
			if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s was made (%v)", file, err)
			}
			ok(t, os.WriteFile(file, nil, 0o600))
			if l, err := ledger.OpenExisting(t.Context(), url, logger(t)); !errors.Is(err, ledger.ErrAbsent) {
				t.Errorf("of an empty file: got %v, %v, want ErrAbsent", l, err)
			}
		}
		run := claim(t, open(t, url), "a", "1", "me", time.Hour)
		l, err := ledger.OpenExisting(t.Context(), url, logger(t))
		ok(t, err)
		defer l.Close() //nolint:errcheck // it was only read
		if got := get(t, l, run.ID); got.Job != "a" {
			t.Errorf("got %+v, want the run", got)
		}
	})
}
