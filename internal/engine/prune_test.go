package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const deletePath = "/v0.10/delete"

// handsOver is a job that copies and then prunes.
func handsOver(j *jobs.Job) {
	j.Receipts = true
	j.Steps = []jobs.Step{{Transfer: provable("/copy/", "vault")}, {Prune: &jobs.Prune{}}}
}

// expires is a job that prunes by the receipts of nightly.
func expires(edits ...func(*jobs.Prune)) func(*jobs.Job) {
	return func(j *jobs.Job) {
		p := &jobs.Prune{Of: []string{"nightly"}, Jobs: copying("/copy/", "vault", "store")}
		for _, edit := range edits {
			edit(p)
		}
		j.Name, j.Receipts, j.Steps = "expire", true, []jobs.Step{{Prune: p}}
	}
}

// copying is a job that copies /data/ to a folder of collections.
func copying(to string, collections ...string) []*jobs.Job {
	j := &jobs.Job{Name: "nightly"}
	for _, at := range collections {
		j.Steps = append(j.Steps, jobs.Step{Transfer: provable(to, at)})
	}
	return []*jobs.Job{j}
}

// provable is a copy of /data/ whose receipt proves something.
func provable(to, collection string) *transfer.Transfer {
	doc := copyOf("/data/", to)
	doc.DestinationEndpoint = globussim.CollectionID(collection)
	doc.VerifyChecksum, doc.PreserveTimestamp = true, true
	return doc
}

// ownTimes lets copies have times of their own, so that nobody takes one for its
// file.
func ownTimes(j *jobs.Job) {
	for _, s := range j.Steps {
		if s.Transfer != nil {
			s.Transfer.PreserveTimestamp = false
		}
	}
}

// sow writes files of the lab, dated now, and lets an hour pass.
func (b *bench) sow(names ...string) {
	b.t.Helper()
	for _, name := range names {
		b.plant(name, name)
	}
	time.Sleep(time.Hour)
}

// left returns the files that the lab has below data.
func (b *bench) left() (names []string) {
	b.t.Helper()
	err := filepath.WalkDir(filepath.Join(b.lab, "data"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(b.lab, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return names
}

func (b *bench) wantLeft(want ...string) {
	b.t.Helper()
	if d := cmp.Diff(want, b.left()); d != "" {
		b.t.Errorf("left at the source (-want +got):\n%s", d)
	}
}

// wantRun does an order and checks how it ended.
func (p *process) wantRun(o engine.Order, state ledger.State) *engine.Result {
	p.b.t.Helper()
	r, err := p.record(p.b.t.Context(), o)
	if err != nil || r.State != state || (state == ledger.Succeeded) != (r.Err == nil) {
		p.b.t.Fatalf("got %+v, %v, want a run that is %s", r, err, state)
	}
	return r
}

// pruned returns what the run says that it pruned.
func (p *process) pruned(run int64) (text string) {
	p.b.t.Helper()
	notes, err := p.ledger.Notes(p.b.t.Context(), run)
	if err != nil {
		p.b.t.Fatal(err)
	}
	for _, n := range notes {
		if n.Kind == "pruned" {
			text = n.Text
		}
	}
	return text
}

func (p *process) wantPruned(r *engine.Result, want string) {
	p.b.t.Helper()
	if got := p.pruned(r.Run); got != want {
		p.b.t.Errorf("pruned:\n got %q\nwant %q", got, want)
	}
}

// A collection that cannot make checksums may turn them off, whatever a job asks for.
func TestPruneDeletesNothingIfGlobusDidNotVerify(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p := b.process("one")
		r := p.wantRun(b.order(handsOver, ownTimes), ledger.Succeeded)
		b.wantLeft("data/a.txt")
		p.wantPruned(r, "0 files deleted, 1 kept (1: was copied without verification); runner receipt prove 1 lists them")
	}, func(cfg *globussim.Config) {
		for i := range cfg.Collections {
			cfg.Collections[i].Policies.DisableVerify = true
		}
	})
}

func TestPruneDeletesWhatTheRunHasCopiedAndNothingElse(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt", "data/locked", "data/s/b", "data/s/x.tmp", "data/late")
		if err := os.Symlink("a.txt", filepath.Join(b.lab, "data", "link")); err != nil {
			t.Fatal(err)
		}
		p := b.process("one")
		wrote := false
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if is(r, "POST", transferPath) && !wrote {
				wrote = true
				b.plant("data/after the listing", "x")
				b.plant("data/late", "changed")
			}
			return nil, nil
		}
		r := p.wantRun(b.order(handsOver, func(j *jobs.Job) {
			j.Steps[0].Transfer.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "*.tmp"}, {Method: "exclude", Name: "locked"}}
		}, ownTimes), ledger.Succeeded)
		b.wantLeft("data/after the listing", "data/late", "data/link", "data/locked", "data/s/x.tmp")
		p.wantPruned(r, "2 files deleted, 5 kept (1: changed while it was copied; 1: is a symbolic link; 2: is excluded by a filter rule; "+
			"1: was not seen before the copy); runner receipt prove 1 lists them")
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z s1", "SUCCEEDED nightly 2026-11-21T02:00:00Z s2 p1")
		if r.Deleted().Files != 2 || b.runs()[0].FilesDeleted != 2 {
			t.Errorf("got %v and %+v, want 2 files deleted", r.Deleted(), b.runs()[0])
		}
	})
}

