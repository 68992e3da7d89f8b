package engine

import (
	"context"
	"maps"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// pauseAge is how long ago the pauses may have been read when something is started.
const pauseAge = time.Second

// Pauses are the jobs that somebody has paused, according to the ledger. A paused
// job is treated like one that the jobs file suspends: occurrences that fall due
// meanwhile are not started or caught up, unfinished runs go on, and restarts and
// other replicas agree. Only a run that an operator asks for starts.
type pauses struct {
	byJob map[string]ledger.Pause
	read  time.Time
}

// end returns when to ask the ledger because a pause ends; zero if none does. The clock of
// the ledger may be behind.
func (ps *pauses) end(now time.Time) (end time.Time) {
	for _, p := range ps.byJob {
		if !p.Until.IsZero() && (end.IsZero() || p.Until.Before(end)) {
			end = p.Until
		}
	}
	if end.Before(now.Add(pauseAge)) && !end.IsZero() {
		end = now.Add(pauseAge)
	}
	return end
}

// suspended returns the jobs, with the paused ones suspended.
func suspended(all []*jobs.Job, paused map[string]ledger.Pause) []*jobs.Job {
	if len(paused) == 0 {
		return all
	}
	changed := make([]*jobs.Job, len(all))
	for i, job := range all {
		if _, is := paused[job.Name]; is {
			held := *job
			held.Suspend = true
			job = &held
		}
		changed[i] = job
	}
	return changed
}

// heedPauses reads which jobs are paused and applies that. If the ledger cannot be used,
// nothing changes until the next time.
func (s *Scheduler) heedPauses(ctx context.Context, now time.Time) {
	if age := now.Sub(s.pauses.read); age >= 0 && age < pauseAge {
		return
	}
	paused, err := s.rec.Ledger.Pauses(ctx)
	if err == nil && maps.EqualFunc(paused, s.pauses.byJob, samePause) {
		s.pauses.read = now
		return
	}
	before := s.pauses.byJob
	if err == nil {
		err = s.enforcePaused(ctx, s.given, paused)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("the pauses could not be read; they are read again within a second", "err", err)
		}
		return
	}
	s.logPauses(before)
}

// ends says when a pause ends.
func ends(p ledger.Pause) string {
	if p.Until.IsZero() {
		return "it is resumed"
	}
	return p.Until.Format(time.RFC3339)
}

func samePause(a, b ledger.Pause) bool {
	return a.Who == b.Who && a.Why == b.Why && a.Since.Equal(b.Since) && a.Until.Equal(b.Until)
}

// logPauses logs what has changed.
func (s *Scheduler) logPauses(before map[string]ledger.Pause) {
	for job, p := range s.pauses.byJob {
		if was, is := before[job]; !is || !samePause(was, p) {
			s.log.Info("job paused", "job", job, "who", p.Who, "why", p.Why, "until", ends(p))
		}
	}
	for job := range before {
		if _, is := s.pauses.byJob[job]; !is {
			s.log.Info("pause of job over", "job", job)
		}
	}
}
