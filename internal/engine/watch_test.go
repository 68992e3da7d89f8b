package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// classes returns where the classes of tasks are recorded, each once until it
// changes.
func (b *bench) classes() *[]engine.Class {
	var seen []engine.Class
	b.observe = func(e engine.Event) {
		look, ok := e.(engine.Looked)
		if ok && !look.Task.Status.Final() && (len(seen) == 0 || seen[len(seen)-1] != look.Class) {
			seen = append(seen, look.Class)
		}
	}
	return &seen
}

func TestTaskThatRecoversSucceeds(t *testing.T) {
	warn := jobs.Reactions{Stalled: jobs.Warn, NeedsHuman: jobs.Warn, Hopeless: jobs.Warn}
	tests := map[string]struct {
		job     func(*jobs.Job)
		disturb globussim.Disturbance
		classes []engine.Class
		warned  []string // classes
	}{
		"stalled": {
			job: reacting(warn), disturb: globussim.Disturbance{Action: globussim.StallTask},
			classes: []engine.Class{engine.Progressing, engine.Stalled},
			warned:  []string{"stalled"},
		},
		"stalled, and policy says to wait": {
			job:     reacting(jobs.Reactions{Stalled: jobs.Wait}),
			disturb: globussim.Disturbance{Action: globussim.StallTask},
			classes: []engine.Class{engine.Progressing, engine.Stalled},
		},
		"suspended": {
			job: reacting(warn), disturb: globussim.Disturbance{Action: globussim.SuspendTask},
			classes: []engine.Class{engine.Needs}, warned: []string{"needs_human"},
		},
		"source comes late": {
			job: func(j *jobs.Job) {
				paths("/late.txt", "/late.txt")(j)
				j.On.Hopeless = jobs.Wait
			},
			classes: []engine.Class{engine.Retrying, engine.Hopeless},
		},
		"source comes late, with a warning": {
			job: func(j *jobs.Job) {
				paths("/late.txt", "/late.txt")(j)
				j.On.Hopeless = jobs.Warn
			},
			classes: []engine.Class{engine.Retrying, engine.Hopeless}, warned: []string{"hopeless"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if tt.disturb.Action != "" {
					b.disturb(tt.disturb)
				}
				b.after(time.Hour, func() { b.plant("late.txt", "here") })
				b.releaseAfter(time.Hour)
				classes := b.classes()
				r := b.run(t.Context(), b.order(tt.job))
				if r.State != ledger.Succeeded || r.Err != nil {
					t.Errorf("got %+v, want success", r)
				}
				if diff := cmp.Diff(tt.classes, *classes); diff != "" {
					t.Errorf("classes (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.warned, b.warned(t)); diff != "" {
					t.Errorf("warnings (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// warned returns the classes of the warnings about tasks.
func (b *bench) warned(t *testing.T) []string {
	t.Helper()
	var warned []string
	levels := b.log.values(t, "task changed", "level")
	for i, class := range b.log.values(t, "task changed", "class") {
		if levels[i] == "WARN" {
			warned = append(warned, class)
		}
	}
	return warned
}

func TestPauseIsTheManagersWordAndNoStall(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall() // so that it makes no progress right after the pause
		vault := globussim.CollectionID("vault")
		b.after(10*time.Minute, func() {
			if _, err := b.Pause(globussim.PauseRule{Collection: vault, Message: "new disks until noon"}); err != nil {
				t.Error(err)
			}
		})
		b.after(90*time.Minute, func() { b.Resume(vault) })
		b.releaseAfter(100 * time.Minute)
		classes := b.classes()
		o := b.order(reacting(jobs.Reactions{Stalled: jobs.Cancel}))
		r := b.run(t.Context(), o)
		if r.State != ledger.Succeeded || r.Err != nil {
			t.Errorf("got %+v, want success", r)
		}
		want := []engine.Class{engine.Progressing, engine.Needs, engine.Progressing}
		if diff := cmp.Diff(want, *classes); diff != "" {
			t.Errorf("classes (-want +got):\n%s", diff)
		}
		reasons := slices.DeleteFunc(b.log.values(t, "task changed", "reason"), func(s string) bool { return s == "" })
		if want := []string{"paused by the collection's manager: new disks until noon"}; !slices.Equal(reasons, want) {
			t.Errorf("logged reasons %q, want %q", reasons, want)
		}
	})
}

func TestAPausedTaskIsToldWithWhatToDo(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		vault := globussim.CollectionID("vault")
		b.after(10*time.Minute, func() {
			if _, err := b.Pause(globussim.PauseRule{Collection: vault, Message: "new disks"}); err != nil {
				t.Error(err)
			}
		})
		b.after(20*time.Minute, func() { b.Resume(vault) })
		b.releaseAfter(25 * time.Minute)
		if r, err := b.process("one").record(t.Context(), b.order()); err != nil || r.State != ledger.Succeeded {
			t.Fatalf("got %+v, %v, want success", r, err)
		}
		const told = "paused by the collection''s manager: new disks; ask the collection''s manager to resume it, or end the run with runner runs cancel 1"
		if n := b.count(`SELECT count(*) FROM notes WHERE kind = 'needs_human' AND message = '` + told + `'`); n != 1 {
			t.Errorf("%d notes say what to do, want one", n)
		}
	})
}

func TestHopelessTaskIsGivenTimeByWhatItHasMoved(t *testing.T) {
	tests := map[string]struct {
		job      func(*jobs.Job)
		from, to time.Duration // from the submission to the end
	}{
		"nothing yet":       {paths("/missing.txt", "/missing.txt"), 10 * time.Second, 20 * time.Second},
		"something already": {moving(), 60 * time.Second, 100 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				r := b.run(t.Context(), b.order(tt.job))
				if f := failure(t, r, fault.Refused); f.Code != "FILE_NOT_FOUND" {
					t.Errorf("got %+v", f)
				}
				if took := r.Finished.Sub(r.Started); took < tt.from || took > tt.to {
					t.Errorf("it was canceled after %v, want %v to %v", took, tt.from, tt.to)
				}
			})
		})
	}
}

