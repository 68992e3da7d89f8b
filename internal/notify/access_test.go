package notify_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/notify"
	"github.com/globus-runner/globus-runner/jobs"
)

// access watches for some time what ends, as so many replicas. It returns how often
// Globus was asked.
func (l *lookout) access(d time.Duration, replicas int, ends ...notify.Ending) int {
	return l.accessOf(d, replicas, func() ([]notify.Ending, error) { return ends, nil })
}

func (l *lookout) accessOf(d time.Duration, replicas int, find func() ([]notify.Ending, error)) int {
	ctx, cancel := context.WithTimeout(l.t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	var asked atomic.Int32
	for range replicas {
		w := &notify.AccessWatch{
			Ledger: l.ledger, Log: slog.New(slog.NewTextHandler(l.t.Output(), nil)), Jobs: func() *jobs.File { return l.file },
			Find: func(context.Context, *jobs.File, []*jobs.Job) ([]notify.Ending, error) {
				asked.Add(1)
				return find()
			},
		}
		all.Go(func() { w.Run(ctx) })
	}
	all.Wait()
	return int(asked.Load())
}

// day is an hour past the beginning of a day of January.
func day(n int) time.Time { return time.Date(2000, 1, n, 1, 0, 0, 0, time.UTC) }

const days = 24 * time.Hour

func rule(end int) notify.Ending {
	return notify.Ending{Job: "nightly", What: "vault: the access rule for /in/ ends on " + day(end).Format(time.DateOnly), Next: "ask its owner", At: day(end)}
}

func TestAnAccessThatEndsIsToldInTimeAndInItsLastDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookout(t, job(t))
		if n := l.access(5*days+time.Minute, 3, rule(20)); n != 6 {
			t.Errorf("Globus was asked %d times in five days and a minute, want once a day", n)
		}
		l.want() // it ends in more than two weeks
		l.restart()
		l.access(3*days-time.Minute, 3, rule(20))
		const first = "07 00:01 ops: nightly: an access ends on 2000-01-20"
		l.want(first)
		l.access(8*days-time.Minute, 1, rule(20))
		l.want(first)
		l.access(3*days-time.Minute, 2, rule(20))
		l.want(first, "17 23:59 ops: nightly: an access ends on 2000-01-20", "18 23:59 ops: nightly: an access ends on 2000-01-20")
	})
}

func TestAnotherEndIsToldAndOneThatWasPutOffIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookout(t, job(t))
		l.access(time.Minute, 1, rule(10))
		time.Sleep(days)
		l.access(time.Minute, 1, rule(10), rule(8))
		time.Sleep(days)
		l.access(time.Minute, 1) // both were prolonged
		time.Sleep(days)
		l.access(time.Minute, 1, rule(12))
		l.want(
			"01 00:00 ops: nightly: an access ends on 2000-01-10",
			"02 00:01 ops: nightly: an access ends on 2000-01-08",
			"04 00:03 ops: nightly: an access ends on 2000-01-12",
		)
	})
}

func TestWhatEndsForAllJobsIsToldOnEachChannelOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := job(t, func(j *jobs.Job) { j.Name, j.Notify.To = "other", map[string][]string{"access": {"pi", "ops"}} })
		l := newLookout(t, job(t), other)
		l.access(3*days, 2, notify.Ending{What: "the certificate of hooks.example.org ends on 2000-01-10", Next: "have it renewed", At: day(10)})
		l.want(
			"01 00:00 ops: the certificate of hooks.example.org ends on 2000-01-10",
			"01 00:00 pi: the certificate of hooks.example.org ends on 2000-01-10",
		)
	})
}

func TestNobodyIsAskedForWhomNobodyWantsToHear(t *testing.T) {
	tests := map[string]func(*lookout){
		"no channel": func(l *lookout) { delete(l.file.Jobs[0].Notify.To, "access") },
		"suspended":  func(l *lookout) { l.file.Jobs[0].Suspend = true },
		"paused": func(l *lookout) {
			if _, err := l.ledger.Act(l.t.Context(), ledger.Action{Kind: ledger.ActionPause, Job: "nightly", Who: "me"}); err != nil {
				l.t.Fatal(err)
			}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLookout(t, job(t))
				change(l)
				if n := l.access(2*days, 1, rule(10)); n != 0 {
					t.Errorf("Globus was asked %d times", n)
				}
				l.want()
			})
		})
	}
}

