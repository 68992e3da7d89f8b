package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

func TestInterruptBeforeTheSubmissionLeavesNothing(t *testing.T) {
	for name, path := range map[string]string{"token": tokenPath, "look-up": listPath, "submission id": idPath} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.Fail(globussim.Fault{Path: path, Delay: time.Hour})
				r := b.run(b.signaled(10*time.Second), b.order())

				f := failure(t, r, fault.Interrupted)
				if f.TaskID != "" || r.State != ledger.Claimed || r.Attempt != 0 {
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
				if f.TaskID == "" || f.TaskID != b.State().Tasks[0].TaskID || r.State != ledger.Submitted || r.Adopted != tt.adopted {
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
		state  ledger.State
		task   string
		says   string
	}{
		"detach": {false, ledger.Submitted, "ACTIVE", "goes on at Globus"},
		"cancel": {true, ledger.Canceled, "FAILED", "was canceled"},
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

// Nobody wanted the run to end before its work was done, so it counts as a failure.
func TestARunThatIsCanceledForItsTimeTimedOut(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		o := b.order()
		o.CancelOnInterrupt = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r := b.run(ctx, o)
		contains(t, failure(t, r, fault.TimedOut).Message, "was canceled")
		if r.State != ledger.TimedOut {
			t.Errorf("got state %s, want %s", r.State, ledger.TimedOut)
		}
		b.wantTasks("FAILED nightly 2026-11-21T02:00:00Z")
	})
}

func TestTaskThatEndedBeforeTheCancelIsNotCalledCanceled(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.releaseAfter(time.Hour)
		o := b.order()
		o.CancelOnInterrupt = true
		if r := b.run(b.signaled(time.Hour+time.Millisecond), o); r.State != ledger.Succeeded || r.Err != nil {
			t.Errorf("got %+v, want success", r)
		}
	})
}

// A cancel that is accepted may come too late: what the task did is what counts.
func TestRunEndsAsItsTaskDidWhenItsCancelIsSlow(t *testing.T) {
	later := func(c *globussim.Config) { c.Answers.CancelLater = true }
	tests := map[string]struct {
		act   func(b *bench)
		state ledger.State
		says  string // empty: no error
		task  string
	}{
		"it is canceled a second later": {func(*bench) {}, ledger.Canceled, "was canceled", "FAILED"},
		"it succeeds in that second":    {func(b *bench) { b.releaseAfter(time.Hour + 500*time.Millisecond) }, ledger.Succeeded, "", "SUCCEEDED"},
		"nobody can see what it did": {func(b *bench) {
			unseen := globussim.Fault{Method: "GET", Path: taskPath, Status: http.StatusForbidden, Code: "PermissionDenied", Times: -1}
			b.after(time.Hour+500*time.Millisecond, func() { b.Fail(unseen) })
		}, ledger.Submitted, "had not ended 10s later", "FAILED"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				tt.act(b)
				o := b.order()
				o.CancelOnInterrupt = true
				r := b.run(b.signaled(time.Hour), o)
				if r.State != tt.state || (r.Err == nil) != (tt.says == "") {
					t.Errorf("got %+v, want state %s", r, tt.state)
				}
				if tt.says != "" {
					contains(t, failure(t, r, fault.Interrupted).Message, "SIGTERM", tt.says)
				}
				if took := r.Finished.Sub(r.Started) - time.Hour; took > 10*time.Second {
					t.Errorf("it took %v after the signal, want at most 10s", took)
				}
				b.wantTasks(tt.task + " nightly 2026-11-21T02:00:00Z")
			}, later)
		})
	}
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
		if took := r.Finished.Sub(r.Started); took > time.Hour+10*time.Second || r.State != ledger.Submitted {
			t.Errorf("got %+v after %v, want state submitted 10 s after the signal", r, took)
		}
	})
}