// moving is a job with one file that is there and one that is not.
func moving() func(*jobs.Job) {
	return func(j *jobs.Job) {
		skipping(false)(j)
		j.Steps[0].Transfer.SkipSourceErrors = false
	}
}

func TestCancelThatDoesNotWorkIsTriedAgain(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Path: taskPath + "/cancel", Status: 403, Times: 3})
		r := b.run(t.Context(), b.order(paths("/missing.txt", "/missing.txt")))
		contains(t, failure(t, r, fault.Refused).Message, "could not succeed")
		if took := r.Finished.Sub(r.Started); took < 3*time.Minute || took > 5*time.Minute {
			t.Errorf("it took %v, want a try each minute", took)
		}
	})
}

func TestTokenThatEndsInTheMiddleIsRenewed(t *testing.T) {
	tests := map[string]struct {
		lifetime time.Duration
		act      func(b *bench) // after half an hour
		tokens   int            // at least
	}{
		"expires":        {10 * time.Minute, func(*bench) {}, 6},
		"is expired":     {0, func(b *bench) { b.ExpireTokens() }, 2},
		"is revoked":     {0, func(b *bench) { b.RevokeTokens() }, 2},
		"consents ended": {0, func(b *bench) { b.RescindConsents(clientID) }, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				b.after(30*time.Minute, func() { tt.act(b) })
				b.releaseAfter(time.Hour)
				if r := b.run(t.Context(), b.order()); r.State != ledger.Succeeded || r.Err != nil {
					t.Errorf("got %+v, want success", r)
				}
				if n := b.State().Tokens[clientID][auth.TransferServer]; n < tt.tokens {
					t.Errorf("%d tokens were issued, want at least %d", n, tt.tokens)
				}
			}, func(cfg *globussim.Config) { cfg.TokenLifetime = tt.lifetime })
		})
	}
}

func TestSecretThatIsRevokedInTheMiddleLeavesTheTask(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.after(time.Hour, func() {
			b.RevokeTokens()
			b.Fail(globussim.Fault{Path: tokenPath, Status: 401, Code: "invalid_client", Message: "no such secret: " + secret, Times: -1})
		})
		r := b.run(t.Context(), b.order())
		if e, ok := errors.AsType[*auth.Error](r.Err); !ok || e.Status != 401 || r.State != ledger.Submitted {
			t.Errorf("got %+v, want state submitted and a *auth.Error", r)
		}
		f := failure(t, r, fault.Unknown)
		contains(t, f.Error(), f.TaskID, "RUNNER_OCCURRENCE="+string(key))
		b.wantTasks("ACTIVE nightly 2026-11-21T02:00:00Z")

		b.ClearFaults()
		b.releaseAfter(time.Minute)
		if r := b.run(t.Context(), b.order()); r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("the next run got %+v, want the task adopted", r)
		}
	})
}

