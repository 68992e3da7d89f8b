package schedule_test

import (
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/schedule"
	"github.com/globus-runner/globus-runner/test/long"
)

// A reading is what a clock and the calendar beside it show, in minutes since
// they showed the beginning of 1970.
type reading int64

func readingOf(local time.Time) reading {
	year, month, day := local.Date()
	return reading(time.Date(year, month, day, local.Hour(), local.Minute(), 0, 0, time.UTC).Unix() / 60)
}

func (r reading) minute() int           { return int(r % 60) }
func (r reading) hour() int             { return int(r / 60 % 24) }
func (r reading) weekday() time.Weekday { return time.Weekday((r/60/24 + 4) % 7) }
func (r reading) day() int              { return instantOf(int64(r)).Day() }
func (r reading) month() time.Month     { return instantOf(int64(r)).Month() }

// oracleRules are expressions with their meaning, said in another way.
var oracleRules = []struct {
	expr  string
	fixed bool
	match func(r reading) bool
}{
	{"30 2 * * *", true, func(r reading) bool { return r.hour() == 2 && r.minute() == 30 }},
	{"0 0 * * *", true, func(r reading) bool { return r.hour() == 0 && r.minute() == 0 }},
	{"@daily", true, func(r reading) bool { return r.hour() == 0 && r.minute() == 0 }},
	{"59 23 * * *", true, func(r reading) bool { return r.hour() == 23 && r.minute() == 59 }},
	{"0,15-45/15 0-3 * * *", true, func(r reading) bool { return r.hour() < 4 && r.minute()%15 == 0 }},
	{"10 1,2 * * 7", true, func(r reading) bool {
		return r.minute() == 10 && (r.hour() == 1 || r.hour() == 2) && r.weekday() == time.Sunday
	}},
	{"5 0 1,30 * fri", true, func(r reading) bool {
		return r.minute() == 5 && r.hour() == 0 && (r.day() == 1 || r.day() == 30 || r.weekday() == time.Friday)
	}},
	{"0 9 28-31 3,10-DEC ?", true, func(r reading) bool {
		return r.minute() == 0 && r.hour() == 9 && r.day() >= 28 && (r.month() == 3 || r.month() >= 10)
	}},
	{"30 23 * * 5-7", true, func(r reading) bool {
		return r.minute() == 30 && r.hour() == 23 && (r.weekday() >= time.Friday || r.weekday() == time.Sunday)
	}},
	{"@hourly", false, func(r reading) bool { return r.minute() == 0 }},
	{"20/20 * * * *", false, func(r reading) bool { return r.minute() == 20 || r.minute() == 40 }},
	{"30 */2 * * *", false, func(r reading) bool { return r.minute() == 30 && r.hour()%2 == 0 }},
	{"*/30 1-2 * * *", false, func(r reading) bool { return r.minute()%30 == 0 && (r.hour() == 1 || r.hour() == 2) }},
	{"*/45 0 1-7 * MON", false, func(r reading) bool {
		return r.minute()%45 == 0 && r.hour() == 0 && (r.day() <= 7 || r.weekday() == time.Monday)
	}},
}

// TestNextAgreesWithAWalkFromMinuteToMinute compares the occurrences around
// each change of each zone's offset in two decades. They hold gaps and repeats
// of 30 minutes (Lord Howe) and 2 hours (Troll), changes at midnight (Asunción,
// Cairo, São Paulo) and a day left out (Apia, 2011-12-30).
func TestNextAgreesWithAWalkFromMinuteToMinute(t *testing.T) {
	for _, year := range long.Or([]int{2007, 2024}, []int{2024}) {
		begin, end := minuteOf(year), minuteOf(year+10)
		for zone, changes := range zonesWithChanges(t, begin, end) {
			t.Run(fmt.Sprintf("%d/%s", year, zone), func(t *testing.T) {
				t.Parallel()
				for from, until := range around(changes) {
					w := walk(t, zone, from, until)
					for _, rule := range oracleRules {
						w.compare(t, rule.expr, w.due(rule.match, rule.fixed))
					}
				}
			})
		}
	}
}

func TestNextAgreesWithAWalkThroughAWholeYear(t *testing.T) {
	for _, zone := range long.Or([]string{"America/Chicago", "Australia/Lord_Howe", "Africa/Casablanca"}, []string{"Australia/Lord_Howe"}) {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			w := walk(t, zone, minuteOf(2028), minuteOf(2029))
			for _, rule := range oracleRules {
				w.compare(t, rule.expr, w.due(rule.match, rule.fixed))
			}
		})
	}
}

func minuteOf(year int) int64 { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Unix() / 60 }

func instantOf(minute int64) time.Time { return time.Unix(minute*60, 0).UTC() }

