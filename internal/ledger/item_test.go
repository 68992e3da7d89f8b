package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// item is an item of the first generation that was modified some hours after due.
func item(name, state string, hours int) ledger.Item {
	return ledger.Item{
		Job: "j", Name: name, Key: "item:" + name, Generation: 1, State: state, Why: "because", Since: due,
		Size: 5, Modified: due.Add(time.Duration(hours) * time.Hour), Fingerprint: "f", Unchanged: time.Minute, Looked: due, Clock: "c", Seen: due,
	}
}

// names returns the names of items, in their order.
func names(all []ledger.Item) string {
	var list []string
	for _, i := range all {
		list = append(list, i.Name)
	}
	return strings.Join(list, " ")
}

func wantItems(t *testing.T, l *ledger.Ledger, want ...ledger.Item) {
	t.Helper()
	var got []ledger.Item
	for i, err := range l.Items(t.Context(), "j") {
		ok(t, err)
		got = append(got, *i)
	}
	ignore := cmpopts.IgnoreFields(ledger.Item{}, "Since", "RunLease")
	if diff := cmp.Diff(want, got, ignore, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

func TestItemsAreKept(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		wantItems(t, l)
		a, odd, capital := item("a", "waiting", 1), item("\" ü\n'%", "waiting", 2), item("B", "waiting", 1)
		odd.Key, odd.Modified, odd.Gone = "item:odd", time.Time{}, due
		other := item("a", "waiting", 3)
		ok(t, l.KeepItems(ctx, "j", []ledger.Item{a, odd, capital}))
		ok(t, l.KeepItems(ctx, "another", []ledger.Item{other}))
		wantItems(t, open(t, url), odd, capital, a)

		a.State, a.Unchanged, a.Gone, a.Size = "ready", time.Hour, due, 7
		ok(t, l.KeepItems(ctx, "j", []ledger.Item{a}))
		wantItems(t, l, odd, capital, a)
		found, err := l.ItemByKey(ctx, "j", "item:a")
		ok(t, err)
		if diff := cmp.Diff(a, *found); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if _, err := l.ItemByKey(ctx, "j", "item:b"); !errors.Is(err, ledger.ErrNone) {
			t.Errorf("got %v, want ErrNone", err)
		}
		if found, err = l.ItemByName(ctx, "j", odd.Name); err != nil || found.Key != odd.Key {
			t.Errorf("got %+v, %v, want the item of that name", found, err)
		}
		if _, err := l.ItemByName(ctx, "j", "item:a"); !errors.Is(err, ledger.ErrNone) {
			t.Errorf("got %v, want ErrNone", err)
		}
	})
}

func TestItemsComeByPages(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		var all []ledger.Item
		for i := range 1200 { // more than two pages, in byte order
			all = append(all, item(fmt.Sprintf("%s%04d", []string{"A", "a-", "a.", "aa"}[i/300], i), "waiting", 1))
		}
		ok(t, l.KeepItems(ctx, "j", all))
		wantItems(t, l, all...)
		n := 0
		for _, err := range l.Items(ctx, "j") {
			ok(t, err)
			if n++; n == 700 {
				break
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		for i, err := range l.Items(ended, "j") {
			if i != nil || err == nil {
				t.Errorf("got %v, %v, want an error", i, err)
			}
		}
	})
}