// A delete that names such a file is refused, with all other files that it names.
func TestPruneKeepsAFileThatGlobusDoesNotDelete(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt", "data/line\nend", "data/z")
		p := b.process("one")
		r := p.wantRun(b.order(handsOver), ledger.Succeeded)
		b.wantLeft("data/line\nend")
		p.wantPruned(r, "2 files deleted, 1 kept (1: has a line end in its path, with which Globus deletes nothing); runner receipt prove 1 lists them")
	})
}

func TestPruneSaysWhatListsTheFilesThatItKeepsOfSeveralTasks(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt", "data/b")
		p := b.process("one")
		r := p.wantRun(b.order(handsOver, func(j *jobs.Job) {
			second := provable("/copy/", "store")
			second.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "b"}}
			j.Steps = []jobs.Step{j.Steps[0], {Transfer: second}, {Prune: &jobs.Prune{Copies: 2}}}
		}), ledger.Succeeded)
		b.wantLeft("data/b")
		contains(t, p.pruned(r.Run), "1 file deleted, 1 kept (1: is proven at 1 of 2 collections); runner receipt prove 1 --task ID lists them, task by task")
	})
}

func TestPruneOfWhatIsThereNow(t *testing.T) {
	lab := func(b *bench, name string) string { return filepath.Join(b.lab, name) }
	vault := func(b *bench, name string) string { return filepath.Join(b.vault, "copy", name) }
	failing := func(side, operation string) func(*testing.T, *bench) {
		return func(_ *testing.T, b *bench) {
			b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID(side) + "/" + operation, Times: -1, Status: 403, Code: "EndpointPermissionDenied"})
		}
	}
	tests := map[string]struct {
		meanwhile func(*testing.T, *bench)
		kept      string // why a.txt is; empty if all is deleted
	}{
		"as it was": {func(*testing.T, *bench) {}, ""},
		"changed with a new time": {func(t *testing.T, b *bench) {
			b.plant("data/a.txt", "9876543210")
		}, "changed since it was copied"},
		"changed size without a new time": {func(t *testing.T, b *bench) {
			info, err := os.Stat(lab(b, "data/a.txt"))
			b.plant("data/a.txt", "another size")
			if err != nil || os.Chtimes(lab(b, "data/a.txt"), time.Time{}, info.ModTime()) != nil {
				t.Fatal(err)
			}
		}, "changed since it was copied"},
		"gone at the destination": {func(t *testing.T, b *bench) {
			if err := os.Remove(vault(b, "a.txt")); err != nil {
				t.Fatal(err)
			}
		}, "is gone at the destination"},
		"overwritten at the destination": {func(t *testing.T, b *bench) {
			if err := os.WriteFile(vault(b, "a.txt"), []byte("9876543210"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "is not the same at the destination any more"},
		"the destination cannot be read": {failing("vault", "*"), "could not be listed"},
		"the source cannot be read":      {failing("lab", "*"), "could not be listed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt")
				p := b.process("one")
				p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
				time.Sleep(time.Hour)
				tt.meanwhile(t, b)
				r := p.wantRun(b.order(expires()), ledger.Succeeded)
				if tt.kept == "" {
					b.wantLeft()
					p.wantPruned(r, "1 file deleted")
					return
				}
				b.wantLeft("data/a.txt")
				p.wantPruned(r, "0 files deleted, 1 kept (1: "+tt.kept+"); runner plan expire --diff --list lists them")
				if n := b.requests("POST /v0.10/delete"); n != 0 {
					t.Errorf("%d deletes were sent", n)
				}
			})
		})
	}
}

