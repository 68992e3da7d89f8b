package engine_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// emptyList is what a task list that lags shows: nothing.
const emptyList = `{"DATA_TYPE": "task_list", "length": 0, "limit": 100, "offset": 0, "total": 0, "has_next_page": false, "DATA": []}`

// backup copies the ledger, and returns how to put the copy in its place.
func (b *bench) backup() (restore func()) {
	b.t.Helper()
	file := filepath.Join(b.state, "runner.db")
	kept, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	return func() {
		b.t.Helper()
		if err := os.Remove(file + "-journal"); err != nil && !os.IsNotExist(err) {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(file, kept, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// looks counts the looks for the tasks of earlier starts.
func (b *bench) looks() int { return int(b.wire.looks.Load()) }

func TestSchedulerOnALedgerThatWasRestoredDoublesNothing(t *testing.T) {
	for name, pause := range map[string]time.Duration{"a moment later": 2 * time.Second, "much later": 20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.disturb(globussim.Disturbance{Action: globussim.FailTask, Label: "flaky *"})
				b.plant("data/b.txt", "b")
				b.manifests = map[string]string{"list.txt": "/data/a.txt /1\n/data/b.txt /2\n/data/a.txt /3\n/data/a.txt /4\n"}
				retried := func(j *jobs.Job) { j.BackoffLimit, j.Backoff = 1, time.Second }
				all := []*jobs.Job{
					b.job("plain", "0 * * * *", all), b.job("next", "", follows("plain"), with(jobs.Allow)), b.job("after-next", "", follows("next"), with(jobs.Allow)),
					b.job("flaky", "0 * * * *", all, retried), b.job("listed", "0 * * * *", all, listed()),
				}
				one := b.process("one").serve(all...)
				until(90 * time.Minute)
				restore := b.backup()
				until(3*time.Hour + 30*time.Second)
				one.stop()
				tasks := b.labels()
				restore()
				time.Sleep(pause)
				two := b.process("two").serve(all...)
				until(3*time.Hour + 50*time.Minute)
				two.stop()
				if diff := cmp.Diff(tasks, b.labels()); diff != "" {
					t.Errorf("tasks (-before +after the restore):\n%s", diff)
				}
				for _, r := range b.runs() {
					if r.State != "succeeded" {
						t.Errorf("run of %s %s is %s, want it succeeded", r.Job, r.Key, r.State)
					}
				}
				if n := len(b.runs()); n != 15 {
					t.Errorf("%d runs, want 15", n)
				}
			})
		})
	}
}

func TestStartsOnALedgerThatWasRestoredDoubleNothing(t *testing.T) {
	tests := map[string]struct {
		job   func(*jobs.Job)
		fails int // so many tasks
		cut   cut // of a start before the backup; none if it has no method
	}{
		"one task":                           {job: func(*jobs.Job) {}},
		"steps":                              {job: handOver("/inbox/")},
		"second attempt":                     {job: func(j *jobs.Job) { j.BackoffLimit = 1 }, fails: 1},
		"backup between two steps":           {job: handOver("/inbox/"), cut: cut{method: "POST", path: "/v0.10/delete"}},
		"backup before the second attempt":   {job: func(j *jobs.Job) { j.BackoffLimit = 1 }, fails: 1, cut: cut{method: "GET", path: idPath, skip: 1}},
		"backup before it was accepted":      {job: func(*jobs.Job) {}, cut: cut{method: "POST", path: transferPath}},
		"backup before the first submission": {job: func(*jobs.Job) {}, cut: cut{method: "GET", path: idPath}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if tt.fails > 0 {
					b.disturb(globussim.Disturbance{Action: globussim.FailTask, Times: tt.fails})
				}
				before := b.order()
				before.Key = "2026-11-20T02:00:00Z" // the job is known
				before.Job.Name = "nightly"
				o := b.order(tt.job)
				first := b.process("zero")
				if tt.fails == 0 {
					if _, err := first.record(t.Context(), before); err != nil {
						t.Fatal(err)
					}
				}
				if tt.cut.method != "" {
					one := b.process("one")
					one.at(tt.cut)
					_, _ = one.record(t.Context(), o) // it dies
					one.kill()
				}
				restore := b.backup()
				time.Sleep(time.Minute) // the lease is over
				if r, err := b.process("two").record(t.Context(), o); err != nil || r.State != ledger.Succeeded {
					t.Fatalf("got %+v, %v, want success", r, err)
				}
				first.kill()
				tasks := b.labels()
				restore()
				if r, err := b.process("three").record(t.Context(), o); err != nil || r.State != ledger.Succeeded {
					t.Errorf("after the restore: %+v, %v, want success", r, err)
				}
				if diff := cmp.Diff(tasks, b.labels()); diff != "" {
					t.Errorf("tasks (-before +after the restore):\n%s", diff)
				}
			})
		})
	}
}

