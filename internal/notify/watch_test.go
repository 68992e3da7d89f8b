package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
)

// A lookout is a watch with its ledger, in virtual time.
type lookout struct {
	*office
	file *jobs.File
	runs int
}

// restart closes the ledger and opens it again: what only a process knew is gone.
func (l *lookout) restart() {
	l.t.Helper()
	if err := l.ledger.Close(); err != nil {
		l.t.Fatal(err)
	}
	l.open()
}

func newLookout(t *testing.T, all ...*jobs.Job) *lookout {
	t.Helper()
	l := &lookout{office: newOffice(t, nil), file: &jobs.File{Jobs: all, Channels: map[string]*jobs.Channel{"ops": {Name: "ops"}, "pi": {Name: "pi"}}}}
	for _, j := range all {
		l.moveCursor(j, time.Now())
	}
	return l
}

// moveCursor says that a job has begun what was due up to an instant.
func (l *lookout) moveCursor(j *jobs.Job, at time.Time) {
	l.t.Helper()
	if j.Schedule == nil {
		return
	}
	err := l.ledger.Reschedule(l.t.Context(), func(map[string]ledger.Schedule) []ledger.Schedule {
		return []ledger.Schedule{{Job: j.Name, Expr: j.Schedule.String(), Zone: "UTC", Cursor: at}}
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// watch watches for some time, as so many replicas.
func (l *lookout) watch(d time.Duration, replicas int) {
	ctx, cancel := context.WithTimeout(l.t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	for range replicas {
		w := &notify.Watch{Ledger: l.ledger, Log: slog.New(slog.NewTextHandler(l.t.Output(), nil)), Jobs: func() *jobs.File { return l.file }}
		all.Go(func() { w.Run(ctx) })
	}
	all.Wait()
}

// ran records a run of a job that ended now.
func (l *lookout) ran(j *jobs.Job, how ledger.Outcome) {
	l.t.Helper()
	l.runs++
	key := fmt.Sprint(l.runs)
	run, _, err := l.ledger.Claim(l.t.Context(), ledger.Claim{Job: j.Name, Key: key, Holder: "a", Lease: time.Hour})
	if err == nil {
		err = l.ledger.FinishAndTell(l.t.Context(), run.ID, "a", how, j.Name, desk().Ended(notify.Run{
			Job: j, Key: key, ID: run.ID, Since: run.Claimed, Outcome: how, Ended: time.Now().UTC(),
		}))
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// want wants these notices in the outbox, the oldest first.
func (l *lookout) want(want ...string) {
	l.t.Helper()
	var got []string
	for row, err := range l.ledger.Notices(l.t.Context(), true) {
		if err != nil {
			l.t.Fatal(err)
		}
		var n notify.Notice
		if err := json.Unmarshal([]byte(row.Body), &n); err != nil {
			l.t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s: %s", n.Time.Format("02 15:04"), row.Channel, n.Title))
		for _, line := range n.Lines {
			l.t.Logf("%s: %s", n.Title, line)
		}
	}
	slices.Reverse(got)
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Errorf("notices (-want +got):\n%s", diff)
	}
}

// hourly is a job that is due every hour, and expects a success every two.
func hourly(t *testing.T, edits ...func(*jobs.Job)) *jobs.Job {
	t.Helper()
	s, err := schedule.Parse("0 * * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return job(t, append([]func(*jobs.Job){func(j *jobs.Job) {
		j.Schedule, j.Expect.SuccessEvery, j.Notify.Repeat = s, 2*time.Hour, 6*time.Hour
	}}, edits...)...)
}

var succeeded = ledger.Outcome{State: ledger.Succeeded}

// Whatever goes on is told once, however often it is seen and a start ends; and once
// more when it is told for so long.
func TestEachEventIsToldOnceOverRestarts(t *testing.T) {
	ends := func(how ledger.Outcome) func(*lookout) {
		return func(l *lookout) { l.ran(l.file.Jobs[0], how) }
	}
	held := func(event notify.Event) func(*lookout) {
		return func(l *lookout) {
			j := l.file.Jobs[0]
			run := notify.Run{Job: j, Key: "1", ID: 1, Since: time.Now()}
			if err := l.ledger.Tell(l.t.Context(), j.Name, desk().Held(run, event, time.Now().UTC(), notify.Task{TaskID: "t1"}, "why")); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	watched := func(l *lookout) { l.watch(time.Minute, 2) }
	events := map[notify.Event]func(*lookout){
		notify.Failed:     ends(outcome(ledger.Failed, "failed", "no such path")),
		notify.Refused:    ends(outcome(ledger.Failed, "guard", "the source is empty")),
		notify.Missing:    ends(outcome(ledger.Failed, "missing", "2 files")),
		notify.Skipped:    ends(outcome(ledger.Skipped, "", "the run before it goes on")),
		notify.Nothing:    ends(succeeded),
		notify.NeedsHuman: held(notify.NeedsHuman),
		notify.Stalled:    held(notify.Stalled),
		notify.Late:       watched,
		notify.Overdue:    watched,
		notify.Access: func(l *lookout) {
			l.access(time.Minute, 2, notify.Ending{Job: "nightly", What: "it ends", Next: "renew it", At: time.Date(2000, 1, 3, 0, 0, 0, 0, time.UTC)})
		},
	}
	for event, seen := range events {
		t.Run(string(event), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := hourly(t, func(j *jobs.Job) {
					j.Notify.Repeat, j.Expect.Files = 24*time.Hour, 1
					j.Notify.To = map[string][]string{string(event): j.Notify.To[string(event)]}
				})
				l := newLookout(t, j)
				told := func() (n int) {
					for row, err := range l.ledger.Notices(t.Context(), true) {
						if err != nil || row.Event != string(event) {
							t.Fatalf("got %+v, %v, want a notice of %s", row, err, event)
						}
						n++
					}
					return n
				}
				l.watch(3*time.Hour, 1)
				for range 10 {
					seen(l)
					l.restart()
					if n := told(); n != 1 {
						t.Fatalf("within a day it was told %d times, want once", n)
					}
					l.watch(time.Hour, 1)
				}
				l.watch(14*time.Hour+time.Minute, 1)
				seen(l)
				if n := told(); n != 2 {
					t.Errorf("after a day it was told %d times, want twice", n)
				}
			})
		})
	}
}

func TestThatNoRunHasEverSucceededIsSaidSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := hourly(t, func(j *jobs.Job) { j.Schedule = nil })
		l := newLookout(t, j)
		why := func() string {
			all, err := l.ledger.Standings(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range all[j.Name].Alarms {
				if a.Kind == string(notify.Overdue) {
					return a.Why
				}
			}
			return ""
		}
		l.watch(time.Minute, 1)
		l.ran(j, outcome(ledger.Failed, "failed", "no such path"))
		l.watch(3*time.Hour, 1)
		if got, want := why(), "No run has succeeded yet (the job has been watched since 2000-01-01 00:00 UTC), and one is expected every 2h"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		l.ran(j, succeeded) // at 03:01
		l.watch(3*time.Hour, 1)
		if got, want := why(), "No run has succeeded since 2000-01-01 03:01 UTC, and one is expected every 2h"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestNoSuccessForLongIsToldByOneReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := hourly(t, func(j *jobs.Job) { j.Schedule = nil })
		l := newLookout(t, j)
		l.watch(121*time.Minute, 1)
		l.want() // it is not much longer than two hours ago yet
		l.watch(7*time.Hour, 3)
		told := []string{
			"01 02:06 ops: nightly is overdue",
			"01 08:06 ops: nightly is overdue since 2000-01-01 02:06 UTC",
		}
		l.want(told...)
		l.ran(j, succeeded)
		l.watch(91*time.Minute, 3)
		l.want(append(told, "01 09:01 ops: nightly has recovered")...)
	})
}

