package schedule

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// mostTimes is how many times of a day, or days, Words lists.
const mostTimes = 4

// Words says in English when the schedule is due, in its zone, such as "every day
// at 01:30" or "every 15 minutes on weekdays". It is empty for uncommon schedules.
func (s *Schedule) Words() string {
	if s.every > 0 {
		return "every " + units(s.every)
	}
	times, interval := s.timesInWords()
	days, ok := s.daysInWords()
	switch {
	case times == "" || !ok:
		return ""
	case interval && days == "":
		return times
	case interval:
		return times + " " + days
	case days == "":
		days = "every day"
	}
	return days + " " + times
}

// units writes a duration in the largest unit that divides it.
func units(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		switch {
		case d == u.unit:
			return u.name
		case d%u.unit == 0:
			return fmt.Sprintf("%d %ss", d/u.unit, u.name)
		}
	}
	return d.String()
}

// timesInWords says at which times of a day the schedule is due: "at 01:30", or an
// interval such as "every 15 minutes". It is empty if there is no short form.
func (s *Schedule) timesInWords() (text string, interval bool) {
	minutes, hours := members(s.clock.Minute), members(s.clock.Hour)
	switch {
	case len(hours) == 24 && len(minutes) > 1:
		if step := stepOf(minutes, 60); step > 0 {
			return "every " + units(time.Duration(step)*time.Minute), true
		}
	case len(minutes) != 1:
	case len(hours) == 24 && minutes[0] == 0:
		return "every hour", true
	case len(hours) == 24:
		return fmt.Sprintf("every hour at minute %d", minutes[0]), true
	case len(hours) <= mostTimes:
		var times []string
		for _, h := range hours {
			times = append(times, fmt.Sprintf("%02d:%02d", h, minutes[0]))
		}
		return "at " + and(times), false
	default:
		if step := stepOf(hours, 24); step > 0 {
			return fmt.Sprintf("every %d hours from 00:%02d", step, minutes[0]), true
		}
	}
	return "", false
}

// daysInWords says on which days the schedule is due; "" means every day.
func (s *Schedule) daysInWords() (text string, ok bool) {
	of, in, on := members(s.clock.Dom), members(s.clock.Month), members(s.clock.Dow)
	anyOf, anyOn := len(of) == 31, len(on) == 7
	either := s.clock.Dom&star == 0 && s.clock.Dow&star == 0 // a day that matches either of them
	switch {
	case len(in) == 12 && (anyOf && anyOn || either && (anyOf || anyOn)):
		return "", true
	case either && !anyOf && !anyOn || !anyOf && !anyOn || either && (anyOf || anyOn):
		return "", false
	case len(in) == 12 && anyOf:
		return weekdays(on)
	case len(in) == 12 && len(of) <= mostTimes:
		var days []string
		for _, d := range of {
			days = append(days, ordinal(d))
		}
		text = "on the " + and(days) + " of each month"
		if of[len(of)-1] > 28 {
			text += " that has such a day"
		}
		return text, true
	case len(in) == 1 && len(of) == 1:
		return fmt.Sprintf("on %d %s", of[0], time.Month(in[0])), true
	}
	return "", false
}

// weekdays names days of the week, beginning with Monday.
func weekdays(on []int) (text string, ok bool) {
	if slices.Equal(on, []int{1, 2, 3, 4, 5}) {
		return "on weekdays", true
	}
	if on[0] == 0 {
		on = append(on[1:], 0)
	}
	var names []string
	for _, d := range on {
		names = append(names, time.Weekday(d).String()+"s")
	}
	return "on " + and(names), len(on) <= mostTimes
}

// members returns the numbers that a field of robfig/cron matches.
func members(field uint64) (all []int) {
	for field &^= star; field != 0; field &= field - 1 {
		all = append(all, bits.TrailingZeros64(field))
	}
	return all
}

// stepOf returns the step of numbers from 0 to below end if they are evenly spaced,
// also across the end, and otherwise 0.
func stepOf(numbers []int, end int) int {
	step := end / len(numbers)
	for i, n := range numbers {
		if n != i*step || step*len(numbers) != end {
			return 0
		}
	}
	return step
}

func ordinal(n int) string {
	suffix := "th"
	if n/10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n, suffix)
}

// and joins words as in a sentence: "a, b and c".
func and(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