func TestLookForEarlierStartsIsMadeWhereTheLedgerMayNotKnow(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one").serve(b.job("hourly", "0 * * * *"), b.job("next", "", follows("hourly")))
		until(time.Hour + 30*time.Minute)
		looks := b.looks() // the ledger did not know the jobs
		if looks != 2 {
			t.Errorf("%d looks by the first two runs, want 2", looks)
		}
		until(4*time.Hour + 30*time.Minute)
		p.stop()
		if n := b.looks() - looks; n != 0 {
			t.Errorf("occurrences on time have cost %d looks, want none", n)
		}
		looks = b.looks()
		o := engine.Order{Job: b.job("hourly", ""), Key: "github:1", At: time.Now()}
		p = b.process("two")
		for _, fresh := range []bool{false, true} {
			if o.Fresh = fresh; fresh {
				o.Key = "manual:1"
			}
			if r, err := p.record(t.Context(), o); err != nil || r.State != ledger.Succeeded {
				t.Fatalf("got %+v, %v, want success", r, err)
			}
		}
		if n := b.looks() - looks; n != 1 {
			t.Errorf("a key that somebody named and one that nobody could know have cost %d looks, want 1", n)
		}
		looks = b.looks()
		until(5*time.Hour + 10*time.Minute)
		p.serve(b.job("hourly", "0 * * * *"))
		until(5*time.Hour + 20*time.Minute)
		p.stop()
		if n := b.looks() - looks; n != 1 {
			t.Errorf("an occurrence that was caught up with has cost %d looks, want 1", n)
		}
	})
}

func TestOccurrenceThatWaitedLongForAPlaceIsLookedFor(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		all := []*jobs.Job{b.job("waits", "10 * * * *")}
		for i := range 10 { // as many as there are places
			all = append(all, b.job(fmt.Sprint("long-", i), "0 1 * * *", func(j *jobs.Job) { j.On.Stalled = jobs.Wait }))
		}
		b.disturb(globussim.Disturbance{Action: globussim.StallTask, Label: "long-*", Times: -1})
		p := b.process("one", few).serve(all...)
		until(time.Hour + 9*time.Minute)
		looks := b.looks()
		b.releaseAfter(10 * time.Minute)
		until(time.Hour + 30*time.Minute)
		if n := b.looks() - looks; n != 1 {
			t.Errorf("it has cost %d looks, want 1", n)
		}
		until(2*time.Hour + 30*time.Minute)
		if n := b.looks() - looks; n != 1 {
			t.Errorf("with the next one, which was on time, it has cost %d looks, want 1", n)
		}
		p.stop()
	})
}

func TestAttemptThatSomebodyAskedForIsKnownToGlobusAfterARestore(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask})
		for i := range 2 {
			p := b.process(fmt.Sprint(i))
			if r, err := p.record(t.Context(), b.order()); i == 0 && (err != nil || r.State != ledger.Failed) {
				t.Fatalf("got %+v, %v, want a failure", r, err)
			}
			restore := b.backup()
			if err := p.ledger.Retry(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			r, err := p.record(t.Context(), b.order())
			if err != nil || r.State != ledger.Succeeded || r.Attempt != 2 {
				t.Errorf("got %+v, %v, want success at the second attempt", r, err)
			}
			p.kill()
			restore()
		}
		b.wantTasks("FAILED nightly 2026-11-21T02:00:00Z", "SUCCEEDED nightly 2026-11-21T02:00:00Z #2")
	})
}

// Between two tries of a submission that was refused because of another task,
// the occurrence's own task may have come and gone.
func TestOwnTaskIsFoundBeforeASubmissionIsRepeated(t *testing.T) {
	refusals := map[string]globussim.Fault{
		"conflict": {Method: "POST", Path: transferPath, Status: 409, Code: "ClientError.Conflict"},
		"backlog":  {Method: "POST", Path: transferPath, Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs"},
	}
	for name, refusal := range refusals {
		for _, kind := range []string{"succeeded", "failed"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					if kind == "failed" {
						b.disturb(globussim.Disturbance{Action: globussim.FailTask})
					}
					p := b.process("one")
					other := false
					p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
						if !other && is(r, "POST", transferPath) {
							other = true
							b.start(b.order()) // by a start that has looked before, too
							b.Fail(refusal)
						}
						return nil, nil
					}
					r := p.engine.Run(t.Context(), b.order())
					if !r.Adopted || r.Attempt != 1 || len(r.Tasks) != 1 {
						t.Errorf("got %+v, want the task adopted", r)
					}
					b.wantTasks(strings.ToUpper(kind) + " nightly 2026-11-21T02:00:00Z")
				})
			})
		}
	}
}

