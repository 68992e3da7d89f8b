// Package schedule says when something is due, by cron expressions and
// intervals, in the time zones of the IANA database and across daylight saving.
// Errors propose a correction, also for the syntax of other schedulers. The
// package has no clock and no loop: the caller passes the instant, and waits.
package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/globus-runner/globus-runner/internal/spelling"
)

// MinEvery is the shortest time between occurrences of an @every schedule.
const MinEvery = time.Minute

const day = 24 * time.Hour

// farthest is how far [Schedule.Last] looks back at least.
const farthest = 10 * 365 * day

// reach is longer than a change of the zone's offset can affect the reading of
// a clock: no clock has ever been 16 hours away from UTC.
const reach = 48 * time.Hour

// A Schedule says when occurrences are due. It may be used concurrently.
//
// A schedule whose minute and hour fields are numbers, ranges and lists is a
// list of fixed times. Each of them is due once, at the first instant at which
// the clocks of the zone show it or a later time. So a time that the clocks
// skip is due right after the gap, and a time that they show twice is due the
// first time. Times that coincide are one occurrence.
//
// A schedule with * or */n in its minute or hour field follows elapsed time: it
// is due whenever the clocks show a matching time. So it is due in both of the
// repeated hours, and never in a gap.
//
// A schedule @every d is due at each multiple of d since 1970-01-01T00:00:00Z,
// whatever the zone, so that a restart does not shift it.
type Schedule struct {
	text  string
	cron  string // the expression in the form of other programs; empty for @every
	zone  *time.Location
	every time.Duration      // of @every, in whole seconds; otherwise 0
	clock *cron.SpecSchedule // matches readings of the clock, see reading
	fixed bool
}

// Parse reads five cron fields (minute, hour, day of month, month, day of week),
// one of @hourly, @daily, @weekly, @monthly and @yearly, or @every with a
// duration such as 90m, which is at least [MinEvery] and whole seconds. A field
// is *, a number, a range, one of these with a /step, or a list; months and days
// of the week may be names, and Sunday is 0 or 7. If both fields of days are
// restricted, a day that matches either of them matches. Times are in zone; nil
// means UTC.
//
// A schedule that would never be due is an error.
func Parse(expr string, zone *time.Location) (*Schedule, error) {
	if zone == nil {
		zone = time.UTC
	}
	if around := spelling.Around(expr); around != "" {
		return nil, fmt.Errorf("schedule %.80q: %s, write it without", expr, around)
	}
	words := strings.Fields(expr)
	s := &Schedule{text: strings.Join(words, " "), zone: zone}
	var err error
	switch {
	case len(words) == 0:
		return nil, errors.New("the schedule is empty")
	case strings.HasPrefix(words[0], "TZ=") || strings.HasPrefix(words[0], "CRON_TZ="):
		return nil, fmt.Errorf("schedule %q: a zone cannot be set here, use time_zone", s.text)
	case words[0] == "@every":
		s.every, err = parseEvery(words[1:])
	case strings.HasPrefix(words[0], "@"):
		s.cron, s.fixed, err = parseDescriptor(s.text)
	default:
		s.cron, s.fixed, err = parseFields(words)
	}
	if err == nil && s.cron != "" {
		s.clock, err = parseClock(s.cron)
	}
	if err == nil && s.clock != nil && s.reading(time.Unix(0, 0)).IsZero() {
		err = errors.New("it is never due: no such day of the month in these months")
	}
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", s.text, err)
	}
	return s, nil
}

// String returns the expression.
func (s *Schedule) String() string { return s.text }

// Location returns the zone.
func (s *Schedule) Location() *time.Location { return s.zone }

// Cron returns the five fields or the descriptor in a form that other programs
// read: in lower case, with 0 for Sunday. It is empty for a schedule @every d.
func (s *Schedule) Cron() string { return s.cron }

// Every returns the d of a schedule @every d, or 0 for others.
func (s *Schedule) Every() time.Duration { return s.every }

// Fixed reports whether the schedule is a list of fixed times.
func (s *Schedule) Fixed() bool { return s.fixed }

// Last returns the newest instant, not after t, at which an occurrence was due,
// in UTC and whole seconds. It is zero if there was none in the ten years
// before t.
func (s *Schedule) Last(t time.Time) time.Time {
	for back := time.Hour; back < 2*farthest; back *= 2 {
		last := s.Next(t.Add(-back))
		if last.After(t) {
			continue
		}
		for next := last; !next.After(t); next = s.Next(next) {
			last = next
		}
		return last
	}
	return time.Time{}
}

// Next returns the first instant after t at which an occurrence is due, in UTC
// and whole seconds.
func (s *Schedule) Next(t time.Time) time.Time {
	t = t.UTC()
	switch {
	case s.every > 0:
		step := int64(s.every / time.Second)
		past := (t.Unix()%step + step) % step
		return time.Unix(t.Unix()-past+step, 0).UTC()
	case s.fixed:
		return s.first(s.reading(s.latest(t)))
	}
	for p := s.period(t.Add(1)); ; p = s.period(p.end) {
		if due := s.reading(p.begin.Add(p.offset - 1)).Add(-p.offset); !p.over(due) {
			return due
		}
	}
}

// reading returns the first reading of the clock after t that matches, or zero.
// A reading is a time in UTC with the date and time that a local clock shows.
func (s *Schedule) reading(t time.Time) time.Time {
	// Next gives up after five years, and between 2096 and 2104 there is no
	// 29th of February.
	for range 3 {
		if next := s.clock.Next(t.UTC()); !next.IsZero() {
			return next
		}
		t = t.AddDate(5, 0, 0)
	}
	return time.Time{}
}

// latest returns the latest reading that the clocks of the zone have shown up to t.
func (s *Schedule) latest(t time.Time) time.Time {
	var latest time.Time
	for p := s.period(t.Add(-reach)); ; p = s.period(p.end) {
		last := t
		if p.over(t) {
			last = p.end.Add(-1)
		}
		if shown := last.Add(p.offset); shown.After(latest) {
			latest = shown
		}
		if !p.over(t) {
			return latest
		}
	}
}

// first returns the first instant at which the clocks of the zone show the
// reading or a later one.
func (s *Schedule) first(reading time.Time) time.Time {
	for p := s.period(reading.Add(-reach)); ; p = s.period(p.end) {
		at := reading.Add(-p.offset)
		if at.Before(p.begin) {
			at = p.begin
		}
		if !p.over(at) {
			return at
		}
	}
}

// A period is a time during which the zone keeps its offset.
type period struct {
	begin  time.Time
	end    time.Time // the first instant after it; zero if it never ends
	offset time.Duration
}

// over reports whether the period has ended at t.
func (p period) over(t time.Time) bool { return !p.end.IsZero() && !t.Before(p.end) }

// period returns the rest of the period around t.
func (s *Schedule) period(t time.Time) period {
	local := t.In(s.zone)
	_, seconds := local.Zone()
	_, end := local.ZoneBounds()
	if !end.IsZero() && !end.After(t) { // Go 1.26 on 31 December of a leap year from 2040 on
		end = t.Add(24 * time.Hour)
	}
	return period{begin: t.UTC(), end: end.UTC(), offset: time.Duration(seconds) * time.Second}
}
