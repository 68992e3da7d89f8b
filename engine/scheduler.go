package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/ledger"
)

const (
	// pendingTasks is how many tasks an account may have unfinished. Further
	// occurrences wait here, the oldest first.
	pendingTasks = 100
	// onTime is how late an occurrence may start without being a missed one.
	onTime = time.Minute
	// catchUpWindow bounds the occurrences that are caught up with, unless a
	// job has a starting deadline.
	catchUpWindow = 24 * time.Hour
	// mostMissed is how many missed occurrences of a job are looked at.
	mostMissed = 10_000
)

// A SchedulerConfig says how a [Scheduler] works.
type SchedulerConfig struct {
	Engine *Engine
	Ledger *ledger.Ledger
	Holder string        // names this start among those that share the ledger
	Lease  time.Duration // how long a run stays with a start that says nothing; 0 means 30 seconds
	Log    *slog.Logger

	// CancelOnInterrupt cancels the tasks when the scheduler is stopped.
	CancelOnInterrupt bool
	// Classify says of what class an error is, for the ledger.
	Classify Classify
	// Finished, unless nil, is called with every run that has ended or was
	// left, and how late it had begun.
	Finished func(job *jobs.Job, res *Result, lateness time.Duration)
	// Planned, unless nil, is called with the next start of a job; zero means
	// that it has none on a schedule. Removed is called with a job that is no
	// longer there.
	Planned func(job string, next time.Time)
	Removed func(job string)
	// Queue, unless nil, is called with how many occurrences wait for a place
	// and how many have one.
	Queue func(waiting, active int)
	// Beat, unless nil, is called when the loop turns, at least once a minute.
	Beat func()
}

// A Scheduler starts occurrences of jobs when they fall due and brings every
// run that was begun to its end, also those of a start that was cut off.
type Scheduler struct {
	SchedulerConfig

	reload  chan []*jobs.Job
	done    chan finished
	pending *semaphore.Weighted
	runs    sync.WaitGroup

	// Of the loop alone:
	jobs  map[string]*jobs.Job
	plans map[string]*plan
	busy  map[occurrence]time.Time // since when this start is at it
	later map[occurrence]later     // to be tried again

	mu              sync.Mutex // guards the rest
	cancel          map[int64]context.CancelCauseFunc
	waiting, active int // occurrences
}

// count changes the numbers of occurrences that wait and have a place.
func (s *Scheduler) count(waiting, active int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting += waiting
	s.active += active
	if s.Queue != nil {
		s.Queue(s.waiting, s.active)
	}
}

// An occurrence that was left because the service was out of reach.
type later struct {
	job   *jobs.Job
	due   time.Time
	since time.Time // when it was begun
	next  time.Time
}

type occurrence struct {
	job string
	key jobs.Key
}

// A finished run, as the loop hears of it.
type finished struct {
	occurrence
	job    *jobs.Job
	due    time.Time
	result *Result // nil if there was nothing to do
	err    error   // of the ledger
}

// A plan is what the loop knows about a job with a schedule.
type plan struct {
	job    *jobs.Job
	cursor time.Time // the newest instant that was dealt with
	due    time.Time // the next one
	start  time.Time // due with its jitter
}

// advance moves on to the first instant after cursor.
func (p *plan) advance(cursor time.Time) {
	p.cursor = cursor
	p.due = p.job.Schedule.Next(cursor)
	p.start = p.job.Due(jobs.ScheduledKey(p.due), p.due)
}

// NewScheduler returns a Scheduler that is ready to run.
func NewScheduler(c SchedulerConfig) *Scheduler {
	c.Lease = cmp.Or(c.Lease, 30*time.Second)
	return &Scheduler{
		SchedulerConfig: c,
		reload:          make(chan []*jobs.Job),
		done:            make(chan finished),
		pending:         semaphore.NewWeighted(pendingTasks),
		plans:           map[string]*plan{},
		busy:            map[occurrence]time.Time{},
		later:           map[occurrence]later{},
		cancel:          map[int64]context.CancelCauseFunc{},
	}
}

// Reload replaces the jobs. Runs that were begun go on as they were.
func (s *Scheduler) Reload(ctx context.Context, all []*jobs.Job) {
	select {
	case s.reload <- all:
	case <-ctx.Done():
	}
}

// Run schedules all until ctx ends, and then returns as soon as every run has
// been left in a state from which the next start goes on.
func (s *Scheduler) Run(ctx context.Context, all []*jobs.Job) error {
	if err := s.plan(ctx, all); err != nil {
		return err
	}
	runs, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := s.takeOver(runs); err != nil {
		return err
	}
	err := s.loop(ctx, runs)
	stop(context.Cause(ctx))
	go func() {
		s.runs.Wait()
		close(s.done)
	}()
	for range s.done { // what has ended meanwhile is in the ledger
	}
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	return errors.Join(err, s.Ledger.Release(release, s.Holder))
}

