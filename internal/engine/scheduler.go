package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	// pendingTasks is how many tasks an account may have unfinished. Further
	// occurrences wait here, the oldest first.
	pendingTasks = 100
	// turn is the longest time between two turns of the loop: the clock may be
	// set meanwhile.
	turn = time.Minute
	// lastRetry bounds the time after which an occurrence that was left is
	// tried again; the first is a lease, and each further one twice as long.
	lastRetry = 5 * time.Minute
	// claimPause is how long a ledger that could not be used is left alone.
	claimPause = 5 * time.Second
	// prompt is how late an occurrence may be claimed without a look whether
	// Globus has a task of it, and slowClaim how long its claim may take: a
	// ledger that was slower may have failed over without its last changes.
	prompt    = 2 * time.Minute
	slowClaim = 2 * time.Second
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
}

// A Scheduler starts occurrences of jobs when they fall due and brings every
// run that was begun to its end, also those of a start that was cut off.
type Scheduler struct {
	SchedulerConfig

	reload chan reload
	done   chan *start
	runs   sync.WaitGroup

	// Of the loop alone:
	plans  plans
	starts map[occurrence]*start // what this process is at
	queue  []*start              // those that wait for a place, the oldest first
	active int                   // those that have one
	next   time.Time             // when something is to be started
	stuck  time.Time             // until when nothing can be claimed
	sound  time.Time             // since when the ledger has been in use without a fault

	mu     sync.Mutex // guards the rest
	jobs   map[string]*jobs.Job
	cancel map[int64]context.CancelCauseFunc // by run
}

// A reload is a set of jobs to be put in force.
type reload struct {
	jobs []*jobs.Job
	done chan error // gets the outcome, which waits there
}

type occurrence struct {
	job string
	key jobs.Key
}

// claimOf is the claim of an occurrence.
func claimOf(o occurrence, holder string, lease time.Duration) ledger.Claim {
	return ledger.Claim{Job: o.job, Key: string(o.key), Due: o.key.Due(), Holder: holder, Lease: lease}
}

// A start is an occurrence that waits for a place, has one, or was left to be
// tried again.
type start struct {
	occurrence
	job   *jobs.Job
	at    time.Time   // the occurrence's instant; if it has none, when it was claimed
	begin time.Time   // when it was to begin; zero if it has begun before, or follows another job
	plan  *plan       // that waits for its claim; nil if there is none
	taken *ledger.Run // that was taken over; nil means that it is to be claimed

	// known says that nobody can have begun it without the ledger knowing, see
	// [Order].
	known bool
	// claims is how often it was claimed before, for this start; those that
	// follow a job are claimed when it has succeeded.
	claims int
	// followers are the occurrences that were claimed as it has succeeded, and
	// whether they were new.
	followers map[string]bool

	tries int
	retry time.Time // when it is tried again; zero unless it was left

	// What came of the last try: nothing if there was nothing to do.
	result *Result
	err    error // of the ledger, a [*Taken] or a [*Waiting]
}

// NewScheduler returns a Scheduler that is ready to run.
func NewScheduler(c SchedulerConfig) *Scheduler {
	c.Lease = cmp.Or(c.Lease, 30*time.Second)
	return &Scheduler{
		SchedulerConfig: c,
		reload:          make(chan reload),
		done:            make(chan *start),
		plans:           newPlans(),
		starts:          map[occurrence]*start{},
		cancel:          map[int64]context.CancelCauseFunc{},
	}
}

