package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestOccurrenceBecomesOneTaskWhateverHappensToTheRequests(t *testing.T) {
	const always = -1
	tests := map[string]struct {
		fault       globussim.Fault
		submissions int // of the document; 0 means any number
		adopted     bool
		atLeast     time.Duration
	}{
		"nothing":                 {fault: globussim.Fault{Path: "/none", Status: 500}, submissions: 1},
		"dropped before effect":   {fault: globussim.Fault{Drop: globussim.DropBefore}, submissions: 1},
		"dropped after effect":    {fault: globussim.Fault{Drop: globussim.DropAfter}, submissions: 2},
		"unavailable for a while": {fault: globussim.Fault{Status: 503, RetryAfter: "90"}, submissions: 1, atLeast: 90 * time.Second},
		"gateway page":            {fault: globussim.Fault{Status: 504, Body: "<html>too slow</html>"}, submissions: 1},
		"gateway page after effect": {
			fault:       globussim.Fault{Status: 504, Body: "<html>too slow</html>", AfterEffect: true},
			submissions: 2,
		},
		"answer cut off":         {fault: globussim.Fault{Truncate: 20}, submissions: 2},
		"half an answer":         {fault: globussim.Fault{Cut: 20}, submissions: 2},
		"no answer in a minute":  {fault: globussim.Fault{Delay: time.Hour}, submissions: 2, atLeast: time.Minute},
		"always dropped":         {fault: globussim.Fault{Drop: globussim.DropAfter, Times: always}, adopted: true},
		"always a gateway page":  {fault: globussim.Fault{Status: 504, Body: "<html>", AfterEffect: true, Times: always}, adopted: true},
		"always cut off":         {fault: globussim.Fault{Truncate: 20, Times: always}, adopted: true},
		"token request dropped":  {fault: globussim.Fault{Path: tokenPath, Drop: globussim.DropAfter}, submissions: 1},
		"look-up dropped":        {fault: globussim.Fault{Method: "GET", Path: listPath, Drop: globussim.DropAfter}, submissions: 1},
		"submission id dropped":  {fault: globussim.Fault{Method: "GET", Path: idPath, Drop: globussim.DropAfter}, submissions: 1},
		"look at the task fails": {fault: globussim.Fault{Method: "GET", Path: taskPath, Status: 502, Body: "<html>"}, submissions: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if tt.fault.Path == "" {
					tt.fault.Method, tt.fault.Path = "POST", transferPath
				}
				b.Fail(tt.fault)
				r := b.run(t.Context(), b.order())

				if r.State != ledger.Succeeded || r.Err != nil || r.Adopted != tt.adopted || r.Attempt != 1 {
					t.Errorf("got %+v, want state succeeded, attempt 1 and adopted: %t", r, tt.adopted)
				}
				b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
				if n := b.State().Tasks[0].Submissions; tt.submissions > 0 && n != tt.submissions {
					t.Errorf("the document was submitted %d times, want %d", n, tt.submissions)
				}
				if took := r.Finished.Sub(r.Started); took < tt.atLeast {
					t.Errorf("it took %v, want at least %v", took, tt.atLeast)
				}
			})
		})
	}
}

func TestConflictWithTheTaskOfAnEarlierTryIsNoConflict(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(
			globussim.Fault{Method: "POST", Path: transferPath, Drop: globussim.DropAfter},
			globussim.Fault{Method: "POST", Path: transferPath, Status: 409, Code: "Conflict"},
		)
		r := b.run(t.Context(), b.order())
		if r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("got %+v, want the task adopted", r)
		}
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

func TestARefusalAfterATryThatTookEffectIsNone(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(
			globussim.Fault{Method: "POST", Path: transferPath, Status: 502, Body: "<html>", AfterEffect: true},
			globussim.Fault{Method: "POST", Path: transferPath, Status: 403, Code: "PermissionDenied"},
		)
		r := b.run(t.Context(), b.order())
		if r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("got %+v, want the task adopted", r)
		}
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

