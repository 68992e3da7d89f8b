package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// Where no scheduler takes over what other starts have left, the next start of
// the job must not be kept out by it for ever.
func TestRunThatNobodyWorksOnIsEndedByTheNextStart(t *testing.T) {
	const scheduled, manual = "1999-12-31T02:00:00Z", "manual:one"
	tests := map[string]struct {
		key    jobs.Key
		policy jobs.Concurrency
		begun  bool // the task exists
		want   []string
	}{
		"not begun, by hand":      {manual, jobs.Forbid, false, []string{"nightly manual:one canceled", "nightly manual:two succeeded"}},
		"not begun, on schedule":  {scheduled, jobs.Forbid, false, []string{"nightly " + scheduled + " succeeded", "nightly manual:two succeeded"}},
		"begun, by hand":          {manual, jobs.Forbid, true, []string{"nightly manual:one succeeded", "nightly manual:two succeeded"}},
		"begun, on schedule":      {scheduled, jobs.Forbid, true, []string{"nightly " + scheduled + " succeeded", "nightly manual:two succeeded"}},
		"begun, to be replaced":   {manual, jobs.Replace, true, []string{"nightly manual:one canceled", "nightly manual:two succeeded"}},
		"not begun, replaced too": {scheduled, jobs.Replace, false, []string{"nightly " + scheduled + " canceled", "nightly manual:two succeeded"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				order := func(key jobs.Key) engine.Order {
					o := b.order(func(j *jobs.Job) { j.Concurrency = tt.policy })
					o.Key, o.At = key, time.Now()
					return o
				}
				if tt.begun {
					b.stall()
				} else {
					b.Fail(globussim.Fault{Path: idPath, Delay: time.Hour})
				}
				one := b.process("one")
				ctx, interrupt := context.WithCancelCause(t.Context())
				go func() {
					time.Sleep(time.Second)
					interrupt(errSignal)
				}()
				if r, err := one.record(ctx, order(tt.key)); err != nil || r.State.Final() {
					t.Fatalf("got %+v, %v, want it interrupted", r, err)
				}
				if err := one.ledger.Release(t.Context(), "one"); err != nil {
					t.Fatal(err)
				}
				one.kill()
				b.ClearFaults()
				b.releaseAfter(5 * time.Minute)

				if r, err := b.process("two").record(t.Context(), order("manual:two")); err != nil || r.State != ledger.Succeeded {
					t.Errorf("got %+v, %v, want success", r, err)
				}
				b.wantRuns(tt.want...)
			})
		})
	}
}

// To say "skipped" would be wrong: nobody is at work.
func TestRunThatCannotBeEndedIsNoReasonToSkip(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		o := b.order()
		o.NoWait = true
		one := b.process("one")
		if r, err := one.record(t.Context(), o); err != nil || r.State != ledger.Submitted {
			t.Fatalf("got %+v, %v, want it submitted", r, err)
		}
		if err := one.ledger.Release(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		b.Fail(globussim.Fault{Drop: globussim.DropBefore, Times: -1})
		two := b.order()
		two.Key = "manual:two"
		r, err := b.process("two").record(t.Context(), two)
		if err != nil || r.State.Final() || r.Err == nil || fault.Of(r.Err).Kind == fault.Skipped {
			t.Fatalf("got %+v, %v, want a run that is left", r, err)
		}
		contains(t, r.Err.Error(), "run 1 of this job, which was left by its start, could not be ended first: ")
		if err := one.ledger.Release(t.Context(), "two"); err != nil {
			t.Fatal(err)
		}
		b.ClearFaults()
		b.releaseAfter(time.Minute)
		if r, err := b.process("three").record(t.Context(), two); err != nil || r.State != ledger.Succeeded {
			t.Errorf("got %+v, %v, want success", r, err)
		}
	})
}

func TestRunThatSomebodyWorksOnKeepsTheNextStartOut(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		one := b.process("one")
		go func() { _, _ = one.record(t.Context(), b.order()) }() // ends with the process
		synctest.Wait()
		o := b.order()
		o.Key = "manual:two"
		if r, err := b.process("two").record(t.Context(), o); err != nil || r.State != ledger.Skipped {
			t.Errorf("got %+v, %v, want it skipped", r, err)
		}
		b.releaseAfter(0)
		time.Sleep(time.Minute)
	})
}