func TestReadyItemsComeInOrderAndAsManyAsMayBeAtWork(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		gone := item("gone", "ready", 0)
		gone.Gone = due
		ok(t, l.KeepItems(ctx, "j", []ledger.Item{item("c", "ready", 1), item("b", "ready", 2), item("a", "ready", 2), item("d", "ready", 3), item("w", "waiting", 0), gone}))
		wants := func(order ledger.ItemOrder, most int, want string) {
			t.Helper()
			got, err := l.ReadyItems(ctx, "j", order, most)
			ok(t, err)
			if names(got) != want {
				t.Errorf("%s, %d: got %s, want %s", order, most, names(got), want)
			}
		}
		wants(ledger.ItemsOldest, 9, "c a b d")
		wants(ledger.ItemsNewest, 9, "d a b c")
		wants(ledger.ItemsByName, 3, "a b c")

		run, mine, err := l.Claim(ctx, ledger.Claim{Job: "j", Key: "item:c", Item: true, Holder: "me", Lease: time.Hour})
		ok(t, err)
		if !mine {
			t.Fatal("the item was not claimed")
		}
		claim(t, l, "j", "manual:x", "me", time.Hour)
		wants(ledger.ItemsOldest, 9, "a b d")
		wants(ledger.ItemsOldest, 3, "a")
		wants(ledger.ItemsOldest, 2, "")
		ok(t, l.Finish(ctx, run.ID, "me", ledger.Outcome{State: ledger.Succeeded}))
		wants(ledger.ItemsOldest, 3, "a b")
	})
}

func TestAnItemThatIsTakenStaysAsItIs(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		a := item("a", "ready", 1)
		ok(t, l.KeepItems(ctx, "j", []ledger.Item{a}))
		run, _, err := l.Claim(ctx, ledger.Claim{Job: "j", Key: "item:a", Item: true, Holder: "me", Lease: time.Hour})
		ok(t, err)
		late := a
		late.State, late.Fingerprint = "waiting", "other"
		ok(t, l.KeepItems(ctx, "j", []ledger.Item{late}))
		a.State, a.Run, a.RunState = ledger.ItemTaken, run.ID, ledger.Claimed
		wantItems(t, l, a)

		again := late
		again.Key, again.Generation = "item:a@2", 2
		ok(t, l.KeepItems(ctx, "j", []ledger.Item{again}))
		wantItems(t, l, again)
		ok(t, l.KeepItems(ctx, "j", []ledger.Item{late})) // of a look that began before that
		wantItems(t, l, again)
	})
}

func TestItemsThatAreGoneAreNoted(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		ok(t, l.KeepItems(ctx, "j", []ledger.Item{item("a", "ready", 1), item("b", "ready", 1)}))
		ok(t, l.SetGone(ctx, "j", []string{"a", "nobody"}))
		a, err := l.ItemByKey(ctx, "j", "item:a")
		ok(t, err)
		if age := time.Since(a.Gone); age < 0 || age > time.Minute {
			t.Errorf("gone since %v", a.Gone)
		}
		if got, err := l.ReadyItems(ctx, "j", ledger.ItemsByName, 9); err != nil || names(got) != "b" {
			t.Errorf("got %s, %v, want b", names(got), err)
		}
		ok(t, l.SetBack(ctx, "j", []string{"a", "b"}, a.Gone.Add(-time.Second))) // as a look saw it before
		if got, err := l.ReadyItems(ctx, "j", ledger.ItemsByName, 9); err != nil || names(got) != "b" {
			t.Errorf("got %s, %v, want b", names(got), err)
		}
		ok(t, l.SetBack(ctx, "j", []string{"a", "b"}, a.Gone.Add(time.Second)))
		wantItems(t, l, item("a", "ready", 1), item("b", "ready", 1))
	})
}

func TestWhatBecameOfAnItemOutlivesItsRun(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		var all []ledger.Item
		for i := range 150 { // more than a batch
			all = append(all, item(fmt.Sprintf("i%03d", i), "ready", 1))
		}
		ok(t, l.KeepItems(ctx, "j", all))
		for i := range all {
			run, _, err := l.Claim(ctx, ledger.Claim{Job: "j", Key: all[i].Key, Item: true, Holder: "me", Lease: time.Hour})
			ok(t, err)
			all[i].State, all[i].Why = "succeeded", ""
			if i == 3 {
				all[i].State, all[i].Why = "canceled", "on request"
			}
			ok(t, l.Finish(ctx, run.ID, "me", ledger.Outcome{State: ledger.State(all[i].State), Message: all[i].Why}))
		}
		last := &all[len(all)-1] // the newest run stays
		last.State, last.Why, last.RunState = ledger.ItemTaken, "because", ledger.Succeeded
		n, err := l.ForgetRuns(ctx, ledger.Retention{Since: time.Now().Add(time.Hour)})
		if err != nil || n != len(all)-1 {
			t.Fatalf("forgot %d, %v, want %d", n, err, len(all)-1)
		}
		got, err := l.ItemByKey(ctx, "j", last.Key)
		ok(t, err)
		last.Run = got.Run
		wantItems(t, l, all...)
		if ready, err := l.ReadyItems(ctx, "j", ledger.ItemsByName, 9); err != nil || len(ready) > 0 {
			t.Errorf("%s are ready again, %v", names(ready), err)
		}
	})
}

