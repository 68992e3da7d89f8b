package engine_test

import (
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
