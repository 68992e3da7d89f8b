package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// with gives a job a policy for other tasks on the same paths.
func with(c jobs.Concurrency) func(*jobs.Job) { return func(j *jobs.Job) { j.Concurrency = c } }

// another is an earlier occurrence of the job that the edits make, whose task
// is at work on the same paths.
func (b *bench) another(edits ...func(*jobs.Job)) engine.Order {
	o := b.order(edits...)
	o.Key = "2026-11-20T02:00:00Z"
	b.stall()
	return o
}

func TestOverlapIsSkippedWhereItIsForbidden(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		other := b.start(b.another())
		r := b.run(t.Context(), b.order())
		if r.State != ledger.Skipped || r.Err != nil || r.Attempt != 0 {
			t.Errorf("got %+v, want state skipped and no error", r)
		}
		contains(t, r.Note, other, "nightly 2026-11-20T02:00:00Z")
		b.wantTasks("ACTIVE nightly 2026-11-20T02:00:00Z")
	})
}

func TestOverlapWaitsWhereItIsAllowed(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.start(b.another(named("of-somebody-else")))
		b.releaseAfter(3 * time.Hour)
		b.stall() // a task that has ended keeps its deadline
		b.releaseAfter(3*time.Hour + 40*time.Second)
		r := b.run(t.Context(), b.order(with(jobs.Allow)))
		if r.State != ledger.Succeeded || r.Err != nil {
			t.Errorf("got %+v, want success", r)
		}
		if took := r.Finished.Sub(r.Started); took < 3*time.Hour || took > 3*time.Hour+time.Minute {
			t.Errorf("it took %v, want a little more than 3h", took)
		}
		deadline := r.Tasks[0].Last.Deadline.Sub(r.Started)
		if deadline < 27*time.Hour {
			t.Errorf("the deadline is %v after the start, want 24h after the submission", deadline)
		}
		b.wantTasks("SUCCEEDED of-somebody-else 2026-11-20T02:00:00Z", "SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

// asked triggers runs of the job nightly before a scheduler runs.
func (b *bench) asked(keys ...string) {
	for _, key := range keys {
		b.act(ledger.Action{Kind: ledger.ActionTrigger, Job: "nightly", Key: key})
	}
}

// submitted has a run of the holder two have a task, which is at work.
func (b *bench) submitted(l *ledger.Ledger, run int64) error {
	task := b.start(b.another(named("of-two"), paths("/data/", "/of-two/")))
	ctx := b.t.Context()
	return errors.Join(l.Submit(ctx, "two", ledger.Submission{ID: "s", Run: run, Attempt: 1}), l.Accepted(ctx, "s", task))
}

// wantSkippedFor checks that a run was skipped for another one.
func (b *bench) wantSkippedFor(run int, other string) {
	b.t.Helper()
	if r := b.runs()[run-1]; r.State != ledger.Skipped || !strings.Contains(r.Message, "occurrence "+other+" of this job is not over") {
		b.t.Errorf("run %d is %s: %q, want it skipped for %s", run, r.State, r.Message, other)
	}
}

func TestRunsAreSkippedForTheOneThatIsAtWork(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.asked("manual:1", "manual:2", "manual:3")
		p := b.process("one").serve(b.job("nightly", ""))
		until(time.Hour)
		b.wantSkippedFor(2, "manual:1")
		b.wantSkippedFor(3, "manual:1")
		b.releaseAfter(0)
		until(2 * time.Hour)
		p.stop()
		b.wantTasks("SUCCEEDED nightly manual:1")
	})
}

// Another replica has claimed two runs and decided neither, or is at work on the second.
func TestRunIsNotSkippedForOneThatIsToBeSkipped(t *testing.T) {
	for name, tt := range map[string]struct {
		sent string // the run with a task
		want string
	}{
		"both were claimed":        {"", "manual:1"},
		"the second is at work":    {"manual:2", "manual:2"},
		"the first one is at work": {"manual:1", "manual:1"},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				l := b.ledger()
				defer l.Close() //nolint:errcheck // every write was checked
				for _, key := range []string{"manual:1", "manual:2"} {
					run, _, err := l.Claim(t.Context(), ledger.Claim{Job: "nightly", Key: key, Holder: "two", Lease: time.Hour})
					if err == nil && key == tt.sent {
						err = b.submitted(l, run.ID)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				b.asked("manual:3")
				p := b.process("one").serve(b.job("nightly", ""))
				until(time.Minute)
				p.stop()
				b.wantSkippedFor(3, tt.want)
			})
		})
	}
}

func TestRunThatIsCanceledBeforeItBeginsIsInNobodysWay(t *testing.T) {
	for name, schedule := range map[string]string{"by hand": "", "scheduled": "0 0 * * *"} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				b.asked("manual:1", "manual:2", "manual:3")
				b.act(ledger.Action{Kind: ledger.ActionCancel, Run: 1})
				p := b.process("one").serve(b.job("nightly", schedule))
				until(time.Minute)
				b.wantSkippedFor(3, "manual:2")
				b.releaseAfter(0)
				until(2 * time.Hour)
				p.stop()
				b.wantRuns("nightly manual:1 canceled", "nightly manual:2 succeeded", "nightly manual:3 skipped")
				b.wantTasks("SUCCEEDED nightly manual:2")
			})
		})
	}
}

