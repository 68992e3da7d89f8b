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

func TestStripsKnowTheRunsThatEndedLast(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		const all, length = 120, 30 // so that the text of the strip is cut
		var want []ledger.Bar
		for i := range all {
			r := claim(t, l, "a", fmt.Sprint(i), "me", time.Hour)
			ok(t, l.Finish(ctx, r.ID, "me", ledger.Outcome{State: ledger.TimedOut}))
			r = get(t, l, r.ID)
			want = append(want, ledger.Bar{ID: r.ID, State: ledger.TimedOut, Began: r.Began, Finished: r.Finished})
			if got := bars(t, l, "a", length); !cmp.Equal(got, want[max(0, len(want)-length):]) {
				t.Fatalf("after %d runs (-want +got):\n%s", i+1, cmp.Diff(want[max(0, len(want)-length):], got))
			}
		}
		ok(t, l.Exec(ctx, `CREATE TABLE short (ends TEXT CHECK (length(ends) < 3100)); INSERT INTO short SELECT ends FROM strips`))
		ok(t, l.Finish(ctx, want[all-1].ID, "me", ledger.Outcome{State: ledger.TimedOut})) // again, which changes nothing
		newest := want[all-length:]
		if diff := cmp.Diff(newest, bars(t, l, "a", length)); diff != "" {
			t.Errorf("after an end that was reported twice (-want +got):\n%s", diff)
		}
		last := newest[length-1].ID
		ok(t, l.Retry(ctx, last))
		if got := bars(t, l, "a", 2); len(got) != 2 || got[1].ID != last || got[1].State != ledger.Claimed || !got[1].Finished.IsZero() {
			t.Errorf("retried: got %+v, want run %d claimed", got, last)
		}
		claim(t, l, "a", fmt.Sprint(all-1), "me", time.Hour)
		ok(t, l.Finish(ctx, last, "me", ledger.Outcome{State: ledger.Succeeded}))
		if got := bars(t, l, "a", 2); len(got) != 2 || got[0] != newest[length-2] || got[1].ID != last || got[1].State != ledger.Succeeded {
			t.Errorf("ended twice: got %+v, want run %d before %d, which has succeeded", got, newest[length-2].ID, last)
		}
		_, err := l.ForgetRuns(ctx, ledger.Retention{Runs: 3})
		ok(t, err)
		if got := bars(t, l, "a", length); len(got) != 3 || got[0] != newest[length-3] {
			t.Errorf("forgotten: got %+v, want the newest 3 runs", got)
		}
	})
}

func TestStripsOfRunsThatAnOlderProgramEnded(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		old, err := ledger.OpenVersion(t.Context(), url, logger(t), 23)
		ok(t, err)
		ok(t, old.Exec(t.Context(), `
			INSERT INTO runs (job, key, due, holder, lease_until, claimed, began, finished, state) VALUES
				('a', '1', 0, '', 0, 1000000, 0, 5000000, 'failed'), ('a', '2', 0, '', 0, 2000000, 3000000, 4000000, 'succeeded'),
				('a', '3', 0, 'me', 0, 6000000, 7000000, 0, 'submitted'), ('b', '1', 0, '', 0, 8000000, 0, 0, 'claimed')`))
		ok(t, old.Close())
		l := open(t, url)
		at := func(second int64) time.Time { return time.Unix(second, 0).UTC() }
		want := []ledger.Bar{{1, ledger.Failed, at(1), at(5)}, {2, ledger.Succeeded, at(3), at(4)}, {3, ledger.Submitted, at(7), time.Time{}}}
		if diff := cmp.Diff(want, bars(t, l, "a", 30)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]ledger.Bar{{4, ledger.Claimed, at(8), time.Time{}}}, bars(t, l, "b", 30)); diff != "" {
			t.Errorf("of a job of which no run has ended (-want +got):\n%s", diff)
		}
	})
}

// bars returns the bars of a job.
func bars(t *testing.T, l *ledger.Ledger, job string, length int) []ledger.Bar {
	t.Helper()
	strips, err := l.Strips(t.Context(), []string{job}, length)
	ok(t, err)
	return strips[job].Bars
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
