package engine_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// forgetful lets the task list of Globus show no label, as a list that lags.
func (p *process) forgetful() {
	p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		if !is(r, "GET", listPath) || !strings.Contains(r.URL.RawQuery, "label") {
			return nil, nil
		}
		return &http.Response{
			StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"DATA_TYPE": "task_list", "DATA": [], "length": 0, "limit": 100, "offset": 0, "total": 0}`)),
		}, nil
	}
}

// requestCancel asks for the cancel of a run as another process would.
func (b *bench) requestCancel(run int64) {
	b.t.Helper()
	l := b.ledger()
	defer l.Close() //nolint:errcheck // the write was checked
	if err := l.RequestCancel(b.t.Context(), run); err != nil {
		b.t.Error(err)
	}
}

func TestSubmissionThatWasNotConfirmedIsNeverGivenUp(t *testing.T) {
	tests := map[string]struct {
		meanwhile func(b *bench, run int64)
		wait      time.Duration
		removed   bool
		run, task string
	}{
		"nothing happens":            {run: "succeeded", task: "SUCCEEDED"},
		"its starting deadline ends": {wait: 3 * time.Hour, run: "succeeded", task: "SUCCEEDED"},
		"its job is removed":         {removed: true, run: "succeeded", task: "SUCCEEDED"},
		"somebody wants it canceled": {
			meanwhile: func(b *bench, run int64) {
				b.requestCancel(run)
			},
			run: "canceled", task: "FAILED",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				job := b.job("nightly", "0 2 * * *", func(j *jobs.Job) { j.StartingDeadline = time.Hour })
				one := b.process("one")
				one.at(cut{method: "POST", path: transferPath, after: true})
				b.stall()
				one.serve(job)
				until(2*time.Hour + time.Minute)
				one.kill()
				if tt.meanwhile != nil {
					tt.meanwhile(b, b.runs()[0].ID)
				}
				time.Sleep(tt.wait)
				b.releaseAfter(20 * time.Minute)
				two := b.process("two")
				two.forgetful()
				if tt.removed {
					two.serve()
				} else {
					two.serve(job)
				}
				time.Sleep(30 * time.Minute)
				two.stop()
				b.wantRuns("nightly 2000-01-01T02:00:00Z " + tt.run)
				b.wantTasks(tt.task + " nightly 2000-01-01T02:00:00Z")
			})
		})
	}
}

func TestLedgerThatWasRestoredMakesNoSecondTask(t *testing.T) {
	file := func(b *bench) string { return filepath.Join(b.state, "runner.db") }
	tests := map[string]func(b *bench, backup []byte) error{
		"from a backup": func(b *bench, backup []byte) error { return os.WriteFile(file(b), backup, 0o600) },
		"not at all":    func(b *bench, _ []byte) error { return os.Remove(file(b)) },
	}
	for name, restore := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				order := func(day string) engine.Order {
					o := b.order()
					o.Key = jobs.Key("1999-12-" + day + "T02:00:00Z")
					return o
				}
				one := b.process("one")
				for _, day := range []string{"20", "21", "22"} {
					if day == "21" {
						one.kill()
						one = b.process("one")
					}
					backup, err := os.ReadFile(file(b))
					if err != nil {
						t.Fatal(err)
					}
					if r, err := one.record(t.Context(), order(day)); err != nil || r.State != ledger.Succeeded {
						t.Fatalf("got %+v, %v, want success", r, err)
					}
					if day != "22" {
						continue
					}
					one.kill()
					if err := restore(b, backup); err != nil {
						t.Fatal(err)
					}
				}
				two := b.process("two")
				o := order("22")
				r, err := two.record(t.Context(), o)
				if err != nil || r.State != ledger.Succeeded || !r.Adopted {
					t.Errorf("got %+v, %v, want the task adopted", r, err)
				}
				b.wantTasks("SUCCEEDED nightly 1999-12-20T02:00:00Z", "SUCCEEDED nightly 1999-12-21T02:00:00Z", "SUCCEEDED nightly 1999-12-22T02:00:00Z")
			})
		})
	}
}

func TestOnTimeOccurrenceAsksGlobusNothingMore(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one").serve(b.job("nightly", "0 * * * *"))
		until(time.Hour + 10*time.Minute)
		asked := b.requests("GET /v0.10/task_list")
		until(3*time.Hour + 10*time.Minute)
		if n := b.requests("GET /v0.10/task_list") - asked; n != 0 {
			t.Errorf("two occurrences on time asked %d times for a task list, want none", n)
		}
		p.stop()
		b.wantRuns("nightly 2000-01-01T01:00:00Z succeeded", "nightly 2000-01-01T02:00:00Z succeeded", "nightly 2000-01-01T03:00:00Z succeeded")
	})
}

func TestNextAttemptOfALateRunIsLookedUp(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		// The ledger knows the first attempt, and has lost the second.
		o := b.order(func(j *jobs.Job) { j.BackoffLimit, j.Backoff = 1, time.Minute })
		one := b.process("one")
		b.disturb(globussim.Disturbance{Action: globussim.FailTask})
		var backup []byte
		asked := 0
		one.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if !is(r, "GET", idPath) {
				return nil, nil
			}
			if asked++; asked == 2 {
				var err error
				if backup, err = os.ReadFile(filepath.Join(b.state, "runner.db")); err != nil {
					t.Error(err)
				}
			}
			return nil, nil
		}
		if r, err := one.record(t.Context(), o); err != nil || r.State != ledger.Succeeded || r.Attempt != 2 {
			t.Fatalf("got %+v, %v, want success with the second attempt", r, err)
		}
		one.kill()
		if err := os.WriteFile(filepath.Join(b.state, "runner.db"), backup, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // the lease is over
		two := b.process("two")
		if r, err := two.record(t.Context(), o); err != nil || r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("got %+v, %v, want the second task adopted", r, err)
		}
		b.wantTasks("FAILED nightly 2026-11-21T02:00:00Z", "SUCCEEDED nightly 2026-11-21T02:00:00Z #2")
	})
}

func TestTaskThatWasInTheWayAndIsOursIsAdopted(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		// Another start of the same occurrence, of which nobody knows, is at
		// work when the submission meets a conflict, and has ended when it is
		// looked for.
		ended := false
		p := b.process("one")
		p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
			if is(r, "POST", transferPath) && !ended {
				ended = true
				b.start(b.order())
				time.Sleep(10 * time.Second)
				return &http.Response{
					StatusCode: http.StatusConflict, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
					Body: io.NopCloser(strings.NewReader(`{"code": "Conflict", "message": "A transfer with identical paths is at work", "request_id": "r", "resource": "/transfer"}`)),
				}, nil
			}
			return nil, nil
		}
		if r := p.engine.Run(t.Context(), b.order()); r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("got %+v, want the task adopted", r)
		}
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

func TestCancelOfATaskThatHasSucceededIsASuccess(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		first := b.job("first", "0 2 * * *")
		second := b.job("second", "", func(j *jobs.Job) { j.Schedule, j.After = nil, "first" })
		one := b.process("one")
		one.at(cut{method: "POST", path: transferPath, unrecorded: true})
		one.serve(first, second)
		until(2*time.Hour + time.Minute)
		one.kill()
		b.requestCancel(b.runs()[0].ID)
		two := b.process("two").serve(first, second)
		until(3 * time.Hour)
		two.stop()
		b.wantRuns("first 2000-01-01T02:00:00Z succeeded", "second 2000-01-01T02:00:00Z succeeded")
	})
}

// A document never changes under its id, so what has waited is given its time when
// Globus has it.
func TestTaskOfADocumentThatHasWaitedHasTheWholeTimeOfItsJob(t *testing.T) {
	tests := map[string]struct {
		meet  func(b *bench, one *process)
		wait  time.Duration // until the second process
		limit time.Duration // active_deadline
	}{
		"for a place": {func(b *bench, _ *process) {
			b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs", Times: 30})
		}, 0, 2 * time.Hour},
		"for the next start":   {func(_ *bench, one *process) { one.at(cut{method: "POST", path: transferPath}) }, time.Hour, 2 * time.Hour},
		"longer than its time": {func(_ *bench, one *process) { one.at(cut{method: "POST", path: transferPath}) }, 3 * time.Hour, 2 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				o := b.order(func(j *jobs.Job) { j.ActiveDeadline = tt.limit })
				one := b.process("one")
				b.stall()
				b.releaseAfter(tt.wait + 50*time.Minute)
				tt.meet(b, one)
				if tt.wait > 0 {
					_, _ = one.record(t.Context(), o) // it dies
					one.kill()
					time.Sleep(tt.wait)
					one = b.process("two")
				}
				r := one.wantRun(o, ledger.Succeeded)
				task := b.taskOf(r)
				if got := task.Deadline.Sub(task.RequestTime.Time); (got - tt.limit).Abs() > time.Minute {
					t.Errorf("the task has %v, want %v", got, tt.limit)
				}
				b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
			})
		})
	}
}

func TestDocumentThatHasWaitedIsTheSameForTheNextStart(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs", Times: 30})
		one := b.process("one")
		one.at(cut{method: "POST", path: transferPath, skip: 30, after: true})
		b.stall()
		_, _ = one.record(t.Context(), b.order()) // it dies
		one.kill()
		time.Sleep(time.Hour)
		b.releaseAfter(time.Minute)
		two := b.process("two")
		two.forgetful()
		two.wantRun(b.order(), ledger.Succeeded)
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

// A scheduler whose ledger is gone can do nothing, and says so to whoever starts it
// anew. One whose ledger is soon back goes on.
func TestSchedulerEndsWhenItsLedgerStaysAway(t *testing.T) {
	file := func(b *bench) string { return filepath.Join(b.state, "runner.db") }
	away := func(b *bench) {
		if err := os.Rename(file(b), file(b)+".away"); err != nil {
			b.t.Error(err)
		}
	}
	back := func(b *bench) {
		if err := os.Rename(file(b)+".away", file(b)); err != nil {
			b.t.Error(err)
		}
	}
	lease := func(c *engine.SchedulerConfig) { c.Lease = 30 * time.Second }

	t.Run("back in time, twice", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			p := b.process("one", lease).serve(b.job("nightly", "0 1 * * *"))
			for range 2 {
				until(time.Minute)
				away(b)
				time.Sleep(50 * time.Second)
				back(b)
				time.Sleep(15 * time.Second)
			}
			until(2 * time.Hour)
			p.stop()
			b.wantRuns("nightly 2000-01-01T01:00:00Z succeeded")
		})
	})
	t.Run("too late", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.stall()
			job := b.job("nightly", "0 1 * * *")
			one := b.process("one", lease).serve(job)
			until(90 * time.Minute)
			away(b)
			begin := time.Now()
			one.group.Wait()
			if took := time.Since(begin); took < time.Minute || took > 90*time.Second {
				t.Errorf("it ended after %v, want that after a minute", took)
			}
			if err := one.err; !errors.Is(err, ledger.ErrGone) || fault.Of(err).Kind != fault.Temporary ||
				!strings.Contains(err.Error(), "missing for a minute: "+file(b)+": it was deleted or moved away") || strings.Count(err.Error(), file(b)) != 1 {
				t.Errorf("it ended with %v, want that its ledger is gone, once", err)
			}
			one.kill()
			b.wantTasks("ACTIVE nightly 2000-01-01T01:00:00Z")
			back(b)
			b.disturb(globussim.Disturbance{Action: globussim.ReleaseTask})
			two := b.process("two", lease).serve(job)
			until(3 * time.Hour)
			two.stop()
			b.wantRuns("nightly 2000-01-01T01:00:00Z succeeded")
			b.wantTasks("SUCCEEDED nightly 2000-01-01T01:00:00Z")
		})
	})
}
