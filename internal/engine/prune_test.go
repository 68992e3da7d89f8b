package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"github.com/globus-runner/globus-runner/internal/proof"
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
		r := p.wantRun(b.order(handsOver, func(j *jobs.Job) { j.Steps[0].Transfer.Items[0].DestinationPath = "/new/" }), ledger.Succeeded)
		b.wantLeft("data/a.txt")
		contains(t, p.pruned(r.Run), "receipts that do not count, because this job copies between other paths now: 1")
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

// watchDeletes notes the paths of each delete that is sent, by submission id.
func (p *process) watchDeletes(sent map[string][]string, each func()) {
	p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
		if !is(r, "POST", deletePath) {
			return nil, nil
		}
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		var doc transfer.Delete
		if err := json.Unmarshal(text, &doc); err != nil {
			return nil, err
		}
		var paths []string
		for _, i := range doc.Items {
			paths = append(paths, i.Path)
		}
		sent[doc.SubmissionID] = paths
		each()
		return nil, nil
	}
}

func TestListThatHadToWaitIsLookedAtAnew(t *testing.T) {
	fail := func(f globussim.Fault) func(*bench) {
		f.Path = deletePath
		return func(b *bench) { b.Fail(f) }
	}
	tests := map[string]func(b *bench){
		"too many tasks":          fail(globussim.Fault{Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs"}),
		"another task":            fail(globussim.Fault{Status: 409, Code: "ClientError.Conflict"}),
		"it did not reach Globus": fail(globussim.Fault{Times: -1, Drop: globussim.DropBefore}),
		"its answer was lost":     fail(globussim.Fault{Times: -1, Drop: globussim.DropAfter}),
		"its task failed":         func(b *bench) { b.disturb(globussim.Disturbance{Action: globussim.FailTask}) },
	}
	for name, obstacle := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt", "data/b.txt")
				p := b.process("one")
				p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }, ownTimes), ledger.Succeeded)
				sent := map[string][]string{}
				p.watchDeletes(sent, func() {
					if len(sent) == 1 { // while it waits
						b.plant("data/b.txt", "DATA/b.txt")
					} else {
						b.ClearFaults()
					}
				})
				obstacle(b)
				o := b.order(expires(), func(j *jobs.Job) { j.Concurrency, j.BackoffLimit = jobs.Allow, 1 })
				r := p.wantRun(o, ledger.Succeeded)
				if name == "its answer was lost" {
					// It is at Globus, and was right when it was sent: a task that deletes
					// what changes before it begins cannot be called back.
					return
				}
				b.wantLeft("data/b.txt")
				if len(sent) != 2 {
					t.Fatalf("sent %v, want two lists", sent)
				}
				for id, paths := range sent {
					if slices.Contains(paths, "/data/b.txt") == slices.Contains(b.delivered(), id) {
						t.Errorf("list %s of %v: delivered %v", id, paths, b.delivered())
					}
				}
				contains(t, p.pruned(r.Run), "1 file deleted, 1 kept (1: changed while the prune was under way)")
			})
		})
	}
}

func TestPruneKeepsWhatItCannotSeeAgain(t *testing.T) {
	for _, side := range []string{"lab", "vault"} {
		for _, names := range [][]string{{"data/a.txt"}, {"data/a.txt", "data/b", "data/c"}} { // looked up, and listed
			t.Run(fmt.Sprint(side, len(names)), func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					b.sow(names...)
					p := b.process("one")
					p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }, ownTimes), ledger.Succeeded)
					p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
						if is(r, "GET", idPath) {
							b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID(side) + "/*", Times: -1, Status: 403, Code: "EndpointPermissionDenied"})
						}
						return nil, nil
					}
					r := p.wantRun(b.order(expires()), ledger.Succeeded)
					b.wantLeft(names...)
					contains(t, p.pruned(r.Run), fmt.Sprintf("0 files deleted, %d kept (%d: could not be listed)", len(names), len(names)))
				})
			})
		}
	}
}