// Who is named only while something does not happen hears of it soon, and of nobody else's notices.
func TestAChannelThatIsAddedHearsOfWhatDoesNotHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := hourly(t, func(j *jobs.Job) { j.Schedule = nil })
		l := newLookout(t, j)
		l.watch(3*time.Hour+time.Minute, 1) // the last look is at 03:00
		j.Notify.To["overdue"] = []string{"ops", "pi"}
		l.watch(2*time.Hour, 2)
		l.want("01 02:05 ops: nightly is overdue", "01 03:06 pi: nightly is overdue since 2000-01-01 02:05 UTC")
	})
}

func TestWhatIsDueAndDoesNotBeginIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := hourly(t, func(j *jobs.Job) { j.Expect.SuccessEvery = 0 })
		l := newLookout(t, j)
		l.watch(76*time.Minute, 2)
		l.want() // it may begin a quarter of an hour late
		l.watch(51*time.Minute, 2)
		l.want("01 01:21 ops: nightly is late")
		l.moveCursor(j, time.Now())
		l.ran(j, succeeded)
		l.want("01 01:21 ops: nightly is late", "01 02:07 ops: nightly has recovered")
	})
}

// A clock was ten years ahead for a while, when the job succeeded and then failed, and
// when a digest was written.
func TestAClockThatWasAheadSilencesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := hourly(t, func(j *jobs.Job) { j.Schedule, j.Notify.To["digest"] = nil, []string{"pi"} })
		l := newLookout(t, j)
		wrong := time.Now().UTC().AddDate(10, 0, 0)
		l.tell(j.Name, ledger.Standing{Since: wrong, Alarms: []ledger.Alarm{{Kind: "failed", Since: wrong, Told: wrong, Heard: []string{"ops"}}}})
		l.tell("", ledger.Standing{Since: wrong, Alarms: []ledger.Alarm{{Kind: "digest:pi", Since: wrong, Told: wrong}}})
		l.watch(121*time.Minute, 2)
		l.ran(j, ledger.Outcome{State: ledger.Failed, Code: "failed", Message: "no such path"})
		l.watch(5*time.Hour+time.Minute, 2)
		l.ran(j, ledger.Outcome{State: ledger.Failed, Code: "failed", Message: "no such path"})
		l.want(
			"01 02:06 ops: nightly is overdue",
			"01 07:00 pi: 0 of 1 run succeeded since 2000-01-01 00:00 UTC; late or overdue: nightly",
			"01 07:02 ops: nightly failed, 2 times since 2000-01-01 00:00 UTC",
		)
	})
}

