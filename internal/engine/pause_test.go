package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// act asks for something as the page and the command line do.
func (b *bench) act(a ledger.Action) ledger.Action {
	b.t.Helper()
	a.Who = "ada"
	l := b.ledger()
	done, err := l.Act(b.t.Context(), a)
	if err != nil {
		b.t.Error(err)
	}
	if err := l.Close(); err != nil {
		b.t.Error(err)
	}
	return done
}

func TestPausedJobStartsNothingAndCatchesUpWithNothing(t *testing.T) {
	for name, resume := range map[string]ledger.Action{
		"until it is resumed": {Kind: ledger.ActionResume, Job: "held"},
		"until an instant":    {},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				held := b.job("held", "0 * * * *", func(j *jobs.Job) { j.CatchUp = jobs.CatchUpAll })
				one, two := b.process("one").serve(held, b.job("free", "0 */2 * * *")), b.process("two").serve(held)
				until(2*time.Hour - 2*time.Second)
				pause := ledger.Action{Kind: ledger.ActionPause, Job: "held", Why: "the disk is replaced"}
				if resume.Kind == "" {
					pause.Until = time.Date(2000, 1, 1, 4, 30, 0, 0, time.UTC)
				}
				b.act(pause)
				until(3*time.Hour + 30*time.Minute)
				one.stop()
				one = b.process("three").serve(held)
				until(4*time.Hour + 30*time.Minute)
				if resume.Kind != "" {
					b.act(resume)
				}
				until(5*time.Hour + 30*time.Minute)
				one.stop()
				two.stop()
				b.wantRuns("held 2000-01-01T01:00:00Z succeeded", "free 2000-01-01T02:00:00Z succeeded", "held 2000-01-01T05:00:00Z succeeded")
				if !strings.Contains(b.log.String(), `"msg":"job paused","holder":"two","job":"held","who":"ada","why":"the disk is replaced"`) {
					t.Errorf("the log does not say who has paused the job:\n%s", b.log)
				}
			})
		})
	}
}

// A pause that ends while no scheduler is there is followed by an outage like any
// other: what fell due since then is caught up with, and nothing of the pause.
func TestWhatIsMissedAfterAPauseIsCaughtUpWith(t *testing.T) {
	for name, resume := range map[string]time.Duration{"until an instant": 0, "until it is resumed": 3*time.Hour + 30*time.Minute} {
		for policy, want := range map[jobs.CatchUp]string{jobs.CatchUpAll: "04 05 06", jobs.CatchUpLatest: "05 06", jobs.CatchUpNone: "06"} {
			t.Run(name+" "+string(policy), func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					held := b.job("held", "0 * * * *", func(j *jobs.Job) { j.CatchUp = policy })
					one := b.process("one").serve(held)
					until(90 * time.Minute)
					pause := ledger.Action{Kind: ledger.ActionPause, Job: "held"}
					if resume == 0 {
						pause.Until = time.Date(2000, 1, 1, 3, 30, 0, 0, time.UTC)
					}
					b.act(pause)
					until(150 * time.Minute)
					one.stop()
					if resume > 0 {
						until(resume)
						b.act(ledger.Action{Kind: ledger.ActionResume, Job: "held"})
					}
					until(5*time.Hour + 30*time.Minute)
					two := b.process("two").serve(held)
					until(6*time.Hour + 30*time.Minute)
					two.stop()
					runs := []string{"held 2000-01-01T01:00:00Z succeeded"}
					for hour := range strings.FieldsSeq(want) {
						runs = append(runs, "held 2000-01-01T"+hour+":00:00Z succeeded")
					}
					b.wantRuns(runs...)
				})
			})
		}
	}
}

func TestPausedJobFollowsNoOther(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one").serve(b.job("first", "0 * * * *"), b.job("second", "", func(j *jobs.Job) { j.After = "first" }))
		b.act(ledger.Action{Kind: ledger.ActionPause, Job: "second", Until: time.Date(2000, 1, 1, 1, 30, 0, 0, time.UTC)})
		until(2*time.Hour + 30*time.Minute)
		p.stop()
		b.wantRuns("first 2000-01-01T01:00:00Z succeeded", "first 2000-01-01T02:00:00Z succeeded", "second 2000-01-01T02:00:00Z succeeded")
	})
}

func TestJobIsRunNowAlsoWhileItIsPaused(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one").serve(b.job("held", "0 0 1 2 *", func(j *jobs.Job) { j.StartingDeadline = time.Minute }), b.job("next", "", func(j *jobs.Job) { j.After = "held" }))
		b.act(ledger.Action{Kind: ledger.ActionPause, Job: "held"})
		until(time.Hour)
		b.act(ledger.Action{Kind: ledger.ActionTrigger, Job: "held", Key: "manual:1"})
		until(time.Hour + 10*time.Minute)
		p.stop()
		b.wantRuns("held manual:1 succeeded", "next manual:1 succeeded")
		if n := len(b.posts()); n != 2 {
			t.Errorf("%d submissions, want 2", n)
		}
	})
}

func TestReloadKeepsAPause(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("held", "0 * * * *")
		p := b.process("one").serve(job)
		b.act(ledger.Action{Kind: ledger.ActionPause, Job: "held", Until: time.Date(2000, 1, 1, 1, 30, 0, 0, time.UTC)})
		until(time.Hour + 10*time.Minute)
		p.reload(job, b.job("free", "0 * * * *"))
		until(2*time.Hour + 10*time.Minute)
		p.stop()
		b.wantRuns("free 2000-01-01T02:00:00Z succeeded", "held 2000-01-01T02:00:00Z succeeded")
	})
}

func TestItemsAreLookedForWhenSomebodyWantsIt(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.itemJob(marked, func(j *jobs.Job) { j.Schedule = b.schedule("0 0 1 2 *", nil) })
		b.begin(written(0, "/runs/run_1/a", 10, 0), written(0, "/runs/run_1/done", 0, 0), written(30*time.Minute, "/runs/run_2/a", 10, 0), written(30*time.Minute, "/runs/run_2/done", 0, 0))
		p := b.process("one").serve(job)
		until(10 * time.Minute)
		b.act(ledger.Action{Kind: ledger.ActionTrigger, Job: "runs"})
		until(20 * time.Minute)
		b.wantCopies("run_1")
		until(time.Hour) // the wish was met, and is not met again
		b.wantCopies("run_1")
		b.act(ledger.Action{Kind: ledger.ActionPause, Job: "runs"})
		b.act(ledger.Action{Kind: ledger.ActionTrigger, Job: "runs"})
		until(time.Hour + 10*time.Minute)
		b.wantCopies("run_1")
		b.act(ledger.Action{Kind: ledger.ActionResume, Job: "runs"})
		until(time.Hour + 20*time.Minute)
		p.stop()
		b.wantCopies("run_1", "run_2")
	})
}
