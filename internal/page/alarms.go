package page

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/runlog"
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
			kind := notify.Event(a.Kind)
			if kind == notify.Canceled || d.FailingFor > 0 && (kind == notify.Failed || kind == reason(&d)) { // it is nobody's task, or is said above
				continue
			}
			if d.FailedItems > 0 && kind.IsFailure() { // others have succeeded since
				all = append(all, alarmView{d.Name, "has " + plain.Count(d.FailedItems, "failed item") + because(a.Why)})
				continue
			}
			all = append(all, alarmView{d.Name, alarm(a)})
		}
	}
	return all
}

// alarm describes an alarm in a sentence.
func alarm(a alarmDocument) string {
	return trouble(notify.Event(a.Kind)) + " since " + moment(a.Since) + because(a.Why)
}

// because returns the reason of an alarm, to be put behind it; "" if it is not known.
func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + plain.Short(why, longestWhy)
}

// trouble says what an alarm of a kind is about, after the name of the job.
func trouble(kind notify.Event) string {
	switch kind {
	case notify.Failed:
		return "has failed"
	case notify.Canceled:
		return "was canceled"
	case notify.Refused:
		return "is refused by a guard"
	case notify.Missing:
		return "has files without a copy"
	case notify.Nothing:
		return "copies less than expected"
	case notify.NeedsHuman:
		return "waits for a person"
	case notify.Stalled:
		return "has a task without progress"
	case notify.Late:
		return "is late"
	case notify.Overdue:
		return "is overdue"
	case notify.Skipped:
		return "is skipped"
	case notify.Access:
		return "has an access that ends"
	case notify.LooksFail:
		return "cannot look for items"
	}
	return words(string(kind))
}

// reason is the kind of the alarm that the newest run of a job has raised by its failure.
func reason(d *jobDocument) notify.Event {
	if r := d.LastRun; r != nil && r.Error != nil && failed(ledger.State(r.State)) {
		switch r.Error.Class {
		case "guard":
			return notify.Refused
		case "missing":
			return notify.Missing
		}
	}
	return notify.Failed
}

// failing says how often a job has failed, and why.
func failing(d *jobDocument) string {
	text := trouble(reason(d))
	if d.FailingFor > 1 {
		text += fmt.Sprintf(" %d times", d.FailingFor)
	}
	if r := d.LastRun; r != nil && r.Error != nil && failed(ledger.State(r.State)) {
		text += ": " + strings.TrimPrefix(r.cause, runlog.ByGuard)
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