// tell replaces what is known of a job.
func (l *lookout) tell(job string, is ledger.Standing) {
	l.t.Helper()
	err := l.ledger.Tell(l.t.Context(), job, func(ledger.Standing) (ledger.Standing, []ledger.Notice) { return is, nil })
	if err != nil {
		l.t.Fatal(err)
	}
}

func TestAPausedJobIsNeitherLateNorOverdue(t *testing.T) {
	pause := map[string]func(l *lookout, on bool){
		"suspended": func(l *lookout, on bool) { l.file.Jobs[0].Suspend = on },
		"paused": func(l *lookout, on bool) {
			deed := ledger.ActionPause
			if !on {
				deed = ledger.ActionResume
			}
			if _, err := l.ledger.Act(l.t.Context(), ledger.Action{Kind: deed, Job: "nightly", Who: "me", Why: "new disks"}); err != nil {
				l.t.Fatal(err)
			}
		},
	}
	for name, pause := range pause {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := hourly(t)
				l := newLookout(t, j)
				l.watch(31*time.Minute, 1)
				pause(l, true)
				l.watch(6*time.Hour+time.Minute, 1)
				pause(l, false)
				l.moveCursor(j, time.Now()) // as a scheduler does
				l.watch(21*time.Minute, 1)
				l.want()
				l.moveCursor(j, time.Now().Add(10*time.Hour)) // nothing is late
				l.watch(121*time.Minute, 1)
				l.want("01 08:38 ops: nightly is overdue") // two hours after it was resumed
			})
		})
	}
}

func TestAnOutageIsToldInOneNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []*jobs.Job
		for i := range 22 {
			all = append(all, hourly(t, func(j *jobs.Job) { j.Name = fmt.Sprintf("job-%02d", i) }))
		}
		l := newLookout(t, all...)
		l.watch(6*time.Minute, 1)
		time.Sleep(7 * 24 * time.Hour) // nobody is at work
		l.watch(6*time.Minute, 2)
		const told = "08 00:06 ops: The scheduler did not work from 2000-01-01 00:05 UTC to 2000-01-08 00:06 UTC"
		l.want(told)
		l.moveCursor(all[0], time.Now().Add(10*24*time.Hour))
		for range 7 {
			for _, j := range all[1:] {
				l.moveCursor(j, time.Now().Add(10*24*time.Hour))
				l.ran(j, succeeded)
			}
			l.watch(61*time.Minute, 1)
		}
		// Nobody hears of the recovery of what nobody was told. What goes on is told.
		l.want(told, "08 06:07 ops: job-00 is overdue since 2000-01-08 00:06 UTC")
	})
}

func TestADigestSaysWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zurich, err := schedule.LoadZone("Europe/Zurich")
		if err != nil {
			t.Fatal(err)
		}
		weekly, err := schedule.Parse("0 7 * * 1", zurich)
		if err != nil {
			t.Fatal(err)
		}
		a := job(t, func(j *jobs.Job) {
			j.Name, j.Zone, j.Notify.To = "alpha", zurich, map[string][]string{"digest": {"pi", "ops"}}
		})
		b := job(t, func(j *jobs.Job) { j.Name, j.Notify.To = "beta", map[string][]string{"digest": {"pi"}} })
		l := newLookout(t, a, b)
		l.file.Channels["pi"].Digest = weekly // ops gets one each morning
		day := func(hours time.Duration) {    // the look before seven o'clock, and the one after
			time.Sleep(hours*time.Hour - 4*time.Minute)
			l.watch(9*time.Minute, 2)
			time.Sleep(-5*time.Minute + (24-hours)*time.Hour)
		}
		l.watch(time.Minute, 1)
		time.Sleep(-time.Minute + time.Second)
		day(6)
		ops := []string{"01 06:00 ops: 0 of 0 runs succeeded since 2000-01-01 01:00 CET"}
		l.want(ops...)
		day(6)
		files := succeeded
		files.Files, files.Bytes, files.FilesDeleted = 3, 1000, 1 // as a mirror
		l.ran(a, files)
		l.ran(b, ledger.Outcome{State: ledger.Succeeded, FilesDeleted: 6}) // as a prune
		l.ran(a, ledger.Outcome{State: ledger.TimedOut, Class: "timed_out"})
		day(6)
		l.want(append(ops,
			"02 06:00 ops: 0 of 0 runs succeeded since 2000-01-01 07:00 CET",
			"03 06:00 ops: 1 of 2 runs succeeded since 2000-01-02 07:00 CET",
			"03 06:00 pi: 2 of 3 runs succeeded since 2000-01-01 01:00 CET",
		)...)
		var n notify.Notice
		for row, err := range l.ledger.Notices(t.Context(), true) {
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(row.Body), &n); err != nil {
				t.Fatal(err)
			}
			break
		}
		if diff := cmp.Diff([]string{"alpha: 1 succeeded, 1 timed out; 3 files, 1.0 kB; 1 file deleted", "beta: 1 succeeded; 6 files deleted"}, n.Lines); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	})
}

// lines returns the lines of the newest notice.
func (l *lookout) lines() []string {
	l.t.Helper()
	for row, err := range l.ledger.Notices(l.t.Context(), true) {
		var n notify.Notice
		if err == nil {
			err = json.Unmarshal([]byte(row.Body), &n)
		}
		if err != nil {
			l.t.Fatal(err)
		}
		return n.Lines
	}
	return nil
}

