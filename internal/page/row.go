package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

// A rowView is a job in the list.
type rowView struct {
	Name, When, What string
	Class            string // ok, run, bad, warn or mute
	State, Last      string // what became of the newest run
	Progress         *Progress
	Strip            strip
	Next             string // why it does not start, or how
	At               *startView
}

// A startView is when a job starts.
type startView struct{ At, Local string } // for programs, and in its time zone

// class returns the CSS class of a state.
func class(state string) string {
	switch ledger.State(state) {
	case ledger.Succeeded:
		return "ok"
	case ledger.Claimed, ledger.Submitted:
		return "run"
	case ledger.Failed, ledger.TimedOut:
		return "bad"
	case ledger.Skipped, ledger.Canceled:
		return "mute"
	}
	return "mute"
}

// row is what the list shows of a job.
func (s *scene) row(job *jobs.Job) rowView {
	d := s.job(job)
	v := rowView{Name: d.Name, What: what(job), When: when(job), Class: class(d.State), State: d.State, Strip: drawStrip(s.strips[job.Name].Bars, s.at), Progress: d.Progress}
	if r := d.LastRun; r != nil {
		v.State, v.Class, v.Last = outcome(r, d.FailingFor)
		if d.Held != "" {
			if r.State == string(ledger.Claimed) {
				v.State = "waiting" // nothing was submitted
			}
			v.Last += "; " + plain.Short(d.Held, longestWhy)
		}
	}
	if d.FailedItems > 0 && d.FailingFor == 0 {
		v.Last += " · " + plain.Count(d.FailedItems, "failed item")
		if v.Class == "ok" {
			v.Class = "warn"
		}
	}
	if i := slices.IndexFunc(d.Alarms, func(a alarmDocument) bool { return notify.Event(a.Kind) == notify.LooksFail }); i >= 0 && d.Paused == nil && !job.Suspend {
		v.State, v.Class, v.Last = "cannot look", "bad", plain.Short(d.Alarms[i].Why, longestWhy)
	}
	switch {
	case d.Paused != nil:
		v.Next = plain.Short(d.Paused.Text(moment), 2*longestWhy)
		if d.State == "paused" {
			v.Class = "mute"
		}
	case job.Suspend:
		v.Next = "suspended in the jobs file"
	case job.After != "":
		v.Next = "starts after " + job.After
	case job.Schedule == nil:
		v.Next = "starts by hand"
	case d.Next != nil:
		v.At = &startView{d.Next.Format(time.RFC3339), d.Next.In(job.Schedule.Location()).Format("Mon 2 Jan 15:04")}
	}
	return v
}

// what describes a job in one line.
func what(job *jobs.Job) string {
	text := job.Description
	if job.ForEach != nil {
		text = strings.TrimSuffix("for each item of "+job.ForEach.Folder+"; "+text, "; ")
	}
	return plain.Line(text)
}

// when says when a job is due, in one line.
func when(job *jobs.Job) string {
	switch {
	case job.After != "":
		return "after " + job.After
	case job.Schedule == nil:
		return "by hand"
	}
	text := job.Schedule.String()
	if zone := job.Schedule.Location().String(); zone != "UTC" && job.Schedule.Every() == 0 {
		text += " " + zone
	}
	return text
}

// outcome says what became of a run: a word, its CSS class, and the details. Failing is how
// many runs in a row have failed.
func outcome(r *runDocument, failing int) (state, color, text string) {
	state, color = words(r.State), class(r.State)
	switch {
	case r.Began == nil:
		return "waiting", "run", "until a scheduler takes it up"
	case r.Finished == nil:
		return "running", "run", "since " + moment(*r.Began)
	}
	if r.State != string(ledger.Succeeded) {
		text = r.cause
		if failing > 1 && failed(ledger.State(r.State)) {
			text = strings.TrimPrefix(text+fmt.Sprintf(" · %d runs in a row", failing), " · ")
		}
		return state, color, text
	}
	var parts []string
	if r.Files > 0 || r.FilesDeleted == 0 {
		parts = append(parts, fileCount(r.Files))
	}
	if r.Bytes > 0 {
		parts = append(parts, size(r.Bytes))
	}
	if r.FilesDeleted > 0 {
		parts = append(parts, fileCount(r.FilesDeleted)+" deleted")
	}
	return state, color, strings.Join(parts, ", ") + " in " + took(r.took())
}

// fileCount says how many files there are.
func fileCount(n int64) string {
	if n == 1 {
		return "1 file"
	}
	return count(n) + " files"
}
