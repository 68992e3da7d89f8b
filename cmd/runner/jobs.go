package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/jobs"
)

// A jobInfo is one job as "runner jobs" shows it.
type jobInfo struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"` // as written, with templates
	Schedule    string            `json:"schedule,omitempty"`
	InWords     string            `json:"in_words,omitempty"` // the schedule, where its form is common
	TimeZone    string            `json:"time_zone,omitempty"`
	After       string            `json:"after,omitempty"`
	ForEach     string            `json:"for_each,omitempty"` // the folder of the items
	Suspend     bool              `json:"suspend"`
	Steps       int               `json:"steps"`
	Next        string            `json:"next,omitempty"` // RFC 3339, in UTC, without jitter
	next        time.Time
	Paused      *runlog.Pause `json:"paused,omitempty"`
	LastRun     *runDocument  `json:"last_run,omitempty"` // the run of the newest occurrence, if the ledger knows one
}

func (a *app) jobsCommand() *cobra.Command {
	source := jobsSource{env: a.env}
	c := &cobra.Command{
		Use:     "jobs",
		Short:   "List the jobs of the jobs file, with their last and next runs",
		Example: `  runner jobs -F json --jmespath 'data[].name'`,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := source.load()
			if err != nil {
				return err
			}
			latest, paused, err := a.latest(c.Context())
			if err != nil {
				return err
			}
			now := time.Now()
			infos := make([]jobInfo, len(file.Jobs))
			for i, j := range file.Jobs {
				infos[i] = describeJob(j, now)
				if run := latest[j.Name]; run != nil {
					infos[i].LastRun = new(describeRun(run))
				}
				infos[i].Paused = describePause(paused, j.Name)
			}
			return a.print(newList(infos), func(w io.Writer) {
				rows := make([][]string, len(infos))
				for i := range infos {
					rows[i] = infos[i].row(now)
				}
				tableOr(w, "no jobs", []string{"NAME", "SCHEDULE", "ZONE", "LAST RUN", "NEXT", "DESCRIPTION"}, rows)
			})
		},
	}
	source.flags(c.Flags())
	return c
}

// latest returns the newest run of each job, and the jobs that are paused; nothing if there
// is no ledger.
func (a *app) latest(ctx context.Context) (runs map[string]*ledger.Run, paused map[string]ledger.Pause, err error) {
	l, err := a.openLedger(ctx, nilIfAbsent)
	if err != nil || l == nil {
		return nil, nil, err
	}
	defer l.Close() //nolint:errcheck // it was only read
	if runs, err = l.Latest(ctx); err != nil {
		return nil, nil, err
	}
	paused, err = l.Pauses(ctx)
	return runs, paused, err
}

// describePause returns the pause of a job, or nil if it is not paused.
func describePause(paused map[string]ledger.Pause, job string) *runlog.Pause {
	p, is := paused[job]
	if !is {
		return nil
	}
	return runlog.DescribePause(p)
}

// describeJob describes a job as it is at the instant now.
func describeJob(j *jobs.Job, now time.Time) jobInfo {
	info := jobInfo{
		Name: j.Name, Description: j.Description, Labels: j.Labels,
		After: j.After, Suspend: j.Suspend, Steps: len(j.Steps),
	}
	if j.ForEach != nil {
		info.ForEach = j.ForEach.Folder
	}
	if j.Schedule == nil {
		return info
	}
	info.Schedule, info.InWords, info.TimeZone = j.Schedule.String(), j.Schedule.Words(), j.Schedule.Location().String()
	if !j.Suspend {
		info.next = j.Schedule.Next(now).In(j.Schedule.Location())
		info.Next = info.next.UTC().Format(time.RFC3339)
	}
	return info
}

// row returns the cells of a job at the instant now. A last run whose key is not an instant
// is shown by its age.
func (i *jobInfo) row(now time.Time) []string {
	when := i.Schedule
	switch {
	case i.After != "":
		when = "after " + i.After
	case i.Schedule == "":
		when = "by hand"
	}
	next := ""
	switch {
	case i.Suspend:
		next = "suspended"
	case i.Paused != nil:
		next = i.Paused.Text(rfc3339)
	case !i.next.IsZero():
		next = i.next.Format("2006-01-02 15:04:05 MST")
	}
	if i.ForEach != "" {
		when += ", items of " + i.ForEach
	}
	last := ""
	if i.LastRun != nil {
		last = i.LastRun.Key
		if jobs.Key(last).Due().IsZero() {
			last = ago(now.Sub(i.LastRun.Claimed))
		}
		last += " " + i.LastRun.State
	}
	return []string{i.Name, when, i.TimeZone, last, next, i.Description}
}
