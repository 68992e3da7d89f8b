package engine

import (
	"context"
	"errors"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
)

// mayPass reports whether err may pass by itself, and is not the end of ctx: the service
// cannot be reached or refuses new tokens, or a collection cannot be reached.
func mayPass(ctx context.Context, err error) bool {
	_, ended := errors.AsType[*Failure](err)
	return err != nil && !ended && ctx.Err() == nil && (fault.Of(err).Kind == fault.Temporary || fault.TokenRefused(err))
}

// outlast returns err, changed so that a later start resumes the run if err may pass. That
// loses nothing: a refused submission has no task, and the task of any other is looked for.
func (r *run) outlast(ctx context.Context, err error) error {
	if r.journal == nil || !mayPass(ctx, err) || r.rec.Scheduled && !r.order.Key.IsItem() && !r.patient(time.Now()) {
		return err
	}
	return unusable(err)
}

// patient reports whether a scheduler is to try the run again: until its starting
// deadline, or else until the next occurrence, which would be skipped because of it.
// An item has no other occurrence that would do it.
func (r *run) patient(now time.Time) bool {
	if !r.order.StartBy.IsZero() {
		return now.Before(r.order.StartBy)
	}
	due := r.due()
	end := due.Add(catchUpWindow)
	if s := r.job.Schedule; s != nil {
		if next := s.Next(due); !next.IsZero() && next.Before(end) {
			end = next
		}
	}
	return now.Add(lastRetry).Before(end)
}

// due returns when a recorded run was due, or else when it was claimed.
func (r *run) due() time.Time {
	if due := r.journal.run.Due; !due.IsZero() {
		return due
	}
	return r.journal.run.Claimed
}

// sendPatiently sends the present attempt, and while a collection cannot be reached sends it
// again, as often as the job allows attempts. With a scheduler, the run ends for the time
// being instead, so that it does not keep its place.
func (p *part) sendPatiently(ctx context.Context) error {
	r := p.run
	err := p.send(ctx)
	for n := 0; n < r.job.BackoffLimit && !r.rec.Scheduled && mayPass(ctx, err) && !fault.Transient(err); n++ {
		delay := jitter(r.job.Backoff << min(n, 10))
		r.held = err.Error()
		r.log.Warn("nothing could be submitted, it is tried again", "delay", delay, "err", err)
		r.journal.note(ctx, "waiting", r.engine.inWords(err))
		if err := sleep(ctx, delay); err != nil {
			return err
		}
		if r.journal != nil && r.journal.unsent() {
			if err := r.withdrawn(); err != nil {
				return err
			}
		}
		err = p.send(ctx)
	}
	return err
}
