package engine_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
)

// posts returns when submissions arrived, as times since the bubble began.
func (b *bench) posts() (all []time.Duration) {
	for _, r := range b.State().Requests {
		if r.Path == transferPath {
			all = append(all, r.Time.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
		}
	}
	return all
}

func TestOccurrencesStartAtTheirInstants(t *testing.T) {
	for name, jitter := range map[string]time.Duration{"at once": 0, "with jitter": 20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				job := b.job("often", "30 */2 * * *", func(j *jobs.Job) { j.Jitter = jitter })
				p := b.process("one").serve(job)
				until(7 * time.Hour)
				p.stop()
				b.wantRuns(
					"often 2000-01-01T00:30:00Z succeeded", "often 2000-01-01T02:30:00Z succeeded",
					"often 2000-01-01T04:30:00Z succeeded", "often 2000-01-01T06:30:00Z succeeded",
				)
				for i, r := range b.runs() {
					want := job.Due(jobs.Key(r.Key), r.Due)
					if late := r.Claimed.Sub(want); late < 0 || late > time.Second {
						t.Errorf("run %d was claimed at %v, want %v", i+1, r.Claimed, want)
					}
				}
				if n := len(b.posts()); n != 4 {
					t.Errorf("%d submissions, want 4", n)
				}
			})
		})
	}
}

func TestEachOccurrenceStartsOnceOverRestarts(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("often", "*/30 * * * *")
		var want []string
		for i := range 12 {
			at := time.Date(2000, 1, 1, 0, 30*(i+1), 0, 0, time.UTC)
			want = append(want, "often "+string(jobs.ScheduledKey(at))+" succeeded")
			p := b.process(fmt.Sprint("start ", i)).serve(job)
			// In turn: stopped long after it, right after it, and killed as it begins.
			until(time.Duration(i+1)*30*time.Minute + []time.Duration{10 * time.Minute, 50 * time.Millisecond, 0}[i%3])
			if i%3 == 2 {
				p.kill()
			} else {
				p.stop()
			}
		}
		p := b.process("last").serve(job)
		until(6*time.Hour + 29*time.Minute)
		p.stop()
		b.wantRuns(want...)
		if n := len(b.State().Tasks); n != 12 {
			t.Errorf("%d tasks, want 12", n)
		}
	})
}

func TestThreeSchedulersOnOneLedgerStartEachOccurrenceOnce(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		all := []*jobs.Job{b.job("a", "*/10 * * * *"), b.job("b", "*/15 * * * *"), b.job("c", "", follows("a"))}
		var processes []*process
		for i := range 3 {
			processes = append(processes, b.process(fmt.Sprint("replica ", i)).serve(all...))
		}
		until(time.Hour + 5*time.Minute)
		processes[0].kill() // the others go on
		until(2*time.Hour + 5*time.Minute)
		for _, p := range processes[1:] {
			p.stop()
		}
		var want []string
		for m := 10; m <= 120; m += 10 {
			key := string(jobs.ScheduledKey(time.Date(2000, 1, 1, 0, m, 0, 0, time.UTC)))
			want = append(want, "a "+key+" succeeded", "c "+key+" succeeded")
		}
		for m := 15; m <= 120; m += 15 {
			want = append(want, "b "+string(jobs.ScheduledKey(time.Date(2000, 1, 1, 0, m, 0, 0, time.UTC)))+" succeeded")
		}
		b.wantRuns(want...)
		if n := len(b.State().Tasks); n != len(want) {
			t.Errorf("%d tasks, want %d", n, len(want))
		}
	})
}

// follows makes a job start after another one has succeeded.
func follows(name string) func(*jobs.Job) { return func(j *jobs.Job) { j.After = name } }

func TestConcurrencyBetweenOccurrences(t *testing.T) {
	tests := map[string]struct {
		policy jobs.Concurrency
		want   []string
		says   string // about the second run
	}{
		"forbid": {
			jobs.Forbid,
			[]string{"hourly 2000-01-01T01:00:00Z succeeded", "hourly 2000-01-01T02:00:00Z skipped", "hourly 2000-01-01T03:00:00Z succeeded"},
			"occurrence 2000-01-01T01:00:00Z of this job is not over",
		},
		"allow": {
			jobs.Allow,
			[]string{"hourly 2000-01-01T01:00:00Z succeeded", "hourly 2000-01-01T02:00:00Z succeeded", "hourly 2000-01-01T03:00:00Z succeeded"},
			"",
		},
		"replace": {
			jobs.Replace,
			[]string{"hourly 2000-01-01T01:00:00Z canceled", "hourly 2000-01-01T02:00:00Z succeeded", "hourly 2000-01-01T03:00:00Z succeeded"},
			"",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				b.releaseAfter(2*time.Hour + 30*time.Minute)
				p := b.process("one").serve(b.job("hourly", "0 * * * *", with(tt.policy)))
				until(3*time.Hour + 30*time.Minute)
				p.stop()
				b.wantRuns(tt.want...)
				contains(t, b.runs()[1].Message, tt.says)
			})
		})
	}
}

