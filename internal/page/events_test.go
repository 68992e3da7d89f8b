package page_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/page"
)

// A viewer has the events open.
type viewer struct {
	safeBuffer
	header http.Header
	status int
}

func (v *viewer) Header() http.Header    { return v.header }
func (v *viewer) WriteHeader(status int) { v.status = status }
func (v *viewer) Flush()                 {}

// watch opens the events, until leave is called.
func (d *desk) watch(query string) (v *viewer, leave func()) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.host+"/api/v1/events"+query, nil)
	r.RemoteAddr = d.from
	v = &viewer{header: http.Header{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.page.Handler().ServeHTTP(v, r)
	}()
	synctest.Wait()
	return v, func() { cancel(); <-done }
}

func TestViewersHearOfWhatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, someJobs)
		defer d.ledger.Close() //nolint:errcheck // so that nothing of it is left in the bubble
		program, leave := d.watch("")
		defer leave()
		person, leave2 := d.watch("?rows=1")
		defer leave2()
		news := func(v *viewer) string {
			before := len(v.String())
			time.Sleep(2 * time.Second)
			synctest.Wait()
			return v.String()[before:]
		}
		if got := news(program); got != "" || program.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("without news: %q", got)
		}
		d.run("nightly", "1", ledger.Outcome{})
		if got := news(program); got != "event: job\ndata: {\"job\":\"nightly\",\"state\":\"claimed\",\"run\":1}\n\n" {
			t.Errorf("after a start: %q", got)
		}
		if err := d.ledger.Note(t.Context(), 1, time.Now(), "waiting", "lab is offline"); err != nil {
			t.Fatal(err)
		}
		if got := news(person); !strings.Contains(got, "lab is offline") {
			t.Errorf("what holds a run: %q", got)
		}
		d.run("nightly", "1", ledger.Outcome{State: ledger.Failed, Message: "no such path"})
		if got := news(person); strings.Count(got, "event: job\n") != 1 || !strings.Contains(got, `\u003carticle id=\"job-nightly\"`) || !strings.Contains(got, "no such path") || !strings.Contains(got, "event: top\n") {
			t.Errorf("after a failure: %q", got)
		}
		if _, err := d.ledger.Act(t.Context(), ledger.Action{Kind: ledger.ActionPause, Job: "second", Who: "ada"}); err != nil {
			t.Fatal(err)
		}
		if got := news(program); !strings.Contains(got, `{"job":"second","state":"paused"}`) || strings.Contains(got, "nightly") {
			t.Errorf("after a pause: %q", got)
		}
		d.run("each", "item:a", ledger.Outcome{})
		news(program)
		d.page.Progress("each", page.Progress{Files: 10, FilesTransferred: 4})
		if got := news(person); !strings.Contains(got, "4 of 10 files") {
			t.Errorf("after progress: %q", got)
		}
		d.page.Progress("each", page.Progress{Files: 1, FilesTransferred: 1})
		if got := news(person); !strings.Contains(got, "1 of 1 file ") {
			t.Errorf("of one file: %q", got)
		}
		d.page.Ended("each")
		if got := news(person); strings.Contains(got, " of 1 file") {
			t.Errorf("after the end: %q", got)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := program.String(); !strings.HasSuffix(got, ": still here\n\n") {
			t.Errorf("after half a minute: %q", got)
		}
		time.Sleep(11 * time.Minute) // everything is read once more
		synctest.Wait()
		if got := program.String(); strings.Count(got, "event: job") != 8 {
			t.Errorf("what has not changed was told again: %q", got)
		}
	})
}

func TestViewersHearOfAJobsFileThatIsNotInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pending atomic.Pointer[page.Pending]
		d := newDesk(t, someJobs, func(c *page.Config) { c.Pending = pending.Load })
		defer d.ledger.Close() //nolint:errcheck // so that nothing of it is left in the bubble
		person, leave := d.watch("?rows=1")
		defer leave()
		for _, now := range []*page.Pending{{Since: time.Now(), Why: errors.New("line 1 is bad")}, nil} {
			pending.Store(now)
			before := len(person.String())
			time.Sleep(4 * time.Second)
			synctest.Wait()
			got := person.String()[before:]
			if strings.Count(got, "event: ") != 1 || !strings.Contains(got, "event: top\n") || strings.Contains(got, "line 1 is bad") != (now != nil) {
				t.Errorf("got %q, want one event, with the mistake: %t", got, now != nil)
			}
		}
	})
}

