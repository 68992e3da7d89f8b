package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	firstPoll = time.Second
	lastPoll  = 15 * time.Second
	// heartbeat is how often, at most, a task that makes progress is logged.
	heartbeat = time.Minute
	// mostUnknown is how many looks in a row may find no task before that is believed: the
	// run fails then, and its next attempt would be a second task.
	mostUnknown = 4
	// cancelTime bounds the cancel of a task after the end of the run's own
	// context.
	cancelTime = 10 * time.Second
	// askTime is how long requests about a task may take after the time of the run is
	// over.
	askTime = 3 * time.Second
)

func nextPoll(d time.Duration) time.Duration { return min(d*5/4, lastPoll) }

// jitter spreads the polls of many runners: it returns between 3/4 of d and d.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/4+1) }

// A watcher follows the task of an attempt.
type watcher struct {
	part   *part
	run    *run // of the part
	log    *slog.Logger
	task   *Task
	course course
	class  Class          // at the last look
	seen   *transfer.Task // the last look at the unfinished task; nil if there was none
	seenAt time.Time
	reason string    // what held the task when its class changed last; empty if that was not asked
	said   time.Time // when the task was logged last
	noted  bool      // what holds the task is recorded

	canceled    *Failure  // why the task was canceled by us; nil if it was not
	retryCancel time.Time // when to try to cancel the task again; zero if that is not needed
}

// watch follows the task of the present attempt to its end. It returns nil if the task has
// succeeded, with all that the job wants.
func (p *part) watch(ctx context.Context) error {
	r := p.run
	task := r.result.task()
	w := &watcher{
		part: p, run: r, log: r.log.With("task_id", task.TaskID, "attempt", p.attempt),
		task: task, course: course{stalledAfter: r.job.StalledAfter}, canceled: p.late,
	}
	if task.Last != nil && task.Last.Status.Final() {
		return w.ended(ctx)
	}
	wait := firstPoll
	if r.result.Adopted {
		wait = 0 // it may have ended long ago
	}
	for unknown := 0; ; wait = r.engine.nextLook(wait) {
		switch t, err := r.engine.poller.look(ctx, task.TaskID, wait); {
		case err == nil:
			task.Last, unknown = t, 0
		case ctx.Err() != nil:
			return w.interrupt(ctx, wait)
		case gone(err) && p.hadSucceeded():
			return nil // so long ago that Globus has forgotten it
		case gone(err) && unknown < mostUnknown:
			unknown++
			w.log.Warn("task is not known at Globus, it is looked for again", "err", err)
			continue
		default:
			return w.lost(err)
		}
		if task.Last.Status.Final() {
			return w.ended(ctx)
		}
		w.react(ctx)
	}
}

// nextLook returns how long to wait for the next look, after one that was waited for.
func (e *Engine) nextLook(waited time.Duration) time.Duration {
	return cmp.Or(e.every, max(firstPoll, nextPoll(waited)))
}

// hadSucceeded reports whether an earlier start saw the task succeed.
func (p *part) hadSucceeded() bool {
	s, ok := p.run.journal.newest(p.position)
	return ok && s.ID == p.submissionID && s.Status == string(transfer.Succeeded)
}

// lost returns what the error of a look at the task means.
func (w *watcher) lost(err error) error {
	if e, ok := errors.AsType[*transfer.Error](err); ok && !e.Temporary() {
		return fmt.Errorf("watch task %s: %w", w.task.TaskID, err)
	}
	return &Failure{
		Kind: fault.Unknown, TaskID: w.task.TaskID, Err: err,
		Message: fmt.Sprintf("task %s was submitted, but its outcome could not be determined; start again with %s to find out", w.task.TaskID, w.again()),
	}
}

// again says how to start again to follow the task.
func (w *watcher) again() string {
	if how := w.run.order.Follow; how != "" {
		return strings.ReplaceAll(how, TaskIDHere, w.task.TaskID)
	}
	return w.part.repeat()
}

// react classifies the task and does what the job's policy says about a change.
func (w *watcher) react(ctx context.Context) {
	now := time.Now()
	w.seen, w.seenAt = w.task.Last, now
	class := w.course.classify(w.task.Last, now)
	w.run.engine.observe(Looked{w.run.result.Job, w.task.Last, class, w.run.result.Started})
	w.noteTrouble(ctx, class, now)
	if class == w.class && (w.retryCancel.IsZero() || now.Before(w.retryCancel)) {
		w.beat(ctx, now)
		return
	}
	was := w.class
	w.class, w.retryCancel, w.reason = class, time.Time{}, ""
	reaction := w.reaction(class)
	if class == Progressing || class == Retrying || reaction == jobs.Wait {
		if was != "" || class != Progressing {
			w.say(ctx, slog.LevelInfo, "task changed")
		}
		return
	}
	reason, code := w.explain(ctx)
	w.reason = reason
	w.say(ctx, slog.LevelWarn, "task changed", "reason", reason)
	if reaction == jobs.Warn {
		if reason = advised(reason, code); class == Needs {
			if code == "INACTIVE" {
				reason += ", and the task goes on by itself"
			}
			reason += ", or " + w.run.toEnd()
		}
		w.run.tellHeld(ctx, class, *w.task, reason)
	}
	w.run.journal.note(ctx, string(class), reason)
	w.noted = true
	if reaction == jobs.Cancel && w.canceled == nil {
		w.cancelTask(ctx, code)
	}
}

