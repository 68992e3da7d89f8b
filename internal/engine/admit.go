package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/flows"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A Taken error says that the occurrence has a run already, which has ended or belongs to
// another start.
type Taken struct{ Run *ledger.Run }

func (t *Taken) Error() string {
	if t.Run.State.Final() {
		return fmt.Sprintf("occurrence %s of job %s is done: run %d has %s", t.Run.Key, t.Run.Job, t.Run.ID, t.Run.State)
	}
	return fmt.Sprintf("occurrence %s of job %s is being done by %s: run %d", t.Run.Key, t.Run.Job, t.Run.Holder, t.Run.ID)
}

// A waitingError says that a run waits for another one. It is claimed, and has submitted
// nothing. It waits for its turn, see takesTurns, or for the end of a run that leaves.
type waitingError struct {
	run    int64 // that waits
	other  *ledger.Run
	leaves bool // other has nothing at work any more, and is about to end
}

func (w *waitingError) Error() string {
	return fmt.Sprintf("run %d of job %s, occurrence %s, has to end first", w.other.ID, w.other.Job, w.other.Key)
}

// isWaiting reports whether err is that of a run that waits.
func isWaiting(err error) bool {
	_, ok := errors.AsType[*waitingError](err)
	return ok
}

// isInTurn reports whether err is that of a run that waits for its turn.
func isInTurn(err error) bool { return inTurnOf(err) != 0 }

// inTurnOf returns the run that waits for its turn, if err is that of one; else 0.
func inTurnOf(err error) int64 {
	if w, ok := errors.AsType[*waitingError](err); ok && !w.leaves {
		return w.run
	}
	return 0
}

// An unusableError says that the ledger could not be read or written, or that a collection
// that an item needs cannot be reached. A later start may succeed.
type unusableError struct{ cause error }

func unusable(err error) error { return unusableError{err} }

func (e unusableError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e unusableError) Unwrap() error { return e.cause }

// Temporary reports true.
func (unusableError) Temporary() bool { return true }

// admit returns why a run that has submitted nothing must not begin; nil if it may.
func (r *run) admit(ctx context.Context) error {
	if !r.journal.unsent() {
		return nil
	}
	switch err := r.withdrawn(); {
	case err != nil:
		return err
	case r.stray != nil:
		return r.stray
	}
	if r.order.Key.IsItem() {
		return r.awaitRoom(ctx)
	}
	return r.giveWay(ctx)
}

// awaitRoom makes a run wait while as many earlier ones are at work as atOnce allows. Not
// more than that are claimed, except by two replicas at the same time. Of waiting runs
// that would all do the same, only the last one is done.
func (r *run) awaitRoom(ctx context.Context) error {
	j, most := r.journal, atOnce(r.job)
	if most == 0 || !r.rec.Scheduled || j.run.Alone || j.run.Again {
		return nil
	}
	earlier := 0
	var last *ledger.Run // of those that wait
	for other, err := range j.ledger.Runs(ctx, ledger.Query{Job: r.job.Name, Unfinished: true}) {
		if err != nil {
			return unusable(fmt.Errorf("read the runs of job %s: %w", r.job.Name, err))
		}
		switch {
		case other.ID > j.run.ID && last == nil && other.State == ledger.Claimed && !other.CancelRequested && !other.Again:
			last = other
		case other.ID < j.run.ID:
			earlier++
		}
		if earlier >= most {
			return &waitingError{run: j.run.ID, other: other}
		}
	}
	if last != nil && r.job.DoesTheSame() {
		return r.setAside(fmt.Sprintf("run %d, which begins later, does the same for occurrence %s and this one", last.ID, last.Key), last.Key)
	}
	return nil
}

// atOnce returns how many runs of items of the job may be at work at once; 0 means any
// number, as for most jobs that follow another one. A prune by the receipts of other jobs is
// limited to one, because all its runs prune the same files.
func atOnce(job *jobs.Job) int {
	switch {
	case job.ForEach != nil:
		return job.ForEach.MaxActive
	case job.DoesTheSame(), slices.ContainsFunc(job.Steps, func(s jobs.Step) bool { return s.Prune != nil && len(s.Prune.Of) > 0 }):
		return 1
	}
	return 0
}

