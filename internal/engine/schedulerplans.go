package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// saveEvery is the shortest time between two writes of the cursors. After a kill, the
// instants since the last write are looked at again, and found in the ledger.
const saveEvery = time.Second

// Plans are the plans of the jobs that have a schedule and are not suspended.
//
// The ledger keeps for each job its schedule, its zone, whether it is suspended, and a
// cursor. A reload, a restart and another replica follow the same rules: a job whose
// schedule is the same in the ledger and in the jobs file continues from its cursor. Any
// other job begins now, because its new schedule was not in force earlier.
type plans struct {
	byJob map[string]*plan
	save  time.Time // when the cursors are written; zero if the ledger has them
}

// scheduleOf returns what the ledger records of a job with a schedule, or of one that comes
// after another one.
func scheduleOf(job *jobs.Job, cursor time.Time) ledger.Schedule {
	is := ledger.Schedule{Job: job.Name, Suspended: job.Suspend}
	if job.Schedule != nil {
		is.Expr, is.Zone = job.Schedule.String(), job.Schedule.Location().String()
		is.Cursor = cursor.UTC().Truncate(time.Second)
	} else {
		is.Expr = "after " + job.After
		is.Cursor = cursor.UTC().Truncate(time.Microsecond) // as the ledger keeps the ends of runs
	}
	return is
}

// sameSchedule reports whether two schedules of a job are due at the same
// instants, wherever their cursors are.
func sameSchedule(a, b ledger.Schedule) bool {
	a.Cursor = b.Cursor
	return a == b
}

// goesOn reports whether the job is due at the same instants as the plan.
func (p *plan) goesOn(job *jobs.Job) bool {
	return p != nil && sameSchedule(scheduleOf(p.job, time.Time{}), scheduleOf(job, time.Time{}))
}

// cursors returns the instant after which each job begins, and the schedules to change in
// the ledger, which has those in known. If the ledger has none yet, a job begins after its
// latest run. A job whose pause has ended begins at that end, even if no scheduler was
// running then.
func (ps *plans) cursors(all []*jobs.Job, known map[string]ledger.Schedule, latest, pauseEnds map[string]time.Time, now time.Time) (
	begin map[string]time.Time, changed []ledger.Schedule,
) {
	begin = make(map[string]time.Time, len(all))
	for _, job := range all {
		if job.Schedule == nil && job.After == "" {
			continue
		}
		is := scheduleOf(job, now)
		was, there := known[job.Name]
		last, ran := latest[job.Name]
		switch p := ps.byJob[job.Name]; {
		case p.goesOn(job):
			is.Cursor = scheduleOf(job, p.dealt).Cursor
		case there && sameSchedule(was, is):
			if was.Cursor.Before(now.Add(onTime)) { // else it was written by a clock that was ahead
				is.Cursor = was.Cursor
			}
		case there && wasPaused(was, is, pauseEnds[job.Name]):
			is.Cursor = pauseEnds[job.Name].UTC().Truncate(time.Second)
		case len(known) == 0 && ran && job.Schedule != nil:
			is.Cursor = last
		}
		begin[job.Name] = is.Cursor
		if is != was {
			changed = append(changed, is)
		}
	}
	for name, was := range known {
		if _, there := begin[name]; !there && was.Expr != "" {
			changed = append(changed, ledger.Schedule{Job: name, Cursor: was.Cursor}) // if the job comes back, it begins then
		}
	}
	return begin, changed
}

// wasPaused reports whether a job differs from its record only because a pause has ended.
func wasPaused(was, is ledger.Schedule, end time.Time) bool {
	free := was
	free.Suspended = false
	return was.Suspended && sameSchedule(free, is) && !end.Before(was.Cursor) && end.Before(is.Cursor)
}

// replace makes plans for a set of jobs, which replace the present ones.
func (ps *plans) replace(all []*jobs.Job, begin map[string]time.Time) {
	before := ps.byJob
	*ps = plans{byJob: map[string]*plan{}}
	for _, job := range all {
		if job.Schedule == nil || job.Suspend {
			continue
		}
		p := before[job.Name]
		if p.goesOn(job) {
			p.job = job
		} else {
			p = &plan{job: job, cursor: begin[job.Name], dealt: begin[job.Name]}
		}
		p.items.issue = job.ForEach != nil // an earlier start may have left some
		p.advance(p.cursor)
		p.kept = p.dealt
		ps.byJob[job.Name] = p
	}
}

// haveItems reports whether a plan is of a job with a for_each.
func (ps *plans) haveItems() bool {
	for _, p := range ps.byJob {
		if p.job.ForEach != nil {
			return true
		}
	}
	return false
}

// moveOn has the cursor of a plan that has moved on be written soon.
func (ps *plans) moveOn(p *plan, now time.Time) {
	if ps.save.IsZero() && p.dealt.After(p.kept) && ps.byJob[p.job.Name] == p {
		ps.save = now.Add(saveEvery)
	}
}

