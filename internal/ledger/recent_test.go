package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestStripsHaveTheNewestRunsOfEachJob(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		for i := range 5 {
			r := claim(t, l, "many", fmt.Sprint(i), "me", time.Hour)
			if i < 4 {
				ok(t, l.Finish(ctx, r.ID, "me", ledger.Outcome{State: ledger.Failed, Message: "m"}))
			}
			claim(t, l, "between", fmt.Sprint(i), "me", time.Hour)
		}
		claim(t, l, "one", "1", "me", time.Hour)
		claim(t, l, "not asked", "1", "me", time.Hour)
		strips, err := l.Strips(ctx, []string{"many", "between", "one", "none", `"odd'`}, 3)
		ok(t, err)
		got := map[string]string{}
		for job, s := range strips {
			for _, b := range s.Bars {
				got[job] += fmt.Sprintf("%d %s, ", b.ID, b.State)
			}
			if last := s.Bars[len(s.Bars)-1]; s.Last == nil || s.Last.ID != last.ID || s.Last.Job != job || !last.Finished.IsZero() {
				t.Errorf("the newest run of %s is %+v, want run %d, not finished", job, s.Last, last.ID)
			}
		}
		if diff := cmp.Diff(map[string]string{
			"many": "5 failed, 7 failed, 9 claimed, ", "between": "6 claimed, 8 claimed, 10 claimed, ", "one": "11 claimed, ",
		}, got); diff != "" {
			t.Errorf("strips (-want +got):\n%s", diff)
		}
	})
}

func TestChangedRunsAreThoseThatMayHaveChanged(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		open, ended := claim(t, l, "a", "1", "me", time.Hour), claim(t, l, "a", "2", "me", time.Hour)
		ok(t, l.Finish(ctx, ended.ID, "me", ledger.Outcome{State: ledger.Failed}))
		finished := get(t, l, ended.ID).Finished
		look := func(since time.Time) []ledger.RunVersion {
			all, err := l.ChangedRuns(ctx, since)
			ok(t, err)
			return all
		}
		want := []ledger.RunVersion{
			{ID: open.ID, Job: "a", State: ledger.Claimed, Attempt: 1, Holder: "me"},
			{ID: ended.ID, Job: "a", State: ledger.Failed, Attempt: 1, Holder: "me", Finished: finished},
		}
		if diff := cmp.Diff(want, look(finished)); diff != "" {
			t.Errorf("moving (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want[:1], look(finished.Add(time.Microsecond))); diff != "" {
			t.Errorf("moving since later (-want +got):\n%s", diff)
		}
	})
}

func TestRunsBelowARun(t *testing.T) {
	l := open(t, engines["sqlite"](t))
	for i := range 4 {
		claim(t, l, "a", fmt.Sprint(i), "me", time.Hour)
	}
	var got []int64
	for r, err := range l.Runs(t.Context(), ledger.Query{Below: 4, Limit: 2}) {
		ok(t, err)
		got = append(got, r.ID)
	}
	if diff := cmp.Diff([]int64{3, 2}, got); diff != "" {
		t.Error(diff)
	}
}

func TestARunBeginsWhenSomebodyTakesItUp(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		asked, err := l.Act(ctx, ledger.Action{Kind: ledger.ActionTrigger, Job: "a", Key: "manual:1"})
		ok(t, err)
		// bars are as long as the run; that of one that waits begins when it was asked for.
		wants := func(what string, began time.Time) {
			t.Helper()
			r, bar := get(t, l, asked.Run), began
			if began.IsZero() {
				bar = r.Claimed
			}
			strips, err := l.Strips(ctx, []string{"a"}, 9)
			ok(t, err)
			if got := strips["a"].Bars[0].Began; !r.Began.Equal(began) || !got.Equal(bar) {
				t.Errorf("%s: the run began at %s and its bar at %s, want %s and %s", what, r.Began, got, began, bar)
			}
		}
		take := func(holder string) *ledger.Run {
			t.Helper()
			ok(t, l.Exec(ctx, `UPDATE runs SET claimed = claimed - 3600000000, began = CASE WHEN began = 0 THEN 0 ELSE began - 3600000000 END`))
			runs, err := l.TakeOver(ctx, holder, time.Hour, 9)
			if err != nil || len(runs) != 1 {
				t.Fatalf("got %v, %v, want the run", runs, err)
			}
			return runs[0]
		}
		wants("asked for", time.Time{})
		first := take("me")
		if waited := first.Began.Sub(first.Claimed); waited < time.Hour {
			t.Errorf("it began %v after it was asked for, want an hour", waited)
		}
		wants("taken up", first.Began)
		ok(t, l.Release(ctx, "me"))
		wants("taken over", take("you").Began)
		wants("as it began", first.Began.Add(-time.Hour))

		ok(t, l.Finish(ctx, asked.Run, "you", ledger.Outcome{State: ledger.Failed}))
		wants("ended", first.Began.Add(-time.Hour))
		ok(t, l.Retry(ctx, asked.Run))
		wants("asked for again", time.Time{})
		again, mine, err := l.Claim(ctx, ledger.Claim{Job: "a", Key: "manual:1", Holder: "me", Lease: time.Hour})
		if err != nil || !mine || again.Began.Before(first.Began) {
			t.Fatalf("got %+v, %t, %v, want a run that began anew", again, mine, err)
		}
		wants("begun again", again.Began)
		ok(t, l.Exec(ctx, `UPDATE runs SET began = 0`))
		wants("of an older program", again.Claimed)
	})
}