func TestLookIsMadeAgainWhenASlowRequestCameAfterIt(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Path: idPath, Delay: 20 * time.Second})
		b.after(10*time.Second, func() {
			o := b.order()
			o.NoWait = true
			if r := b.engine().Run(t.Context(), o); r.Err != nil {
				t.Error(r.Err)
			}
		})
		if r := b.run(t.Context(), b.order()); r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("got %+v, want the task of the other start adopted", r)
		}
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

// What was recorded may have reached Globus. Whatever happens, it is sent again
// under its id, which alone tells.
func TestUnconfirmedSubmissionIsNeverGivenUp(t *testing.T) {
	remove := func(b *bench) []*jobs.Job { return nil }
	keep := func(b *bench) []*jobs.Job {
		return []*jobs.Job{b.job("nightly", "0 1 * * *", func(j *jobs.Job) { j.StartingDeadline = time.Hour })}
	}
	tests := map[string]struct {
		sent   bool // it has reached Globus
		cancel bool
		jobs   func(*bench) []*jobs.Job // of the second process
		state  string
		task   string
	}{
		"it was sent, the starting deadline passes":     {sent: true, jobs: keep, state: "succeeded", task: "SUCCEEDED"},
		"it was not sent, the starting deadline passes": {jobs: keep, state: "timed_out", task: "FAILED"},
		"it was sent, a cancel is asked for":            {sent: true, cancel: true, jobs: keep, state: "canceled", task: "FAILED"},
		"it was not sent, a cancel is asked for":        {cancel: true, jobs: keep, state: "canceled", task: "FAILED"},
		"it was sent, the job is removed":               {sent: true, jobs: remove, state: "succeeded", task: "SUCCEEDED"},
		"it was sent, the job is removed, a cancel":     {sent: true, cancel: true, jobs: remove, state: "canceled", task: "FAILED"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				one := b.process("one")
				one.at(cut{method: "POST", path: transferPath, after: tt.sent})
				one.serve(keep(b)...)
				until(time.Hour + time.Minute)
				one.kill()
				until(3 * time.Hour)
				if tt.cancel {
					l := b.ledger()
					if err := l.RequestCancel(t.Context(), 1); err != nil {
						t.Fatal(err)
					}
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
				}
				two := b.process("two")
				two.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
					if labeled(r) { // the list lags
						b.Fail(globussim.Fault{Method: "GET", Path: listPath, Body: emptyList})
					}
					return nil, nil
				}
				two.serve(tt.jobs(b)...)
				until(4 * time.Hour)
				b.releaseAfter(0)
				until(5 * time.Hour)
				two.stop()
				runs := b.runs()
				if len(runs) != 1 || string(runs[0].State) != tt.state {
					t.Errorf("got %+v, want one run that is %s", runs[0], tt.state)
				}
				b.wantTasks(tt.task + " nightly 2000-01-01T01:00:00Z")
				ids := map[string]bool{}
				for _, s := range b.submissions(1) {
					ids[s.ID] = true
				}
				if task := b.State().Tasks[0]; !ids[task.SubmissionID] || len(ids) != 1 {
					t.Errorf("the task has submission %s, the ledger has %v", task.SubmissionID, ids)
				}
			})
		})
	}
}

// A cancel that could not be carried out is carried out later.
func TestCancelThatGlobusCouldNotTakeIsRepeated(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.Fail(globussim.Fault{Method: "POST", Path: "/v0.10/task/*/cancel", Status: 503, Times: -1})
		p := b.process("one").serve(b.job("nightly", "0 1 * * *"))
		until(time.Hour + 10*time.Minute)
		if err := p.ledger.RequestCancel(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		b.after(30*time.Minute, func() { b.ClearFaults() })
		until(3 * time.Hour)
		p.stop()
		b.wantRuns("nightly 2000-01-01T01:00:00Z canceled")
		b.wantTasks("FAILED nightly 2000-01-01T01:00:00Z")
	})
}

