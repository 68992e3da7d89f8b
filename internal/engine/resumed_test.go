package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// A run that has begun in time goes on after its starting deadline, although
// nothing of it is at work.
func TestFurtherStepIsBegunAfterTheStartingDeadline(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		one := b.process("one")
		one.at(cut{method: "GET", path: idPath, skip: 1}) // that of the delete
		o := b.order(handOver("/inbox/"))
		_, _ = one.record(t.Context(), o) // it dies
		one.kill()
		time.Sleep(time.Minute) // the lease is over
		o.StartBy = time.Now().Add(-time.Second)
		if r, err := b.process("two").record(t.Context(), o); err != nil || r.State != ledger.Succeeded {
			t.Errorf("got %+v, %v, want success", r, err)
		}
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z s2", "SUCCEEDED nightly 2026-11-21T02:00:00Z s3")
	})
}

// What Globus did not take is not done for a job that is gone, while what it
// took is followed.
func TestRefusedSubmissionOfARemovedJobIsNotSent(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Method: "POST", Path: "/v0.10/delete", Status: 409, Code: "ClientError.Conflict", Times: -1})
		one := b.process("one").serve(b.job("nightly", "0 1 * * *", handOver("/inbox/")))
		until(time.Hour + 20*time.Second) // it waits for what is in the way
		one.kill()
		b.ClearFaults()
		two := b.process("two").serve()
		until(2 * time.Hour)
		two.stop()
		b.wantRuns("nightly 2000-01-01T01:00:00Z canceled")
		b.wantTasks("SUCCEEDED nightly 2000-01-01T01:00:00Z s2")
	})
}

func TestRunWhoseWaitTimedOutIsLeftToTheNextStart(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		p := b.process("one")
		r, err := p.record(ctx, b.order())
		if err != nil || r.State != ledger.Submitted || !r.Resumable() {
			t.Fatalf("got %+v, %v, want it submitted and resumable", r, err)
		}
		_ = failure(t, r, fault.TimedOut) // it is checked
		notes, err := p.ledger.Notes(t.Context(), r.Run)
		if err != nil || len(notes) == 0 || notes[len(notes)-1].Kind != "left" {
			t.Errorf("got the notes %+v, %v, want that it was left", notes, err)
		}
		b.releaseAfter(0)
		if r, err := p.record(t.Context(), b.order()); err != nil || r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("the next start got %+v, %v, want success with the same task", r, err)
		}
	})
}

// Two starts without a ledger that come after a failed attempt may both have
// another one made.
func TestLaterAttemptOfAnotherStartIsAdopted(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Times: 2})
		b.run(t.Context(), b.order())
		b.after(30*time.Second, func() { // while the second start waits for its next attempt
			other := b.order()
			other.Label, other.NoWait = "nightly 2026-11-21T02:00:00Z #3", true
			if r := b.engine().Run(t.Context(), other); r.Err != nil {
				t.Error(r.Err)
			}
		})
		r := b.run(t.Context(), b.order(func(j *jobs.Job) { j.BackoffLimit = 1 }))
		if r.State != ledger.Succeeded || !r.Adopted || r.Attempt != 3 {
			t.Errorf("got %+v, want the third attempt adopted", r)
		}
		b.wantTasks("FAILED nightly 2026-11-21T02:00:00Z", "FAILED nightly 2026-11-21T02:00:00Z #2", "SUCCEEDED nightly 2026-11-21T02:00:00Z #3")
	})
}

// The ledger knows that the run has failed and not of which task, as those of
// earlier versions may, and an operator wants another attempt: it is the one after
// that task.
func TestAttemptThatIsWantedFollowsOneThatWasNotConfirmed(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask})
		p := b.process("one")
		if r, err := p.record(t.Context(), b.order()); err != nil || r.State != ledger.Failed {
			t.Fatalf("got %+v, %v, want a failure", r, err)
		}
		b.sql(`UPDATE submissions SET task_id = '', status = '', accepted = 0`)
		if err := p.ledger.Retry(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if r, err := p.record(t.Context(), b.order()); err != nil || r.State != ledger.Succeeded || r.Attempt != 2 {
			t.Errorf("got %+v, %v, want success at the second attempt", r, err)
		}
		b.wantTasks("FAILED nightly 2026-11-21T02:00:00Z", "SUCCEEDED nightly 2026-11-21T02:00:00Z #2")
	})
}

