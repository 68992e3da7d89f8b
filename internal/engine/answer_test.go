package engine_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// Nobody has confirmed what Globus answers to a cancel, and how a canceled task looks.
func TestACanceledTaskIsUnderstoodWhateverGlobusAnswers(t *testing.T) {
	const nightly = "nightly 2026-11-21T02:00:00Z"
	answers := map[string]globussim.Answers{
		"at once":                        {},
		"later":                          {CancelLater: true},
		"at once, without a fatal error": {NoFatalError: true},
		"later, without a fatal error":   {CancelLater: true, NoFatalError: true},
	}
	tests := map[string]func(t *testing.T, b *bench){
		"by somebody": func(t *testing.T, b *bench) {
			b.stall()
			b.after(time.Hour, func() {
				if _, err := b.client().CancelTask(t.Context(), b.State().Tasks[0].TaskID); err != nil {
					t.Error(err)
				}
			})
			r := b.run(t.Context(), b.order())
			contains(t, failure(t, r, fault.Canceled).Message, "was canceled by somebody else")
			b.wantTasks("FAILED " + nightly)
		},
		"by policy": func(t *testing.T, b *bench) {
			b.stall()
			r := b.run(t.Context(), b.order(reacting(jobs.Reactions{Stalled: jobs.Cancel})))
			contains(t, failure(t, r, fault.TimedOut).Message, "was canceled because it stalled")
			b.wantTasks("FAILED " + nightly)
		},
		"by a signal": func(t *testing.T, b *bench) {
			b.stall()
			o := b.order()
			o.CancelOnInterrupt = true
			r := b.run(b.signaled(time.Hour), o)
			contains(t, failure(t, r, fault.Interrupted).Message, "was canceled")
			time.Sleep(time.Minute)
			b.wantTasks("FAILED " + nightly)
		},
		"to be replaced": func(t *testing.T, b *bench) {
			b.start(b.another())
			if r := b.run(t.Context(), b.order(with(jobs.Replace))); r.State != ledger.Succeeded || r.Err != nil {
				t.Errorf("got %+v, want success", r)
			}
			b.wantTasks("FAILED nightly 2026-11-20T02:00:00Z", "SUCCEEDED "+nightly)
		},
	}
	for how, answer := range answers {
		for name, test := range tests {
			t.Run(name+", "+how, func(t *testing.T) {
				onBench(t, test, func(c *globussim.Config) { c.Answers = answer })
			})
		}
	}
}

// TestAJobIsDoneWhateverGlobusAnswers makes a folder, copies, prunes and removes
// what it has emptied, with each answer that nobody has confirmed.
func TestAJobIsDoneWhateverGlobusAnswers(t *testing.T) {
	slow := func(c *globussim.Config) { c.RequestRate = 1 }
	for name, answers := range map[string]globussim.Answers{
		"by default":            {}, // any document an id
		"200 for a submission":  {Accepted: http.StatusOK},
		"200 for a folder":      {Made: http.StatusOK},
		"503 for too many":      {Throttled: http.StatusServiceUnavailable},
		"400 for a listing":     {Listed: http.StatusBadRequest},
		"lower sync levels":     {LowerLevels: true},
		"no list of a delete":   {RefuseDeletes: true},
		"a page of one":         {PageLength: 1},
		"a rename that deletes": {RenameReplaces: true},
		"errors as in OAuth":    {AuthErrors: globussim.AuthOAuth},
		"errors in a list":      {AuthErrors: globussim.AuthList},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.sow("data/a.txt", "data/sub/b")
				b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Drop: globussim.DropAfter})
				p := b.process("one")
				r := p.wantRun(b.order(removes, func(j *jobs.Job) {
					made := jobs.Step{Mkdir: &jobs.Mkdir{Collection: globussim.CollectionID("vault"), Path: "/made/"}}
					j.Steps = append([]jobs.Step{made}, j.Steps...)
				}), ledger.Succeeded)
				b.wantLeft()
				if d := cmp.Diff([]string{"data"}, b.folders()); d != "" {
					t.Errorf("folders (-want +got):\n%s", d)
				}
				contains(t, p.pruned(r.Run), "2 files deleted, 1 empty folder removed")
				if info, err := os.Stat(filepath.Join(b.vault, "made")); err != nil || !info.IsDir() {
					t.Errorf("the folder was not made: %v", err)
				}
				if n := b.requests("POST " + transferPath); n != 2 {
					t.Errorf("the transfer was sent %d times, want 2", n)
				}
			}, slow, func(c *globussim.Config) { c.Answers = answers })
		})
	}
}