func TestUnconfirmedSubmissionIsAdoptedByTheNextRun(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(
			globussim.Fault{Method: "POST", Path: transferPath, Drop: globussim.DropAfter, Times: -1},
			globussim.Fault{Method: "GET", Path: listPath, Skip: 1, Drop: globussim.DropBefore, Times: -1},
		)
		r := b.run(t.Context(), b.order())
		f := failure(t, r, fault.Unknown)
		if !errors.Is(f, transfer.ErrUnclear) || r.State != ledger.Submitted || len(r.Tasks) != 0 || r.Attempt != 1 {
			t.Errorf("got %+v, want state submitted, no task and an unclear submission", r)
		}
		contains(t, f.Error(), "RUNNER_OCCURRENCE="+string(key))

		b.ClearFaults()
		if r = b.run(t.Context(), b.order()); r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("the next run got %+v, want the task adopted", r)
		}
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

func TestUnconfirmedSubmissionThatFailedIsAFailedAttempt(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask})
		b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Drop: globussim.DropAfter, Times: -1})
		contains(t, failure(t, b.run(t.Context(), b.order()), fault.Failed).Message, "endpoint error")
		b.wantTasks("FAILED nightly 2026-11-21T02:00:00Z")
	})
}

func TestLabelOfSomebodysChoiceIsNoProofOfATask(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		o := b.order()
		o.Fresh, o.Label = true, "my files"
		if r := b.run(t.Context(), o); r.State != ledger.Succeeded {
			t.Fatalf("got %+v", r)
		}
		b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Drop: globussim.DropBefore, Times: -1})
		o = b.order()
		o.Fresh, o.Label = true, "my files"
		o.Repeat = "--submission-id " + engine.SubmissionIDHere
		r := b.run(t.Context(), o)
		f := failure(t, r, fault.Unknown)
		contains(t, f.Message, "--submission-id ")

		_, id, _ := strings.Cut(f.Message, "--submission-id ")
		o.SubmissionID, _, _ = strings.Cut(id, ",")
		b.ClearFaults()
		if r := b.run(t.Context(), o); r.State != ledger.Succeeded || r.Tasks[0].SubmissionID != o.SubmissionID {
			t.Errorf("with the submission id: %+v", r)
		}
		b.wantTasks("SUCCEEDED my files", "SUCCEEDED my files")
	})
}

func TestSubmissionIDOfSomebodysChoiceHasOneDocument(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		o := b.order(func(j *jobs.Job) { j.ActiveDeadline = 2 * time.Hour })
		o.Fresh, o.NoWait, o.Label, o.SubmissionID = true, true, "my files", "7d1f6d2a-0000-4000-8000-00000000000a"
		b.stall()
		first := b.run(t.Context(), o)
		task := b.taskOf(first)
		if got := task.Deadline.Sub(task.RequestTime.Time); (got - o.Job.ActiveDeadline).Abs() > time.Minute {
			t.Errorf("the task has %v, want %v", got, o.Job.ActiveDeadline)
		}
		time.Sleep(time.Hour)
		again := b.run(t.Context(), o) // the simulator refuses another document
		if len(again.Tasks) != 1 || again.Tasks[0].TaskID != task.TaskID {
			t.Errorf("an hour later: %+v, want task %s", again, task.TaskID)
		}
		if later := b.taskOf(again); later.Deadline != task.Deadline {
			t.Errorf("the second start moves the deadline from %v to %v", task.Deadline, later.Deadline)
		}
	})
}

func TestSecondRunContinuesWhatTheFirstBegan(t *testing.T) {
	tests := map[string]struct {
		first   globussim.Disturbance
		tasks   []string
		attempt int
		adopted bool
	}{
		"task is active": {
			globussim.Disturbance{Action: globussim.StallTask},
			[]string{"SUCCEEDED nightly 2026-11-21T02:00:00Z"},
			1, true,
		},
		"task is inactive": {
			globussim.Disturbance{Action: globussim.SuspendTask},
			[]string{"SUCCEEDED nightly 2026-11-21T02:00:00Z"},
			1, true,
		},
		"task has succeeded": {
			globussim.Disturbance{Action: globussim.SlowTask, Rate: 1000},
			[]string{"SUCCEEDED nightly 2026-11-21T02:00:00Z"},
			1, true,
		},
		"task has failed": {
			globussim.Disturbance{Action: globussim.FailTask},
			[]string{"FAILED nightly 2026-11-21T02:00:00Z", "SUCCEEDED nightly 2026-11-21T02:00:00Z #2"},
			2, false,
		},
		"two tasks have failed": {
			globussim.Disturbance{Action: globussim.FailTask, Times: 2},
			[]string{
				"FAILED nightly 2026-11-21T02:00:00Z",
				"FAILED nightly 2026-11-21T02:00:00Z #2",
				"SUCCEEDED nightly 2026-11-21T02:00:00Z #3",
			},
			3, false,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.disturb(tt.first)
				for range max(tt.first.Times, 1) {
					b.start(b.order())
					time.Sleep(time.Minute)
				}
				b.releaseAfter(time.Hour)
				r := b.run(t.Context(), b.order())
				if r.State != ledger.Succeeded || r.Err != nil || r.Attempt != tt.attempt || r.Adopted != tt.adopted {
					t.Errorf("got %+v, want attempt %d, adopted: %t", r, tt.attempt, tt.adopted)
				}
				b.wantTasks(tt.tasks...)
			})
		})
	}
}

