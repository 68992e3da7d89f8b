package engine_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
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
		"a file of somebody else, where a pruned file has no copy": {func(t *testing.T, b *bench) {
			b.plant("data/a.txt", "new")
			if err := errors.Join(os.Mkdir(filepath.Join(b.store, "copy"), 0o755), os.WriteFile(filepath.Join(b.store, "copy/a.txt"), []byte("of somebody else"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}, func(j *jobs.Job) { j.Steps[0].Transfer.DestinationEndpoint = globussim.CollectionID("store") }, false, "data/a.txt"},
		"that an earlier run saw and left": {func(_ *testing.T, b *bench) {
			b.plant("data/a.txt", "new")
			o := b.order(handsOver, func(j *jobs.Job) {
				j.Steps = j.Steps[:1]
				j.Steps[0].Transfer.SyncLevel = new(transfer.SyncExists)
			})
			o.Key = "2026-11-21T12:00:00Z"
			b.process("between").wantRun(o, ledger.Succeeded)
			time.Sleep(time.Hour)
		}, func(*jobs.Job) {}, true, "data/a.txt"},
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
					contains(t, failure(t, r, fault.Guard).Message, "over the only copies of pruned files: 1 (/data/a.txt over /copy/a.txt)", "guard: {overwrite_pruned: allow}")
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

// flat is a job that copies a folder of the lab to one for all, and prunes it.
func flat(from string) func(*jobs.Job) {
	return func(j *jobs.Job) {
		handsOver(j)
		j.Steps[0].Transfer.Items = []transfer.Item{{SourcePath: from, DestinationPath: "/all/"}}
	}
}

// onlyCopies plays a night, of which x is pruned, and then another one that has a
// file of its name; later runs between the two.
func onlyCopies(t *testing.T, later func(t *testing.T, b *bench, p *process) *engine.Result) {
	t.Helper()
	onBench(t, func(t *testing.T, b *bench) {
		b.remove("data/a.txt")
		b.sow("data/1/x")
		p := b.process("one")
		p.wantRun(b.order(flat("/data/1/")), ledger.Succeeded)
		b.wantLeft()
		time.Sleep(time.Hour)
		b.sow("data/2/x")
		r := later(t, b, p)
		contains(t, failure(t, r, fault.Guard).Message, "over the only copies of pruned files: 1 (/data/2/x over /all/x)")
		b.wantLeft("data/2/x")
		if copied, err := os.ReadFile(filepath.Join(b.vault, "all/x")); err != nil || string(copied) != "data/1/x" {
			t.Errorf("the copy has %q, %v, want that of the first night", copied, err)
		}
	})
}

func TestAFileOfAnotherFolderIsNotCopiedOverTheOnlyCopyOfAPrunedOne(t *testing.T) {
	second := func(b *bench, edits ...func(*jobs.Job)) engine.Order {
		o := b.order(append([]func(*jobs.Job){flat("/data/2/")}, edits...)...)
		o.Key = "2026-11-22T02:00:00Z"
		return o
	}
	tests := map[string]func(t *testing.T, b *bench, p *process) *engine.Result{
		"of the same job": func(_ *testing.T, b *bench, p *process) *engine.Result { return p.wantRun(second(b), ledger.Failed) },
		"of another job": func(_ *testing.T, b *bench, p *process) *engine.Result {
			return p.wantRun(second(b, named("weekly")), ledger.Failed)
		},
		"as a single file": func(_ *testing.T, b *bench, p *process) *engine.Result {
			return p.wantRun(second(b, func(j *jobs.Job) {
				j.Steps[0].Transfer.Items = []transfer.Item{{SourcePath: "/data/2/x", DestinationPath: "/all/x", Recursive: new(false)}}
			}), ledger.Failed)
		},
		"as another account": func(_ *testing.T, b *bench, p *process) *engine.Result {
			return p.wantRun(second(b, func(j *jobs.Job) { j.Steps[0].Transfer.DestinationLocalUser = "somebody" }), ledger.Failed)
		},
		"that was copied before the pruned one": func(_ *testing.T, b *bench, p *process) *engine.Result {
			copies := func(j *jobs.Job) { j.Steps = j.Steps[:1] }
			p.wantRun(second(b, named("early"), copies, func(j *jobs.Job) { j.Guard.OverwritePruned = true }), ledger.Succeeded)
			time.Sleep(time.Hour)
			b.sow("data/1/x")
			o := b.order(flat("/data/1/"), named("early"))
			o.Key = "2026-11-23T02:00:00Z"
			p.wantRun(o, ledger.Succeeded)
			o = b.order(flat("/data/2/"), named("early"))
			o.Key = "2026-11-24T02:00:00Z"
			return p.wantRun(o, ledger.Failed)
		},
		"of which a copy went to another collection since": func(_ *testing.T, b *bench, p *process) *engine.Result {
			p.wantRun(second(b, func(j *jobs.Job) {
				j.Steps = j.Steps[:1]
				j.Steps[0].Transfer.DestinationEndpoint = globussim.CollectionID("store")
			}), ledger.Succeeded)
			o := second(b)
			o.Key = "2026-11-23T02:00:00Z"
			return p.wantRun(o, ledger.Failed)
		},
		"by a start after one that ended before it had looked": func(t *testing.T, b *bench, p *process) *engine.Result {
			p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				if r.URL.Query().Get("path") == "/all/x" {
					p.die()
					return nil, errKilled
				}
				return nil, nil
			}
			if r, err := p.record(t.Context(), second(b)); err == nil && r.State.Final() {
				t.Fatalf("got %+v, want a start that is cut off", r)
			}
			time.Sleep(time.Hour)
			return b.process("two").wantRun(second(b), ledger.Failed)
		},
	}
	for name, later := range tests {
		t.Run(name, func(t *testing.T) { onlyCopies(t, later) })
	}
}

// A file of which only the case of the name is new replaces the copy on some disks, and
// stands beside it on others. A few files are looked up one by one, more in a listing.
func TestAFileIsNotCopiedOverTheOnlyCopyUnderAnotherFormOfItsName(t *testing.T) {
	for _, names := range [][]string{{"X"}, {"X", "Y", "Z"}} {
		for _, one := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d files, taken for one: %t", len(names), one), func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					b.remove("data/a.txt")
					for _, name := range names {
						b.sow("data/1/" + strings.ToLower(name))
					}
					p := b.process("one")
					p.wantRun(b.order(flat("/data/1/")), ledger.Succeeded)
					time.Sleep(time.Hour)
					for _, name := range names {
						b.sow("data/2/" + name)
					}
					p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
						if q := r.URL.Query(); one && q.Get("path") == "/all/X" {
							r = r.Clone(r.Context())
							q.Set("path", "/all/x")
							r.URL.RawQuery = q.Encode()
							return send.RoundTrip(r)
						}
						return nil, nil
					}
					o := b.order(flat("/data/2/"))
					o.Key = "2026-11-22T02:00:00Z"
					if !one {
						p.wantRun(o, ledger.Succeeded)
						return
					}
					r := p.wantRun(o, ledger.Failed)
					contains(t, failure(t, r, fault.Guard).Message, "over the only copies of pruned files: 1 (/data/2/X over /all/X)")
				})
			})
		}
	}
}

func TestListsOfAnOlderProgramCountByTheNamesOfTheirFiles(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p := b.process("one")
		p.wantRun(b.order(handsOver), ledger.Succeeded)
		b.sql(`UPDATE submissions SET copies = NULL`)
		time.Sleep(time.Hour)
		b.sow("data/a.txt")
		o := b.order(handsOver)
		o.Key = "2026-11-22T02:00:00Z"
		contains(t, failure(t, p.wantRun(o, ledger.Failed), fault.Guard).Message, "over the only copies of pruned files: 1 (/data/a.txt over /copy/a.txt)")
	})
}