// What cannot be seen is not over: it is tried again in an hour, and told once.
func TestAnAccessThatCannotBeSeenIsLookedAtSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookout(t, job(t))
		l.access(time.Minute, 1, rule(10))
		time.Sleep(days)
		if n := l.accessOf(3*time.Hour-time.Minute, 2, func() ([]notify.Ending, error) { return nil, errors.New("502") }); n != 3 {
			t.Errorf("Globus was asked %d times in three hours, want each hour", n)
		}
		l.access(2*time.Hour, 1, rule(10))
		told := []string{"01 00:00 ops: nightly: an access ends on 2000-01-10"}
		l.want(told...)
		time.Sleep(days)
		if n := l.accessOf(time.Minute, 1, func() ([]notify.Ending, error) { // the program is stopped meanwhile
			time.Sleep(2 * time.Minute)
			return nil, nil
		}); n != 1 {
			t.Errorf("Globus was asked %d times in a minute", n)
		}
		time.Sleep(time.Hour)
		if n := l.access(time.Minute, 1, rule(10)); n != 1 {
			t.Errorf("Globus was asked %d times an hour after it could not answer", n)
		}
		l.want(told...)
		time.Sleep(days)
		l.accessOf(time.Minute, 1, func() ([]notify.Ending, error) {
			return []notify.Ending{rule(9)}, errors.New("502 of another collection")
		})
		l.want(append(told, "04 06:03 ops: nightly: an access ends on 2000-01-09")...)
	})
}

func TestAChannelThatIsAddedHearsOfAnAccessThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job(t)
		l := newLookout(t, j)
		l.access(time.Minute, 1, rule(10))
		j.Notify.To["access"] = []string{"ops", "pi"}
		l.access(2*days, 1, rule(10))
		l.want("01 00:00 ops: nightly: an access ends on 2000-01-10", "02 00:01 pi: nightly: an access ends on 2000-01-10")
	})
}

func TestAnAlarmOfAnAccessEndsWithItsChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job(t)
		l := newLookout(t, j)
		l.access(time.Minute, 1, rule(10))
		alarms := func() int {
			all, err := l.ledger.Standings(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return len(all["nightly"].Alarms)
		}
		if n := alarms(); n != 1 {
			t.Errorf("there are %d alarms, want that of the access", n)
		}
		l.watch(time.Minute, 1)
		if n := alarms(); n != 1 {
			t.Errorf("there are %d alarms, want that of the access, which goes on", n)
		}
		delete(j.Notify.To, "access")
		time.Sleep(5 * time.Minute)
		l.watch(time.Minute, 1)
		if n := alarms(); n != 0 {
			t.Errorf("there are %d alarms, but nobody looks at the access any more", n)
		}
	})
}

func TestAnEndThatNobodyHeardOfIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookout(t, job(t))
		l.access(time.Minute, 1, rule(14))
		for n, err := range l.ledger.Notices(t.Context(), true) {
			if err == nil {
				err = l.ledger.EndNotice(t.Context(), n.ID, n.Channel, ledger.NoticeGivenUp, "404")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(days)
		l.access(time.Minute, 1, rule(14))
		time.Sleep(days)
		l.access(time.Minute, 1, rule(14))
		l.want("02 00:01 ops: nightly: an access ends on 2000-01-14") // the first one does not wait any more
	})
}

func TestAnAccessIsToldFromTheFirstInstantOnThatCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job(t, func(j *jobs.Job) { j.Notify.Repeat = 2*days - 5*time.Minute })
		l := newLookout(t, j)
		ends := notify.Ending{Job: "nightly", What: "the access ends", Next: "ask", At: time.Now().Add(17 * days)}
		asked := func(want int) {
			t.Helper()
			if n := l.access(time.Second, 1, ends); n != want {
				t.Errorf("on %v Globus was asked %d times, want %d", time.Now().UTC(), n, want)
			}
		}
		asked(1)
		time.Sleep(days - 5*time.Minute - 2*time.Second)
		asked(0) // a second before a day has passed, or almost
		asked(1)
		time.Sleep(2*days + 5*time.Minute - time.Second)
		l.want()
		asked(1)
		told := []string{"04 00:00 ops: nightly: an access ends on 2000-01-18"} // in two weeks
		l.want(told...)
		time.Sleep(11*days - time.Second)
		asked(1)
		told = append(told, "15 00:00 ops: nightly: an access ends on 2000-01-18") // in three days
		l.want(told...)
		time.Sleep(days - 5*time.Minute - time.Second)
		asked(1) // one who was told lately is not told again, and that does not put off the next time
		time.Sleep(days - 5*time.Minute - time.Second)
		asked(1)
		l.want(append(told, "16 23:50 ops: nightly: an access ends on 2000-01-18")...)
	})
}

// What ends for all jobs is repeated as the first of them says.
func TestWhatEndsForAllJobsIsRepeatedInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookout(t, job(t, func(j *jobs.Job) { j.Notify.Repeat = 2 * days }))
		l.access(2*days+time.Minute, 1, notify.Ending{What: "the certificate ends on 2000-01-04", Next: "have it renewed", At: day(4)})
		l.want("01 00:00 ops: the certificate ends on 2000-01-04", "03 00:00 ops: the certificate ends on 2000-01-04")
	})
}

func TestAClockThatWasAheadDoesNotPutOffTheLookAtAnAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookout(t, job(t))
		wrong := time.Now().UTC().AddDate(10, 0, 0)
		l.tell("", ledger.Standing{Alarms: []ledger.Alarm{{Kind: "access:looked", Since: wrong, Told: wrong}}})
		if n := l.access(time.Minute, 1, rule(10)); n != 1 {
			t.Errorf("Globus was asked %d times, want once", n)
		}
	})
}
