package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// However Globus reads a list of labels, a ledger that has forgotten the items does not
// have them copied twice.
func TestTasksAreFoundHoweverGlobusReadsAListOfLabels(t *testing.T) {
	const items = 60
	tests := map[string]struct {
		reads func(labels []string) []string
		most  int // looks for labels
	}{
		"each of them":      {func(l []string) []string { return l }, items * 2 / 3},
		"only the first":    {func(l []string) []string { return l[:1] }, 2 * items},
		"only the last":     {func(l []string) []string { return l[len(l)-1:] }, 2 * items},
		"only some":         {func(l []string) []string { return l[:min(len(l), 20)] }, 2 * items},
		"as a single label": {func(l []string) []string { return []string{strings.Join(l, " ")} }, 2 * items},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				for i := range items {
					b.plant(fmt.Sprintf("runs/run_%03d/a", i), "x")
					b.plant(fmt.Sprintf("runs/run_%03d/done", i), "")
				}
				job := b.itemJob(marked, func(j *jobs.Job) { j.ForEach.MaxActive = items })
				p := b.process("one").serve(job)
				until(3 * time.Minute)
				p.stop()
				if err := os.Remove(filepath.Join(b.state, "runner.db")); err != nil {
					t.Fatal(err)
				}
				b.Fail(globussim.Fault{Path: "/v0.10/...", Times: -1, Delay: 50 * time.Millisecond})
				before := b.wire.looks.Load()
				p = b.process("two")
				p.answer = func(r *http.Request, way http.RoundTripper) (*http.Response, error) {
					query := r.URL.Query()
					rest, labels, ok := strings.Cut(query.Get("filter"), "label:")
					if !ok {
						return nil, nil
					}
					query.Set("filter", rest+"label:"+strings.Join(c.reads(strings.Split(labels, ",")), ","))
					r = r.Clone(r.Context())
					r.URL.RawQuery = query.Encode()
					return way.RoundTrip(r)
				}
				p.serve(job)
				until(6 * time.Minute)
				p.stop()
				if n := len(b.posts()); n != items {
					t.Errorf("%d submissions for %d items", n, items)
				}
				succeeded := 0
				for _, run := range b.runs() {
					if run.State.Final() && run.Message == "" {
						succeeded++
					}
				}
				if looks := int(b.wire.looks.Load() - before); succeeded != items || looks > c.most {
					t.Errorf("%d items are done after %d looks for labels, want %d after at most %d", succeeded, looks, items, c.most)
				}
			})
		})
	}
}

// A run that is stopped while it looks for the tasks of others, too, leaves the look to
// them.
func TestALookForLabelsGoesOnWithoutTheRunThatBeganIt(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		e := b.engine()
		order := func(name string) engine.Order { return b.order(named(name), paths("/data/", "/"+name+"/")) }
		for _, name := range []string{"one", "two"} { // from now on, looks are shared
			if r := e.Run(t.Context(), order(name)); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		b.Fail(globussim.Fault{Method: "GET", Path: listPath, Times: 2, Delay: 10 * time.Second})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan *engine.Result)
		begin := func(ctx context.Context, name string) { go func() { ended <- e.Run(ctx, order(name)) }() }
		begin(t.Context(), "first")
		b.after(time.Second, func() {
			begin(t.Context(), "second")
			for i := range 9 {
				begin(ctx, fmt.Sprint("stopped-", i))
			}
		})
		b.after(15*time.Second, stop) // while the second look is under way
		succeeded := 0
		for range 11 {
			if r := <-ended; r.State == ledger.Succeeded {
				succeeded++
			}
		}
		if succeeded != 2 {
			t.Errorf("%d runs have succeeded, want those two that were not stopped", succeeded)
		}
	})
}
