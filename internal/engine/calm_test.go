package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
)

// After kills and cuts runs wait for three things alone: for the end of a dead
// holder's lease, for the next try (5 minutes at most), and for their requests
// at the rate that Globus allows. When it has been calm for as long as these
// last together, nothing is unfinished.
func TestEveryRunEndsWhenItHasBeenCalmForLongEnough(t *testing.T) {
	const (
		lease, lastRetry = 30 * time.Second, 5 * time.Minute
		steps, requests  = 3, 8 // of a run; and of a step, with looks at its task
		rate             = 20   // requests a second of one process
	)
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("many", "* * * * *", func(j *jobs.Job) {
			j.CatchUp, j.Concurrency = jobs.CatchUpAll, jobs.Allow
			j.Steps = nil
			for i := range steps {
				j.Steps = append(j.Steps, jobs.Single(copyOf("/data/", fmt.Sprintf(`/%d/{{ .Time | strftime "%%H%%M" }}/`, i)))...)
			}
		})
		quick := func(c *engine.SchedulerConfig) { c.Lease = lease }
		var replicas [3]*process
		for i := range replicas {
			replicas[i] = b.process(fmt.Sprint(i), quick).serve(job)
		}
		until(10 * time.Minute)
		b.Fail(globussim.Fault{Drop: globussim.DropBefore, Times: -1})
		rounds := long.Or(12, 4) // of 5 minutes
		for round := range rounds {
			time.Sleep(5 * time.Minute)
			i := round % len(replicas)
			replicas[i].kill()
			replicas[i] = b.process(fmt.Sprint(i, " after ", round), quick).serve(job)
		}
		b.ClearFaults()
		calm := time.Now()
		runs := len(b.runs())
		time.Sleep(lease + lease/3 + lastRetry + time.Duration(runs*steps*requests)*time.Second/rate)
		for _, p := range replicas {
			p.stop()
		}
		late := 0
		for _, r := range b.runs() {
			if r.Due.After(calm) {
				continue
			}
			if late++; r.State != "succeeded" {
				t.Errorf("run %s is %s after %v of calm", r.Key, r.State, time.Since(calm))
			}
		}
		if late < 5*rounds {
			t.Errorf("got %d runs of %d minutes of trouble, want one a minute", late, 5*rounds)
		}
		seen := map[string]bool{}
		for _, label := range b.labels() {
			if seen[label] {
				t.Errorf("there are two tasks %q", label)
			}
			seen[label] = true
		}
	})
}
