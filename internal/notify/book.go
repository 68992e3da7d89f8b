package notify

import (
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

// A book is what is remembered of a job, while an event of it is told.
type book struct {
	standing ledger.Standing
	repeat   time.Duration
	now      time.Time
	notices  []ledger.Notice
}

// open opens the book of a job.
func open(s ledger.Standing, job *jobs.Job, now time.Time) *book {
	s.Alarms = slices.Clone(s.Alarms)
	return &book{standing: s, repeat: job.Notify.Repeat, now: now}
}

// raise notes that something is wrong, and reports whether that is to be told: it is
// new, or was not told for long.
func (b *book) raise(event Event, why string) (alarm *ledger.Alarm, tell bool) {
	i := slices.IndexFunc(b.standing.Alarms, func(a ledger.Alarm) bool { return a.Kind == string(event) })
	if i < 0 {
		b.standing.Alarms = append(b.standing.Alarms, ledger.Alarm{Kind: string(event), Since: b.now, Told: b.now})
		i, tell = len(b.standing.Alarms)-1, true
	}
	alarm = &b.standing.Alarms[i]
	alarm.Count++
	alarm.Why = plain.Short(why, maxWhy)
	if b.isDue(alarm) {
		alarm.Told, alarm.Quiet, alarm.Unheard, tell = b.now, false, false, true
	}
	return alarm, tell
}

// unheardWait is how soon what is wrong is told again if no receiver took the notice.
const unheardWait = 15 * time.Minute

// isDue reports whether what goes on is to be told again.
func (b *book) isDue(a *ledger.Alarm) bool {
	ago := b.now.Sub(a.Told)
	return ago >= b.repeat || a.Unheard && ago >= unheardWait
}

// maxWhy is how much is remembered of why something is wrong, in characters.
const maxWhy = 500

// close ends alarms, and returns those that there were.
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