// What is at work when a digest is sent is in the next one too, which says how it ended.
func TestADigestSaysHowTheRunsOfTheLastOneEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job(t, func(j *jobs.Job) { j.Notify.To = map[string][]string{"digest": {"ops"}} })
		l := newLookout(t, j)
		w, at := &notify.Watch{Ledger: l.ledger}, time.Now().UTC()
		run, _, err := l.ledger.Claim(t.Context(), ledger.Claim{Job: j.Name, Key: "long", Holder: "a", Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.DigestSince(t.Context(), l.file.Channels["ops"], []*jobs.Job{j}, time.Time{}, at); err != nil {
			t.Fatal(err)
		}
		for day, want := range []string{"1 not over; 0 files, 0 B", "1 not over; 0 files, 0 B", "1 canceled; 0 files, 0 B", "no run"} {
			time.Sleep(24 * time.Hour)
			last := at
			at = at.Add(24 * time.Hour)
			if day == 1 { // between the instant of the digest and its writing
				time.Sleep(time.Second)
				if err := l.ledger.Finish(t.Context(), run.ID, "a", ledger.Outcome{State: ledger.Canceled}); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.DigestSince(t.Context(), l.file.Channels["ops"], []*jobs.Job{j}, last, at); err != nil {
				t.Fatal(err)
			}
			if got := l.lines(); !slices.Equal(got, []string{j.Name + ": " + want}) {
				t.Errorf("after day %d the digest says %q, want %q", day+1, got, want)
			}
		}
	})
}

// A scheduler that works for a few minutes a day tells each day what did not happen, and so
// does a digest.
func TestWhatDoesNotHappenIsToldAgainAfterEachOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := hourly(t, func(j *jobs.Job) { j.Name, j.Notify.To["digest"] = "lost", []string{"pi"} })
		good := hourly(t, func(j *jobs.Job) { j.Name, j.Notify.To["digest"] = "good", []string{"pi"} })
		l := newLookout(t, lost, good)
		l.watch(6*time.Minute, 1)
		for day := range 3 {
			time.Sleep(24*time.Hour - 6*time.Minute)
			l.moveCursor(good, time.Now().Add(30*time.Hour))
			l.ran(good, succeeded)
			l.watch(6*time.Minute, 1)
			lines := strings.Join(l.lines(), "\n")
			if want := "lost: no run; late since 2000-01-02 00:00 UTC; overdue since 2000-01-02 00:00 UTC"; !strings.Contains(lines, want) {
				t.Errorf("on day %d the digest does not say %q: %s", day+1, want, lines)
			}
		}
		l.want(
			"02 00:00 ops: The scheduler did not work from 2000-01-01 00:05 UTC to 2000-01-02 00:00 UTC",
			"02 00:00 pi: 0 of 0 runs succeeded since 2000-01-01 00:00 UTC; late or overdue: lost",
			"03 00:00 ops: The scheduler did not work from 2000-01-02 00:05 UTC to 2000-01-03 00:00 UTC",
			"03 00:00 pi: 1 of 1 run succeeded since 2000-01-02 00:00 UTC; late or overdue: lost",
			"04 00:00 ops: The scheduler did not work from 2000-01-03 00:05 UTC to 2000-01-04 00:00 UTC",
			"04 00:00 pi: 1 of 1 run succeeded since 2000-01-03 00:00 UTC; late or overdue: lost",
		)
	})
}

