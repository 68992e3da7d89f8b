package arrival_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// A hall is a folder of so many items that they are made up while they are listed.
type hall struct {
	items int
	asked atomic.Int32
}

func (h *hall) Ls(_ context.Context, _ string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	h.asked.Add(1)
	at := transfer.Time{Time: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	return func(yield func(*transfer.Entry, error) bool) {
		if q.Path != "/runs/" {
			yield(&transfer.Entry{Name: "f", Type: "file", Size: 1, LastModified: at}, nil)
			return
		}
		for n := range h.items {
			if !yield(&transfer.Entry{Name: hallName(n), Type: "dir", LastModified: at}, nil) {
				return
			}
		}
	}
}

func hallName(n int) string { return fmt.Sprintf("run_20261121_%06d", n) }

// known yields all but the newest.
func (h *hall) known(newest int) iter.Seq2[arrival.Known, error] {
	return func(yield func(arrival.Known, error) bool) {
		for n := range h.items - newest {
			if !yield(arrival.Known{Name: hallName(n), Generation: 1, Stage: arrival.Done, Fingerprint: "x"}, nil) {
				return
			}
		}
	}
}

// A look of 10 new items among those that are done costs one request for the folder
// and one for each of the ten.
func BenchmarkLook(b *testing.B) {
	each := &jobs.ForEach{Collection: "lab", Folder: "/runs/", Kind: jobs.FolderItems, Match: jobs.MatchGlobs("run_*", "!*_test"), Ready: jobs.Readiness{Marker: "f"}}
	for _, items := range []int{10_000, tree.MaxEntries} {
		b.Run(fmt.Sprint(items), func(b *testing.B) {
			var most uint64
			for b.Loop() {
				h := &hall{items: items}
				n, ready := 0, 0
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				before := m.HeapAlloc
				for f, err := range arrival.Look(b.Context(), h, each, h.known(10), arrival.NewClock()) {
					if err != nil {
						b.Fatal(err)
					}
					if f.State == arrival.IsReady {
						ready++
					}
					if n++; n == items/2 {
						runtime.GC()
						runtime.ReadMemStats(&m)
						most = max(most, m.HeapAlloc-before)
					}
				}
				if n != items || ready != 10 || h.asked.Load() != 11 {
					b.Fatalf("%d findings, %d ready, %d requests", n, ready, h.asked.Load())
				}
			}
			b.ReportMetric(float64(most)/(1<<20), "MiB")
		})
	}
}