func TestSuspendedJobDoesNotStart(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		suspended := func(j *jobs.Job) { j.Suspend = true }
		p := b.process("one").serve(b.job("hourly", "0 * * * *"), b.job("after", "", follows("hourly"), suspended))
		until(90 * time.Minute)
		p.reload(b.job("hourly", "0 * * * *", suspended))
		until(3*time.Hour + 30*time.Minute)
		p.reload(b.job("hourly", "0 * * * *"))
		until(4*time.Hour + 30*time.Minute)
		p.stop()
		b.wantRuns("hourly 2000-01-01T01:00:00Z succeeded", "hourly 2000-01-01T04:00:00Z succeeded")
	})
}

func TestJobFollowsTheSuccessOfAnother(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Label: "first *02:00:00Z"})
		p := b.process("one").serve(b.job("first", "0 1,2,3 * * *"), b.job("second", "", follows("first")), b.job("third", "", follows("second")))
		until(4 * time.Hour)
		p.stop()
		b.wantRuns(
			"first 2000-01-01T01:00:00Z succeeded", "second 2000-01-01T01:00:00Z succeeded", "third 2000-01-01T01:00:00Z succeeded",
			"first 2000-01-01T02:00:00Z failed",
			"first 2000-01-01T03:00:00Z succeeded", "second 2000-01-01T03:00:00Z succeeded", "third 2000-01-01T03:00:00Z succeeded",
		)
	})
}

func TestJobFollowsAlthoughTheProcessDies(t *testing.T) {
	// The look at the first task is its last request; the second's begins with
	// the look-up, because the ledger does not know it.
	tests := map[string]cut{
		"before the success is seen":      {method: "GET", path: "/v0.10/task/*"},
		"when the success is seen":        {method: "GET", path: "/v0.10/task/*", unrecorded: true},
		"before the second has an id":     {method: "GET", path: idPath, skip: 1},
		"before the second is looked for": {method: "GET", path: listPath, skip: 1},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				all := []*jobs.Job{b.job("first", "0 1 * * *"), b.job("second", "", follows("first"))}
				one := b.process("one")
				one.at(c)
				one.serve(all...)
				until(time.Hour + time.Minute)
				if !one.dead.Load() {
					t.Fatal("the process lives")
				}
				one.kill()
				two := b.process("two").serve(all...)
				until(2 * time.Hour)
				two.stop()
				b.wantRuns("first 2000-01-01T01:00:00Z succeeded", "second 2000-01-01T01:00:00Z succeeded")
				b.wantTasks("SUCCEEDED first 2000-01-01T01:00:00Z", "SUCCEEDED second 2000-01-01T01:00:00Z")
			})
		})
	}
}

func TestOutageOfAnHourLosesAndDoublesNothing(t *testing.T) {
	tests := map[string]globussim.Fault{
		"connections drop":             {Drop: globussim.DropBefore, Times: -1},
		"answers drop":                 {Drop: globussim.DropAfter, Times: -1},
		"unavailable":                  {Status: 503, Times: -1},
		"gateway pages":                {Status: 502, Body: "<html>", Times: -1},
		"gateway pages after effect":   {Status: 502, Body: "<html>", AfterEffect: true, Times: -1},
		"no tokens":                    {Path: tokenPath, Status: 503, Times: -1},
		"submissions are not answered": {Path: transferPath, Drop: globussim.DropAfter, Times: -1},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				var all []*jobs.Job
				var want []string
				for i := range long.Or(6, 3) {
					all = append(all, b.job(fmt.Sprint("job-", i), fmt.Sprintf("%d 1 * * *", i*10)))
					want = append(want, fmt.Sprintf("job-%d 2000-01-01T01:%02d:00Z succeeded", i, i*10))
				}
				b.after(59*time.Minute, func() { b.Fail(fault) })
				b.after(2*time.Hour, func() { b.ClearFaults() })
				p := b.process("one").serve(all...)
				until(2*time.Hour + 30*time.Minute)
				p.stop()
				b.wantRuns(want...)
				labels := b.labels()
				slices.Sort(labels)
				for i := range want {
					want[i] = strings.TrimSuffix(want[i], " succeeded")
				}
				if diff := cmp.Diff(want, labels); diff != "" {
					t.Errorf("tasks (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestOutageBeyondTheStartingDeadlineIsATimeOut(t *testing.T) {
	tests := map[string]globussim.Fault{
		"nothing is reached":        {Drop: globussim.DropBefore, Times: -1},
		"submissions are not taken": {Path: transferPath, Status: 503, Times: -1},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.Fail(fault)
				b.after(3*time.Hour, func() { b.ClearFaults() })
				p := b.process("one").serve(b.job("nightly", "0 1 * * *", func(j *jobs.Job) { j.StartingDeadline = time.Hour }))
				until(4 * time.Hour)
				p.stop()
				b.wantRuns("nightly 2000-01-01T01:00:00Z timed_out")
				contains(t, b.runs()[0].Message, "nothing could be submitted by 2000-01-01T02:00:00Z", "starting deadline")
				b.wantTasks()
			})
		})
	}
}

