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

// mirrors makes a job a mirror of one item.
func mirrors(src, dst string, edits ...func(*jobs.Job, *transfer.Transfer)) func(*jobs.Job) {
	return func(j *jobs.Job) {
		doc := copyOf(src, dst)
		doc.DeleteDestinationExtra = true
		j.Steps = jobs.Single(doc)
		for _, edit := range edits {
			edit(j, doc)
		}
	}
}

// excludes adds a filter rule.
func excludes(kind, name string) func(*jobs.Job, *transfer.Transfer) {
	return func(_ *jobs.Job, doc *transfer.Transfer) {
		doc.FilterRules = append(doc.FilterRules, transfer.FilterRule{Method: "exclude", Type: kind, Name: name})
	}
}

func deletesAtMost(m jobs.MaxDelete) func(*jobs.Job, *transfer.Transfer) {
	return func(j *jobs.Job, _ *transfer.Transfer) { j.Guard.MaxDelete = m }
}

func recursively(_ *jobs.Job, doc *transfer.Transfer) { doc.Items[0].Recursive = new(true) }

func ifMissing(_ *jobs.Job, doc *transfer.Transfer) { doc.SyncLevel = new(transfer.SyncExists) }

func bySize(_ *jobs.Job, doc *transfer.Transfer) { doc.SyncLevel = new(transfer.SyncSize) }

func linksAre(what string) func(*jobs.Job, *transfer.Transfer) {
	return func(_ *jobs.Job, doc *transfer.Transfer) { doc.RecursiveSymlinks = what }
}

func allowEmpty(j *jobs.Job, _ *transfer.Transfer) { j.Guard.AllowEmptySource = true }

// looksAt bounds how many folders are looked at.
func looksAt(n int) func(*jobs.Job, *transfer.Transfer) {
	return func(j *jobs.Job, _ *transfer.Transfer) { j.Guard.Look = n }
}

// plantVault writes files of the vault, each below /copy/.
func (b *bench) plantVault(names ...string) {
	b.t.Helper()
	for _, name := range names {
		full := filepath.Join(b.vault, "copy", name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte("old"), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}

// wantRefused checks that the guard refused, and that nothing was submitted.
func (b *bench) wantRefused(t *testing.T, r *engine.Result, parts ...string) {
	t.Helper()
	f := failure(t, r, fault.Guard)
	contains(t, f.Message, parts...)
	if r.State != ledger.Failed || r.Attempt != 0 || b.requests("GET /v0.10/submission_id") != 0 {
		t.Errorf("got %+v, want state failed and nothing submitted", r)
	}
	b.wantTasks()
}

func TestMirrorOfAnEmptySourceIsRefused(t *testing.T) {
	tests := map[string]struct {
		edit    func(*jobs.Job)
		refused []string // parts of the message; empty if it is not refused
	}{
		"empty folder":                 {mirrors("/empty/", "/copy/"), []string{"the source /empty/ is empty", "everything below /copy/, 2 files (/copy/a.txt, /copy/old)", "--allow-empty-source"}},
		"empty folder without slash":   {mirrors("/empty", "/copy/"), []string{"the source /empty is empty"}},
		"empty folder by flag":         {mirrors("/empty", "/copy", recursively), []string{"the source /empty is empty"}},
		"into nothing":                 {mirrors("/empty/", "/new/"), []string{"everything below /new/; fill it"}},
		"empty folder is allowed":      {mirrors("/empty/", "/copy/", allowEmpty), nil},
		"allowed, but not that much":   {mirrors("/empty/", "/copy/", allowEmpty, deletesAtMost("0")), nil}, // it was allowed to lose all
		"folder with a hidden file":    {mirrors("/hidden/", "/new/"), nil},
		"folder with a file":           {mirrors("/data/", "/copy/"), nil},
		"file further down":            {mirrors("/deep/", "/new/"), nil},
		"folders without files":        {mirrors("/hollow/", "/copy/"), []string{"the source /hollow/ is empty"}},
		"folders, and links are kept":  {mirrors("/hollow/", "/copy/", linksAre("keep")), []string{"the source /hollow/ is empty"}},
		"an excluded folder alone":     {mirrors("/disk/", "/copy/", excludes("dir", "lost+found")), []string{"no file that the filter rules let through", "2 files"}},
		"an excluded file alone":       {mirrors("/data/", "/copy/", excludes("file", "*.txt")), []string{"no file that the filter rules let through"}},
		"a folder that a rule lets in": {mirrors("/disk/", "/new/", excludes("file", "lost+found")), nil},
		"a link alone":                 {mirrors("/linked/", "/copy/"), []string{"the source /linked/ is empty"}},
		"a link that is kept":          {mirrors("/linked/", "/copy/", linksAre("keep"), deletesAtMost("none")), nil},
		"a link that is followed":      {mirrors("/linked/", "/copy/", linksAre("copy"), deletesAtMost("none")), nil},
		"nothing is deleted":           {paths("/empty/", "/copy/"), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				for _, name := range []string{"empty/gone", "hollow/in/side/gone"} {
					b.plant(name, "")
					b.remove(name)
				}
				b.plant("hidden/.keep", "")
				b.plant("deep/er/and/deeper", "")
				b.plant("disk/lost+found/1", "")
				b.plant("linked/gone", "")
				b.remove("linked/gone")
				if err := os.Symlink("../data/a.txt", filepath.Join(b.lab, "linked/a.txt")); err != nil {
					t.Fatal(err)
				}
				b.plantVault("a.txt", "old")
				o := b.order(tt.edit)
				if tt.refused == nil {
					if r := b.run(t.Context(), o); r.State != ledger.Succeeded || r.Err != nil {
						t.Errorf("got %+v, want success", r)
					}
					return
				}
				b.wantRefused(t, b.run(t.Context(), o), tt.refused...)
			})
		})
	}
}

