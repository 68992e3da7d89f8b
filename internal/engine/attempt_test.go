package engine_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestFailedTaskGetsNewAttemptsWithGrowingDelays(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Times: 2})
		r := b.run(t.Context(), b.order(func(j *jobs.Job) { j.BackoffLimit, j.Backoff = 2, time.Hour }))
		if r.State != ledger.Succeeded || r.Err != nil || r.Attempt != 3 || len(r.Tasks) != 3 {
			t.Errorf("got %+v, want success with the third task", r)
		}
		b.wantTasks(
			"FAILED nightly 2026-11-21T02:00:00Z",
			"FAILED nightly 2026-11-21T02:00:00Z #2",
			"SUCCEEDED nightly 2026-11-21T02:00:00Z #3",
		)
		var posts []time.Time
		for _, request := range b.State().Requests {
			if request.Path == transferPath {
				posts = append(posts, request.Time)
			}
		}
		for i, task := range r.Tasks {
			got, want := task.Last.Deadline.Time, posts[i].Add(24*time.Hour)
			if got.Sub(want).Abs() > time.Second {
				t.Errorf("task %d has the deadline %v, want %v", i+1, got, want)
			}
		}
		for i, want := range []time.Duration{time.Hour, 2 * time.Hour} {
			if got := posts[i+1].Sub(posts[i]); got < want || got > want+2*time.Second {
				t.Errorf("attempt %d came %v after the one before, want %v", i+2, got, want)
			}
		}
		if id := r.Tasks[0].SubmissionID; id == r.Tasks[1].SubmissionID {
			t.Errorf("two attempts have the submission id %s", id)
		}
	})
}

func TestLastAttemptIsTheResult(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Times: -1})
		r := b.run(t.Context(), b.order(func(j *jobs.Job) { j.BackoffLimit = 1 }))
		f := failure(t, r, fault.Failed)
		if r.State != ledger.Failed || r.Attempt != 2 || len(r.Tasks) != 2 || f.TaskID != r.Tasks[1].TaskID {
			t.Errorf("got %+v with %+v, want the failure of the second task", r, f)
		}
	})
}

func TestSecondAttemptThatIsRefusedIsAFailedRun(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask})
		b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Skip: 1, Status: http.StatusForbidden, Code: "PermissionDenied"})
		r := b.run(t.Context(), b.order(func(j *jobs.Job) { j.BackoffLimit = 1 }))
		if e, ok := errors.AsType[*transfer.Error](r.Err); !ok || !e.PermissionDenied() || r.State != ledger.Failed {
			t.Errorf("got %+v, want state failed and a *transfer.Error", r)
		}
	})
}

func TestInterruptedBackoffSaysWhatWasDone(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask})
		r := b.run(b.signaled(time.Minute), b.order(func(j *jobs.Job) { j.BackoffLimit, j.Backoff = 1, time.Hour }))
		f := failure(t, r, fault.Interrupted)
		contains(t, f.Message, "SIGTERM", "attempt 1 failed")
		if len(r.Tasks) != 1 || r.State != ledger.Claimed {
			t.Errorf("got %+v, want one task and state claimed", r)
		}
	})
}