func TestTaskThatExistsIsFollowedBeyondTheStartingDeadline(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Path: transferPath, Drop: globussim.DropAfter, Times: -1})
		b.after(time.Hour+10*time.Second, func() { b.Fail(globussim.Fault{Drop: globussim.DropBefore, Times: -1}) })
		b.after(3*time.Hour, func() { b.ClearFaults() })
		p := b.process("one").serve(b.job("nightly", "0 1 * * *", func(j *jobs.Job) { j.StartingDeadline = time.Hour }))
		until(4 * time.Hour)
		p.stop()
		b.wantRuns("nightly 2000-01-01T01:00:00Z succeeded")
		b.wantTasks("SUCCEEDED nightly 2000-01-01T01:00:00Z")
	})
}

func TestReloadTakesEffect(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.StallTask, Label: "gone *"})
		p := b.process("one").serve(b.job("stays", "0 * * * *"), b.job("changes", "10 * * * *"), b.job("gone", "20 * * * *"))
		until(90 * time.Minute)
		next := []*jobs.Job{b.job("stays", "0 * * * *"), b.job("changes", "40 * * * *"), b.job("new", "50 * * * *")}
		p.reload(next...)
		until(105 * time.Minute)
		p.stop()
		p = b.process("two").serve(next...)
		b.releaseAfter(10 * time.Minute)
		until(2*time.Hour + 5*time.Minute)
		p.stop()
		b.wantRuns(
			"stays 2000-01-01T01:00:00Z succeeded", "stays 2000-01-01T02:00:00Z succeeded",
			"changes 2000-01-01T00:10:00Z succeeded", "changes 2000-01-01T01:10:00Z succeeded", "changes 2000-01-01T01:40:00Z succeeded",
			"new 2000-01-01T01:50:00Z succeeded",
			"gone 2000-01-01T00:20:00Z succeeded", "gone 2000-01-01T01:20:00Z skipped",
		)
	})
}

func TestRemovedJobIsResumedAsFarAsTheLedgerKnowsIt(t *testing.T) {
	tests := map[string]struct {
		cut   cut
		steps func(*jobs.Job)
		state string
		tasks []string
	}{
		"nothing was submitted": {cut{method: "GET", path: idPath}, nil, "canceled", nil},
		"submission is not confirmed": {
			cut{method: "POST", path: transferPath, after: true},
			nil, "succeeded",
			[]string{"SUCCEEDED gone 2000-01-01T01:00:00Z"},
		},
		"submission was not sent": {
			cut{method: "POST", path: transferPath},
			nil, "succeeded",
			[]string{"SUCCEEDED gone 2000-01-01T01:00:00Z"},
		},
		"task is at work": {
			cut{method: "GET", path: "/v0.10/task/*"},
			nil, "succeeded",
			[]string{"SUCCEEDED gone 2000-01-01T01:00:00Z"},
		},
		"steps follow": {
			cut{method: "GET", path: "/v0.10/task/*"},
			handOver("/inbox/"), "canceled",
			[]string{"SUCCEEDED gone 2000-01-01T01:00:00Z s2"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				edits := []func(*jobs.Job){}
				if tt.steps != nil {
					edits = append(edits, tt.steps)
				}
				one := b.process("one")
				one.at(tt.cut)
				one.serve(b.job("gone", "0 1 * * *", edits...))
				until(time.Hour + time.Minute)
				one.kill()
				two := b.process("two").serve()
				until(2 * time.Hour)
				two.stop()
				b.wantRuns("gone 2000-01-01T01:00:00Z " + tt.state)
				b.wantTasks(tt.tasks...)
			})
		})
	}
}

