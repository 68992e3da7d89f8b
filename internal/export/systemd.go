package export

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

// A unit is the data of the templates for systemd.
type unit struct {
	Job         string
	Description string
	Folder      bool
	Variables   []string
	Mail        bool
	Timed       bool // started by a timer
	Items       bool // looks for items, whatever instant it was due at

	Calendar   []string // values for OnCalendar of the timer
	Persistent bool
	Jitter     int64 // in seconds
	Suspend    bool
}

// Timers returns a service for each job, and a timer for each job with a
// schedule. They expect the jobs file, or all files of the folder, in
// /etc/runner. What a timer cannot express is an error as in [CronJobs].
func Timers(in Input) (*Result, error) {
	r := &report{input: in}
	r.unread()
	var units []unit
	for _, j := range in.File.Jobs {
		units = append(units, r.unit(j))
	}
	return r.result(func() ([]File, error) {
		var all []File
		for i := range units {
			for _, kind := range []string{"service", "timer"} {
				if kind == "timer" && !units[i].Timed {
					continue
				}
				text, err := render("unit."+kind, units[i])
				if err != nil {
					return nil, err
				}
				all = append(all, File{Name: "runner-" + units[i].Job + "." + kind, Text: text})
			}
		}
		return all, nil
	})
}

// unit returns the data for the units of a job.
func (r *report) unit(j *jobs.Job) unit {
	u := unit{
		Job: j.Name, Description: j.Name, Folder: r.input.folder(), Variables: slices.Sorted(maps.Keys(j.Env)), Mail: r.input.mails(),
		Timed: j.Schedule != nil, Items: j.ForEach != nil, Suspend: j.Suspend,
	}
	if j.Description != "" { // in brackets, because a \ at the end of a line would continue it
		u.Description += " (" + strings.ReplaceAll(j.Description, "%", "%%") + ")"
	}
	r.noLedger(j, "a timer", "let runner serve do it")
	switch {
	case j.After != "":
		r.refuse(j, "after", "systemd would start it also when %s was skipped, because the service ends with 0 then as well; make it a step of %s, or let runner serve do it", j.After, j.After)
		return u
	case j.Schedule == nil:
		return u
	}
	u.Calendar = r.onCalendar(j)
	u.Jitter = int64(j.Jitter / time.Second)
	u.Persistent = j.CatchUp != jobs.CatchUpNone
	return u
}

// unlike refuses the policies that a timer does not have. short and long are
// the shortest and longest time between two occurrences.
func (r *report) unlike(j *jobs.Job, short, long time.Duration) {
	switch j.Concurrency {
	case jobs.Allow, jobs.Replace:
		r.refuse(j, "concurrency_policy", "a timer does not start a job that is still running, so only forbid is possible; let runner serve do it")
	}
	if j.Jitter >= short {
		r.refuse(j, "jitter", "%s is not below %s, the shortest time between two occurrences, so it would not be clear which one starts; write a shorter one", period(j.Jitter), period(short))
	}
	switch j.CatchUp {
	case jobs.CatchUpAll:
		r.refuse(j, "catch_up", "a timer starts only the latest of the missed occurrences; let runner serve do it")
		return
	case jobs.CatchUpNone:
		return // every start is on time
	}
	if deadline := cmp.Or(j.StartingDeadline, catchUpWindow); long > deadline {
		r.refuse(j, "starting_deadline", "a timer starts a missed occurrence as late as the next one, which is up to %s, and not only within %s; write starting_deadline: %s or catch_up: none, or let runner serve do it", period(long), period(deadline), period(long))
	}
}

// onCalendar returns when the timer of a job elapses.
func (r *report) onCalendar(j *jobs.Job) []string {
	if every := j.Schedule.Every(); every > 0 {
		all := everyCalendar(every)
		if all == nil {
			r.refuse(j, "schedule", "a calendar does not have the instants of @every %s; use a part of a day, such as 90m, or let runner serve do it", period(every))
		}
		r.unlike(j, every, every)
		return all
	}
	c, err := newCalendar(j.Schedule)
	if err != nil {
		r.refuse(j, "schedule", "%v", err)
		return nil
	}
	short, long := c.gaps()
	r.unlike(j, short, long)
	zone := c.zone.String()
	skipped, repeated := c.clash(false), c.clash(true)
	switch {
	case c.fixed && !skipped.IsZero():
		r.refuse(j, "schedule", "%s, and systemd leaves the occurrence out; choose another time, or time_zone: UTC, or let runner serve do it", c.clashText(skipped, "does not exist"))
	case c.fixed || repeated.IsZero():
	case c.sameInUTC():
		zone = "UTC"
	default:
		r.refuse(j, "schedule", "%s, and systemd leaves one of them out; choose other hours, or time_zone: UTC, or let runner serve do it", c.clashText(repeated, "occurs twice"))
	}
	return c.onCalendar(zone)
}

// onCalendar writes the calendar in systemd's form. If both fields of days are
// restricted, either may match, which takes two lines.
func (c *calendar) onCalendar(zone string) []string {
	clock := fmt.Sprintf("%s:%s:00 %s", list(values(c.Hour, 0, 23), 24), list(values(c.Minute, 0, 59), 60), zone)
	months := list(values(c.Month, 1, 12), 12)
	days := list(values(c.Dom, 1, 31), 31)
	date := fmt.Sprintf("*-%s-%s %s", months, days, clock)
	weekdays := weekdays(c.Dow)
	if weekdays == "" {
		return []string{date}
	}
	if c.Dom&starBit == 0 && c.Dow&starBit == 0 {
		return []string{date, fmt.Sprintf("%s *-%s-* %s", weekdays, months, clock)}
	}
	return []string{weekdays + " " + date}
}

// everyCalendar returns the expressions for the multiples of d since 1970, or
// nil if there are none.
func everyCalendar(d time.Duration) []string {
	if d == week {
		return []string{"Thu *-*-* 00:00:00 UTC"} // 1970 began on a Thursday
	}
	if day%d != 0 {
		return nil
	}
	hours := map[[2]int][]int{} // by minute and second
	for t := time.Duration(0); t < day; t += d {
		at := [2]int{int(t % time.Hour / time.Minute), int(t % time.Minute / time.Second)}
		hours[at] = append(hours[at], int(t/time.Hour))
	}
	minutes := map[string][]int{} // by hours and second
	for _, at := range slices.SortedFunc(maps.Keys(hours), func(a, b [2]int) int { return a[0] - b[0] }) {
		key := fmt.Sprintf("*-*-* %s:%%s:%02d UTC", list(hours[at], 24), at[1])
		minutes[key] = append(minutes[key], at[0])
	}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(minutes)) {
		all = append(all, fmt.Sprintf(key, list(minutes[key], 60)))
	}
	return all
}

// list writes numbers in systemd's form. If all that are possible are listed, it is
// *.
func list(numbers []int, possible int) string {
	if len(numbers) == possible {
		return "*"
	}
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = fmt.Sprintf("%02d", n)
	}
	return strings.Join(texts, ",")
}

// weekdays writes the days of the week, or "" for all of them.
func weekdays(field uint64) string {
	if field&starBit != 0 {
		return ""
	}
	var names []string
	for _, n := range values(field, 0, 6) {
		names = append(names, time.Weekday(n).String()[:3])
	}
	return strings.Join(names, ",")
}
