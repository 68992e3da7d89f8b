package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func keys(t *testing.T, l *ledger.Ledger, q ledger.Query) []string {
	t.Helper()
	var got []string
	for r, err := range l.Runs(t.Context(), q) {
		ok(t, err)
		got = append(got, r.Job+r.Key)
	}
	return got
}

func TestRunsAreListedNewestFirst(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		claim(t, l, "a", "1", "me", time.Hour)
		claim(t, l, "b", "1", "me", time.Hour)
		last := claim(t, l, "a", "2", "me", time.Hour)
		ok(t, l.Finish(t.Context(), last.ID, "me", ledger.Outcome{State: ledger.Failed}))
		ended, err := l.Run(t.Context(), last.ID)
		ok(t, err)
		tests := map[string]struct {
			query ledger.Query
			want  []string
		}{
			"all":                {ledger.Query{}, []string{"a2", "b1", "a1"}},
			"limit":              {ledger.Query{Limit: 2}, []string{"a2", "b1"}},
			"job":                {ledger.Query{Job: "a"}, []string{"a2", "a1"}},
			"state":              {ledger.Query{State: ledger.Failed}, []string{"a2"}},
			"job and state":      {ledger.Query{Job: "b", State: ledger.Failed}, nil},
			"since the last":     {ledger.Query{Since: last.Claimed}, []string{"a2"}},
			"until the last":     {ledger.Query{Until: last.Claimed}, []string{"b1", "a1"}},
			"open at the end":    {ledger.Query{Open: ended.Finished}, []string{"a2", "b1", "a1"}},
			"open after the end": {ledger.Query{Open: ended.Finished.Add(time.Microsecond)}, []string{"b1", "a1"}},
			"since the epoch":    {ledger.Query{Since: time.Unix(1, 0)}, []string{"a2", "b1", "a1"}},
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				if d := cmp.Diff(tt.want, keys(t, l, tt.query)); d != "" {
					t.Error(d)
				}
			})
		}
	})
}

func TestRunsGoOnOverPages(t *testing.T) {
	const n = 405 // two pages and a bit
	l := open(t, engines["sqlite"](t))
	var want []string
	for i := range n {
		claim(t, l, "j", fmt.Sprint(i), "me", time.Hour)
		want = append(want, fmt.Sprint("j", i))
	}
	slices.Reverse(want)
	if d := cmp.Diff(want, keys(t, l, ledger.Query{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want[:250], keys(t, l, ledger.Query{Limit: 250})); d != "" {
		t.Error(d)
	}
	// The ledger can be used, and a run can end, between two runs of the list.
	seen := 0
	for r, err := range l.Runs(t.Context(), ledger.Query{Limit: 201}) {
		ok(t, err)
		ok(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
		seen++
	}
	if seen != 201 {
		t.Errorf("saw %d runs", seen)
	}
}

func TestRunsEndWithTheError(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		claim(t, l, "j", "1", "me", time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		values := 0
		for r, err := range l.Runs(ctx, ledger.Query{}) {
			values++
			if r != nil {
				t.Errorf("got a run: %v", r)
			}
			wantError(t, "listing", err, context.Canceled)
		}
		if values != 1 {
			t.Errorf("got %d values", values)
		}
	})
}

func TestLatestIsTheLatestDue(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		add := func(job, key string, due time.Time) {
			_, _, err := l.Claim(t.Context(), ledger.Claim{Job: job, Key: key, Due: due, Holder: "me", Lease: time.Hour})
			ok(t, err)
		}
		if latest, err := l.Latest(t.Context()); err != nil || len(latest) != 0 {
			t.Errorf("of an empty ledger: %v, %v", latest, err)
		}
		add("a", "new", due.Add(time.Hour))
		add("a", "caught up", due)
		add("a", "manual", time.Time{})
		add("b", "manual 1", time.Time{})
		add("b", "manual 2", time.Time{})
		add("c", "old", due.AddDate(-1, 0, 0))
		latest, err := l.Latest(t.Context())
		ok(t, err)
		got := map[string]string{}
		for job, r := range latest {
			got[job] = r.Key
		}
		if d := cmp.Diff(map[string]string{"a": "new", "b": "manual 2", "c": "old"}, got); d != "" {
			t.Error(d)
		}
	})
}

func TestEndsAreThoseOfTheNewestRuns(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		if ends, err := l.Ends(t.Context()); err != nil || len(ends) != 0 {
			t.Errorf("of an empty ledger: %v, %v", ends, err)
		}
		end := func(job, key string, state ledger.State) time.Time {
			r := claim(t, l, job, key, "me", time.Hour)
			ok(t, l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: state}))
			r, err := l.Run(t.Context(), r.ID)
			ok(t, err)
			return r.Finished
		}
		end("a", "1", ledger.Succeeded)
		success := end("a", "2", ledger.Succeeded)
		last := end("a", "3", ledger.Failed)
		claim(t, l, "a", "4", "me", time.Hour)
		failed := end("b", "1", ledger.Failed)
		claim(t, l, "c", "1", "me", time.Hour)
		ends, err := l.Ends(t.Context())
		ok(t, err)
		if d := cmp.Diff(map[string]ledger.Ends{"a": {last, success}, "b": {Last: failed}, "c": {}}, ends); d != "" {
			t.Error(d)
		}
	})
}
