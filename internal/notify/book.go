package notify

import (
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

// A book is the standing of a job while a transition changes it, and the notices that the
// transition makes.
type book struct {
	standing ledger.Standing
	repeat   time.Duration
	now      time.Time
	notices  []ledger.Notice
}

// open opens the book of a job. What was written by a clock that was ahead counts from
// now: otherwise nobody would be told of anything until that time has come.
func open(s ledger.Standing, job *jobs.Job, now time.Time) *book {
	s.Alarms = slices.Clone(s.Alarms)
	if ahead(s.Since, now) {
		s.Since = now
	}
	for i := range s.Alarms {
		a := &s.Alarms[i]
		if ahead(a.Since, now) {
			a.Since = now
		}
		if ahead(a.Told, now) {
			a.Told = now
		}
	}
	return &book{standing: s, repeat: job.Notify.Repeat, now: now}
}

// ahead reports whether a time was written by a clock that was ahead: by more than the
// clocks of replicas differ.
func ahead(at, now time.Time) bool { return at.After(now.Add(watchEvery)) }

// raise records that something is wrong, and returns which of the channels that hear of
// such an event to tell now, see [book.hearers].
func (b *book) raise(event Event, why string, to []string) (alarm *ledger.Alarm, tell []string) {
	alarm = b.alarm(event)
	if alarm != nil && alarm.GivenUp != "" { // what is wrong now is something else
		*alarm = ledger.Alarm{Kind: string(event), Since: b.now}
	}
	if alarm == nil {
		b.standing.Alarms = append(b.standing.Alarms, ledger.Alarm{Kind: string(event), Since: b.now})
		alarm = &b.standing.Alarms[len(b.standing.Alarms)-1]
	}
	alarm.Count++
	alarm.Why = plain.Short(why, maxWhy)
	return alarm, b.hearers(alarm, to)
}

// alarm returns the open alarm of a kind, or nil.
func (b *book) alarm(kind Event) *ledger.Alarm {
	i := slices.IndexFunc(b.standing.Alarms, func(a ledger.Alarm) bool { return a.Kind == string(kind) })
	if i < 0 {
		return nil
	}
	return &b.standing.Alarms[i]
}

// hearers returns the channels to tell now of an open alarm, and records that they are
// told: all channels if it was never told or not for a long time, or else those that have
// not heard of it.
func (b *book) hearers(a *ledger.Alarm, to []string) []string {
	if b.isDue(a) {
		a.Told, a.Heard, a.Quiet, a.Unheard = b.now, to, false, false
		return to
	}
	added := unaware(a, to)
	if len(added) > 0 {
		a.Heard, a.Quiet = slices.Concat(a.Heard, added), false
	}
	return added
}

// send puts a notice of an alarm into the outbox, for the channels to tell now.
func (b *book) send(a *ledger.Alarm, n *Notice, tell []string) {
	if a.Told.Equal(b.now) { // else some channels have heard of it before
		a.Notice = n.ID
	}
	b.notices = append(b.notices, n.to(tell)...)
}

// unaware returns the channels that have not heard of an alarm, such as one that was added
// to the jobs file after the others were told.
func unaware(a *ledger.Alarm, to []string) []string {
	return slices.DeleteFunc(slices.Clone(to), func(channel string) bool { return slices.Contains(a.Heard, channel) })
}

// unheardWait is how soon people are told again if no receiver took the notice.
const unheardWait = 15 * time.Minute

// isDue reports whether to tell people again of an alarm that goes on.
func (b *book) isDue(a *ledger.Alarm) bool {
	ago := b.now.Sub(a.Told)
	return ago >= b.repeat || a.Unheard && ago >= unheardWait
}

// maxWhy is how long the reason of an alarm may be, in characters.
const maxWhy = 500

// close ends alarms, and returns those that were open.
func (b *book) close(events ...Event) (over []ledger.Alarm) {
	b.standing.Alarms = slices.DeleteFunc(b.standing.Alarms, func(a ledger.Alarm) bool {
		if !slices.Contains(events, Event(a.Kind)) {
			return false
		}
		over = append(over, a)
		return true
	})
	return over
}
