package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// rewrites is a run of the job weekly, an hour later, which copies a folder of the lab
// to where nightly copies its own, and may replace any copy there.
func (b *bench) rewrites(p *process, from string, edits ...func(*transfer.Transfer)) {
	b.t.Helper()
	time.Sleep(time.Hour)
	o := b.order(named("weekly"), func(j *jobs.Job) {
		doc := provable("/copy/", "vault")
		doc.Items[0].SourcePath = from
		for _, edit := range edits {
			edit(doc)
		}
		j.Steps, j.Receipts, j.Guard.OverwritePruned = jobs.Single(doc), true, true
	})
	o.Key = jobs.ScheduledKey(time.Now())
	p.wantRun(o, ledger.Succeeded)
}

// meddle writes into the copy of a.txt, as nobody knows of.
func (b *bench) meddle(text string) {
	b.t.Helper()
	file := filepath.Join(b.vault, "copy/a.txt")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
	dated(b.t, file)
}

// sameTime gives a file of the lab the time of another one.
func (b *bench) sameTime(name, other string) {
	b.t.Helper()
	info, err := os.Stat(filepath.Join(b.lab, other))
	if err == nil {
		err = os.Chtimes(filepath.Join(b.lab, name), time.Time{}, info.ModTime())
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestAuditKnowsWhoHasWrittenACopySince(t *testing.T) {
	replaced := "was replaced by job weekly in run 2"
	ownTime := func(doc *transfer.Transfer) { doc.PreserveTimestamp = false }
	unverified := func(doc *transfer.Transfer) { doc.VerifyChecksum = false }
	kept := func(j *jobs.Job) { j.Steps = j.Steps[:1] } // its files are
	tests := map[string]struct {
		job   func(*jobs.Job)
		later func(b *bench, p *process)
		want  audit.Verdict
		run   int64
		why   string
	}{
		"nobody": {kept, func(*bench, *process) {}, audit.Delivered, 1, ""},
		"the same file": {kept, func(b *bench, p *process) {
			b.rewrites(p, "/data/", ownTime)
		}, audit.Present, 2, ""},
		"the same file, without verification": {kept, func(b *bench, p *process) {
			b.rewrites(p, "/data/", ownTime, unverified)
		}, audit.Present, 2, ""},
		"the same content from elsewhere": {kept, func(b *bench, p *process) {
			b.plant("other/a.txt", "data/a.txt")
			b.rewrites(p, "/other/")
		}, audit.Present, 2, ""},
		"another content": {kept, func(b *bench, p *process) {
			b.plant("other/a.txt", "other/a.tx")
			b.rewrites(p, "/other/")
		}, audit.Missing, 2, replaced + " at the destination"},
		"another content of the same size and time": {kept, func(b *bench, p *process) {
			b.plant("other/a.txt", "other/a.tx")
			b.sameTime("other/a.txt", "data/a.txt")
			b.rewrites(p, "/other/")
		}, audit.Missing, 2, replaced + " at the destination"},
		"another job, and then somebody unknown": {kept, func(b *bench, p *process) {
			b.rewrites(p, "/data/", ownTime)
			b.meddle("of somebody")
		}, audit.Lost, 1, "is not the same at the destination any more"},
		"somebody unknown": {kept, func(b *bench, _ *process) {
			time.Sleep(time.Hour)
			b.meddle("of somebody")
		}, audit.Lost, 1, "is not the same at the destination any more"},
		"another job to another place, and somebody unknown": {kept, func(b *bench, p *process) {
			b.rewrites(p, "/data/", ownTime, func(doc *transfer.Transfer) { doc.Items[0].DestinationPath = "/more/" })
			b.meddle("data/a.txt")
		}, audit.Lost, 1, "is not the same at the destination any more"},
		"a file that changed is copied by another job": {kept, func(b *bench, p *process) {
			b.plant("data/a.txt", "anew")
			b.rewrites(p, "/data/", ownTime)
		}, audit.Present, 2, ""},
		"a file that changed after another job": {kept, func(b *bench, p *process) {
			b.rewrites(p, "/data/", ownTime)
			b.plant("data/a.txt", "anew")
		}, audit.Changed, 1, "changed since it was copied"},
		"a pruned file of which another job copies the content": {func(*jobs.Job) {}, func(b *bench, p *process) {
			b.plant("other/a.txt", "data/a.txt")
			b.rewrites(p, "/other/")
		}, audit.Pruned, 2, ""},
		"a pruned file of which another job copies the content, without verification": {func(*jobs.Job) {}, func(b *bench, p *process) {
			b.plant("other/a.txt", "data/a.txt")
			b.rewrites(p, "/other/", unverified)
		}, audit.Lost, 2, "was deleted by a prune, and its copy " + replaced},
		"a pruned file that came again, and another job has copied that": {func(*jobs.Job) {}, func(b *bench, p *process) {
			b.plant("data/a.txt", "anew")
			b.rewrites(p, "/data/")
			b.remove("data/a.txt")
		}, audit.Pruned, 2, ""},
		"a pruned file that came again, and another job has copied that without verification": {func(*jobs.Job) {}, func(b *bench, p *process) {
			b.plant("data/a.txt", "anew")
			b.rewrites(p, "/data/", unverified)
			b.remove("data/a.txt")
		}, audit.Lost, 2, "was deleted by a prune, and its copy " + replaced},
		"a pruned file whose copy is replaced": {func(*jobs.Job) {}, func(b *bench, p *process) {
			b.plant("other/a.txt", "other/a.tx")
			b.rewrites(p, "/other/")
		}, audit.Lost, 2, "was deleted by a prune, and its copy " + replaced},
		"a pruned file whose copy somebody replaces": {func(*jobs.Job) {}, func(b *bench, p *process) {
			b.plant("other/a.txt", "data/a.txt")
			b.rewrites(p, "/other/")
			b.meddle("of somebody")
		}, audit.Lost, 1, "was deleted by a prune, and its copy is not the same any more"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt")
				p := b.process("one")
				o := b.order(handsOver, tt.job)
				p.wantRun(o, ledger.Succeeded)
				tt.later(b, p)
				all := b.findings(p.ledger, o.Job, 30*24*time.Hour)
				if len(all) != 1 {
					t.Fatalf("got %+v, want one finding", all)
				}
				if f := all[0]; f.Verdict != tt.want || f.Run != tt.run || f.Why != tt.why {
					t.Errorf("got %s, run %d, %q, want %s, run %d, %q", f.Verdict, f.Run, f.Why, tt.want, tt.run, tt.why)
				}
			})
		})
	}
}

