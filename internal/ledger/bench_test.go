package ledger_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// record records n finished runs.
func record(t testing.TB, l *ledger.Ledger, job string, n int) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 100 { // so that many share a transaction
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n) && !t.Failed(); i = next.Add(1) {
				r, _, err := l.Claim(t.Context(), ledger.Claim{
					Job: job, Key: fmt.Sprint(i), Due: due.Add(time.Duration(-i) * time.Minute), Holder: "me", Lease: time.Hour,
				})
				if err == nil {
					err = l.Finish(t.Context(), r.ID, "me", ledger.Outcome{State: ledger.Succeeded})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// wholeRun does all that a run writes: claim, submission, task, end, outcome.
func wholeRun(b *testing.B, l *ledger.Ledger, key string) {
	r, _, err := l.Claim(b.Context(), ledger.Claim{Job: "bench", Key: key, Due: due, Holder: "me", Lease: time.Hour})
	if err == nil {
		err = l.Submit(b.Context(), "me", ledger.Submission{ID: key, Run: r.ID, Label: "bench " + key, Document: []byte(strings.Repeat("x", 1000))})
	}
	if err == nil {
		err = l.Accepted(b.Context(), key, key)
	}
	if err == nil {
		err = l.Ended(b.Context(), key, "SUCCEEDED", ledger.Totals{})
	}
	if err == nil {
		err = l.Finish(b.Context(), r.ID, "me", ledger.Outcome{State: ledger.Succeeded})
	}
	if err != nil {
		b.Error(err)
	}
}

// BenchmarkRuns measures claims, and runs from claim to outcome, one after
// the other and 100 at a time, in a new ledger and in one of 100 000 runs.
func BenchmarkRuns(b *testing.B) {
	for engine, newURL := range engines {
		for _, recorded := range []int{0, 100_000} {
			b.Run(fmt.Sprintf("%s/recorded=%d", engine, recorded), func(b *testing.B) {
				l := open(b, newURL(b))
				for job := range 10 {
					record(b, l, fmt.Sprint("job", job), recorded/10)
				}
				var key atomic.Int64
				measure := func(name string, workers int, f func(*testing.B, *ledger.Ledger, string)) {
					b.Run(fmt.Sprintf("%s/workers=%d", name, workers), func(b *testing.B) {
						b.SetParallelism((workers + 1) / 2)
						begin := time.Now()
						if workers == 1 {
							for b.Loop() {
								f(b, l, fmt.Sprint(key.Add(1)))
							}
						} else {
							b.RunParallel(func(pb *testing.PB) {
								for pb.Next() {
									f(b, l, fmt.Sprint(key.Add(1)))
								}
							})
						}
						b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), name+"/s")
					})
				}
				for _, workers := range []int{1, 100} {
					measure("claims", workers, func(b *testing.B, l *ledger.Ledger, key string) { claim(b, l, "bench", key, "me", time.Hour) })
					measure("runs", workers, wholeRun)
				}
				b.Run("latest", func(b *testing.B) {
					for b.Loop() {
						_, err := l.Latest(b.Context())
						ok(b, err)
					}
				})
				b.Run("renew", func(b *testing.B) {
					for b.Loop() {
						_, err := l.Renew(b.Context(), "nobody", time.Hour)
						ok(b, err)
					}
				})
				b.Run("take-over", func(b *testing.B) { // of nothing, as every second
					for b.Loop() {
						_, err := l.TakeOver(b.Context(), "nobody", time.Hour, 100)
						ok(b, err)
					}
				})
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for engine, newURL := range engines {
		b.Run(engine, func(b *testing.B) {
			url := newURL(b)
			for b.Loop() {
				l, err := ledger.Open(b.Context(), url, logger(b))
				ok(b, err)
				ok(b, l.Close())
			}
		})
	}
}
