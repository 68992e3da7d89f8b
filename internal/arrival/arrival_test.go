package arrival_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/arrival"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

var denied = &transfer.Error{Status: http.StatusForbidden, Code: "EndpointPermissionDenied", Message: "no"}

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
		"ahead of its time":       {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) { d.put("/runs/x/s/f", 1, time.Now().Add(3*time.Hour)) }, arrival.IsYoung, "its time of modification is 3h in the future; check the clock of the instrument, or that of Globus (runner doctor)"},
		"without times":           {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) { d.remove("/runs/x"); d.put("/runs/x/f", 1, time.Time{}) }, arrival.IsYoung, "the collection does not say when it was modified; use unchanged_for"},
		"empty":                   {jobs.Readiness{OlderThan: 10 * time.Minute}, func(d *disk) { d.remove("/runs/x/old") }, arrival.IsEmpty, "it has no files yet; remove it if none will come"},
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

// Many instruments make a file first and fill it later. Only a marker says that it is to
// have nothing in it.
func TestAnItemWithoutBytesIsReadyOnlyWithAMarker(t *testing.T) {
	const file, folder = "it has no bytes yet; one that stays so needs a marker", "its files have no bytes yet; one that stays so needs a marker"
	quiet := jobs.Readiness{OlderThan: 10 * time.Minute, UnchangedFor: 10 * time.Minute}
	for name, tt := range map[string]struct {
		kind  jobs.ItemKind
		ready jobs.Readiness
		state arrival.State
		why   string
	}{
		"a file":               {jobs.FileItems, quiet, arrival.IsEmpty, file},
		"a folder":             {jobs.FolderItems, quiet, arrival.IsEmpty, folder},
		"a file, and no lock":  {jobs.FileItems, jobs.Readiness{OlderThan: time.Minute, NoMarker: "*.part"}, arrival.IsEmpty, file},
		"a file with a marker": {jobs.FileItems, jobs.Readiness{Marker: "*.done"}, arrival.IsReady, ""},
		"a folder with one":    {jobs.FolderItems, jobs.Readiness{Marker: "x.done"}, arrival.IsReady, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeeper(t, func(e *jobs.ForEach) { e.Kind, e.Ready = tt.kind, tt.ready })
				dir := "/runs/"
				if tt.kind == jobs.FolderItems {
					dir += "x/"
				}
				k.disk.write(dir+"x", 0)
				k.disk.write(dir+"x.done", 0)
				k.look()
				time.Sleep(time.Hour)
				if tt.state == arrival.IsEmpty {
					k.want("x", tt.state, tt.why)
					k.disk.write(dir+"x", 1)
					k.look()
					time.Sleep(time.Hour)
				}
				if f := k.known["x"]; f.State != arrival.IsReady && f.Stage != arrival.Queued {
					k.want("x", arrival.IsReady, "")
				}
			})
		})
	}
}

// A marker that is there at one look and not at the next counts for that one alone.
func TestAMarkerThatComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t, func(e *jobs.ForEach) { e.Ready = jobs.Readiness{Marker: "DONE", UnchangedFor: 10 * time.Minute} })
		at := time.Now()
		k.disk.put("/runs/x/f", 1, at)
		k.disk.put("/runs/x/DONE", 0, at)
		k.want("x", arrival.IsWaiting, "unchanged for 0s of 10m")
		k.disk.remove("/runs/x/DONE")
		time.Sleep(10 * time.Minute)
		k.want("x", arrival.IsUnmarked, "there is no DONE in it")
		k.disk.put("/runs/x/DONE", 0, at)
		k.want("x", arrival.IsWaiting, "unchanged for 0s of 10m")
		time.Sleep(10 * time.Minute)
		k.want("x", arrival.IsReady, "")
	})
}

func TestFilesHaveTheirMarkersBesideThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t, func(e *jobs.ForEach) {
			e.Kind, e.Ready = jobs.FileItems, jobs.Readiness{Marker: "*.done", NoMarker: ".*.swp"}
		})
		for _, name := range []string{"a.tif", "a.tif.done", "b.tif", "b.tif.done", ".b.tif.swp", "c.tif", "c.done", ".done"} {
			k.disk.write("/runs/"+name, 7)
		}
		k.disk.write("/runs/folder/x", 1)
		want := map[string]struct {
			state arrival.State
			why   string
		}{
			"a.tif":      {arrival.IsReady, ""},
			"a.tif.done": {arrival.IsIgnored, "it is the marker of another file"},
			"b.tif":      {arrival.IsLocked, ".b.tif.swp is there"},
			"b.tif.done": {arrival.IsIgnored, "it is the marker of another file"},
			".b.tif.swp": {arrival.IsIgnored, "it is the marker of another file"},
			"c.tif":      {arrival.IsUnmarked, "there is no c.tif.done beside it"},
			"c.done":     {arrival.IsIgnored, "it is the marker of another file"},
			".done":      {arrival.IsUnmarked, "there is no .done.done beside it"},
			"folder":     {arrival.IsIgnored, "it is a folder, and items are files"},
		}
		got := k.look()
		for name, w := range want {
			if f := got[name]; f.State != w.state || f.Why != w.why {
				t.Errorf("%s: got %s (%s), want %s (%s)", name, f.State, f.Why, w.state, w.why)
			}
		}
		if f := got["a.tif"]; f.Item.Size != 7 || f.Item.Path != "/runs/a.tif" {
			t.Errorf("got %+v", f.Item)
		}
		if len(got) != len(want) || len(k.disk.asked) != 1 {
			t.Errorf("got %d findings of %d listings, want %d of one", len(got), len(k.disk.asked), len(want))
		}
	})
}

func TestWhatIsNotAnItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t, func(e *jobs.ForEach) {
			e.Ready, e.Match, e.NewerThan = jobs.Readiness{Marker: "x"}, jobs.MatchGlobs("!*_test"), 24*time.Hour
		})
		long := strings.Repeat("x", 5000)
		for _, name := range []string{"new", "a_test", "a\uFFFDb", "a\nb", "a*b", "a\u007Fb", ".pruned-7-new", long} {
			k.disk.write("/runs/"+name+"/f", 1)
		}
		k.disk.write("/runs/file", 1)
		k.disk.put("/runs/old/f", 1, time.Now().Add(-25*time.Hour))
		k.disk.put("/runs/timeless/f", 1, time.Time{})
		want := map[string]arrival.State{
			"new": arrival.IsUnmarked, "a_test": arrival.IsIgnored, ".pruned-7-new": arrival.IsIgnored, "file": arrival.IsIgnored, "old": arrival.IsOld, "timeless": arrival.IsUnmarked,
			"a\uFFFDb": arrival.IsRefused, "a\nb": arrival.IsRefused, "a*b": arrival.IsRefused, "a\u007Fb": arrival.IsRefused, long: arrival.IsRefused,
		}
		got := map[string]arrival.State{}
		for name, f := range k.look() {
			got[name] = f.State
			waits := f.State == arrival.IsUnmarked
			kept := waits || f.State == arrival.IsRefused && name != long
			if f.Changed != kept || waits != (f.Why == "there is no x in it") || f.Why == "" {
				t.Errorf("%.20q: got %s (%s), to be kept: %t", name, f.State, f.Why, f.Changed)
			}
			if f.Item.Time.IsZero() && f.State != arrival.IsRefused {
				t.Errorf("%.20q has no time", name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		time.Sleep(48 * time.Hour)
		k.want("new", arrival.IsUnmarked, "there is no x in it") // it is known, so it is not history
		k.each.Match = jobs.MatchGlobs("!n*")
		k.want("new", arrival.IsIgnored, "it does not match !n*")
	})
}

func TestALookListsWhatIsNewOrWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t, func(e *jobs.ForEach) { e.Ready = jobs.Readiness{UnchangedFor: time.Minute, Marker: "DONE"} })
		for n, stage := range []arrival.Stage{arrival.Queued, arrival.Active, arrival.Done, arrival.Failed} {
			k.disk.write(fmt.Sprintf("/runs/%d/f", n), 1)
			k.known[strconv.Itoa(n)] = arrival.Known{Name: strconv.Itoa(n), Generation: 1, Stage: stage, State: arrival.IsReady, Fingerprint: "x"}
		}
		k.disk.write("/runs/marked/s/t/f", 1)
		k.disk.write("/runs/marked/DONE", 1)
		k.disk.write("/runs/unmarked/s/f", 1)
		k.disk.write("/runs/unmarked/t/DONE", 1)
		k.look()
		slices.Sort(k.disk.asked)
		if diff := cmp.Diff([]string{"/runs/", "/runs/marked/", "/runs/marked/s/", "/runs/marked/s/t/", "/runs/unmarked/"}, k.disk.asked); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
	})
}

