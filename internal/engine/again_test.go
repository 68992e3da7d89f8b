package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// retry does what "runs retry" does.
func (p *process) retry(run int64) {
	p.b.t.Helper()
	if err := p.ledger.Retry(p.b.t.Context(), run); err != nil {
		p.b.t.Fatal(err)
	}
}

// skippedAt2 runs a job each hour whose first task is at work until 02:30, so that
// its second run is skipped.
func (b *bench) skippedAt2() *process {
	b.t.Helper()
	b.disturb(globussim.Disturbance{Action: globussim.StallTask})
	p := b.process("one").serve(b.job("hourly", "0 * * * *", func(j *jobs.Job) {
		j.StartingDeadline, j.Concurrency = 30*time.Minute, jobs.Forbid
	}))
	until(2*time.Hour + time.Minute)
	run := b.runs()[1]
	if run.State != ledger.Skipped || !strings.HasSuffix(run.Message, "; to do it later: runner runs retry 2") {
		b.t.Fatalf("got %s: %q, want it skipped, and told how to have it done", run.State, run.Message)
	}
	return p
}

func TestSkippedOccurrenceIsDoneWhenItIsWantedAgain(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.skippedAt2()
		b.disturb(globussim.Disturbance{Action: globussim.ReleaseTask})
		until(3*time.Hour + 40*time.Minute) // after its starting deadline
		p.retry(2)
		until(3*time.Hour + 50*time.Minute)
		p.stop()
		b.wantRuns("hourly 2000-01-01T01:00:00Z succeeded", "hourly 2000-01-01T02:00:00Z succeeded", "hourly 2000-01-01T03:00:00Z succeeded")
	})
}

func TestRunThatIsWantedAgainGivesWayToALaterOneAtWork(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.skippedAt2()
		b.disturb(globussim.Disturbance{Action: globussim.ReleaseTask}, globussim.Disturbance{Action: globussim.StallTask})
		until(3*time.Hour + 10*time.Minute)
		p.retry(2)
		until(3*time.Hour + 20*time.Minute)
		if run := b.runs()[1]; run.State != ledger.Skipped || !strings.Contains(run.Message, "occurrence 2000-01-01T03:00:00Z of this job is at work (run 3)") {
			t.Errorf("got %s: %q, want it skipped because of run 3", run.State, run.Message)
		}
		p.stop()
	})
}

// A run has not succeeded if a step of it was not begun, and what is begun again is the
// task that left files out.
func TestAStepThatWasNotBegunIsTold(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		doc := copyOf("/data/", "/copy/")
		doc.Items = append(doc.Items, transfer.Item{SourcePath: "/missing.txt", DestinationPath: "/copy/missing.txt"})
		doc.SkipSourceErrors = true
		p := b.process("one").serve(b.job("hourly", "0 * * * *", func(j *jobs.Job) {
			j.Steps = []jobs.Step{
				{Transfer: copyOf("/data/", "/before/")},
				{Transfer: doc},
				{Mkdir: &jobs.Mkdir{Collection: globussim.CollectionID("vault"), Path: "/done/"}},
			}
		}))
		until(90 * time.Minute)
		run := b.runs()[0]
		if run.State != ledger.Failed || run.Class != string(fault.SkippedErrors) || !strings.Contains(run.Message, "1 path was skipped") ||
			!strings.Contains(run.Message, "; step 3 was not begun") {
			t.Errorf("got %s, %s: %q, want it failed because of the skipped path, with what was not begun", run.State, run.Class, run.Message)
		}
		b.plant("missing.txt", "here")
		p.retry(1)
		until(100 * time.Minute)
		p.stop()
		b.wantRuns("hourly 2000-01-01T01:00:00Z succeeded")
		b.wantTasks("SUCCEEDED hourly 2000-01-01T01:00:00Z s1", "SUCCEEDED hourly 2000-01-01T01:00:00Z s2", "SUCCEEDED hourly 2000-01-01T01:00:00Z s2 #2")
		if _, err := os.Stat(filepath.Join(b.vault, "done")); err != nil {
			t.Error(err)
		}
	})
}

// What Globus moved was moved: a run has done what the tasks of all its attempts have,
// each of them counted once, and what it did on a day does not become less.
func TestARunHasDoneWhatAllItsAttemptsHave(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("data/more.txt", "67890")
		order := b.order(func(j *jobs.Job) {
			j.Steps = []jobs.Step{{Transfer: copyOf("/data/", "/first/")}, {Transfer: copyOf("/data/", "/second/")}}
		})
		p := b.process("one")
		day := func() (files, bytes int64) {
			days, err := p.ledger.Days(t.Context(), "", time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range days {
				files, bytes = files+d.Files, bytes+d.Bytes
			}
			return files, bytes
		}
		want := func(when string, files int64, has *ledger.Run) {
			t.Helper()
			if f, bytes := day(); has.Files != files || f != files || bytes != has.Bytes {
				t.Errorf("%s, run 1 has %d files and %d bytes, and its day %d and %d; want %d files in both, and as many bytes", when, has.Files, has.Bytes, f, bytes, files)
			}
		}
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, AfterFiles: 1, Label: "* s2"})
		first, err := p.record(t.Context(), order)
		if err != nil || first.State != ledger.Failed {
			t.Fatalf("got %+v, %v, want a failure", first, err)
		}
		want("after the first attempt", 3, b.runs()[0])
		p.retry(1)
		want("when it is to be retried", 3, b.runs()[0])
		again, err := p.record(t.Context(), order)
		if err != nil || again.State != ledger.Succeeded {
			t.Fatalf("got %+v, %v, want success", again, err)
		}
		want("after the second attempt", 5, b.runs()[0])
		if first.Added().Files != 3 || again.Added().Files != 2 || again.Totals() != b.runs()[0].Totals {
			t.Errorf("the starts have added %d and %d files, and the second one says %+v; want 3, 2 and %+v",
				first.Added().Files, again.Added().Files, again.Totals(), b.runs()[0].Totals)
		}
	})
}