func TestCancelThatIsAskedForEndsTaskAndRun(t *testing.T) {
	tests := map[string]struct {
		spoil func(b *bench)
		tasks []string
	}{
		"task is at work":     {func(b *bench) { b.stall() }, []string{"FAILED nightly 2000-01-01T01:00:00Z"}},
		"nothing was reached": {func(b *bench) { b.Fail(globussim.Fault{Drop: globussim.DropBefore, Times: -1}) }, nil},
		"submission is not confirmed": {func(b *bench) {
			b.stall()
			b.Fail(globussim.Fault{Path: transferPath, Drop: globussim.DropAfter, Times: -1}, globussim.Fault{Path: listPath, Skip: 1, Drop: globussim.DropBefore, Times: -1})
		}, []string{"FAILED nightly 2000-01-01T01:00:00Z"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				tt.spoil(b)
				p := b.process("one").serve(b.job("nightly", "0 1 * * *"))
				until(time.Hour + 10*time.Minute)
				if err := p.ledger.RequestCancel(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				b.after(10*time.Minute, func() { b.ClearFaults() })
				until(2 * time.Hour)
				p.stop()
				b.wantRuns("nightly 2000-01-01T01:00:00Z canceled")
				b.wantTasks(tt.tasks...)
				contains(t, b.runs()[0].Message, "canceled on request")
			})
		})
	}
}

func TestRunThatIsToBeCanceledIsCanceledAsSoonAsItIsTakenOver(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		job := b.job("nightly", "0 1 * * *")
		p := b.process("one").serve(job)
		until(time.Hour + time.Minute)
		if err := p.ledger.RequestCancel(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		p.stop()
		p = b.process("two").serve(job)
		until(time.Hour + time.Minute + 5*time.Second) // its first look for requests comes later
		b.wantRuns("nightly 2000-01-01T01:00:00Z canceled")
		p.stop()
	})
}

func TestStopKeepsTheStateAndTheNextStartAdopts(t *testing.T) {
	tests := map[string]struct {
		fault globussim.Fault
		at    time.Duration // of the stop
		calm  bool          // the task exists
	}{
		"idle":                        {globussim.Fault{Path: "/none", Status: 500}, 30 * time.Minute, false},
		"submission id is waited for": {globussim.Fault{Path: idPath, Delay: time.Hour}, time.Hour + time.Second, false},
		"submission is sent":          {globussim.Fault{Path: transferPath, Delay: time.Hour}, time.Hour + time.Second, true},
		"submission is dropped":       {globussim.Fault{Path: transferPath, Drop: globussim.DropAfter, Times: 3}, time.Hour + 10*time.Millisecond, true},
		"task is waited for":          {globussim.Fault{Path: "/none", Status: 500}, 90 * time.Minute, true},
		"look at the task hangs":      {globussim.Fault{Path: taskPath, Delay: time.Hour}, 90 * time.Minute, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				b.Fail(tt.fault)
				job := b.job("nightly", "0 1 * * *")
				one := b.process("one").serve(job)
				until(tt.at)
				if took := one.stop(); took > 2*time.Second {
					t.Errorf("the stop took %v, want at most 2s", took)
				}
				b.ClearFaults()
				for _, r := range b.runs() {
					if r.State.Final() || !r.LeaseUntil.IsZero() {
						t.Errorf("got %+v, want it unfinished and free", r)
					}
				}
				if tt.calm {
					b.wantTasks("ACTIVE nightly 2000-01-01T01:00:00Z")
				}
				two := b.process("two").serve(job)
				b.releaseAfter(45 * time.Minute)
				until(2*time.Hour + 30*time.Minute)
				two.stop()
				b.wantRuns("nightly 2000-01-01T01:00:00Z succeeded")
				b.wantTasks("SUCCEEDED nightly 2000-01-01T01:00:00Z")
			})
		})
	}
}

func TestStopWhileItStartsIsNoError(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one")
		b.observe = func(e engine.Event) {
			if _, planned := e.(engine.Planned); planned {
				p.cancel(errSignal)
			}
		}
		p.serve(b.job("nightly", "0 1 * * *"))
		synctest.Wait()
		p.stop()
	})
}

func TestStopCancelsTheTasksIfItIsToldTo(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		job := b.job("nightly", "0 1 * * *")
		p := b.process("one", func(c *engine.SchedulerConfig) { c.CancelOnInterrupt = true }).serve(job)
		until(90 * time.Minute)
		if took := p.stop(); took > 2*time.Second {
			t.Errorf("the stop took %v, want at most 2s", took)
		}
		b.wantRuns("nightly 2000-01-01T01:00:00Z canceled")
		p = b.process("two").serve(job)
		until(3 * time.Hour)
		p.stop()
		b.wantTasks("FAILED nightly 2000-01-01T01:00:00Z")
	})
}

