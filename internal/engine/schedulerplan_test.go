package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
	"github.com/globus-runner/globus-runner/test/long"
)

func TestMissedOccurrencesAreCaughtUpWithAsTheJobWants(t *testing.T) {
	const missed = "occurrences were missed and are not started"
	tests := map[string]struct {
		catchUp  jobs.CatchUp
		deadline time.Duration
		policy   jobs.Concurrency
		want     string // hours that started, and with a - those that were skipped
		log      []string
	}{
		"none":               {jobs.CatchUpNone, 0, jobs.Forbid, "01", []string{"2000-01-01T02:00:00Z"}},
		"latest":             {jobs.CatchUpLatest, 0, jobs.Forbid, "01 05", []string{"2000-01-01T02:00:00Z"}},
		"by default":         {"", 0, jobs.Forbid, "01 05", []string{"2000-01-01T02:00:00Z"}},
		"all":                {jobs.CatchUpAll, 0, jobs.Forbid, "01 02 03 04 05", nil},
		"all at once":        {jobs.CatchUpAll, 0, jobs.Allow, "01 02 03 04 05", nil},
		"all, replacing":     {jobs.CatchUpAll, 0, jobs.Replace, "01 02 03 04 05", nil},
		"all of two hours":   {jobs.CatchUpAll, 2 * time.Hour, jobs.Forbid, "01 03- 04 05", []string{"2000-01-01T02:00:00Z"}},
		"none is too late":   {jobs.CatchUpNone, 20 * time.Minute, jobs.Forbid, "01", []string{"2000-01-01T02:00:00Z"}},
		"latest is too late": {jobs.CatchUpLatest, 20 * time.Minute, jobs.Forbid, "01 05-", []string{"2000-01-01T02:00:00Z"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				job := b.job("hourly", "0 * * * *", func(j *jobs.Job) {
					j.CatchUp, j.StartingDeadline, j.Concurrency = tt.catchUp, tt.deadline, tt.policy
				})
				p := b.process("one").serve(job)
				until(90 * time.Minute)
				p.stop()
				until(5*time.Hour + 30*time.Minute)
				p = b.process("two").serve(job)
				until(5*time.Hour + 50*time.Minute)
				p.stop()
				var want []string
				for hour := range strings.FieldsSeq(tt.want) {
					hour, skipped := strings.CutSuffix(hour, "-")
					state := ledger.Succeeded
					if skipped {
						state = ledger.Skipped
					}
					want = append(want, fmt.Sprintf("hourly 2000-01-01T%s:00:00Z %s", hour, state))
				}
				b.wantRuns(want...)
				if diff := cmp.Diff(tt.log, b.log.values(t, missed, "from")); diff != "" {
					t.Errorf("logged gaps begin at (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A start that is killed right after a claim has not written how far it came. The
// occurrence goes on all the same, and is not called missed.
func TestAnOccurrenceThatWasClaimedBeforeAKillIsNotMissed(t *testing.T) {
	for _, catchUp := range []jobs.CatchUp{jobs.CatchUpNone, jobs.CatchUpLatest, jobs.CatchUpAll} {
		t.Run(string(catchUp), func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				job := b.job("hourly", "0 * * * *", func(j *jobs.Job) { j.CatchUp = catchUp })
				p := b.process("one").serve(job)
				until(time.Hour)
				p.kill()
				until(3*time.Hour + 30*time.Minute)
				p = b.process("two").serve(job)
				until(3*time.Hour + 50*time.Minute)
				p.stop()
				missed, later := "2000-01-01T02:00:00Z", []string{"2000-01-01T03:00:00Z"}
				switch catchUp {
				case jobs.CatchUpNone:
					later = nil
				case jobs.CatchUpAll:
					missed, later = "", []string{"2000-01-01T02:00:00Z", "2000-01-01T03:00:00Z"}
				}
				want := []string{"hourly 2000-01-01T01:00:00Z succeeded"}
				for _, key := range later {
					want = append(want, "hourly "+key+" succeeded")
				}
				b.wantRuns(want...)
				if got := strings.Join(b.log.values(t, "occurrences were missed and are not started", "from"), " "); got != missed {
					t.Errorf("the gap begins at %q, want %q", got, missed)
				}
			})
		})
	}
}

func TestCatchUpIsBoundedToADay(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("hourly", "0 * * * *", func(j *jobs.Job) { j.CatchUp = jobs.CatchUpAll })
		p := b.process("one").serve(job)
		until(90 * time.Minute)
		p.stop()
		until(30*24*time.Hour + 30*time.Minute)
		p = b.process("two").serve(job)
		until(30*24*time.Hour + 50*time.Minute)
		p.stop()
		runs := b.runs()
		if old := runs[1]; old.State != ledger.Skipped || old.Key != "2000-01-30T00:00:00Z" {
			t.Errorf("occurrence %s is %s, want 2000-01-30T00:00:00Z to stand for those that are too late", old.Key, old.State)
		}
		if first, n := runs[2].Key, len(runs)-2; n != 24 || first != "2000-01-30T01:00:00Z" {
			t.Errorf("%d occurrences were caught up with, the first of them %s, want 24 from 2000-01-30T01:00:00Z", n, first)
		}
	})
}

func TestCatchUpGoesOnAfterAKill(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("hourly", "0 * * * *", func(j *jobs.Job) { j.CatchUp = jobs.CatchUpAll })
		p := b.process("one").serve(job)
		until(90 * time.Minute)
		p.stop()
		until(5*time.Hour + 30*time.Minute)
		p = b.process("two")
		p.at(cut{method: "POST", path: transferPath, skip: 2, after: true})
		p.serve(job)
		until(5*time.Hour + 35*time.Minute)
		p.kill()
		p = b.process("three").serve(job)
		until(5*time.Hour + 50*time.Minute)
		p.stop()
		b.wantRuns(
			"hourly 2000-01-01T01:00:00Z succeeded", "hourly 2000-01-01T02:00:00Z succeeded", "hourly 2000-01-01T03:00:00Z succeeded",
			"hourly 2000-01-01T04:00:00Z succeeded", "hourly 2000-01-01T05:00:00Z succeeded",
		)
		if n := len(b.State().Tasks); n != 5 {
			t.Errorf("%d tasks, want 5", n)
		}
	})
}