func TestMirrorOfAFileHasNoFolderToGuard(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("none.txt", "")
		r := b.run(t.Context(), b.order(mirrors("/none.txt", "/none.txt")))
		if r.State != ledger.Succeeded || r.Err != nil {
			t.Errorf("got %+v, want success", r)
		}
		if n := b.requests("GET /v0.10/operation/endpoint/{id}/ls"); n != 0 {
			t.Errorf("%d folders were listed", n)
		}
	})
}

func TestTransferThatDeletesNothingCostsNoListing(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		r := b.run(t.Context(), b.order())
		if routes := b.State().Routes; r.Err != nil || r.Deleted() != nil || routes["GET /v0.10/operation/endpoint/{id}/ls"]+routes["GET /v0.10/operation/endpoint/{id}/stat"] != 0 {
			t.Errorf("got %+v after %v", r, routes)
		}
	})
}

func TestMirrorThatDeletesTooMuchIsRefused(t *testing.T) {
	tests := map[string]struct {
		edit    func(*jobs.Job)
		vault   []string
		refused []string // parts of the message; nil if it is not refused
		deletes string
	}{
		"half of the files": {mirrors("/data/", "/copy/"), []string{"a.txt", "b"}, nil, "1"},
		"more than half": {
			mirrors("/data/", "/copy/"),
			[]string{"a.txt", "b", "c/d", "c/e", "f"},
			[]string{"mirroring /data/ to /copy/ would delete 4 of 5 files", "(/copy/b, /copy/f, /copy/c/d and 1 more)", "max_delete allows (50%)", "swapped", "--max-delete 4 for one run)"},
			"",
		},
		"more than half, allowed":      {mirrors("/data/", "/copy/", deletesAtMost("none")), []string{"b", "c/d"}, nil, "2"},
		"more than a number":           {mirrors("/data/", "/copy/", deletesAtMost("1")), []string{"a.txt", "b", "c", "d"}, []string{"would delete 3 of 4 files", "(1)"}, ""},
		"no more than a number":        {mirrors("/data/", "/copy/", deletesAtMost("3")), []string{"b", "c", "d"}, nil, "3"},
		"nothing there yet":            {mirrors("/data/", "/copy/", deletesAtMost("0")), nil, nil, "0"},
		"excluded files stay":          {mirrors("/data/", "/copy/", excludes("file", "*.tmp")), []string{"a.txt", "1.tmp", "2.tmp", "3.tmp"}, nil, "0"},
		"but not with their folder":    {mirrors("/data/", "/copy/", excludes("file", "*.tmp")), []string{"a.txt", "d/1.tmp", "d/2.tmp"}, []string{"would delete 2 of 3 files"}, ""},
		"a file in place of a folder":  {mirrors("/data/", "/copy/"), []string{"a.txt/1", "a.txt/2"}, []string{"would delete 2 of 2 files"}, ""},
		"a link keeps what is there":   {mirrors("/data/", "/copy/"), []string{"a.txt", "link", "link2/x", "link2/y"}, nil, "0"},
		"files without content":        {mirrors("/full/", "/copy/"), []string{"a", "b", "c", "d"}, []string{"would delete 1 and empty 2 of 4 files at the destination (/copy/a, /copy/b, /copy/d)", "max_delete: 3"}, ""},
		"by what is compared":          {mirrors("/full/", "/copy/", bySize), []string{"a", "b", "c", "d"}, []string{"would delete 1 and empty 2 of 4 files at the destination"}, ""},
		"of which the copies stay":     {mirrors("/full/", "/copy/", ifMissing), []string{"a", "b", "c", "d"}, nil, "1"},
		"an allowed empty source":      {mirrors("/empty/", "/copy/", allowEmpty), []string{"a", "b"}, nil, "2"},
		"empty folders are not files":  {mirrors("/data/", "/copy/", deletesAtMost("0")), []string{"a.txt", "void/"}, nil, "0"},
		"source errors delete nothing": {mirrors("/data/", "/copy/", deletesAtMost("none"), skips), []string{"b"}, nil, "0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.plant("empty/gone", "")
				b.remove("empty/gone")
				b.plant("full/a", "")
				b.plant("full/b", "")
				b.plant("full/c", "x")
				for _, name := range []string{"link", "link2"} {
					if err := os.Symlink("a.txt", filepath.Join(b.lab, "data", name)); err != nil {
						t.Fatal(err)
					}
				}
				b.plantVault("gone")
				for _, name := range tt.vault {
					if name == "void/" {
						b.plantVault("void/gone")
						_ = os.Remove(filepath.Join(b.vault, "copy/void/gone"))
						continue
					}
					b.plantVault(name)
				}
				_ = os.Remove(filepath.Join(b.vault, "copy/gone"))
				r := b.run(t.Context(), b.order(tt.edit))
				if tt.refused != nil {
					b.wantRefused(t, r, tt.refused...)
					return
				}
				if d := r.Deleted(); r.State != ledger.Succeeded || d == nil || d.String() != tt.deletes {
					t.Fatalf("got %+v and deletes %v, want success and %s", r, d, tt.deletes)
				}
			})
		})
	}
}

