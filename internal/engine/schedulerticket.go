package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	// Globus need not be asked for a task of an occurrence that was claimed at most
	// prompt after it was due, by a claim that took at most slowClaim: a slower ledger
	// may have failed over without its last changes.
	prompt    = 2 * time.Minute
	slowClaim = 2 * time.Second
)

// A ticket is an occurrence that this process works on: it waits for a place, has one, or
// is tried again later.
type ticket struct {
	occurrence occurrence
	job        *jobs.Job
	at         time.Time   // the occurrence's instant; if it has none, when it was claimed
	due        time.Time   // when it should have begun; zero if it has begun before, or follows another job
	plan       *plan       // that waits for its claim; nil if there is none
	ready      bool        // it is about an item that is ready, and is not claimed yet
	refusal    error       // why it must not begin, if that is known before it is claimed
	run        *ledger.Run // that was claimed or taken over; nil before that

	// known says that nobody can have begun it without the ledger knowing, see
	// [Order].
	known bool
	// claims is how often this process has claimed it already: once if it follows a
	// job, when that had succeeded.
	claims int
	// followers has the jobs whose occurrences were claimed when this one had
	// succeeded, and whether they were new.
	followers map[string]bool

	tries   int
	retryAt time.Time // when it is tried again; zero unless it waits for that
	left    error     // why the last try that began did not finish it; nil if there was none

	// The outcome of the last try; both are nil if there was nothing to do.
	result *Result
	err    error // of the ledger, a [*Taken] or a waitingError
}

// issue puts an occurrence into the queue, unless this process works on it already.
func (s *Scheduler) issue(t *ticket) {
	if s.tickets[t.occurrence] != nil {
		return
	}
	if t.plan != nil {
		t.plan.queued++
	}
	s.tickets[t.occurrence] = t
	s.enqueue(t)
}

func (s *Scheduler) enqueue(t *ticket) {
	i, _ := slices.BinarySearchFunc(s.queue, t, func(a, b *ticket) int {
		return cmp.Or(a.at.Compare(b.at), -1) // after those of the same instant
	})
	s.queue = slices.Insert(s.queue, i, t)
}

// claim claims an occurrence, unless it was taken over. If somebody else has it, the error
// of the ticket becomes a [*Taken].
func (s *Scheduler) claim(ctx context.Context, t *ticket) error {
	t.result, t.err = nil, nil
	if t.run != nil {
		return nil
	}
	begin := time.Now()
	run, mine, err := s.rec.claim(ctx, t.occurrence)
	switch now := time.Now(); {
	case err != nil:
		return err
	case mine:
		t.run = run
		if t.occurrence.key.IsItem() {
			t.at = run.Claimed // as it is for a start that takes it over
		}
		if now.Sub(begin) > slowClaim {
			s.sound = now
		}
		if !t.due.IsZero() {
			t.known = t.due.After(s.sound) && now.Sub(t.due) <= prompt
		}
		t.known = t.known && t.tries == 0 && run.Claims == t.claims+1
	default:
		t.err = &Taken{run}
		s.log.Debug("nothing to do", "job", t.job.Name, "occurrence", string(t.occurrence.key), "reason", t.err)
	}
	return nil
}

// order returns the order for the occurrence.
func (t *ticket) order(cancelOnInterrupt bool) Order {
	o := Order{
		Job: t.job, Key: t.occurrence.key, At: t.at, CancelOnInterrupt: cancelOnInterrupt, Known: t.known, Left: t.left,
	}
	if due := o.Key.Due(); t.job.Schedule != nil && t.job.StartingDeadline > 0 && !due.IsZero() {
		o.StartBy = t.job.Due(o.Key, due).Add(t.job.StartingDeadline)
	}
	return o
}

