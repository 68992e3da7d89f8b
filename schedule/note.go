package schedule

import (
	"fmt"
	"time"
)

// Note says in a sentence what daylight saving, or another change of the zone's
// offset, does to the occurrence at t. It is empty if that is nothing, or if no
// occurrence is due at t.
func (s *Schedule) Note(t time.Time) string {
	if s.clock == nil {
		return ""
	}
	p := s.period(t)
	shown := t.UTC().Add(p.offset)
	due := s.reading(shown.Add(-1))
	if s.fixed {
		due = s.reading(s.latest(t.Add(-1)))
		if !s.first(due).Equal(t) {
			return ""
		}
	}
	switch {
	case due.Before(shown):
		return s.skipped(due, shown)
	case due.After(shown) || !s.repeated(t, shown):
		return ""
	case s.fixed:
		return s.remark(shown, "occurs twice", "runs the first time")
	}
	return s.remark(shown, "occurs twice", "runs both times")
}

// skipped describes the times from first until before end, which the clocks skip.
func (s *Schedule) skipped(first, end time.Time) string {
	last := first
	for next := s.reading(last); next.Before(end); next = s.reading(next) {
		last = next
	}
	if last.Equal(first) {
		return s.remark(first, "does not exist", "runs right after the gap")
	}
	return first.Format("15:04 to ") + s.remark(last, "do not exist", "run once, right after the gap")
}

func (s *Schedule) remark(reading time.Time, fact, consequence string) string {
	return fmt.Sprintf("%s %s on %s in %s, %s", reading.Format("15:04"), fact, reading.Format(time.DateOnly), s.zone, consequence)
}

// repeated reports whether the clocks also show the reading at an instant other than
// t.
func (s *Schedule) repeated(t, reading time.Time) bool {
	for p := s.period(t.Add(-reach)); p.begin.Before(t.Add(reach)); p = s.period(p.end) {
		at := reading.Add(-p.offset)
		if !at.Equal(t) && !at.Before(p.begin) && !p.over(at) {
			return true
		}
		if p.end.IsZero() {
			break
		}
	}
	return false
}
