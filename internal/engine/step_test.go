package engine_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
	"github.com/globus-runner/globus-runner/transfer"
)

// handOver makes a folder, copies to it, and deletes what was copied.
func handOver(folder string) func(*jobs.Job) {
	return func(j *jobs.Job) {
		j.Steps = []jobs.Step{
			{Mkdir: &jobs.Mkdir{Collection: globussim.CollectionID("vault"), Path: folder}},
			{Transfer: copyOf("/data/", folder)},
			{Delete: &transfer.Delete{
				Endpoint: globussim.CollectionID("lab"), Recursive: true,
				Items: []transfer.DeleteItem{{Path: "/data/"}},
			}},
		}
	}
}

func TestStepsAreDoneInOrder(t *testing.T) {
	for name, folder := range map[string]string{"folder": "/inbox/", "folders above it": "/a/b/c/inbox/", "folder that exists": "/there/"} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if err := os.Mkdir(filepath.Join(b.vault, "there"), 0o755); err != nil {
					t.Fatal(err)
				}
				r, err := b.process("one").record(t.Context(), b.order(handOver(folder)))
				if err != nil || r.State != ledger.Succeeded || len(r.Tasks) != 2 {
					t.Fatalf("got %+v, %v, want success with two tasks", r, err)
				}
				b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z s2", "SUCCEEDED nightly 2026-11-21T02:00:00Z s3")
				if _, err := os.Stat(filepath.Join(b.vault, folder, "a.txt")); err != nil {
					t.Errorf("the copy: %v", err)
				}
				if _, err := os.Stat(filepath.Join(b.lab, "data")); !os.IsNotExist(err) {
					t.Errorf("the original: %v, want it deleted", err)
				}
			})
		})
	}
}

func TestADeleteWithoutProofIsLogged(t *testing.T) {
	for _, unproven := range []bool{true, false} {
		onBench(t, func(t *testing.T, b *bench) {
			r, err := b.process("one").record(t.Context(), b.order(handOver("/inbox/"), func(j *jobs.Job) { j.Steps[2].Unproven = unproven }))
			if err != nil || r.State != ledger.Succeeded {
				t.Fatalf("got %+v, %v", r, err)
			}
			levels, want := b.log.values(t, "deletes without proof", "level"), []string(nil)
			if unproven {
				want = []string{"WARN"}
			}
			if d := cmp.Diff(want, levels, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("unproven: %t: levels (-want +got):\n%s", unproven, d)
			}
		})
	}
}

func TestFileInThePlaceOfAFolderIsAnError(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		if err := os.WriteFile(filepath.Join(b.vault, "inbox"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := b.process("one").record(t.Context(), b.order(handOver("/inbox/")))
		if err != nil || r.State != ledger.Failed || r.Err == nil || fault.Of(r.Err).Kind != fault.Refused {
			t.Fatalf("got %+v, %v, want a refused run", r, err)
		}
		contains(t, r.Err.Error(), "make the folder /inbox/: a file is there")
		b.wantTasks()
	})
}

func TestStepsGoOnWhereTheyWereCutOff(t *testing.T) {
	tests := map[string]struct {
		cut    cut
		mkdirs int // of both processes
	}{
		"after the mkdir, of which nothing is written down": {cut{method: "GET", path: idPath}, 2},
		"copying":                        {cut{method: "GET", path: "/v0.10/task/*"}, 1},
		"before the delete is submitted": {cut{method: "POST", path: "/v0.10/delete"}, 1},
		"answer to the delete is lost":   {cut{method: "POST", path: "/v0.10/delete", after: true}, 1},
		"deleting":                       {cut{method: "GET", path: "/v0.10/task/*", skip: 1}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				job := b.job("nightly", "0 2 * * *", handOver("/inbox/"))
				b.cutOff(job, tt.cut, 2*time.Hour)
				b.wantRuns("nightly 2000-01-01T02:00:00Z succeeded")
				b.wantTasks("SUCCEEDED nightly 2000-01-01T02:00:00Z s2", "SUCCEEDED nightly 2000-01-01T02:00:00Z s3")
				if n := b.requests("POST /v0.10/operation/endpoint/{id}/mkdir"); n != tt.mkdirs {
					t.Errorf("%d folders were made, want %d", n, tt.mkdirs)
				}
				if r := b.runs()[0]; r.Files != 1 || r.Step != 3 {
					t.Errorf("got %+v, want one file and step 3", r)
				}
			})
		})
	}
}

