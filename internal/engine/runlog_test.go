package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/jobs"
)

// TestEveryLineOfARunHasItsID looks at all lines about an occurrence that is claimed:
// of runs that succeed, fail, are tried again, cannot be run, and are taken over.
func TestEveryLineOfARunHasItsID(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Label: "broken*", Times: -1})
		all := []*jobs.Job{
			b.job("broken", "20 * * * *", func(j *jobs.Job) { j.BackoffLimit, j.Backoff = 1, time.Minute }),
			b.job("often", "*/10 * * * *"),
		}
		p := b.process("one").serve(all...)
		until(75 * time.Minute)
		b.sql("ALTER TABLE submissions RENAME TO hidden")
		until(85 * time.Minute)
		b.sql("ALTER TABLE hidden RENAME TO submissions")
		until(100 * time.Minute)
		b.stall()
		until(2 * time.Hour)
		p.kill()
		b.releaseAfter(20 * time.Minute)
		b.process("two").serve(all...)
		until(4 * time.Hour)

		seen := map[string]int{}
		for line := range strings.Lines(b.log.String()) {
			if !strings.Contains(line, `"occurrence":`) || strings.Contains(line, `"msg":"nothing to do"`) {
				continue // of another's occurrence
			}
			seen[messageOf(line)]++
			if strings.Count(line, `"run":`) != 1 {
				t.Errorf("a line about a run does not have its id once: %s", line)
			}
		}
		for _, want := range []string{
			"run started", "task submitted", "run ended", "attempt failed, another one follows", "the occurrence could not be run", "task adopted",
		} {
			if seen[want] == 0 {
				t.Errorf("there is no line %q, got %v", want, seen)
			}
		}
	})
}

// messageOf returns the message of a line in JSON.
func messageOf(line string) string {
	_, rest, _ := strings.Cut(line, `"msg":"`)
	msg, _, _ := strings.Cut(rest, `"`)
	return msg
}
