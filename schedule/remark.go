package schedule

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// star is the bit by which robfig/cron marks a field that is not restricted.
const star = 1 << 63

// Remarks says what may surprise people about the schedule, one sentence each:
// that it is due on days of either kind if both are restricted, that a step
// which does not divide an hour, a day or a month leaves uneven gaps, and that some
// months do not have its day. Most schedules have none.
func (s *Schedule) Remarks() []string {
	words := strings.Fields(s.text)
	if s.clock == nil || len(words) != len(cronFields) {
		return nil
	}
	var remarks []string
	if s.clock.Dom&star == 0 && s.clock.Dow&star == 0 {
		remark := fmt.Sprintf("the day of month (%s) and the day of week (%s) are both restricted: "+
			"it is due on each day that matches either of them, not only where both match", words[2], words[4])
		if bits.OnesCount64(s.clock.Dom) == 31 || bits.OnesCount64(s.clock.Dow) == sunday {
			remark += "; that is each day"
		}
		remarks = append(remarks, remark)
	}
	for i, f := range cronFields {
		once := f.name == "minute" && bits.OnesCount64(s.clock.Hour&^star) == 1 ||
			f.name == "day of month" && bits.OnesCount64(s.clock.Month&^star) == 1
		if remark := f.uneven(words[i]); remark != "" && !once { // where it does not begin anew there is no last gap
			remarks = append(remarks, remark)
		}
	}
	if remark := s.monthsWithout(words[2]); remark != "" {
		remarks = append(remarks, remark)
	}
	return remarks
}

// monthsWithout returns a remark about months that are too short for all of the days of
// the month, while others are not; or "".
func (s *Schedule) monthsWithout(days string) string {
	first := bits.TrailingZeros64(s.clock.Dom)
	if s.clock.Dow&star == 0 || first <= 28 {
		return ""
	}
	var without []string
	for month := time.January; month <= time.December; month++ {
		if last := time.Date(2001, month+1, 0, 0, 0, 0, 0, time.UTC).Day(); s.clock.Month&(1<<month) != 0 && last < first {
			without = append(without, month.String())
		}
	}
	if len(without) == 0 || len(without) == bits.OnesCount64(s.clock.Month&^star) {
		return ""
	}
	remark := fmt.Sprintf("day of month %q is not in each month: it is not due in %s", days, strings.Join(without, ", "))
	if first == 29 {
		remark += " of most years"
	}
	return remark + "; days up to 28 are in each month"
}

// GapBelow returns a time between two successive occurrences that is shorter than
// d, or 0 if there is none within a month.
func (s *Schedule) GapBelow(d time.Duration) time.Duration {
	const shortestDay = 23 * time.Hour // when clocks change
	switch {
	case s.every != 0 && s.every < d:
		return s.every
	case s.every != 0, d <= MinEvery, bits.OnesCount64(s.clock.Minute&^star) == 1 && bits.OnesCount64(s.clock.Hour&^star) == 1 && d <= shortestDay:
		return 0
	}
	const most = 100 // schedules with more occurrences have the same gaps each day
	at := s.Next(time.Date(2001, time.January, 1, 0, 0, 0, 0, time.UTC))
	for range most {
		next := s.Next(at)
		if gap := next.Sub(at); gap < d {
			return gap
		}
		if at = next; at.Month() > time.January {
			break
		}
	}
	return 0
}

// uneven returns a remark about a step over the whole field that does not divide it
// evenly, or "".
func (f *cronField) uneven(text string) string {
	bounds, stepText, stepped := strings.Cut(text, "/")
	step, ok := number(stepText)
	if !stepped || !ok || step < 2 || bounds != "*" && bounds != "?" && bounds != strconv.Itoa(f.min) {
		return ""
	}
	last := f.max
	if last == sunday {
		last-- // Sunday's second number
	}
	span := last - f.min + 1
	var values []string
	value := f.min
	for v := f.min; v <= last; v += step {
		values, value = append(values, strconv.Itoa(v)), v
	}
	gap := f.min + span - value
	if gap == step && f.name != "day of month" {
		return ""
	}
	if len(values) > 6 {
		values = slices.Concat(values[:3], []string{"…"}, values[len(values)-1:])
	}
	where := map[string]string{"minute": "hour", "hour": "day", "day of month": "month", "month": "year", "day of week": "week"}[f.name]
	remark := fmt.Sprintf("%s %q is %s of each %s", f.name, text, strings.Join(values, ", "), where)
	switch {
	case len(values) == 1:
		return remark + ", once only: write " + values[0] + f.asEvery(stepText)
	case f.name == "day of month":
		remark += ", and starts again each month"
	default:
		unit := strings.Replace(f.name, "day of week", "day", 1)
		remark += fmt.Sprintf(", which is uneven: the last gap is %d %s long, not %d", gap, plural(unit, gap), step)
	}
	return remark + f.asEvery(stepText)
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
