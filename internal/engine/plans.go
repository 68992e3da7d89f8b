package engine

import (
	"context"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// saveEvery is the shortest time between two writes of what the plans have
// dealt with. After a kill, what was dealt with since the last one is looked
// at again, and found in the ledger.
const saveEvery = time.Second

// Plans are the plans of the jobs that have a schedule and are not suspended.
//
// The ledger keeps of each job its schedule, its zone, whether it is suspended,
// and a cursor, and these rules hold for a reload, a restart and a further
// replica alike: a job whose row says the same as the jobs file goes on from
// its cursor; any other begins now, because at earlier instants it was not due
// in this way.
type plans struct {
	byJob map[string]*plan
	moved map[string]*plan // that have dealt with more than the ledger says
	save  time.Time        // when the ledger is told
}

func newPlans() plans {
	return plans{byJob: map[string]*plan{}, moved: map[string]*plan{}}
}

// scheduleOf is what the ledger keeps of a job with a schedule.
func scheduleOf(job *jobs.Job, cursor time.Time) ledger.Schedule {
	return ledger.Schedule{
		Job: job.Name, Expr: job.Schedule.String(), Zone: job.Schedule.Location().String(),
		Suspended: job.Suspend, Cursor: cursor.UTC().Truncate(time.Second),
	}
}

// sameSchedule reports whether two schedules of a job are due at the same
// instants, wherever their cursors are.
func sameSchedule(a, b ledger.Schedule) bool {
	a.Cursor = b.Cursor
	return a == b
}

// goesOn reports whether the job is due as it was before.
func (p *plan) goesOn(job *jobs.Job) bool {
	return p != nil && sameSchedule(scheduleOf(p.job, time.Time{}), scheduleOf(job, time.Time{}))
}

// cursors finds out where each of the jobs begins, and what the ledger has to
// be told about them. It knows what the ledger keeps, and of a ledger that
// keeps nothing yet the latest run of each job.
func (ps *plans) cursors(all []*jobs.Job, known map[string]ledger.Schedule, latest map[string]time.Time, now time.Time) (
	begin map[string]time.Time, changed []ledger.Schedule,
) {
	begin = make(map[string]time.Time, len(all))
	for _, job := range all {
		if job.Schedule == nil {
			continue
		}
		is := scheduleOf(job, now)
		was, there := known[job.Name]
		last, ran := latest[job.Name]
		switch p := ps.byJob[job.Name]; {
		case p.goesOn(job):
			is.Cursor = scheduleOf(job, p.dealt).Cursor
		case there && sameSchedule(was, is):
			if was.Cursor.Before(now.Add(onTime)) { // else the clock was wrong when it was written
				is.Cursor = was.Cursor
			}
		case len(known) == 0 && ran:
			is.Cursor = last
		}
		begin[job.Name] = is.Cursor
		if is != was {
			changed = append(changed, is)
		}
	}
	for name, was := range known {
		if _, there := begin[name]; !there && was.Expr != "" {
			changed = append(changed, ledger.Schedule{Job: name, Cursor: was.Cursor}) // should it return, it begins then
		}
	}
	return begin, changed
}

// replace puts the plans of a set of jobs in the place of those there were.
func (ps *plans) replace(all []*jobs.Job, begin map[string]time.Time) {
	before := ps.byJob
	*ps = newPlans()
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
		p.advance(p.cursor)
		p.kept = p.dealt
		ps.byJob[job.Name] = p
	}
}

// moveOn takes note that a plan has moved on.
func (ps *plans) moveOn(p *plan, now time.Time) {
	if !p.dealt.After(p.kept) || ps.byJob[p.job.Name] != p {
		return
	}
	if len(ps.moved) == 0 {
		ps.save = now.Add(saveEvery)
	}
	ps.moved[p.job.Name] = p
}

// keepCursors tells the ledger from time to time how far the plans have come.
func (s *Scheduler) keepCursors(ctx context.Context) {
	if len(s.plans.moved) == 0 {
		return
	}
	if !time.Now().Before(s.plans.save) {
		if err := s.saveCursors(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the cursors of the schedules could not be written, they are written later", "err", err)
		}
	}
	if len(s.plans.moved) > 0 {
		s.wakeAt(s.plans.save)
	}
}

// saveCursors tells the ledger how far the plans have come. What it cannot be
// told now it is told later: whatever was claimed is in the ledger anyway.
func (s *Scheduler) saveCursors(ctx context.Context) error {
	var all []ledger.Schedule
	for _, p := range s.plans.moved {
		all = append(all, scheduleOf(p.job, p.dealt))
	}
	if len(all) == 0 {
		return nil
	}
	if err := s.rec.Ledger.MoveCursors(ctx, all); err != nil {
		s.plans.save = time.Now().Add(claimPause)
		return err
	}
	for _, p := range s.plans.moved {
		p.kept = p.dealt
	}
	clear(s.plans.moved)
	return nil
}

// enforce puts a set of jobs in force, or changes nothing and returns an error.
func (s *Scheduler) enforce(ctx context.Context, all []*jobs.Job) error {
	now := time.Now()
	var latest map[string]time.Time
	var err error
	if s.jobs == nil {
		if latest, err = s.rec.Ledger.LatestDue(ctx, now); err != nil {
			return err
		}
	}
	var begin map[string]time.Time
	err = s.rec.Ledger.Reschedule(ctx, func(known map[string]ledger.Schedule) (changed []ledger.Schedule) {
		begin, changed = s.plans.cursors(all, known, latest, now)
		return changed
	})
	if err != nil {
		return err
	}
	s.plans.replace(all, begin)
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

// withdraw takes the occurrences out of the queue that are in no plan any more:
// after a restart they would not be started either.
func (s *Scheduler) withdraw() {
	s.queue = slices.DeleteFunc(s.queue, func(t *ticket) bool {
		gone := t.plan != nil && s.plans.byJob[t.job.Name] != t.plan
		if gone {
			delete(s.tickets, t.occurrence)
			s.log.Warn("an occurrence that waited for a place is not started: its job was removed, suspended or has another schedule",
				"job", t.job.Name, "occurrence", string(t.occurrence.key))
		}
		return gone
	})
}

// announce tells what has become of the jobs there were before, and when those
// there are now start next.
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