// circle copies to a collection and back, and returns an order that prunes both. The
// way back has the paths in upper case if it is loud.
func (b *bench) circle(p *process, collection string, loud bool) engine.Order {
	b.t.Helper()
	b.sow("data/a.txt", "data/b")
	there, back := provable("/copy/", collection), provable("/data/", "lab")
	back.SourceEndpoint, back.Items[0].SourcePath = globussim.CollectionID(collection), "/copy/"
	if loud {
		back.Items[0] = transfer.Item{SourcePath: "/COPY/", DestinationPath: "/DATA/"}
	}
	var ways []*jobs.Job
	for i, doc := range []*transfer.Transfer{there, back} {
		doc.SyncLevel, doc.PreserveTimestamp = new(transfer.SyncChecksum), false
		o := b.order(accounted, named(fmt.Sprint("way-", i)), func(j *jobs.Job) { j.Steps = jobs.Single(doc) })
		p.wantRun(o, ledger.Succeeded)
		ways = append(ways, o.Job)
		time.Sleep(time.Hour)
	}
	return b.order(expires(func(p *jobs.Prune) { p.Of, p.Jobs = []string{"way-0", "way-1"}, ways }))
}

// wantSomewhere checks that the files of a circle are on some disk.
func (b *bench) wantSomewhere() {
	b.t.Helper()
	for _, name := range []string{"a.txt", "b"} {
		if !slices.ContainsFunc([]string{filepath.Join(b.lab, "data"), filepath.Join(b.lab, "copy"), filepath.Join(b.vault, "copy")}, func(folder string) bool {
			_, err := os.Stat(filepath.Join(folder, name))
			return err == nil
		}) {
			b.t.Errorf("%s is nowhere", name)
		}
	}
}

func TestPruneOfACircleKeepsOneCopy(t *testing.T) {
	for _, collection := range []string{"lab", "vault"} {
		for _, loud := range []bool{false, true} {
			t.Run(fmt.Sprint(collection, " in upper case: ", loud), func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					for _, disk := range []string{b.lab, b.vault} { // which do not tell cases apart
						for _, name := range []string{"copy", "data"} {
							if err := os.Symlink(name, filepath.Join(disk, strings.ToUpper(name))); err != nil {
								t.Fatal(err)
							}
						}
					}
					p := b.process("one")
					p.wantRun(b.circle(p, collection, loud), ledger.Succeeded)
					b.wantSomewhere()
				})
			})
		}
	}
}

func TestFilesOfAListThatMayBeAtGlobusProveNothing(t *testing.T) {
	for name, restart := range map[string]bool{"goes on": false, "is started again": true} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				p := b.process("one")
				o := b.circle(p, "vault", false)
				b.stall() // the list is done late
				b.releaseAfter(3 * time.Hour)
				first, hidden := "", false
				answer := func(p *process) func(*http.Request, http.RoundTripper) (*http.Response, error) {
					blind := &process{}
					blind.forgetful()
					return func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
						switch {
						case is(r, "GET", idPath) && first != "" && !hidden: // the copies of the list are not seen again
							hidden = true
							b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID("lab") + "/stat", Times: 2, Status: 403, Code: "EndpointPermissionDenied"})
						case is(r, "POST", deletePath):
							body, err := r.GetBody()
							if err != nil {
								return nil, err
							}
							text, err := io.ReadAll(body)
							if first == "" {
								first = string(text)
							}
							if err != nil || string(text) != first {
								return nil, err
							}
							resp, err := send.RoundTrip(r)
							if err == nil {
								_ = resp.Body.Close() // it is lost
							}
							if restart {
								p.die()
							}
							return nil, io.ErrUnexpectedEOF
						}
						return blind.answer(r, send)
					}
				}
				p.answer = answer(p) //nolint:bodyclose // who sends the request closes it
				r, err := p.record(t.Context(), o)
				if restart {
					time.Sleep(time.Hour)
					p = b.process("two")
					p.answer = answer(p) //nolint:bodyclose // who sends the request closes it
					r, err = p.record(t.Context(), o)
				}
				if err != nil || r.State != ledger.Succeeded {
					t.Fatalf("got %+v, %v", r, err)
				}
				time.Sleep(4 * time.Hour)
				b.wantSomewhere()
				contains(t, p.pruned(r.Run), ": has a copy that is pruned as well")
			})
		})
	}
}

// delivered returns the submission ids of the deletes that have a task.
func (b *bench) delivered() (ids []string) {
	for _, task := range b.State().Tasks {
		if task.Type == "DELETE" && task.Status == "SUCCEEDED" {
			ids = append(ids, task.SubmissionID)
		}
	}
	return ids
}