func TestPruneOfSeveralRunsAndPlaces(t *testing.T) {
	copies := func(name, day, to string) func(b *bench, p *process) {
		return func(b *bench, p *process) {
			o := b.order(accounted, named(name), func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", to)) })
			o.Key = jobs.Key(day + "T02:00:00Z")
			p.wantRun(o, ledger.Succeeded)
			time.Sleep(24 * time.Hour)
		}
	}
	both := func(p *jobs.Prune) { p.Of, p.Copies = []string{"nightly", "weekly"}, 2 }
	old := func(p *jobs.Prune) { p.OlderThan = 36 * time.Hour }
	sowB := func(b *bench, _ *process) { b.sow("data/b") }
	tests := map[string]struct {
		before []func(b *bench, p *process)
		prune  func(*jobs.Prune)
		state  ledger.State
		want   string // empty if it is deleted
	}{
		"an older run proves it": {
			[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault"), func(b *bench, _ *process) {
				b.plant("data/b", "b") // of which the newer run knows, and not of its time
			}, copies("nightly", "2026-11-21", "vault")}, func(*jobs.Prune) {}, ledger.Succeeded, "",
		},
		"two of two collections": {
			[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault"), copies("weekly", "2026-11-20", "store")}, both, ledger.Succeeded, "",
		},
		"one of two collections": {
			[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault")}, both, ledger.Succeeded, "is proven at 1 of 2 collections",
		},
		"twice at one collection": {
			[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault"), copies("weekly", "2026-11-20", "vault")},
			both,
			ledger.Succeeded, "is proven at 1 of 2 collections",
		},
		"twice at one collection, as two accounts": {
			[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault"), func(b *bench, p *process) {
				p.wantRun(b.order(accounted, named("weekly"), func(j *jobs.Job) {
					doc := provable("/copy/", "vault")
					doc.DestinationLocalUser = "somebody"
					j.Steps = jobs.Single(doc)
				}), ledger.Succeeded)
			}},
			func(p *jobs.Prune) {
				both(p)
				second := provable("/copy/", "vault")
				second.DestinationLocalUser = "somebody"
				p.Jobs = append(p.Jobs, &jobs.Job{Name: "weekly", Steps: jobs.Single(second)})
			},
			ledger.Succeeded, "is proven at 1 of 2 collections",
		},
		"another job's receipt": {
			[]func(b *bench, p *process){copies("weekly", "2026-11-20", "vault")},
			func(*jobs.Prune) {},
			ledger.Succeeded, "-",
		},
		"old enough": {[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault"), copies("weekly", "2026-11-20", "store")}, old, ledger.Succeeded, ""},
		"too young":  {[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault")}, old, ledger.Succeeded, "was proven less than 36h ago (older_than)"},
		"the second copy is too young": {
			[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault"), copies("weekly", "2026-11-20", "store")},
			func(p *jobs.Prune) { both(p); old(p) }, ledger.Succeeded, "was proven less than 36h ago (older_than)",
		},
		"within the limit": {[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault")}, func(p *jobs.Prune) { p.MaxDelete = "1" }, ledger.Succeeded, ""},
		"beyond the limit": {[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault")}, func(p *jobs.Prune) { p.MaxDelete = "0" }, ledger.Failed, "-"},
		"within a share":   {[]func(b *bench, p *process){copies("nightly", "2026-11-20", "vault"), sowB}, func(p *jobs.Prune) { p.MaxDelete = "50%" }, ledger.Succeeded, ""},
		"beyond a share: folders do not count as files": {
			[]func(b *bench, p *process){func(b *bench, p *process) {
				b.plant("data/s/x", "x")
				p.wantRun(b.order(accounted, func(j *jobs.Job) {
					j.Steps = jobs.Single(provable("/copy/", "vault"))
					j.Steps[0].Transfer.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "s"}}
				}), ledger.Succeeded)
			}},
			func(p *jobs.Prune) { p.MaxDelete = "50%" }, ledger.Failed, "-",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt")
				p := b.process("one")
				for _, before := range tt.before {
					before(b, p)
				}
				r := p.wantRun(b.order(expires(tt.prune)), tt.state)
				if tt.want == "" {
					if slices.Contains(b.left(), "data/a.txt") {
						t.Errorf("the file is still there: %s", p.pruned(r.Run))
					}
					return
				}
				if !slices.Contains(b.left(), "data/a.txt") {
					t.Errorf("the file is gone: %s", p.pruned(r.Run))
				}
				if tt.want != "-" {
					contains(t, p.pruned(r.Run), "1 kept (1: "+tt.want+")")
				}
				if tt.state == ledger.Failed {
					contains(t, failure(t, r, fault.Guard).Message, "would delete 1 of 1 file that it has looked at", "/data/a.txt", "max_delete allows (")
				}
			})
		})
	}
}

func TestPruneOfARunCountsNoReceiptOfAnother(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt", "data/b")
		p := b.process("one")
		o := b.order(handsOver, func(j *jobs.Job) {
			j.Steps[1] = jobs.Step{Mkdir: &jobs.Mkdir{Collection: globussim.CollectionID("vault"), Path: "/other/"}}
		})
		o.Key = "2026-11-20T02:00:00Z"
		p.wantRun(o, ledger.Succeeded)
		time.Sleep(time.Hour)
		p.wantRun(b.order(handsOver, func(j *jobs.Job) {
			j.Steps[0].Transfer.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "b"}}
		}), ledger.Succeeded)
		b.wantLeft("data/b")
	})
}

func TestPruneGoesByWhatTheJobCopiesNow(t *testing.T) {
	item := func(from, to string) func(*transfer.Transfer) {
		return func(doc *transfer.Transfer) { doc.Items = []transfer.Item{{SourcePath: from, DestinationPath: to}} }
	}
	estray := func(files int) string {
		return fmt.Sprintf("0 files deleted, %d kept (%d: was copied to where its job does not copy it now)", files, files)
	}
	const stranger = "0 files deleted; receipts that do not count, because nightly copies between other paths now: 1"
	tests := map[string]struct {
		now  func(*transfer.Transfer) // what the job says when it prunes
		left []string
		says string
	}{
		"the same": {func(*transfer.Transfer) {}, nil, "2 files deleted"},
		"another filter rule": {func(doc *transfer.Transfer) {
			doc.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "a.txt"}}
		}, nil, "2 files deleted"},
		"another option":        {func(doc *transfer.Transfer) { doc.SyncLevel = new(transfer.SyncMtime) }, nil, "2 files deleted"},
		"other days":            {item(`/data/{{ .Time | strftime "%Y" }}/`, `/copy/{{ .Time | strftime "%Y" }}/`), []string{"data/2026-11-20/a", "data/b"}, "2 kept (2: was"},
		"any day":               {item("/data/{{ date .Time }}/", "/copy/{{ date .Time }}/"), []string{"data/b"}, "1 file deleted, 1 kept"},
		"a wider folder":        {item("/", "/"), []string{"data/2026-11-20/a", "data/b"}, estray(2)},
		"a part":                {item("/data/2026-11-20/", "/copy/2026-11-20/"), []string{"data/b"}, "1 file deleted, 1 kept"},
		"another destination":   {item("/data/", "/new/"), []string{"data/2026-11-20/a", "data/b"}, stranger},
		"another source":        {item("/new/", "/copy/"), []string{"data/2026-11-20/a", "data/b"}, stranger},
		"a folder of that kind": {item("/data/", "/copy/data/"), []string{"data/2026-11-20/a", "data/b"}, estray(2)},
		"another collection":    {func(doc *transfer.Transfer) { doc.DestinationEndpoint = globussim.CollectionID("store") }, []string{"data/2026-11-20/a", "data/b"}, stranger},
		"another account":       {func(doc *transfer.Transfer) { doc.DestinationLocalUser = "ann" }, []string{"data/2026-11-20/a", "data/b"}, stranger},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.remove("data/a.txt")
				b.sow("data/2026-11-20/a", "data/b")
				p := b.process("one")
				p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
				time.Sleep(time.Hour)
				doc := provable("/copy/", "vault")
				tt.now(doc)
				r := p.wantRun(b.order(expires(func(p *jobs.Prune) { p.Jobs = []*jobs.Job{{Name: "nightly", Steps: jobs.Single(doc)}} })), ledger.Succeeded)
				b.wantLeft(tt.left...)
				contains(t, p.pruned(r.Run), tt.says)
			})
		})
	}
}

