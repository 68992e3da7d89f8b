package notify

import (
	"fmt"
	"slices"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// recover ends alarms, and tells those who were told of them. While items of the job have
// failed and were not done again, the job has not recovered: people are reminded of them
// instead.
func (d *Desk) recover(book *book, r Run, from []Event) {
	if r.Left != 0 && Failing(book.standing) {
		book.close(Late, Overdue, NeedsHuman, Stalled)
		d.remind(book, r)
		return
	}
	var lines []string
	for _, a := range book.close(from...) {
		if Event(a.Kind) == Skipped || Event(a.Kind) == Canceled || a.Quiet {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s from %s on%s", inWords(Event(a.Kind)), clock(r.Job, a.Since), times(a.Count)))
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
		n.Lines = []string{a.Why, fmt.Sprintf("Next step: runner items %[1]s lists them, and runner why %[1]s says how each is done again", r.Job.Name)}
		book.notices = append(book.notices, n.to(tell)...)
	}
}

// Failing reports whether a job has an open alarm about a run that has failed.
func Failing(s ledger.Standing) bool {
	return slices.ContainsFunc(s.Alarms, func(a ledger.Alarm) bool { return Event(a.Kind).IsFailure() })
}

// IsFailure reports whether the event says that a run has failed.
func (e Event) IsFailure() bool { return e == Failed || e == Refused || e == Missing }

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