// skips adds an item that is missing, and allows that.
func skips(j *jobs.Job, doc *transfer.Transfer) {
	doc.Items = append(doc.Items, transfer.Item{SourcePath: "/missing.txt", DestinationPath: "/missing.txt", Recursive: new(false)})
	doc.SkipSourceErrors, j.AllowSkipped = true, true
}

func TestMirrorCountsOverAllItems(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("more/b", "")
		b.plantVault("1", "2", "../two/3", "../two/4")
		two := func(_ *jobs.Job, doc *transfer.Transfer) {
			doc.Items = append(doc.Items, transfer.Item{SourcePath: "/more/", DestinationPath: "/two/"}, transfer.Item{SourcePath: "/more/", DestinationPath: "/new/"})
		}
		b.wantRefused(t, b.run(t.Context(), b.order(mirrors("/data/", "/copy/", two))), "/data/ to /copy/, and 1 more like it, would delete 4 of 4 files", "(/copy/1, /copy/2, /two/3 and 1 more)")
	})
}

func TestMirrorWhoseDestinationCannotBeListedIsRefused(t *testing.T) {
	tests := map[string]struct {
		most     jobs.MaxDelete
		atSource string // a file that keeps the folder at the destination; may be empty
		refused  bool
	}{
		"the folder goes":                    {"50%", "", true},
		"the folder goes, and any may go":    {"none", "", false},
		"files in it may go":                 {"50%", "data/sub/y", true},
		"files in it may go, and any may go": {"none", "data/sub/y", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if tt.atSource != "" {
					b.plant(tt.atSource, "")
				}
				b.plantVault("a.txt", "sub/x")
				b.Fail(globussim.Fault{Path: listingsOf("vault"), Skip: 1, Status: 403, Code: "EndpointPermissionDenied"})
				r := b.run(t.Context(), b.order(mirrors("/data/", "/copy/", deletesAtMost(tt.most))))
				if tt.refused {
					b.wantRefused(t, r, "a folder at the destination cannot be listed: /copy/sub", "EndpointPermissionDenied", "exclude it by a filter rule")
				} else if d := r.Deleted(); r.Err != nil || d == nil || d.String() != "at least 0" {
					t.Errorf("got %+v and %v", r, d)
				}
			})
		})
	}
}