func TestPruneGivesUpWhileAnswersAreLost(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt")
		p := b.process("one")
		p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
		b.Fail(globussim.Fault{Path: deletePath, Times: -1, Drop: globussim.DropBefore})
		r, err := p.record(t.Context(), b.order(expires()))
		if err != nil || r.State.Final() || fault.Of(r.Err).Kind != fault.Unknown {
			t.Fatalf("got %+v, %v, want a run that is left", r, err)
		}
		if n := b.count("SELECT count(*) FROM submissions WHERE once = 1 AND status = 'DROPPED'"); n != 3 {
			t.Errorf("%d lists were given up", n)
		}
		b.ClearFaults()
		p.wantRun(b.order(expires()), ledger.Succeeded)
		b.wantLeft()
	})
}

func TestKilledPruneSendsNoListASecondTime(t *testing.T) {
	tests := map[string]struct {
		cut  cut
		gone bool // the list was at Globus before the kill
	}{
		"after the record":            {cut{method: "POST", path: deletePath}, false},
		"answer to it is lost":        {cut{method: "POST", path: deletePath, after: true}, true},
		"task id is not written down": {cut{method: "POST", path: deletePath, unrecorded: true}, true},
		"before the list":             {cut{method: "GET", path: idPath, skip: 1}, false},
		"while it looks anew":         {cut{method: "GET", path: "/v0.10/operation/*", skip: 5}, false},
	}
	for name, tt := range tests {
		for how, resume := range map[string]func(b *bench, p *process, o engine.Order) (*engine.Result, error){
			"": func(b *bench, p *process, o engine.Order) (*engine.Result, error) { return p.record(b.t.Context(), o) },
			", the job is gone": func(b *bench, p *process, o engine.Order) (*engine.Result, error) {
				job := *o.Job
				job.Steps = nil
				o.Job = &job
				return p.record(b.t.Context(), o)
			},
			", the step is another one": func(b *bench, p *process, o engine.Order) (*engine.Result, error) {
				job := *o.Job
				job.Steps = []jobs.Step{job.Steps[0], {Transfer: provable("/more/", "store"), Manifest: "list", ItemsPerTask: 1}}
				b.manifests = map[string]string{"list": "a.txt a.txt\n"}
				o.Job = &job
				return p.record(b.t.Context(), o)
			},
		} {
			t.Run(name+how, func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					b.sow("data/a.txt", "data/b.txt")
					o := b.order(handsOver, ownTimes)
					one := b.process("one")
					one.at(tt.cut)
					if r, err := one.record(t.Context(), o); err == nil && r.State.Final() {
						t.Fatalf("got %+v, %v, want it killed", r, err)
					}
					if !one.dead.Load() {
						t.Fatal("the process did not come to the cut")
					}
					time.Sleep(time.Hour)
					if !tt.gone {
						b.plant("data/b.txt", "DATA/b.txt")
					}
					sent := map[string][]string{}
					two := b.process("two")
					two.watchDeletes(sent, func() {})
					r, err := resume(b, two, o)
					if err != nil || !r.State.Final() {
						t.Fatalf("got %+v, %v, want the end of the run", r, err)
					}
					for _, paths := range sent {
						if slices.Contains(paths, "/data/b.txt") {
							t.Errorf("sent %v after the file had changed", sent)
						}
					}
					switch {
					case tt.gone:
						b.wantLeft()
					case how == "":
						b.wantLeft("data/b.txt")
					default:
						if len(sent) > 0 {
							t.Errorf("sent %v", sent)
						}
					}
					if how == "" && tt.gone && b.runs()[0].FilesDeleted != 2 {
						t.Errorf("got %+v, want 2 files deleted", b.runs()[0])
					}
				})
			})
		}
	}
}

func TestPruneHasListsOfABoundedLength(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.remove("data/a.txt")
		var names []string
		for i := range 205 {
			names = append(names, fmt.Sprintf("data/%03d/x", i))
		}
		b.sow(names...)
		sent := map[string][]string{}
		p := b.process("one")
		p.watchDeletes(sent, func() {})
		r := p.wantRun(b.order(handsOver, ownTimes), ledger.Succeeded)
		b.wantLeft()
		var lengths []int
		for _, paths := range sent {
			lengths = append(lengths, len(paths))
		}
		slices.Sort(lengths)
		if d := cmp.Diff([]int{5, 200}, lengths); d != "" {
			t.Errorf("files of a list (-want +got):\n%s", d)
		}
		p.wantPruned(r, "205 files deleted")
		if labels := b.labels(); !strings.HasSuffix(labels[1], " s2 p1") || !strings.HasSuffix(labels[2], " s2 p2") {
			t.Errorf("got the labels %q", labels)
		}
	})
}