// A run belongs to the digest before whose instant it was claimed, and its end to the one
// before whose instant it ended: each is counted once.
func TestARunAtTheInstantOfADigestIsInTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := job(t, func(j *jobs.Job) { j.Name, j.Notify.To = "alpha", map[string][]string{"digest": {"ops"}} })
		b := job(t, func(j *jobs.Job) { j.Name, j.Notify.To = "beta", map[string][]string{"digest": {"ops"}} })
		l := newLookout(t, a, b)
		w, begin := &notify.Watch{Ledger: l.ledger}, time.Now().UTC()
		if err := w.DigestSince(t.Context(), l.file.Channels["ops"], []*jobs.Job{a, b}, time.Time{}, begin); err != nil {
			t.Fatal(err)
		}
		long, _, err := l.ledger.Claim(t.Context(), ledger.Claim{Job: a.Name, Key: "long", Holder: "a", Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		files := succeeded
		files.Files, files.Bytes = 1, 10
		if err := l.ledger.Finish(t.Context(), long.ID, "a", files); err != nil {
			t.Fatal(err)
		}
		files.Files, files.Bytes = 2, 20
		l.ran(b, files)
		digest := func(last, now time.Time) (said notify.Notice) {
			t.Helper()
			if err := w.DigestSince(t.Context(), l.file.Channels["ops"], []*jobs.Job{a, b}, last, now); err != nil {
				t.Fatal(err)
			}
			for row, err := range l.ledger.Notices(t.Context(), true) {
				if err == nil {
					err = json.Unmarshal([]byte(row.Body), &said)
				}
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			return said
		}
		now := time.Now().UTC()
		if got, want := digest(begin, now).Lines, []string{"alpha: 1 not over; 0 files, 0 B", "beta: no run"}; !slices.Equal(got, want) {
			t.Errorf("at the instant of both the digest says %q, want %q", got, want)
		}
		time.Sleep(24 * time.Hour)
		said := digest(now, time.Now().UTC())
		if want := []string{"alpha: 1 succeeded; 1 file, 10 B", "beta: 1 succeeded; 2 files, 20 B"}; !slices.Equal(said.Lines, want) {
			t.Errorf("the next one says %q, want %q", said.Lines, want)
		}
		if *said.Files != 3 || *said.Bytes != 30 {
			t.Errorf("the next one has %d files and %d bytes, want 3 and 30", *said.Files, *said.Bytes)
		}
	})
}

// Two replicas may both see that a digest is due. The one that is slower tells nothing.
func TestADigestIsWrittenByOneReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job(t, func(j *jobs.Job) { j.Notify.To = map[string][]string{"digest": {"ops"}} })
		l := newLookout(t, j)
		ops := l.file.Channels["ops"]
		first := time.Now().UTC()
		second := first.Add(24 * time.Hour)
		w := &notify.Watch{Ledger: l.ledger}
		for _, at := range []struct{ last, now time.Time }{
			{time.Time{}, first},
			{time.Time{}, first.Add(time.Millisecond)},
			{first, second},
			{first, second.Add(time.Millisecond)},
		} {
			if err := w.DigestSince(t.Context(), ops, []*jobs.Job{j}, at.last, at.now); err != nil {
				t.Fatal(err)
			}
		}
		l.want("02 00:00 ops: 0 of 0 runs succeeded since 2000-01-01 00:00 UTC")
		time.Sleep(48 * time.Hour)
		l.ran(j, succeeded) // after the time of this one: the next one has it
		third := second.Add(12 * time.Hour)
		if err := w.DigestSince(t.Context(), ops, []*jobs.Job{j}, second, third); err != nil {
			t.Fatal(err)
		}
		l.want("02 00:00 ops: 0 of 0 runs succeeded since 2000-01-01 00:00 UTC", "02 12:00 ops: 0 of 0 runs succeeded since 2000-01-02 00:00 UTC")
		all, err := l.ledger.Standings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if a := all[""].Alarms; len(a) != 1 || !a[0].Told.Equal(third) {
			t.Errorf("got %+v, want that the last one was written at %v", a, third)
		}
	})
}

