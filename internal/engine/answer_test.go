package engine_test

import (
	"testing"
	"time"

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