// A cancel that Globus has accepted, and whose effect nobody has seen, is looked for later.
func TestRunWhoseCancelIsNotSeenIsLeftToALaterTry(t *testing.T) {
	for end, want := range map[string]string{"at the later try": "canceled", "before the later try": "canceled", "with success": "succeeded"} {
		onBench(t, func(t *testing.T, b *bench) {
			b.stall()
			p := b.process("one").serve(b.job("nightly", "0 1 * * *"))
			until(time.Hour + 10*time.Minute)
			accepted := `{"code": "CancelAccepted", "message": "The cancel request is being processed."}`
			b.Fail(globussim.Fault{Method: "POST", Path: "/v0.10/task/*/cancel", Status: 200, Body: accepted, Times: -1})
			if err := p.ledger.RequestCancel(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			until(time.Hour + 20*time.Minute)
			b.wantRuns("nightly 2000-01-01T01:00:00Z submitted")
			b.ClearFaults()
			status := "FAILED"
			switch end {
			case "before the later try":
				if _, err := b.client().CancelTask(t.Context(), b.State().Tasks[0].TaskID); err != nil {
					t.Error(err)
				}
			case "with success":
				status = "SUCCEEDED"
				b.releaseAfter(0)
			}
			until(3 * time.Hour)
			p.stop()
			b.wantRuns("nightly 2000-01-01T01:00:00Z " + want)
			b.wantTasks(status + " nightly 2000-01-01T01:00:00Z")
		})
	}
}

// A task that is canceled because it begins too late may still succeed.
func TestTaskThatBeginsTooLateAndSucceedsIsASuccess(t *testing.T) {
	later := func(c *globussim.Config) { c.Answers.CancelLater = true }
	for stalled, want := range map[bool]string{true: "timed_out", false: "succeeded"} {
		onBench(t, func(t *testing.T, b *bench) {
			job := b.job("nightly", "0 1 * * *", func(j *jobs.Job) { j.StartingDeadline = time.Hour })
			if stalled {
				b.stall()
			}
			one := b.process("one")
			one.at(cut{method: "POST", path: transferPath})
			one.serve(job)
			until(time.Hour + time.Minute)
			one.kill()
			until(3 * time.Hour)
			two := b.process("two").serve(job)
			until(4 * time.Hour)
			two.stop()
			b.wantRuns("nightly 2000-01-01T01:00:00Z " + want)
		}, later)
	}
}

// What was refused is not unconfirmed: the starting deadline ends it without
// another try. But a try of which nobody knows the outcome is, whatever was
// answered before.
func TestRefusalIsTakenBackBeforeTheNextTry(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("nightly", "0 1 * * *", func(j *jobs.Job) { j.StartingDeadline = time.Hour })
		b.stall()
		one := b.process("one")
		b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Status: 409, Code: "ClientError.Conflict"})
		one.at(cut{method: "POST", path: transferPath, skip: 1, after: true})
		one.serve(job)
		until(time.Hour + 2*time.Minute)
		if !one.dead.Load() {
			t.Fatal("the process lives")
		}
		one.kill()
		until(3 * time.Hour)
		two := b.process("two").serve(job)
		b.releaseAfter(time.Minute)
		until(4 * time.Hour)
		two.stop()
		b.wantRuns("nightly 2000-01-01T01:00:00Z succeeded")
		b.wantTasks("SUCCEEDED nightly 2000-01-01T01:00:00Z")
	})
}

func TestStartingDeadlineEndsTheWaitForAPlace(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs", Times: -1})
		p := b.process("one").serve(b.job("nightly", "0 1 * * *", func(j *jobs.Job) { j.StartingDeadline = time.Hour }))
		until(2*time.Hour + 5*time.Minute)
		p.stop()
		b.wantRuns("nightly 2000-01-01T01:00:00Z timed_out")
		b.wantTasks()
	})
}

// A step that comes next is not begun for a run that is to be canceled.
func TestNoFurtherStepIsBegunForARunThatIsToBeCanceled(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		one := b.process("one")
		one.at(cut{method: "GET", path: idPath, skip: 1}) // that of the delete
		o := b.order(handOver("/inbox/"))
		_, _ = one.record(t.Context(), o) // it dies
		one.kill()
		time.Sleep(time.Minute)
		two := b.process("two")
		if err := two.ledger.RequestCancel(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		r, err := two.record(t.Context(), o)
		if err != nil || r.State != ledger.Canceled {
			t.Errorf("got %+v, %v, want it canceled", r, err)
		}
		if want := []string{"nightly 2026-11-21T02:00:00Z s2"}; !slices.Equal(b.labels(), want) {
			t.Errorf("got the tasks %v, want %v", b.labels(), want)
		}
	})
}
