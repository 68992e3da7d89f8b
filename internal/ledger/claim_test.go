package ledger_test

import (
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestClaimsAreCounted(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		c := ledger.Claim{Job: "nightly", Key: "1", Holder: "a", Lease: time.Minute}
		for want := 1; want <= 3; want++ {
			run, mine, err := l.Claim(t.Context(), c)
			if err != nil || !mine || run.Claims != want {
				t.Errorf("got %+v, %t, %v, want it mine and claimed %d times", run, mine, err, want)
			}
		}
		if err := l.Release(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if runs, err := l.TakeOver(t.Context(), "b", time.Minute, 1); err != nil || len(runs) != 1 || runs[0].Claims != 4 {
			t.Errorf("got %v, %v, want one run that was given away four times", runs, err)
		}
	})
}

func TestClaimTellsOfEarlierRuns(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		claim := func(job, key string, first, alone bool) *ledger.Run {
			t.Helper()
			run, _, err := l.Claim(t.Context(), ledger.Claim{Job: job, Key: key, Holder: "a", Lease: time.Minute})
			if err != nil || run.First != first || run.Alone != alone {
				t.Errorf("%s %s: got %+v, %v, want first %t, alone %t", job, key, run, err, first, alone)
			}
			return run
		}
		one := claim("nightly", "1", true, true)
		claim("nightly", "1", false, false) // not new
		claim("hourly", "1", true, true)
		claim("nightly", "2", false, false)
		if err := l.Finish(t.Context(), one.ID, "a", ledger.Outcome{State: ledger.Succeeded}); err != nil {
			t.Fatal(err)
		}
		two := claim("nightly", "2", false, false)
		if err := l.Finish(t.Context(), two.ID, "a", ledger.Outcome{State: ledger.Failed}); err != nil {
			t.Fatal(err)
		}
		claim("nightly", "3", false, true)
	})
}

func TestUnfinishedRunsAreFoundByTheirJob(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		for _, key := range []string{"1", "2"} {
			if _, _, err := l.Claim(t.Context(), ledger.Claim{Job: "nightly", Key: key, Holder: "a", Lease: time.Minute}); err != nil {
				t.Fatal(err)
			}
		}
		done, err := l.Find(t.Context(), "nightly", "1")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Finish(t.Context(), done.ID, "a", ledger.Outcome{State: ledger.Succeeded}); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for run, err := range l.Runs(t.Context(), ledger.Query{Job: "nightly", Unfinished: true}) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, run.Key)
		}
		if len(keys) != 1 || keys[0] != "2" {
			t.Errorf("got %v, want only 2", keys)
		}
	})
}

func TestLeaseOfAClockThatWasAheadIsBelievedForOneLease(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		tests := map[string]func(l *ledger.Ledger, lease time.Duration) bool{
			"by a claim": func(l *ledger.Ledger, lease time.Duration) bool {
				_, mine, err := l.Claim(t.Context(), ledger.Claim{Job: "j", Key: "by a claim", Holder: "other", Lease: lease})
				ok(t, err)
				return mine
			},
			"by a take-over": func(l *ledger.Ledger, lease time.Duration) bool {
				runs, err := l.TakeOver(t.Context(), "other", lease, 10)
				ok(t, err)
				return len(runs) > 0
			},
		}
		for name, take := range tests {
			t.Run(name, func(t *testing.T) {
				l := open(t, url)
				r := claim(t, l, "j", name, "ahead", 1000*time.Hour)
				if take(l, time.Hour) {
					t.Fatal("it was taken at once, from a holder that may live")
				}
				left := time.Until(get(t, l, r.ID).LeaseUntil)
				if left > time.Hour+time.Minute || left < 30*time.Minute {
					t.Errorf("the lease lasts %v, want an hour", left)
				}
				take(l, 0) // a lease that is over
				if !take(l, time.Hour) {
					t.Error("it could not be taken after that")
				}
				ok(t, l.Finish(t.Context(), r.ID, "other", ledger.Outcome{State: ledger.Failed}))
			})
		}
	})
}

// A long lease of one's own was not written by somebody else's clock.
func TestNobodyShortensHisOwnLease(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		r := claim(t, l, "j", "mine", "me", 1000*time.Hour)
		claim(t, l, "j", "other", "you", time.Hour)
		_, mine, err := l.Claim(t.Context(), ledger.Claim{Job: "j", Key: "other", Holder: "me", Lease: time.Hour})
		if err != nil || mine {
			t.Fatalf("got mine %t, %v, want the run of the other one to stay with it", mine, err)
		}
		_, err = l.TakeOver(t.Context(), "me", time.Hour, 10)
		ok(t, err)
		if left := time.Until(get(t, l, r.ID).LeaseUntil); left < 999*time.Hour {
			t.Errorf("the lease lasts %v, want it left alone", left)
		}
	})
}