// folders returns the folders that the lab has below data.
func (b *bench) folders() (names []string) {
	b.t.Helper()
	err := filepath.WalkDir(filepath.Join(b.lab, "data"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
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

func removes(j *jobs.Job) {
	handsOver(j)
	j.Steps[1].Prune.EmptyFolders = true
}

func TestPruneRemovesTheFoldersThatItHasEmptied(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/a.txt", "data/empty/sub/x", "data/empty/y", "data/full/z", "data/full/w.tmp", "data/in/use")
		if err := os.Mkdir(filepath.Join(b.lab, "data", "was empty"), 0o755); err != nil {
			t.Fatal(err)
		}
		p := b.process("one")
		p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
			if !is(r, "POST", "/v0.10/operation/*") {
				return nil, nil
			}
			resp, err := send.RoundTrip(r)
			if aside := filepath.Join(b.lab, "data", ".pruned-1-in"); err == nil {
				if _, err := os.Stat(aside); err == nil && b.requests("POST /v0.10/operation/endpoint/{id}/rename") < 4 {
					b.plant("data/.pruned-1-in/came", "x") // by who had the folder open
				}
			}
			return resp, err
		}
		r := p.wantRun(b.order(removes, func(j *jobs.Job) {
			j.Steps[0].Transfer.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "*.tmp"}}
		}), ledger.Succeeded)
		if d := cmp.Diff([]string{"data", "data/full", "data/in", "data/was empty"}, b.folders()); d != "" {
			t.Errorf("folders (-want +got):\n%s", d)
		}
		b.wantLeft("data/full/w.tmp", "data/in/came")
		contains(t, p.pruned(r.Run), "5 files deleted, 2 empty folders removed, 1 kept")
		if r.Deleted().Files != 5 {
			t.Errorf("got %v files deleted", r.Deleted())
		}
	})
}

// An item is moved as a whole: nothing of it is left, unless there is something in it.
func TestPruneRemovesItemsThatItHasEmptied(t *testing.T) {
	remove := jobs.Step{Prune: &jobs.Prune{EmptyFolders: true}}
	tests := map[string]struct {
		prune func(b *bench, move *jobs.Job) []*jobs.Job
		runs  []string // before those of the items
	}{
		"in a step of its own": {func(_ *bench, move *jobs.Job) []*jobs.Job {
			move.Steps = append(move.Steps, remove)
			return []*jobs.Job{move}
		}, nil},
		"later": {func(b *bench, move *jobs.Job) []*jobs.Job {
			later := b.job("later", "30 1 * * *")
			later.Steps = []jobs.Step{{Prune: &jobs.Prune{Of: []string{"runs"}, Jobs: []*jobs.Job{move}, EmptyFolders: true}}}
			return []*jobs.Job{move, later}
		}, []string{"later 2000-01-01T01:30:00Z succeeded"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/runs/run_1/a/b/c/x", "data/runs/run_1/y", "data/runs/run_2/x", "data/runs/run_2/left.tmp", "data/runs/run_3/a/x", "data/runs/run_4/x")
				if err := os.MkdirAll(filepath.Join(b.lab, "data/runs/run_3/was empty"), 0o755); err != nil {
					t.Fatal(err)
				}
				move := b.itemJob(func(j *jobs.Job) {
					j.ForEach.Folder, j.Receipts = "/data/runs/", true
					j.Steps[0].Transfer.Items[0].SourcePath = "/data/runs/{{ .Item.Name }}/"
					j.Steps[0].Transfer.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "*.tmp"}}
					j.Steps[0].Transfer.VerifyChecksum = true
				})
				p, came := b.process("one"), false
				p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
					if !strings.HasSuffix(r.URL.Path, "/rename") {
						return nil, nil
					}
					resp, err := send.RoundTrip(r)
					aside, _ := filepath.Glob(filepath.Join(b.lab, "data/runs/.pruned-*-run_4"))
					if len(aside) == 1 && !came { // by who had the folder open
						came = true
						b.plant(strings.TrimPrefix(aside[0], b.lab+"/")+"/late", "x")
					}
					return resp, err
				}
				p.serve(tt.prune(b, move)...)
				until(100 * time.Minute)
				p.stop()
				items := []string{"runs item:run_1 succeeded", "runs item:run_2 succeeded", "runs item:run_3 succeeded", "runs item:run_4 succeeded"}
				b.wantRuns(append(tt.runs, items...)...)
				want := []string{"data", "data/runs", "data/runs/run_2", "data/runs/run_3", "data/runs/run_3/was empty", "data/runs/run_4"}
				if d := cmp.Diff(want, b.folders()); d != "" {
					t.Errorf("folders (-want +got):\n%s", d)
				}
				b.wantLeft("data/a.txt", "data/runs/run_2/left.tmp", "data/runs/run_4/late")
			})
		})
	}
}

