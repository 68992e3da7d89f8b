package notify

import (
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	// LooksFail is the kind of the alarm about a folder that cannot be listed. Runs
	// neither raise nor end it. Its notices have the event [Failed] or [NeedsHuman].
	LooksFail Event = "look"

	// People are told of an outage that may pass by itself when it has lasted for
	// passing and stopped passingLooks looks.
	passing      = 15 * time.Minute
	passingLooks = 3
)

// A Look is a look at the folder of a job that has ended.
type Look struct {
	Job   *jobs.Job
	Ended time.Time
	Err   error  // why it could not list the folder; nil if it could
	Why   string // Err with the next step, as the alarm keeps it
	// Passes says that Err may pass by itself: people are told only if it goes on.
	Passes bool
	// Person says that somebody has to renew the account's credentials.
	Person bool
}

// Looked returns what follows from a look at the folder of a job.
func (d *Desk) Looked(l Look) ledger.Transition {
	return func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		book := open(now, l.Job, l.Ended)
		if l.Err == nil {
			d.lookSucceeded(book, l)
		} else {
			d.lookFailed(book, l)
		}
		return book.standing, book.notices
	}
}

// LooksFailSince returns since when the looks at the folder of a job fail, or the zero
// time if they do not.
func LooksFailSince(s ledger.Standing) (since time.Time) {
	for _, a := range s.Alarms {
		if a.Kind == string(LooksFail) {
			since = a.Since
		}
	}
	return since
}

// lookFailed raises the alarm about a folder that cannot be listed, and repeats its notice.
func (d *Desk) lookFailed(book *book, l Look) {
	before := told(book.standing, string(LooksFail)) // zero if it is not raised yet
	event := Failed
	if l.Person && len(channels(l.Job, string(NeedsHuman))) > 0 {
		event = NeedsHuman
	}
	alarm, tell := book.raise(LooksFail, l.Why, channels(l.Job, string(event)))
	if before.IsZero() && l.Passes && (alarm.Count < passingLooks || book.now.Sub(alarm.Since) < passing) {
		alarm.Told, alarm.Heard, alarm.Quiet = time.Time{}, nil, true
		return
	}
	alarm.Event = string(event)
	if len(tell) == 0 {
		return
	}
	n := d.ofLook(l, event)
	n.Title = l.Job.Name + " cannot look for items" + timesSince(l.Job, alarm)
	n.Lines = append(n.Lines, plain.Line(fmt.Sprintf("The folder %s could not be looked at, so nothing new is copied: %v", l.Job.ForEach.Folder, l.Err)))
	next := d.Next(l.Err)
	if next == "" {
		next = "runner items " + l.Job.Name + " --look"
	}
	n.Lines = append(n.Lines, "Next step: "+plain.Line(next))
	book.send(alarm, n, tell)
}

// lookSucceeded ends the alarm, and tells those who were told of it.
func (d *Desk) lookSucceeded(book *book, l Look) {
	for _, a := range book.close(LooksFail) {
		if a.Quiet {
			continue
		}
		n := d.ofLook(l, Recovered)
		n.Title = l.Job.Name + " has recovered"
		n.Lines = []string{fmt.Sprintf("%s from %s on%s", inWords(LooksFail), clock(l.Job, a.Since), times(a.Count))}
		book.notices = append(book.notices, n.to(channels(l.Job, string(Recovered)))...)
	}
}

// ofLook returns a notice of a look, without its texts.
func (d *Desk) ofLook(l Look, event Event) *Notice {
	return &Notice{
		ID:    digest(l.Job.Name, string(LooksFail), string(event), fmt.Sprint(l.Ended.UnixMicro())),
		Event: event, Job: l.Job.Name, Time: l.Ended.UTC(),
	}
}
