package migrate

import (
	"cmp"
	"slices"
	"strings"
)

// finish adds the jobs of the line, or reports why it has none.
func (c *commandLine) finish() {
	for _, text := range c.foreign {
		c.problem("%s: a job runs nothing else; give the call of globus a line of its own", text)
	}
	c.order()
	for _, j := range c.jobs {
		if j.schedule != "" {
			continue // of a timer
		}
		if err := checkSchedule(c.entry.schedule); err != nil {
			c.problem("%v", err)
			break
		}
		j.schedule, j.zone, c.tab.unzoned = c.entry.schedule, c.entry.zone, c.tab.unzoned || c.entry.zone == ""
	}
	zone := cmp.Or(c.entry.zone, "UTC")
	switch {
	case c.utc && zone != "UTC":
		c.problem("date -u is the day in UTC, but the templates of a job are in the zone of its schedule, %s", zone)
	case c.dates && c.entry.clock != "" && c.entry.clock != zone:
		c.problem("date is in %s, but the templates of a job are in the zone of its schedule, %s", c.entry.clock, zone)
	}
	if delay := c.tab.vars["RANDOM_DELAY"]; delay != "" && delay != "0" {
		c.drop("RANDOM_DELAY (see jitter)")
	}
	c.decide()
	if c.cd != "" {
		c.drop(short(c.cd))
	}
	if len(c.dropped) > 0 {
		instead := ""
		if slices.ContainsFunc(c.dropped, func(text string) bool { return strings.HasPrefix(text, "||") }) {
			instead = "; to be told when a job fails, write notify: {failed: […]} (docs/notices.md)"
		}
		c.tab.note(c.entry.where, "left out, it does not change what is moved: %s%s", strings.Join(c.dropped, ", "), instead)
	}
	if !c.refused {
		c.tab.jobs = append(c.tab.jobs, c.jobs...)
	}
}

// order joins the calls of a line that does more than copy into one job with a
// step for each. Separate jobs would start at the same time.
func (c *commandLine) order() {
	var own []*job
	for _, j := range c.jobs {
		if j.schedule == "" { // not of a timer
			own = append(own, j)
		}
	}
	if len(own) < 2 || !slices.ContainsFunc(own, (*job).needsOrder) {
		return
	}
	for _, j := range own[1:] {
		own[0].join(j)
	}
	c.jobs = slices.DeleteFunc(c.jobs, func(j *job) bool { return slices.Contains(own[1:], j) })
	c.tab.note(c.entry.where, "the calls of the line became the steps of one job: each starts when the one before has succeeded, and is left out if that has failed")
}

// decide reports the conditions that a job does not have. If the line deletes,
// it is refused, because the job would delete without them.
func (c *commandLine) decide() {
	erases := slices.ContainsFunc(c.jobs, (*job).erases)
	for _, text := range c.conditions {
		if erases {
			c.problem("%s: it decides whether the line deletes, but a job has no conditions and would delete whenever it is due; keep the line in cron with runner in place of globus, or take the condition out if it is not needed", text)
			continue
		}
		c.tab.note(c.entry.where, "left out, but it decides whether the line does anything: %s; a job has no conditions, and starts whenever it is due", text)
	}
	for _, text := range c.sourced {
		switch {
		case len(c.doubted) == 0:
			c.tab.note(c.entry.where, "left out, what it sets is not known: %s", text)
		case erases:
			c.problem("%s: it may set %s, and the line deletes where that says; write the values into the crontab, and take this out of the line", text, strings.Join(c.doubted, ", "))
		default:
			c.tab.note(c.entry.where, "left out, but it may set %[2]s, for which the value of the crontab was taken: %[1]s; check that", text, strings.Join(c.doubted, ", "))
		}
	}
}
