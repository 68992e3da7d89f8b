package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/globus-runner/globus-runner/internal/automate"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/flows"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/jobs"
)

// A flowWatcher follows the run of a flow of an attempt.
type flowWatcher struct {
	*flowing
	log      *slog.Logger
	task     *Task
	status   flows.Status // at the last look
	began    time.Time
	resumed  bool     // it was resumed once with the consent that it wanted
	canceled *Failure // why the run was canceled by us; nil if it was not
}

// watch follows the run of the present attempt to its end. It returns nil if the run
// succeeded.
func (f *flowing) watch(ctx context.Context) error {
	r := f.run
	task := r.result.task()
	w := &flowWatcher{flowing: f, log: r.log.With("flow", f.flow.ID, "flow_run", task.TaskID, "attempt", f.attempt), task: task, began: time.Now()}
	wait := firstPoll
	if r.result.Adopted {
		wait = 0 // it may have ended long ago
	}
	for ; task.FlowRun == nil || !task.FlowRun.Status.Final(); wait = r.engine.nextLook(wait) {
		if sleep(ctx, jitter(wait)) != nil {
			return w.interrupt(ctx)
		}
		switch last, err := r.engine.flows.Run(ctx, task.TaskID); {
		case err == nil:
			task.FlowRun = last
		case ctx.Err() != nil:
			return w.interrupt(ctx)
		case gone(err) && f.hadSucceeded():
			return nil // so long ago that Globus has forgotten it
		default:
			return w.lost(err)
		}
		w.react(ctx)
	}
	return w.ended(ctx)
}

// hadSucceeded reports whether an earlier start saw the run succeed.
func (f *flowing) hadSucceeded() bool {
	s, ok := f.run.journal.newest(f.position)
	return ok && s.ID == f.id && s.Status == string(flows.Succeeded)
}

// lost returns what the error of a look at the run means.
func (w *flowWatcher) lost(err error) error {
	if e, ok := errors.AsType[*automate.Error](err); ok && !e.Temporary() {
		return fmt.Errorf("watch run %s of flow %s: %w", w.task.TaskID, w.flow.ID, err)
	}
	return &Failure{
		Kind: fault.Unknown, TaskID: w.task.TaskID, Err: err,
		Message: fmt.Sprintf("run %s of flow %s was started, but its outcome could not be determined; start again with %s to find out", w.task.TaskID, w.flow.ID, w.run.repeat(w.id)),
	}
}

// react does what the job says about a run that waits for a person, and cancels one
// that takes too long.
func (w *flowWatcher) react(ctx context.Context) {
	last := w.task.FlowRun
	was := w.status
	w.status = last.Status
	if w.canceled != nil || last.Status.Final() {
		return
	}
	if begin := last.Started(); !begin.IsZero() {
		w.began = begin
	}
	if limit := w.run.job.ActiveDeadline; time.Since(w.began) >= limit {
		w.cancelRun(ctx, &Failure{
			Kind: fault.TimedOut, TaskID: last.ID, Code: "EXPIRED", state: ledger.TimedOut,
			Message: fmt.Sprintf("run %s of flow %s did not end within %s (active_deadline) and was canceled%s", last.ID, w.flow.ID, jobs.FormatDuration(limit), w.plight()),
		})
		return
	}
	if last.Status == flows.Inactive && w.resume(ctx) {
		return
	}
	switch {
	case last.Status == was:
	case last.Status == flows.Inactive:
		w.needsHuman(ctx)
	case was != "":
		w.log.Info("run of a flow changed", "status", string(last.Status))
	}
}

// resume resumes a run that waits for a consent, if the job lets the flow use the
// data of collections: getting the token for that records the consents. A run that
// waits again wants another consent.
func (w *flowWatcher) resume(ctx context.Context) bool {
	if w.resumed || len(w.flow.DataAccess) == 0 || w.task.FlowRun.Details.RequiredScope == "" {
		return false
	}
	w.resumed = true
	last, err := w.run.engine.flows.Resume(ctx, w.task.FlowRun, w.flow.DataAccess)
	if err != nil {
		w.log.Warn("run of a flow could not be resumed", "err", err)
		return false
	}
	w.log.Info("run of a flow resumed", "scope", w.scope())
	w.task.FlowRun, w.status = last, last.Status
	return true
}

// scope returns the scope that the run wants a consent for, on one line.
func (w *flowWatcher) scope() string {
	const longest = 500
	return plain.Short(string(w.task.FlowRun.Details.RequiredScope), longest)
}

// needsHuman does what the job says about a run that waits for a person.
func (w *flowWatcher) needsHuman(ctx context.Context) {
	r, id := w.run, w.task.TaskID
	why := w.wants()
	reaction := r.job.On.NeedsHuman
	if reaction == jobs.Wait {
		w.log.Info("run of a flow waits", "reason", why)
		return
	}
	w.log.Warn("run of a flow waits for a person", "reason", why)
	r.journal.note(ctx, string(Needs), why)
	if reaction == jobs.Warn {
		r.tellHeld(ctx, Needs, *w.task, why)
		return
	}
	w.cancelRun(ctx, &Failure{
		Kind: fault.NeedsHuman, TaskID: id, Code: w.code(), state: ledger.Failed,
		Message: fmt.Sprintf("run %s of flow %s was canceled because only a person can resume it: %s", id, w.flow.ID, why),
	})
}