func TestStepThatFailsEndsTheRun(t *testing.T) {
	tests := map[string]struct {
		spoil func(b *bench)
		tasks []string
	}{
		"mkdir": {func(b *bench) {
			b.Fail(globussim.Fault{Method: "POST", Path: "/v0.10/operation/...", Status: 403, Code: "EndpointPermissionDenied"})
		}, nil},
		"transfer": {func(b *bench) { b.disturb(globussim.Disturbance{Action: globussim.FailTask}) }, []string{"FAILED nightly 2026-11-21T02:00:00Z s2"}},
		"delete is refused": {func(b *bench) {
			b.Fail(globussim.Fault{Method: "POST", Path: "/v0.10/delete", Status: 403, Code: "PermissionDenied"})
		}, []string{"SUCCEEDED nightly 2026-11-21T02:00:00Z s2"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				tt.spoil(b)
				r, err := b.process("one").record(t.Context(), b.order(handOver("/inbox/")))
				if err != nil || r.State != ledger.Failed || r.Err == nil {
					t.Errorf("got %+v, %v, want a failed run", r, err)
				}
				b.wantTasks(tt.tasks...)
				b.wantRuns("nightly 2026-11-21T02:00:00Z failed")
				if _, err := os.Stat(filepath.Join(b.lab, "data", "a.txt")); err != nil {
					t.Errorf("the original: %v, want it there", err)
				}
			})
		})
	}
}

// listed is a job with a manifest, three lines to a task.
func listed(base ...transfer.Item) func(*jobs.Job) {
	return func(j *jobs.Job) {
		doc := copyOf("", "")
		doc.Items = base
		j.Steps = []jobs.Step{{Transfer: doc, Manifest: "list.txt", ItemsPerTask: 3}}
	}
}

func TestManifestIsSplitIntoParts(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		var list strings.Builder
		for i := range 7 {
			b.plant(fmt.Sprintf("data/%d.txt", i), "x")
			fmt.Fprintf(&list, "%d.txt  sub/%d.txt\n\n# comment\n", i, i)
		}
		b.manifests = map[string]string{"list.txt": list.String()}
		p := b.process("one")
		r, err := p.record(t.Context(), b.order(listed(transfer.Item{SourcePath: "/data", DestinationPath: "/copy/"})))
		if err != nil || r.State != ledger.Succeeded || len(r.Tasks) != 3 {
			t.Fatalf("got %+v, %v, want success with three tasks", r, err)
		}
		b.wantTasks(
			"SUCCEEDED nightly 2026-11-21T02:00:00Z p1",
			"SUCCEEDED nightly 2026-11-21T02:00:00Z p2",
			"SUCCEEDED nightly 2026-11-21T02:00:00Z p3",
		)
		for i := range 7 {
			if _, err := os.Stat(filepath.Join(b.vault, fmt.Sprintf("copy/sub/%d.txt", i))); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestPartsOfAManifestGoOnWhereTheyWereCutOff(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("data/b.txt", "b")
		b.manifests = map[string]string{"list.txt": "/data/a.txt /1\n/data/b.txt /2\n/data/a.txt /3\n/data/a.txt /4\n"}
		job := b.job("nightly", "0 2 * * *", listed())
		one := b.process("one")
		one.at(cut{method: "POST", path: transferPath, skip: 1, after: true})
		one.serve(job)
		until(2*time.Hour + time.Minute)
		one.kill()
		two := b.process("two").serve(job)
		until(3 * time.Hour)
		two.stop()
		b.wantRuns("nightly 2000-01-01T02:00:00Z succeeded")
		b.wantTasks("SUCCEEDED nightly 2000-01-01T02:00:00Z p1", "SUCCEEDED nightly 2000-01-01T02:00:00Z p2")
		if r := b.runs()[0]; r.Files != 4 {
			t.Errorf("got %+v, want four files", r)
		}
	})
}