// What somebody has given up is over: those who were told of it hear that, once.
func TestWhatWasGivenUpIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, paused := job(t), job(t, func(j *jobs.Job) { j.Name, j.Suspend = "paused", true })
		l := newLookout(t, j, paused)
		bad := outcome(ledger.Failed, "failed", "no such path")
		giveUp := func(run int64) {
			t.Helper()
			_, err := l.ledger.Act(t.Context(), ledger.Action{Kind: ledger.ActionCancel, Run: run, Who: "ada", Why: "the sample was bad", Alarms: notify.Failures()})
			if err != nil {
				t.Fatal(err)
			}
		}
		l.ran(j, bad)
		l.ran(paused, bad)
		l.watch(11*time.Minute, 2)
		l.want("01 00:00 ops: nightly failed", "01 00:00 ops: paused failed")
		giveUp(1)
		giveUp(2)
		l.watch(11*time.Minute, 2)
		told := []string{
			"01 00:00 ops: nightly failed", "01 00:00 ops: paused failed",
			"01 00:16 ops: nightly is no longer reported: what failed was given up", "01 00:16 ops: paused is no longer reported: what failed was given up",
		}
		l.want(told...)
		l.wantLines("nightly is no longer reported: what failed was given up", "runs failed from 2000-01-01 00:00 UTC on; given up by ada: the sample was bad")

		l.ran(j, bad) // which is told at once, as are one after it was given up, and its success
		giveUp(3)
		l.ran(j, bad)
		l.watch(11*time.Minute, 1)
		giveUp(4)
		l.ran(j, outcome(ledger.Succeeded, "", ""))
		l.watch(11*time.Minute, 1)
		told = append(told, "01 00:22 ops: nightly failed", "01 00:22 ops: nightly failed", "01 00:33 ops: nightly has recovered")
		l.want(told...)
		l.wantLines("nightly has recovered", "runs failed from 2000-01-01 00:22 UTC on; given up by ada: the sample was bad")
		err := l.ledger.Tell(t.Context(), j.Name, func(s ledger.Standing) (ledger.Standing, []ledger.Notice) {
			s.Alarms = append(s.Alarms, ledger.Alarm{Kind: string(notify.Failed), Quiet: true, GivenUp: "by ada"}) // of which nobody has heard
			return s, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		l.watch(11*time.Minute, 1)
		l.want(told...)
		all, err := l.ledger.Standings(t.Context())
		if err != nil || len(all[j.Name].Alarms) > 0 {
			t.Errorf("got the alarms %+v, %v, want none", all[j.Name].Alarms, err)
		}
	})
}

// A notice that nobody took is about one alarm: those who heard of another one are not told
// of that again before its time.
func TestWhatNobodyHeardIsOneAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job(t)
		l := newLookout(t, j)
		l.ran(j, outcome(ledger.Failed, "failed", "no such path"))
		l.ran(j, outcome(ledger.Canceled, "canceled", "by hand")) // whose notice has the event failed as well
		for row, err := range l.ledger.Notices(t.Context(), true) {
			if err == nil && row.Run == 2 {
				err = l.ledger.EndNotice(t.Context(), row.ID, row.Channel, ledger.NoticeGivenUp, "404")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		all, err := l.ledger.Standings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all[j.Name].Alarms {
			if a.Unheard != (a.Kind == string(notify.Canceled)) {
				t.Errorf("got the alarm %+v, want that of the canceled run alone unheard", a)
			}
		}
		if n := len(all[j.Name].Alarms); n != 2 {
			t.Errorf("%d alarms, want 2", n)
		}
	})
}

// wantLines wants the notice of a title to have this first line.
func (l *lookout) wantLines(title, want string) {
	l.t.Helper()
	for row, err := range l.ledger.Notices(l.t.Context(), true) {
		if err != nil {
			l.t.Fatal(err)
		}
		var n notify.Notice
		if err := json.Unmarshal([]byte(row.Body), &n); err != nil {
			l.t.Fatal(err)
		}
		if n.Title == title && (len(n.Lines) == 0 || n.Lines[0] != want) {
			l.t.Errorf("%s: got the lines %q, want %q first", title, n.Lines, want)
		}
	}
}

// A look counts as the next one from nine tenths of the time between two looks on.
func TestTheClocksOfReplicasMayDifferALittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := hourly(t, func(j *jobs.Job) { j.Expect.SuccessEvery = 0 })
		l := newLookout(t, j)
		l.watch(time.Second, 1)
		time.Sleep(4*time.Minute + 28*time.Second)
		l.moveCursor(j, time.Now().Add(-5*time.Hour))
		l.watch(time.Millisecond, 1)
		l.want() // it is too soon
		time.Sleep(time.Second - time.Millisecond)
		l.watch(time.Second, 1)
		l.want("01 00:04 ops: nightly is late")
	})
}

func TestTheFirstLookOfAllIsNotTheEndOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := hourly(t)
		l := newLookout(t, j)
		l.moveCursor(j, time.Now().Add(-5*time.Hour))
		l.watch(time.Minute, 1)
		l.want("01 00:00 ops: nightly is late")
	})
}

