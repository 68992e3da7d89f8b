package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestJitterIsTheSameForTheSameJobAndKeyAndSpreadsTheOthers(t *testing.T) {
	const n = 10_000
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	tenths := [10]int{}
	for i := range n {
		job := &jobs.Job{Name: fmt.Sprintf("job-%d", i), Jitter: 10 * time.Minute}
		delay := job.Due(jobs.ScheduledKey(at), at).Sub(at)
		if delay < 0 || delay >= job.Jitter {
			t.Fatalf("%s: got a delay of %v, want one in [0, %v)", job.Name, delay, job.Jitter)
		}
		tenths[delay/time.Minute]++
	}
	for i, got := range tenths {
		if got < n/10*8/10 || got > n/10*12/10 {
			t.Errorf("%d of %d delays are in minute %d, want about a tenth", got, n, i)
		}
	}
}

// The delay must not change from one version of the program to the next: of two
// replicas, one is always the first to be replaced.
func TestJitterStaysAsItIs(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		job  jobs.Job
		key  jobs.Key
		want time.Duration
	}{
		"no jitter":   {jobs.Job{Name: "nightly"}, jobs.ScheduledKey(at), 0},
		"one":         {jobs.Job{Name: "nightly", Jitter: time.Hour}, jobs.ScheduledKey(at), (49*60_000 + 54_315) * time.Millisecond},
		"another key": {jobs.Job{Name: "nightly", Jitter: time.Hour}, "manual:abc", (33*60_000 + 28_557) * time.Millisecond},
		"another job": {jobs.Job{Name: "weekly", Jitter: time.Hour}, jobs.ScheduledKey(at), (49*60_000 + 27_263) * time.Millisecond},
		"tiny":        {jobs.Job{Name: "nightly", Jitter: 1}, jobs.ScheduledKey(at), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.job.Due(tt.key, at).Sub(at); got != tt.want {
				t.Errorf("got a delay of %v, want %v", got, tt.want)
			}
		})
	}
}
