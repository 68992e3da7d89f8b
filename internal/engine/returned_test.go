package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/jobs"
)

// movedFiles has items be files, which are looked at every ten minutes, copied and
// pruned.
func movedFiles(j *jobs.Job) {
	j.ForEach.Kind, j.ForEach.Match = jobs.FileItems, jobs.MatchGlobs("*")
	j.ForEach.Ready = jobs.Readiness{OlderThan: time.Minute}
	j.Receipts = true
	move := copyOf("/runs/{{ .Item.Name }}", "/raw/{{ .Item.Name }}")
	move.VerifyChecksum, move.Items[0].Recursive = true, nil
	j.Steps = []jobs.Step{{Transfer: move}, {Prune: &jobs.Prune{}}}
}

// movedFolders has items be folders that are moved as a whole.
func movedFolders(j *jobs.Job) {
	j.ForEach.Ready = jobs.Readiness{OlderThan: time.Minute}
	j.Receipts = true
	j.Steps[0].Transfer.VerifyChecksum = true
	j.Steps = append(j.Steps, jobs.Step{Prune: &jobs.Prune{EmptyFolders: true}})
}

// What comes under the name of an item that a prune has deleted is another item, also
// if no look has found that the name was free in between.
func TestWhatComesUnderTheNameOfAPrunedItemIsNotTakenForIt(t *testing.T) {
	file := func(at time.Duration, text string) globussim.FileStep {
		return globussim.FileStep{At: at, Write: &globussim.FileWrite{Path: "/runs/a", Content: text}}
	}
	apart := func(b *bench, job *jobs.Job) []*jobs.Job {
		later := b.job("later", "12 * * * *")
		later.Steps = []jobs.Step{{Prune: &jobs.Prune{Of: []string{"runs"}, Jobs: []*jobs.Job{job}}}}
		job.Steps = job.Steps[:1]
		return []*jobs.Job{job, later}
	}
	tests := map[string]struct {
		files []globussim.FileStep
		item  func(*jobs.Job)
		jobs  func(*bench, *jobs.Job) []*jobs.Job
		allow bool
		want  string
		copy  string // what /raw/a, or the copy of the second folder, has
	}{
		"only copy":    {files: []globussim.FileStep{file(0, "first"), file(15*time.Minute, "other data")}, item: movedFiles, want: "a 2 failed", copy: "first"},
		"may replace":  {files: []globussim.FileStep{file(0, "first"), file(15*time.Minute, "other data")}, item: movedFiles, allow: true, want: "a 2 succeeded gone", copy: "other data"},
		"another job":  {files: []globussim.FileStep{file(0, "first"), file(15*time.Minute, "other data")}, item: movedFiles, jobs: apart, allow: true, want: "a 2 succeeded", copy: "other data"},
		"nothing came": {files: []globussim.FileStep{file(0, "first")}, item: movedFiles, want: "a 1 succeeded gone", copy: "first"},
		"a folder": {
			files: []globussim.FileStep{written(0, "/runs/run_1/a", 5, 0), {At: 15 * time.Minute, Write: &globussim.FileWrite{Path: "/runs/run_1/b", Content: "other data"}}},
			item:  movedFolders, want: "run_1 2 succeeded gone", copy: "other data",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.begin(tt.files...)
				job := b.itemJob(tt.item, func(j *jobs.Job) {
					j.Schedule = b.schedule("*/10 * * * *", nil)
					j.Guard.OverwritePruned = tt.allow
				})
				all := []*jobs.Job{job}
				if tt.jobs != nil {
					all = tt.jobs(b, job)
				}
				p := b.process("one").serve(all...)
				until(45 * time.Minute)
				p.stop()
				b.wantItems(tt.want)
				at := filepath.Join(b.vault, "raw", "a")
				if tt.files[0].Write.Path != "/runs/a" {
					at = filepath.Join(b.vault, "raw", "run_1", "b")
				}
				if got, err := os.ReadFile(at); err != nil || string(got) != tt.copy {
					t.Errorf("the copy has %q, %v, want %q", got, err, tt.copy)
				}
			})
		})
	}
}

// A start that goes on with a prune knows what an earlier one has deleted.
func TestTheNameOfAPrunedItemIsFreeAlsoAfterACrash(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		write := func(at time.Duration, text string) globussim.FileStep {
			return globussim.FileStep{At: at, Write: &globussim.FileWrite{Path: "/runs/a", Content: text}}
		}
		b.begin(write(0, "first"), write(10*time.Minute+30*time.Second, "other data"))
		job := b.itemJob(movedFiles, func(j *jobs.Job) { j.Schedule = b.schedule("*/10 * * * *", nil) })
		b.cutOff(job, cut{method: "POST", path: deletePath, after: true}, 10*time.Minute)
		b.wantItems("a 2 failed")
	})
}
