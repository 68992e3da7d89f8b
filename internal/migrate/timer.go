package migrate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// A timer is one of Globus Timers, in any form that the service uses: older
// timers have no Schedule.
type timer struct {
	ID           string          `json:"job_id"`
	Name         string          `json:"name"`
	Status       string          `json:"status"`
	Type         string          `json:"timer_type"`
	CallbackURL  string          `json:"callback_url"`
	CallbackBody json.RawMessage `json:"callback_body"`
	Body         json.RawMessage `json:"body"`
	Schedule     *timerSchedule  `json:"schedule"`
	Start        string          `json:"start"`
	Interval     *float64        `json:"interval"` // in seconds
	StopAfter    struct {
		Date string `json:"date"`
		Runs int    `json:"n_runs"`
	} `json:"stop_after"`
}

type timerSchedule struct {
	Type     string    `json:"type"`     // once or recurring
	Datetime string    `json:"datetime"` // of once
	Interval *float64  `json:"interval_seconds"`
	Start    string    `json:"start"`
	End      *timerEnd `json:"end"`
}

type timerEnd struct {
	Datetime   string `json:"datetime"`
	Count      int    `json:"count"`
	Iterations int    `json:"iterations"` // written by some programs instead of count
}

// Timers makes jobs from the list of an account's timers, the reply of the
// Timers service to GET /jobs/. now is the instant of the import; timers that
// have ended are left out with a note. It is an error if list is not such a
// document.
func Timers(list []byte, now time.Time, o Options) (Result, error) {
	var doc struct {
		Jobs []json.RawMessage `json:"jobs"`
	}
	if err := json.Unmarshal(list, &doc); err != nil || doc.Jobs == nil {
		return Result{}, fmt.Errorf("%s: this is not a list of timers", o.Name)
	}
	im := newImporter(o)
	for i, raw := range doc.Jobs {
		var t timer
		if err := json.Unmarshal(raw, &t); err != nil {
			im.problem(fmt.Sprintf("timer %d", i+1), "it cannot be read: %v", err)
			continue
		}
		im.timer(&t, now)
	}
	if len(doc.Jobs) == 0 {
		im.note(o.Name, "the account has no timers, so there is nothing to import")
	}
	return im.result(), nil
}

// timer makes a job from a timer, or reports why it cannot be one.
func (im *importer) timer(t *timer, now time.Time) {
	where := plain.Line(fmt.Sprintf("timer %q (%s)", short(t.Name), short(t.ID)))
	switch {
	case slices.Contains([]string{"ended", "completed", "deleted", "delete_in_progress"}, t.Status):
		im.note(where, "left out, it has ended")
		return
	case t.Type == "flow", t.Type != "transfer" && t.CallbackURL != "" && !strings.Contains(t.CallbackURL, "/transfer/"):
		im.problem(where, "it starts a flow or something else at %s, but jobs transfer and delete", cmp.Or(t.CallbackURL, "Globus"))
		return
	}
	before := len(im.problems)
	j := &job{where: where, zone: "UTC", suspend: t.Status == "inactive"}
	if ended := im.schedule(j, t, now); ended {
		im.note(where, "left out, it has ended")
		return
	}
	label := im.body(j, t)
	if !strings.HasPrefix(t.Name, "CLI Created Timer") { // the default name, followed by a time, says nothing
		j.name = t.Name
	}
	j.description = plain.Line(cmp.Or(label, t.Name))
	if len(im.problems) > before {
		return
	}
	j.nameByStep()
	if j.suspend {
		im.note(where, "it is inactive, so the job is suspended")
	}
	im.jobs = append(im.jobs, j)
}

// plan returns the schedule of a timer in its newer form.
func (t *timer) plan() timerSchedule {
	if t.Schedule != nil {
		return *t.Schedule
	}
	s := timerSchedule{Type: "recurring", Interval: t.Interval, Start: t.Start}
	if t.Interval == nil {
		return timerSchedule{Type: "once", Datetime: t.Start}
	}
	if t.StopAfter.Date != "" || t.StopAfter.Runs != 0 {
		s.End = &timerEnd{Datetime: t.StopAfter.Date, Count: t.StopAfter.Runs}
	}
	return s
}

// schedule gives a job the schedule of a timer, and reports whether the timer
// has ended.
func (im *importer) schedule(j *job, t *timer, now time.Time) (ended bool) {
	s := t.plan()
	if s.Type == "once" {
		at, err := parseStart(s.Datetime, time.UTC)
		switch {
		case err != nil:
			im.problem(j.where, "schedule.datetime: %v", err)
		case !at.After(now):
			return true
		default:
			im.inexact(j, fmt.Sprintf("it runs once, at %s", at.Format(time.RFC3339)), "a job without a schedule, which is started by hand")
		}
		return false
	}
	start, interval, err := s.recurrence()
	if err != nil {
		im.problem(j.where, "%v", err)
		return false
	}
	if end := s.End; end != nil {
		what := plain.Count(cmp.Or(end.Count, end.Iterations), "run")
		if end.Datetime != "" {
			if at, err := parseStart(end.Datetime, time.UTC); err == nil && at.Before(now) {
				return true
			}
			what = end.Datetime
		}
		im.inexact(j, "schedule.end: it ends after "+what, "a job without an end")
	}
	expr, exact := recurring(start, interval)
	j.schedule = expr
	if !exact {
		im.inexact(j, fmt.Sprintf("schedule.interval_seconds: no schedule has the instants every %d s from %s on", interval/time.Second, start.Format(time.RFC3339)), fmt.Sprintf("%q", expr))
		return false
	}
	switch first, later, err := beginsLater(expr, start, interval, now); {
	case err != nil:
		im.problem(j.where, "%v", err)
	case later:
		im.inexact(j, fmt.Sprintf("schedule.start: it begins at %s", first.Format(time.RFC3339)), fmt.Sprintf("%q from now on", expr))
	}
	return false
}

// inexact reports that a job cannot do exactly what a timer does, and the
// nearest that it can do.
func (im *importer) inexact(j *job, what, nearest string) {
	if im.Nearest {
		im.note(j.where, "%s; the job is %s", what, nearest)
		return
	}
	im.problem(j.where, "%s; the nearest is %s (--nearest takes it)", what, nearest)
}

// recurrence returns the first instant and the interval of a timer.
func (s *timerSchedule) recurrence() (start time.Time, interval time.Duration, err error) {
	const least, most = float64(time.Minute / time.Second), float64(maxInterval / time.Second)
	switch {
	case s.Type != "recurring":
		return start, 0, fmt.Errorf("schedule.type: %q is neither once nor recurring", short(s.Type))
	case s.Interval == nil:
		return start, 0, errors.New("schedule.interval_seconds: it is missing")
	case *s.Interval < least || *s.Interval > most || *s.Interval != float64(int64(*s.Interval)):
		return start, 0, fmt.Errorf("schedule.interval_seconds: %v is not from 60 to 31536000", *s.Interval)
	}
	if start, err = parseStart(s.Start, time.UTC); err != nil {
		return start, 0, fmt.Errorf("schedule.start: %w", err)
	}
	return start, time.Duration(*s.Interval) * time.Second, nil
}
