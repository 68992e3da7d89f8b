package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// act asks for something that must be possible.
func act(t *testing.T, l *ledger.Ledger, a ledger.Action) ledger.Action {
	t.Helper()
	done, err := l.Act(t.Context(), a)
	ok(t, err)
	if age := time.Since(done.At); age < -time.Minute || age > time.Minute {
		t.Errorf("%s at %v, want it now", a.Kind, done.At)
	}
	return done
}

func wantPauses(t *testing.T, l *ledger.Ledger, want map[string]ledger.Pause) {
	t.Helper()
	got, err := l.Pauses(t.Context())
	ok(t, err)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(ledger.Pause{}, "Since")); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
}

func TestJobsArePausedUntilTheyAreResumedOrThePauseEnds(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		act(t, l, ledger.Action{Kind: ledger.ActionPause, Job: "a", Who: "ada", Why: "first"})
		act(t, l, ledger.Action{Kind: ledger.ActionPause, Job: "a", Who: "bob", Why: "the disk is \x00full", Until: later})
		act(t, l, ledger.Action{Kind: ledger.ActionPause, Job: "b", Who: "ada"})
		act(t, l, ledger.Action{Kind: ledger.ActionPause, Job: "over", Who: "ada", Until: time.Now().Add(-time.Hour)})
		wantPauses(t, open(t, url), map[string]ledger.Pause{"a": {Who: "bob", Why: "the disk is \uFFFDfull", Until: later}, "b": {Who: "ada"}})

		act(t, l, ledger.Action{Kind: ledger.ActionResume, Job: "a", Who: "ada"})
		wantPauses(t, l, map[string]ledger.Pause{"b": {Who: "ada"}})
		for _, job := range []string{"a", "over", "unknown"} {
			_, err := l.Act(t.Context(), ledger.Action{Kind: ledger.ActionResume, Job: job, Who: "ada"})
			wantError(t, "resume "+job, err, ledger.ErrState)
		}
		ended, err := l.PausesEnded(t.Context())
		ok(t, err)
		resumed, over := time.Since(ended["a"]), time.Since(ended["over"])
		if len(ended) != 2 || resumed < -time.Minute || resumed > time.Minute || over < 59*time.Minute || over > 61*time.Minute {
			t.Errorf("got the ends %v, want that of a now and that of over an hour ago", ended)
		}
	})
}

func TestTriggeredRunIsTakenOver(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		a := ledger.Action{Kind: ledger.ActionTrigger, Job: "a", Key: "manual:1", Who: "ada", Why: "now"}
		run := act(t, l, a).Run
		_, err := l.Act(t.Context(), a)
		wantError(t, "the same once more", err, ledger.ErrState)
		taken, err := l.TakeOver(t.Context(), "me", time.Minute, 10)
		ok(t, err)
		if len(taken) != 1 || taken[0].ID != run || taken[0].Claims != 1 || !taken[0].Again || !taken[0].Due.IsZero() {
			t.Errorf("taken over: %+v, want run %d, wanted by an operator", taken, run)
		}
	})
}

func TestLookIsWantedUntilOneHasMetTheWish(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		wanted := func(job string) time.Time {
			t.Helper()
			all, err := l.WantedLooks(t.Context())
			ok(t, err)
			return all[job]
		}
		if run := act(t, l, ledger.Action{Kind: ledger.ActionTrigger, Job: "a", Who: "ada"}).Run; run != 0 || wanted("a").IsZero() || !wanted("b").IsZero() {
			t.Errorf("run %d, wanted since %v and %v, want no run and a look at a alone", run, wanted("a"), wanted("b"))
		}
		first := wanted("a")
		time.Sleep(time.Millisecond)
		act(t, l, ledger.Action{Kind: ledger.ActionTrigger, Job: "a", Who: "ada"})
		ok(t, l.MetLook(t.Context(), "a", first)) // it began before the second wish
		if wanted("a").IsZero() {
			t.Error("the second wish is lost")
		}
		ok(t, l.MetLook(t.Context(), "a", wanted("a")))
		if !wanted("a").IsZero() {
			t.Error("it is still wanted")
		}
		if mine, err := l.Watch(t.Context(), "a", "me", time.Minute); err != nil || !mine {
			t.Errorf("watch: %v, %v, want true: nobody watches", mine, err)
		}
	})
}

func TestActionsAreKeptWithWhoAndWhy(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		r := claim(t, l, "a", "1", "me", time.Hour)
		act(t, l, ledger.Action{Kind: ledger.ActionCancel, Run: r.ID, Who: "ada", Why: "wrong day"})
		if !get(t, l, r.ID).CancelRequested {
			t.Error("the cancel was not requested")
		}
		_, err := l.Act(ctx, ledger.Action{Kind: ledger.ActionRetry, Run: r.ID, Who: "ada"})
		wantError(t, "retry of a run at work", err, ledger.ErrState)
		_, err = l.Act(ctx, ledger.Action{Kind: ledger.ActionRetry, Run: 99, Who: "ada"})
		wantError(t, "retry of no run", err, ledger.ErrNone)
		_, err = l.Act(ctx, ledger.Action{Kind: "dance", Job: "a", Who: "ada"})
		if err == nil {
			t.Error("an unknown deed was done")
		}
		ok(t, l.Finish(ctx, r.ID, "me", ledger.Outcome{State: ledger.Canceled}))
		act(t, l, ledger.Action{Kind: ledger.ActionRetry, Run: r.ID, Who: "bob"})
		if got := get(t, l, r.ID); got.State != ledger.Claimed || !got.Again {
			t.Errorf("got %+v, want it claimable", got)
		}
		act(t, l, ledger.Action{Kind: ledger.ActionPause, Job: "other", Who: "bob"})

		got, err := l.Actions(ctx, "a", 10)
		ok(t, err)
		want := []ledger.Action{
			{Kind: ledger.ActionRetry, Job: "a", Run: r.ID, Who: "bob"},
			{Kind: ledger.ActionCancel, Job: "a", Run: r.ID, Who: "ada", Why: "wrong day"},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(ledger.Action{}, "At")); diff != "" {
			t.Errorf("actions (-want +got):\n%s", diff)
		}
		notes, err := l.Notes(ctx, r.ID)
		ok(t, err)
		if len(notes) != 3 || notes[0].Kind != "cancel_requested" || notes[0].Text != "by ada: wrong day" || notes[1].Kind != ledger.NoteEnded || notes[2].Kind != "retry_requested" || notes[2].Text != "by bob" {
			t.Errorf("notes: %+v", notes)
		}
		if some, err := l.Actions(ctx, "a", 1); err != nil || len(some) != 1 || some[0].Kind != ledger.ActionRetry {
			t.Errorf("the newest: %+v, %v", some, err)
		}
		_, err = l.ForgetRuns(ctx, ledger.Retention{Since: time.Now().Add(time.Hour)})
		ok(t, err)
		if left, err := l.Actions(ctx, "a", 10); err != nil || len(left) != 0 {
			t.Errorf("after runs were forgotten: %+v, %v, want none", left, err)
		}
	})
}
