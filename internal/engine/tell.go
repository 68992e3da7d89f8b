package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
)

// news is what a desk needs to know of the run.
func (r *run) news() notify.Run {
	n := notify.Run{
		Job: r.job, Key: string(r.order.Key), ID: r.result.Run, Since: r.result.Started,
		Outcome: r.result.outcome(), Err: r.result.Err, Ended: r.result.Finished,
		Anew: r.replaced,
	}
	if n.Err != nil {
		n.Outcome.Message = cause(n.Err)
	}
	if next := fault.OfTask(n.Outcome.Code).Next; next != "" && strings.HasSuffix(n.Outcome.Message, "; "+next) {
		n.Next = next
	}
	for _, t := range r.result.Tasks {
		n.Tasks = append(n.Tasks, notify.Task{TaskID: t.TaskID, Flow: t.Flow, Label: t.Label})
	}
	if r.journal != nil {
		n.Since, n.Again, n.Attempt = r.journal.run.Claimed, r.journal.run.Again, r.journal.run.Attempt
	}
	return n
}

// tellBegun tells those who want to hear of each run that this one has begun. A start
// that goes on with it says the same.
func (r *run) tellBegun(ctx context.Context) {
	if r.engine.desk != nil && len(r.job.Notify.To[jobs.RunsEvent]) > 0 {
		r.tell(ctx, r.engine.desk.Began(r.news()))
	}
}

// tellHeld makes notices of a task that makes no progress.
func (r *run) tellHeld(ctx context.Context, c Class, t Task, why string) {
	if r.engine.desk == nil {
		return
	}
	event := notify.Stalled
	if c == Needs {
		event = notify.NeedsHuman
	}
	r.tell(ctx, r.engine.desk.Held(r.news(), event, time.Now().UTC(), notify.Task{TaskID: t.TaskID, Flow: t.Flow, Label: t.Label}, why))
}

// ended is what is told of the run's end, or nil.
func (r *run) ended(ctx context.Context) ledger.Transition {
	if r.engine.desk == nil || r.replaced && r.job.ForEach == nil { // another run does the same
		return nil
	}
	news := r.news()
	if r.journal != nil && r.order.Key.IsItem() && news.Outcome.State == ledger.Succeeded {
		news.Left = r.failedItems(ctx)
	}
	return r.engine.desk.Ended(news)
}

// failedItems counts the items that the job, or one that follows it item by item, has
// failed to do, if somebody was told of one. It returns -1 if it has not counted.
func (r *run) failedItems(ctx context.Context) int {
	ctx, cancel := beyond(ctx, recordTime)
	defer cancel()
	standings, err := r.rec.Ledger.Standings(ctx)
	since := notify.Failing(standings[r.job.Name])
	if err == nil && since.IsZero() {
		return -1
	}
	n := 0
	if err == nil {
		n, err = r.rec.Ledger.Failed(ctx, r.job.Name, since)
	}
	if err != nil {
		r.log.Warn("it is not known whether other items have failed, so that the job has recovered is told later", "err", err)
		return -1
	}
	return n
}

// tellLeft makes notices of a run that is left because of err, which may pass. Who
// interrupts a start knows of it. A scheduler tries again by itself, and tells it once
// the run should have begun.
func (r *run) tellLeft(ctx context.Context, err error) {
	if r.engine.desk == nil {
		return
	}
	kind := fault.Of(err).Kind
	passes := kind == fault.Temporary || kind == fault.Credentials
	switch now := time.Now().UTC(); {
	case !r.rec.Scheduled && (passes || kind == fault.Unknown):
		r.tell(ctx, r.engine.desk.Left(r.news()))
	case r.rec.Scheduled && passes && now.Sub(r.due()) > cmp.Or(r.job.Expect.StartWithin, jobs.StartWithin):
		r.tell(ctx, r.engine.desk.Waits(r.news(), now, r.engine.inWords(err)))
	}
}

// tell makes the notices of an event of the run, unless t is nil.
func (r *run) tell(ctx context.Context, t ledger.Transition) {
	switch {
	case t == nil:
		return
	case r.journal == nil:
		_, notices := t(ledger.Standing{})
		r.engine.news(notices)
		return
	}
	r.journal.write(ctx, func(ctx context.Context) error { return r.journal.ledger.Tell(ctx, r.job.Name, t) })
	r.engine.observe(Told{})
}

// explained is what the ledger keeps of a result: for people, who see the error there
// and nowhere else.
func (e *Engine) explained(r *Result) ledger.Outcome {
	o := r.outcome()
	if r.Err != nil {
		o.Message = e.inWords(r.Err)
	}
	return o
}

// cause says what went wrong. A client that is refused takes the place of the request
// that met that.
func cause(err error) string {
	c, refused := errors.AsType[*auth.Error](err)
	_, isFailure := errors.AsType[*Failure](err)
	if refused && !isFailure && c.Advice() != "" {
		return fmt.Sprintf("client %s was refused (Globus Auth: HTTP %d %s)", c.ClientID, c.Status, c.Code)
	}
	return err.Error()
}

// inWords is the cause with the next step.
func (e *Engine) inWords(err error) string {
	text := cause(err)
	if next := e.advice(err); next != "" && !strings.Contains(text, next) {
		text += "; " + next
	}
	return text
}

// tellLook reports to the desk that a look has failed, or that the first one since then has succeeded.
func (e *Engine) tellLook(ctx context.Context, rec Recording, job *jobs.Job, failed error) error {
	if e.desk == nil {
		return nil
	}
	if failed == nil {
		if last, err := rec.Ledger.LastLook(ctx, job.Name); err != nil || last.Failed.IsZero() {
			return err
		}
	}
	look := notify.Look{Job: job, Ended: time.Now().UTC(), Err: failed}
	if failed != nil {
		look.Why = e.inWords(failed)
		kind := fault.Of(failed).Kind
		look.Passes, look.Person = kind == fault.Temporary, kind == fault.Credentials
	}
	var since time.Time
	telling := e.desk.Looked(look)
	err := rec.Ledger.Tell(ctx, job.Name, func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		after, notices := telling(now)
		since = notify.LooksFailSince(after)
		return after, notices
	})
	if err == nil {
		e.observe(LooksFail{job.Name, since})
		e.observe(Told{})
	}
	return err
}
