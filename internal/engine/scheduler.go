package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	// turn is the longest time between two turns of the loop, because the clock may be
	// set meanwhile.
	turn = time.Minute
	// claimPause is how long to wait after the ledger could not be used.
	claimPause = 5 * time.Second
	// goneTime is how long the ledger's file may be missing before the scheduler ends:
	// somebody may put it back.
	goneTime = time.Minute
)

// A SchedulerConfig says how a [Scheduler] works.
type SchedulerConfig struct {
	Engine *Engine
	Ledger *ledger.Ledger
	Holder string        // names this start among those that share the ledger
	Lease  time.Duration // how long a run stays with a start that does not renew it; 0 means 30 seconds
	Log    *slog.Logger

	// Places is how many unfinished tasks the account may have. Further occurrences
	// wait in the queue, the oldest first. 0 means 100, which is what Globus allows.
	Places int
	// CancelOnInterrupt cancels the tasks when the scheduler is stopped.
	CancelOnInterrupt bool
}

// A Scheduler starts occurrences of jobs when they are due, and brings every run that was
// begun to its end, including those of a process that was cut off.
type Scheduler struct {
	engine            *Engine
	rec               Recording
	log               *slog.Logger
	streaks           streaks
	places            int
	cancelOnInterrupt bool

	reloads chan reload
	done    chan *ticket
	looked  chan looked
	working sync.WaitGroup

	// Used by the loop alone:
	plans   plans
	follows follows
	tickets map[occurrence]*ticket // the occurrences that this process works on
	queue   []*ticket              // those that wait for a place, the oldest first
	active  int                    // how many have a place
	next    time.Time              // when something is to be started
	pause   time.Time              // until when nothing can be claimed
	sound   time.Time              // since when the ledger has been in use without a fault
	missed  time.Time              // since when the ledger's file has been missing; zero if it is there
	given   []*jobs.Job            // as the jobs file has them
	pauses  pauses

	mu      sync.Mutex // guards the rest
	jobs    map[string]*jobs.Job
	cancels map[int64]context.CancelCauseFunc // by run
}

// A reload is a set of jobs to be put in force.
type reload struct {
	jobs []*jobs.Job
	done chan error // gets the outcome; it has room for it
}

// NewScheduler returns a Scheduler that is ready to run.
func NewScheduler(c SchedulerConfig) *Scheduler {
	return &Scheduler{
		engine:            c.Engine,
		rec:               Recording{Ledger: c.Ledger, Holder: c.Holder, Lease: cmp.Or(c.Lease, 30*time.Second), Scheduled: true},
		log:               c.Log,
		streaks:           streaks{byJob: map[string]*streak{}},
		places:            cmp.Or(c.Places, 100),
		cancelOnInterrupt: c.CancelOnInterrupt,
		reloads:           make(chan reload),
		done:              make(chan *ticket),
		looked:            make(chan looked),
		tickets:           map[occurrence]*ticket{},
		cancels:           map[int64]context.CancelCauseFunc{},
	}
}