func TestSchedulersCatchUpTogether(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("hourly", "0 * * * *", func(j *jobs.Job) { j.CatchUp = jobs.CatchUpAll })
		p := b.process("one").serve(job)
		until(90 * time.Minute)
		p.stop()
		until(5*time.Hour + 30*time.Minute)
		two, three := b.process("two").serve(job), b.process("three").serve(job)
		until(5*time.Hour + 50*time.Minute)
		two.stop()
		three.stop()
		b.wantRuns(
			"hourly 2000-01-01T01:00:00Z succeeded", "hourly 2000-01-01T02:00:00Z succeeded", "hourly 2000-01-01T03:00:00Z succeeded",
			"hourly 2000-01-01T04:00:00Z succeeded", "hourly 2000-01-01T05:00:00Z succeeded",
		)
	})
}

func TestClockThatJumpsAheadIsLikeAPause(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		// For the loop, a clock that jumps and a loop that stands still are the same.
		b.observe = func(e engine.Event) {
			_, turned := e.(engine.Turned)
			if since := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); turned && since > 90*time.Minute && since < 2*time.Hour {
				time.Sleep(3 * time.Hour)
			}
		}
		p := b.process("one")
		p.serve(b.job("hourly", "0 * * * *"), b.job("other", "40 * * * *", func(j *jobs.Job) { j.CatchUp = jobs.CatchUpNone }))
		until(5*time.Hour + 50*time.Minute)
		p.stop()
		b.wantRuns(
			"hourly 2000-01-01T01:00:00Z succeeded", "hourly 2000-01-01T04:00:00Z succeeded", "hourly 2000-01-01T05:00:00Z succeeded",
			"other 2000-01-01T00:40:00Z succeeded", "other 2000-01-01T04:40:00Z succeeded", "other 2000-01-01T05:40:00Z succeeded",
		)
	})
}

func TestMissedOccurrenceWithJitterIsNotBegunAfterItsDeadline(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("often", "*/5 * * * *", func(j *jobs.Job) {
			j.CatchUp, j.Concurrency = jobs.CatchUpAll, jobs.Allow
			j.Jitter, j.StartingDeadline = 4*time.Minute, 10*time.Minute
		})
		p := b.process("one").serve(job)
		until(time.Hour)
		p.stop()
		until(5*time.Hour + 210*time.Second)
		p = b.process("two").serve(job)
		until(6 * time.Hour)
		p.stop()
		caughtUp := 0
		for _, r := range b.runs() {
			late := r.Claimed.Sub(job.Due(jobs.Key(r.Key), r.Due))
			if r.State == ledger.Skipped {
				if late <= job.StartingDeadline {
					t.Errorf("occurrence %s was skipped %v after it was due, want more than %v", r.Key, late, job.StartingDeadline)
				}
				continue
			}
			if late > job.StartingDeadline {
				t.Errorf("occurrence %s was begun %v after it was due, want at most %v", r.Key, late, job.StartingDeadline)
			}
			if late > time.Minute {
				caughtUp++
			}
		}
		if caughtUp == 0 {
			t.Error("no missed occurrence was begun")
		}
	})
}

