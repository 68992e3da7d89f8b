package ledger_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// hourly is what the ledger keeps of a job that was dealt with up to an hour.
func hourly(job string, hour int) ledger.Schedule {
	return ledger.Schedule{Job: job, Expr: "0 * * * *", Zone: "UTC", Cursor: time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC)}
}

// wantSchedules checks what the ledger keeps.
func wantSchedules(t *testing.T, l *ledger.Ledger, want ...ledger.Schedule) {
	t.Helper()
	byJob := map[string]ledger.Schedule{}
	for _, is := range want {
		byJob[is.Job] = is
	}
	got, err := l.Schedules(t.Context())
	ok(t, err)
	if diff := cmp.Diff(byJob, got); diff != "" {
		t.Errorf("schedules (-want +got):\n%s", diff)
	}
}

// reschedule writes schedules down whatever was kept.
func reschedule(t *testing.T, l *ledger.Ledger, all ...ledger.Schedule) {
	t.Helper()
	ok(t, l.Reschedule(t.Context(), func(map[string]ledger.Schedule) []ledger.Schedule { return all }))
}

func TestOriginIsKept(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		for _, want := range []string{"", "/a/jobs.yaml", "/b/jobs.yaml"} {
			if want != "" {
				ok(t, l.SetOrigin(t.Context(), want))
			}
			if got, err := open(t, url).Origin(t.Context()); err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
	})
}

func TestSchedulesAreKept(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		wantSchedules(t, l)
		suspended := hourly("b", 2)
		suspended.Suspended = true
		reschedule(t, l, hourly("a", 5), suspended)
		wantSchedules(t, open(t, url), hourly("a", 5), suspended)

		gone := ledger.Schedule{Job: "a", Cursor: suspended.Cursor}
		ok(t, l.Reschedule(t.Context(), func(known map[string]ledger.Schedule) []ledger.Schedule {
			if diff := cmp.Diff(map[string]ledger.Schedule{"a": hourly("a", 5), "b": suspended}, known); diff != "" {
				t.Errorf("known (-want +got):\n%s", diff)
			}
			return []ledger.Schedule{gone}
		}))
		wantSchedules(t, l, gone, suspended)
	})
}

func TestCursorsMoveAheadOfTheirOwnScheduleOnly(t *testing.T) {
	edited := func(edit func(*ledger.Schedule)) ledger.Schedule {
		is := hourly("a", 5)
		edit(&is)
		return is
	}
	tests := map[string]struct{ is, moved, want ledger.Schedule }{
		"ahead":            {hourly("a", 5), hourly("a", 6), hourly("a", 6)},
		"back":             {hourly("a", 5), hourly("a", 4), hourly("a", 5)},
		"another schedule": {edited(func(s *ledger.Schedule) { s.Expr = "@daily" }), hourly("a", 6), edited(func(s *ledger.Schedule) { s.Expr = "@daily" })},
		"another zone":     {edited(func(s *ledger.Schedule) { s.Zone = "Asia/Tokyo" }), hourly("a", 6), edited(func(s *ledger.Schedule) { s.Zone = "Asia/Tokyo" })},
		"suspended":        {edited(func(s *ledger.Schedule) { s.Suspended = true }), hourly("a", 6), edited(func(s *ledger.Schedule) { s.Suspended = true })},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, url string) {
				l := open(t, url)
				reschedule(t, l, tt.is, hourly("other", 1))
				ok(t, l.MoveCursors(t.Context(), nil))
				ok(t, l.MoveCursors(t.Context(), []ledger.Schedule{tt.moved}))
				wantSchedules(t, l, tt.want, hourly("other", 1))
			})
		})
	}
}

func TestReplicasRescheduleOneAfterTheOther(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		var wg sync.WaitGroup
		for range 4 {
			l := open(t, url)
			wg.Go(func() {
				for range 5 {
					err := l.Reschedule(t.Context(), func(known map[string]ledger.Schedule) []ledger.Schedule {
						return []ledger.Schedule{hourly(fmt.Sprint("job-", len(known)), len(known))}
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		known, err := open(t, url).Schedules(t.Context())
		ok(t, err)
		if len(known) != 20 {
			t.Errorf("%d schedules are kept, want 20: two replicas saw the same state", len(known))
		}
	})
}

func TestLatestDueKnowsNothingOfTheFutureAndOfRunsByHand(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		due := func(hour int) time.Time { return time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC) }
		for _, c := range []ledger.Claim{
			{Job: "a", Key: "1", Due: due(1)},
			{Job: "a", Key: "3", Due: due(3)},
			{Job: "a", Key: "2", Due: due(2)},
			{Job: "a", Key: "far", Due: due(5).AddDate(30, 0, 0)},
			{Job: "a", Key: "manual:x"},
			{Job: "b", Key: "manual:x"},
			{Job: "c", Key: "far", Due: due(6)},
		} {
			c.Holder, c.Lease = "h", time.Minute
			_, _, err := l.Claim(t.Context(), c)
			ok(t, err)
		}
		got, err := l.LatestDue(t.Context(), due(5))
		ok(t, err)
		if diff := cmp.Diff(map[string]time.Time{"a": due(3)}, got); diff != "" {
			t.Errorf("latest (-want +got):\n%s", diff)
		}
	})
}
