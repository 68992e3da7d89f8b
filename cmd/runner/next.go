package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// maxNext bounds how many occurrences are printed.
const maxNext = 100_000

// A nextDocument is one coming occurrence, as "runner next" prints it.
type nextDocument struct {
	Job          string    `json:"job"`
	Key          jobs.Key  `json:"key"`           // the scheduled instant in UTC
	ScheduledFor time.Time `json:"scheduled_for"` // the same in the job's zone
	TimeZone     string    `json:"time_zone"`
	Start        time.Time `json:"start"` // in UTC, with the job's jitter
	Suspend      bool      `json:"suspend"`
	Paused       bool      `json:"paused,omitempty"` // the job is paused by then, so it does not start
	Note         string    `json:"note,omitempty"`   // only if asked for, or if it is a look for items
}

// A nextResult is the result of "runner next".
type nextResult struct {
	list[nextDocument]
	Remarks []jobRemark `json:"remarks,omitempty"` // only if asked for

	empty string // says why there is none
}

// A jobRemark says what may be surprising about the schedule of a job.
type jobRemark struct {
	Job    string `json:"job"`
	Remark string `json:"remark"`
}

// explain adds what is surprising about the schedules, and about each occurrence.
func (r *nextResult) explain(scheduled []*jobs.Job) {
	byName := map[string]*jobs.Job{}
	for _, j := range scheduled {
		byName[j.Name] = j
		for _, remark := range j.Schedule.Remarks() {
			r.Remarks = append(r.Remarks, jobRemark{j.Name, remark})
		}
	}
	for i := range r.Data {
		d := &r.Data[i]
		d.Note = joinNotes(d.Note, byName[d.Job].Schedule.Note(d.ScheduledFor))
	}
}

// text prints the table, and the remarks below it.
func (r *nextResult) text(w io.Writer) {
	nextTable(w, r.Data, r.empty)
	if len(r.Remarks) > 0 {
		fmt.Fprintln(w)
	}
	for _, remark := range r.Remarks {
		fmt.Fprintf(w, "%s: %s\n", remark.Job, remark.Remark)
	}
}

// A nextSpan says which occurrences are wanted.
type nextSpan struct {
	from, until instant // until is zero if only the count ends it
	count       int
}

// coming returns the occurrences of the jobs that are wanted.
func (s nextSpan) coming(scheduled []*jobs.Job) ([]nextDocument, error) {
	begin := time.Now()
	if !s.from.IsZero() {
		begin = s.from.Add(-1) // an occurrence at that very instant counts
	}
	until := s.until.Time.Time
	switch {
	case s.count < 1 || s.count > maxNext:
		return nil, usageError{fmt.Errorf("--count %d: want a number from 1 to %d", s.count, maxNext)}
	case !until.IsZero() && s.from.IsZero() && !until.After(begin):
		return nil, usageError{fmt.Errorf("--until %s is over; give an earlier time in --from", rfc3339(until))}
	case !until.IsZero() && !until.After(begin):
		return nil, usageError{fmt.Errorf("--until %s is not after --from: there is no time between them", rfc3339(until))}
	}
	return comingOccurrences(scheduled, begin, until, s.count), nil
}

func (a *app) nextCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	var span nextSpan
	var explain bool
	c := &cobra.Command{
		Use:   "next [JOB...]",
		Short: "Print when jobs are due next",
		Long: `Print the next occurrences of all jobs, or of the named ones, in the order of
time. For suspended jobs, only the name is printed. What a pause keeps from
starting is marked.

LOCAL is the scheduled time in the job's zone, UTC is the same instant and the
key of the occurrence, and START is when it may start, after the job's jitter.
At that time, a job with for_each looks for items; each item that is ready becomes
an occurrence.`,
		Example: `  runner next nightly-archive --from 2026-03-07 --count 3 --explain
  runner next nightly-archive --from 2026-11-01 --until 2026-11-08`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, names []string) error {
			file, err := source.load(names...)
			if err != nil {
				return err
			}
			scheduled, err := file.scheduled(names)
			if err != nil {
				return err
			}
			file.logEnvironment(a.log)
			if !span.until.IsZero() && !c.Flags().Changed("count") {
				span.count = maxNext
			}
			coming, err := span.coming(scheduled)
			if err != nil {
				return err
			}
			doc := nextResult{list: newList(coming), empty: "no job has a schedule that is not suspended"}
			if len(scheduled) > 0 {
				doc.empty = "nothing is due in that time"
			}
			if explain {
				doc.explain(scheduled)
			}
			heedPauses(doc.Data, a.pauses(c.Context()))
			return a.print(doc, doc.text)
		},
	}
	flags := c.Flags()
	source.flags(flags)
	flags.Var(&span.from, "from", "start from this time (UTC), such as 2026-11-21 or 2026-11-21T02:00:00Z; default: now")
	flags.Var(&span.until, "until", "end before this time (UTC); without --count, all occurrences up to then are printed")
	flags.IntVar(&span.count, "count", 10, "how many occurrences to print")
	flags.BoolVar(&explain, "explain", false, "explain the effects of daylight saving, and what may be surprising in a schedule")
	return c
}