func TestAHallOfItemsIsListedOnce(t *testing.T) {
	each := &jobs.ForEach{Folder: "/runs/", Kind: jobs.FolderItems, Ready: jobs.Readiness{Marker: "f"}}
	h, ready := &hall{items: 10_000}, 0
	for f, err := range arrival.Look(t.Context(), h, each, h.known(10), arrival.NewClock()) {
		if err != nil {
			t.Fatal(err)
		}
		if f.State == arrival.IsReady {
			ready++
		}
	}
	if h.asked.Load() != 11 || ready != 10 {
		t.Errorf("%d requests for %d new items of 10 000, want 11 for 10", h.asked.Load(), ready)
	}
}

func TestAnItemThatChangesAfterItWasDone(t *testing.T) {
	for again, want := range map[jobs.Again]arrival.State{jobs.AgainNever: arrival.IsDone, jobs.AgainChanged: arrival.IsWaiting} {
		t.Run(string(again), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeeper(t, unchangedFor(time.Minute))
				k.each.Again = again
				k.disk.write("/runs/x/f", 1)
				k.look()
				time.Sleep(time.Minute)
				k.want("x", arrival.IsReady, "")
				k.stage("x", arrival.Done)
				time.Sleep(time.Minute)
				if f := k.want("x", arrival.IsDone, ""); f.Changed {
					t.Error("a look at what has not changed changes something")
				}
				k.disk.write("/runs/x/f", 2)
				if f := k.look()["x"]; f.State != want {
					t.Fatalf("got %s, want %s", f.State, want)
				}
				if again == jobs.AgainNever {
					return
				}
				time.Sleep(time.Minute)
				if f := k.want("x", arrival.IsReady, ""); f.Key != "item:x@2" || f.Generation != 2 {
					t.Errorf("got %+v", f)
				}
				k.stage("x", arrival.Failed)
				k.want("x", arrival.IsFailed, "")
				k.stage("x", arrival.Canceled)
				k.want("x", arrival.IsCanceled, "")
				k.disk.remove("/runs/x/f") // as a prune does
				k.want("x", arrival.IsCanceled, "")
			})
		})
	}
}

func TestAnItemThatComesBack(t *testing.T) {
	tests := map[string]struct {
		change func(d *disk)
		listed bool
		state  arrival.State
		key    jobs.Key
	}{
		"as it was":            {func(*disk) {}, false, arrival.IsDone, "item:x"},
		"with another time":    {func(d *disk) { d.touch("/runs/x/", time.Now()) }, true, arrival.IsDone, "item:x"},
		"as another one":       {func(d *disk) { d.write("/runs/x/g", 1) }, true, arrival.IsWaiting, "item:x@2"},
		"as an empty folder":   {func(d *disk) { d.remove("/runs/x/f") }, true, arrival.IsEmpty, "item:x@2"},
		"and cannot be listed": {func(d *disk) { d.touch("/runs/x/", time.Now()); d.fail("/runs/x/", denied) }, true, arrival.IsUnreadable, "item:x"},
		"and vanishes at once": {func(d *disk) { d.touch("/runs/x/", time.Now()); d.fail("/runs/x/", absent) }, true, arrival.IsGone, "item:x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeeper(t, unchangedFor(time.Minute))
				k.disk.write("/runs/x/f", 1)
				k.look()
				time.Sleep(time.Minute)
				k.want("x", arrival.IsReady, "")
				k.stage("x", arrival.Done)
				k.disk.rename("/runs/x", "/x")
				if f := k.want("x", arrival.IsGone, ""); !f.Changed {
					t.Error("that it is gone is not kept")
				}
				if f := k.want("x", arrival.IsGone, ""); f.Changed {
					t.Error("that it is gone is kept once more")
				}
				k.disk.rename("/x", "/runs/x")
				tt.change(k.disk)
				k.disk.asked = nil
				f := k.look()["x"]
				if listed := len(k.disk.asked) > 1; f.State != tt.state || f.Key != tt.key || listed != tt.listed {
					t.Errorf("got %s as %s, listed: %t; want %s as %s, listed: %t", f.State, f.Key, listed, tt.state, tt.key, tt.listed)
				}
				if compared := tt.state != arrival.IsUnreadable && tt.state != arrival.IsGone; k.known["x"].Gone == compared {
					t.Errorf("it counts as gone: %t, want %t", k.known["x"].Gone, !compared)
				}
			})
		})
	}
}