func TestPruneOfARunThatGoesOnWithAnotherDestinationKeepsAllFiles(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p := b.process("one")
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if is(r, "POST", deletePath) {
				p.die()
				return nil, errKilled
			}
			return nil, nil
		}
		_, _ = p.record(t.Context(), b.order(handsOver)) // it is killed
		time.Sleep(time.Hour)
		p = b.process("two")
		elsewhere := func(j *jobs.Job) { j.Steps[0].Transfer.Items[0].DestinationPath = "/new/" }
		p.wantRun(b.order(handsOver, elsewhere), ledger.Failed)
		b.wantLeft("data/a.txt")
	})
}

func TestPruneNeedsALedger(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		r := b.run(t.Context(), b.order(expires()))
		contains(t, failure(t, r, fault.Usage).Message, "RUNNER_STATE")
		b.wantLeft("data/a.txt")
	})
}

func TestPruneWaitsForTheReceiptOfItsOwnRun(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		b.Fail(globussim.Fault{Path: copiedPath, Status: 404, Code: "NotThereYet", Times: -1})
		p := b.process("one")
		r, err := p.record(t.Context(), b.order(handsOver))
		if err != nil || r.State.Final() || fault.Of(r.Err).Kind != fault.Temporary {
			t.Fatalf("got %+v, %v, want a run that is left", r, err)
		}
		contains(t, r.Err.Error(), "nothing was deleted", "the receipts of 1 task of this run are pending")
		b.wantLeft("data/a.txt")
		b.ClearFaults()
		if r, err = p.record(t.Context(), b.order(handsOver)); err != nil || r.State != ledger.Succeeded {
			t.Fatalf("got %+v, %v", r, err)
		}
		b.wantLeft()
	})
}