// work runs an occurrence that has a place.
func (s *Scheduler) work(ctx context.Context, t *ticket) {
	log := s.log.With("job", t.job.Name, "occurrence", string(t.occurrence.key), "run", t.run.ID)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	of := log
	if !t.occurrence.key.IsItem() && s.streaks.quiet(t.job.Name, time.Now()) {
		of = hush(log)
	}
	t.result, t.err = s.doRun(ctx, t, cancel, of)
	switch {
	case t.err == nil:
		s.logEnd(ctx, log, t.result)
		s.engine.observe(Ended{t.job, t.result, t.lateness(t.result.Started)})
	case isWaiting(t.err):
		log.Debug("the run waits for its turn", "reason", t.err)
	case errors.Is(t.err, ledger.ErrLost):
		log.Warn("the run belongs to another process now", "err", t.err)
	case t.result != nil:
		log.Error("run ended, but could not be recorded: it is tried again", "state", string(t.result.State), "err", t.err)
	case ctx.Err() == nil:
		log.Error("the occurrence could not be run", "err", t.err)
	}
}

// doRun does the run of an occurrence, and returns what [Engine.Record] does.
func (s *Scheduler) doRun(ctx context.Context, t *ticket, cancel context.CancelCauseFunc, log *slog.Logger) (*Result, error) {
	r, err := s.engine.recorded(ctx, s.rec, t.run, t.order(s.cancelOnInterrupt))
	if err != nil {
		return nil, err
	}
	r.log = log
	ctx = r.heedCancel(ctx)
	refused := t.refusal
	if refused == nil {
		refused = r.admit(ctx)
	}
	if isWaiting(refused) {
		return nil, refused
	}
	defer s.cancelable(t.run.ID, cancel)()
	log.Info("run started", "resumed", t.run.Claims > 1 || t.tries > 0, "lateness", t.lateness(time.Now()))
	if !r.settle(ctx, r.carryOut(ctx, refused)) {
		return r.result, nil
	}
	if r.result.good() {
		err = s.claimFollowers(ctx, t)
	}
	return r.finish(ctx, err)
}

// cancelable lets a run of this process be canceled until done is called.
func (s *Scheduler) cancelable(run int64, cancel context.CancelCauseFunc) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancels[run] = cancel
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.cancels, run)
	}
}

// lateness returns how late a run began; zero if it was not due at an instant.
func (t *ticket) lateness(began time.Time) time.Duration {
	if t.due.IsZero() {
		return 0
	}
	return max(0, began.Sub(t.due)).Round(time.Millisecond)
}

// logEnd logs how a run ended. For a job that keeps failing, it logs one error an hour;
// runs of items are all logged.
func (s *Scheduler) logEnd(ctx context.Context, log *slog.Logger, res *Result) {
	attrs := []any{"state", string(res.State), "attempt", res.Attempt, "elapsed", res.Finished.Sub(res.Started).Round(time.Millisecond)}
	if task := res.task(); task != nil {
		attrs = append(attrs, "task_id", task.TaskID)
	}
	if deleted := res.Deleted(); deleted != nil {
		attrs = append(attrs, "files_deleted", deleted.Files)
	}
	switch {
	case res.Err == nil:
		if res.good() && !res.Key.IsItem() {
			attrs = append(attrs, s.streaks.over(res.Job)...)
		}
		log.Info("run ended", append(attrs, "note", res.Note)...)
		return
	case res.Resumable():
		log.Warn("run left, to be resumed", append(attrs, "err", res.Err)...)
		return
	}
	level := slog.LevelError
	if !res.Key.IsItem() {
		before, loud := s.streaks.failed(res.Job, res.Err, time.Now())
		if attrs = append(attrs, before...); !loud {
			level = slog.LevelDebug
		}
	}
	log.Log(ctx, level, "run ended", append(attrs, "err", res.Err)...)
}

// followers returns the jobs to start when a job has succeeded.
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

// claimFollowers claims the occurrences that follow one that has succeeded. It does so
// before the success is recorded, so that none is lost if the process is cut off between
// the two.
func (s *Scheduler) claimFollowers(ctx context.Context, t *ticket) error {
	ctx, cancel := beyond(ctx, recordTime)
	defer cancel()
	t.followers = map[string]bool{}
	for _, job := range s.followers(t.job.Name) {
		run, _, err := s.rec.claim(ctx, occurrence{job.Name, t.occurrence.key})
		if err != nil {
			return err
		}
		t.followers[job.Name] = run.Claims == 1
	}
	return nil
}