// However many pages are open, and whenever each was opened, the ledger is polled at
// most once a second: every poll makes a scene of its own.
func TestManyOpenPagesPollTheLedgerOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, someJobs)
		defer d.ledger.Close() //nolint:errcheck // so that nothing of it is left in the bubble
		const pages, length, step = 200, 10 * time.Second, 5 * time.Millisecond
		for range pages {
			_, leave := d.watch("?rows=1")
			defer leave()
			time.Sleep(time.Second / pages) // they are opened one after the other
		}
		polls := map[any]bool{}
		for range length / step {
			s, err := d.page.Known(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			polls[s] = true
			time.Sleep(step)
			synctest.Wait()
		}
		if n := time.Duration(len(polls)); n < length/time.Second-1 || n > length/time.Second+1 {
			t.Errorf("the ledger was polled %d times in %s, want once a second", n, length)
		}
	})
}

// However many people have the same page open, what it shows is read once a second: all
// of them see the same, although the ledger changes before each of them looks.
func TestManyWhoSeeAPageAskTheLedgerOnceASecond(t *testing.T) {
	for _, path := range []string{"/runs", "/runs/1", "/jobs/each", "/items/each", "/alarms"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, someJobs)
				defer d.ledger.Close() //nolint:errcheck // so that nothing of it is left in the bubble
				run := d.run("each", "item:a", ledger.Outcome{})
				const length, step = 4 * time.Second, 50 * time.Millisecond
				seen := map[string]bool{}
				for i := range int(length / step) {
					name := fmt.Sprint(i)
					d.run("nightly", name, ledger.Outcome{State: ledger.Failed})
					d.run("each", "item:"+name, ledger.Outcome{State: ledger.Succeeded})
					if err := errors.Join(
						d.ledger.Note(t.Context(), run, time.Now(), "stalled", name),
						d.ledger.KeepItems(t.Context(), "each", []ledger.Item{{Name: name, Key: "item:" + name, State: "waiting"}}),
					); err != nil {
						t.Fatal(err)
					}
					a := d.get(path)
					if a.status != http.StatusOK {
						t.Fatalf("got status %d", a.status)
					}
					seen[a.text] = true
					time.Sleep(step)
				}
				if n := time.Duration(len(seen)); n < 2 || n > length/time.Second+1 {
					t.Errorf("in %s, the page had %d contents, want one each second", length, n)
				}
			})
		})
	}
}

func TestAPageThatIsOpenSaysOfWhichJobsItIs(t *testing.T) {
	d := newDesk(t, someJobs)
	for range 2 {
		d.run("nightly", fmt.Sprint(time.Now().UnixNano()), ledger.Outcome{State: ledger.Succeeded})
	}
	for path, want := range map[string]string{
		"/alarms": `<div id="live" data-job="">`, "/runs": `<div id="live" data-job="">`, "/runs?job=nightly": `<div id="live" data-job="nightly">`,
		"/jobs/nightly": `<div id="live" data-job="nightly">`, "/runs/1": `<div id="live" data-job="nightly">`, "/items/each": `<div id="live" data-job="each">`,
		"/": `<div id="jobs" data-live="rows">`,
	} {
		d.want(path, d.get(path), 200, want)
	}
	if got := d.get("/runs?cursor=2"); got.status != 200 || strings.Contains(got.text, `id="live"`) {
		t.Errorf("older runs do not stay where they are: %s", got.text)
	}
}

func TestManyViewersAskTheLedgerOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, someJobs)
		defer d.ledger.Close() //nolint:errcheck // so that nothing of it is left in the bubble
		look := func() any {
			s, err := d.page.Scene(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		first := look()
		time.Sleep(999 * time.Millisecond)
		if look() != first {
			t.Error("the ledger was asked twice within a second")
		}
		time.Sleep(time.Millisecond)
		if look() == first {
			t.Error("after a second the ledger was not asked again")
		}
		var all []func()
		for range page.MaxViewers {
			_, leave := d.watch("")
			all = append(all, leave)
		}
		if v, leave := d.watch(""); v.status != http.StatusServiceUnavailable {
			t.Errorf("one more viewer: status %d, want 503", v.status)
		} else {
			leave()
		}
		for _, leave := range all {
			leave()
		}
		if v, leave := d.watch(""); v.status != 0 {
			t.Errorf("after they left: status %d", v.status)
		} else {
			leave()
		}
	})
}

