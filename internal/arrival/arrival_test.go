package arrival_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func unchangedFor(d time.Duration) func(*jobs.ForEach) {
	return func(e *jobs.ForEach) { e.Ready = jobs.Readiness{UnchangedFor: d} }
}

func TestAnItemIsReadyWhenNothingBelowItHasChangedForLongEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t, unchangedFor(15*time.Minute))
		k.disk.write("/runs/run_1/a/b/f", 1)
		k.want("run_1", arrival.IsWaiting, "unchanged for 0s of 15m")
		time.Sleep(10 * time.Minute)
		k.want("run_1", arrival.IsWaiting, "unchanged for 10m of 15m")
		k.disk.write("/runs/run_1/a/b/f", 2)
		time.Sleep(5 * time.Minute)
		k.want("run_1", arrival.IsWaiting, "unchanged for 0s of 15m")
		time.Sleep(15*time.Minute - time.Second)
		k.want("run_1", arrival.IsWaiting, "unchanged for 14m59s of 15m")
		time.Sleep(time.Second)
		f := k.want("run_1", arrival.IsReady, "")
		if f.Item.Path != "/runs/run_1" || f.Item.Size != 2 || f.Key != "item:run_1" || f.Generation != 1 {
			t.Errorf("got %+v", f)
		}
		k.want("run_1", arrival.IsQueued, "")
	})
}

func TestWhatKeepsAnItemFromBeingReady(t *testing.T) {
	denied := &transfer.Error{Status: http.StatusForbidden, Code: "EndpointPermissionDenied", Message: "no"}
	tests := map[string]struct {
		ready jobs.Readiness
		do    func(d *disk)
		state arrival.State
		why   string
	}{
		"no marker":               {jobs.Readiness{Marker: "DONE"}, func(*disk) {}, arrival.IsUnmarked, "there is no DONE in it"},
		"a marker further below":  {jobs.Readiness{Marker: "DONE"}, func(d *disk) { d.write("/runs/x/s/DONE", 0) }, arrival.IsUnmarked, "there is no DONE in it"},
		"a marker":                {jobs.Readiness{Marker: "D*E"}, func(d *disk) { d.write("/runs/x/DONE", 0) }, arrival.IsReady, ""},
		"a marker with a lock":    {jobs.Readiness{Marker: "DONE", NoMarker: "*.lock"}, func(d *disk) { d.write("/runs/x/DONE", 0); d.write("/runs/x/a.lock", 0) }, arrival.IsLocked, "a.lock is there"},
		"a lock further below":    {jobs.Readiness{Marker: "DONE", NoMarker: "*.lock"}, func(d *disk) { d.write("/runs/x/DONE", 0); d.write("/runs/x/s/t/a.lock", 0) }, arrival.IsLocked, "s/t/a.lock is there"},
		"no lock":                 {jobs.Readiness{Marker: "DONE", NoMarker: "*.lock"}, func(d *disk) { d.write("/runs/x/DONE", 0) }, arrival.IsReady, ""},
		"young":                   {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) { d.put("/runs/x/s/f", 1, time.Now().Add(-3*time.Minute)) }, arrival.IsYoung, "modified 3m ago, want 10m"},
		"old enough":              {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) { d.put("/runs/x/s/f", 1, time.Now().Add(-10*time.Minute)) }, arrival.IsReady, ""},
		"ahead of its time":       {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) { d.put("/runs/x/s/f", 1, time.Now().Add(3*time.Hour)) }, arrival.IsYoung, "it was modified at a time that is 3h ahead"},
		"without times":           {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) { d.remove("/runs/x"); d.put("/runs/x/f", 1, time.Time{}) }, arrival.IsYoung, "the collection does not say when it was modified; use unchanged_for"},
		"empty":                   {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) { d.remove("/runs/x/old") }, arrival.IsEmpty, "it has no files"},
		"a folder cannot be read": {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) { d.mkdir("/runs/x/s/", time.Now()); d.fail("/runs/x/s/", denied) }, arrival.IsUnreadable, denied.Error()},
		"a folder that vanishes": {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) {
			d.mkdir("/runs/x/s/", time.Now())
			d.fail("/runs/x/s/", absent)
		}, arrival.IsUnreadable, "it changed while it was listed"},
		"it vanishes itself": {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) { d.fail("/runs/x/", absent) }, arrival.IsGone, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeeper(t, func(e *jobs.ForEach) { e.Ready = tt.ready })
				k.disk.put("/runs/x/old", 1, time.Now().Add(-24*time.Hour))
				tt.do(k.disk)
				k.want("x", tt.state, tt.why)
			})
		})
	}
}
