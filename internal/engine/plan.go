package engine

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

const (
	// onTime is how late an occurrence may start without counting as missed.
	onTime = time.Minute
	// catchUpWindow is how late a missed occurrence may start, unless its job has
	// a starting deadline.
	catchUpWindow = 24 * time.Hour
)

// A plan is what the loop knows about a job with a schedule.
type plan struct {
	job     *jobs.Job
	cursor  time.Time // the newest instant that was dealt with here
	instant time.Time // the next one
	start   time.Time // instant with its jitter
	awaits  jobs.Key  // the occurrence that must end before the next one starts; may be empty

	items watching // of a job with a for_each

	queued int       // occurrences up to cursor that nobody has claimed yet
	dealt  time.Time // the newest instant up to which everything is claimed, or not to be started
	kept   time.Time // the value of dealt that is recorded
}

// claimed records that the occurrence of an instant, and every older one, is in the
// ledger.
func (p *plan) claimed(at time.Time) {
	p.queued--
	if at.After(p.dealt) {
		p.dealt = at
	}
	p.settleDealt()
}

// settleDealt moves dealt to the cursor unless something is queued.
func (p *plan) settleDealt() {
	if p.queued == 0 {
		p.dealt = p.cursor
	}
}

// advance moves on to the first instant after cursor.
func (p *plan) advance(cursor time.Time) {
	p.cursor = cursor
	p.instant = p.job.Schedule.Next(cursor)
	p.start = p.job.Due(jobs.ScheduledKey(p.instant), p.instant)
}

// due reports whether there is something to start, or whether the clock was set back.
func (p *plan) due(now time.Time) bool {
	return p.awaits == "" && !p.start.After(now) || p.cursor.After(now)
}

// pass moves the plan beyond now, and returns the instants to start: all that are on time,
// and the missed ones that the job's policy wants. It logs the other missed ones.
func (p *plan) pass(now time.Time, log *slog.Logger) (starts []time.Time) {
	if p.cursor.After(now) {
		p.advance(now)
		return nil
	}
	p.dropOld(now, log)
	if p.start.After(now) {
		return nil
	}
	if inTurn(p.job) {
		at := p.instant
		late := now.Sub(p.start) > onTime
		if p.advance(at); late || !p.start.After(now) {
			p.awaits = jobs.ScheduledKey(at)
		}
		return []time.Time{at}
	}
	var missed []time.Time
	for ; !p.start.After(now); p.advance(p.instant) {
		if now.Sub(p.start) > onTime {
			missed = append(missed, p.instant)
		} else {
			starts = append(starts, p.instant)
		}
	}
	switch {
	case p.job.CatchUp == jobs.CatchUpAll:
		return append(missed, starts...)
	case p.job.CatchUp != jobs.CatchUpNone && len(starts) == 0:
		starts, missed = missed[len(missed)-1:], missed[:len(missed)-1]
	}
	if n := len(missed); n > 0 {
		p.logMissed(log, "not caught up with", missed[0], missed[n-1])
	}
	return starts
}

// window is how late an occurrence may start.
func (p *plan) window() time.Duration { return cmp.Or(p.job.StartingDeadline, catchUpWindow) }

// dropOld moves the plan beyond the instants that are too old to be started.
func (p *plan) dropOld(now time.Time, log *slog.Logger) {
	first, last := p.instant, time.Time{}
	if oldest := now.Add(-p.window() - p.job.Jitter); p.instant.Before(oldest) {
		last = p.instant
		p.advance(oldest) // at once, because there may be very many
	}
	for now.Sub(p.start) > p.window() {
		last = p.instant
		p.advance(p.instant)
	}
	if !last.IsZero() {
		p.logMissed(log, "too late", first, last)
	}
}

// logMissed logs that no instant from first to last is started.
func (p *plan) logMissed(log *slog.Logger, why string, first, last time.Time) {
	log.Warn("occurrences were missed and are not started", "job", p.job.Name, "reason", why, "from", first, "to", last,
		"catch_up", string(cmp.Or(p.job.CatchUp, jobs.CatchUpLatest)), "starting_deadline", p.window())
}