func TestFreshOccurrenceNeedsThreeRequests(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		o := b.order()
		o.Fresh = true
		b.start(o)
		want := map[string]int{"POST /v2/oauth2/token": 1, "GET /v0.10/submission_id": 1, "POST /v0.10/transfer": 1}
		if diff := cmp.Diff(want, b.State().Routes); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

func TestTaskBetweenOtherCollectionsIsNotAdopted(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		id := b.start(b.order(func(j *jobs.Job) {
			doc := copyOf("/data/", "/copy/")
			doc.DestinationEndpoint = globussim.CollectionID("store")
			j.Steps = jobs.Single(doc)
		}))
		r := b.run(t.Context(), b.order())
		f := failure(t, r, fault.Refused)
		if f.TaskID != id || r.State != ledger.Failed || r.Adopted {
			t.Errorf("got %+v with %+v, want task %s refused", r, f, id)
		}
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

func TestTwoStartsOfAnOccurrenceAtOnceShareItsTask(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.releaseAfter(time.Hour)
		b.Fail(globussim.Fault{Path: idPath, Delay: time.Second, Times: 2}) // both have looked by then
		var results [2]*engine.Result
		var group sync.WaitGroup
		for i := range results {
			e := b.engine()
			group.Go(func() { results[i] = e.Run(t.Context(), b.order()) })
		}
		group.Wait()
		for _, r := range results {
			if r.State != ledger.Succeeded || r.Err != nil {
				t.Errorf("got %+v, want success", r)
			}
		}
		if results[0].Adopted == results[1].Adopted {
			t.Errorf("adopted: %t and %t, want one of them", results[0].Adopted, results[1].Adopted)
		}
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

func TestKeysOfOneJobAreDifferentTasks(t *testing.T) {
	tests := map[string][2]jobs.Key{
		"instants":      {"2026-11-21T02:00:00Z", "2026-11-22T02:00:00Z"},
		"case":          {"ci:Build", "ci:build"},
		"one in other":  {"ci:1", "ci:11"},
		"like attempts": {"ci:1", "ci:1-2"},
	}
	for name, keys := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				for _, key := range keys {
					o := b.order()
					o.Key = key
					if r := b.run(t.Context(), o); r.State != ledger.Succeeded || r.Adopted {
						t.Errorf("%s: got %+v, want a task of its own", key, r)
					}
				}
				b.wantTasks("SUCCEEDED nightly "+string(keys[0]), "SUCCEEDED nightly "+string(keys[1]))
			})
		})
	}
}

func TestOneJobMayHaveSeveralOccurrencesAtOnce(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		o := b.order(func(j *jobs.Job) {
			j.Steps = jobs.Single(&transfer.Delete{
				Endpoint: globussim.CollectionID("lab"), Recursive: true, IgnoreMissing: true,
				Items: []transfer.DeleteItem{{Path: "/old/"}},
			})
		})
		e := b.engine()
		var results [5]*engine.Result
		var group sync.WaitGroup
		for i := range results {
			group.Go(func() {
				o := o
				o.Key = jobs.Key("ci:" + string(rune('a'+i)))
				results[i] = e.Run(t.Context(), o)
			})
		}
		group.Wait()
		for i, r := range results {
			if want := "nightly ci:" + string(rune('a'+i)); r.State != ledger.Succeeded || r.Tasks[0].Last.Label != want {
				t.Errorf("got %+v, want the task %q", r, want)
			}
		}
		if head := o.Job.Steps[0].Document().Head(); *head != (transfer.Header{}) {
			t.Errorf("the job's document was changed: %+v", head)
		}
	})
}

