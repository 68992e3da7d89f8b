package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// telling opens an alarm once, and makes a notice for each channel then.
func telling(id, job string, channels ...string) ledger.Transition {
	return func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		if len(now.Alarms) > 0 {
			now.Alarms[0].Count++
			return now, nil
		}
		now.Alarms = []ledger.Alarm{{Kind: "failed", Count: 1}}
		var all []ledger.Notice
		for _, c := range channels {
			all = append(all, ledger.Notice{ID: id, Channel: c, Job: job, Event: "failed", Body: "{}"})
		}
		return now, all
	}
}

// always makes a notice without remembering anything.
func always(id, job, channel string) ledger.Transition {
	return func(now ledger.Standing) (ledger.Standing, []ledger.Notice) {
		return now, []ledger.Notice{{ID: id, Channel: channel, Job: job, Event: "failed", Body: "{}"}}
	}
}

// outbox lists the notices that wait as id@channel, the oldest first.
func outbox(t *testing.T, l *ledger.Ledger) (all []string) {
	t.Helper()
	for n, err := range l.Notices(t.Context(), true) {
		ok(t, err)
		all = append(all, n.ID+"@"+n.Channel)
	}
	slices.Reverse(all)
	return all
}

// take takes a notice of a channel, and returns its id, or "".
func take(t *testing.T, l *ledger.Ledger, channel string) string {
	t.Helper()
	n, err := l.TakeNotice(t.Context(), channel, time.Hour)
	ok(t, err)
	if n == nil {
		return ""
	}
	return n.ID
}

func TestARunEndsTogetherWithItsNotices(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		failed := ledger.Outcome{State: ledger.Failed, Message: "no such path"}
		run := claim(t, l, "nightly", "1", "a", time.Minute)
		for range 2 { // the second says what the first did
			ok(t, l.FinishAndTell(t.Context(), run.ID, "a", failed, "nightly", telling("n1", "nightly", "ops", "chat")))
		}
		if got := get(t, l, run.ID); got.State != ledger.Failed {
			t.Errorf("got run %+v, want it failed", got)
		}
		lost := claim(t, l, "nightly", "2", "a", time.Minute)
		wantError(t, "finish by another", l.FinishAndTell(t.Context(), lost.ID, "b", failed, "other", telling("n2", "other", "ops")), ledger.ErrLost)

		if diff := cmp.Diff([]string{"n1@ops", "n1@chat"}, outbox(t, l)); diff != "" {
			t.Errorf("outbox (-want +got):\n%s", diff)
		}
		ok(t, l.Tell(t.Context(), "nightly", telling("n3", "nightly", "ops")))
		standings, err := open(t, url).Standings(t.Context())
		ok(t, err)
		want := map[string]ledger.Standing{"nightly": {Job: "nightly", Alarms: []ledger.Alarm{{Kind: "failed", Count: 2}}}}
		if diff := cmp.Diff(want, standings); diff != "" {
			t.Errorf("standings (-want +got):\n%s", diff)
		}
	})
}

func TestOfManyThatTellOfAJobOneMakesTheNotice(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { errs[i] = l.Tell(t.Context(), "nightly", telling(fmt.Sprint("n", i), "nightly", "ops")) })
		}
		wg.Wait()
		ok(t, errors.Join(errs...))
		if got := outbox(t, l); len(got) != 1 {
			t.Errorf("got %v, want one notice", got)
		}
		standings, err := l.Standings(t.Context())
		ok(t, err)
		if got := standings["nightly"].Alarms[0].Count; got != len(errs) {
			t.Errorf("got %d, want all %d counted", got, len(errs))
		}
	})
}

func TestANoticeIsThereOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		for range 2 {
			ok(t, l.Tell(t.Context(), "a", always("n1", "a", "ops")))
		}
		if diff := cmp.Diff([]string{"n1@ops"}, outbox(t, l)); diff != "" {
			t.Errorf("outbox (-want +got):\n%s", diff)
		}
	})
}

func TestNoticesOfAJobAreTakenInTheirOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		for _, n := range [][2]string{{"a1", "a"}, {"a2", "a"}, {"b1", "b"}, {"b2", "b"}} {
			ok(t, l.Tell(t.Context(), n[1], always(n[0], n[1], "ops")))
		}
		ok(t, l.Tell(t.Context(), "a", always("a1", "a", "chat")))
		next := func(want string) {
			t.Helper()
			if got := take(t, l, "ops"); got != want {
				t.Errorf("took %q, want %q", got, want)
			}
		}
		next("a1")
		next("b1")
		next("") // a2 and b2 wait for those before them
		ok(t, l.PostponeNotice(t.Context(), "a1", "ops", time.Hour, "it answers 500"))
		next("")
		ok(t, l.EndNotice(t.Context(), "b1", "ops", ledger.NoticeSent, ""))
		next("b2")
		ok(t, l.EndNotice(t.Context(), "a1", "ops", ledger.NoticeGivenUp, "it answers 500"))
		next("a2")

		waiting, err := l.WaitingNotices(t.Context())
		ok(t, err)
		if diff := cmp.Diff(map[string]int{"ops": 2, "chat": 1}, waiting); diff != "" {
			t.Errorf("waiting (-want +got):\n%s", diff)
		}
	})
}

