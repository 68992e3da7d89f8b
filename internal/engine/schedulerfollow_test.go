package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// byHand does an occurrence of a job as "runner run" does.
func (p *process) byHand(job *jobs.Job, key jobs.Key) *engine.Result {
	p.b.t.Helper()
	res, err := p.record(p.b.t.Context(), engine.Order{Job: job, Key: key, At: time.Now()})
	if err != nil {
		p.b.t.Fatal(err)
	}
	return res
}

func TestJobFollowsARunThatAnotherProcessHasDone(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Label: "up *02:00:00Z"})
		up, down := b.job("up", "0 1,2 * * *"), b.job("down", "", follows("up"))
		last := b.job("last", "", follows("down"))
		one, hand := b.process("one").serve(up, down, last), b.process("hand")
		until(150 * time.Minute)
		failed := b.runs()[len(b.runs())-1]
		hand.retry(failed.ID) // the scheduler takes it up only when it looks for such runs
		if res := hand.byHand(up, "2000-01-01T02:00:00Z"); res.State != ledger.Succeeded {
			t.Fatalf("got %+v, want success", res)
		}
		hand.byHand(up, "manual:1")
		until(160 * time.Minute)
		one.stop()
		b.wantRuns(
			"up 2000-01-01T01:00:00Z succeeded", "down 2000-01-01T01:00:00Z succeeded", "last 2000-01-01T01:00:00Z succeeded",
			"up 2000-01-01T02:00:00Z succeeded", "down 2000-01-01T02:00:00Z succeeded", "last 2000-01-01T02:00:00Z succeeded",
			"up manual:1 succeeded", "down manual:1 succeeded", "last manual:1 succeeded",
		)
		if n := len(b.labels()); n != 10 {
			t.Errorf("there are %d tasks, want one for each run and one that failed: %q", n, b.labels())
		}
	})
}

// A scheduler follows what was done while none was running, but not what was done before
// the job came after the other one, while it was suspended, or more than a day ago.
func TestJobFollowsNoOldHistory(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		up, down := b.job("up", ""), b.job("down", "", follows("up"))
		suspended := b.job("down", "", follows("up"), func(j *jobs.Job) { j.Suspend = true })
		hand := b.process("hand")
		hand.byHand(up, "manual:long-before-the-first-start")
		until(time.Hour + 300*time.Millisecond)
		hand.byHand(up, "manual:right-before-the-first-start")
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(900 * time.Millisecond))) // in the same second
		one := b.process("one").serve(up, down)
		until(2 * time.Hour)
		one.stop()
		hand.byHand(up, "manual:a-day-ago")
		until(26 * time.Hour)
		hand.byHand(up, "manual:while-none-runs")
		until(27 * time.Hour)
		two := b.process("two").serve(up, down)
		three := b.process("three").serve(up, down)
		until(28 * time.Hour)
		two.reload(up, suspended)
		three.stop()
		hand.byHand(up, "manual:while-suspended")
		until(29 * time.Hour)
		two.reload(up, down)
		until(30 * time.Hour)
		two.kill()
		hand.byHand(up, "manual:after-a-kill")
		four := b.process("four").serve(up, down)
		until(31 * time.Hour)
		four.stop()
		var followed []string
		for _, r := range b.runs() {
			if r.Job == "down" {
				followed = append(followed, r.Key+" "+string(r.State))
			}
		}
		if diff := cmp.Diff([]string{"manual:while-none-runs succeeded", "manual:after-a-kill succeeded"}, followed); diff != "" {
			t.Errorf("followed (-want +got):\n%s", diff)
		}
	})
}
