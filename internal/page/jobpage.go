package page

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/runlog"
	"github.com/globus-runner/globus-runner/jobs"
)

// A jobView is the page of a job.
type jobView struct {
	frame
	Row     rowView
	Job     jobDocument
	Labels  []string
	Alarms  []string
	Coming  []time.Time // in the zone of the schedule
	Remarks []string
	Runs    []runView
	Actions []runlog.Action
	Chart   chart
	Items   bool
	NoLook  string // why nobody can ask for a look at the folder of the items; empty if one can
}

func (p *Page) showJob(w http.ResponseWriter, r request) (any, error) {
	s, job, err := p.named(r)
	if err != nil {
		return nil, err
	}
	v := jobView{frame: p.frame(job.Name, r.who), Row: s.row(job), Job: s.document(job), Items: job.ForEach != nil}
	switch {
	case !v.Items:
	case v.Job.Paused != nil:
		v.NoLook = "It looks for items again when it is resumed."
	case job.Suspend:
		v.NoLook = "It looks for items again when the jobs file does not suspend it any more."
	case job.Schedule == nil:
		v.NoLook = "It has no schedule, so the scheduler does not look for its items."
	}
	for key, value := range job.Labels {
		v.Labels = append(v.Labels, plain.Line(key+" "+value))
	}
	slices.Sort(v.Labels)
	for _, a := range v.Job.Alarms {
		v.Alarms = append(v.Alarms, alarm(a))
	}
	if job.Schedule != nil {
		v.Remarks, v.Coming = job.Schedule.Remarks(), s.coming(job, v.Job.Paused)
	}
	past, err := once(r.Context(), s, "job "+job.Name, func() (jobHistory, error) { return p.history(r.Context(), s, job) })
	if err != nil {
		return nil, err
	}
	v.Runs, v.Actions, v.Chart = past.runs, past.actions, past.chart
	p.views.write(w, http.StatusOK, "job", v)
	return nil, nil
}

// A jobHistory is what a ledger has of a job.
type jobHistory struct {
	runs    []runView
	actions []runlog.Action
	chart   chart
}

func (p *Page) history(ctx context.Context, s *scene, job *jobs.Job) (h jobHistory, err error) {
	runs, err := p.runs(ctx, ledger.Query{Job: job.Name, Limit: stripLength})
	if err != nil {
		return h, err
	}
	h.runs = viewRuns(runs.Data)
	if h.actions, err = p.actions(ctx, job.Name); err != nil {
		return h, err
	}
	days, err := p.Ledger.Days(ctx, job.Name, s.at.AddDate(0, 0, 1-chartDays))
	h.chart = drawChart(days, s.at)
	return h, err
}

// coming are the next starts of a job with a schedule, in its zone: after the pause, if
// there is one that ends.
func (s *scene) coming(job *jobs.Job, paused *runlog.Pause) (starts []time.Time) {
	at := s.at
	if paused != nil && paused.Until != nil {
		at = *paused.Until
	}
	if job.Suspend || paused != nil && paused.Until == nil {
		return nil
	}
	for range comingShown {
		if at = job.Schedule.Next(at); !at.IsZero() {
			starts = append(starts, job.Due(jobs.ScheduledKey(at), at).In(job.Schedule.Location()))
		}
	}
	return starts
}

// An itemsView is the page of the items of a job.
type itemsView struct {
	frame
	Job   string
	Items []itemDocument
	Look  *lookDocument
	Sums  []string
	More  bool
}

func (p *Page) showItems(w http.ResponseWriter, r request) (any, error) {
	s, job, err := p.named(r)
	if err != nil {
		return nil, err
	}
	all, err := once(r.Context(), s, "items "+job.Name, func() (itemsDocument, error) { return p.items(r.Context(), job) })
	if err != nil {
		return nil, err
	}
	v := itemsView{frame: p.frame("Items of "+job.Name, r.who), Job: job.Name, Items: all.Data, Look: all.Look, More: len(all.Data) == mostItems}
	sums := map[string]int64{}
	for _, i := range all.Data {
		sums[i.State]++
	}
	for state, n := range sums {
		v.Sums = append(v.Sums, words(state)+" "+count(n))
	}
	slices.Sort(v.Sums)
	p.views.write(w, http.StatusOK, "items", v)
	return nil, nil
}