func TestRunByHandDoesNotHideAMissedOccurrence(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("nightly", "0 2 * * *")
		p := b.process("one").serve(job)
		until(3 * time.Hour)
		p.stop()
		until(30 * time.Hour)
		if _, err := b.process("hand").record(t.Context(), engine.Order{Job: job, Key: "manual:abc", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		p = b.process("two").serve(job)
		until(31 * time.Hour)
		p.stop()
		b.wantRuns("nightly 2000-01-01T02:00:00Z succeeded", "nightly manual:abc succeeded", "nightly 2000-01-02T02:00:00Z succeeded")
	})
}

func TestYearOfABusyJobsFile(t *testing.T) {
	zone := func(name string) *time.Location {
		z, err := schedule.LoadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	schedules := map[string]struct {
		expr string
		zone *time.Location
	}{
		"nightly":    {"30 1 * * 0,3", zone("America/Chicago")},
		"spring-gap": {"15 2 * * *", zone("Europe/Berlin")},
		"workdays":   {"0 8 * * 1-5", zone("Asia/Kolkata")},
		"quarter":    {"0 0 1 */3 *", zone("UTC")},
		"weekly":     {"@weekly", zone("Australia/Lord_Howe")},
		"elapsed":    {"@every 100h", nil},
		"leap":       {"0 12 29 2 *", nil},
	}
	onBench(t, func(t *testing.T, b *bench) {
		if !long.Wanted() {
			time.Sleep(45 * 24 * time.Hour) // two months with a leap day, a quarter, and changes of the clocks
		}
		begin := time.Now()
		end := begin.AddDate(0, long.Or(12, 2), 0).Add(-time.Minute) // when nothing is due
		var all []*jobs.Job
		var want []string
		for name, s := range schedules {
			job := b.job(name, "", func(j *jobs.Job) { j.Schedule = b.schedule(s.expr, s.zone) })
			all = append(all, job)
			for at := job.Schedule.Next(begin); at.Before(end); at = job.Schedule.Next(at) {
				want = append(want, name+" "+string(jobs.ScheduledKey(at))+" succeeded")
			}
		}
		for n := 0; time.Now().Before(end); n++ {
			p := b.process(time.Now().Format(time.DateOnly), func(c *engine.SchedulerConfig) { c.Lease = 6 * time.Hour }).serve(all...)
			time.Sleep(min(61*24*time.Hour+7*time.Hour, time.Until(end)))
			if n%2 == 0 {
				p.kill()
			} else {
				p.stop()
			}
		}
		b.wantRuns(want...)
		if n := len(b.State().Tasks); n != len(want) {
			t.Errorf("%d tasks, want %d", n, len(want))
		}
		t.Logf("%d occurrences", len(want))
	}, func(cfg *globussim.Config) { cfg.TokenLifetime = 48 * time.Hour })
}

// People hear of all that was missed, by one run that stands for it.
func TestOneRunTellsOfAllThatIsTooLate(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.desk = newDesk()
		begin, job := time.Now(), b.job("hourly", "0 * * * *", func(j *jobs.Job) {
			j.StartingDeadline, j.Notify.To = 20*time.Minute, map[string][]string{"skipped": {"ops"}}
		})
		p := b.process("one").serve(job)
		until(90 * time.Minute)
		p.stop()
		until(7*time.Hour + 30*time.Minute)
		p, q := b.process("two").serve(job), b.process("three").serve(job)
		until(7*time.Hour + 50*time.Minute)
		old := b.runs()[1]
		contains(t, old.Message, "skipped: too late: it fell due more than 20m ago, as did 5 other occurrences from 2000-01-01T02:00:00Z on; ",
			"to do one of those: runner run hourly --scheduled-for 2000-01-01T02:00:00Z; ", fmt.Sprintf("to do it later: runner runs retry %d", old.ID))
		p.retry(old.ID)
		until(7*time.Hour + 55*time.Minute)
		p.stop()
		q.stop()
		b.wantRuns("hourly 2000-01-01T01:00:00Z succeeded", "hourly 2000-01-01T07:00:00Z succeeded")
		if got := b.notified(begin); !slices.Equal(got, []string{"7h30m0s ops skipped"}) {
			t.Errorf("got the notices %q, want one of the run that was skipped", got)
		}
		if got := b.log.values(t, "occurrences were missed and are not started", "to"); len(got) != 2 || got[0] != "2000-01-01T07:00:00Z" {
			t.Errorf("each process logs a gap to %q, want 07:00", got)
		}
	})
}
