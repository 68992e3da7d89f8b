package engine

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
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
// and the missed ones that the job's policy wants. It logs the other missed ones, and
// returns those that are too late.
func (p *plan) pass(now time.Time, log *slog.Logger) (starts []time.Time, old *gap) {
	if p.cursor.After(now) {
		p.advance(now)
		return nil, nil
	}
	old = p.dropOld(now, log)
	if p.start.After(now) {
		return nil, old
	}
	if inTurn(p.job) {
		at := p.instant
		late := now.Sub(p.start) > onTime
		if p.advance(at); late || !p.start.After(now) {
			p.awaits = jobs.ScheduledKey(at)
		}
		return []time.Time{at}, old
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
		return append(missed, starts...), old
	case p.job.CatchUp != jobs.CatchUpNone && len(starts) == 0:
		starts, missed = missed[len(missed)-1:], missed[:len(missed)-1]
	}
	if n := len(missed); n > 0 {
		p.logMissed(log, "not caught up with", gap{missed[0], missed[n-1], n})
	}
	return starts, old
}

// window is how late an occurrence may start.
func (p *plan) window() time.Duration { return cmp.Or(p.job.StartingDeadline, catchUpWindow) }

// mostCounted is up to how many missed occurrences are counted.
const mostCounted = 10_000

// A gap is a row of occurrences that were missed and are not started.
type gap struct {
	first, last time.Time
	count       int // at most mostCounted, which stands for any higher number
}

func (g *gap) add(at time.Time) {
	if g.count == 0 {
		g.first = at
	}
	g.last = at
	g.count = min(g.count+1, mostCounted)
}

// tooLate returns why the last occurrence of a gap is not started, with the number of the others.
func (g *gap) tooLate(p *plan) error {
	why := "too late: it fell due more than " + jobs.FormatDuration(p.window()) + " ago"
	if g.count > 1 {
		others := plain.Count(g.count-1, "other occurrence")
		if g.count == mostCounted {
			others = "more than " + others
		}
		why += fmt.Sprintf(", as did %s from %s on; to do one of those: runner run %s --scheduled-for %s",
			others, g.first.UTC().Format(time.RFC3339), p.job.Name, jobs.ScheduledKey(g.first))
	}
	return skipped("", why)
}

// dropOld moves the plan beyond the instants that are too old to be started, and returns
// them; nil if there are none.
func (p *plan) dropOld(now time.Time, log *slog.Logger) *gap {
	var late gap
	oldest := now.Add(-p.window() - p.job.Jitter)
	for ; p.instant.Before(oldest) && late.count < mostCounted; p.advance(p.instant) {
		late.add(p.instant)
	}
	if p.instant.Before(oldest) {
		p.advance(oldest) // at once, because there may be very many
		late.add(p.job.Schedule.Last(oldest))
	}
	for ; now.Sub(p.start) > p.window(); p.advance(p.instant) {
		late.add(p.instant)
	}
	if late.count == 0 {
		return nil
	}
	p.logMissed(log, "too late", late)
	return &late
}

// logMissed logs that the instants of a gap are not started.
func (p *plan) logMissed(log *slog.Logger, why string, g gap) {
	log.Warn("occurrences were missed and are not started", "job", p.job.Name, "reason", why, "from", g.first, "to", g.last, "count", g.count,
		"catch_up", string(cmp.Or(p.job.CatchUp, jobs.CatchUpLatest)), "starting_deadline", p.window())
}
