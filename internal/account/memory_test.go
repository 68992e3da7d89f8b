package account_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/account"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/test/long"
	"github.com/globus-runner/globus-runner/test/scratch"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestMain(m *testing.M) { os.Exit(scratch.Run(m)) }

const (
	filesOfFolder = 1000
	rowsOfPage    = 1000
)

// A field is a Globus whose collections have the same folders, each with a
// thousand files, and a task that has copied them all in an order of its own.
type field struct {
	folders int
	look    func() // at times
}

func (f *field) RoundTrip(r *http.Request) (*http.Response, error) {
	var body bytes.Buffer
	switch {
	case strings.HasSuffix(r.URL.Path, "/successful_transfers"):
		f.copied(&body, r.URL.Query().Get("marker"))
	case strings.HasSuffix(r.URL.Path, "/skipped_errors"):
		body.WriteString(`{"DATA": [], "next_marker": null}`)
	default:
		f.ls(&body, r.URL.Query().Get("path"))
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(&body),
	}, nil
}

func name(n int) string {
	return fmt.Sprintf("folder-%04d/a-rather-long-name-of-a-file-%06d.h5", n/filesOfFolder, n)
}

// copied writes a page of what the task has copied.
func (f *field) copied(w *bytes.Buffer, marker string) {
	begin, _ := strconv.Atoi(marker) // the first page has none
	all := f.folders * filesOfFolder
	w.WriteString(`{"DATA": [`)
	for n := begin; n < min(begin+rowsOfPage, all); n++ {
		path := name(n * 7919 % all)
		fmt.Fprintf(w, `%s{"source_path": "/out/%s", "destination_path": "/in/%s", "size": 1000, "checksum": "d41d8cd98f00b204e9800998ecf8427e", "checksum_algorithm": "MD5"}`,
			comma(n > begin), path, path)
	}
	if next := begin + rowsOfPage; next < all {
		fmt.Fprintf(w, `], "next_marker": "%d"}`, next)
	} else {
		w.WriteString(`], "next_marker": null}`)
	}
	if begin%(all/4) == 0 {
		f.look()
	}
}

func comma(yes bool) string {
	if yes {
		return ","
	}
	return ""
}

// ls lists a folder of either collection.
func (f *field) ls(w *bytes.Buffer, path string) {
	w.WriteString(`{"DATA": [`)
	folder, n := 0, 0
	if _, err := fmt.Sscanf(filepath.Base(path), "folder-%d", &folder); err != nil {
		for ; n < f.folders; n++ {
			fmt.Fprintf(w, `%s{"name": "folder-%04d", "type": "dir"}`, comma(n > 0), n)
		}
	} else {
		for ; n < filesOfFolder; n++ {
			fmt.Fprintf(w, `%s{"name": %q, "type": "file", "size": 1000, "last_modified": "2026-11-20 12:00:00+00:00"}`, comma(n > 0), filepath.Base(name(folder*filesOfFolder+n)))
		}
		if folder%(f.folders/4) == 0 {
			f.look()
		}
	}
	fmt.Fprintf(w, `], "total": %d, "length": %d}`, n, n)
}

// measure keeps the receipt of a task with thousands of files and judges by it. It
// returns by how much the heap has grown at most while that was done.
func measure(t testing.TB, folders int) (grown int64) {
	var before int64
	look := func() { grown = max(grown, heap()-before) }
	l, kept := begun(t)
	defer l.Close() //nolint:errcheck // what was written was checked
	doc := &transfer.Transfer{
		SourceEndpoint: "lab", DestinationEndpoint: "vault", VerifyChecksum: true,
		Items: []transfer.Item{{SourcePath: "/out/", DestinationPath: "/in/"}},
	}
	k := &account.Keeper{
		Globus: transfer.New(&http.Client{Transport: &field{folders, look}}), Log: slog.New(slog.DiscardHandler),
	}
	before = heap()
	_, err := k.Snapshot(t.Context(), l, "h", kept, doc, func(*proof.Found) {}, func(u account.Unlisted) error { return u.Err })
	must(t, err)
	all, err := l.Receipts(t.Context(), ledger.ReceiptQuery{Run: kept.Run})
	must(t, err)
	if kept, err = l.BeginReceipt(t.Context(), *kept); err != nil || kept.Snapshot == "" || len(all) > 0 {
		t.Fatal(kept, all, err)
	}
	files := int64(folders * filesOfFolder)
	task := &transfer.Task{
		TaskID: "t", FilesTransferred: files, RequestTime: transfer.Time{Time: kept.Listed.Add(time.Minute)}, CompletionTime: transfer.Time{Time: kept.Listed.Add(time.Hour)},
	}
	must(t, k.Seal(t.Context(), l, kept, doc, task))
	look()
	all, err = l.Receipts(t.Context(), ledger.ReceiptQuery{Run: kept.Run})
	if err != nil || len(all) != 1 || all[0].Copied != files || all[0].Found != files || all[0].Landed != files {
		t.Fatal(all, err)
	}
	j, err := proof.NewJudge(func() (*proof.Reader, error) { return account.Open(t.Context(), l, all[0]) }, transfer.SyncChecksum)
	must(t, err)
	look()
	runtime.KeepAlive(j)
	return grown
}

// heap is how much memory is in use, in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// begun returns a new ledger with the receipt of a run that has begun. The caller closes it.
func begun(t testing.TB) (*ledger.Ledger, *ledger.Receipt) {
	t.Helper()
	l, err := ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "runner.db"), slog.New(slog.DiscardHandler))
	must(t, err)
	run, _, err := l.Claim(t.Context(), ledger.Claim{Job: "nightly", Key: "manual:1", Holder: "h", Lease: time.Hour})
	must(t, err)
	kept, err := l.BeginReceipt(t.Context(), ledger.Receipt{Run: run.ID, Job: "nightly", Key: "manual:1", Step: 1, Attempt: 1})
	must(t, err)
	return l, kept
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReceiptOfManyFilesFitsIntoMemory(t *testing.T) {
	const most = 16 << 20 // bytes
	if grown := measure(t, long.Or(100, 32)); grown > most {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

// BenchmarkReceipt is about a million files. Its second number is what the
// process had at most.
func BenchmarkReceipt(b *testing.B) {
	most := int64(0)
	for b.Loop() {
		most = max(most, measure(b, 1000))
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
	status, _ := os.ReadFile("/proc/self/status") // not everywhere
	for line := range strings.Lines(string(status)) {
		var peak float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &peak); err == nil {
			b.ReportMetric(peak/(1<<10), "MiB-process")
		}
	}
}
