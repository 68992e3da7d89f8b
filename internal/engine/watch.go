package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	// cancelTime bounds the cancel of a task after the end of the run's own
	// context.
	cancelTime = 10 * time.Second
	// askTime bounds what is asked about a task when the time of the run is
	// over.
	askTime = 3 * time.Second
)

func nextPoll(d time.Duration) time.Duration { return min(d*5/4, lastPoll) }

// jitter spreads the polls of many runners: it returns between 3/4 of d and d.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/4+1) }

// watch follows the task of the present attempt to its end. It returns nil if
// the task succeeded as the job wants it.
func (r *part) watch(ctx context.Context) error {
	task := r.result.task()
	log := r.log.With("task_id", task.TaskID, "attempt", r.attempt)
	w := &watcher{part: r, log: log, task: task, course: course{stalledAfter: r.Job.StalledAfter}}
	if task.Last != nil && task.Last.Status.Final() {
		return w.settle(ctx)
	}
	wait := firstPoll
	if r.result.Adopted {
		wait = 0 // it may have ended long ago
	}
	for ; ; wait = max(firstPoll, nextPoll(wait)) {
		switch t, err := w.tasks.look(ctx, task.TaskID, wait); {
		case err == nil:
			task.Last = t
		case ctx.Err() != nil:
			return w.interrupt(ctx, wait)
		case gone(err) && w.record.succeeded(r):
			return nil // so long ago that Globus has forgotten it
		default:
			return w.lost(err)
		}
		if task.Last.Status.Final() {
			return w.settle(ctx)
		}
		w.judge(ctx)
	}
}

// A watcher watches one task.
type watcher struct {
	*part
	log    *slog.Logger
	task   *Task
	course course
	class  Class          // at the last look
	seen   *transfer.Task // the last look at the unfinished task; nil if there was none
	looked time.Time      // when that was
	why    string         // what held the task when its class changed last; empty if that was not asked
	said   time.Time      // when the task was logged last
	end    *Failure       // why the task was canceled by us; nil if it was not
	retry  time.Time      // when to try a cancel again that did not work; zero if there is none
}

// lost is what a failed look at the task means.
func (w *watcher) lost(err error) error {
	if e, ok := errors.AsType[*transfer.Error](err); ok && !e.Temporary() {
		return fmt.Errorf("watch task %s: %w", w.task.TaskID, err)
	}
	return &Failure{
		Kind: fault.Unknown, TaskID: w.task.TaskID, Err: err,
		Message: fmt.Sprintf("task %s was submitted, but how it ended could not be learned; start again with %s to find out", w.task.TaskID, w.repeat()),
	}
}

// judge classifies the task and does what the job's policy says about a change.
func (w *watcher) judge(ctx context.Context) {
	now := time.Now()
	w.seen, w.looked = w.task.Last, now
	class := w.course.look(w.task.Last, now)
	w.observer.Observe(Looked{w.task.Last, class, w.result.Started})
	if class == w.class && (w.retry.IsZero() || now.Before(w.retry)) {
		w.beat(ctx, now)
		return
	}
	was := w.class
	w.class, w.retry, w.why = class, time.Time{}, ""
	reaction := w.reaction(class)
	if class == Progressing || class == Retrying || reaction == jobs.Wait {
		if was != "" || class != Progressing {
			w.say(ctx, slog.LevelInfo, "task changed")
		}
		return
	}
	why, code := w.explain(ctx)
	w.why = why
	w.say(ctx, slog.LevelWarn, "task changed", "reason", why)
	w.record.note(ctx, w.run, string(class), why)
	if reaction == jobs.Cancel && w.end == nil {
		w.cancel(ctx, why, code)
	}
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
		"elapsed", time.Since(w.result.Started).Round(time.Second),
	}, attrs...)
	//nolint:sloglint // the message is a constant of the callers
	w.log.Log(ctx, level, msg, attrs...)
}

// reaction is the job's policy for a class.
func (w *watcher) reaction(c Class) jobs.Reaction {
	switch c {
	case Stalled:
		return w.Job.On.Stalled
	case Needs:
		return w.Job.On.NeedsHuman
	case Hopeless:
		return w.Job.On.Hopeless
	}
	return jobs.Wait
}

// cancel cancels the task because of its class.
func (w *watcher) cancel(ctx context.Context, why, code string) {
	end := &Failure{TaskID: w.task.TaskID, Code: code}
	switch w.class {
	case Needs:
		end.Kind, end.state = fault.NeedsHuman, ledger.Canceled
		end.Message = advised(fmt.Sprintf("task %s was canceled because only a person can resume it (%s)", end.TaskID, why), code)
	case Stalled:
		end.Kind, end.state = fault.TimedOut, ledger.TimedOut
		end.Message = advised(fmt.Sprintf("task %s was canceled because it stalled (%s)", end.TaskID, why), code)
	default:
		end.Kind, end.state = fault.Refused, ledger.Failed
		end.Message = advised(fmt.Sprintf("task %s was canceled because it could not succeed (%s)", end.TaskID, why), code)
	}
	if _, err := w.globus.CancelTask(ctx, w.task.TaskID); err != nil {
		w.log.Warn("task could not be canceled", "err", err)
		w.retry = time.Now().Add(heartbeat)
		return
	}
	w.end = end
}

