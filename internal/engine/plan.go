package engine

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

const (
	// onTime is how late an occurrence may start without being a missed one.
	onTime = time.Minute
	// catchUpWindow bounds the occurrences that are caught up with, unless a
	// job has a starting deadline.
	catchUpWindow = 24 * time.Hour
)

// A plan is what the loop knows about a job with a schedule.
type plan struct {
	job     *jobs.Job
	cursor  time.Time // the newest instant that was dealt with
	instant time.Time // the next one
	start   time.Time // instant with its jitter
	wait    jobs.Key  // the occurrence that must be over before the next one; may be empty
}

// advance moves on to the first instant after cursor.
func (p *plan) advance(cursor time.Time) {
	p.cursor = cursor
	p.instant = p.job.Schedule.Next(cursor)
	p.start = p.job.Due(jobs.ScheduledKey(p.instant), p.instant)
}

// inTurn reports whether missed occurrences are started one after the other:
// all at once, the job's policy would skip or replace them.
func (p *plan) inTurn() bool {
	return p.job.CatchUp == jobs.CatchUpAll && p.job.Concurrency != jobs.Allow
}

// due reports whether there is something to start, or the clock was set back.
func (p *plan) due(now time.Time) bool {
	return p.wait == "" && !p.start.After(now) || p.cursor.After(now)
}

// pass moves the plan beyond now and returns the instants that are to be
// started: those that are on time, and of the missed ones what the job's policy
// wants. The others are logged.
func (p *plan) pass(now time.Time, log *slog.Logger) (starts []time.Time) {
	if p.cursor.After(now) {
		p.advance(now)
		return nil
	}
	window := cmp.Or(p.job.StartingDeadline, catchUpWindow)
	var lost gap
	if oldest := now.Add(-window - p.job.Jitter); p.instant.Before(oldest) {
		lost.add(p.instant)
		p.advance(oldest) // without a look at each: there may be very many
	}
	for now.Sub(p.start) > window {
		lost.add(p.instant)
		p.advance(p.instant)
	}
	lost.log(log, p.job, "too late")
	if p.start.After(now) {
		return nil
	}
	if p.inTurn() {
		at := p.instant
		if p.advance(at); !p.start.After(now) {
			p.wait = jobs.ScheduledKey(at)
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
	var left gap
	for _, at := range missed {
		left.add(at)
	}
	left.log(log, p.job, "not caught up with")
	return starts
}

// A gap is the first and the last of the instants that are not started.
type gap struct{ first, last time.Time }

func (g *gap) add(at time.Time) {
	if g.first.IsZero() {
		g.first = at
	}
	g.last = at
}

func (g *gap) log(log *slog.Logger, job *jobs.Job, why string) {
	if g.first.IsZero() {
		return
	}
	log.Warn("occurrences were missed and are not started", "job", job.Name, "reason", why, "from", g.first, "to", g.last,
		"catch_up", string(cmp.Or(job.CatchUp, jobs.CatchUpLatest)), "starting_deadline", cmp.Or(job.StartingDeadline, catchUpWindow))
}

// plan takes over a set of jobs. A job that is new begins now, as does one that
// was suspended or has another schedule; one that only the ledger knows begins
// where it was left.
func (s *Scheduler) plan(ctx context.Context, all []*jobs.Job) error {
	latest, err := s.Ledger.Latest(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	before := s.jobs
	byName := make(map[string]*jobs.Job, len(all))
	plans := map[string]*plan{}
	for _, job := range all {
		byName[job.Name] = job
		if job.Schedule == nil || job.Suspend {
			continue
		}
		p := &plan{job: job}
		cursor := now
		switch old, known := s.plans[job.Name], before[job.Name] != nil; {
		case old != nil && sameSchedule(old.job, job):
			cursor, p.wait = old.cursor, old.wait
		case known: // what fell due meanwhile was not to be started
		default:
			if run := latest[job.Name]; run != nil && !run.Due.IsZero() && run.Due.Before(now) {
				cursor = run.Due
				if p.inTurn() && !run.State.Final() {
					p.wait = jobs.Key(run.Key)
					s.launch(&start{occurrence: occurrence{job.Name, p.wait}, job: job, at: run.Due})
				}
			}
		}
		p.advance(cursor)
		plans[job.Name] = p
	}
	s.mu.Lock()
	s.jobs = byName
	s.mu.Unlock()
	s.plans = plans
	s.announce(before)
	s.replan(now)
	s.Log.Info("jobs planned", "jobs", len(all), "scheduled", len(plans))
	return nil
}

func sameSchedule(a, b *jobs.Job) bool {
	return a.Schedule.String() == b.Schedule.String() && a.Schedule.Location().String() == b.Schedule.Location().String()
}

// announce tells what has become of the jobs there were before, and when those
// there are now start next.
func (s *Scheduler) announce(before map[string]*jobs.Job) {
	if s.Removed != nil {
		for name := range before {
			if s.jobs[name] == nil {
				s.Removed(name)
			}
		}
	}
	if s.Planned != nil {
		for name := range s.jobs {
			var next time.Time
			if p := s.plans[name]; p != nil {
				next = p.start
			}
			s.Planned(name, next)
		}
	}
}