// A run that somebody has just asked for is the scheduler's. If there is none, the
// next start does it.
func TestTriggeredRunIsLeftToTheScheduler(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.act(ledger.Action{Kind: ledger.ActionTrigger, Job: "nightly", Key: "manual:wanted"})
		o := b.order()
		o.Key = "manual:two"
		if r, err := b.process("two").record(t.Context(), o); err != nil || r.State != ledger.Skipped {
			t.Errorf("at once: got %+v, %v, want it skipped", r, err)
		}
		b.wantRuns("nightly manual:two skipped", "nightly manual:wanted claimed")
		time.Sleep(time.Minute)
		o.Key = "manual:three"
		if r, err := b.process("three").record(t.Context(), o); err != nil || r.State != ledger.Succeeded {
			t.Errorf("later: got %+v, %v, want success", r, err)
		}
		b.wantRuns("nightly manual:three succeeded", "nightly manual:two skipped", "nightly manual:wanted succeeded")
	})
}

// An operator's "runs retry" is somebody who asks for the run, although nothing
// was submitted for it.
func TestRunThatIsWantedAgainIsDoneByTheNextStart(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Path: idPath, Status: 403, Body: `{"code": "PermissionDenied"}`})
		one := b.process("one")
		o := b.order()
		o.Key = "manual:one"
		r, err := one.record(t.Context(), o)
		if err != nil || r.State != ledger.Failed {
			t.Fatalf("got %+v, %v, want it failed", r, err)
		}
		if err := one.ledger.Retry(t.Context(), r.Run); err != nil {
			t.Fatal(err)
		}
		b.ClearFaults()
		o.Key = "manual:two"
		if r, err := b.process("two").record(t.Context(), o); err != nil || r.State != ledger.Succeeded {
			t.Errorf("got %+v, %v, want success", r, err)
		}
		b.wantRuns("nightly manual:one succeeded", "nightly manual:two succeeded")
	})
}

// Each of several runs that somebody wants again is done once, and told once.
func TestRunsThatAreWantedAgainAreToldOnceEach(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Path: idPath, Status: 403, Body: `{"code": "PermissionDenied"}`, Times: 4})
		one := b.process("one")
		o := b.order()
		var want []string
		for _, key := range []jobs.Key{"manual:a", "manual:b", "manual:c", "manual:d"} {
			o.Key = key
			r, err := one.record(t.Context(), o)
			if err != nil || r.State != ledger.Failed {
				t.Fatalf("got %+v, %v, want it failed", r, err)
			}
			want = append(want, "nightly "+string(key)+" succeeded")
		}
		for _, run := range b.runs() {
			if err := one.ledger.Retry(t.Context(), run.ID); err != nil {
				t.Fatal(err)
			}
		}
		o.Key = "manual:e"
		if r, err := b.process("two").record(t.Context(), o); err != nil || r.State != ledger.Succeeded {
			t.Errorf("got %+v, %v, want success", r, err)
		}
		b.wantRuns(append(want, "nightly manual:e succeeded")...)
		if log := b.log.String(); strings.Count(log, "asked for another run of this job") != 4 || strings.Contains(log, "left by its start") {
			t.Errorf("got the log\n%s", log)
		}
	})
}

func TestOnlyARunThatNobodyWorksOnIsCanceledByAnother(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		one, two := b.process("one"), b.process("two")
		go func() { _, _ = one.record(t.Context(), b.order()) }() // ends with the process
		synctest.Wait()
		run := b.runs()[0]
		if err := two.ledger.RequestCancel(t.Context(), run.ID); err != nil {
			t.Fatal(err)
		}
		rec := engine.Recording{Ledger: two.ledger, Holder: "two", Lease: 30 * time.Second}
		_, err := two.engine.Cancel(t.Context(), rec, run)
		if _, ok := errors.AsType[*engine.Taken](err); !ok {
			t.Errorf("beside a start that works on it: got %v, want a *engine.Taken", err)
		}
		b.wantTasks("ACTIVE nightly 2026-11-21T02:00:00Z")
		one.kill()
		time.Sleep(time.Minute) // its lease
		if r, err := two.engine.Cancel(t.Context(), rec, run); err != nil || r.State != ledger.Canceled {
			t.Errorf("got %+v, %v, want it canceled", r, err)
		}
		b.wantTasks("FAILED nightly 2026-11-21T02:00:00Z")
	})
}