// code returns the service's code for the status of the run.
func (w *flowWatcher) code() string { return plain.Short(string(w.task.FlowRun.Details.Code), 80) }

// wants says what an INACTIVE run waits for, and what to do.
func (w *flowWatcher) wants() string {
	why := "it is INACTIVE"
	if reason := w.task.FlowRun.Details.Reason(); reason != "" {
		why += " (" + reason + ")"
	}
	if scope := w.scope(); scope != "" {
		return fmt.Sprintf("%s; it wants a consent for the scope %s: if the flow may have that, name the collection in data_access of the step, "+
			"and start again with %s", why, scope, w.run.repeat(w.id))
	}
	return why + "; its owner has to resume it: see https://app.globus.org/runs/" + w.task.TaskID
}

// plight says in what state the run was last seen, if that is of interest.
func (w *flowWatcher) plight() string {
	if last := w.task.FlowRun; last != nil && last.Status == flows.Inactive {
		return "; " + w.wants()
	}
	return ""
}

// cancelRun cancels the run for the reason f. If that fails, the next look tries
// again.
func (w *flowWatcher) cancelRun(ctx context.Context, f *Failure) {
	last, err := w.run.engine.flows.Cancel(ctx, w.task.TaskID)
	if err != nil {
		w.log.Warn("run of a flow could not be canceled", "err", err)
		w.status = ""
		return
	}
	w.canceled = f
	w.task.FlowRun, w.status = last, last.Status
}

// ended returns what the end of the run means.
func (w *flowWatcher) ended(ctx context.Context) error {
	last, id := w.task.FlowRun, w.task.TaskID
	status := last.Status
	if status != flows.Succeeded {
		status = flows.Failed
	}
	w.run.journal.addEnd(ctx, w.id, string(status), ledger.Totals{})
	w.log.Info("run of a flow ended", "status", string(last.Status))
	what := fmt.Sprintf("run %s of flow %s ", id, w.flow.ID)
	switch {
	case last.Status == flows.Succeeded:
		return nil
	case w.canceled != nil:
		return w.canceled
	case last.Details.Code == flows.Canceled:
		return w.run.canceledAtGlobus(ctx, id, what+"was canceled by another command or person")
	case last.Status == flows.Failed:
		what += "failed"
	default:
		what += "ended as " + string(last.Status) + ", which is not a success"
	}
	if reason := last.Details.Reason(); reason != "" {
		what += ": " + reason
	}
	return &Failure{Kind: fault.Failed, TaskID: id, Code: w.code(), state: ledger.Failed, again: true, Message: what}
}

// interrupt ends the watch because ctx has ended.
func (w *flowWatcher) interrupt(ctx context.Context) error {
	r, id := w.run, w.task.TaskID
	onRequest := errors.Is(context.Cause(ctx), errCanceled)
	if !r.order.CancelOnInterrupt && !onRequest {
		follow := "; start again with " + r.repeat(w.id) + " to follow it"
		plight := w.plight()
		if plight != "" && w.scope() != "" {
			follow = "" // it already says how
		}
		return interrupted(ctx, id, fmt.Sprintf("run %s of flow %s goes on at Globus%s%s, or %s", id, w.flow.ID, plight, follow, r.toEnd()))
	}
	detached, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	what := fmt.Sprintf("run %s of flow %s", id, w.flow.ID)
	last, err := r.engine.flows.Cancel(detached, id)
	switch {
	case err == nil:
		w.task.FlowRun = last
	case gone(err) && w.hadSucceeded():
		return nil
	case gone(err):
		return fmt.Errorf("cancel %s: %w", what, err)
	case !w.overNow(detached): // one that has ended cannot be canceled
		return r.uncanceled(ctx, id, what+" could not be canceled and goes on at Globus", err)
	default:
		return w.ended(detached)
	}
	switch {
	case !w.task.FlowRun.Status.Final() && !untilOver(detached, w.overNow):
		return r.uncanceled(ctx, id, fmt.Sprintf("%s is to be canceled, but had not ended %v later; start again with %s to follow it", what, cancelTime, r.repeat(w.id)), nil)
	case w.task.FlowRun.Status == flows.Succeeded:
		return w.ended(detached) // the cancel came too late
	}
	r.journal.addEnd(detached, w.id, string(flows.Failed), ledger.Totals{})
	return r.stopped(ctx, id, what+" was canceled")
}

// overNow looks at the run once more, and reports whether it has ended.
func (w *flowWatcher) overNow(ctx context.Context) bool {
	last, err := w.run.engine.flows.Run(ctx, w.task.TaskID)
	if err != nil {
		w.log.Warn("canceled run of a flow could not be looked at", "err", err)
		return false
	}
	w.task.FlowRun = last
	return last.Status.Final()
}

// toEnd says how to end what the run has begun at Globus.
func (r *run) toEnd() string {
	if r.journal == nil {
		return "cancel it at app.globus.org"
	}
	return fmt.Sprintf("end the run with runner runs cancel %d", r.journal.run.ID)
}
