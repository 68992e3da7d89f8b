package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

var due = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

// claim claims an occurrence that must be free.
func claim(t testing.TB, l *ledger.Ledger, job, key, holder string, lease time.Duration) *ledger.Run {
	t.Helper()
	r, mine, err := l.Claim(t.Context(), ledger.Claim{Job: job, Key: key, Due: due, Holder: holder, Lease: lease})
	if err != nil || !mine {
		t.Fatalf("claim %s %s for %s: mine %t, %v", job, key, holder, mine, err)
	}
	return r
}

func get(t testing.TB, l *ledger.Ledger, id int64) *ledger.Run {
	t.Helper()
	r, err := l.Run(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestClaimMakesARun(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		begin := time.Now().Add(-time.Second)
		r := claim(t, l, "nightly", "k1", "me", time.Minute)
		want := &ledger.Run{
			Job: "nightly", Key: "k1", Due: due, Attempt: 1, Holder: "me", First: true, Alone: true,
			Outcome: ledger.Outcome{State: ledger.Claimed},
		}
		if d := cmp.Diff(want, r, cmpopts.IgnoreFields(ledger.Run{}, "ID", "Claims", "Claimed", "Began", "LeaseUntil")); d != "" {
			t.Error(d)
		}
		if r.ID == 0 || r.Claimed.Before(begin) || !r.Began.Equal(r.Claimed) || r.LeaseUntil.Sub(r.Claimed).Round(time.Second) != time.Minute {
			t.Errorf("got id %d, claimed %v, lease until %v", r.ID, r.Claimed, r.LeaseUntil)
		}
		r.First, r.Alone = false, false // nothing but Claim tells
		if d := cmp.Diff(r, get(t, l, r.ID)); d != "" {
			t.Error(d)
		}
		_, err := l.Run(t.Context(), r.ID+1)
		wantError(t, "another id", err, ledger.ErrNone)
	})
}

func TestClaimIsRefusedWithoutAName(t *testing.T) {
	l := open(t, engines["sqlite"](t))
	for _, c := range []ledger.Claim{{Key: "k", Holder: "h"}, {Job: "j", Holder: "h"}, {Job: "j", Key: "k"}} {
		if _, mine, err := l.Claim(t.Context(), c); err == nil || mine {
			t.Errorf("%+v was claimed", c)
		}
	}
}

func TestClaimOfWhatIsThere(t *testing.T) {
	tests := map[string]struct {
		lease  time.Duration
		finish bool
		holder string
		mine   bool
	}{
		"held by another":              {time.Minute, false, "b", false},
		"held by the same":             {time.Minute, false, "a", true},
		"lease over":                   {-time.Second, false, "b", true},
		"finished, lease over":         {-time.Second, true, "b", false},
		"finished, by the same holder": {time.Minute, true, "a", false},
	}
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				r := claim(t, l, "j", name, "a", tt.lease)
				ok(t, l.Submit(t.Context(), "a", ledger.Submission{ID: name, Run: r.ID, Step: 2, Attempt: 3}))
				if tt.finish {
					ok(t, l.Finish(t.Context(), r.ID, "a", ledger.Outcome{State: ledger.Failed}))
				}
				got, mine, err := l.Claim(t.Context(), ledger.Claim{Job: "j", Key: name, Holder: tt.holder, Lease: time.Minute})
				ok(t, err)
				if mine != tt.mine || got.ID != r.ID || got.Step != 2 || got.Attempt != 3 || !got.Due.Equal(due) {
					t.Errorf("got mine %t, %+v", mine, got)
				}
				if mine && (got.Holder != tt.holder || time.Until(got.LeaseUntil) < 50*time.Second) {
					t.Errorf("held by %s until %v", got.Holder, got.LeaseUntil)
				}
			})
		}
	})
}

func TestRenewKeepsOwnRuns(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		mine := claim(t, l, "j", "1", "a", -time.Second)
		done := claim(t, l, "j", "2", "a", -time.Second)
		ok(t, l.Finish(t.Context(), done.ID, "a", ledger.Outcome{State: ledger.Succeeded}))
		claim(t, l, "j", "3", "b", -time.Second)

		n, err := l.Renew(t.Context(), "a", time.Hour)
		if err != nil || n != 1 {
			t.Fatalf("renewed %d, %v, want 1", n, err)
		}
		if left := time.Until(get(t, l, mine.ID).LeaseUntil); left < 59*time.Minute {
			t.Errorf("the lease lasts %v", left)
		}
		if _, free, err := l.Claim(t.Context(), ledger.Claim{Job: "j", Key: "3", Holder: "c"}); err != nil || !free {
			t.Errorf("another holder's lease was renewed, %v", err)
		}
	})
}

func TestReleaseLetsOthersInAtOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		r := claim(t, l, "j", "1", "a", time.Hour)
		other := claim(t, l, "j", "2", "b", time.Hour)
		ok(t, l.Release(t.Context(), "a"))
		runs, err := l.TakeOver(t.Context(), "c", time.Hour, 10)
		ok(t, err)
		if len(runs) != 1 || runs[0].ID != r.ID || runs[0].Holder != "c" {
			t.Errorf("got %v", runs)
		}
		if h := get(t, l, other.ID).Holder; h != "b" {
			t.Errorf("the run of b is held by %s", h)
		}
	})
}

func TestTakeOverGivesTheOldestFirst(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		var want []int64
		for i := range 5 {
			want = append(want, claim(t, l, "j", fmt.Sprint(i), "dead", -time.Second).ID)
		}
		claim(t, l, "j", "alive", "alive", time.Hour)
		var got []int64
		for range 3 {
			runs, err := l.TakeOver(t.Context(), "me", time.Hour, 2)
			ok(t, err)
			for _, r := range runs {
				got = append(got, r.ID)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestWhoLostTheLeaseChangesNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		claim(t, l, "j", "1", "slow", -time.Second)
		r := claim(t, l, "j", "1", "quick", time.Hour)

		wantError(t, "Submit", l.Submit(ctx, "slow", ledger.Submission{ID: "s", Run: r.ID}), ledger.ErrLost)
		wantError(t, "Finish", l.Finish(ctx, r.ID, "slow", ledger.Outcome{State: ledger.Failed}), ledger.ErrLost)
		if d := cmp.Diff(r, get(t, l, r.ID)); d != "" {
			t.Error(d)
		}
		if s, err := l.Submissions(ctx, r.ID); err != nil || len(s) != 0 {
			t.Errorf("got submissions %v, %v", s, err)
		}
		wantError(t, "Finish of none", l.Finish(ctx, 99, "slow", ledger.Outcome{State: ledger.Failed}), ledger.ErrNone)
		wantError(t, "Submit to none", l.Submit(ctx, "slow", ledger.Submission{ID: "s", Run: 99}), ledger.ErrNone)
	})
}

func TestFinishIsForEver(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		r := claim(t, l, "j", "1", "me", time.Hour)
		ok(t, l.Submit(ctx, "me", ledger.Submission{ID: "s1", Run: r.ID, Step: 1, Attempt: 2}))
		o := ledger.Outcome{
			State: ledger.Failed, Class: "hopeless", Code: "PERMISSION_DENIED", Message: "no\nway \xff\x00", RequestID: "r1",
			Totals: ledger.Totals{Files: 1 << 40, FilesSkipped: 2, Bytes: 1 << 60, SkippedErrors: 4, Faults: 5}, FilesDeleted: 6,
		}
		ok(t, l.Finish(ctx, r.ID, "me", o))
		got := get(t, l, r.ID)
		o.Message = "no\nway \uFFFD\uFFFD" // as every engine can keep it
		want := &ledger.Run{ID: r.ID, Job: "j", Key: "1", Due: due, Step: 1, Attempt: 2, Holder: "me", Claimed: r.Claimed, Began: r.Began, Finished: got.Finished, Outcome: o}
		if d := cmp.Diff(want, got, cmpopts.IgnoreFields(ledger.Run{}, "Claims")); d != "" {
			t.Error(d)
		}
		if got.Finished.Before(r.Claimed) {
			t.Errorf("finished %v, claimed %v", got.Finished, r.Claimed)
		}

		ok(t, l.Finish(ctx, r.ID, "me", o)) // its answer may have been lost
		wantError(t, "the same outcome by another", l.Finish(ctx, r.ID, "you", o), ledger.ErrLost)
		wantError(t, "another outcome", l.Finish(ctx, r.ID, "me", ledger.Outcome{State: ledger.Succeeded}), ledger.ErrLost)
		wantError(t, "submit", l.Submit(ctx, "me", ledger.Submission{ID: "s", Run: r.ID}), ledger.ErrLost)
		if d := cmp.Diff(want, get(t, l, r.ID), cmpopts.IgnoreFields(ledger.Run{}, "Claims")); d != "" {
			t.Error(d)
		}
	})
}

