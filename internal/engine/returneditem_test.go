package engine_test

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/jobs"
)

// The copy of an item that somebody has removed is the only one. What comes under its name
// is not copied over it, unless the job says that it may be.
func TestWhatComesUnderTheNameOfARemovedItemIsNotCopiedOverIt(t *testing.T) {
	write := func(at time.Duration, path, text string) globussim.FileStep {
		return globussim.FileStep{At: at, Write: &globussim.FileWrite{Path: path, Content: text}}
	}
	gone := globussim.FileStep{At: 12 * time.Minute, Remove: "/runs/run_1"}
	tests := map[string]struct {
		leaves globussim.FileStep   // instead of the removal
		files  []globussim.FileStep // what comes then
		edit   func(*jobs.Job)
		want   string
		copy   string // of the first file
		at     string // folder of the copy, if it is not run_1
	}{
		"refused": {files: []globussim.FileStep{write(25*time.Minute, "/runs/run_1/a", "other data")}, want: "run_1 2 failed", copy: "first"},
		"allowed": {
			files: []globussim.FileStep{write(25*time.Minute, "/runs/run_1/a", "other data")},
			edit:  func(j *jobs.Job) { j.Guard.OverwritePruned = true }, want: "run_1 2 succeeded", copy: "other data",
		},
		"expected": {
			files: []globussim.FileStep{write(25*time.Minute, "/runs/run_1/a", "other data")},
			edit:  func(j *jobs.Job) { j.ForEach.Again = jobs.AgainChanged }, want: "run_1 2 succeeded", copy: "other data",
		},
		"nothing is known of its files": {
			files: []globussim.FileStep{write(25*time.Minute, "/runs/run_1/a", "other data")},
			edit:  func(j *jobs.Job) { j.Receipts = false }, want: "run_1 2 succeeded", copy: "other data",
		},
		"a file of another name": {files: []globussim.FileStep{write(25*time.Minute, "/runs/run_1/b", "other data")}, want: "run_1 2 succeeded", copy: "first"},
		"the same file, and another one": {
			leaves: renamed(12*time.Minute, "/runs/run_1", "/runs/aside"),
			files:  []globussim.FileStep{renamed(25*time.Minute, "/runs/aside", "/runs/run_1"), write(25*time.Minute, "/runs/run_1/b", "other data")},
			want:   "run_1 2 succeeded", copy: "first",
		},
		"copied to another place": {
			files: []globussim.FileStep{write(25*time.Minute, "/runs/run_1/a", "other data")},
			edit:  func(j *jobs.Job) { j.Steps = jobs.Single(copyOf("/runs/{{ .Item.Name }}/", "/raw/{{ .Key }}/")) },
			at:    "item:run_1",
			want:  "run_1 2 succeeded", copy: "first",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				leaves := gone
				if tt.leaves.At > 0 {
					leaves = tt.leaves
				}
				b.begin(append([]globussim.FileStep{write(0, "/runs/run_1/a", "first"), leaves}, tt.files...)...)
				job := b.itemJob(func(j *jobs.Job) {
					j.Schedule, j.Receipts = b.schedule("*/10 * * * *", nil), true
					j.ForEach.Ready = jobs.Readiness{OlderThan: time.Minute}
					if tt.edit != nil {
						tt.edit(j)
					}
				})
				p := b.process("one").serve(job)
				until(45 * time.Minute)
				p.stop()
				b.wantItems(tt.want)
				if got, err := os.ReadFile(filepath.Join(b.vault, "raw", cmp.Or(tt.at, "run_1"), "a")); err != nil || string(got) != tt.copy {
					t.Errorf("the copy has %q, %v, want %q", got, err, tt.copy)
				}
				if tt.want == "run_1 2 failed" {
					run := b.runs()[1]
					contains(t, run.Message, "over the only copies of an earlier item of this name, which is gone from the source: 1 (/runs/run_1/a over /raw/run_1/a)", "overwrite_pruned: allow")
					if run.Class != string(fault.Guard) {
						t.Errorf("its class is %s", run.Class)
					}
				}
			})
		})
	}
}

// An item that changes while it is copied is copied over what was copied of it.
func TestAnItemThatIsCopiedOnceMoreReplacesItsOwnFiles(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.begin(written(0, "/runs/run_1/a", 600, 0), written(0, "/runs/run_1/b", 600, 0), written(11*time.Minute, "/runs/run_1/a", 700, 0))
		job := b.itemJob(func(j *jobs.Job) {
			j.Schedule, j.Receipts = b.schedule("*/10 * * * *", nil), true
			j.ForEach.Ready = jobs.Readiness{OlderThan: time.Minute}
		})
		p := b.process("one").serve(job)
		until(45 * time.Minute)
		p.stop()
		b.wantItems("run_1 2 succeeded")
		b.wantCopies("run_1")
	}, func(cfg *globussim.Config) { cfg.Rate = 10 })
}
