package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestDaysAddUpWhatRunsHaveDone(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		end := func(job, key string, state ledger.State, bytes int64) int64 {
			r := claim(t, l, job, key, "me", time.Hour)
			o := ledger.Outcome{State: state, Totals: ledger.Totals{Files: 1, Bytes: bytes}}
			ok(t, l.Finish(ctx, r.ID, "me", o))
			ok(t, l.Finish(ctx, r.ID, "me", o)) // a repetition counts once
			return r.ID
		}
		want := func(job string, since time.Time, days ...ledger.Day) {
			t.Helper()
			got, err := l.Days(ctx, job, since)
			ok(t, err)
			if diff := cmp.Diff(days, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("days of %q (-want +got):\n%s", job, diff)
			}
		}
		begin := time.Now()
		end("a", "1", ledger.Succeeded, 10)
		failed := end("a", "2", ledger.Failed, 5)
		end("b", "1", ledger.Succeeded, 100)
		today := get(t, l, failed).Finished.Truncate(24 * time.Hour)
		if begin.UTC().Truncate(24*time.Hour) != today {
			t.Skip("skipped: midnight has passed meanwhile")
		}
		want("a", begin, ledger.Day{Day: today, Runs: 2, Files: 2, Bytes: 15})
		want("", begin, ledger.Day{Day: today, Runs: 3, Files: 3, Bytes: 115})
		want("", begin.Add(24*time.Hour))

		ok(t, l.Retry(ctx, failed))
		wantError(t, "retry of a run at work", l.Retry(ctx, failed), ledger.ErrState)
		want("a", begin, ledger.Day{Day: today, Runs: 1, Files: 2, Bytes: 15}) // what was done was done
		claim(t, l, "a", "2", "me", time.Hour)
		ok(t, l.Finish(ctx, failed, "me", ledger.Outcome{State: ledger.Succeeded, Totals: ledger.Totals{Files: 2, Bytes: 20}}))
		wantError(t, "retry of a success", l.Retry(ctx, failed), ledger.ErrState)
		want("a", begin, ledger.Day{Day: today, Runs: 2, Files: 3, Bytes: 30})
	})
}