// A prune deletes an item while its run is at work, and what comes under its name before
// the run ends is another one.
func TestAnItemIsNotBackWhileItsRunIsAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t, unchangedFor(time.Minute))
		k.disk.write("/runs/x/f", 1)
		k.look()
		time.Sleep(time.Minute)
		k.want("x", arrival.IsReady, "")
		k.stage("x", arrival.Active)
		k.disk.rename("/runs/x", "/x")
		k.want("x", arrival.IsGone, "")
		k.disk.rename("/x", "/runs/x")
		k.disk.write("/runs/x/g", 1)
		k.want("x", arrival.IsActive, "")
		k.stage("x", arrival.Done)
		if f := k.want("x", arrival.IsWaiting, "unchanged for 0s of 1m"); f.Generation != 2 {
			t.Errorf("it is the occurrence %d, want the second", f.Generation)
		}
	})
}

func TestTimeCountsOnlyIfItPassedForSure(t *testing.T) {
	tests := map[string]struct {
		restart func(k *keeper)
		why     string
	}{
		"the same process":               {func(*keeper) {}, "unchanged for 10m of 1h"},
		"a restart without the service":  {func(k *keeper) { k.clock = arrival.NewClock() }, "unchanged for 0s of 1h"},
		"a restart with the service":     {func(k *keeper) { k.clock = arrival.NewClock(); k.clock.Hear(time.Now()) }, "unchanged for 10m of 1h"},
		"the service's clock goes back":  {func(k *keeper) { k.clock.Hear(time.Now().Add(-time.Hour)) }, "unchanged for 0s of 1h"},
		"what the service says is heard": {func(k *keeper) { k.clock.Hear(time.Now().Add(time.Minute)) }, "unchanged for 11m of 1h"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeeper(t, unchangedFor(time.Hour))
				if name != "a restart without the service" {
					k.clock.Hear(time.Now())
				}
				k.disk.write("/runs/x/f", 1)
				k.look()
				time.Sleep(10 * time.Minute)
				tt.restart(k)
				k.want("x", arrival.IsWaiting, tt.why)
			})
		})
	}
}

// The time that a look takes is not time in which the item was seen unchanged.
func TestALongLookCountsFromItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t, unchangedFor(time.Hour))
		k.disk.write("/runs/x/s/f", 1)
		k.disk.before = func(string) { time.Sleep(10 * time.Minute) }
		k.look()
		time.Sleep(20 * time.Minute)
		k.want("x", arrival.IsWaiting, "unchanged for 30m of 1h") // 20 and the listing of the folder itself
	})
}

func TestALookGoesOnUnlessTheFolderFails(t *testing.T) {
	busy := &transfer.Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable"}
	stranger := &transfer.Error{Status: http.StatusUnauthorized, Code: "AuthenticationFailed"}
	tests := map[string]struct {
		err    error // of the items
		folder error // of the folder, from the second listing on
		want   error
		found  int
	}{
		"items that are denied":            {denied, busy, nil, 9},
		"items that fail for a while":      {busy, nil, nil, 9},
		"a service that fails for a while": {busy, busy, busy, 2},
		"no credentials":                   {stranger, nil, stranger, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeeper(t, unchangedFor(time.Hour))
				for n := range 9 {
					k.disk.write(fmt.Sprintf("/runs/%d/f", n), 1)
					k.disk.errors[fmt.Sprintf("/runs/%d/", n)] = tt.err
				}
				var listed atomic.Int32 // the folder
				k.disk.before = func(path string) {
					if path == "/runs/" && listed.Add(1) > 1 && tt.folder != nil {
						k.disk.fail("/runs/", tt.folder)
					}
				}
				found, err := k.try()
				if !errors.Is(err, tt.want) || len(found) != tt.found {
					t.Errorf("got %d findings and %v, want %d and %v", len(found), err, tt.found, tt.want)
				}
			})
		})
	}
}

func TestALookEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t, unchangedFor(time.Hour))
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		for n := range 20 {
			k.disk.write(fmt.Sprintf("/runs/%02d/f", n), 1)
		}
		k.disk.before = func(path string) {
			if path == "/runs/07/" {
				cancel(enough)
			}
		}
		var last error
		n := 0
		for _, err := range arrival.Look(ctx, k.disk, k.each, k.all, k.clock) {
			last = err
			n++
		}
		if !errors.Is(last, enough) || n > 8 {
			t.Errorf("got %v after %d findings, want the cause", last, n)
		}
		k.disk.before = nil
		for _, err := range arrival.Look(t.Context(), k.disk, k.each, k.all, k.clock) {
			if err != nil {
				t.Error(err)
			}
			break // what is at work ends
		}
	})
}

func TestFingerprintIsThatOfTheLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []jobs.ItemKind{jobs.FolderItems, jobs.FileItems} {
			k := newKeeper(t, unchangedFor(time.Second))
			k.each.Kind = kind
			file := "/runs/x"
			if kind == jobs.FolderItems {
				file += "/s/f"
			}
			k.disk.write(file, 1)
			f := k.look()["x"]
			same, files, err := arrival.Fingerprint(t.Context(), k.disk, k.each, &f.Item)
			if err != nil || same != f.Fingerprint || same == "" || files != 1 {
				t.Errorf("%s: got %q of %d files, %v, want %q of one", kind, same, files, err, f.Fingerprint)
			}
			k.disk.write(file, 2)
			if other, _, err := arrival.Fingerprint(t.Context(), k.disk, k.each, &f.Item); err != nil || other == same {
				t.Errorf("%s: got %q, %v after a change", kind, other, err)
			}
			k.disk.remove("/runs/x")
			if _, _, err := arrival.Fingerprint(t.Context(), k.disk, k.each, &f.Item); !tree.Gone(err) {
				t.Errorf("%s: got %v when it is gone", kind, err)
			}
		}
	})
}

// The size of a folder says nothing of what is in it.
func TestTheSizeOfAFolderIsNotInTheFingerprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t, unchangedFor(time.Hour))
		k.disk.write("/runs/x/s/f", 2)
		before := k.look()["x"]
		s := k.disk.folders["/runs/x/"]["s"]
		s.Size *= 2
		k.disk.folders["/runs/x/"]["s"] = s
		if after := k.look()["x"]; after.Fingerprint != before.Fingerprint || after.Item.Size != 2 || before.Item.Size != 2 {
			t.Errorf("got %+v before and %+v after", before, after)
		}
	})
}

// Every kind of change below an item is seen.
func TestWhatChangesTheFingerprint(t *testing.T) {
	changes := map[string]func(d *disk){
		"a size":              func(d *disk) { d.put("/runs/x/s/f", 3, time.Now()) },
		"a time":              func(d *disk) { d.put("/runs/x/s/f", 2, time.Now().Add(time.Second)) },
		"a name":              func(d *disk) { d.rename("/runs/x/s/f", "/runs/x/s/g") },
		"a file more":         func(d *disk) { d.put("/runs/x/s/g", 0, time.Now()) },
		"a file less":         func(d *disk) { d.remove("/runs/x/s/f") },
		"an empty folder":     func(d *disk) { d.mkdir("/runs/x/s/t/", time.Now()) },
		"a folder's name":     func(d *disk) { d.rename("/runs/x/s", "/runs/x/t") },
		"a file for a folder": func(d *disk) { d.remove("/runs/x/e"); d.put("/runs/x/e", 0, time.Now()) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeeper(t, unchangedFor(time.Hour))
				k.disk.put("/runs/x/s/f", 2, time.Now())
				k.disk.mkdir("/runs/x/e/", time.Now())
				before := k.look()["x"].Fingerprint
				change(k.disk)
				if after := k.look()["x"].Fingerprint; after == before || after == "" {
					t.Errorf("got %q before and %q after", before, after)
				}
			})
		})
	}
}

// A twin is a lister of a store that has a folder and a file of one name.
type twin struct{ *disk }

func (s twin) Ls(ctx context.Context, collection string, q transfer.LsQuery) iter.Seq2[*transfer.Entry, error] {
	return func(yield func(*transfer.Entry, error) bool) {
		for e, err := range s.disk.Ls(ctx, collection, q) {
			if !yield(e, err) || q.Path == "/runs/" && e.Name == "x" && !yield(&transfer.Entry{Name: "x", Type: "file", Size: 9}, nil) {
				return
			}
		}
	}
}

func TestAFolderIsNotHiddenByAFileOfItsName(t *testing.T) {
	for kind, want := range map[jobs.ItemKind]int64{jobs.FolderItems: 2, jobs.FileItems: 9} {
		synctest.Test(t, func(t *testing.T) {
			k := newKeeper(t, unchangedFor(time.Hour))
			k.each.Kind = kind
			k.disk.write("/runs/x/f", 2)
			n := 0
			for f, err := range arrival.Look(t.Context(), twin{k.disk}, k.each, k.all, k.clock) {
				if n++; err != nil || f.State != arrival.IsWaiting || f.Item.Size != want {
					t.Errorf("%s: got %+v, %v", kind, f, err)
				}
			}
			if n != 1 {
				t.Errorf("%s: got %d findings for one name", kind, n)
			}
		})
	}
}