func TestAnItemThatDidNotSucceedCanBeGivenUpHoweverOldItsRunIs(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		forget := func(when string, keep ledger.Retention, want int) {
			t.Helper()
			if n, err := l.ForgetRuns(ctx, keep); err != nil || n != want {
				t.Errorf("%s: forgot %d, %v, want %d", when, n, err, want)
			}
		}
		now := time.Now().UTC().Truncate(time.Second)
		away, longGone := item("away", "ready", 1), item("long gone", "ready", 1)
		away.Gone, longGone.Gone = now.AddDate(0, 0, -110), now.AddDate(0, 0, -130)
		all := []ledger.Item{away, item("failed", "ready", 1), longGone, item("skipped", "ready", 1), item("timed_out", "ready", 1), item("z", "ready", 1)}
		ok(t, l.KeepItems(ctx, "j", all))
		runs := map[string]int64{}
		for _, i := range all {
			state := ledger.Failed
			switch i.Name {
			case "skipped", "timed_out":
				state = ledger.State(i.Name)
			case "z":
				state = ledger.Succeeded
			}
			run := claim(t, l, "j", i.Key, "me", time.Hour)
			ok(t, l.Finish(ctx, run.ID, "me", ledger.Outcome{State: state}))
			runs[i.Name] = run.ID
		}
		aged := ledger.Retention{Since: time.Now().Add(time.Hour)}
		forget("by age", aged, 1) // of the item that is long gone
		forget("by number", ledger.Retention{Runs: 1}, 0)
		if left, n, err := l.LeftItems(ctx, "j", 9); err != nil || names(left) != "failed skipped timed_out" || n != 3 {
			t.Errorf("%d items are left: %s, %v, want the three that did not succeed", n, names(left), err)
		}
		for i, name := range []string{"failed", "skipped", "timed_out"} {
			done, err := l.Act(ctx, ledger.Action{Kind: ledger.ActionCancel, Run: runs[name], Who: "ada"})
			if err != nil || !done.GaveUp {
				t.Errorf("%s: got %+v, %v, want it given up", name, done, err)
			}
			if i == 0 {
				forget("given up, by number", ledger.Retention{Runs: 1}, 1)
			}
		}
		forget("given up, by age", aged, 2)
		if left, n, err := l.LeftItems(ctx, "j", 9); err != nil || n != 0 {
			t.Errorf("%d items are left: %s, %v, want none", n, names(left), err)
		}
	})
}

func TestItemsThatDidNotSucceedAreLeft(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		for _, state := range []ledger.State{ledger.Succeeded, ledger.Failed, ledger.Canceled, ledger.TimedOut, ledger.Skipped, ledger.Claimed} {
			i := item(string(state), "ready", 1)
			ok(t, l.KeepItems(ctx, "j", []ledger.Item{i, item("gone", "failed", 1), item("waits", "waiting", 1)}))
			run, _, err := l.Claim(ctx, ledger.Claim{Job: "j", Key: i.Key, Item: true, Holder: "me", Lease: time.Hour})
			ok(t, err)
			if state.Final() {
				ok(t, l.Finish(ctx, run.ID, "me", ledger.Outcome{State: state}))
			}
			found, err := l.RunOf(ctx, "j", i.Key)
			if err != nil || found.ID != run.ID || found.State != state {
				t.Errorf("got the run %+v, %v, want %d that has %s", found, err, run.ID, state)
			}
		}
		if _, err := l.RunOf(ctx, "j", "item:waits"); !errors.Is(err, ledger.ErrNone) {
			t.Errorf("got %v, want ErrNone", err)
		}
		ok(t, l.SetGone(ctx, "j", []string{"gone"}))
		if left, n, err := l.LeftItems(ctx, "j", 2); err != nil || names(left) != "failed skipped" || n != 3 {
			t.Errorf("%d items are left, the first are %s, %v", n, names(left), err)
		}
		if n, err := l.Failed(ctx, "j", time.Now()); err != nil || n != 2 {
			t.Errorf("%d items have failed, %v, want 2", n, err)
		}
	})
}