func TestFolderThatCannotBeDeletedGetsItsNameBack(t *testing.T) {
	fail := func(f globussim.Fault) func(*bench) {
		f.Path, f.Times = deletePath, -1
		return func(b *bench) { b.Fail(f) }
	}
	for name, tt := range map[string]struct {
		meet func(*bench)
		want ledger.State
	}{
		"Globus refuses it":       {fail(globussim.Fault{Status: 403, Code: "PermissionDenied"}), ledger.Failed},
		"its task fails":          {func(b *bench) { b.disturb(globussim.Disturbance{Action: globussim.FailTask}) }, ledger.Failed},
		"another task is at work": {fail(globussim.Fault{Status: 409, Code: "ClientError.Conflict"}), ledger.Skipped},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/e/x", "data/f/y")
				p, met := b.process("one"), false
				p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
					if strings.HasSuffix(r.URL.Path, "/rename") && !met {
						met = true
						tt.meet(b)
					}
					return nil, nil
				}
				if r, err := p.record(t.Context(), b.order(removes)); err != nil || r.State != tt.want {
					t.Errorf("got %+v, %v", r, err)
				}
				if d := cmp.Diff([]string{"data", "data/e", "data/f"}, b.folders()); d != "" {
					t.Errorf("folders (-want +got):\n%s", d)
				}
				b.wantLeft()
			})
		})
	}
}

func TestKilledPruneLeavesNoFolderAside(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n, over := 0, false; !over; n++ {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/e/x", "data/f/y")
				o := b.order(removes)
				one := b.process("one")
				var mu sync.Mutex // some requests are sent at the same time
				since := -1       // requests since the first folder was set aside
				reached := func(r *http.Request) bool {
					mu.Lock()
					defer mu.Unlock()
					if since >= 0 || is(r, "POST", "/v0.10/operation/*") {
						since++
					}
					return since == n
				}
				one.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
					if !reached(r) {
						return nil, nil
					}
					if after {
						if resp, err := send.RoundTrip(r); err == nil {
							_ = resp.Body.Close() // nobody reads it
						}
					}
					one.die()
					return nil, errKilled
				}
				r, err := one.record(t.Context(), o)
				if over = !one.dead.Load(); over {
					if err != nil || r.State != ledger.Succeeded || n < 5 {
						t.Errorf("got %+v, %v after %d requests", r, err, n)
					}
					return
				}
				time.Sleep(time.Hour)
				b.process("two").wantRun(o, ledger.Succeeded)
				b.wantLeft()
				if got := b.folders(); len(got) != 1 {
					t.Errorf("killed at request %d (after it: %t): %v are left", n, after, got)
				}
			})
			if t.Failed() {
				return
			}
		}
	}
}