// noteTrouble records an error that Globus has not overcome for a while, and the end of what
// held the task.
func (w *watcher) noteTrouble(ctx context.Context, class Class, now time.Time) {
	switch {
	case class == Progressing && w.noted:
		w.run.journal.note(ctx, string(class), "the task makes progress again")
		w.noted = false
	case class == Retrying && !w.noted && now.Sub(w.course.troubled) >= lastPoll && w.run.journal != nil:
		reason, _ := w.explain(ctx)
		w.run.journal.note(ctx, string(class), reason)
		w.noted = true
	}
}

// reaction returns the job's policy for a class.
func (w *watcher) reaction(c Class) jobs.Reaction {
	switch c {
	case Stalled:
		return w.run.job.On.Stalled
	case Needs:
		return w.run.job.On.NeedsHuman
	case Hopeless:
		return w.run.job.On.Hopeless
	}
	return jobs.Wait
}

// beat logs a task that makes progress, once in a while.
func (w *watcher) beat(ctx context.Context, now time.Time) {
	if w.said.IsZero() {
		w.said = now
	}
	if w.class != Needs && now.Sub(w.said) >= heartbeat && w.course.moved.After(w.said) {
		w.say(ctx, slog.LevelInfo, "task makes progress")
	}
}

// say logs the task.
func (w *watcher) say(ctx context.Context, level slog.Level, msg string, attrs ...any) {
	w.said = time.Now()
	t := w.task.Last
	attrs = append([]any{
		"class", string(w.class), "status", string(t.Status), "nice_status", t.NiceStatus,
		"files", t.FilesTransferred, "bytes", t.BytesTransferred, "faults", t.Faults,
		"elapsed", time.Since(w.run.result.Started).Round(time.Second),
	}, attrs...)
	//nolint:sloglint // the message is a constant of the callers
	w.log.Log(ctx, level, msg, attrs...)
}

// cancelTask cancels the task because of its class.
func (w *watcher) cancelTask(ctx context.Context, code string) {
	f := &Failure{TaskID: w.task.TaskID, Code: code, Kind: fault.Refused, state: ledger.Failed}
	why := "it could not succeed"
	switch w.class {
	case Needs:
		f.Kind, why = fault.NeedsHuman, "only a person can resume it"
	case Stalled:
		f.Kind, f.state, why = fault.TimedOut, ledger.TimedOut, "it stalled"
	}
	f.Message = fmt.Sprintf("task %s was canceled because %s (%s)", f.TaskID, why, w.reason)
	if code == "PAUSED" {
		f.Message += "; ask the collection's manager to end the pause" // it cannot be resumed any more
	} else {
		f.Message = advised(f.Message, code)
	}
	if _, err := w.run.globus.CancelTask(ctx, w.task.TaskID); err != nil {
		w.log.Warn("task could not be canceled", "err", err)
		w.retryCancel = time.Now().Add(heartbeat)
		return
	}
	w.canceled = f
}

// interrupt ends the watch because ctx has ended. The next look would have come after wait.
func (w *watcher) interrupt(ctx context.Context, wait time.Duration) error {
	id := w.task.TaskID
	onRequest := errors.Is(context.Cause(ctx), errCanceled)
	if !w.run.order.CancelOnInterrupt && !onRequest {
		return interrupted(ctx, id, w.leftBehind(ctx, wait))
	}
	detached, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	res, err := w.run.globus.CancelTask(detached, id)
	switch {
	case gone(err) && w.part.hadSucceeded():
		return nil
	case gone(err):
		return fmt.Errorf("cancel task %s: %w", id, err)
	case err != nil:
		return w.run.uncanceled(ctx, id, fmt.Sprintf("task %s could not be canceled and goes on at Globus", id), err)
	case !untilOver(detached, w.overNow):
		return w.run.uncanceled(ctx, id, fmt.Sprintf("task %s is to be canceled, but had not ended %v later; start again with %s to follow it", id, cancelTime, w.run.repeat(w.part.submissionID)), nil)
	case res.Code == "TaskComplete", w.task.Last.Status == transfer.Succeeded:
		return w.ended(detached) // the cancel came too late
	}
	w.run.journal.addEnd(detached, w.part.submissionID, string(transfer.Failed), w.task.totals())
	return w.run.stopped(ctx, id, fmt.Sprintf("task %s was canceled", id))
}

// overNow looks at the task once more, and reports whether it has ended.
func (w *watcher) overNow(ctx context.Context) bool {
	t, err := w.run.globus.Task(ctx, w.task.TaskID)
	if err != nil {
		w.log.Warn("canceled task could not be looked at", "err", err)
		return false
	}
	w.task.Last = t
	return t.Status.Final()
}

// leftBehind says in what state the task is left, how to follow it, and how to end it. It
// asks Globus only after a timeout: after a signal there is no time for that.
func (w *watcher) leftBehind(ctx context.Context, wait time.Duration) string {
	late := errors.Is(context.Cause(ctx), context.DeadlineExceeded)
	detached, stop := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer stop()
	silent := w.seen != nil && time.Since(w.seenAt) > 2*wait+firstPoll
	state, code := w.plight(detached, late && !silent)
	text := fmt.Sprintf("task %s goes on at Globus", w.task.TaskID)
	switch {
	case code == "PAUSED" || code == "INACTIVE":
		text = fmt.Sprintf("task %s is %s, and does not go on by itself", w.task.TaskID, state)
	case state != "":
		text += fmt.Sprintf(" (%s)", state)
	}
	if silent {
		text += fmt.Sprintf("; Globus has not answered for %s: %s", since(w.seenAt), fault.CheckNetwork)
	}
	return advised(text, code) + fmt.Sprintf("; start again with %s to follow it, or end it with runner task cancel %s", w.again(), w.task.TaskID)
}