func TestPruneAsksForTheReceiptOfItsOwnRun(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		b.Fail(globussim.Fault{Path: copiedPath, Status: 404, Code: "NotThereYet"})
		p := b.process("one")
		p.wantPruned(p.wantRun(b.order(handsOver), ledger.Succeeded), "1 file deleted")
		b.wantLeft()
	})
}

// Each task of the run must have its receipt. A step that deletes has none.
func TestPruneOfARunWithoutAllItsReceiptsDeletesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		lost    string
		missing string // what is said to be pending; empty if nothing is
	}{
		"all of a step": {"step = 1", "2 tasks"}, "of a part": {"part = 2", "1 task"}, "none": {"step = 2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt", "data/b")
				b.plantVault("old")
				b.manifests = map[string]string{"list": "a.txt a.txt\nb b\n"}
				p := b.process("one")
				p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
					if is(r, "POST", transferPath) && b.requests("POST "+transferPath) == 2 { // that of the last copy
						b.sql("DELETE FROM receipts WHERE " + tt.lost)
					}
					return nil, nil
				}
				r, err := p.record(t.Context(), b.order(handsOver, func(j *jobs.Job) {
					old := &transfer.Delete{Endpoint: globussim.CollectionID("vault"), Items: []transfer.DeleteItem{{Path: "/copy/old"}}}
					parts := jobs.Step{Transfer: provable("/copy/", "vault"), Manifest: "list", ItemsPerTask: 1}
					j.Steps = []jobs.Step{parts, {Delete: old, Unproven: true}, {Transfer: provable("/copy/", "store")}, j.Steps[1]}
				}))
				if tt.missing == "" {
					if err != nil || r.State != ledger.Succeeded {
						t.Errorf("got %+v, %v", r, err)
					}
					b.wantLeft()
					return
				}
				if err != nil || r.State.Final() || fault.Of(r.Err).Kind != fault.Temporary {
					t.Fatalf("got %+v, %v, want a run that is left", r, err)
				}
				contains(t, r.Err.Error(), "nothing was deleted, because the receipts of "+tt.missing+" of this run are pending (it is not complete)")
				b.wantLeft("data/a.txt", "data/b")
			})
		})
	}
}

func TestPruneIsTriedAgainIfAReceiptGoesMeanwhile(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p, gone := b.process("one"), false
		p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if is(r, "GET", listingsOf("lab")) && !gone {
				gone = true
				b.sql("DELETE FROM texts")
			}
			return nil, nil
		}
		r, err := p.record(t.Context(), b.order(expires()))
		if err != nil || r.State.Final() || fault.Of(r.Err).Kind != fault.Temporary {
			t.Fatalf("got %+v, %v, want a run that is left", r, err)
		}
		b.wantLeft("data/a.txt")
	})
}

