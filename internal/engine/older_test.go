package engine_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/jobs"
)

// A ledger that is new takes the task of an item for its own, unless it is certain that
// the file was written after that task.
func TestANewLedgerDoesNotTakeAnOldTaskForNewData(t *testing.T) {
	write := func(at time.Duration, text string) globussim.FileStep {
		return globussim.FileStep{At: at, Write: &globussim.FileWrite{Path: "/runs/a", Content: text}}
	}
	const first, lost = "SUCCEEDED runs item:a", 30 * time.Minute // when the ledger is
	tests := map[string]struct {
		files []globussim.FileStep
		again jobs.Again
		want  []string
		copy  string
	}{
		"the same":                 {[]globussim.FileStep{write(0, "first")}, "", []string{first}, "first"},
		"another size":             {[]globussim.FileStep{write(0, "first"), write(lost, "other data")}, "", []string{first, "SUCCEEDED runs item:a #2"}, "other data"},
		"the same size, at once":   {[]globussim.FileStep{write(0, "first"), write(lost, "other")}, "", []string{first}, "first"}, // nobody knows
		"the same size, days on":   {[]globussim.FileStep{write(0, "first"), write(lost+48*time.Hour, "other")}, "", []string{first, "SUCCEEDED runs item:a #2"}, "other"},
		"what was done once more":  {[]globussim.FileStep{write(0, "first"), write(12*time.Minute, "other data")}, jobs.AgainChanged, []string{first, "SUCCEEDED runs item:a@2"}, "other data"},
		"more than was done again": {[]globussim.FileStep{write(0, "first"), write(12*time.Minute, "other data"), write(lost, "even more data")}, jobs.AgainChanged, []string{first, "SUCCEEDED runs item:a@2", "SUCCEEDED runs item:a #2"}, "even more data"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.begin(tt.files...)
				job := b.itemJob(func(j *jobs.Job) {
					j.ForEach.Kind, j.ForEach.Match, j.ForEach.Again = jobs.FileItems, jobs.MatchGlobs("*"), tt.again
					j.ForEach.Ready = jobs.Readiness{OlderThan: time.Minute}
					j.Steps = jobs.Single(copyOf("/runs/{{ .Item.Name }}", "/raw/{{ .Item.Name }}"))
					j.Steps[0].Transfer.Items[0].Recursive = nil
					j.Schedule = b.schedule("*/10 * * * *", nil)
				})
				one := b.process("one").serve(job)
				until(lost - time.Minute)
				one.stop()
				b.state = t.TempDir()
				until(lost + 49*time.Hour) // nothing has looked since
				two := b.process("two").serve(job)
				until(lost + 50*time.Hour)
				two.stop()
				b.wantTasks(tt.want...)
				if diff := cmp.Diff(map[string]string{"a": tt.copy}, b.content(filepath.Join(b.vault, "raw"))); diff != "" {
					t.Errorf("copies (-want +got):\n%s", diff)
				}
			})
		})
	}
}