func TestTimeOutSaysWhatTheTaskWasDoing(t *testing.T) {
	const minutes = 5 * time.Minute
	tests := map[string]struct {
		job     func(*jobs.Job)
		disturb globussim.Disturbance
		act     func(b *bench) // after two minutes
		says    []string
	}{
		"suspended": {
			disturb: globussim.Disturbance{Action: globussim.SuspendTask},
			says:    []string{"is suspended by Globus: its credentials", "does not go on by itself", "runner doctor"},
		},
		"paused": {
			disturb: globussim.Disturbance{Action: globussim.PauseTask, Message: "new disks until noon"},
			says:    []string{"is paused by the collection's manager: new disks until noon", "ask the collection's manager"},
		},
		"paused, and policy says to wait": {
			job:     reacting(jobs.Reactions{NeedsHuman: jobs.Wait}),
			disturb: globussim.Disturbance{Action: globussim.PauseTask, Message: "new disks until noon"},
			says:    []string{"is paused by the collection's manager: new disks until noon"},
		},
		"retrying": {
			job: func(j *jobs.Job) {
				paths("/missing.txt", "/missing.txt")(j)
				j.On.Hopeless = jobs.Warn
			},
			says: []string{"goes on at Globus (retrying for 4m5", " after FILE_NOT_FOUND: ", "/missing.txt", "check that the path exists"},
		},
		"stalled": {
			job:     func(j *jobs.Job) { j.StalledAfter = time.Minute },
			disturb: globussim.Disturbance{Action: globussim.StallTask},
			says:    []string{"goes on at Globus (without progress for 4m5"},
		},
		"queued": {
			act:  func(*bench) {},
			says: []string{"goes on at Globus (queued by Globus"},
		},
		"nothing special": {
			disturb: globussim.Disturbance{Action: globussim.StallTask},
			says:    []string{"goes on at Globus; start again with "},
		},
		"out of sight": {
			disturb: globussim.Disturbance{Action: globussim.StallTask},
			act:     func(b *bench) { b.Fail(globussim.Fault{Delay: time.Hour, Times: -1}) },
			says:    []string{"goes on at Globus; Globus has not answered for 3m", "check the network"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if name == "queued" {
					for i := range 3 {
						o := b.another(paths("/data/", fmt.Sprintf("/other%d/", i)))
						o.Key = jobs.Key(fmt.Sprintf("ci:%d", i))
						b.start(o)
					}
				}
				if tt.disturb.Action != "" {
					b.disturb(tt.disturb)
				}
				if tt.act != nil {
					b.after(2*time.Minute, func() { tt.act(b) })
				}
				ctx, cancel := context.WithTimeout(t.Context(), minutes)
				defer cancel()
				job := tt.job
				if job == nil {
					job = func(*jobs.Job) {}
				}
				r := b.run(ctx, b.order(job))
				f := failure(t, r, fault.TimedOut)
				contains(t, f.Message, append(tt.says, "timed out: task "+f.TaskID, "runner task cancel "+f.TaskID)...)
				if took := r.Finished.Sub(r.Started); took < minutes || took > minutes+askTime {
					t.Errorf("it took %v, want 5m and the time to ask", took)
				}
				time.Sleep(2 * time.Hour) // until the last look has been given up
			})
		})
	}
}

// askTime is how long the engine may ask about a task when the time is over.
const askTime = 3 * time.Second

func TestDeadlineOfATaskSaysWhatItWasDoing(t *testing.T) {
	tests := map[string]struct {
		disturb globussim.Disturbance
		source  string
		says    []string
	}{
		"suspended": {
			globussim.Disturbance{Action: globussim.SuspendTask},
			"/data/",
			[]string{"last seen suspended by Globus: its credentials", "renew the credentials or the consent"},
		},
		"stalled": {globussim.Disturbance{Action: globussim.StallTask}, "/data/", []string{"last seen without progress for "}},
		"retrying": {
			globussim.Disturbance{},
			"/missing.txt",
			[]string{"last seen retrying for ", "its last error was FILE_NOT_FOUND", "check that the path exists"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if tt.disturb.Action != "" {
					b.disturb(tt.disturb)
				}
				r := b.run(t.Context(), b.order(func(j *jobs.Job) {
					paths(tt.source, "/copy"+tt.source)(j)
					j.ActiveDeadline, j.On.Hopeless = 2*time.Hour, jobs.Wait
				}))
				contains(t, failure(t, r, fault.TimedOut).Message, append(tt.says, "did not end by its deadline")...)
			})
		})
	}
}

func TestTimeOutWithoutANetworkNamesIt(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Drop: globussim.DropBefore, Times: -1})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		f := failure(t, b.run(ctx, b.order()), fault.TimedOut)
		contains(t, f.Error(), "timed out: nothing was submitted: ", "auth.globus.org") // which it asks first, for a token
		contains(t, fault.Next(f, fault.Identity{}), "check the network")
	})
}

func TestTimeOutSaysWhatTheSubmissionWaitedFor(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		other := b.start(b.another())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		r := b.run(ctx, b.order(func(j *jobs.Job) { j.Concurrency = jobs.Allow }))
		contains(t, failure(t, r, fault.TimedOut).Message, "nothing was submitted, because task "+other, "still at work on the same paths")
	})
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Path: transferPath, Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs", Times: -1})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		contains(t, failure(t, b.run(ctx, b.order()), fault.TimedOut).Message, "as many unfinished tasks as Globus allows")
	})
}

func TestDeadlineOfTheContextIsATimeOut(t *testing.T) {
	tests := map[string]struct {
		fault globussim.Fault
		state ledger.State
		tasks []string
	}{
		"nothing was submitted": {globussim.Fault{Path: idPath, Delay: time.Hour, Times: -1}, ledger.TimedOut, nil},
		"task goes on": {
			globussim.Fault{Path: "/none", Status: 500},
			ledger.Submitted,
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
