package engine_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

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
	to := func(collection string) func(*transfer.Transfer) {
		return func(doc *transfer.Transfer) { doc.DestinationEndpoint = globussim.CollectionID(collection) }
	}
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
	t.Run("no folder can be made, and it cannot be looked for", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt", "data/b.txt", "data/c.txt")
			noFolder(b)
			p, met := b.process("one"), false
			p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/mkdir") && !met {
					met = true
					b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID("lab") + "/stat", Times: 1, Status: 403, Code: "EndpointPermissionDenied"})
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
			b.sow("data/a.txt", "data/b.txt")
			b.process("one").wantRun(b.order(move(true, all, func(doc *transfer.Transfer) {
				doc.Items = []transfer.Item{{SourcePath: "/data/a.txt", DestinationPath: "/data/z.txt"}, {SourcePath: "/data/b.txt", DestinationPath: "/data/y.txt"}}
			})), ledger.Succeeded)
			b.wantLeft("data/y.txt", "data/z.txt")
			if n := b.requests("POST /v0.10/delete"); n != 1 {
				t.Errorf("%d lists were sent, although nothing could be the file itself", n)
			}
		}, same)
	})
	t.Run("the file that is to be deleted alone changes before that", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt", "data/b.txt", "data/c.txt")
			noFolder(b)
			sent := map[string][]string{}
			p, probed := b.process("one"), false
			p.watchDeletes(sent, func() {})
			watch := p.answer
			p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/mkdir"):
					probed = true
				case probed && is(r, "GET", idPath):
					b.plant("data/a.txt", "changed")
				}
				return watch(r, send)
			}
			p.wantRun(b.order(move(true, all, to("vault"))), ledger.Succeeded)
			b.wantLeft("data/a.txt")
			var lists [][]string
			for _, paths := range sent {
				lists = append(lists, paths)
			}
			if len(lists) != 2 || len(lists[0]) != 1 || len(lists[1]) != 1 {
				t.Errorf("sent %v, want that the next file is deleted alone", lists)
			}
		})
	})
	t.Run("a file that needs no trial is not deleted with the one that is tried", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt", "data/b.txt")
			noFolder(b)
			p := b.process("one")
			p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
				if !is(r, "POST", deletePath) {
					return nil, nil
				}
				if err := os.Remove(filepath.Join(b.vault, "data/a.txt")); err != nil {
					return nil, err
				}
				return send.RoundTrip(r)
			}
			r := p.wantRun(b.order(func(j *jobs.Job) {
				handsOver(j)
				var copies []jobs.Step
				for name, preserve := range map[string]bool{"a.txt": true, "b.txt": false} {
					doc := provable("/data/", "vault")
					doc.Items = []transfer.Item{{SourcePath: "/data/" + name, DestinationPath: "/data/" + name}}
					doc.PreserveTimestamp, doc.SyncLevel = preserve, new(transfer.SyncChecksum)
					copies = append(copies, jobs.Step{Transfer: doc})
				}
				j.Steps = append(copies, j.Steps[1:]...)
			}), ledger.Failed)
			contains(t, failure(t, r, fault.Guard).Message, "/data/a.txt on collection "+globussim.CollectionID("vault")+" vanished")
			b.wantLeft("data/b.txt")
		})
	})
	t.Run("it is another disk", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/a.txt", "data/b.txt", "data/s/c.txt")
			p := b.process("one")
			p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
			p.wantRun(b.order(func(j *jobs.Job) {
				handsOver(j)
				j.Name = "again" // it finds everything equal
				j.Steps[0].Transfer.SyncLevel = new(transfer.SyncChecksum)
			}), ledger.Succeeded)
			b.wantLeft()
			if n := b.requests("POST /v0.10/operation/endpoint/{id}/mkdir"); n != 1 {
				t.Errorf("%d folders were made to see that, want one for both collections", n)
			}
			if n := b.requests("POST /v0.10/delete"); n != 2 {
				t.Errorf("%d lists were sent, want that folder and all files", n)
			}
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
