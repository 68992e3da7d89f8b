package notify

import (
	"fmt"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

// recover ends alarms, and tells those who were told of them. While items of the job have
// failed and were not done again, the job has not recovered: people are reminded of them
// instead.
func (d *Desk) recover(book *book, r Run, from []Event) {
	if r.Left != 0 && !Failing(book.standing).IsZero() {
		book.close(Late, Overdue, NeedsHuman, Stalled)
		d.remind(book, r)
		return
	}
	var lines []string
	for _, a := range book.close(from...) {
		if Event(a.Kind) == Skipped || Event(a.Kind) == Canceled || a.Quiet {
			continue
		}
		lines = append(lines, over(r.Job, &a))
	}
	if len(lines) == 0 {
		return
	}
	n := d.about(r, Recovered, r.Ended, "")
	n.Title = r.Job.Name + " has recovered"
	n.Lines = slices.Concat(lines, d.whereabouts(r))
	n.Files, n.Bytes = &r.Outcome.Files, &r.Outcome.Bytes
	n.Tasks = d.linked(r.Tasks)
	book.notices = append(book.notices, n.to(channels(r.Job, string(Recovered)))...)
}

// remind tells again of items that have failed, for the channels that were not told for a
// long time.
func (d *Desk) remind(book *book, r Run) {
	for i := range book.standing.Alarms {
		a := &book.standing.Alarms[i]
		event := Event(a.Kind)
		if r.Left < 0 || !event.IsFailure() {
			continue
		}
		tell := book.hearers(a, channels(r.Job, a.Kind))
		if len(tell) == 0 {
			continue
		}
		n := d.about(r, event, r.Ended, "left")
		n.Title = fmt.Sprintf("%s still has %s", r.Job.Name, plain.Count(r.Left, "failed item"))
		list := "runner items " + r.Job.Name
		if r.Job.ForEach == nil { // it follows the job that has the items
			list = "runner runs --job " + r.Job.Name + " --state failed"
		}
		n.Lines = []string{a.Why, "Next step: " + list + " lists them; runner runs retry RUN does one again, and runner runs cancel RUN gives it up"}
		book.send(a, n, tell)
	}
}

// endGivenUp ends the alarms about runs that somebody has given up, and tells those who
// were told of them.
func (b *book) endGivenUp(job *jobs.Job) {
	var lines []string
	b.standing.Alarms = slices.DeleteFunc(b.standing.Alarms, func(a ledger.Alarm) bool {
		if a.GivenUp != "" && !a.Quiet {
			lines = append(lines, over(job, &a))
		}
		return a.GivenUp != ""
	})
	if len(lines) == 0 {
		return
	}
	n := &Notice{
		ID:    digest(job.Name, string(Recovered), fmt.Sprint(b.now.UnixMicro())),
		Event: Recovered, Job: job.Name, Time: b.now, Title: job.Name + " is no longer reported: what failed was given up", Lines: lines,
	}
	b.notices = append(b.notices, n.to(channels(job, string(Recovered)))...)
}

// over says what was wrong with a job, and since when.
func over(job *jobs.Job, a *ledger.Alarm) string {
	line := fmt.Sprintf("%s from %s on%s", inWords(Event(a.Kind)), clock(job, a.Since), times(a.Count))
	if a.GivenUp != "" {
		line += "; given up " + plain.Short(a.GivenUp, maxWhy)
	}
	return line
}

// Failing returns since when a job has open alarms about runs that have failed, or the
// zero time if it has none.
func Failing(s ledger.Standing) (since time.Time) {
	for _, a := range s.Alarms {
		if Event(a.Kind).IsFailure() && a.GivenUp == "" && (since.IsZero() || a.Since.Before(since)) {
			since = a.Since
		}
	}
	return since
}

// Failures are the kinds of alarms about runs that have failed.
func Failures() []string { return []string{string(Failed), string(Refused), string(Missing)} }

// IsFailure reports whether the event says that a run has failed.
func (e Event) IsFailure() bool { return slices.Contains(Failures(), string(e)) }

func times(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(", %d times", n)
}

// troubles are the alarms that a run ends by succeeding.
func troubles() []Event {
	return []Event{Failed, Refused, Missing, Nothing, NeedsHuman, Stalled, Late, Overdue, Skipped, Canceled}
}

func without(events []Event, not Event) []Event {
	return slices.DeleteFunc(events, func(e Event) bool { return e == not })
}