func TestItemsThatAreLongGoneAreForgotten(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		now := time.Now().UTC().Truncate(time.Second)
		short, long, open := item("short", "waiting", 1), item("long", "waiting", 1), item("open", "ready", 1)
		short.Gone, long.Gone = now.AddDate(0, 0, -110), now.AddDate(0, 0, -130)
		open.Gone = long.Gone
		ok(t, l.KeepItems(ctx, "j", []ledger.Item{short, long, open}))
		run := claim(t, l, "j", open.Key, "me", time.Hour)
		open.Run, open.RunState = run.ID, ledger.Claimed
		_, err := l.ForgetRuns(ctx, ledger.Retention{})
		ok(t, err)
		wantItems(t, l, open, short)
	})
}

func TestHowLooksHaveEndedIsKept(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		last, err := l.LastLook(ctx, "j")
		if err != nil || last != (ledger.LastLook{}) {
			t.Errorf("got %+v, %v before any look", last, err)
		}
		if _, err := l.Watch(ctx, "j", "me", time.Hour); err != nil {
			t.Fatal(err)
		}
		ok(t, l.EndLook(ctx, "j", ""))
		first, err := l.LastLook(ctx, "j")
		if err != nil || first.Looked.IsZero() || !first.Failed.IsZero() {
			t.Errorf("got %+v, %v after a look", first, err)
		}
		ok(t, l.EndLook(ctx, "j", "no such folder\x00"))
		last, err = l.LastLook(ctx, "j")
		if err != nil || last.Failed.IsZero() || last.Looked != first.Looked || last.Why != "no such folder\uFFFD" {
			t.Errorf("got %+v, %v after one that ended early", last, err)
		}
		ok(t, l.EndLook(ctx, "j", ""))
		if last, err = l.LastLook(ctx, "j"); err != nil || !last.Failed.IsZero() || last.Why != "" {
			t.Errorf("got %+v, %v after one that did not", last, err)
		}
	})
}

func TestOneHolderWatches(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l, ctx := open(t, url), t.Context()
		watch := func(job, holder string, lease time.Duration) bool {
			t.Helper()
			mine, err := l.Watch(ctx, job, holder, lease)
			ok(t, err)
			return mine
		}
		var mine [8]bool
		var wg sync.WaitGroup
		for i := range mine {
			wg.Go(func() { mine[i] = watch("j", fmt.Sprint("holder ", i), time.Hour) })
		}
		wg.Wait()
		who := ""
		for i, is := range mine {
			switch {
			case is && who != "":
				t.Errorf("%s and holder %d watch", who, i)
			case is:
				who = fmt.Sprint("holder ", i)
			}
		}
		if who == "" {
			t.Fatal("nobody watches")
		}
		if watch("j", "late", time.Hour) || !watch("j", who, time.Hour) || !watch("other", "late", time.Hour) {
			t.Error("the watch is not that of one holder for each job")
		}
		ok(t, l.Release(ctx, who))
		if !watch("j", "late", 24*time.Hour) {
			t.Error("a watch that was given back is not free")
		}
		// The lease of a clock that was ahead is believed for one lease.
		if watch("j", "next", time.Microsecond) || !watch("j", "next", time.Microsecond) {
			t.Error("the watch is not free after a lease")
		}
	})
}