func TestCopyThatIsTheFileItselfProvesNothing(t *testing.T) {
	same := func(cfg *globussim.Config) { // two collections show one disk
		cfg.Collections = append(cfg.Collections, globussim.Collection{Name: "same", Dir: cfg.Collections[0].Dir})
	}
	showsAPart := func(cfg *globussim.Config) {
		part := filepath.Join(cfg.Collections[0].Dir, "data")
		if err := os.MkdirAll(part, 0o755); err != nil {
			t.Fatal(err)
		}
		cfg.Collections = append(cfg.Collections, globussim.Collection{Name: "part", Dir: part})
	}
	move := func(preserve bool, edits ...func(*transfer.Transfer)) func(*jobs.Job) {
		return func(j *jobs.Job) {
			handsOver(j)
			doc := provable("/data/", "same")
			doc.SyncLevel, doc.PreserveTimestamp = new(transfer.SyncChecksum), preserve
			for _, edit := range edits {
				edit(doc)
			}
			j.Steps[0].Transfer = doc
		}
	}
	all := func(doc *transfer.Transfer) { doc.SyncLevel = nil }
	noFolder := func(b *bench) {
		b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID("lab") + "/mkdir", Times: -1, Status: 403, Code: "EndpointPermissionDenied"})
	}
	t.Run("times are not kept", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt", "data/b.txt", "data/c.txt")
			p := b.process("one")
			r := p.wantRun(b.order(move(false)), ledger.Succeeded)
			b.wantLeft("data/a.txt", "data/b.txt", "data/c.txt")
			contains(t, p.pruned(r.Run), "0 files deleted, 3 kept (3: "+string(proof.MaybeSame)+")")
		}, same)
	})
	for name, edits := range map[string][]func(*transfer.Transfer){"times are kept": nil, "times are kept, and all is copied": {all}} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt", "data/b.txt", "data/c.txt")
				r := b.process("one").wantRun(b.order(move(true, edits...)), ledger.Failed)
				b.wantLeft("data/a.txt", "data/b.txt", "data/c.txt")
				contains(t, failure(t, r, fault.Guard).Message,
					"/data/a.txt on collection "+globussim.CollectionID("same")+" is /data/a.txt on collection "+globussim.CollectionID("lab")+" itself")
				if got := b.folders(); len(got) != 1 {
					t.Errorf("%v are left", got)
				}
			}, same)
		})
		t.Run(name+", and no folder can be made", func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt", "data/b.txt", "data/c.txt")
				noFolder(b)
				r := b.process("one").wantRun(b.order(move(true, edits...)), ledger.Failed)
				b.wantLeft("data/b.txt", "data/c.txt") // one had to go to find out
				contains(t, r.Err.Error(), "/data/a.txt on collection "+globussim.CollectionID("same")+" vanished, or was replaced, after the prune deleted /data/a.txt on collection "+globussim.CollectionID("lab"))
			}, same)
		})
	}
	t.Run("times are kept, and another file comes in its place", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt", "data/b.txt", "data/c.txt")
			p := b.process("one")
			noFolder(b)
			deletes := 0
			p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				switch {
				case is(r, "POST", deletePath):
					deletes++
				case deletes > 0 && strings.HasSuffix(r.URL.Path, "/stat"):
					b.plant("data/a.txt", "new")
				}
				return nil, nil
			}
			p.wantRun(b.order(move(true)), ledger.Failed)
			b.wantLeft("data/a.txt", "data/b.txt", "data/c.txt")
			if deletes != 1 {
				t.Errorf("%d lists were sent", deletes)
			}
		}, same)
	})
	t.Run("one of two ways leads to the file itself", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a/x", "data/b/x")
			r := b.process("one").wantRun(b.order(move(true, func(doc *transfer.Transfer) {
				doc.Items = []transfer.Item{{SourcePath: "/data/a/", DestinationPath: "/copy/"}, {SourcePath: "/data/b/", DestinationPath: "/data/b/"}}
			})), ledger.Failed)
			contains(t, failure(t, r, fault.Guard).Message, "/data/b/x on collection "+globussim.CollectionID("same")+" is /data/b/x")
			if !slices.Contains(b.left(), "data/b/x") {
				t.Error("the file is lost")
			}
		}, same)
	})
	t.Run("a folder that shows a part of the other collection", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a/x", "data/b/x")
			r := b.process("one").wantRun(b.order(move(true, func(doc *transfer.Transfer) {
				doc.DestinationEndpoint = globussim.CollectionID("part")
				doc.Items = []transfer.Item{{SourcePath: "/data/a/", DestinationPath: "/copy/"}, {SourcePath: "/data/b/", DestinationPath: "/b/"}}
			})), ledger.Failed)
			contains(t, failure(t, r, fault.Guard).Message, "/b/x on collection "+globussim.CollectionID("part")+" is /data/b/x")
			if !slices.Contains(b.left(), "data/b/x") {
				t.Error("the file is lost")
			}
		}, showsAPart)
	})
	t.Run("a folder of which the other collection shows a part", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a/x", "data/b/x")
			r := b.process("one").wantRun(b.order(move(true, func(doc *transfer.Transfer) {
				doc.SourceEndpoint, doc.DestinationEndpoint = globussim.CollectionID("part"), globussim.CollectionID("lab")
				doc.Items = []transfer.Item{{SourcePath: "/a/", DestinationPath: "/copy/"}, {SourcePath: "/b/", DestinationPath: "/data/b/"}}
			})), ledger.Failed)
			contains(t, failure(t, r, fault.Guard).Message, "/data/b/x on collection "+globussim.CollectionID("lab")+" is /b/x")
			if !slices.Contains(b.left(), "data/b/x") {
				t.Error("the file is lost")
			}
		}, showsAPart)
	})
	t.Run("the folder beside it cannot be looked for", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt", "data/b.txt", "data/c.txt")
			p := b.process("one")
			p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/mkdir") {
					b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID("same") + "/stat", Times: 1, Status: 403, Code: "EndpointPermissionDenied"})
				}
				return nil, nil
			}
			p.wantRun(b.order(move(true)), ledger.Failed)
			b.wantLeft("data/b.txt", "data/c.txt") // one had to go to find out
		}, same)
	})
	t.Run("a link on the same collection leads to it", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt", "data/b.txt", "data/c.txt")
			if err := os.Symlink("data", filepath.Join(b.lab, "link")); err != nil {
				t.Fatal(err)
			}
			b.process("one").wantRun(b.order(move(true, func(doc *transfer.Transfer) {
				doc.DestinationEndpoint, doc.Items[0].DestinationPath = globussim.CollectionID("lab"), "/link/"
			})), ledger.Failed)
			b.wantLeft("data/b.txt", "data/c.txt") // one had to go to find out
		})
	})
	t.Run("it was copied to another name on the same disk", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt")
			b.process("one").wantRun(b.order(move(true, all, func(doc *transfer.Transfer) {
				doc.Items = []transfer.Item{{SourcePath: "/data/a.txt", DestinationPath: "/data/z.txt"}}
			})), ledger.Succeeded)
			b.wantLeft("data/z.txt")
		}, same)
	})
	t.Run("it is another disk", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt", "data/b.txt", "data/c.txt")
			p := b.process("one")
			p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
			p.wantRun(b.order(func(j *jobs.Job) {
				handsOver(j)
				j.Name = "again" // it finds everything equal
				j.Steps[0].Transfer.SyncLevel = new(transfer.SyncChecksum)
			}), ledger.Succeeded)
			b.wantLeft()
		})
	})
}

