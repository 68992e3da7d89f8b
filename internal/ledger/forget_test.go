package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestForgetRunsKeepsWhatIsNeeded(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		finish := func(r *ledger.Run) {
			ok(t, l.Finish(ctx, r.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
		}
		oldest := claim(t, l, "many", "with all", "me", time.Hour)
		ok(t, l.Submit(ctx, "me", ledger.Submission{ID: "s", Run: oldest.ID}))
		ok(t, l.Note(ctx, oldest.ID, due, "k", "t"))
		finish(oldest)
		record(t, l, "many", 250) // more than two batches
		finish(claim(t, l, "many", "newest", "me", time.Hour))
		claim(t, l, "open", "unfinished", "me", time.Hour)
		finish(claim(t, l, "open", "last", "me", time.Hour))
		later, _, err := l.Claim(ctx, ledger.Claim{Job: "due", Key: "latest due", Due: due.Add(time.Hour), Holder: "me"})
		ok(t, err)
		finish(later)
		finish(claim(t, l, "due", "between", "me", time.Hour))
		finish(claim(t, l, "due", "newest", "me", time.Hour))

		if n, err := l.ForgetRuns(ctx, ledger.Retention{Since: due}); err != nil || n != 0 {
			t.Errorf("forgot %d, %v, although nothing is that old", n, err)
		}
		if n, err := l.ForgetRuns(ctx, ledger.Retention{Since: time.Now().Add(time.Minute)}); err != nil || n != 252 {
			t.Errorf("forgot %d, %v, want 252 (between is one)", n, err)
		}
		want := []string{"duenewest", "duelatest due", "openlast", "openunfinished", "manynewest"}
		if d := cmp.Diff(want, keys(t, l, ledger.Query{})); d != "" {
			t.Error(d)
		}
		if s, err := l.Submissions(ctx, oldest.ID); err != nil || len(s) != 0 {
			t.Errorf("submissions of a forgotten run: %v, %v", s, err)
		}
		if notes, err := l.Notes(ctx, oldest.ID); err != nil || len(notes) != 0 {
			t.Errorf("notes on a forgotten run: %v, %v", notes, err)
		}
	})
}

func TestForgetRunsKeepsWhatEndedAtTheInstant(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		var all []*ledger.Run
		for _, key := range []string{"1", "2"} {
			r := claim(t, l, "j", key, "me", time.Hour)
			ok(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
			all = append(all, get(t, l, r.ID))
		}
		for _, tt := range []struct {
			since time.Time
			want  int
		}{{all[0].Finished, 0}, {all[0].Finished.Add(time.Microsecond), 1}} {
			if n, err := l.ForgetRuns(t.Context(), ledger.Retention{Since: tt.since}); err != nil || n != tt.want {
				t.Errorf("forgot %d, %v, what had not ended by %v, want %d", n, err, tt.since, tt.want)
			}
		}
	})
}

func TestRunsAreForgottenOnceInAPeriod(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		forget := func(when string, pause time.Duration, want int) {
			t.Helper()
			for _, key := range []string{"1", "2", "3"} {
				r := claim(t, l, when, key, "me", time.Hour)
				ok(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
			}
			if n, err := l.ForgetRunsEvery(t.Context(), pause, ledger.Retention{Runs: 1}); err != nil || n != want {
				t.Errorf("%s: forgot %d, %v, want %d", when, n, err, want)
			}
		}
		forget("the first time", time.Hour, 2)
		forget("at once again", time.Hour, 0)
		forget("after the pause", 0, 4)
		ok(t, l.Exec(t.Context(), `UPDATE ledger SET pruned = pruned + 3600000000000`))
		forget("after a clock that was ahead", time.Hour, 2)
	})
}

func TestForgetRunsKeepsTheNewestOfEachJob(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		run := func(job, key string, due time.Time, over bool) {
			r, _, err := l.Claim(t.Context(), ledger.Claim{Job: job, Key: key, Due: due, Holder: "me", Lease: time.Hour})
			ok(t, err)
			if over {
				ok(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
			}
		}
		record(t, l, "many", 350)                   // more than two batches
		run("mixed", "1", due.Add(time.Hour), true) // the latest due
		run("mixed", "2", due, false)
		for i := range 5 {
			run("mixed", fmt.Sprint(i+3), due, true)
		}
		run("mixed", "8", due, false)
		for i := range 205 { // more than a page of names
			run(fmt.Sprintf("x%03d", i), "1", due, true)
		}
		run("y", "1", due, true)
		run("y", "2", due, true)
		run("y", "3", due, true)
		run("y", "4", due, true)

		if n, err := l.ForgetRuns(t.Context(), ledger.Retention{Since: due, Runs: 400}); err != nil || n != 0 {
			t.Errorf("forgot %d, %v, although there are not that many", n, err)
		}
		if n, err := l.ForgetRuns(t.Context(), ledger.Retention{Runs: 3}); err != nil || n != 346+1+1 {
			t.Errorf("forgot %d, %v, want 348", n, err)
		}
		if got := len(keys(t, l, ledger.Query{Job: "many"})); got != 4 { // the latest due is the oldest
			t.Errorf("%d runs of many are left", got)
		}
		want := []string{"mixed8", "mixed7", "mixed6", "mixed5", "mixed4", "mixed2", "mixed1"}
		if d := cmp.Diff(want, keys(t, l, ledger.Query{Job: "mixed"})); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"y4", "y3", "y2"}, keys(t, l, ledger.Query{Job: "y"})); d != "" {
			t.Error(d)
		}
		if n, err := l.ForgetRuns(t.Context(), ledger.Retention{Runs: 3}); err != nil || n != 0 {
			t.Errorf("forgot %d more, %v", n, err)
		}
	})
}