func TestOneCopyDoesNotProveTwoFiles(t *testing.T) {
	const first, second = "1234", "5678" // of one size
	tests := map[string]struct {
		names   [2]string // below all
		content [2]string
		want    []string // left
	}{
		"another file of one size and time came in its place": {[2]string{"x", "x"}, [2]string{first, second}, []string{"data/1/x"}},
		"the copies have two names":                           {[2]string{"x", "y"}, [2]string{first, second}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.remove("data/a.txt")
				p := b.process("one")
				var of []*jobs.Job
				for i, job := range []string{"nightly", "weekly"} {
					from := []string{"/data/1/", "/data/2/"}[i]
					b.plant(from+tt.names[i], tt.content[i])
					o := b.order(named(job), flat(from), func(j *jobs.Job) { j.Steps = j.Steps[:1] })
					of = append(of, o.Job)
				}
				for _, job := range of {
					time.Sleep(time.Hour)
					p.wantRun(engine.Order{Job: job, Key: jobs.ScheduledKey(time.Now()), At: time.Now()}, ledger.Succeeded)
				}
				time.Sleep(time.Hour)
				for _, job := range []string{"weekly", "nightly"} { // what proves nothing any more comes last
					o := b.order(expires(func(prune *jobs.Prune) { prune.Of, prune.Jobs = []string{job}, of }))
					o.Key = jobs.Key("manual:" + job)
					p.wantRun(o, ledger.Succeeded)
				}
				b.wantLeft(tt.want...)
			})
		})
	}
}