// zonesWithChanges maps a zone to the minutes since 1970 at which its offset
// changes. Of zones that show the same all the time it has one.
func zonesWithChanges(t *testing.T, begin, end int64) map[string][]int64 {
	t.Helper()
	names, err := os.ReadFile("zones.txt")
	if err != nil {
		t.Fatal(err)
	}
	zones := map[string][]int64{}
	same := map[string]bool{}
	for name := range strings.Lines(string(names)) {
		name = strings.TrimSpace(name)
		changes, id := offsetChanges(load(t, name), begin, end)
		if len(changes) > 0 && !same[id] {
			same[id] = true
			zones[name] = changes
		}
	}
	if len(zones) < 30 {
		t.Fatalf("got %d zones with changes, want more", len(zones))
	}
	return zones
}

// offsetChanges looks at the offset twice a day, and halves the time in which
// it finds a change until it has the minute. The id is the same for zones that
// change together.
func offsetChanges(zone *time.Location, begin, end int64) (changes []int64, id string) {
	const step = 12 * 60
	offset := func(minute int64) int {
		_, seconds := instantOf(minute).In(zone).Zone()
		return seconds
	}
	last := offset(begin)
	id = fmt.Sprint(last)
	for at := begin + step; at < end; at += step {
		if offset(at) == last {
			continue
		}
		before, after := at-step, at
		for after-before > 1 {
			if middle := (before + after) / 2; offset(middle) == last {
				before = middle
			} else {
				after = middle
			}
		}
		last = offset(at)
		changes = append(changes, after)
		id += fmt.Sprint(" ", after, last)
	}
	return changes, id
}

// around yields the span around each change: from 12 hours before, to more than
// a day after, since a change may repeat or leave out a day.
func around(changes []int64) iter.Seq2[int64, int64] {
	return func(yield func(from, until int64) bool) {
		for _, at := range changes {
			if !yield(at-12*60, at+27*60) {
				return
			}
		}
	}
}

// A timeline is what the clocks of a zone show, minute by minute.
type timeline struct {
	zone  *time.Location
	from  int64               // in minutes since 1970
	shown []reading           // at each minute
	fresh map[int64][]reading // what is fresh in a minute, unless it is what is shown
}

// walk looks at the clock in each minute. A reading is fresh in the minute that
// shows it, or jumps over it, for the first time. The first minute must not be
// in a repeated hour.
func walk(t *testing.T, name string, from, until int64) *timeline {
	t.Helper()
	w := &timeline{zone: load(t, name), from: from, fresh: map[int64][]reading{}}
	seen := map[reading]bool{}
	for minute := from; minute < until; minute++ {
		r := readingOf(instantOf(minute).In(w.zone))
		if n := len(w.shown); n > 0 && r != w.shown[n-1]+1 || seen[r] {
			w.fresh[minute] = nil
			for passed := w.shown[n-1] + 1; passed <= r; passed++ {
				if !seen[passed] {
					seen[passed] = true
					w.fresh[minute] = append(w.fresh[minute], passed)
				}
			}
		}
		seen[r] = true
		w.shown = append(w.shown, r)
	}
	return w
}

// due lists the minutes at which a rule is due.
func (w *timeline) due(match func(reading) bool, fixed bool) []int64 {
	var due []int64
	for i, shown := range w.shown {
		minute := w.from + int64(i)
		matches := match(shown)
		if fixed {
			if fresh, odd := w.fresh[minute]; odd {
				matches = slices.ContainsFunc(fresh, match)
			}
		}
		if matches {
			due = append(due, minute)
		}
	}
	return due
}

// compare asks for the next occurrence after each occurrence, now and then in
// between, and in each minute in which the clocks jump or repeat themselves.
func (w *timeline) compare(t *testing.T, expr string, due []int64) {
	t.Helper()
	s, err := schedule.Parse(expr, w.zone)
	if err != nil {
		t.Fatal(err)
	}
	check := func(after, want time.Time) {
		if got := s.Next(after); !got.Equal(want) {
			t.Errorf("%s in %v: after %s got %s, want %s", expr, w.zone, after.In(w.zone), got.In(w.zone), want.In(w.zone))
		}
	}
	after := instantOf(w.from).Add(-1)
	for _, minute := range due {
		for want := instantOf(minute); after.Before(want); after = advance(after, want) {
			check(after, want)
		}
	}
	for minute := range w.fresh {
		if i, _ := slices.BinarySearch(due, minute+1); i < len(due) {
			check(instantOf(minute), instantOf(due[i]))
		}
	}
	end := instantOf(w.from + int64(len(w.shown)))
	if got := s.Next(after); got.Before(end) {
		t.Errorf("%s in %v: after %s got %s, want none before %s", expr, w.zone, after.In(w.zone), got.In(w.zone), end.In(w.zone))
	}
}

// advance returns an instant between t and end, the last nanosecond before
// end, or at last end.
func advance(t, end time.Time) time.Time {
	for _, next := range []time.Time{t.Add(431 * time.Minute), end.Add(-1)} {
		if next.After(t) && next.Before(end) {
			return next
		}
	}
	return end
}

func load(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := schedule.LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}
