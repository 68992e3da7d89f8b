package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
)

func TestInterruptBeforeTheSubmissionLeavesNothing(t *testing.T) {
	for name, path := range map[string]string{"token": tokenPath, "look-up": listPath, "submission id": idPath} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.Fail(globussim.Fault{Path: path, Delay: time.Hour})
				r := b.run(b.signaled(10*time.Second), b.order())

				f := failure(t, r, fault.Interrupted)
				if f.TaskID != "" || r.State != engine.Claimed || r.Attempt != 0 {
					t.Errorf("got %+v with %+v, want state claimed and no task", r, f)
				}
				contains(t, f.Message, "SIGTERM", "nothing was submitted")
				if took := r.Finished.Sub(r.Started); took != 10*time.Second {
					t.Errorf("it took %v, want 10s", took)
				}
				b.wantTasks()
			})
		})
	}
}

func TestInterruptedSubmissionIsFinished(t *testing.T) {
	tests := map[string]struct {
		fault   globussim.Fault
		took    time.Duration
		adopted bool
	}{
		"answer comes in the time of grace": {globussim.Fault{Delay: time.Second}, time.Second, false},
		"answer does not come":              {globussim.Fault{Delay: time.Hour}, 6 * time.Second, true},
		"connection drops":                  {globussim.Fault{Delay: 500 * time.Millisecond, Drop: globussim.DropAfter}, 4 * time.Second, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				tt.fault.Path = transferPath
				b.Fail(tt.fault)
				r := b.run(b.signaled(time.Second), b.order())

				f := failure(t, r, fault.Interrupted)
				if f.TaskID == "" || f.TaskID != b.State().Tasks[0].TaskID || r.State != engine.Submitted || r.Adopted != tt.adopted {
					t.Errorf("got %+v with %+v, want state submitted and the task's id", r, f)
				}
				contains(t, f.Message, "SIGTERM", "goes on at Globus", "RUNNER_OCCURRENCE="+string(key))
				if took := r.Finished.Sub(r.Started); took > tt.took {
					t.Errorf("it took %v, want at most %v", took, tt.took)
				}
				b.wantTasks("ACTIVE nightly 2026-11-21T02:00:00Z")
			})
		})
	}
}

func TestInterruptedWaitDetachesOrCancels(t *testing.T) {
	tests := map[string]struct {
		cancel bool
		state  engine.State
		task   string
		says   string
	}{
		"detach": {false, engine.Submitted, "ACTIVE", "goes on at Globus"},
		"cancel": {true, engine.Canceled, "FAILED", "was canceled"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				o := b.order()
				o.CancelOnInterrupt = tt.cancel
				r := b.run(b.signaled(time.Hour), o)

				f := failure(t, r, fault.Interrupted)
				contains(t, f.Message, "SIGTERM", f.TaskID, tt.says)
				if r.State != tt.state || f.TaskID != b.State().Tasks[0].TaskID {
					t.Errorf("got %+v with %+v, want state %s", r, f, tt.state)
				}
				if took := r.Finished.Sub(r.Started); took != time.Hour {
					t.Errorf("it took %v, want an hour", took)
				}
				b.wantTasks(tt.task + " nightly 2026-11-21T02:00:00Z")
			})
		})
	}
}

func TestTaskThatEndedBeforeTheCancelIsNotCalledCanceled(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.releaseAfter(time.Hour)
		o := b.order()
		o.CancelOnInterrupt = true
		if r := b.run(b.signaled(time.Hour+time.Millisecond), o); r.State != engine.Succeeded || r.Err != nil {
			t.Errorf("got %+v, want success", r)
		}
	})
}

func TestCancelThatFailsIsToldAndBounded(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.Fail(globussim.Fault{Path: taskPath + "/cancel", Drop: globussim.DropBefore, Times: -1})
		o := b.order()
		o.CancelOnInterrupt = true
		r := b.run(b.signaled(time.Hour), o)
		f := failure(t, r, fault.Interrupted)
		contains(t, f.Error(), "could not be canceled", "goes on at Globus", "connection dropped")
		if took := r.Finished.Sub(r.Started); took > time.Hour+10*time.Second || r.State != engine.Submitted {
			t.Errorf("got %+v after %v, want state submitted 10 s after the signal", r, took)
		}
	})
}

func TestDeadlineOfTheContextIsATimeOut(t *testing.T) {
	tests := map[string]struct {
		fault globussim.Fault
		state engine.State
		tasks []string
	}{
		"nothing was submitted": {globussim.Fault{Path: idPath, Delay: time.Hour, Times: -1}, engine.Expired, nil},
		"task goes on": {
			globussim.Fault{Path: "/none", Status: 500},
			engine.Submitted,
			[]string{"ACTIVE nightly 2026-11-21T02:00:00Z"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				b.Fail(tt.fault)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				r := b.run(ctx, b.order())
				contains(t, failure(t, r, fault.TimedOut).Message, "timed out: ")
				if r.State != tt.state {
					t.Errorf("got %+v, want state %s", r, tt.state)
				}
				if took := r.Finished.Sub(r.Started); took > 5*time.Minute {
					t.Errorf("it took %v, want at most 5m", took)
				}
				b.wantTasks(tt.tasks...)
			})
		})
	}
}