// Nobody has given up the item of a task that the end of the program has canceled.
func TestAnItemWhoseTaskTheStopCancelsHasFailed(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.begin(written(0, "/runs/run_1/done", 0, 0))
		b.stall()
		p := b.process("one", func(c *engine.SchedulerConfig) { c.CancelOnInterrupt = true }).serve(b.itemJob(marked))
		until(10 * time.Minute)
		p.stop()
		b.wantItems("run_1 1 failed")
		if run := b.runs()[0]; !strings.Contains(run.Message, "was canceled") {
			t.Errorf("the run says %q", run.Message)
		}
	})
}

func TestBacklogOfTheAccountIsKeptTheOldestFirst(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.SlowTask, Rate: 1, Times: -1}) // 10 s each, three at once
		count := long.Or(150, 110)
		var all []*jobs.Job
		var want []string
		for i := range count {
			all = append(all, b.job(fmt.Sprintf("job-%03d", i), fmt.Sprintf("%d 1 * * *", i%3)))
			want = append(want, fmt.Sprintf("job-%03d 2000-01-01T01:%02d:00Z succeeded", i, i%3))
		}
		most := 0
		b.observe = func(e engine.Event) {
			if queued, ok := e.(engine.Queued); ok {
				most = max(most, queued.Active)
				if queued.Oldest.IsZero() != (queued.Waiting == 0) || queued.Oldest.Second() != 0 {
					t.Errorf("%d wait, the oldest since %v", queued.Waiting, queued.Oldest)
				}
			}
		}
		p := b.process("one")
		p.serve(all...)
		until(2 * time.Hour)
		p.stop()
		b.wantRuns(want...)
		if n := len(b.State().Tasks); n != count || most > 100 {
			t.Errorf("%d tasks, %d at once, want %d and at most 100", n, most, count)
		}
		for _, r := range b.State().Requests {
			if r.Path == transferPath && r.Status != http.StatusAccepted {
				t.Errorf("a submission was answered %d, want all accepted", r.Status)
			}
		}
		// Those due at 01:00 have all their places before one of 01:02 has.
		last := map[string]int{}
		first := map[string]int{}
		for i, label := range b.labels() {
			at := label[len(label)-7:]
			last[at] = i
			if _, ok := first[at]; !ok {
				first[at] = i
			}
		}
		if last[":00:00Z"] > first[":02:00Z"] {
			t.Errorf("the last of 01:00 was submitted as number %d, the first of 01:02 as %d", last[":00:00Z"], first[":02:00Z"])
		}
	})
}

func TestManyTasksAreWatchedWithFewRequests(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.StallTask, Times: -1})
		var all []*jobs.Job
		for i := range long.Or(100, 20) {
			all = append(all, b.job(fmt.Sprintf("job-%02d", i), "0 1 * * *", func(j *jobs.Job) { j.On.Stalled = jobs.Wait }))
		}
		p := b.process("one").serve(all...)
		until(time.Hour + 5*time.Minute)
		before := b.State().Routes
		minutes := long.Or(60, 20)
		until(time.Hour + time.Duration(5+minutes)*time.Minute)
		after := b.State().Routes
		lists := after["GET /v0.10/task_list"] - before["GET /v0.10/task_list"]
		single := after["GET /v0.10/task/{id}"] - before["GET /v0.10/task/{id}"]
		t.Logf("%.1f requests a minute", float64(lists+single)/float64(minutes))
		if lists+single > 8*minutes || lists == 0 || single > minutes {
			t.Errorf("%d lists and %d single looks in %d minutes, want about one list in ten seconds", lists, single, minutes)
		}
		p.stop()
	})
}

func TestTheQueueTellsSinceWhenItsFirstIsDue(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		var last engine.Queued
		b.observe = func(e engine.Event) {
			if queued, ok := e.(engine.Queued); ok {
				last = queued
			}
		}
		p := b.process("one", func(c *engine.SchedulerConfig) { c.Places = 1 })
		p.serve(b.job("first", "0 1 * * *"), b.job("second", "5 1 * * *"), b.job("third", "10 1 * * *"))
		until(80 * time.Minute)
		p.stop()
		if want := time.Date(2000, 1, 1, 1, 5, 0, 0, time.UTC); last.Waiting != 2 || !last.Oldest.Equal(want) {
			t.Errorf("%d wait, the oldest since %v, want 2 since %v", last.Waiting, last.Oldest, want)
		}
	})
}
