package schedule_test

import (
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/schedule"
)

func TestLastIsTheNewestInstantSoFar(t *testing.T) {
	for _, expr := range []string{"* * * * *", "30 1 * * *", "0 4 1,15 * mon", "7 3 29 2 *", "@every 90m", "*/20 9-17 * * 1-5"} {
		zone, err := schedule.LoadZone("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		s, err := schedule.Parse(expr, zone)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 10, 25, 0, 59, 30, 0, time.UTC)
		for range 50 {
			last := s.Last(now)
			if last.After(now) || !s.Next(last).After(now) || s.Next(last.Add(-time.Second)) != last {
				t.Errorf("%s: got %v as the last at %v, the next of which is %v", expr, last, now, s.Next(last))
			}
			now = s.Next(now)
			if got := s.Last(now); got != now {
				t.Errorf("%s: got %v as the last at %v, when it is due", expr, got, now)
			}
			now = now.Add(17 * time.Second)
		}
	}
}

func TestLastReachesBackOverACenturyWithoutALeapDay(t *testing.T) {
	s, err := schedule.Parse("0 0 29 2 *", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Last(time.Date(1903, 6, 1, 0, 0, 0, 0, time.UTC)); !got.Equal(time.Date(1896, 2, 29, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %v, want the leap day of 1896", got)
	}
}