// keepCursors writes the cursors to the ledger from time to time.
func (s *Scheduler) keepCursors(ctx context.Context) {
	if s.plans.save.IsZero() {
		return
	}
	if !time.Now().Before(s.plans.save) {
		if err := s.saveCursors(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the cursors of the schedules could not be written, they are written later", "err", err)
		}
	}
	if !s.plans.save.IsZero() {
		s.wakeAt(s.plans.save)
	}
}

// saveCursors writes the cursors of the plans that have moved on. After an error that can
// wait: the occurrences that were claimed are in the ledger anyway.
func (s *Scheduler) saveCursors(ctx context.Context) error {
	var moved []*plan
	var all []ledger.Schedule
	for _, p := range s.plans.byJob {
		if p.dealt.After(p.kept) {
			moved, all = append(moved, p), append(all, scheduleOf(p.job, p.dealt))
		}
	}
	followed := maps.Clone(s.follows)
	maps.DeleteFunc(followed, func(_ string, f *follow) bool { return !f.cursor.After(f.kept) })
	for _, f := range followed {
		all = append(all, scheduleOf(f.job, f.cursor))
	}
	if len(all) == 0 {
		return nil
	}
	if err := s.rec.Ledger.MoveCursors(ctx, all); err != nil {
		s.plans.save = time.Now().Add(claimPause)
		return err
	}
	for _, p := range moved {
		p.kept = p.dealt
	}
	for _, f := range followed {
		f.kept = f.cursor
	}
	s.plans.save = time.Time{}
	return nil
}

// enforce puts a set of jobs in force, or changes nothing and returns an error.
func (s *Scheduler) enforce(ctx context.Context, all []*jobs.Job) error {
	paused, err := s.rec.Ledger.Pauses(ctx)
	if err != nil {
		return err
	}
	return s.enforcePaused(ctx, all, paused)
}

// enforcePaused is enforce if the pauses are known.
func (s *Scheduler) enforcePaused(ctx context.Context, given []*jobs.Job, paused map[string]ledger.Pause) error {
	now := time.Now()
	all := suspended(given, paused)
	var latest map[string]time.Time
	var err error
	if s.jobs == nil {
		if latest, err = s.rec.Ledger.LatestDue(ctx, now); err != nil {
			return err
		}
	}
	pauseEnds, err := s.rec.Ledger.PausesEnded(ctx)
	if err != nil {
		return err
	}
	var begin map[string]time.Time
	err = s.rec.Ledger.Reschedule(ctx, func(known map[string]ledger.Schedule) (changed []ledger.Schedule) {
		begin, changed = s.plans.cursors(all, known, latest, pauseEnds, now)
		return changed
	})
	if err != nil {
		return err
	}
	s.given = given
	s.pauses = pauses{byJob: paused, read: now}
	s.plans.replace(all, begin)
	s.follows = newFollows(all, begin)
	if err := s.passClaimed(ctx, latest, now); err != nil {
		return err
	}
	s.withdraw()
	before := s.jobs
	byName := make(map[string]*jobs.Job, len(all))
	for _, job := range all {
		byName[job.Name] = job
	}
	s.mu.Lock()
	s.jobs = byName
	s.mu.Unlock()
	s.announce(before)
	s.replan(now)
	s.log.Info("jobs planned", "jobs", len(all), "scheduled", len(s.plans.byJob))
	return nil
}

// passClaimed moves the plans beyond the instants that an earlier start has claimed before
// it was cut off and could not write its cursors: these were not missed. Latest has the
// latest claimed instant of each job. Jobs whose occurrences take turns are left out,
// because they wait for these runs anyway.
func (s *Scheduler) passClaimed(ctx context.Context, latest map[string]time.Time, now time.Time) error {
	for name, p := range s.plans.byJob {
		for !inTurn(p.job) && !p.instant.After(latest[name]) {
			_, err := s.rec.Ledger.RunOf(ctx, name, string(jobs.ScheduledKey(p.instant)))
			if errors.Is(err, ledger.ErrNone) {
				break
			}
			if err != nil {
				return err
			}
			p.advance(p.instant)
			p.settleDealt()
			s.plans.moveOn(p, now)
		}
	}
	return nil
}

// withdraw removes occurrences from the queue that are in no plan any more. After a restart
// they would not be started either.
func (s *Scheduler) withdraw() {
	s.queue = slices.DeleteFunc(s.queue, func(t *ticket) bool {
		gone := t.plan != nil && s.plans.byJob[t.job.Name] != t.plan || t.ready && s.plans.byJob[t.job.Name] == nil
		if gone {
			delete(s.tickets, t.occurrence)
			s.log.Warn("an occurrence that waited for a place is not started: its job was removed, suspended or paused, or has another schedule",
				"job", t.job.Name, "occurrence", string(t.occurrence.key))
		}
		return gone
	})
}

// announce tells the observer which jobs were removed, and when the others start next.
func (s *Scheduler) announce(before map[string]*jobs.Job) {
	for name := range before {
		if s.jobs[name] == nil {
			s.engine.observe(Removed{name})
		}
	}
	for name := range s.jobs {
		next := Planned{Job: name}
		if p := s.plans.byJob[name]; p != nil {
			next.Next = p.start
		}
		s.engine.observe(next)
	}
}