func TestANoticeThatNobodyEndedIsTakenAgain(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ok(t, l.Tell(t.Context(), "a", always("a1", "a", "ops")))
		for try := 1; try <= 2; try++ {
			n, err := l.TakeNotice(t.Context(), "ops", 0)
			ok(t, err)
			if n == nil || n.ID != "a1" || n.Tries != try || n.Body != "{}" || n.Created.IsZero() {
				t.Fatalf("got %+v, want a1 at its try %d", n, try)
			}
		}
		ok(t, l.PostponeNotice(t.Context(), "a1", "ops", 0, "it answers 500"))
		n, err := l.TakeNotice(t.Context(), "ops", time.Hour)
		ok(t, err)
		if n == nil || n.Why != "it answers 500" {
			t.Errorf("got %+v, want a1 with the reason of the last try", n)
		}
	})
}

// A clock that was years ahead made a notice.
func TestANoticeOfTheFarFutureHoldsUpNobody(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		ok(t, l.Tell(t.Context(), "a", always("a1", "a", "chat")))
		ok(t, l.Tell(t.Context(), "a", always("a2", "a", "chat")))
		ok(t, l.PostponeNotice(t.Context(), "a1", "chat", 23*time.Hour, "it answers 503"))
		if got := take(t, l, "chat"); got != "" {
			t.Errorf("took %q, want none: the receiver asks to wait", got)
		}
		ok(t, l.PostponeNotice(t.Context(), "a1", "chat", 10*365*24*time.Hour, ""))
		if got := take(t, l, "chat"); got != "a1" {
			t.Errorf("took %q, want a1", got)
		}
		if got := take(t, l, "chat"); got != "" {
			t.Errorf("took %q, want none: the first one is being sent", got)
		}
	})
}

func TestOldNoticesAreGivenUpAndForgotten(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		for _, id := range []string{"sent", "waits"} {
			ok(t, l.Tell(t.Context(), id, always(id, id, "ops")))
		}
		ok(t, l.EndNotice(t.Context(), "sent", "ops", ledger.NoticeSent, ""))
		long, soon := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		forget := func(made, ended time.Time) (ids []string) {
			given, err := l.ForgetNotices(t.Context(), made, ended)
			ok(t, err)
			for _, n := range given {
				ids = append(ids, n.ID+" "+string(n.State))
			}
			return ids
		}
		if got := forget(long, long); got != nil {
			t.Errorf("gave up %v, want nothing: all are young", got)
		}
		if diff := cmp.Diff([]string{"waits given_up"}, forget(soon, long)); diff != "" {
			t.Errorf("given up (-want +got):\n%s", diff)
		}
		forget(long, soon)
		for n, err := range l.Notices(t.Context(), false) {
			t.Errorf("got %+v, %v, want nothing left", n, err)
		}
	})
}

func TestAnAlarmThatNoChannelTookIsUnheard(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		l := open(t, url)
		unheard := func(job string) bool {
			t.Helper()
			all, err := l.Standings(t.Context())
			ok(t, err)
			return len(all[job].Alarms) == 1 && all[job].Alarms[0].Unheard
		}
		for _, job := range []string{"a", "b", "c"} {
			ok(t, l.Tell(t.Context(), job, telling(job+"1", job, "ops", "chat")))
		}
		ok(t, l.EndNotice(t.Context(), "a1", "ops", ledger.NoticeGivenUp, "it answers 404"))
		if unheard("a") {
			t.Error("it counts as unheard while another channel may take it")
		}
		ok(t, l.EndNotice(t.Context(), "a1", "chat", ledger.NoticeGivenUp, "it answers 404"))
		ok(t, l.EndNotice(t.Context(), "b1", "chat", ledger.NoticeSent, ""))
		ok(t, l.EndNotice(t.Context(), "b1", "ops", ledger.NoticeGivenUp, "it answers 404"))
		_, err := l.ForgetNotices(t.Context(), time.Now().Add(time.Hour), time.Now().Add(-time.Hour))
		ok(t, err)
		if !unheard("a") || unheard("b") || !unheard("c") {
			t.Errorf("unheard: a %v, b %v, c %v; want a, which was given up, and c, which was given up for its age", unheard("a"), unheard("b"), unheard("c"))
		}
	})
}