// loop starts what falls due until ctx ends.
func (s *Scheduler) loop(ctx, runs context.Context) error {
	renew := time.NewTicker(s.Lease / 3)
	defer renew.Stop()
	for {
		if s.Beat != nil {
			s.Beat()
		}
		timer := time.NewTimer(s.untilNext(time.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
			s.startDue(runs, time.Now())
		case all := <-s.reload:
			if err := s.plan(ctx, all); err != nil {
				s.Log.Error("the new jobs could not be planned", "err", err)
			}
		case f := <-s.done:
			s.settle(runs, f)
		case <-renew.C:
			if err := s.keep(runs); err != nil && ctx.Err() == nil {
				s.Log.Error("the ledger could not be used", "err", err)
			}
		}
		timer.Stop()
	}
}

// keep renews the leases, ends what somebody wants to be canceled, and takes
// over what nobody has any more.
func (s *Scheduler) keep(ctx context.Context) error {
	if _, err := s.Ledger.Renew(ctx, s.Holder, s.Lease); err != nil {
		return err
	}
	wanted, err := s.Ledger.CancelRequests(ctx, s.Holder)
	if err != nil {
		return err
	}
	s.mu.Lock()
	for _, run := range wanted {
		if cancel := s.cancel[run]; cancel != nil {
			cancel(ErrCanceled)
		}
	}
	s.mu.Unlock()
	return s.takeOver(ctx)
}

// settle takes note of a run that has ended, or has to be tried again.
func (s *Scheduler) settle(ctx context.Context, f finished) {
	since := s.busy[f.occurrence]
	delete(s.busy, f.occurrence)
	if ctx.Err() != nil {
		return
	}
	if f.err != nil || f.result != nil && f.result.Resumable() && !errors.Is(f.result.Err, ledger.ErrLost) {
		s.later[f.occurrence] = later{job: f.job, due: f.due, since: since, next: time.Now().Add(s.Lease)}
		return
	}
	if f.result == nil || f.result.State != Succeeded || f.result.Err != nil {
		return
	}
	for _, job := range s.jobs {
		if job.After == f.occurrence.job && !job.Suspend {
			s.launch(ctx, job, f.key, f.due, nil)
		}
	}
}

// plan takes over a set of jobs. A job that is new begins now; one that the
// ledger knows begins where it was left.
func (s *Scheduler) plan(ctx context.Context, all []*jobs.Job) error {
	latest, err := s.Ledger.Latest(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	plans := map[string]*plan{}
	before := s.jobs
	s.jobs = map[string]*jobs.Job{}
	for _, job := range all {
		s.jobs[job.Name] = job
		if job.Schedule == nil || job.Suspend {
			continue
		}
		p := &plan{job: job}
		cursor := now
		if run := latest[job.Name]; run != nil && !run.Due.IsZero() && run.Due.Before(now) {
			cursor = run.Due
		}
		if old := s.plans[job.Name]; old != nil {
			cursor = old.cursor
			if old.job.Schedule.String() != job.Schedule.String() || old.job.Schedule.Location().String() != job.Schedule.Location().String() {
				cursor = now // the instants of the old schedule mean nothing now
			}
		}
		p.advance(cursor)
		plans[job.Name] = p
	}
	s.announce(before, plans)
	s.plans = plans
	s.Log.Info("jobs planned", "jobs", len(all), "scheduled", len(plans))
	return nil
}

// announce tells what has become of the jobs there were before, and when those
// there are now start next.
func (s *Scheduler) announce(before map[string]*jobs.Job, plans map[string]*plan) {
	for name := range before {
		if s.jobs[name] == nil && s.Removed != nil {
			s.Removed(name)
		}
	}
	for name := range s.jobs {
		var next time.Time
		if p := plans[name]; p != nil {
			next = p.start
		}
		if s.Planned != nil {
			s.Planned(name, next)
		}
	}
}

// untilNext is the time until the next occurrence may start.
func (s *Scheduler) untilNext(now time.Time) time.Duration {
	wait := time.Minute // the clock may be set meanwhile
	for _, p := range s.plans {
		wait = min(wait, p.start.Sub(now))
	}
	for _, l := range s.later {
		wait = min(wait, l.next.Sub(now))
	}
	return max(wait, 0)
}

// startDue starts what is due, in the order in which it fell due.
func (s *Scheduler) startDue(ctx context.Context, now time.Time) {
	for o, l := range s.later {
		if !l.next.After(now) {
			delete(s.later, o)
			s.launch(ctx, l.job, o.key, l.due, nil)
			s.busy[o] = l.since
		}
	}
	var due []*plan
	for _, p := range s.plans {
		if !p.start.After(now) {
			due = append(due, p)
		}
	}
	slices.SortFunc(due, func(a, b *plan) int { return a.start.Compare(b.start) })
	for _, p := range due {
		for _, at := range s.missed(p, now) {
			s.launch(ctx, p.job, jobs.ScheduledKey(at), at, nil)
		}
		if s.Planned != nil {
			s.Planned(p.job.Name, p.start)
		}
	}
}

// missed moves a plan on to the next instant in the future and returns those
// passed that are to be started: the one that is on time, and of the others
// what the job's policy wants.
func (s *Scheduler) missed(p *plan, now time.Time) (starts []time.Time) {
	window := p.job.StartingDeadline
	if window == 0 {
		window = catchUpWindow
	}
	var late []time.Time
	for n := 0; !p.start.After(now); n++ {
		switch lateness := now.Sub(p.start); {
		case lateness <= onTime:
			starts = append(starts, p.due)
		case lateness <= window && n < mostMissed:
			late = append(late, p.due)
		}
		p.advance(p.due)
	}
	switch {
	case len(late) == 0:
	case p.job.CatchUp == jobs.CatchUpAll:
		starts = append(late, starts...)
	case p.job.CatchUp != jobs.CatchUpNone && len(starts) == 0:
		starts = late[len(late)-1:]
	}
	if skipped := len(late) - len(starts); skipped > 0 && p.job.CatchUp != jobs.CatchUpAll {
		s.Log.Warn("missed occurrences are not caught up with", "job", p.job.Name, "count", skipped, "catch_up", string(p.job.CatchUp))
	}
	return starts
}

// launch starts an occurrence, unless this start is at it already. A run that
// was taken over is given; otherwise the occurrence is claimed.
func (s *Scheduler) launch(ctx context.Context, job *jobs.Job, key jobs.Key, due time.Time, taken *ledger.Run) {
	o := occurrence{job.Name, key}
	if _, ok := s.busy[o]; ok {
		return
	}
	s.busy[o] = time.Now()
	delete(s.later, o)
	s.runs.Go(func() {
		res, err := s.do(ctx, job, key, due, taken)
		if res != nil && s.Finished != nil {
			s.Finished(job, res, max(0, res.Started.Sub(due)))
		}
		s.done <- finished{o, job, due, res, err}
	})
}

// do waits for a place, claims the occurrence and runs it. The result is nil
// if there was nothing to do.
func (s *Scheduler) do(ctx context.Context, job *jobs.Job, key jobs.Key, due time.Time, taken *ledger.Run) (*Result, error) {
	log := s.Log.With("job", job.Name, "occurrence", string(key))
	s.count(1, 0)
	if s.pending.Acquire(ctx, 1) != nil {
		s.count(-1, 0)
		return nil, nil // stopped; the next start catches up
	}
	s.count(-1, 1)
	defer func() {
		s.pending.Release(1)
		s.count(0, -1)
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var id int64
	rec := Recording{
		Ledger: s.Ledger, Holder: s.Holder, Lease: s.Lease, Classify: s.Classify, Run: taken,
		Claimed: func(run *ledger.Run) {
			id = run.ID
			s.mu.Lock()
			s.cancel[id] = cancel
			s.mu.Unlock()
			log.Info("run started", "run", id, "lateness", time.Since(due).Round(time.Millisecond))
		},
	}
	res, err := s.Engine.Record(ctx, rec, Order{Job: job, Key: key, At: due, CancelOnInterrupt: s.CancelOnInterrupt})
	s.mu.Lock()
	delete(s.cancel, id)
	s.mu.Unlock()
	if taken, ok := errors.AsType[*Taken](err); ok {
		log.Debug("nothing to do", "reason", taken)
		return nil, nil
	}
	if err != nil {
		log.Error("the occurrence could not be run", "err", err)
		return nil, err
	}
	s.tell(log, res)
	return res, nil
}

// tell logs how a run ended.
func (s *Scheduler) tell(log *slog.Logger, res *Result) {
	attrs := []any{"run", res.Run, "state", string(res.State), "attempt", res.Attempt, "elapsed", res.Finished.Sub(res.Started).Round(time.Millisecond)}
	if t := res.task(); t != nil {
		attrs = append(attrs, "task_id", t.TaskID)
	}
	switch {
	case res.Err == nil:
		log.Info("run ended", append(attrs, "note", res.Note)...)
	case res.Resumable():
		log.Warn("run left, to be resumed", append(attrs, "err", res.Err)...)
	default:
		log.Error("run ended", append(attrs, "err", res.Err)...)
	}
}

// takeOver resumes the runs that nobody has.
func (s *Scheduler) takeOver(ctx context.Context) error {
	runs, err := s.Ledger.TakeOver(ctx, s.Holder, s.Lease, pendingTasks)
	if err != nil {
		return err
	}
	for _, run := range runs {
		job := s.jobs[run.Job]
		if job == nil {
			s.Log.Warn("a run of a job that is no longer there cannot be resumed", "job", run.Job, "occurrence", run.Key, "run", run.ID)
			continue
		}
		s.launch(ctx, job, jobs.Key(run.Key), run.Due, run)
	}
	return nil
}