// withdrawn returns why a run must not submit anything any more; nil if it may.
func (r *run) withdrawn() error {
	switch {
	case r.journal.run.CancelRequested:
		return &Failure{Kind: fault.Canceled, Code: "CANCELED", state: ledger.Canceled, Message: "canceled on request: nothing was submitted"}
	case r.job.Steps == nil:
		return &Failure{Kind: fault.Canceled, state: r.withoutRequest(), Message: "the job is no longer in the jobs file; nothing was submitted"}
	case r.overdue() && !r.journal.run.Again: // an operator who asked for it knows how late it is
		return r.expired()
	}
	return nil
}

// overdue reports whether the starting deadline has passed.
func (r *run) overdue() bool { return !r.order.StartBy.IsZero() && time.Now().After(r.order.StartBy) }

func (r *run) expired() *Failure {
	return &Failure{
		Kind: fault.TimedOut, state: ledger.TimedOut,
		Message: "timed out: nothing could be submitted by " + r.order.StartBy.UTC().Format(time.RFC3339) + ", the starting deadline of this occurrence",
		Err:     r.order.Left,
	}
}

// giveWay handles other unfinished runs of the same job as the job's policy says. These are
// earlier runs; if an operator has asked for a retry, there may also be later ones.
func (r *run) giveWay(ctx context.Context) error {
	j := r.journal
	var first *ledger.Run // the one that others are skipped for
	if r.job.Concurrency == jobs.Allow || j.run.Alone {
		return nil
	}
	for other, err := range j.ledger.Runs(ctx, ledger.Query{Job: r.job.Name, Unfinished: true}) {
		if err != nil {
			return unusable(fmt.Errorf("read the runs of job %s: %w", r.job.Name, err))
		}
		later := other.ID > j.run.ID
		if other.ID == j.run.ID || later && (!j.run.Again || other.State != ledger.Submitted) {
			continue
		}
		if first != nil { // one is enough; which one only matters for the message
			if r.precedes(other, first) {
				first = other
			}
			continue
		}
		over, err := r.takeUp(ctx, other)
		if err != nil {
			return err
		}
		if over {
			continue
		}
		if later {
			return skipped("", fmt.Sprintf("occurrence %s of this job is at work (run %d)", other.Key, other.ID))
		}
		if r.caughtUp() || r.rec.Scheduled && inTurn(r.job) && late(r.job, other) {
			return &waitingError{run: j.run.ID, other: other}
		}
		if r.job.Concurrency == jobs.Forbid {
			first = other
			continue
		}
		r.log.Warn("an earlier run of this job is replaced", "other_run", other.ID, "other_occurrence", other.Key)
		if err := r.requestCancel(ctx, other); err != nil {
			return err
		}
	}
	switch leaves, err := r.leaves(ctx, first); {
	case err != nil:
		return err
	case leaves:
		return &waitingError{run: j.run.ID, other: first, leaves: true}
	case first == nil:
		return nil
	}
	return skipped("", fmt.Sprintf("occurrence %s of this job is not over (run %d)", first.Key, first.ID))
}

// precedes reports whether the run is skipped because of other rather than because of first:
// other is at work, or neither is at work and other is older.
func (r *run) precedes(other, first *ledger.Run) bool {
	return other.State == ledger.Submitted || r.rec.Scheduled && first.State != ledger.Submitted
}

// requestCancel asks the holder of another run to cancel it, unless it is over.
func (r *run) requestCancel(ctx context.Context, other *ledger.Run) error {
	if err := r.journal.ledger.RequestCancel(ctx, other.ID); err != nil && !errors.Is(err, ledger.ErrState) {
		return unusable(fmt.Errorf("cancel run %d: %w", other.ID, err))
	}
	return nil
}

// soon is how long a triggered run is left to the scheduler, which takes it up within 10
// seconds if one is running.
const soon = 15 * time.Second