func TestRefusedSubmissionIsTheErrorOfTheService(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		r := b.run(t.Context(), b.order(func(j *jobs.Job) {
			doc := copyOf("/data/", "/copy/")
			doc.DestinationEndpoint = "00000000-0000-4000-8000-000000000000"
			j.Steps = jobs.Single(doc)
		}))
		e, ok := errors.AsType[*transfer.Error](r.Err)
		if !ok || !e.NotFound() || r.State != ledger.Failed || r.Attempt != 0 {
			t.Errorf("got %+v, want state failed and a *transfer.Error that is NotFound", r)
		}
	})
}

// What a list names is not checked again, so a list that waits at Globus for long is
// not done at all: its files may have changed meanwhile.
func TestAListThatWaitsForMoreThanAnHourIsNotDone(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt", "data/e/x")
		p := b.process("one")
		p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }, ownTimes), ledger.Succeeded)
		b.stall()
		go func() {
			time.Sleep(90 * time.Minute)
			b.plant("data/a.txt", "what came meanwhile")
			b.disturb(globussim.Disturbance{Action: globussim.ReleaseTask})
		}()
		r, err := p.record(t.Context(), b.order(expires(), func(j *jobs.Job) { j.ActiveDeadline = 24 * time.Hour }))
		if err != nil || r.State == ledger.Succeeded {
			t.Errorf("got %+v, %v, want a run that has not succeeded", r, err)
		}
		time.Sleep(2 * time.Hour)
		b.wantLeft("data/a.txt", "data/e/x")
	})
}

// A later start makes another attempt if the list of an earlier one has failed, and the
// job allows it. The files are checked again.
func TestAListOfAnEarlierStartThatFailed(t *testing.T) {
	for limit, tt := range map[int]struct {
		want ledger.State
		left []string
	}{
		0: {ledger.Failed, []string{"data/a.txt", "data/b"}},
		1: {ledger.Succeeded, []string{"data/a.txt"}},
	} {
		t.Run(fmt.Sprint("backoff limit ", limit), func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt", "data/b")
				o := b.order(expires(), func(j *jobs.Job) { j.BackoffLimit = limit })
				one := b.process("one")
				one.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }, ownTimes), ledger.Succeeded)
				b.disturb(globussim.Disturbance{Action: globussim.FailTask})
				one.at(cut{method: "GET", path: "/v0.10/task/*"})
				_, _ = one.record(t.Context(), o) // it is killed
				if !one.dead.Load() {
					t.Fatal("the process did not come to the cut")
				}
				time.Sleep(time.Hour)
				b.plant("data/a.txt", "what came meanwhile")
				two := b.process("two")
				r, err := two.record(t.Context(), o)
				if err != nil || r.State != tt.want {
					t.Errorf("got %+v, %v, want it %s", r, err, tt.want)
				}
				b.wantLeft(tt.left...)
			})
		})
	}
}

func TestAListWhoseAnswerIsLost(t *testing.T) {
	t.Run("its task is found", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt")
			b.Fail(globussim.Fault{Path: deletePath, Times: -1, Drop: globussim.DropAfter})
			p := b.process("one")
			p.wantPruned(p.wantRun(b.order(handsOver, ownTimes), ledger.Succeeded), "1 file deleted")
			if n := b.count("SELECT count(*) FROM submissions WHERE once = 1 AND status = 'SUCCEEDED'"); n != 1 {
				t.Errorf("%d lists were done, want the only one", n)
			}
			if n := b.count("SELECT count(*) FROM submissions WHERE status = 'DROPPED'"); n != 0 {
				t.Errorf("%d lists were given up", n)
			}
		})
	})
	t.Run("it cannot be looked for", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt")
			b.Fail(globussim.Fault{Path: deletePath, Times: -1, Drop: globussim.DropBefore})
			p := b.process("one")
			p.watchDeletes(map[string][]string{}, func() {
				b.Fail(globussim.Fault{Path: listPath, Times: -1, Status: 403, Code: "PermissionDenied"})
			})
			r, err := p.record(t.Context(), b.order(handsOver, ownTimes))
			if err != nil || r.State.Final() || fault.Of(r.Err).Kind != fault.Unknown {
				t.Errorf("got %+v, %v, want a run that is left", r, err)
			}
			if n := b.count("SELECT count(*) FROM submissions WHERE once = 1"); n != 1 {
				t.Errorf("%d lists were recorded, want no other one while it is not known what became of the first", n)
			}
			b.wantLeft("data/a.txt")
		})
	})
}
