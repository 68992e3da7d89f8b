package export

import (
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/globus-runner/globus-runner/schedule"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// starBit is the bit by which robfig/cron marks a field that is not restricted.
const starBit = 1 << 63

// A calendar is a schedule of cron fields.
type calendar struct {
	*cron.SpecSchedule // matches what the clocks show, as a time in UTC
	fixed              bool
	zone               *time.Location
}

// newCalendar returns the calendar of a schedule that is not @every.
func newCalendar(s *schedule.Schedule) (*calendar, error) {
	parsed, err := cron.ParseStandard(s.Cron())
	if err != nil {
		return nil, err
	}
	clock, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("schedule %s is a %T", s, parsed)
	}
	clock.Location = time.UTC
	return &calendar{SpecSchedule: clock, fixed: s.Fixed(), zone: s.Location()}, nil
}

// A shift is a change of a zone's offset: the clocks skip some readings, or
// show some twice.
type shift struct {
	at         time.Time
	first, end time.Time // of these readings, as times in UTC
	repeats    bool
	wholeHours bool // the offsets before and after are whole hours
}

// horizon returns the years whose shifts are examined: 28, after which dates
// fall on the same days of the week again.
func horizon() (begin, end time.Time) {
	begin = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	return begin, begin.AddDate(28, 0, 0)
}

// shifts returns the changes of a zone.
func shifts(zone *time.Location) (all []shift) {
	t, end := horizon()
	for {
		_, next := t.In(zone).ZoneBounds()
		switch {
		case next.IsZero() || next.After(end):
			return all
		case !next.After(t): // package time ends a leap year a day early
			t = t.Add(day)
			continue
		}
		_, before := next.Add(-1).In(zone).Zone()
		_, after := next.In(zone).Zone()
		if t = next; before == after {
			continue
		}
		all = append(all, shift{
			at:         next.UTC(),
			first:      next.UTC().Add(time.Duration(min(before, after)) * time.Second),
			end:        next.UTC().Add(time.Duration(max(before, after)) * time.Second),
			repeats:    after < before,
			wholeHours: before%3600 == 0 && after%3600 == 0,
		})
	}
}

// clash returns the first reading of the calendar that the clocks skip, or show
// twice if repeats is set. It is zero if there is none.
func (c *calendar) clash(repeats bool) time.Time {
	for _, s := range shifts(c.zone) {
		if s.repeats != repeats {
			continue
		}
		if at := c.Next(s.first.Add(-1)); !at.IsZero() && at.Before(s.end) {
			return at
		}
	}
	return time.Time{}
}

// differs finds an instant in the next four years that robfig/cron, and so
// Kubernetes, leaves out or adds when the clocks change. robfig/cron goes from
// day to day by adding hours, so it may miss a day if the clocks change at
// midnight or by half an hour. Fixed times that the clocks show twice are not
// looked for, because it is known that they start twice.
func (c *calendar) differs(s *schedule.Schedule) string {
	there := *c.SpecSchedule
	there.Location = c.zone
	begin, _ := horizon()
	all := shifts(c.zone)
	for _, shift := range all {
		if shift.at.After(begin.AddDate(4, 0, 0)) {
			break
		}
		for _, start := range []struct {
			back  time.Duration
			steps int // a schedule that is due often does not go from day to day
		}{{7 * time.Hour, 500}, {31 * time.Hour, 40}, {8 * day, 40}, {32 * day, 40}, {367 * day, 40}} {
			mine := shift.at.Add(-start.back)
			its := there.Next(mine)
			for range start.steps {
				if mine = s.Next(mine); mine.After(shift.at.Add(50 * time.Hour)) {
					break
				}
				for c.fixed && its.Before(mine) && shownTwice(all, its.In(c.zone)) {
					its = there.Next(its)
				}
				switch {
				case its.IsZero() || its.After(mine):
					return "leaves out " + mine.In(c.zone).Format("2006-01-02 15:04")
				case its.Before(mine):
					return "adds " + its.In(c.zone).Format("2006-01-02 15:04")
				}
				its = there.Next(its)
			}
		}
	}
	return ""
}

// shownTwice reports whether the clocks show the local time t twice.
func shownTwice(all []shift, t time.Time) bool {
	_, offset := t.Zone()
	shown := t.UTC().Add(time.Duration(offset) * time.Second)
	return slices.ContainsFunc(all, func(s shift) bool {
		return s.repeats && !shown.Before(s.first) && shown.Before(s.end)
	})
}

// sameInUTC reports whether the calendar means the same in UTC: it restricts
// only minutes, and the zone is whole hours away from UTC.
func (c *calendar) sameInUTC() bool {
	if c.Hour&^starBit != 1<<24-1 || c.Month&starBit == 0 || c.Dom&starBit == 0 || c.Dow&starBit == 0 {
		return false
	}
	for _, s := range shifts(c.zone) {
		if !s.wholeHours {
			return false
		}
	}
	return true
}

// gaps returns the shortest and the longest time between two readings.
func (c *calendar) gaps() (short, long time.Duration) {
	var times []time.Duration // of a day
	for _, hour := range values(c.Hour, 0, 23) {
		for _, minute := range values(c.Minute, 0, 59) {
			times = append(times, time.Duration(hour)*time.Hour+time.Duration(minute)*time.Minute)
		}
	}
	short = 1<<63 - 1
	add := func(gap time.Duration) { short, long = min(short, gap), max(long, gap) }
	for i := range times[1:] {
		add(times[i+1] - times[i])
	}
	midnights := *c.SpecSchedule // of the days that match
	midnights.Hour, midnights.Minute = 1, 1
	begin, _ := horizon()
	overNight := times[0] - times[len(times)-1]
	for at, end := midnights.Next(begin), begin.AddDate(4, 0, 0); ; {
		next := midnights.Next(at)
		add(next.Sub(at) + overNight)
		if at = next; !at.Before(end) {
			return short, long
		}
	}
}

// clashText says in words what happens to a reading.
func (c *calendar) clashText(at time.Time, fact string) string {
	return fmt.Sprintf("%s %s on %s in %s", at.Format("15:04"), fact, at.Format(time.DateOnly), c.zone)
}

// values returns the numbers from low to high that a field matches.
func values(field uint64, low, high int) (all []int) {
	for n := low; n <= high; n++ {
		if field&(1<<n) != 0 {
			all = append(all, n)
		}
	}
	return all
}

// everyCron returns the cron fields, in UTC, for the multiples of d since 1970.
func everyCron(d time.Duration) (string, bool) {
	switch minutes, hours := int(d/time.Minute), int(d/time.Hour); {
	case d == time.Minute:
		return "* * * * *", true
	case d%time.Minute == 0 && minutes < 60 && 60%minutes == 0:
		return fmt.Sprintf("*/%d * * * *", minutes), true
	case d == time.Hour:
		return "0 * * * *", true
	case d%time.Hour == 0 && hours < 24 && 24%hours == 0:
		return fmt.Sprintf("0 */%d * * *", hours), true
	case d == day:
		return "0 0 * * *", true
	case d == week: // 1970 began on a Thursday
		return "0 0 * * 4", true
	}
	return "", false
}