// interrupt ends the watch because ctx has ended, while the next look was to
// come after wait.
func (w *watcher) interrupt(ctx context.Context, wait time.Duration) error {
	id := w.task.TaskID
	if !w.CancelOnInterrupt && !errors.Is(context.Cause(ctx), ErrCanceled) {
		return interrupted(ctx, id, w.left(ctx, wait))
	}
	detached, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	res, err := w.globus.CancelTask(detached, id)
	if err != nil && !gone(err) {
		f := interrupted(ctx, id, fmt.Sprintf("task %s could not be canceled and goes on at Globus", id))
		f.Err = err
		if errors.Is(context.Cause(ctx), ErrCanceled) {
			f.Kind, f.state = fault.Unknown, "" // a later start cancels it
		}
		return f
	}
	if t, err := w.globus.Task(detached, id); err != nil {
		w.log.Warn("canceled task could not be looked at", "err", err)
	} else if w.task.Last = t; res != nil && res.Code == "TaskComplete" && t.Status.Final() {
		return w.settle(detached) // it had ended by itself
	}
	w.record.ended(detached, w.part, transfer.Failed)
	f := interrupted(ctx, id, fmt.Sprintf("task %s was canceled", id))
	f.state = ledger.Canceled
	return f
}

// left says in what state the task is left, how it is followed, and how it is
// ended. Only when the time is over is there time to ask; a signal is in a hurry.
func (w *watcher) left(ctx context.Context, wait time.Duration) string {
	late := errors.Is(context.Cause(ctx), context.DeadlineExceeded)
	detached, stop := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer stop()
	silent := w.seen != nil && time.Since(w.looked) > 2*wait+firstPoll
	state, code := w.plight(detached, late && !silent)
	text := fmt.Sprintf("task %s goes on at Globus", w.task.TaskID)
	switch {
	case code == "PAUSED" || code == "INACTIVE":
		text = fmt.Sprintf("task %s is %s, and does not go on by itself", w.task.TaskID, state)
	case state != "":
		text += fmt.Sprintf(" (%s)", state)
	}
	if silent {
		text += fmt.Sprintf("; Globus has not answered for %s: %s", since(w.looked), fault.CheckNetwork)
	}
	return advised(text, code) + fmt.Sprintf("; start again with %s to follow it, or end it with runner task cancel %s", w.repeat(), w.task.TaskID)
}

// settle says what the end of the task means.
func (w *watcher) settle(ctx context.Context) error {
	t := w.task.Last
	w.record.ended(ctx, w.part, t.Status)
	w.observer.Observe(Looked{t, Progressing, w.result.Started})
	if t.Status == transfer.Succeeded {
		if t.SubtasksSkippedErrors > 0 && !w.Job.AllowSkipped {
			return w.skipped(ctx)
		}
		return nil
	}
	if w.end != nil {
		return w.end
	}
	f := &Failure{Kind: fault.Failed, TaskID: t.TaskID, state: ledger.Failed}
	if t.FatalError != nil {
		f.Code = t.FatalError.Code
	}
	last, ended := w.lastError(ctx)
	switch {
	case ended == "CANCELED" || f.Code == "CANCELED" || t.SubtasksCanceled > 0 || t.CanceledByAdmin != "":
		f.Kind, f.Code, f.state = fault.Canceled, "CANCELED", ledger.Canceled
		f.Message = fmt.Sprintf("task %s was canceled by somebody else", t.TaskID)
		if t.CanceledByAdmin != "" {
			f.Message = fmt.Sprintf("task %s was canceled by the manager of a collection: %s", t.TaskID, oneLine(t.CanceledByAdminMessage))
		}
	case ended == "EXPIRED" || f.Code == "EXPIRED" || t.SubtasksExpired > 0:
		f.Kind, f.Code, f.state = fault.TimedOut, "EXPIRED", ledger.TimedOut
		f.Message = fmt.Sprintf("task %s was not done by its deadline", t.TaskID)
		if state, code := w.plight(ctx, false); state != "" {
			f.Message += ", and was last seen " + state
			if last == nil {
				f.Message = advised(f.Message, code)
			}
		}
	default:
		f.Message = fmt.Sprintf("task %s failed", t.TaskID)
		if t.FatalError != nil && t.FatalError.Description != "" {
			f.Message += ": " + oneLine(t.FatalError.Description)
		}
		f.again = true
	}
	if last != nil {
		f.Message += "; its last error was " + describe(last)
	}
	switch {
	case f.again:
		blame(f, last)
	case f.Kind == fault.TimedOut && last != nil:
		f.Message = advised(f.Message, last.Code)
	}
	return f
}

// blame says what a failed task's own code means, or else its last error: what
// does not pass by itself has a kind of its own, and a next step.
func blame(f *Failure, last *transfer.Event) {
	trouble := fault.OfTask(f.Code)
	if last != nil && trouble.Kind == fault.Failed {
		if its := fault.OfTask(last.Code); f.Code == "" || its.Kind != fault.Failed {
			f.Code, trouble = last.Code, its
		}
	}
	f.Kind = trouble.Kind
	f.Message = advised(f.Message, f.Code)
}

// advised adds the next step for an error event of this code, if there is one.
func advised(message, code string) string {
	if next := fault.OfTask(code).Next; next != "" {
		message += "; " + next
	}
	return message
}

// skipped is the failure of a task that succeeded without some of its files.
func (w *watcher) skipped(ctx context.Context) error {
	t := w.task.Last
	f := &Failure{Kind: fault.SkippedErrors, TaskID: t.TaskID, state: ledger.Succeeded}
	f.Message = fmt.Sprintf("task %s succeeded, but %d paths were skipped because of errors", t.TaskID, t.SubtasksSkippedErrors)
	for s, err := range w.globus.SkippedErrors(ctx, t.TaskID) {
		if err == nil {
			f.Code = s.ErrorCode
			f.Message += fmt.Sprintf(", the first of them %s (%s)", s.SourcePath, s.ErrorCode)
		}
		break
	}
	f.Message += fmt.Sprintf("; runner task skipped %s lists them", t.TaskID)
	return f
}