func TestServiceThatIsGoneInTheMiddleLeavesTheTask(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.after(time.Hour, func() { b.Fail(globussim.Fault{Drop: globussim.DropBefore, Times: -1}) })
		r := b.run(t.Context(), b.order())
		f := failure(t, r, fault.Unknown)
		if f.TaskID != b.State().Tasks[0].TaskID || r.State != ledger.Submitted {
			t.Errorf("got %+v with %+v, want state submitted and the task's id", r, f)
		}
	})
}

// A run that is over although its task is at work would have its next attempt copy all
// once more.
func TestTaskThatGlobusDoesNotKnowForAMomentIsFollowed(t *testing.T) {
	tests := map[string]struct {
		times int // looks that find no task
		want  ledger.State
	}{
		"once":       {1, ledger.Succeeded},
		"four times": {4, ledger.Succeeded},
		"for good":   {-1, ledger.Failed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.Fail(globussim.Fault{Method: "GET", Path: taskPath, Status: 404, Code: "TaskNotFound", Times: tt.times})
				r := b.run(t.Context(), b.order(func(j *jobs.Job) { j.BackoffLimit = 1 }))
				if r.State != tt.want || r.Attempt != 1 {
					t.Errorf("the run is %s after %d attempts (%v), want %s after 1", r.State, r.Attempt, r.Err, tt.want)
				}
			})
		})
	}
}

func TestPollsBecomeRare(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.run(b.signaled(time.Hour), b.order(reacting(jobs.Reactions{Stalled: jobs.Wait})))

		var polls []time.Time
		for _, request := range b.State().Requests {
			if strings.HasPrefix(request.Path, "/v0.10/task/") {
				polls = append(polls, request.Time)
			}
		}
		// One in 11.25 s to 15 s, and some more in the beginning.
		if n := len(polls); n < 240 || n > 335 {
			t.Errorf("%d polls in an hour, want about 280", n)
		}
		if first := polls[0].Sub(polls[0].Truncate(time.Hour)); first > time.Second {
			t.Errorf("the first poll came after %v, want at most 1s", first)
		}
		for i := 1; i < len(polls); i++ {
			if gap := polls[i].Sub(polls[i-1]); gap > 15*time.Second {
				t.Errorf("%v between two polls, want at most 15s", gap)
			}
		}
	})
}

func TestTaskThatMakesProgressIsLoggedOnceAMinute(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("data/b.txt", strings.Repeat("b", 360_000))
		r := b.run(t.Context(), b.order())
		if r.State != ledger.Succeeded {
			t.Fatalf("got %+v", r)
		}
		if changes := b.log.values(t, "task changed", "class"); len(changes) > 0 {
			t.Errorf("logged changes to %q, want none", changes)
		}
		beats := b.log.values(t, "task makes progress", "time")
		if len(beats) < 45 || len(beats) > 60 {
			t.Errorf("%d lines in an hour, want about one a minute", len(beats))
		}
		var last time.Time
		for _, beat := range beats {
			at, err := time.Parse(time.RFC3339Nano, beat)
			if err != nil {
				t.Fatal(err)
			}
			if !last.IsZero() && at.Sub(last) < time.Minute {
				t.Errorf("%v between two lines, want at least a minute", at.Sub(last))
			}
			last = at
		}
	}, func(cfg *globussim.Config) { cfg.Rate = 100 })
}

func TestTaskThatIsHeldIsLoggedOnlyWhenThatChanges(t *testing.T) {
	for name, action := range map[string]globussim.Action{
		"stalled": globussim.StallTask, "paused": globussim.PauseTask, "suspended": globussim.SuspendTask,
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.disturb(globussim.Disturbance{Action: action})
				b.releaseAfter(90 * time.Minute)
				if r := b.run(t.Context(), b.order()); r.State != ledger.Succeeded {
					t.Errorf("got %+v, want success", r)
				}
				changes := b.log.values(t, "task changed", "class")
				if beats := b.log.values(t, "task makes progress", "class"); len(changes) != 1 || len(beats) > 0 {
					t.Errorf("logged changes to %q and %d other lines, want one change", changes, len(beats))
				}
			})
		})
	}
}