// scheduled returns the jobs of these names, which must have a schedule, or
// all that have one and are not suspended.
func (f *jobsFile) scheduled(names []string) ([]*jobs.Job, error) {
	var scheduled []*jobs.Job
	for _, name := range names {
		j, err := f.job(name)
		switch {
		case err != nil:
			return nil, err
		case j.Schedule == nil && j.After != "":
			return nil, usageError{fmt.Errorf("job %s has no schedule: it starts after %s", name, j.After)}
		case j.Schedule == nil:
			return nil, usageError{fmt.Errorf("job %s has no schedule: it is started by hand", name)}
		case !slices.Contains(scheduled, j):
			scheduled = append(scheduled, j)
		}
	}
	if len(names) > 0 {
		return scheduled, nil
	}
	for _, j := range f.Jobs {
		if j.Schedule != nil && !j.Suspend {
			scheduled = append(scheduled, j)
		}
	}
	return scheduled, nil
}

// comingOccurrences returns the first occurrences after an instant, in the
// order of time, and before another one unless that is zero.
func comingOccurrences(scheduled []*jobs.Job, after, until time.Time, count int) []nextDocument {
	due := make([]time.Time, len(scheduled))
	for i, j := range scheduled {
		due[i] = j.Schedule.Next(after)
	}
	var coming []nextDocument
	for len(due) > 0 && len(coming) < count {
		i := earliest(due)
		if !until.IsZero() && !due[i].Before(until) {
			break
		}
		coming = append(coming, describeNext(scheduled[i], due[i]))
		due[i] = scheduled[i].Schedule.Next(due[i])
	}
	return coming
}

// heedPauses marks the occurrences that a pause keeps from starting.
func heedPauses(coming []nextDocument, paused map[string]ledger.Pause) {
	for i := range coming {
		d := &coming[i]
		p, is := paused[d.Job]
		if d.Paused = is && (p.Until.IsZero() || d.Start.Before(p.Until)); d.Paused {
			d.Note = joinNotes(describePause(paused, d.Job).Text(rfc3339)+", does not start", d.Note)
		}
	}
}

// pauses returns the jobs that are paused, or none if there is no ledger.
func (a *app) pauses(ctx context.Context) map[string]ledger.Pause {
	if _, err := a.stateURL(); err != nil {
		return nil // there is no folder for a ledger
	}
	l, err := a.openLedger(ctx, nilIfAbsent)
	if err == nil && l != nil {
		defer l.Close() //nolint:errcheck // it was only read
		var paused map[string]ledger.Pause
		if paused, err = l.Pauses(ctx); err == nil {
			return paused
		}
	}
	if err != nil {
		a.log.Warn("it is not known which jobs are paused", "err", err)
	}
	return nil
}

// earliest returns the index of the first of the earliest instants.
func earliest(instants []time.Time) int {
	first := 0
	for i, t := range instants {
		if t.Before(instants[first]) {
			first = i
		}
	}
	return first
}

func describeNext(j *jobs.Job, at time.Time) nextDocument {
	key := jobs.ScheduledKey(at)
	d := nextDocument{
		Job: j.Name, Key: key, ScheduledFor: at.In(j.Schedule.Location()), TimeZone: j.Schedule.Location().String(),
		Start: j.Due(key, at), Suspend: j.Suspend,
	}
	if j.ForEach != nil {
		d.Note = "looks for items of " + j.ForEach.Folder
	}
	return d
}

// joinNotes returns the notes that are not empty, as one.
func joinNotes(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(n string) bool { return n == "" }), "; ")
}

// nextTable prints the occurrences, or a sentence if there are none.
func nextTable(w io.Writer, coming []nextDocument, otherwise string) {
	head := []string{"JOB", "LOCAL", "ZONE", "UTC", "START"}
	var rows [][]string
	notes := false
	for _, d := range coming {
		note := d.Note
		if d.Suspend {
			note = joinNotes("suspended, does not start", note)
		}
		notes = notes || note != ""
		rows = append(rows, []string{
			d.Job, d.ScheduledFor.Format("Mon 2006-01-02 15:04:05 MST"), d.TimeZone, string(d.Key), d.Start.Format("2006-01-02T15:04:05.999Z07:00"), note,
		})
	}
	if notes {
		head = append(head, "NOTE")
	} else {
		for i := range rows {
			rows[i] = rows[i][:len(head)]
		}
	}
	tableOr(w, otherwise, head, rows)
}