func TestAnOutageIsLongerThanHalfAnHour(t *testing.T) {
	for name, tt := range map[string]struct {
		away time.Duration
		want string
	}{
		"half an hour": {30 * time.Minute, "01 01:30 ops: nightly is late"},
		"longer":       {30*time.Minute + time.Second, "01 01:30 ops: The scheduler did not work from 2000-01-01 01:00 UTC to 2000-01-01 01:30 UTC"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := hourly(t, func(j *jobs.Job) { j.Expect.SuccessEvery = 0 })
				l := newLookout(t, j)
				time.Sleep(time.Hour)
				l.watch(time.Second, 1)
				time.Sleep(tt.away - time.Second)
				l.watch(time.Second, 1)
				l.want(tt.want)
			})
		})
	}
}

// Who is told of an outage hears of each job once, and not again after the next one soon.
func TestAJobIsNamedOnceAfterOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := []string{"pi", "ops"}
		j := hourly(t, func(j *jobs.Job) { j.Notify.To["late"], j.Notify.To["overdue"] = both, both })
		well := hourly(t, func(j *jobs.Job) { j.Name = "well" })
		l := newLookout(t, j, well)
		l.moveCursor(well, time.Now().Add(24*time.Hour))
		l.watch(time.Minute, 1)
		time.Sleep(3*time.Hour - time.Minute)
		l.ran(well, succeeded)
		l.tell(well.Name, ledger.Standing{Since: time.Now().UTC(), Alarms: []ledger.Alarm{{Kind: "failed", Since: time.Now().UTC(), Told: time.Now().UTC()}}})
		l.watch(6*time.Minute, 1)
		time.Sleep(time.Hour)
		l.watch(6*time.Minute, 1)
		const title = "The scheduler did not work from 2000-01-01 00:00 UTC to 2000-01-01 03:00 UTC"
		l.want("01 03:00 ops: "+title, "01 03:00 pi: "+title)
		l.wantLines(title, "Late or overdue by then: nightly")
	})
}

func TestAJobIsNotOverdueBeforeAnythingWasExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := hourly(t, func(j *jobs.Job) { j.Schedule, j.Expect.SuccessEvery = nil, 0 })
		l := newLookout(t, j)
		l.watch(24*time.Hour+time.Minute, 1)
		j.Expect.SuccessEvery = 2 * time.Hour // from the look at 00:06 on
		l.watch(2*time.Hour, 1)
		l.want()
		l.watch(11*time.Minute, 1)
		l.want("02 02:11 ops: nightly is overdue")
	})
}

// A schedule is suspended in the ledger until a scheduler has taken it up again.
func TestAJobWhoseScheduleIsStillSuspendedIsNotLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := hourly(t, func(j *jobs.Job) { j.Expect.SuccessEvery = 0 })
		l := newLookout(t, j)
		err := l.ledger.Reschedule(t.Context(), func(map[string]ledger.Schedule) []ledger.Schedule {
			return []ledger.Schedule{{Job: j.Name, Expr: j.Schedule.String(), Zone: "UTC", Suspended: true, Cursor: time.Now()}}
		})
		if err != nil {
			t.Fatal(err)
		}
		l.watch(3*time.Hour, 1)
		l.want()
	})
}

func TestAnAlarmOfLooksEndsWithTheLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := job(t)
		looks.ForEach = &jobs.ForEach{Folder: "lab:/in/"}
		none := job(t, func(j *jobs.Job) { j.Name = "none" })
		l := newLookout(t, looks, none)
		for _, name := range []string{looks.Name, none.Name} {
			l.tell(name, ledger.Standing{Alarms: []ledger.Alarm{{Kind: string(notify.LooksFail), Since: time.Now().UTC()}}})
		}
		l.watch(time.Minute, 1)
		all, err := l.ledger.Standings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if with, without := len(all[looks.Name].Alarms), len(all[none.Name].Alarms); with != 1 || without != 0 {
			t.Errorf("the job that looks has %d alarms and the other one %d, want 1 and 0", with, without)
		}
	})
}
