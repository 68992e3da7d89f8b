package migrate

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/schedule"
)

// timerFlags are the flags of globus timer create besides those of a transfer.
type timerFlags struct {
	start, interval, stopDate, stopRuns string
}

func (t *timerFlags) set(name, value string) {
	switch name {
	case "start":
		t.start = value
	case "interval":
		t.interval = value
	case "stop-after-date":
		t.stopDate = value
	case "stop-after-runs":
		t.stopRuns = value
	}
}

// recurs reports whether the timer has a schedule. A timer that runs once and
// immediately is the same as a transfer on the line.
func (t *timerFlags) recurs() bool { return *t != timerFlags{} && *t != timerFlags{stopRuns: "1"} }

// scheduleTimer gives a job the schedule of the timer that the line would create.
func (k *call) scheduleTimer(j *job) error {
	t := k.timer
	switch {
	case !t.recurs():
		return nil
	case t.stopDate != "":
		return errors.New("--stop-after-date: a job has no end; leave it out, and remove the job on that day")
	case t.stopRuns == "1":
		return errors.New("--start: a job that runs once has no schedule; start it by hand with runner run")
	case t.stopRuns != "":
		return errors.New("--stop-after-runs: a job does not count its runs; leave it out, and remove the job when they are done")
	case t.interval == "":
		return errors.New("--start: --interval is missing")
	case t.start == "":
		return errors.New("--interval: without --start the timer begins whenever the line runs; add --start")
	}
	interval, err := parseInterval(t.interval)
	if err != nil {
		return fmt.Errorf("--interval: %w", err)
	}
	zone := time.UTC
	if k.entry.clock == "" {
		k.tab.unzoned = true
	} else if zone, err = time.LoadLocation(k.entry.clock); err != nil {
		return fmt.Errorf("time zone %q: %w", k.entry.clock, err)
	}
	start, err := parseStart(t.start, zone)
	if err != nil {
		return fmt.Errorf("--start: %w", err)
	}
	expr, exact := recurring(start, interval)
	if !exact && !k.tab.Nearest {
		return fmt.Errorf("--interval: no schedule has the instants every %s from %s on; the nearest is %q (--nearest takes it)", t.interval, t.start, expr)
	}
	first, later, err := beginsLater(expr, start, interval, k.tab.now)
	switch {
	case err != nil:
		return err
	case later && !k.tab.Nearest:
		return fmt.Errorf("--start: it begins at %s; the nearest is %q from now on (--nearest takes it)", first.Format(time.RFC3339), expr)
	case later:
		k.tab.note(k.entry.where, "--start: it begins at %s; the job begins at once", first.Format(time.RFC3339))
	}
	j.schedule, j.zone = expr, "UTC"
	k.tab.note(k.entry.where, "%s: the job has the schedule of the timer, %q; the line itself would have made a new timer each time", k.name, expr)
	return nil
}

var intervalPattern = pattern.Lazy(`^(?:(\d+)w)?\s*(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+)s?)?$`)

// parseInterval reads an interval as globus-cli does: 1w, 2d, 1h30m, or a
// number of seconds.
func parseInterval(text string) (time.Duration, error) {
	m := intervalPattern().FindStringSubmatch(strings.TrimSpace(text))
	var sum time.Duration
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m == nil || m[i+1] == "" {
			continue
		}
		n, err := strconv.Atoi(m[i+1])
		if err != nil || n > int(maxInterval/unit) {
			return 0, fmt.Errorf("%q is too long", short(text))
		}
		sum += time.Duration(n) * unit
	}
	if sum < time.Minute || sum > maxInterval {
		return 0, fmt.Errorf("%q is not a time from 60s to 365d", short(text))
	}
	return sum, nil
}

// maxInterval is the longest interval of a timer.
const maxInterval = 365 * 24 * time.Hour

// parseStart reads a time as globus-cli does.
func parseStart(text string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05-0700"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-21T02:00:00", short(text))
}

// recurring returns the schedule, in UTC, that is due at start and every
// interval from then on, or else the nearest one. The interval is at least a
// minute, in whole seconds.
func recurring(start time.Time, interval time.Duration) (expr string, exact bool) {
	const day = 24 * time.Hour
	start = start.UTC()
	step, at := int64(interval/time.Second), start.Unix()
	clock := at%60 == 0 && start.Nanosecond() == 0 // cron has no seconds
	m, h := start.Minute(), start.Hour()
	switch minutes, hours := int(interval/time.Minute), int(interval/time.Hour); {
	case interval == 7*day:
		return fmt.Sprintf("%d %d * * %d", m, h, start.Weekday()), clock
	case interval == day:
		return fmt.Sprintf("%d %d * * *", m, h), clock
	case interval == time.Duration(hours)*time.Hour && hours > 0 && 24%hours == 0:
		return fmt.Sprintf("%d %s * * *", m, every(h%hours, hours, 24)), clock
	case interval == time.Duration(minutes)*time.Minute && 60%max(minutes, 1) == 0:
		return every(m%minutes, minutes, 60) + " * * * *", clock
	}
	return "@every " + duration(interval), at%step == 0 && start.Nanosecond() == 0
}

// every returns the cron field that matches first and every step after it, below
// limit.
func every(first, step, limit int) string {
	switch {
	case step == 1:
		return "*"
	case first == 0:
		return fmt.Sprintf("*/%d", step)
	}
	return fmt.Sprintf("%d-%d/%d", first, limit-1, step)
}

// duration writes a duration in the form of a schedule, without units that are zero.
func duration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if cut, ok := strings.CutSuffix(text, zero); ok {
			text = cut + zero[:1]
		}
	}
	return text
}

// beginsLater returns the first instant after now at which a timer is due, and
// whether its schedule would already be due before that.
func beginsLater(expr string, start time.Time, interval time.Duration, now time.Time) (first time.Time, later bool, err error) {
	parsed, err := schedule.Parse(expr, time.UTC)
	if err != nil {
		return first, false, err
	}
	first = firstAfter(start, interval, now)
	return first, parsed.Next(now).Before(first), nil
}

// firstAfter returns the first instant after now at which a timer is due.
func firstAfter(start time.Time, interval time.Duration, now time.Time) time.Time {
	if start.After(now) {
		return start
	}
	return start.Add((now.Sub(start)/interval + 1) * interval)
}
