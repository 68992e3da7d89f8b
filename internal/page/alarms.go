package page

import (
	"fmt"
	"net/http"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// An alarmView is a job that needs somebody.
type alarmView struct{ Job, Text string }

// attention lists the jobs that need somebody, by name.
func (s *scene) attention() (all []alarmView) {
	for _, job := range s.file.Jobs {
		d := s.job(job)
		if d.FailingFor > 0 {
			all = append(all, alarmView{d.Name, failing(&d)})
		}
		for _, a := range d.Alarms {
			if a.Kind == "canceled" || d.FailingFor > 0 && (a.Kind == "failed" || a.Kind == reason(&d)) { // it is nobody's task, or is said above
				continue
			}
			if d.FailedItems > 0 && isFailure(a.Kind) { // others have succeeded since
				all = append(all, alarmView{d.Name, "has " + plain.Count(d.FailedItems, "failed item") + because(a.Why)})
				continue
			}
			all = append(all, alarmView{d.Name, alarm(a)})
		}
	}
	return all
}

// alarm says what has not happened, or what else needs somebody.
func alarm(a alarmDocument) string {
	return trouble(a.Kind) + " since " + moment(a.Since) + because(a.Why)
}

// because says why, if that is known.
func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + plain.Short(why, longestWhy)
}

// isFailure reports whether an alarm of a kind is about a run that has failed.
func isFailure(kind string) bool { return kind == "failed" || kind == "refused" || kind == "missing" }

// trouble says what an alarm of a kind is about, after the name of the job.
func trouble(kind string) string {
	switch kind {
	case "failed":
		return "has failed"
	case "canceled":
		return "was canceled"
	case "refused":
		return "is refused by a guard"
	case "missing":
		return "has files without a copy"
	case "nothing":
		return "copies less than expected"
	case "needs_human":
		return "waits for a person"
	case "stalled":
		return "has a task without progress"
	case "late":
		return "is late"
	case "overdue":
		return "is overdue"
	case "skipped":
		return "is skipped"
	case "access":
		return "has an access that ends"
	case "look":
		return "cannot look for items"
	}
	return words(kind)
}

// reason is the kind of the alarm that the newest run of a job has raised by its failure.
func reason(d *jobDocument) string {
	if r := d.LastRun; r != nil && r.Error != nil && failed(ledger.State(r.State)) {
		switch r.Error.Class {
		case "guard":
			return "refused"
		case "missing":
			return "missing"
		}
	}
	return "failed"
}

// failing says how often a job has failed, and why.
func failing(d *jobDocument) string {
	text := trouble(reason(d))
	if d.FailingFor > 1 {
		text += fmt.Sprintf(" %d times", d.FailingFor)
	}
	if r := d.LastRun; r != nil && r.Error != nil && failed(ledger.State(r.State)) {
		text += ": " + r.cause
	}
	return text
}

// An alarmsView is the page of all that needs somebody.
type alarmsView struct {
	frame
	Alarms []alarmView
}

func (p *Page) showAlarms(w http.ResponseWriter, r request) (any, error) {
	s, err := p.board.look(r.Context())
	if err != nil {
		return nil, err
	}
	p.views.write(w, http.StatusOK, "alarms", alarmsView{frame: p.frame("Alarms", r.who), Alarms: s.attention()})
	return nil, nil
}
