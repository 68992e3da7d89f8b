package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestAFileIsNotCopiedOverTheOnlyCopyOfAPrunedOne(t *testing.T) {
	allowed := func(j *jobs.Job) { j.Guard.OverwritePruned = true }
	tests := map[string]struct {
		later   func(t *testing.T, b *bench)
		edit    func(*jobs.Job)
		refused bool
		content string // of the copy then
	}{
		"another content":  {func(_ *testing.T, b *bench) { b.plant("data/a.txt", "new") }, func(*jobs.Job) {}, true, "data/a.txt"},
		"allowed":          {func(_ *testing.T, b *bench) { b.plant("data/a.txt", "new") }, allowed, false, "new"},
		"another name":     {func(_ *testing.T, b *bench) { b.plant("data/b.txt", "new") }, func(*jobs.Job) {}, false, "data/a.txt"},
		"nothing is there": {func(*testing.T, *bench) {}, func(*jobs.Job) {}, false, "data/a.txt"},
		"a file that no prune has deleted": {func(t *testing.T, b *bench) {
			b.plant("data/b.txt", "new")
			if err := os.WriteFile(filepath.Join(b.vault, "copy/b.txt"), []byte("of somebody else"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, func(*jobs.Job) {}, false, "data/a.txt"},
		"only what is not there is copied": {
			func(_ *testing.T, b *bench) { b.plant("data/a.txt", "new") },
			func(j *jobs.Job) { j.Steps[0].Transfer.SyncLevel = new(transfer.SyncExists) }, false, "data/a.txt",
		},
		"to another place": {
			func(_ *testing.T, b *bench) { b.plant("data/a.txt", "new") },
			func(j *jobs.Job) { j.Steps[0].Transfer.Items[0].DestinationPath = "/new/" }, false, "data/a.txt",
		},
		"the copy is gone": {func(t *testing.T, b *bench) {
			b.plant("data/a.txt", "new")
			if err := os.Remove(filepath.Join(b.vault, "copy/a.txt")); err != nil {
				t.Fatal(err)
			}
		}, func(*jobs.Job) {}, false, "new"},
		"the same file": {func(t *testing.T, b *bench) {
			info, err := os.Stat(filepath.Join(b.vault, "copy/a.txt")) // it has the time of the source
			b.plant("data/a.txt", "data/a.txt")
			if err != nil || os.Chtimes(filepath.Join(b.lab, "data/a.txt"), info.ModTime(), info.ModTime()) != nil {
				t.Fatal(err)
			}
		}, func(*jobs.Job) {}, false, "data/a.txt"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt")
				p := b.process("one")
				p.wantRun(b.order(handsOver), ledger.Succeeded)
				b.wantLeft()
				time.Sleep(time.Hour)
				tt.later(t, b)
				o := b.order(handsOver, tt.edit)
				o.Key = "2026-11-22T02:00:00Z"
				state := ledger.Succeeded
				if tt.refused {
					state = ledger.Failed
				}
				r := p.wantRun(o, state)
				if tt.refused {
					contains(t, failure(t, r, fault.Guard).Message, "have the names of pruned files: 1 (/data/a.txt)", "guard: {overwrite_pruned: allow}")
				}
				copied, err := os.ReadFile(filepath.Join(b.vault, "copy/a.txt"))
				if err != nil || string(copied) != tt.content {
					t.Errorf("the copy has %q, %v, want %q", copied, err, tt.content)
				}
			})
		})
	}
}

func TestAFileThatWasCopiedAgainSinceThePruneIsReplacedAsAnyOther(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p := b.process("one")
		p.wantRun(b.order(handsOver), ledger.Succeeded)
		for i, day := range []jobs.Key{"2026-11-22T02:00:00Z", "2026-11-23T02:00:00Z"} {
			time.Sleep(time.Hour)
			b.plant("data/a.txt", string(day))
			o := b.order(handsOver, func(j *jobs.Job) {
				j.Guard.OverwritePruned = i == 0
				j.Steps[1] = jobs.Step{Mkdir: &jobs.Mkdir{Collection: j.Steps[0].Transfer.SourceEndpoint, Path: "/x/"}}
			})
			o.Key = day
			p.wantRun(o, ledger.Succeeded)
		}
	})
}