func TestMirrorLooksAtTheUpperLevelsOfManyFolders(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plantVault("a.txt", "top")
		for i := range 6 {
			name := fmt.Sprintf("%d/deep/x", i)
			b.plant("data/"+name, "")
			b.plantVault(name)
		}
		r := b.run(t.Context(), b.order(mirrors("/data/", "/copy/", looksAt(3))))
		if d := r.Deleted(); r.Err != nil || d == nil || d.String() != "at least 1" {
			t.Errorf("got %+v and %v, want success and at least 1", r, d)
		}
		contains(t, b.log.String(), "a part of the mirror was not compared", `"look":3`)
		if n := b.requests("GET /v0.10/operation/endpoint/{id}/ls"); n > 6 {
			t.Errorf("%d folders were listed", n)
		}
	})
}

func TestMirrorOfASourceThatDoesNotExistSaysSo(t *testing.T) {
	for name, edit := range map[string]func(*jobs.Job){
		"a folder":            mirrors("/none/", "/copy/"),
		"one by its flag":     mirrors("/none", "/copy", recursively),
		"one that may be any": mirrors("/none", "/copy"),
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.plantVault("a.txt")
				o := b.order(edit)
				r := b.run(t.Context(), o)
				want := fmt.Sprintf("the source %s does not exist on collection %s, and nothing was submitted; check that the path exists",
					o.Job.Steps[0].Transfer.Items[0].SourcePath, globussim.CollectionID("lab"))
				if f, ok := errors.AsType[*engine.Failure](r.Err); !ok || f.Kind != fault.Refused || r.State != ledger.Failed || !strings.HasPrefix(f.Error(), want) {
					t.Errorf("got %+v, want %q", r, want)
				}
				b.wantTasks()
			})
		})
	}
	onBench(t, func(t *testing.T, b *bench) { // the collection itself
		o := b.order(mirrors("/data/", "/copy/"))
		o.Job.Steps[0].Transfer.SourceEndpoint = "11111111-2222-4333-8444-555555555555"
		if r := b.run(t.Context(), o); r.Err == nil || strings.Contains(r.Err.Error(), "does not exist on collection") {
			t.Errorf("got %v, want that the collection does not exist", r.Err)
		}
	})
}

func TestMirrorOfASourceThatIsDownIsTriedLater(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plantVault("a.txt")
		if err := b.ChangeCollection(globussim.CollectionID("lab"), func(c *globussim.Condition) { c.Offline = true }); err != nil {
			t.Fatal(err)
		}
		r := b.run(t.Context(), b.order(mirrors("/data/", "/copy/")))
		if m := fault.Of(r.Err); r.Err == nil || m.Kind != fault.Temporary {
			t.Errorf("got %v, want a temporary error", r.Err)
		}
		b.wantTasks()
	})
}