// Reload replaces the jobs, and returns when the new ones are in force. After
// an error the old ones are, all of them. Runs that were begun go on as they
// were.
func (s *Scheduler) Reload(ctx context.Context, all []*jobs.Job) error {
	r := reload{all, make(chan error, 1)}
	select {
	case s.reload <- r:
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

// Run schedules all until ctx ends, and then returns as soon as every run has
// been left in a state from which the next start goes on.
func (s *Scheduler) Run(ctx context.Context, all []*jobs.Job) error {
	s.sound = time.Now()
	if err := s.plan(ctx, all); err != nil {
		return err
	}
	if err := s.takeOver(ctx); err != nil {
		return err
	}
	s.loop(ctx)
	go func() {
		s.runs.Wait()
		close(s.done)
	}()
	for range s.done { // what has ended meanwhile is in the ledger
	}
	release, cancel := beyond(ctx, recordTime)
	defer cancel()
	return errors.Join(s.saveCursors(release), s.Ledger.Release(release, s.Holder))
}

func (s *Scheduler) tellObserver(e Event) { s.Engine.observer.Observe(e) }

// loop starts what falls due until ctx ends.
func (s *Scheduler) loop(ctx context.Context) {
	renew := time.NewTicker(s.Lease / 3)
	defer renew.Stop()
	for {
		s.tellObserver(Turned{})
		s.startQueued(ctx)
		if len(s.plans.moved) > 0 && !time.Now().Before(s.plans.save) {
			if err := s.saveCursors(ctx); err != nil && ctx.Err() == nil {
				s.Log.Error("the cursors of the schedules could not be written, they are written later", "err", err)
			}
		}
		if len(s.plans.moved) > 0 {
			s.wakeAt(s.plans.save)
		}
		timer := time.NewTimer(min(turn, time.Until(s.next)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			s.startDue(time.Now())
		case r := <-s.reload:
			r.done <- s.plan(ctx, r.jobs)
		case st := <-s.done:
			s.settle(ctx, st)
		case <-renew.C:
			if err := s.keep(ctx); err != nil && ctx.Err() == nil {
				s.Log.Error("the ledger could not be used", "err", err)
			}
		}
		timer.Stop()
	}
}

// startDue has what is due wait for a place, the oldest first.
func (s *Scheduler) startDue(now time.Time) {
	for _, st := range s.starts {
		if !st.retry.IsZero() && !st.retry.After(now) {
			st.retry = time.Time{}
			s.enqueue(st)
		}
	}
	for name, p := range s.plans.byJob {
		if !p.due(now) {
			continue
		}
		for _, at := range p.pass(now, s.Log) {
			key := jobs.ScheduledKey(at)
			s.launch(&start{occurrence: occurrence{name, key}, job: p.job, at: at, begin: p.job.Due(key, at), plan: p})
		}
		p.settleDealt()
		s.plans.note(p, now)
		s.tellObserver(Planned{name, p.start})
	}
	s.replan(now)
}

// replan finds out when something is to be started next.
func (s *Scheduler) replan(now time.Time) {
	s.next = now.Add(turn)
	for _, p := range s.plans.byJob {
		if p.wait == "" {
			s.wakeAt(p.start)
		}
	}
	for _, st := range s.starts {
		if !st.retry.IsZero() {
			s.wakeAt(st.retry)
		}
	}
}

func (s *Scheduler) wakeAt(t time.Time) {
	if t.Before(s.next) {
		s.next = t
	}
}

// launch has an occurrence wait for a place, unless this process is at it
// already.
func (s *Scheduler) launch(st *start) {
	if s.starts[st.occurrence] != nil {
		return
	}
	if st.plan != nil {
		st.plan.queued++
	}
	s.starts[st.occurrence] = st
	s.enqueue(st)
}

func (s *Scheduler) enqueue(st *start) {
	i, _ := slices.BinarySearchFunc(s.queue, st, func(a, b *start) int {
		return cmp.Or(a.at.Compare(b.at), -1) // after those of the same instant
	})
	s.queue = slices.Insert(s.queue, i, st)
}

// startQueued gives the places that are free to those who wait. They are
// claimed one after the other: were the process cut off between two claims, the
// next one would begin after the newest that is in the ledger.
func (s *Scheduler) startQueued(ctx context.Context) {
	for len(s.queue) > 0 && s.active < pendingTasks && !time.Now().Before(s.stuck) && ctx.Err() == nil {
		st := s.queue[0]
		if err := s.claim(ctx, st); err != nil {
			s.sound = time.Now()
			s.stuck = s.sound.Add(claimPause)
			s.wakeAt(s.stuck)
			if ctx.Err() == nil {
				s.Log.Error("nothing can be started, the ledger could not be used", "err", err)
			}
			break
		}
		s.queue = slices.Delete(s.queue, 0, 1)
		s.active++
		if p := st.plan; p != nil {
			st.plan = nil
			p.claimed(st.at)
			s.plans.note(p, time.Now())
		}
		if st.err != nil {
			s.settle(ctx, st)
			continue
		}
		s.runs.Go(func() {
			s.do(ctx, st)
			s.done <- st
		})
	}
	s.tellObserver(Queued{len(s.queue), s.active})
}

// claim claims an occurrence that was not taken over. That of somebody else
// gets a [*Taken] as its error.
func (s *Scheduler) claim(ctx context.Context, st *start) error {
	st.result, st.err = nil, nil
	if st.taken != nil {
		return nil
	}
	begin := time.Now()
	run, mine, err := s.Ledger.Claim(ctx, claimOf(st.occurrence, s.Holder, s.Lease))
	switch now := time.Now(); {
	case err != nil:
		return err
	case mine:
		st.taken = run
		if now.Sub(begin) > slowClaim {
			s.sound = now
		}
		if !st.begin.IsZero() {
			st.known = st.begin.After(s.sound) && now.Sub(st.begin) <= prompt
		}
		st.known = st.known && st.tries == 0 && run.Claims == st.claims+1
	default:
		st.err = &Taken{run}
		s.Log.Debug("nothing to do", "job", st.job.Name, "occurrence", string(st.key), "reason", st.err)
	}
	return nil
}

// do runs an occurrence that has a place.
func (s *Scheduler) do(ctx context.Context, st *start) {
	log := s.Log.With("job", st.job.Name, "occurrence", string(st.key))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var id int64
	rec := Recording{
		Ledger: s.Ledger, Holder: s.Holder, Lease: s.Lease, Run: st.taken,
		Claimed: func(run *ledger.Run) {
			id = run.ID
			s.cancelable(id, cancel)
			log.Info("run started", "run", id, "resumed", run.Claims > 1 || st.tries > 0, "lateness", st.lateness(time.Now()))
		},
		Succeeded: func(ctx context.Context) error { return s.claimFollowers(ctx, st) },
	}
	o := Order{Job: st.job, Key: st.key, At: st.at, CancelOnInterrupt: s.CancelOnInterrupt, Known: st.known, InTurn: inTurn(st.job)}
	if due := st.key.Due(); st.job.Schedule != nil && st.job.StartingDeadline > 0 && !due.IsZero() {
		o.StartBy = st.job.Due(st.key, due).Add(st.job.StartingDeadline)
	}
	st.result, st.err = s.Engine.Record(ctx, rec, o)
	s.cancelable(id, nil)
	switch {
	case st.err == nil:
		s.tell(log, st.result)
		s.tellObserver(Ended{st.job, st.result, st.lateness(st.result.Started)})
	case waits(st.err):
		log.Debug("the run waits for its turn", "reason", st.err)
	case errors.Is(st.err, ledger.ErrLost):
		log.Warn("run is somebody else's now", "run", id, "err", st.err)
	case st.result != nil:
		log.Error("run ended, but could not be recorded: it is tried again", "run", id, "state", string(st.result.State), "err", st.err)
	case ctx.Err() == nil:
		log.Error("the occurrence could not be run", "err", st.err)
	}
}

// lateness is how late a run began; zero if it had no instant to begin at.
func (st *start) lateness(began time.Time) time.Duration {
	if st.begin.IsZero() {
		return 0
	}
	return max(0, began.Sub(st.begin)).Round(time.Millisecond)
}

// cancelable says how to cancel a run of this process; nil means no more.
func (s *Scheduler) cancelable(run int64, cancel context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel == nil {
		delete(s.cancel, run)
		return
	}
	s.cancel[run] = cancel
}

// tell logs how a run ended.
func (s *Scheduler) tell(log *slog.Logger, res *Result) {
	attrs := []any{"run", res.Run, "state", string(res.State), "attempt", res.Attempt, "elapsed", res.Finished.Sub(res.Started).Round(time.Millisecond)}
	if t := res.task(); t != nil {
		attrs = append(attrs, "task_id", t.TaskID)
	}
	if deleted := res.Deleted(); deleted != nil {
		attrs = append(attrs, "files_deleted", deleted.Files)
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

// settle takes note of a run that has ended, or has to be tried again.
func (s *Scheduler) settle(ctx context.Context, st *start) {
	s.active--
	if ctx.Err() != nil {
		return
	}
	p := s.plans.byJob[st.occurrence.job]
	if p != nil && p.wait == "" && waits(st.err) {
		p.wait = st.key // what falls due meanwhile queues behind it
	}
	awaited := p != nil && p.wait == st.key
	if st.left(awaited) {
		s.leave(st, awaited)
		return
	}
	delete(s.starts, st.occurrence)
	if p != nil {
		s.nextInTurn(p, awaited)
	}
	if st.result == nil || !st.result.good() {
		return
	}
	for _, job := range s.followers(st.occurrence.job) {
		s.launch(&start{
			occurrence: occurrence{job.Name, st.key}, job: job, at: st.at,
			known: st.known && st.followers[job.Name], claims: 1,
		})
	}
}

// leave has an occurrence be tried again later. The one that others wait for
// looks often whether the run of another process is over: a job that catches up
// beside other replicas pays that for each of its occurrences.
func (s *Scheduler) leave(st *start, awaited bool) {
	st.taken = nil
	_, taken := errors.AsType[*Taken](st.err)
	pause := s.Lease
	switch {
	case awaited && (taken || waits(st.err)):
		pause /= 6
	case !waits(st.err):
		pause = min(s.Lease<<min(st.tries, 10), lastRetry)
		st.tries++
		st.begin = time.Time{}
	}
	st.retry = time.Now().Add(pause)
	s.wakeAt(st.retry)
}

// nextInTurn lets a plan go on when a run of its job is over, as that may have
// been in the way: with the oldest occurrence that waits for its turn, else with
// the next instant if the run was awaited.
func (s *Scheduler) nextInTurn(p *plan, awaited bool) {
	if awaited {
		p.wait = ""
		s.next = time.Now()
	}
	var oldest *start
	for _, st := range s.starts {
		if st.retry.IsZero() || st.occurrence.job != p.job.Name { // one that is at work has no time to be tried again
			continue
		}
		if waits(st.err) && (oldest == nil || st.at.Before(oldest.at)) {
			oldest = st
		}
	}
	if oldest != nil {
		p.wait = oldest.key
		oldest.retry = time.Now()
		s.next = oldest.retry
	}
}

// left reports whether the occurrence has to be tried again. What another
// process is at has to be if somebody waits here for its end.
func (st *start) left(awaited bool) bool {
	if taken, ok := errors.AsType[*Taken](st.err); ok {
		return awaited && !taken.Run.State.Final()
	}
	if st.err != nil {
		return !errors.Is(st.err, ledger.ErrLost)
	}
	return st.result.Resumable() && !errors.Is(st.result.Err, ledger.ErrLost)
}

// waits reports whether err is that of a run that waits for its turn.
func waits(err error) bool {
	_, ok := errors.AsType[*Waiting](err)
	return ok
}

// followers are the jobs to be started when a job has succeeded.
func (s *Scheduler) followers(name string) (all []*jobs.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, job := range s.jobs {
		if job.After == name && !job.Suspend {
			all = append(all, job)
		}
	}
	return all
}

// claimFollowers claims the occurrences that follow one that has succeeded.
// They are in the ledger before the success is, so that a start that is cut off
// between the two loses none.
func (s *Scheduler) claimFollowers(ctx context.Context, st *start) error {
	st.followers = map[string]bool{}
	for _, job := range s.followers(st.occurrence.job) {
		run, _, err := s.Ledger.Claim(ctx, claimOf(occurrence{job.Name, st.key}, s.Holder, s.Lease))
		if err != nil {
			return err
		}
		st.followers[job.Name] = run.Claims == 1
	}
	return nil
}

// keep renews the leases, ends what somebody wants to be canceled, and takes
// over what nobody has any more.
func (s *Scheduler) keep(ctx context.Context) error {
	if len(s.starts) == 0 {
		return s.takeOver(ctx)
	}
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

// takeOver resumes the runs that nobody has.
func (s *Scheduler) takeOver(ctx context.Context) error {
	runs, err := s.Ledger.TakeOver(ctx, s.Holder, s.Lease, pendingTasks)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, run := range runs {
		job := s.jobs[run.Job]
		if job == nil {
			s.Log.Warn("a run of a job that is no longer there is followed to its end", "job", run.Job, "occurrence", run.Key, "run", run.ID)
			job = removed(run.Job)
		}
		at := run.Due
		if at.IsZero() {
			at = run.Claimed
		}
		s.launch(&start{occurrence: occurrence{run.Job, jobs.Key(run.Key)}, job: job, at: at, taken: run})
	}
	return nil
}

// removed stands for a job of which no more than its name is known.
func removed(name string) *jobs.Job {
	job := &jobs.Job{Name: name}
	_ = job.Check() // fills in the defaults; the name was good once
	return job
}
