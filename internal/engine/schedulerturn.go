package engine

import (
	"context"
	"errors"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// lastRetry is the longest time before an unfinished occurrence is tried again. The first
// is a lease, and each further one is twice as long.
const lastRetry = 5 * time.Minute

// leavePause is how soon a run is tried again that waits for another run to leave; after
// each try it is twice as long, up to a lease.
const leavePause = time.Second

// inTurn reports whether missed occurrences of the job are started one after the other: if
// they were started all at once, its policy would skip or replace them.
func inTurn(job *jobs.Job) bool { return job.CatchUp == jobs.CatchUpAll && takesTurns(job) }

// takesTurns reports whether a missed occurrence of the job waits for the runs that are at
// work. The job's concurrency policy is only about occurrences that are on time.
func takesTurns(job *jobs.Job) bool {
	return job.CatchUp != jobs.CatchUpNone && job.Concurrency != jobs.Allow && job.ForEach == nil
}

// tried handles the end of a try: the occurrence is done, or is tried again later.
func (s *Scheduler) tried(ctx context.Context, t *ticket) {
	s.active--
	if ctx.Err() != nil {
		return
	}
	p := s.plans.byJob[t.job.Name]
	items := p != nil && p.job.ForEach != nil
	if p != nil && !items && p.awaits == "" && isInTurn(t.err) {
		p.awaits = t.occurrence.key // those that are due meanwhile queue behind it
	}
	awaited := p != nil && p.awaits == t.occurrence.key
	if t.unfinished(awaited) {
		s.retryLater(t, awaited)
		return
	}
	delete(s.tickets, t.occurrence)
	switch {
	case items:
		s.itemOver(p)
	case p != nil:
		s.nextInTurn(p, awaited)
	default: // a job that comes after another one has no plan
		s.wakeOldest(t.job.Name)
	}
	if t.result == nil || !t.result.good() {
		return
	}
	for _, job := range s.followers(t.job.Name) {
		s.issue(&ticket{
			occurrence: occurrence{job.Name, t.occurrence.key}, job: job, at: t.at,
			known: t.known && t.followers[job.Name], claims: 1,
		})
	}
}

// unfinished reports whether the occurrence has to be tried again. One that another process
// works on has to be if others here wait for its end.
func (t *ticket) unfinished(awaited bool) bool {
	if taken, ok := errors.AsType[*Taken](t.err); ok {
		return awaited && !taken.Run.State.Final()
	}
	if t.err != nil {
		return !errors.Is(t.err, ledger.ErrLost)
	}
	return t.result.Resumable() && !errors.Is(t.result.Err, ledger.ErrLost)
}

// retryLater has an occurrence be tried again later. If others wait for it and another
// process works on it, that is soon: a job that catches up beside other replicas waits so
// for each of its occurrences.
func (s *Scheduler) retryLater(t *ticket, awaited bool) {
	t.run = nil
	if t.result != nil {
		t.left = t.result.Err
	}
	_, taken := errors.AsType[*Taken](t.err)
	pause := s.rec.Lease
	switch {
	case isWaiting(t.err) && !isInTurn(t.err):
		pause = min(leavePause<<min(t.tries, 10), pause)
		t.tries++
	case awaited && (taken || isWaiting(t.err)):
		pause /= 6
	case !isWaiting(t.err):
		pause = min(pause<<min(t.tries, 10), lastRetry)
		t.tries++
		t.due = time.Time{}
	}
	t.retryAt = time.Now().Add(pause)
	s.wakeAt(t.retryAt)
}

// nextInTurn lets a plan go on when a run of its job is over, which may have been in the
// way: with the oldest occurrence that waits for its turn, or else with the next instant
// if the plan has waited for the run.
func (s *Scheduler) nextInTurn(p *plan, awaited bool) {
	if awaited {
		p.awaits = ""
		s.next = time.Now()
	}
	if oldest := s.wakeOldest(p.job.Name); oldest != nil {
		p.awaits = oldest.occurrence.key
	}
}

// wakeOldest has the oldest run of a job that waits for its turn be tried now, and returns
// it, or nil if there is none.
func (s *Scheduler) wakeOldest(job string) *ticket {
	var oldest *ticket
	for _, t := range s.tickets {
		if t.retryAt.IsZero() || t.job.Name != job { // one that is at work has no time to be tried again
			continue
		}
		if run := inTurnOf(t.err); run != 0 && (oldest == nil || run < inTurnOf(oldest.err)) {
			oldest = t
		}
	}
	if oldest != nil {
		oldest.retryAt = time.Now()
		s.next = oldest.retryAt
	}
	return oldest
}