func TestNumberOfDeletedFilesOutlivesTheStart(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plantVault("a.txt", "b", "c")
		b.stall()
		o := b.order(mirrors("/data/", "/copy/", deletesAtMost("2")))
		one := b.process("one")
		if r, err := one.record(b.signaled(time.Second), o); err != nil || r.State != ledger.Submitted || r.Deleted() != nil {
			t.Fatalf("got %+v, %v, want a run that is submitted", r, err)
		}
		one.kill()
		b.releaseAfter(time.Second)
		before := b.requests("GET /v0.10/operation/endpoint/{id}/ls")
		two := b.process("two")
		time.Sleep(time.Minute) // the lease of the first ends
		r, err := two.record(t.Context(), o)
		if err != nil || !r.Adopted || r.Deleted() == nil || r.Deleted().String() != "2" {
			t.Fatalf("got %+v, %v, want the task adopted and 2 files deleted", r, err)
		}
		if n := b.requests("GET /v0.10/operation/endpoint/{id}/ls") - before; n != 0 {
			t.Errorf("%d folders were listed again", n)
		}
		run, err := two.ledger.Run(t.Context(), r.Run)
		if err != nil || run.FilesDeleted != 2 {
			t.Errorf("the ledger has %+v, %v", run, err)
		}
	})
}

func TestMirrorOfMoreFoldersThanAreLookedAt(t *testing.T) {
	const listings = "GET /v0.10/operation/endpoint/{id}/ls"
	deep := func(b *bench) {
		for i := range 6 {
			b.plant(fmt.Sprintf("deep/%d/in/x", i), "")
		}
	}
	tests := map[string]struct {
		plant   func(b *bench)
		edit    func(*jobs.Job)
		refused string
		most    int // listings
	}{
		"its files may be further down": {deep, mirrors("/deep/", "/copy/", looksAt(3), deletesAtMost("none")), "", 16},
		"its files may be further down, below links": {
			func(b *bench) {
				deep(b)
				for i := range 5 {
					if err := os.Symlink("0", filepath.Join(b.lab, "deep", fmt.Sprint("link", i))); err != nil {
						b.t.Fatal(err)
					}
				}
			}, mirrors("/deep/", "/copy/", looksAt(3), deletesAtMost("none")), "", 16,
		},
		"an empty source is listed once": {
			func(b *bench) { b.plant("empty/gone", ""); b.remove("empty/gone") },
			mirrors("/empty/", "/copy/0/"), "the source /empty/ is empty", 2,
		},
		"an empty source, many folders at the destination": {
			func(b *bench) { b.plant("empty/gone", ""); b.remove("empty/gone"); b.plantVault("1/x", "2/x", "3/x") },
			mirrors("/empty/", "/copy/", looksAt(2)), "the source /empty/ is empty", 4,
		},
		"folders that the source lacks are looked at first": {
			func(b *bench) { b.plantVault("6/x", "7/x"); deep(b); b.plant("deep/a", "") },
			mirrors("/deep/", "/copy/", looksAt(3), deletesAtMost("1")), "would delete at least 2 of 2 files at the destination (/copy/6/x, /copy/7/x), more than max_delete allows (1); " +
				"check whether source and destination are swapped or the source is incomplete; to learn how many files it would be, look into more folders (guard: {look: 12}, or --look 12 for one run)", 8,
		},
		"more of them than are looked at": {
			func(b *bench) { b.plantVault("6/x", "7/x", "8/x", "9/x", "99/x"); deep(b); b.plant("deep/a", "") },
			mirrors("/deep/", "/copy/", looksAt(4)),
			"it is not known how many files mirroring /deep/ to /copy/ would delete: the source lacks 2 folders of the destination (the first is /copy/9), " +
				"more than guard.look (4) lets it look into", 8,
		},
		"more of them than are looked at, and no limit": {
			func(b *bench) { b.plantVault("6/x", "7/x", "8/x", "9/x"); deep(b); b.plant("deep/a", "") },
			mirrors("/deep/", "/copy/", looksAt(4), deletesAtMost("none")), "", 8,
		},
		"a source of empty folders": {
			func(b *bench) {
				deep(b)
				for i := range 6 {
					b.remove(fmt.Sprintf("deep/%d/in/x", i))
				}
			},
			mirrors("/deep/", "/copy/", looksAt(3), deletesAtMost("none")), "the source /deep/ is empty, as far as was looked (guard.look: 3), and mirroring it", 16,
		},
		"several items share what is looked at": {
			deep, mirrors("/deep/", "/copy/", looksAt(2), deletesAtMost("none"), func(_ *jobs.Job, doc *transfer.Transfer) {
				doc.Items[0].SourcePath, doc.Items[0].DestinationPath = "/deep/0/", "/copy/0/"
				doc.Items = append(doc.Items, transfer.Item{SourcePath: "/deep/1/", DestinationPath: "/copy/1/"}, transfer.Item{SourcePath: "/deep/2/", DestinationPath: "/copy/2/"})
			}), "", 11,
		},
		"several items share it, and the first needs all": {
			func(b *bench) { deep(b); b.plant("deep/a", ""); b.plantVault("../copy2/a", "../copy3/a", "../copy4/a") },
			mirrors("/deep/", "/copy/", looksAt(7), deletesAtMost("none"), func(_ *jobs.Job, doc *transfer.Transfer) {
				for _, to := range []string{"/copy2/", "/copy3/", "/copy4/"} {
					doc.Items = append(doc.Items, transfer.Item{SourcePath: "/deep/", DestinationPath: to})
				}
			}), "", 17,
		},
		"files that are gone from all but the first folders": {
			func(b *bench) {
				for i := range 30 {
					name := fmt.Sprintf("wide/%02d/", i)
					b.plant(name+"x", "x")
					b.plantVault(name + "x")
					if i >= 10 {
						b.remove(name + "x")
					}
				}
			},
			mirrors("/wide/", "/copy/wide/", looksAt(12)), "files at the destination (/copy/wide/", 24,
		},
		"the first file is enough if nothing is there": {
			func(b *bench) { b.plant("data/1/x", ""); deep(b); b.plant("deep/a", "") },
			mirrors("/deep/", "/new/"), "", 6,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.plantVault("0/x", "1/x", "2/x")
				tt.plant(b)
				r := b.run(t.Context(), b.order(tt.edit))
				if tt.refused != "" {
					b.wantRefused(t, r, tt.refused)
				} else if r.State != ledger.Succeeded || r.Err != nil {
					t.Errorf("got %+v, want success", r)
				}
				if n := b.requests(listings); n > tt.most {
					t.Errorf("%d folders were listed, at most %d are wanted", n, tt.most)
				}
			})
		})
	}
}