// takeUp finishes an earlier run of the job that its start left unfinished, if
// no scheduler does. A run that has submitted something is followed to its end,
// and a scheduled occurrence is done. Other runs that have submitted nothing are
// canceled, unless an operator asked for them, and so are runs that the policy
// replaces. It reports whether the run is over.
func (r *run) takeUp(ctx context.Context, other *ledger.Run) (over bool, err error) {
	wanted := other.Again && other.Claims == 0 && time.Since(other.Claimed) < soon
	if r.rec.Scheduled || wanted || time.Now().Before(other.LeaseUntil) {
		return false, nil
	}
	at, cancel := other.Due, r.job.Concurrency == jobs.Replace
	if at.IsZero() {
		sent, err := r.rec.Ledger.Submissions(ctx, other.ID)
		if err != nil {
			return false, unusable(err)
		}
		at, cancel = other.Claimed, cancel || len(sent) == 0 && !other.Again
	}
	if cancel {
		if err := r.requestCancel(ctx, other); err != nil {
			return false, err
		}
	}
	switch now, err := r.rec.Ledger.Run(ctx, other.ID); {
	case err != nil:
		return false, unusable(err)
	case now.State.Final(): // it was finished together with another one
		return true, nil
	}
	log := r.log.With("other_run", other.ID, "other_occurrence", other.Key)
	if other.Again {
		log.Info("somebody has asked for another run of this job, which is done first")
	} else {
		log.Warn("an earlier run of this job was left by its start, and is ended first")
	}
	res, err := r.engine.Record(ctx, r.rec, Order{
		Job: r.job, Key: jobs.Key(other.Key), At: at, CancelOnInterrupt: r.order.CancelOnInterrupt,
	})
	if taken, ok := errors.AsType[*Taken](err); ok {
		return taken.Run.State.Final(), nil
	}
	switch {
	case res == nil:
		return false, err
	case !res.State.Final() && res.Err != nil:
		return false, fmt.Errorf("run %d of this job, which was left by its start, could not be ended first: %w", other.ID, res.Err)
	}
	return res.State.Final(), nil
}

// caughtUp reports whether the run is that of a missed occurrence, which has to wait for its
// turn.
func (r *run) caughtUp() bool {
	return r.rec.Scheduled && takesTurns(r.job) && r.journal != nil && late(r.job, r.journal.run)
}

// leaves reports whether another run of the job, which may be nil, is about to end by
// itself. No run is skipped because of it: its start may have been cut off, and its task may
// have ended long ago.
func (r *run) leaves(ctx context.Context, other *ledger.Run) (bool, error) {
	switch {
	case other == nil || !r.rec.Scheduled:
		return false, nil
	case other.State == ledger.Claimed:
		return other.CancelRequested, nil
	}
	sent, err := r.rec.Ledger.Submissions(ctx, other.ID)
	if err != nil {
		return false, unusable(fmt.Errorf("read what run %d has submitted: %w", other.ID, err))
	}
	for _, s := range sent {
		if s.Status == "" && s.TaskID != "" && !r.hasEnded(ctx, s) {
			return false, ctx.Err()
		}
	}
	// One without a task is being confirmed; after a failure the next attempt may be
	// hours away.
	return len(sent) > 0 && slices.Contains([]string{"", string(transfer.Succeeded)}, sent[len(sent)-1].Status), nil
}

// hasEnded asks Globus whether what was submitted has ended.
func (r *run) hasEnded(ctx context.Context, s ledger.Submission) bool {
	var final bool
	var err error
	if s.Flow != "" {
		var last *flows.Run
		if last, err = r.engine.flows.Run(ctx, s.TaskID); err == nil {
			final = last.Status.Final()
		}
	} else {
		defer r.engine.poller.join(ctx)()
		var task *transfer.Task
		if task, err = r.engine.poller.look(ctx, s.TaskID, 0); err == nil {
			final = task.Status.Final()
		}
	}
	return final || gone(err)
}

// late reports whether a run was claimed to catch up with a missed occurrence. It depends
// only on the ledger, so all replicas agree.
func late(job *jobs.Job, run *ledger.Run) bool {
	return !run.Due.IsZero() && run.Claimed.Sub(job.Due(jobs.Key(run.Key), run.Due)) > onTime
}
