package audit_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/transfer"
)

// A field has the same files on all collections: folders with a hundred files
// each, of which it holds none.
type field struct{ folders int }

const filesOfFolder = 100

func (f field) Ls(_ context.Context, _ string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	return func(yield func(*transfer.Entry, error) bool) {
		if strings.Count(q.Path, "/") == 2 { // the top
			for i := range f.folders {
				if !yield(&transfer.Entry{Name: fmt.Sprintf("folder-%06d", i), Type: "dir"}, nil) {
					return
				}
			}
			return
		}
		for i := range filesOfFolder {
			if !yield(&transfer.Entry{Name: fmt.Sprintf("a-rather-long-name-of-a-file-%06d.h5", i), Type: "file", Size: 1000, LastModified: transfer.Time{Time: noon}}, nil) {
				return
			}
		}
	}
}

func (f field) Stat(context.Context, string, string, ...transfer.FileOption) (*transfer.Entry, error) {
	return nil, &transfer.Error{Status: http.StatusNotFound}
}

// A heap is how much memory is in use beyond what was at the beginning.
type heap struct{ before, most int64 }

func newHeap() *heap {
	h := new(heap)
	h.look()
	return &heap{before: h.most}
}

func (h *heap) look() {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	h.most = max(h.most, int64(m.HeapAlloc)-h.before)
}

// auditField audits a field, and returns how much memory that took.
func auditField(t testing.TB, f field) int64 {
	h, n := newHeap(), 0
	found, err := evidence.Gather([]proof.Open{told(t, "vault", "/s/ /d/", proof.Options{})}, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for found, err := range (&audit.Inquiry{Found: found}).Files(t.Context(), f) {
		if err != nil || found.Verdict != audit.Present {
			t.Fatal(found, err)
		}
		if n++; n%(f.folders*filesOfFolder/4) == 0 {
			h.look()
		}
	}
	if n != f.folders*filesOfFolder {
		t.Fatalf("%d files", n)
	}
	return h.most
}

// diffField compares a field, and returns how much memory that took.
func diffField(t testing.TB, f field) int64 {
	h, n := newHeap(), 0
	doc := &transfer.Transfer{
		SourceEndpoint: globussim.CollectionID("lab"), DestinationEndpoint: globussim.CollectionID("vault"), SyncLevel: new(transfer.SyncChecksum),
		Items: []transfer.Item{{SourcePath: "/s/", DestinationPath: "/d/"}},
	}
	for c, err := range audit.Diff(t.Context(), f, doc) {
		if err != nil || c.Action != audit.Compare {
			t.Fatal(c, err)
		}
		if n++; n%(f.folders*filesOfFolder/4) == 0 {
			h.look()
		}
	}
	if n != f.folders*filesOfFolder {
		t.Fatalf("%d files", n)
	}
	return h.most
}

func TestMemoryDoesNotGrowWithTheNumberOfFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("100 000 files, twice")
	}
	const most = 4 << 20 // bytes
	for name, measure := range map[string]func(testing.TB, field) int64{"audit": auditField, "diff": diffField} {
		if grown := measure(t, field{folders: 1000}); grown > most {
			t.Errorf("%s of 100 000 files: the heap has grown by %d bytes", name, grown)
		}
	}
}

// The benchmarks are about a million files in ten thousand folders.
func BenchmarkAudit(b *testing.B) { million(b, auditField) }
func BenchmarkDiff(b *testing.B)  { million(b, diffField) }

func million(b *testing.B, measure func(testing.TB, field) int64) {
	b.Helper()
	most := int64(0)
	for b.Loop() {
		most = max(most, measure(b, field{folders: 10_000}))
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB")
}