func TestStatesAreChecked(t *testing.T) {
	l := open(t, engines["sqlite"](t))
	r := claim(t, l, "j", "1", "me", time.Hour)
	for _, s := range []ledger.State{ledger.Claimed, ledger.Submitted, "", "done"} {
		if l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: s}) == nil {
			t.Errorf("finished as %q", s)
		}
	}
}

func TestRetryMakesARunClaimable(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		for state, retryable := range map[ledger.State]bool{
			ledger.Succeeded: false, ledger.Failed: true, ledger.Canceled: true, ledger.TimedOut: true, ledger.Skipped: true, ledger.Claimed: false,
		} {
			r := claim(t, l, "j", string(state), "me", time.Hour)
			ok(t, l.Submit(ctx, "me", ledger.Submission{ID: string(state), Run: r.ID, Step: 1, Attempt: 2}))
			if state.Final() {
				ok(t, l.RequestCancel(ctx, r.ID)) // of the run that ended, not of the one that is wanted now
				ok(t, l.Finish(ctx, r.ID, "me", ledger.Outcome{State: state, Message: "m", Totals: ledger.Totals{Files: 3}}))
			}
			if !retryable {
				wantError(t, "retry "+string(state), l.Retry(ctx, r.ID), ledger.ErrState)
				continue
			}
			ok(t, l.Retry(ctx, r.ID))
			want := &ledger.Run{
				ID: r.ID, Job: "j", Key: string(state), Due: due, Step: 1, Attempt: 2, Again: true, Claimed: r.Claimed,
				Outcome: ledger.Outcome{State: ledger.Claimed, Totals: ledger.Totals{Files: 3}},
			}
			if d := cmp.Diff(want, get(t, l, r.ID), cmpopts.IgnoreFields(ledger.Run{}, "Claims")); d != "" {
				t.Error(d)
			}
			if notes, err := l.Notes(ctx, r.ID); err != nil || len(notes) != 1 || notes[0].Kind != ledger.NoteEnded || notes[0].Text != string(state)+" after 0s: m" || notes[0].At.Before(r.Claimed) {
				t.Errorf("notes %+v, and the error %v, want one that says how the run had ended", notes, err)
			}
			claim(t, l, "j", string(state), "another", time.Hour)
			ok(t, l.Submit(ctx, "another", ledger.Submission{ID: string(state) + "3", Run: r.ID, Step: 1, Attempt: 3}))
			if got := get(t, l, r.ID); got.Again || got.Attempt != 3 {
				t.Errorf("got %+v after the submission, want the wish fulfilled by attempt 3", got)
			}
		}
		wantError(t, "retry of none", l.Retry(ctx, 99), ledger.ErrNone)
	})
}

func TestCancelRequestsReachTheHolder(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ctx := t.Context()
		claim(t, l, "j", "1", "me", time.Hour)
		r := claim(t, l, "j", "2", "me", time.Hour)
		other := claim(t, l, "j", "3", "you", time.Hour)
		ok(t, l.RequestCancel(ctx, r.ID))
		ok(t, l.RequestCancel(ctx, other.ID))
		ids, err := l.CancelRequests(ctx, "me")
		ok(t, err)
		if d := cmp.Diff([]int64{r.ID}, ids); d != "" {
			t.Error(d)
		}
		if !get(t, l, r.ID).CancelRequested {
			t.Error("the run does not show the request")
		}
		ok(t, l.Finish(ctx, r.ID, "me", ledger.Outcome{State: ledger.Canceled}))
		ids, err = l.CancelRequests(ctx, "me")
		if err != nil || len(ids) != 0 {
			t.Errorf("after the end: %v, %v", ids, err)
		}
		wantError(t, "of a finished run", l.RequestCancel(ctx, r.ID), ledger.ErrState)
		wantError(t, "of none", l.RequestCancel(ctx, 99), ledger.ErrNone)
	})
}

func TestHowARunEndedIsSaidInWords(t *testing.T) {
	want := map[ledger.State]string{
		ledger.Claimed: "has not ended", ledger.Submitted: "has not ended", ledger.Succeeded: "has succeeded", ledger.Failed: "has failed",
		ledger.Canceled: "was canceled", ledger.TimedOut: "has timed out", ledger.Skipped: "was skipped",
	}
	for _, s := range ledger.States() {
		if got := s.Ending(); got != want[s] {
			t.Errorf("%s: got %q, want %q", s, got, want[s])
		}
	}
}