// An item that somebody has taken away need not be there. Any other folder that the
// run has copied should.
func TestPruneSaysThatTheFolderOfItsRunIsGone(t *testing.T) {
	for name, tt := range map[string]struct {
		items *jobs.ForEach
		want  string
	}{
		"a folder": {nil, "0 files deleted, 1 kept (1: does not exist any more, so there is nothing to delete in it (a folder counts once)); runner receipt prove 1 lists them"},
		"an item":  {&jobs.ForEach{Kind: jobs.FolderItems, Collection: globussim.CollectionID("lab"), Folder: "/"}, "0 files deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt")
				p := b.process("one")
				p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
					if strings.HasSuffix(r.URL.Path, "/successful_transfers") {
						return nil, os.RemoveAll(filepath.Join(b.lab, "data"))
					}
					return nil, nil
				}
				o := b.order(handsOver, func(j *jobs.Job) { j.Items, j.ItemsOf = tt.items, j.Name })
				p.wantPruned(p.wantRun(o, ledger.Succeeded), tt.want)
			})
		})
	}
}

func TestPruneBeyondItsLimitNamesSomeFiles(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt", "data/b", "data/c", "data/d", "data/e")
		p := b.process("one")
		r := p.wantRun(b.order(handsOver, func(j *jobs.Job) { j.Steps[1].Prune.MaxDelete = "4" }), ledger.Failed)
		b.wantLeft("data/a.txt", "data/b", "data/c", "data/d", "data/e")
		contains(t, failure(t, r, fault.Guard).Message, "would delete 5 of 5 files that it has looked at (/data/a.txt, /data/b, /data/c and 2 more)")
	})
}

func TestPruneByAReceiptThatWasChangedFails(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p := b.process("one")
		p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
		b.sql("UPDATE receipts SET digest = 'sha256:00'")
		r := p.wantRun(b.order(expires()), ledger.Failed)
		contains(t, r.Err.Error(), "nothing more is deleted", "the receipt of run 1", "was changed after it was written")
		b.wantLeft("data/a.txt")
	})
}

func TestPruneDeletesNoMoreThanItsBoundOfWhatComesWhileItLooks(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt", "data/b", "data/c")
		p := b.process("one")
		p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
		here, away := filepath.Join(b.lab, "data", "b"), filepath.Join(b.lab, "away")
		if err := errors.Join(os.Remove(filepath.Join(b.lab, "data", "c")), os.Rename(here, away)); err != nil {
			t.Fatal(err)
		}
		listed := 0
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if is(r, "GET", "/v0.10/operation/endpoint/"+globussim.CollectionID("lab")+"/ls") {
				if listed++; listed == 2 { // the first one is to count
					return nil, os.Rename(away, here)
				}
			}
			return nil, nil
		}
		r := p.wantRun(b.order(expires(func(p *jobs.Prune) { p.MaxDelete = "1" })), ledger.Succeeded)
		b.wantLeft("data/b")
		contains(t, p.pruned(r.Run), "1 file deleted, 1 kept (1: is more than max_delete allows)")
	})
}

func TestEveryLookIsDoneAsTheLocalAccountOfItsSide(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/e/x", "data/f/y")
		lab, vault := globussim.CollectionID("lab"), globussim.CollectionID("vault")
		var mu sync.Mutex
		p, seen := b.process("one"), map[string]int{}
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			rest, is := strings.CutPrefix(r.URL.Path, "/v0.10/operation/endpoint/")
			if !is {
				return nil, nil
			}
			of, operation, _ := strings.Cut(rest, "/")
			doc := struct {
				LocalUser string `json:"local_user"`
			}{r.URL.Query().Get("local_user")}
			if r.GetBody != nil {
				body, err := r.GetBody()
				if err == nil {
					err = json.NewDecoder(body).Decode(&doc)
				}
				if err != nil {
					t.Error(err)
				}
			}
			if want := map[string]string{lab: "ann", vault: "bob"}[of]; doc.LocalUser != want {
				t.Errorf("%s %s is done as %q, want %q", r.Method, r.URL, doc.LocalUser, want)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[operation]++
			return nil, nil
		}
		p.wantRun(b.order(removes, func(j *jobs.Job) {
			doc := j.Steps[0].Transfer
			doc.SourceLocalUser, doc.DestinationLocalUser = "ann", "bob"
			j.Steps = append([]jobs.Step{
				{Mkdir: &jobs.Mkdir{Collection: vault, Path: "/in/deep/", LocalUser: "bob"}},
				{Mkdir: &jobs.Mkdir{Collection: vault, Path: "/in/deep/", LocalUser: "bob"}}, // is there
			}, j.Steps...)
		}), ledger.Succeeded)
		b.wantLeft()
		if seen["rename"] > 0 {
			t.Error("a folder was renamed, though it is not known for which account")
		}
		for _, operation := range []string{"ls", "stat", "mkdir"} {
			if seen[operation] == 0 {
				t.Errorf("no %s was sent", operation)
			}
		}
	})
}