func TestRunsThatEndedWhileNobodyLookedAreNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, someJobs)
		defer d.ledger.Close() //nolint:errcheck // so that nothing of it is left in the bubble
		d.run("nightly", "1", ledger.Outcome{State: ledger.Succeeded})
		d.get("/")
		for i := range 20 { // a week, for a page with many jobs
			time.Sleep(time.Minute)
			d.run("nightly", fmt.Sprintf("later %d", i), ledger.Outcome{State: ledger.Succeeded})
		}
		d.want("after that", d.get("/"), 200, "last 21 runs: 21 succeeded")
		if n, err := d.page.Signs(t.Context()); err != nil || n > 2 {
			t.Errorf("the page follows %d runs (%v), want those of the last minute", n, err)
		}
		d.run("nightly", "now", ledger.Outcome{State: ledger.Failed})
		time.Sleep(2 * time.Second)
		d.want("then", d.get("/"), 200, "last 22 runs: 1 failed, 21 succeeded")
	})
}

func TestWhatHappensWhileNobodyLooksIsSeenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, someJobs)
		defer d.ledger.Close() //nolint:errcheck // so that nothing of it is left in the bubble
		d.run("nightly", "1", ledger.Outcome{})
		state := func(job string) string {
			t.Helper()
			return decode[struct{ State string }](t, d.get("/api/v1/jobs/"+job)).State
		}
		if got := state("nightly"); got != "claimed" {
			t.Errorf("at first it is %s", got)
		}
		time.Sleep(time.Minute)
		d.run("nightly", "1", ledger.Outcome{State: ledger.Succeeded})
		d.run("second", "2", ledger.Outcome{State: ledger.Failed})
		time.Sleep(5 * time.Minute)
		if got, other := state("nightly"), state("second"); got != "succeeded" || other != "failed" {
			t.Errorf("later they are %s and %s", got, other)
		}
	})
}

func TestTheChartGoesOnOverMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, someJobs)
		defer d.ledger.Close() //nolint:errcheck // so that nothing of it is left in the bubble
		moved := func(key string) {
			d.run("nightly", key, ledger.Outcome{State: ledger.Succeeded, Totals: ledger.Totals{Files: 1, Bytes: 1000}})
		}
		shown := func(want ...string) { // the days, with their files
			t.Helper()
			var got []string
			for _, text := range strings.Split(d.get("/").text, "<title>")[2:] { // before is that of the page
				title, _, _ := strings.Cut(text, "</title>")
				day, _, _ := strings.Cut(title, ":")
				_, files, _ := strings.Cut(title, ", ")
				got = append(got, day+" "+files)
			}
			if !slices.Equal(got, want) {
				t.Errorf("on %v the chart has %q, want %q", time.Now().UTC(), got, want)
			}
		}
		moved("1 Jan")
		time.Sleep(24 * time.Hour)
		if err := d.page.Warm(t.Context()); err != nil || !d.page.Counted().Equal(time.Now()) {
			t.Errorf("the days were read at %v, %v, want now", d.page.Counted(), err)
		}
		time.Sleep(time.Hour)
		moved("2 Jan")
		time.Sleep(4*24*time.Hour + 22*time.Hour + 55*time.Minute)
		moved("6 Jan")
		shown("1 Jan 1 file", "2 Jan 1 file", "6 Jan 1 file")
		time.Sleep(2 * time.Minute)
		moved("6 Jan, later")
		shown("1 Jan 1 file", "2 Jan 1 file", "6 Jan 2 files")
		time.Sleep(time.Minute)
		moved("6 Jan, last")
		time.Sleep(3 * time.Minute)
		moved("7 Jan")
		shown("1 Jan 1 file", "2 Jan 1 file", "6 Jan 3 files", "7 Jan 1 file")
		time.Sleep(23*24*time.Hour + 23*time.Hour + 54*time.Minute)
		moved("30 Jan")
		shown("1 Jan 1 file", "2 Jan 1 file", "6 Jan 3 files", "7 Jan 1 file", "30 Jan 1 file")
		time.Sleep(6 * time.Minute)
		moved("31 Jan")
		want := []string{"2 Jan 1 file", "6 Jan 3 files", "7 Jan 1 file", "30 Jan 1 file", "31 Jan 1 file"}
		shown(want...)
		d.page = d.newPage() // of which this is the first look
		shown(want...)
	})
}