func TestMirrorOfAFolderInPlaceOfAFileDeletesTheFile(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("data/b/x", "")
		b.plantVault("a.txt", "b")
		r := b.run(t.Context(), b.order(mirrors("/data/", "/copy/")))
		if d := r.Deleted(); r.Err != nil || d == nil || d.String() != "1" {
			t.Errorf("got %+v and %v, want success and 1", r, d)
		}
	})
}

func TestMirrorWhoseListingBreaksOffIsTriedLater(t *testing.T) {
	for _, side := range []string{"lab", "vault"} {
		t.Run(side, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.plant("data/sub/x", "")
				b.plantVault("a.txt", "sub/x")
				b.Fail(globussim.Fault{
					Path: "/v0.10/operation/endpoint/" + globussim.CollectionID(side) + "/ls", Skip: 1, Times: -1,
					Status: 502, Code: "ExternalError.DirListingFailed.GCDisconnected",
				})
				r := b.run(t.Context(), b.order(mirrors("/data/", "/copy/", deletesAtMost("none"))))
				if m := fault.Of(r.Err); r.Err == nil || m.Kind != fault.Temporary {
					t.Errorf("got %v, want a temporary error", r.Err)
				}
				b.wantTasks()
			})
		})
	}
}

// A folder of the destination that goes while it is compared does not end the
// comparison: the others lose their files.
func TestMirrorIsComparedToItsEndThoughAFolderOfItGoes(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plantVault("0/x", "1/x", "2/x")
		p := b.process("one")
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if r.URL.Query().Get("path") == "/copy/0/" {
				return nil, os.RemoveAll(filepath.Join(b.vault, "copy/0"))
			}
			return nil, nil
		}
		r, err := p.record(t.Context(), b.order(mirrors("/data/", "/copy/", deletesAtMost("0"))))
		if err != nil {
			t.Fatal(err)
		}
		b.wantRefused(t, r, "would delete 2 of 2 files at the destination (/copy/1/x, /copy/2/x)")
	})
}

// listingsOf are the requests that list folders of a collection.
func listingsOf(collection string) string {
	return "/v0.10/operation/endpoint/" + globussim.CollectionID(collection) + "/ls"
}

