package page_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to fill the ledger

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/page"
	"github.com/globus-runner/globus-runner/jobs"
)

const (
	benchJobs = 1000
	benchRuns = 1_000_000
)

// large makes a desk with very many runs.
func large(b *testing.B) *desk {
	b.Helper()
	text := strings.Builder{}
	fmt.Fprintf(&text, "version: 1\ncollections: {lab: %s}\njobs:\n", collection)
	for i := range benchJobs {
		fmt.Fprintf(&text, "  job-%04d: {schedule: \"%d 1 * * *\", transfer: {source: \"lab:/a/\", destination: \"lab:/b%d/\"}}\n", i, i%60, i)
	}
	file, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: []byte(text.String())})
	if err != nil {
		b.Fatal(err)
	}
	name := filepath.Join(b.TempDir(), "runner.db")
	l, err := ledger.Open(b.Context(), "sqlite:"+name, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() }) // it was only for this
	db, err := sql.Open("sqlite", name)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // every statement is checked
	begin := time.Now().Add(-30 * 24 * time.Hour).UnixMicro()
	for _, statement := range []string{
		`PRAGMA synchronous = OFF`,
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO runs (job, key, due, holder, lease_until, claimed, finished, state, files, bytes)
			SELECT printf('job-%%04d', i %% %d), i, %d + i * 2500000, '', 0, %[3]d + i * 2500000, %[3]d + i * 2500000 + (i * 7919 %% 600) * 1000000,
				CASE WHEN i %% 53 = 0 THEN 'failed' ELSE 'succeeded' END, 10, 1000000 FROM n`, benchRuns-1, benchJobs, begin),
		fmt.Sprintf(`INSERT INTO strips SELECT job, string_agg(';' || concat_ws(' ', id, state, claimed, finished), '') FROM runs WHERE id > %d GROUP BY job`,
			benchRuns-40*benchJobs), // a strip has the ends of at least 30 runs, and often of more
		`INSERT INTO days SELECT finished / 86400000000, job, count(*), sum(files), sum(bytes) FROM runs GROUP BY 1, 2`,
		`ANALYZE`,
	} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
	return &desk{ledger: l, file: file, from: "127.0.0.1:1", host: "localhost"}
}

func (d *desk) newPage() *page.Page {
	return page.New(page.Config{
		Ledger: d.ledger, Jobs: func() *jobs.File { return d.file }, Log: slog.New(slog.DiscardHandler), TaskPage: func(_, _ string) string { return "" },
	})
}

// BenchmarkPage answers with a thousand jobs and a million runs: the first time, and
// while the page is open.
func BenchmarkPage(b *testing.B) {
	d := large(b)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	d.page = d.newPage()
	for _, path := range []string{"/", "/alarms", "/jobs/job-0007", "/runs", "/runs/777", "/api/v1/jobs", "/api/v1/runs?job=job-0007"} {
		b.Run(strings.ReplaceAll(path, "/", "_"), func(b *testing.B) {
			begin := cpu(b)
			for b.Loop() {
				d.ask(b, path)
			}
			b.ReportMetric(float64((cpu(b)-begin).Microseconds())/1e3/float64(b.N), "cpu-ms/op")
		})
	}
	b.Run("first", func(b *testing.B) {
		var used time.Duration
		for b.Loop() {
			d.page = d.newPage()
			if err := d.page.Warm(b.Context()); err != nil {
				b.Fatal(err)
			}
			begin := cpu(b)
			d.ask(b, "/")
			used += cpu(b) - begin
		}
		b.ReportMetric(float64(used.Microseconds())/1e3/float64(b.N), "cpu-ms/op")
		b.ReportMetric(float64(heap()-before)/1e6, "MB")
	})
}

// cpu is the time of processors that this process has used: what an answer takes of
// them does not depend on who else is at work, as the time on the wall does.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func (d *desk) ask(b *testing.B, path string) {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+d.host+path, nil)
	r.RemoteAddr = d.from
	w := httptest.NewRecorder()
	w.Body = nil // what is written is not kept
	d.page.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		b.Fatalf("%s: status %d", path, w.Code)
	}
}
