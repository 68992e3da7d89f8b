package engine_test

import (
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// A task without a receipt may have copied a file over the copy of another one that
// has its name, its size and its time.
func TestACopyIsNotProvenIfATaskWithoutAReceiptMayHaveReplacedIt(t *testing.T) {
	noReceipt := func(j *jobs.Job) { j.Receipts = false }
	fails := func(b *bench) { b.disturb(globussim.Disturbance{Action: globussim.FailTask, AfterFiles: 1}) }
	stalls := func(b *bench) { b.disturb(globussim.Disturbance{Action: globussim.StallTask, AfterFiles: 1}) }
	forgets := func(b *bench, p *process, run int64) {
		b.t.Helper()
		time.Sleep(time.Hour)
		other := b.order(named("weekly"), flat("/data/3/"), func(j *jobs.Job) { j.Steps = j.Steps[:1] })
		other.Key = jobs.ScheduledKey(time.Now())
		p.wantRun(other, ledger.Succeeded) // the newest run of a job is not forgotten
		if n, err := p.ledger.ForgetRuns(b.t.Context(), ledger.Retention{Since: time.Now().Add(-time.Minute)}); err != nil || n == 0 {
			b.t.Fatal(n, err)
		}
		if r, err := p.ledger.Run(b.t.Context(), run); r != nil {
			b.t.Fatalf("run %d is still there: %v", run, err)
		}
	}
	tests := map[string]struct {
		job    func(*jobs.Job)
		before func(b *bench)
		state  ledger.State
		later  func(b *bench, p *process, run int64)
		want   []string // left below data/1/
	}{
		"it failed":                           {nil, fails, ledger.Failed, nil, []string{"data/1/x"}},
		"it failed, and its run is forgotten": {nil, fails, ledger.Failed, forgets, []string{"data/1/x"}},
		"its job keeps none":                  {noReceipt, nil, ledger.Succeeded, nil, []string{"data/1/x"}},
		"it is at work":                       {nil, stalls, ledger.Submitted, nil, []string{"data/1/x"}},
		"it was canceled": {func(j *jobs.Job) {
			j.On.Stalled, j.StalledAfter = jobs.Cancel, 10*time.Minute
		}, stalls, ledger.TimedOut, nil, []string{"data/1/x"}},
		"its source could not be listed": {nil, func(b *bench) {
			fails(b)
			b.Fail(globussim.Fault{Path: "/v0.10/operation/endpoint/" + globussim.CollectionID("lab") + "/ls", Status: 502, Code: "ExternalError.DirListingFailed.GCDisconnected"})
		}, ledger.Failed, nil, []string{"data/1/x"}},
		"it failed, and the copy was made once more": {nil, fails, ledger.Failed, func(b *bench, p *process, _ int64) {
			b.t.Helper()
			time.Sleep(time.Hour)
			again := b.order(named("nightly"), flat("/data/1/"), func(j *jobs.Job) { j.Steps = j.Steps[:1] })
			again.Key = jobs.ScheduledKey(time.Now())
			p.wantRun(again, ledger.Succeeded)
		}, nil},
		"it copied to another folder": {func(j *jobs.Job) {
			noReceipt(j)
			j.Steps[0].Transfer.Items[0].DestinationPath = "/all/2/"
		}, nil, ledger.Succeeded, nil, nil},
		"its source had no such file when it was listed": {func(j *jobs.Job) {
			j.Steps[0].Transfer.Items[0].SourcePath = "/data/3/"
		}, fails, ledger.Failed, nil, []string{"data/1/x"}},
		"so, and its copies got times of their own": {func(j *jobs.Job) {
			j.Steps[0].Transfer.Items[0].SourcePath = "/data/3/"
			j.Steps[0].Transfer.PreserveTimestamp = false
		}, fails, ledger.Failed, nil, nil},
		"it copied the same folder": {func(j *jobs.Job) {
			noReceipt(j)
			j.Steps[0].Transfer.Items[0].SourcePath = "/data/1/"
		}, nil, ledger.Succeeded, nil, nil},
		"nothing was submitted": {func(j *jobs.Job) {
			j.Steps[0].Transfer.Items[0].SourcePath = "/data/none/"
			j.On.Hopeless = jobs.Cancel
		}, nil, ledger.Failed, nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.remove("data/a.txt")
				b.plant("data/1/x", "1234")
				b.plant("data/2/x", "5678")
				b.plant("data/3/y", "9999")
				p := b.process("one")
				copies := func(name, from string, edits ...func(*jobs.Job)) engine.Order {
					time.Sleep(time.Hour)
					o := b.order(append([]func(*jobs.Job){named(name), flat(from), func(j *jobs.Job) { j.Steps = j.Steps[:1] }}, edits...)...)
					o.Key, o.At = jobs.ScheduledKey(time.Now()), time.Now()
					return o
				}
				of := copies("nightly", "/data/1/")
				p.wantRun(of, ledger.Succeeded)
				o := copies("weekly", "/data/2/")
				if tt.job != nil {
					tt.job(o.Job)
				}
				if tt.before != nil {
					tt.before(b)
				}
				o.NoWait = tt.state == ledger.Submitted
				r, err := p.record(t.Context(), o)
				if err != nil || r.State != tt.state {
					t.Fatalf("got %+v, %v, want a run that is %s", r, err, tt.state)
				}
				if tt.later != nil {
					tt.later(b, p, r.Run)
				}
				time.Sleep(time.Hour)
				if found := b.verdicts(p.ledger, of.Job, 30*24*time.Hour)["/data/1/x"]; (found == audit.Delivered) != (tt.want == nil) || found == audit.Lost {
					t.Errorf("the audit says that data/1/x is %s", found)
				}
				prune := b.order(expires(func(prune *jobs.Prune) { prune.Jobs = []*jobs.Job{of.Job} }))
				prune.Key = "manual:prune"
				done := p.wantRun(prune, ledger.Succeeded)
				b.wantLeft(append(tt.want, "data/2/x", "data/3/y")...)
				if tt.want != nil {
					p.wantPruned(done, "0 files deleted, 1 kept (1: was copied to a place where a task without a receipt may have copied another file since); runner plan expire --diff --list lists them")
				}
			})
		})
	}
}
