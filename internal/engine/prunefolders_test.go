package engine_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

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

// The folder that a job copies is there for what comes next.
func TestPruneKeepsTheFolderThatWasCopiedAsAWhole(t *testing.T) {
	items := func(folder, collection string) *jobs.Job {
		return &jobs.Job{Name: "runs", ItemsOf: "runs", Items: &jobs.ForEach{Kind: jobs.FolderItems, Collection: globussim.CollectionID(collection), Folder: folder}}
	}
	for name, others := range map[string][]*jobs.Job{
		"of one job":                                 nil,
		"and another job has items below it":         {items("/data/runs/", "lab")},
		"and such a folder is an item elsewhere":     {items("/", "store")},
		"and another job has items of the same name": {items("/data/", "lab"), items("/other/", "lab")},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/e/x", "data/y")
				p := b.process("one")
				p.wantRun(b.order(accounted, func(j *jobs.Job) { j.Steps = jobs.Single(provable("/copy/", "vault")) }), ledger.Succeeded)
				time.Sleep(time.Hour)
				p.wantRun(b.order(expires(func(p *jobs.Prune) { p.EmptyFolders, p.Jobs = true, append(p.Jobs, others...) })), ledger.Succeeded)
				b.wantLeft()
				if d := cmp.Diff([]string{"data"}, b.folders()); d != "" {
					t.Errorf("folders (-want +got):\n%s", d)
				}
			})
		})
	}
}

func TestPruneRemovesFoldersOnTheCollectionOfEach(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/e/x")
		there := filepath.Join(b.store, "data", "f")
		if err := os.MkdirAll(there, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(there, "y"), []byte("y"), 0o644); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		second := provable("/other/", "vault")
		second.SourceEndpoint = globussim.CollectionID("store")
		b.process("one").wantRun(b.order(removes, func(j *jobs.Job) {
			j.Steps = []jobs.Step{j.Steps[0], {Transfer: second}, j.Steps[1]}
		}), ledger.Succeeded)
		if d := cmp.Diff([]string{"data"}, b.folders()); d != "" {
			t.Errorf("folders (-want +got):\n%s", d)
		}
		if left, err := os.ReadDir(filepath.Dir(there)); err != nil || len(left) != 0 {
			t.Errorf("got %v, %v, want the folder removed from the other collection as well", left, err)
		}
	})
}

func TestFolderThatCannotBeRenamedStays(t *testing.T) {
	renames := "/v0.10/operation/endpoint/" + globussim.CollectionID("lab") + "/rename"
	t.Run("it was not renamed", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/e/x", "data/f/y")
			b.Fail(globussim.Fault{Path: renames, Times: 1, Status: 403, Code: "EndpointPermissionDenied"})
			p := b.process("one")
			r := p.wantRun(b.order(removes), ledger.Succeeded)
			if d := cmp.Diff([]string{"data", "data/e"}, b.folders()); d != "" {
				t.Errorf("folders (-want +got):\n%s", d)
			}
			contains(t, b.log.String(), "an empty folder stays, because it cannot be renamed")
			contains(t, p.pruned(r.Run), "3 files deleted, 1 empty folder removed")
		})
	})
	t.Run("it is not known whether it was", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.sow("data/e/x")
			p, lost := b.process("one"), false
			p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
				if lost || !strings.HasSuffix(r.URL.Path, "/rename") {
					return nil, nil
				}
				lost = true
				resp, err := send.RoundTrip(r)
				if err == nil {
					_ = resp.Body.Close() // it is lost
				}
				b.Fail(
					globussim.Fault{Path: renames, Times: 1, Status: 403, Code: "EndpointPermissionDenied"},
					globussim.Fault{Path: strings.Replace(renames, "rename", "stat", 1), Times: 1, Status: 403, Code: "EndpointPermissionDenied"},
				)
				return send.RoundTrip(r)
			}
			r := p.wantRun(b.order(removes), ledger.Failed)
			contains(t, r.Err.Error(), "see whether /data/e was renamed")
			if d := cmp.Diff([]string{"data", "data/e"}, b.folders()); d != "" {
				t.Errorf("folders (-want +got):\n%s", d)
			}
		})
	})
}

// A folder that was set aside never replaces one that has come into its place.
func TestAFolderThatCannotHaveItsNameBackStaysAside(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/e/x")
		p, came := b.process("one"), false
		p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
			if !strings.HasSuffix(r.URL.Path, "/rename") || came {
				return nil, nil
			}
			came = true
			resp, err := send.RoundTrip(r)
			b.plant("data/.pruned-1-e/came", "x") // by who had the folder open
			b.plant("data/e/new", "x")
			return resp, err
		}
		p.wantRun(b.order(removes), ledger.Succeeded)
		b.wantLeft("data/.pruned-1-e/came", "data/e/new")
		contains(t, b.log.String(), `"a folder that was set aside stays, and there is another one in its place: check both"`, `"something came into it"`)
	})
}

// It is not known that a rename is done by the account that was chosen.
func TestFoldersOfAChosenAccountAreNotSetAside(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.sow("data/e/x")
		p := b.process("one")
		p.wantRun(b.order(removes, func(j *jobs.Job) { j.Steps[0].Transfer.SourceLocalUser = "somebody" }), ledger.Succeeded)
		b.wantLeft()
		if n := b.requests("POST /v0.10/operation/endpoint/{id}/rename"); n != 0 || len(b.folders()) != 2 {
			t.Errorf("%d folders were renamed, and %v are left", n, b.folders())
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