// A start that does not wait for its lists waits for what tells whether a copy is the
// file itself.
func TestPruneThatDoesNotWaitStillSeesWhetherACopyIsTheFileItself(t *testing.T) {
	tests := map[string]struct {
		collection, to string
		noFolder       bool
		failed         bool
		left           []string
	}{
		"it is":                                {"same", "/data/", false, true, []string{"data/a.txt", "data/b.txt", "data/c.txt"}},
		"it is, and no folder can be made":     {"same", "/data/", true, true, []string{"data/b.txt", "data/c.txt"}}, // one had to go to find out
		"it is not":                            {"vault", "/copy/", false, false, nil},
		"it is not, and no folder can be made": {"vault", "/copy/", true, false, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt", "data/b.txt", "data/c.txt")
				if tt.noFolder {
					b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID("lab") + "/mkdir", Times: -1, Status: 403, Code: "EndpointPermissionDenied"})
				}
				p := b.process("one")
				doc := provable(tt.to, tt.collection)
				doc.PreserveTimestamp, doc.SyncLevel = true, new(transfer.SyncChecksum)
				p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(doc) }), ledger.Succeeded)
				o := b.order(expires(func(p *jobs.Prune) { p.Jobs = copying(tt.to, tt.collection) }))
				o.NoWait = true
				r, err := p.record(t.Context(), o)
				switch {
				case tt.failed && err == nil:
					contains(t, failure(t, r, fault.Guard).Message, "show the same disk")
				case err != nil || r.State != ledger.Submitted:
					t.Errorf("got %+v, %v, want a run that is submitted", r, err)
				}
				for starts := 1; !r.State.Final(); starts++ {
					if time.Sleep(time.Hour); starts > 4 {
						t.Fatalf("it does not end: %+v", r)
					}
					if r, err = p.record(t.Context(), o); err != nil {
						t.Fatal(err)
					}
				}
				b.wantLeft(tt.left...)
				if got := b.folders(); len(got) != 1 {
					t.Errorf("%v are left", got)
				}
			}, func(cfg *globussim.Config) {
				cfg.Collections = append(cfg.Collections, globussim.Collection{Name: "same", Dir: cfg.Collections[0].Dir})
			})
		})
	}
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