func TestFileOfAMirrorIsLookedForWhereTheComparisonDidNot(t *testing.T) {
	denied := func(f globussim.Fault) globussim.Fault {
		f.Status, f.Code = 403, "EndpointPermissionDenied"
		return f
	}
	lab, vault := listingsOf("lab"), listingsOf("vault")
	const page, pages = 20_000, 6 // as many entries as a page may have, until there are too many
	full := func(path string, skip, folders int) globussim.Fault {
		return globussim.Fault{Path: path, Skip: skip, Times: folders * pages, Status: 200, Body: `{"total": 200000, "DATA": [` + strings.Repeat(`{"name":"x","type":"dir"},`, page-1) + `{"name":"x","type":"dir"}]}`}
	}
	tests := map[string]struct {
		edit    func(*jobs.Job)
		fault   globussim.Fault
		refused []string // parts of the message; nil if it is not refused
		waits   bool     // it is tried later
	}{
		"the source breaks off": {
			mirrors("/deep/", "/copy/", looksAt(3)),
			globussim.Fault{Path: lab, Skip: 4, Times: -1, Status: 502, Code: "ExternalError.DirListingFailed.GCDisconnected"},
			nil, true,
		},
		"the source cannot be read": {
			mirrors("/deep/", "/copy/", looksAt(3)), denied(globussim.Fault{Path: lab, Skip: 4, Times: -1}),
			[]string{"the source /deep/ has no file that can be seen (/deep/0: ", "EndpointPermissionDenied", "), as far as was looked (guard.look: 3), and", "; make its folders readable, or allow"},
			false,
		},
		"one of its folders cannot be read": {
			mirrors("/deep/", "/copy/", looksAt(4), deletesAtMost("none")), // with room for the next folder, whichever it is
			denied(globussim.Fault{Path: lab, Skip: 5, Times: 1}), nil, false,
		},
		"the destination cannot be read": {
			mirrors("/deep/", "/copy/"), denied(globussim.Fault{Path: vault, Times: -1}),
			[]string{"a folder at the destination cannot be listed: /copy/: "},
			false,
		},
		"the destination cannot be read, and the guard is off": {
			mirrors("/deep/", "/copy/", deletesAtMost("none")), denied(globussim.Fault{Path: vault, Times: -1}), nil, false,
		},
		"a folder of the destination goes meanwhile": {
			mirrors("/data/", "/copy/", deletesAtMost("0")),
			globussim.Fault{Path: vault, Skip: 1, Status: 404, Code: "ClientError.NotFound"},
			[]string{"would delete 1 of 1 file"},
			false,
		},
		"too many entries at the source": {
			mirrors("/deep/", "/copy/"), full(lab, 0, 2),
			[]string{"the source /deep/ has no file that can be seen (/deep/: the folder has more than 100000 entries), and"},
			false,
		},
		"too many entries at the destination": {
			mirrors("/deep/", "/copy/"), full(vault, 0, 1),
			[]string{"a folder at the destination cannot be listed: /copy/: the folder has more than 100000 entries"},
			false,
		},
		"too many entries in a folder that stays": {
			mirrors("/deep/", "/copy/", deletesAtMost("2")), full(vault, 1, 2), nil, false,
		},
		"too many entries in a folder that goes": {
			mirrors("/data/", "/copy/"), full(vault, 1, 2),
			[]string{"a folder at the destination cannot be listed: /copy/0: the folder has more than 100000 entries"},
			false,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.plantVault("0/x", "1/x")
				for i := range 6 {
					b.plant(fmt.Sprintf("deep/%d/in/x", i), "")
				}
				b.Fail(tt.fault)
				r := b.run(t.Context(), b.order(tt.edit))
				switch {
				case tt.refused != nil:
					b.wantRefused(t, r, tt.refused...)
				case tt.waits:
					if r.Err == nil || fault.Of(r.Err).Kind != fault.Temporary {
						t.Errorf("got %v, want a temporary error", r.Err)
					}
					b.wantTasks()
				case r.State != ledger.Succeeded || r.Err != nil:
					t.Errorf("got %+v, want success", r)
				}
			})
		})
	}
}