// Whoever has the run that is to be canceled may not have heard of it yet, and submit.
func TestRunWaitsUntilOneThatIsToBeCanceledIsOver(t *testing.T) {
	for name, submits := range map[string]bool{"it is canceled": false, "it is submitted all the same": true} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				l := b.ledger()
				defer l.Close() //nolint:errcheck // every write was checked
				_, _, err := l.Claim(t.Context(), ledger.Claim{Job: "nightly", Key: "manual:1", Holder: "two", Lease: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				b.act(ledger.Action{Kind: ledger.ActionCancel, Run: 1})
				b.asked("manual:2")
				p := b.process("one").serve(b.job("nightly", "0 0 * * *"))
				until(time.Minute)
				b.wantRuns("nightly manual:1 claimed", "nightly manual:2 claimed")
				b.wantTasks()
				if submits {
					err = b.submitted(l, 1)
				} else {
					err = l.Finish(t.Context(), 1, "two", ledger.Outcome{State: ledger.Canceled})
				}
				if err != nil {
					t.Fatal(err)
				}
				until(2 * time.Minute)
				p.stop()
				if submits {
					b.wantSkippedFor(2, "manual:1")
					b.wantTasks("ACTIVE of-two 2026-11-20T02:00:00Z")
				} else {
					b.wantRuns("nightly manual:1 canceled", "nightly manual:2 succeeded")
				}
			})
		})
	}
}

func TestInterruptEndsTheWaitForAnotherTask(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.start(b.another())
		r := b.run(b.signaled(time.Hour), b.order(with(jobs.Allow)))
		contains(t, failure(t, r, fault.Interrupted).Message, "SIGTERM", "nothing was submitted")
		if took := r.Finished.Sub(r.Started); took != time.Hour || r.State != ledger.Claimed {
			t.Errorf("got %+v after %v, want state claimed after 1h", r, took)
		}
		b.wantTasks("ACTIVE nightly 2026-11-20T02:00:00Z")
	})
}

func TestOnlyTaskOfTheSameJobIsReplaced(t *testing.T) {
	tests := map[string]struct {
		job   string
		state ledger.State
		tasks []string
	}{
		"same job": {"nightly", ledger.Succeeded, []string{"FAILED nightly 2026-11-20T02:00:00Z", "SUCCEEDED nightly 2026-11-21T02:00:00Z"}},
		"another":  {"nightly-2", ledger.Skipped, []string{"ACTIVE nightly-2 2026-11-20T02:00:00Z"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				other := b.start(b.another(named(tt.job)))
				r := b.run(t.Context(), b.order(with(jobs.Replace)))
				if r.State != tt.state || r.Err != nil {
					t.Errorf("got %+v, want state %s", r, tt.state)
				}
				if tt.state == ledger.Skipped {
					contains(t, r.Note, other, tt.job)
				}
				b.wantTasks(tt.tasks...)
			})
		})
	}
}

func TestTaskOfTheSameJobIsTakenForTheOneInTheWay(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.start(b.another())
		b.plant("more/b.txt", "b")
		b.start(b.another(named("elsewhere"), paths("/more/", "/more/")))
		if r := b.run(t.Context(), b.order(with(jobs.Replace))); r.State != ledger.Succeeded {
			t.Errorf("got %+v, want success", r)
		}
		b.wantTasks(
			"FAILED nightly 2026-11-20T02:00:00Z",
			"ACTIVE elsewhere 2026-11-20T02:00:00Z",
			"SUCCEEDED nightly 2026-11-21T02:00:00Z",
		)
	})
}

func TestOverlapWithATaskThatIsGoneIsTriedAgain(t *testing.T) {
	tests := map[string]struct {
		times int
		state ledger.State
	}{
		"twice":  {2, ledger.Succeeded},
		"always": {-1, ledger.Skipped},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.Fail(globussim.Fault{Path: transferPath, Status: 409, Code: "ClientError.Conflict", Times: tt.times})
				if r := b.run(t.Context(), b.order()); r.State != tt.state || r.Err != nil {
					t.Errorf("got %+v, want state %s", r, tt.state)
				}
				if n := b.requests("POST /v0.10/transfer"); n != 3 {
					t.Errorf("the document was submitted %d times, want 3", n)
				}
			})
		})
	}
}

func TestFullBacklogIsWaitedFor(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("more/b.txt", "b")
		b.start(b.another(named("elsewhere"), paths("/more/", "/more/")))
		b.releaseAfter(time.Hour)
		r := b.run(t.Context(), b.order())
		if r.State != ledger.Succeeded || r.Err != nil {
			t.Errorf("got %+v, want success", r)
		}
		if took := r.Finished.Sub(r.Started); took < time.Hour || took > time.Hour+2*time.Minute {
			t.Errorf("it took %v, want a little more than 1h", took)
		}
		if n := b.requests("POST /v0.10/transfer"); n > 63 {
			t.Errorf("the document was submitted %d times in an hour, want at most once a minute", n)
		}
		if lines := b.log.values(t, "too many tasks are pending, waiting for a place", "level"); len(lines) != 1 {
			t.Errorf("it was logged %d times, want once", len(lines))
		}
	}, func(cfg *globussim.Config) { cfg.MaxPending = 1 })
}