// A cursor that is far ahead was written by a clock that was. Nothing that falls
// due until then is lost, and neither is what is missed.
func TestCursorThatIsAheadIsNotBelieved(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		midnight := time.Now()
		job := b.job("hourly", "0 * * * *")
		p := b.process("one").serve(job)
		until(90 * time.Minute)
		p.stop()
		b.setCursor(midnight.Add(5 * time.Hour))
		until(100 * time.Minute)
		p = b.process("two").serve(job)
		until(2*time.Hour + 30*time.Minute)
		p.stop()
		until(4*time.Hour + 30*time.Minute)
		p = b.process("three").serve(job)
		until(4*time.Hour + 50*time.Minute)
		p.stop()
		b.wantRuns(succeeded("01", "02", "04")...)
	})
}

// What falls due while one that was missed is caught up with is not claimed
// before its turn, so that another replica may have it.
func TestOccurrenceIsNotClaimedBeforeItsTurn(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("hourly", "0 * * * *", all)
		p := b.process("one").serve(job)
		until(90 * time.Minute)
		p.stop()
		until(2*time.Hour + 30*time.Minute)
		b.stall()
		p = b.process("two").serve(job)
		until(3*time.Hour + 20*time.Minute)
		if n := len(b.runs()); n != 2 {
			t.Errorf("there are %d runs, want that of 01:00, and that of 02:00 at work", n)
		}
		b.releaseAfter(0)
		until(3*time.Hour + 40*time.Minute)
		p.stop()
		b.wantRuns(succeeded("01", "02", "03")...)
	})
}

// An occurrence that was taken out of the queue may be begun by another replica
// that dies.
func TestWithdrawnOccurrenceOfADeadReplicaIsTakenOver(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		others := fill(b)
		queued := func(suspend bool) *jobs.Job {
			return b.job("queued", "1 1 * * *", func(j *jobs.Job) { j.Suspend = suspend })
		}
		p := b.process("one", few).serve(append(others, queued(false))...)
		until(61*time.Minute + 10*time.Second)
		p.reload(append(others, queued(true))...) // the other replica has not read it yet
		_, mine, err := p.ledger.Claim(t.Context(), ledger.Claim{
			Job: "queued", Key: "2000-01-01T01:01:00Z", Due: time.Now(), Holder: "other", Lease: time.Minute,
		})
		if err != nil || !mine {
			t.Fatalf("got mine %t, %v", mine, err)
		}
		b.releaseAfter(0)
		until(90 * time.Minute)
		p.stop()
		for _, r := range b.runs() {
			if r.Job == "queued" && r.State != ledger.Succeeded {
				t.Errorf("got %+v, want it taken over", r)
			}
		}
		if got := b.keys("queued"); len(got) != 1 {
			t.Errorf("got the runs %v, want one", got)
		}
	})
}

// setCursor changes how far all schedules have come.
func (b *bench) setCursor(at time.Time) {
	b.t.Helper()
	l := b.ledger()
	defer l.Close() //nolint:errcheck // the write was checked
	err := l.Reschedule(b.t.Context(), func(known map[string]ledger.Schedule) (changed []ledger.Schedule) {
		for _, s := range known {
			s.Cursor = at
			changed = append(changed, s)
		}
		return changed
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// An occurrence that begins some seconds late is on time, and policy says what
// becomes of it.
func TestOccurrenceThatIsSecondsLateIsSkipped(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		due := time.Now().Add(2 * time.Hour)
		b.stall()
		b.observe = func(e engine.Event) {
			if _, turned := e.(engine.Turned); !turned {
				return
			}
			if left := time.Until(due); left > 0 && left < 2*time.Minute {
				time.Sleep(left + 20*time.Second)
			}
		}
		p := b.process("one").serve(b.job("hourly", "0 * * * *", all))
		until(2*time.Hour + 10*time.Minute)
		b.releaseAfter(0)
		until(2*time.Hour + 30*time.Minute)
		p.stop()
		b.wantRuns("hourly 2000-01-01T01:00:00Z succeeded", "hourly 2000-01-01T02:00:00Z skipped")
	})
}