// Reload replaces the jobs, and returns when the new ones are in force. After an error,
// all of the old ones are still in force. Runs that were begun go on with their old jobs.
func (s *Scheduler) Reload(ctx context.Context, all []*jobs.Job) error {
	r := reload{all, make(chan error, 1)}
	select {
	case s.reloads <- r:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Run schedules all until ctx ends, and then returns as soon as the next start can resume
// every run. It also returns, with an error, when the ledger's file has been missing for a
// minute, see [ledger.ErrGone].
func (s *Scheduler) Run(ctx context.Context, all []*jobs.Job) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.sound = time.Now()
	err := s.enforce(ctx, all)
	if err == nil {
		err = s.takeOver(ctx)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	if err == nil { // else it was stopped before it had begun
		err = s.loop(ctx)
		stop(err)
	}
	go func() {
		s.working.Wait()
		close(s.done)
	}()
	for range s.done { // the ledger has their outcomes
	}
	if errors.Is(err, ledger.ErrGone) {
		return err
	}
	release, cancel := beyond(ctx, recordTime)
	defer cancel()
	return errors.Join(s.saveCursors(release), s.rec.Ledger.Release(release, s.rec.Holder))
}

// loop starts what is due until ctx ends, or the ledger's file has been missing too long.
func (s *Scheduler) loop(ctx context.Context) error {
	renew := time.NewTicker(s.rec.Lease / 3)
	defer renew.Stop()
	for {
		s.engine.observe(Turned{})
		s.issueItems(ctx)
		s.startQueued(ctx)
		s.keepCursors(ctx)
		timer := time.NewTimer(min(turn, time.Until(s.next)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
			s.heedPauses(ctx, time.Now())
			s.startDue(ctx, time.Now())
		case r := <-s.reloads:
			r.done <- s.enforce(ctx, r.jobs)
		case t := <-s.done:
			s.tried(ctx, t)
		case l := <-s.looked:
			l.plan.items.looking = l.plan.items.looking && !l.over
			l.plan.items.issue = true
		case <-renew.C:
			s.heedPauses(ctx, time.Now())
			err := s.keepRuns(ctx)
			if err == nil {
				err = s.startWanted(ctx)
			}
			if err == nil {
				err = s.followOthers(ctx)
			}
			if lost := s.lost(err); lost != nil {
				timer.Stop()
				return lost
			}
			if err != nil && ctx.Err() == nil {
				s.log.Error("the ledger could not be used", "err", err)
			}
		}
		timer.Stop()
	}
}

// lost gets the error of the latest use of the ledger. It returns an error if the file has
// been missing for so long that only a restart helps.
func (s *Scheduler) lost(err error) error {
	if !errors.Is(err, ledger.ErrGone) {
		s.missed = time.Time{}
		return nil
	}
	if s.missed.IsZero() {
		s.missed = time.Now()
	}
	if time.Since(s.missed) < goneTime {
		return nil
	}
	if e, ok := errors.AsType[*ledger.Error](err); ok {
		err = e // without what it was used for
	}
	return fmt.Errorf("the scheduler ends because its ledger has been missing for a minute: %w", err)
}

// startDue puts what is due into the queue.
func (s *Scheduler) startDue(ctx context.Context, now time.Time) {
	for _, t := range s.tickets {
		if !t.retryAt.IsZero() && !t.retryAt.After(now) {
			t.retryAt = time.Time{}
			s.enqueue(t)
		}
	}
	for name, p := range s.plans.byJob {
		if !p.due(now) {
			continue
		}
		if p.job.ForEach != nil {
			p.advance(now)
			s.startLook(ctx, p, time.Time{})
		} else {
			starts, old := p.pass(now, s.log)
			if old != nil && p.job.CatchUp != jobs.CatchUpNone {
				s.issue(&ticket{occurrence: occurrence{name, jobs.ScheduledKey(old.last)}, job: p.job, at: old.last, plan: p, refusal: old.tooLate(p)})
			}
			for _, at := range starts {
				key := jobs.ScheduledKey(at)
				s.issue(&ticket{occurrence: occurrence{name, key}, job: p.job, at: at, due: p.job.Due(key, at), plan: p})
			}
		}
		p.settleDealt()
		s.plans.moveOn(p, now)
		s.engine.observe(Planned{name, p.start})
	}
	s.replan(now)
}

// replan finds out when something is due next.
func (s *Scheduler) replan(now time.Time) {
	s.next = now.Add(turn)
	for _, p := range s.plans.byJob {
		if p.awaits == "" {
			s.wakeAt(p.start)
		}
	}
	for _, t := range s.tickets {
		if !t.retryAt.IsZero() {
			s.wakeAt(t.retryAt)
		}
	}
	if end := s.pauses.end(now); !end.IsZero() {
		s.wakeAt(end)
	}
}

func (s *Scheduler) wakeAt(t time.Time) {
	if t.Before(s.next) {
		s.next = t
	}
}

// keepRuns renews the leases, cancels the runs that somebody has asked to cancel, and takes
// over the runs whose holders are gone.
func (s *Scheduler) keepRuns(ctx context.Context) error {
	if len(s.tickets) == 0 {
		return s.takeOver(ctx)
	}
	if _, err := s.rec.Ledger.Renew(ctx, s.rec.Holder, s.rec.Lease); err != nil {
		return err
	}
	wanted, err := s.rec.Ledger.CancelRequests(ctx, s.rec.Holder)
	if err != nil {
		return err
	}
	s.mu.Lock()
	for _, run := range wanted {
		if cancel := s.cancels[run]; cancel != nil {
			cancel(errCanceled)
		}
	}
	s.mu.Unlock()
	return s.takeOver(ctx)
}

// takeOver resumes the runs whose leases have ended.
func (s *Scheduler) takeOver(ctx context.Context) error {
	runs, err := s.rec.Ledger.TakeOver(ctx, s.rec.Holder, s.rec.Lease, s.places)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, run := range runs {
		job := s.jobs[run.Job]
		if job == nil {
			s.log.Warn("a run of a job that is no longer there is followed to its end", "job", run.Job, "occurrence", run.Key, "run", run.ID)
			job = removed(run.Job)
		}
		s.issue(&ticket{occurrence: occurrence{run.Job, jobs.Key(run.Key)}, job: job, at: instantOf(run), run: run})
	}
	return nil
}

// removed returns a job without steps, for one that is no longer in the jobs file.
func removed(name string) *jobs.Job {
	job := &jobs.Job{Name: name}
	_ = job.Check() // fills in the defaults; the name was good once
	return job
}

// startQueued starts as many occurrences of the queue as there are free places. It claims
// them one after the other, the oldest first: if the process is cut off between two
// claims, the next start continues after the newest that is in the ledger.
func (s *Scheduler) startQueued(ctx context.Context) {
	for len(s.queue) > 0 && s.active < s.places && !time.Now().Before(s.pause) && ctx.Err() == nil {
		t := s.queue[0]
		if err := s.claim(ctx, t); err != nil {
			s.pauseClaims(ctx, err)
			break
		}
		s.queue = slices.Delete(s.queue, 0, 1)
		s.active++
		t.ready = false
		if p := t.plan; p != nil {
			t.plan = nil
			p.claimed(t.at)
			s.plans.moveOn(p, time.Now())
		}
		if t.err != nil {
			s.tried(ctx, t)
			continue
		}
		s.working.Go(func() {
			s.work(ctx, t)
			s.done <- t
		})
	}
	s.engine.observe(Queued{len(s.queue), s.active, s.oldestDue()})
}

// oldestDue returns when the first occurrence of the queue was due, apart from those that
// have begun before; the zero time if there is none.
func (s *Scheduler) oldestDue() time.Time {
	for _, t := range s.queue { // by their instants
		if !t.due.IsZero() {
			return t.due
		}
	}
	return time.Time{}
}

// pauseClaims makes no claims for a while, after the ledger could not be used.
func (s *Scheduler) pauseClaims(ctx context.Context, err error) {
	s.sound = time.Now()
	s.pause = s.sound.Add(claimPause)
	s.wakeAt(s.pause)
	if ctx.Err() == nil {
		s.log.Error("nothing can be started, the ledger could not be used", "err", err)
	}
}