func TestManifestThatIsNoGoodSubmitsNothing(t *testing.T) {
	tests := map[string]struct {
		list string
		says string
	}{
		"not there":           {"", "manifest list.txt: "},
		"empty":               {"# nothing\n\n", "no line with paths"},
		"one path":            {"/a /b\n/c\n", "line 2: the destination is missing"},
		"relative":            {"\n\n/a b\n", `line 3: path "b" is not absolute`},
		"unknown option":      {"--delete /a /b\n", "line 1: unknown option --delete"},
		"late and twice":      {"/1 /c\n/2 /d\n/3 /e\n/4 /f\n/5 /c\n", "line 5: the destination /c is that of line 1 as well"},
		"leads up":            {"/a/../b /c\n", "line 1: path \"/a/../b\" has .. in it"},
		"quote is not closed": {"/a /b\n\n'/c /d\n", "line 3: the quote"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if tt.list != "" {
					b.manifests = map[string]string{"list.txt": tt.list}
				}
				r, err := b.process("one").record(t.Context(), b.order(listed()))
				if err != nil || r.State != ledger.Failed || r.Err == nil {
					t.Fatalf("got %+v, %v, want a failed run", r, err)
				}
				contains(t, r.Err.Error(), tt.says)
				if kind := fault.Of(r.Err).Kind; kind != fault.Usage {
					t.Errorf("got an error of kind %q, want %q", kind, fault.Usage)
				}
				b.wantTasks()
				b.wantRuns("nightly 2026-11-21T02:00:00Z failed")
			})
		})
	}
}

// lines is a manifest of n lines that exists nowhere.
type lines struct{ n, line, used int }

func (l *lines) Read(p []byte) (int, error) {
	read := 0
	for read < len(p) {
		if l.line == l.n {
			return read, io.EOF
		}
		text := fmt.Sprintf("/data/frames/%07d.tif /archive/%07d.tif\n", l.line, l.line)
		n := copy(p[read:], text[l.used:])
		read += n
		if l.used += n; l.used == len(text) {
			l.line, l.used = l.line+1, 0
		}
	}
	return read, nil
}

func (l *lines) Close() error { return nil }

func largeManifest(t testing.TB, n int) (*engine.Engine, engine.Order) {
	job := &jobs.Job{Name: "large", Steps: []jobs.Step{{Transfer: &transfer.Transfer{}, Manifest: "large", ItemsPerTask: 5000}}}
	if err := job.Check(); err != nil {
		t.Fatal(err)
	}
	e := engine.New(nil, slog.New(slog.DiscardHandler),
		engine.WithManifests(func(string) (io.ReadCloser, error) { return &lines{n: n}, nil }))
	return e, engine.Order{Job: job, Key: key}
}

func TestManifestIsReadAsAStream(t *testing.T) {
	parts := long.Or(40, 10)
	e, o := largeManifest(t, parts*5000)
	var first, last runtime.MemStats
	n := 0
	for work, err := range e.Works(o) {
		if err != nil {
			t.Fatal(err)
		}
		if items := len(work.Document.(*transfer.Transfer).Items); items != 5000 || work.Position.Part != n+1 {
			t.Fatalf("part %d has %d items", work.Position.Part, items)
		}
		n++
		if n == 2 || n == parts {
			runtime.GC()
			runtime.ReadMemStats(&last)
			if n == 2 {
				first = last
			}
		}
	}
	if n != parts {
		t.Errorf("got %d parts, want %d", n, parts)
	}
	if grown := int64(last.HeapAlloc) - int64(first.HeapAlloc); grown > 1<<20 {
		t.Errorf("between the second part and the last the heap has grown by %d bytes, want less than 1 MiB", grown)
	}
}

func BenchmarkManifestOfAMillionLines(b *testing.B) {
	const items = 1_000_000
	b.ReportAllocs()
	var most uint64
	for b.Loop() {
		e, o := largeManifest(b, items)
		for work, err := range e.Works(o) {
			if err != nil {
				b.Fatal(err)
			}
			if work.Position.Part%50 == 0 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/items, "ns/item")
	b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
}

func TestWorksSayWhatWouldBeDone(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		var got []string
		for work, err := range b.engine().Works(b.order(handOver("/inbox/"))) {
			if err != nil {
				t.Fatal(err)
			}
			if work.Mkdir != nil {
				got = append(got, "mkdir "+work.Mkdir.Path)
				continue
			}
			got = append(got, work.Document.Head().Label)
		}
		want := []string{"mkdir /inbox/", "nightly 2026-11-21T02:00:00Z s2", "nightly 2026-11-21T02:00:00Z s3"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("works (-want +got):\n%s", diff)
		}
		if n := len(b.State().Requests); n > 0 {
			t.Errorf("%d requests, want none", n)
		}
	})
}
