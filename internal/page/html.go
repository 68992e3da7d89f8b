package page

import (
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
)

const (
	day         = 24 * time.Hour
	chartDays   = 30
	comingShown = 5
	mostAlarms  = 5
	// mostProblems bounds what is shown of a jobs file that is not in force.
	mostProblems = 5
	longestWhy   = 140 // of a row, in characters
)

// pages are the routes for people.
func (p *Page) pages() []route {
	return []route{
		{method: "GET", path: "/{$}", do: p.showJobs, query: []parameter{{"q", "only jobs with this in the name, description or state"}}},
		{method: "GET", path: "/alarms", do: p.showAlarms},
		{method: "GET", path: "/jobs/{job}", do: p.showJob},
		{method: "GET", path: "/items/{job}", do: p.showItems},
		{method: "GET", path: "/runs", do: p.showRuns, query: runsQuery()},
		{method: "GET", path: "/runs/{run}", do: p.showRun},
		{method: "POST", path: "/jobs/{job}/{deed}", act: true, do: p.postJob},
		{method: "POST", path: "/runs/{run}/{deed}", act: true, do: p.postRun},
	}
}

// A frame is what is around each page.
type frame struct {
	Title, Name string
	Here        string // the part of the menu
	Who         string // "" if nobody has signed in
	Acts        bool
	Signed      bool
}

func (p *Page) frame(title string, who caller) frame {
	return frame{Title: title, Name: p.Name, Who: who.name, Acts: who.role == admin, Signed: who.signed}
}

// A refusedView says why a page is not there.
type refusedView struct {
	frame
	Why string
}

// A jobsView is the first page.
type jobsView struct {
	frame
	Top    topView
	Rows   []template.HTML
	All    int
	Filter string
}

// A topView is what needs somebody, and the sums of all jobs.
type topView struct {
	Pending          *pendingDocument
	Alarms           []alarmView
	More             int
	Running, Failing int
	Paused           int
	Bytes            int64 // today
	Files            int64
	Chart            chart
}

// top sums up the jobs.
func (s *scene) top() topView {
	v := topView{Pending: s.pending, Chart: drawChart(s.days, s.at)}
	for _, d := range s.days {
		if d.Day.Equal(s.at.Truncate(day)) {
			v.Bytes, v.Files = d.Bytes, d.Files
		}
	}
	for _, job := range s.file.Jobs {
		d := s.job(job)
		if d.LastRun != nil && d.LastRun.Finished == nil {
			v.Running++
		}
		if d.Paused != nil || d.Suspend {
			v.Paused++
		}
		if d.FailingFor > 0 {
			v.Failing++
		}
	}
	v.Alarms = s.attention()
	if v.More = len(v.Alarms) - mostAlarms; v.More > 0 {
		v.Alarms = v.Alarms[:mostAlarms]
	}
	return v
}

func (p *Page) showJobs(w http.ResponseWriter, r request) (any, error) {
	s, err := p.board.look(r.Context())
	if err != nil {
		return nil, err
	}
	v := jobsView{frame: p.frame("Jobs", r.who), Top: s.top(), All: len(s.file.Jobs), Filter: plain.Short(r.URL.Query().Get("q"), longestName)}
	v.Here = "jobs"
	for _, job := range s.file.Jobs {
		row := s.row(job)
		if v.Filter == "" || strings.Contains(job.Name+" "+job.Description+" "+row.State, v.Filter) {
			v.Rows = append(v.Rows, row.HTML())
		}
	}
	p.views.write(w, http.StatusOK, "jobs", v)
	return nil, nil
}
