package engine_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
)

// all has a job catch up with everything.
func all(j *jobs.Job) { j.CatchUp = jobs.CatchUpAll }

// succeeded are the runs of the job hourly in the hours, each of which
// succeeded.
func succeeded(hours ...string) (want []string) {
	for _, hour := range hours {
		want = append(want, "hourly 2000-01-01T"+hour+":00:00Z succeeded")
	}
	return want
}

func TestWhatIsCaughtUpWithWaitsItsTurn(t *testing.T) {
	tests := map[string]func(b *bench, job *jobs.Job) (end time.Duration){
		"a run of a process that was killed is in the way": func(b *bench, job *jobs.Job) time.Duration {
			b.stall()
			one := b.process("one").serve(job)
			until(90 * time.Minute)
			one.kill()
			until(3*time.Hour + 30*time.Minute)
			two := b.process("two").serve(job)
			until(5*time.Hour + 10*time.Minute)
			b.releaseAfter(0)
			until(6*time.Hour + 30*time.Minute)
			two.stop()
			return 6 * time.Hour
		},
		"a run of a process that lives is in the way": func(b *bench, job *jobs.Job) time.Duration {
			one := b.process("one").serve(job)
			until(90 * time.Minute)
			one.stop()
			until(4*time.Hour + 30*time.Minute)
			b.stall()
			two := b.process("two").serve(job)
			until(4*time.Hour + 40*time.Minute)
			three := b.process("three").serve(job)
			until(6*time.Hour + 10*time.Minute)
			b.releaseAfter(0)
			until(7*time.Hour + 30*time.Minute)
			two.stop()
			three.stop()
			return 7 * time.Hour
		},
		"one that is on time meets one that another process catches up with": func(b *bench, job *jobs.Job) time.Duration {
			one := b.process("one").serve(job)
			until(3*time.Hour + 30*time.Minute)
			one.stop()
			until(4*time.Hour + 30*time.Minute)
			b.stall()
			two := b.process("two").serve(job)
			until(4*time.Hour + 50*time.Minute)
			three := b.process("three").serve(job)
			until(6*time.Hour + 10*time.Minute)
			b.releaseAfter(0)
			until(7*time.Hour + 30*time.Minute)
			two.stop()
			three.stop()
			return 7 * time.Hour
		},
		"the jobs are reloaded meanwhile": func(b *bench, job *jobs.Job) time.Duration {
			b.stall()
			one := b.process("one").serve(job)
			until(90 * time.Minute)
			one.kill()
			until(3*time.Hour + 30*time.Minute)
			two := b.process("two").serve(job)
			until(3*time.Hour + 50*time.Minute)
			other := *job
			other.Description = "another"
			two.reload(&other)
			until(5*time.Hour + 10*time.Minute)
			b.releaseAfter(0)
			until(6*time.Hour + 30*time.Minute)
			two.stop()
			return 6 * time.Hour
		},
		"it is restarted while it waits": func(b *bench, job *jobs.Job) time.Duration {
			b.stall()
			one := b.process("one").serve(job)
			until(90 * time.Minute)
			one.kill()
			until(3*time.Hour + 30*time.Minute)
			two := b.process("two").serve(job)
			until(3*time.Hour + 50*time.Minute)
			two.stop()
			three := b.process("three").serve(job)
			until(5*time.Hour + 10*time.Minute)
			b.releaseAfter(0)
			until(6*time.Hour + 30*time.Minute)
			three.stop()
			return 6 * time.Hour
		},
	}
	for name, play := range tests {
		for _, policy := range long.Or([]jobs.Concurrency{jobs.Forbid, jobs.Replace}, []jobs.Concurrency{jobs.Forbid}) {
			t.Run(name+"/"+string(policy), func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					job := b.job("hourly", "0 * * * *", all, with(policy))
					end := play(b, job)
					var hours []string
					for h := time.Hour; h <= end; h += time.Hour {
						hours = append(hours, time.Time{}.Add(h).Format("15"))
					}
					b.wantRuns(succeeded(hours...)...)
					if n := len(b.State().Tasks); n != len(hours) {
						t.Errorf("%d tasks, want %d", n, len(hours))
					}
				})
			})
		}
	}
}

func TestWhoWaitsForATurnIsNotLeftToItsNextTry(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("hourly", "0 * * * *", all)
		until(5*time.Hour + 30*time.Minute)
		l := b.ledger()
		for _, hour := range []string{"01", "02", "03", "04"} { // a process that was killed had claimed them
			key := "2000-01-01T" + hour + ":00:00Z"
			if _, _, err := l.Claim(t.Context(), ledger.Claim{Job: "hourly", Key: key, Due: jobs.Key(key).Due(), Holder: "dead"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		p := b.process("one").serve(job)
		until(5*time.Hour + 31*time.Minute)
		p.stop()
		b.wantRuns(succeeded("01", "02", "03", "04", "05")...)
	})
}

func TestWhatIsCaughtUpWithWaitsForATaskOfItsJob(t *testing.T) {
	for _, policy := range []jobs.Concurrency{jobs.Forbid, jobs.Replace} {
		t.Run(string(policy), func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				job := b.job("hourly", "0 * * * *", all, with(policy))
				p := b.process("one").serve(job)
				until(30 * time.Minute)
				p.stop()
				until(150 * time.Minute)
				b.stall()
				b.start(engine.Order{Job: job, Key: "manual:x", At: time.Now()})
				p = b.process("two").serve(job)
				until(170 * time.Minute)
				b.releaseAfter(0)
				until(175 * time.Minute)
				p.stop()
				b.wantRuns(succeeded("01", "02")...)
				b.wantTasks("SUCCEEDED hourly manual:x", "SUCCEEDED hourly 2000-01-01T01:00:00Z", "SUCCEEDED hourly 2000-01-01T02:00:00Z")
			})
		})
	}
}

// A crash costs no occurrence but those that nobody wants to catch up with.
func TestNothingIsSkippedForARunThatACrashHasLeft(t *testing.T) {
	tests := map[string]struct {
		play func(b *bench, job *jobs.Job)
		want []string
	}{
		"its task ended meanwhile, the next one is on time": {
			func(b *bench, job *jobs.Job) {
				b.releaseAfter(15 * time.Minute) // 01:45
				until(2*time.Hour + 10*time.Second)
				two := b.process("two").serve(job)
				until(2*time.Hour + 30*time.Minute)
				two.stop()
			},
			succeeded("01", "02"),
		},
		"its task ended meanwhile, and Globus is away at the start": {
			func(b *bench, job *jobs.Job) {
				b.releaseAfter(15 * time.Minute)
				until(2*time.Hour + 10*time.Second)
				b.Fail(globussim.Fault{Path: "/v0.10/", Status: 503, Times: -1})
				two := b.process("two").serve(job)
				until(2*time.Hour + 30*time.Minute)
				b.ClearFaults()
				until(2*time.Hour + 50*time.Minute)
				two.stop()
			},
			succeeded("01", "02"),
		},
		"its task is at work, and an older one was missed": {
			func(b *bench, job *jobs.Job) {
				until(3*time.Hour + 30*time.Minute)
				two := b.process("two").serve(job)
				b.releaseAfter(40 * time.Minute) // 04:10
				until(4*time.Hour + 30*time.Minute)
				two.stop()
			},
			succeeded("01", "03", "04"),
		},
		"its task is at work, the next one is on time": {
			func(b *bench, job *jobs.Job) {
				until(2*time.Hour + 10*time.Second)
				two := b.process("two").serve(job)
				until(2*time.Hour + 30*time.Minute)
				b.releaseAfter(0)
				until(2*time.Hour + 40*time.Minute)
				two.stop()
			},
			append(succeeded("01"), "hourly 2000-01-01T02:00:00Z skipped"),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				job := b.job("hourly", "0 * * * *")
				b.stall()
				one := b.process("one").serve(job)
				until(90 * time.Minute)
				one.kill()
				tt.play(b, job)
				b.wantRuns(tt.want...)
			})
		})
	}
}

func TestWhatIsOnTimeIsStillSkippedOrReplaces(t *testing.T) {
	tests := map[jobs.Concurrency][]string{
		jobs.Forbid:  {"hourly 2000-01-01T01:00:00Z succeeded", "hourly 2000-01-01T02:00:00Z skipped", "hourly 2000-01-01T03:00:00Z succeeded"},
		jobs.Replace: {"hourly 2000-01-01T01:00:00Z canceled", "hourly 2000-01-01T02:00:00Z succeeded", "hourly 2000-01-01T03:00:00Z succeeded"},
	}
	for policy, want := range tests {
		t.Run(string(policy), func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				b.releaseAfter(2*time.Hour + 30*time.Minute)
				p := b.process("one").serve(b.job("hourly", "0 * * * *", all, with(policy)))
				until(3*time.Hour + 30*time.Minute)
				p.stop()
				b.wantRuns(want...)
			})
		})
	}
}

func TestTheStartingDeadlineEndsTheWaitForATurn(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		job := b.job("hourly", "0 * * * *", all, func(j *jobs.Job) { j.StartingDeadline = 2 * time.Hour })
		one := b.process("one").serve(job)
		until(90 * time.Minute)
		one.kill()
		until(3*time.Hour + 30*time.Minute)
		two := b.process("two").serve(job)
		until(5*time.Hour + 30*time.Minute)
		two.stop()
		b.wantRuns("hourly 2000-01-01T01:00:00Z submitted", "hourly 2000-01-01T02:00:00Z timed_out", "hourly 2000-01-01T03:00:00Z timed_out", "hourly 2000-01-01T04:00:00Z claimed")
	})
}

func TestLatestLeavesOutWhatWasMissedIfOneIsOnTime(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("pair", "0,1 * * * *")
		p := b.process("one").serve(job)
		until(90 * time.Minute)
		p.stop()
		until(5*time.Hour + 90*time.Second) // 05:00 is missed by then, and 05:01 is not
		p = b.process("two").serve(job)
		until(5*time.Hour + 10*time.Minute)
		p.stop()
		b.wantRuns(
			"pair 2000-01-01T00:01:00Z succeeded", "pair 2000-01-01T01:00:00Z succeeded", "pair 2000-01-01T01:01:00Z succeeded",
			"pair 2000-01-01T05:01:00Z succeeded",
		)
	})
}

func TestWhatWasLeftIsTriedAgainAfterTwiceAsLongEachTime(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Path: idPath, Status: 503, Times: -1})
		p := b.process("one", func(c *engine.SchedulerConfig) { c.Lease = 20 * time.Second }).serve(b.job("hourly", "0 1 * * *"))
		until(2 * time.Hour)
		var began, left []time.Time
		for _, at := range b.log.values(t, "run started", "time") {
			began = append(began, parseTime(t, at))
		}
		for _, at := range b.log.values(t, "run left, to be resumed", "time") {
			left = append(left, parseTime(t, at))
		}
		p.stop()
		var pauses []time.Duration
		for i := range left[:min(6, len(left))] {
			if i+1 < len(began) {
				pauses = append(pauses, began[i+1].Sub(left[i]).Round(time.Second))
			}
		}
		want := []time.Duration{20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute}
		if diff := cmp.Diff(want, pauses); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
	})
}

func parseTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestScheduleIsKnownWithoutItsRuns(t *testing.T) {
	far := jobs.Key("2090-01-01T00:00:00Z")
	tests := map[string]func(t *testing.T, b *bench, job *jobs.Job){
		"run of the far future": func(t *testing.T, b *bench, job *jobs.Job) {
			if _, err := b.process("hand").record(t.Context(), engine.Order{Job: job, Key: far, At: far.Due()}); err != nil {
				t.Fatal(err)
			}
		},
		"its runs were pruned": func(t *testing.T, b *bench, job *jobs.Job) {
			for _, key := range []jobs.Key{far, "manual:x"} {
				if _, err := b.process("hand").record(t.Context(), engine.Order{Job: job, Key: key, At: time.Now()}); err != nil {
					t.Fatal(err)
				}
			}
			l := b.ledger()
			defer l.Close() //nolint:errcheck // it was written
			if _, err := l.ForgetRuns(t.Context(), ledger.Retention{Since: time.Now().Add(time.Hour), Runs: 1}); err != nil {
				t.Fatal(err)
			}
		},
		"a missed one was run by hand": func(t *testing.T, b *bench, job *jobs.Job) {
			if _, err := b.process("hand").record(t.Context(), engine.Order{Job: job, Key: "2000-01-01T02:00:00Z", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, meanwhile := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				job := b.job("hourly", "0 * * * *", all)
				p := b.process("one").serve(job)
				until(90 * time.Minute)
				p.stop()
				until(4*time.Hour + 30*time.Minute)
				meanwhile(t, b, job)
				p = b.process("two").serve(job)
				until(4*time.Hour + 50*time.Minute)
				p.stop()
				for _, want := range succeeded("02", "03", "04") {
					if !slices.ContainsFunc(b.runs(), func(r *ledger.Run) bool { return r.Job+" "+r.Key+" "+string(r.State) == want }) {
						t.Errorf("no run %s", want)
					}
				}
			})
		})
	}
}

func TestLedgerWithoutSchedulesTellsThemByItsRuns(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("hourly", "0 * * * *", all)
		until(90 * time.Minute)
		for _, key := range []jobs.Key{"2000-01-01T01:00:00Z", "2090-01-01T00:00:00Z", "manual:x"} {
			if _, err := b.process("old").record(t.Context(), engine.Order{Job: job, Key: key, At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		until(3*time.Hour + 30*time.Minute)
		p := b.process("new").serve(job, b.job("first", "0 * * * *", all))
		until(4*time.Hour + 10*time.Minute)
		p.stop()
		b.wantRuns(append(succeeded("01", "02", "03", "04"), "first 2000-01-01T04:00:00Z succeeded",
			"hourly 2090-01-01T00:00:00Z succeeded", "hourly manual:x succeeded")...)
	})
}

// The runs that catch up may be spread over the replicas, so that each has to
// notice that one of another replica is over.
func TestReplicasCatchUpInTurnWithoutLongPauses(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		const lease, missed = 30 * time.Second, 12
		job := b.job("hourly", "0 * * * *", all)
		first := b.process("first").serve(job) // since then the schedule is known
		until(time.Minute)
		first.stop()
		until(missed*time.Hour + 30*time.Minute)
		begin := time.Now()
		l := b.ledger()
		for i := range missed {
			due := begin.Truncate(time.Hour).Add(time.Duration(i-missed+1) * time.Hour)
			c := ledger.Claim{Job: "hourly", Key: string(jobs.ScheduledKey(due)), Due: due, Holder: "dead", Lease: time.Second}
			if i%2 == 1 {
				c.Lease = 25 * time.Second // these are taken over by the second replica
			}
			if _, _, err := l.Claim(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		quick := func(c *engine.SchedulerConfig) { c.Lease = lease }
		time.Sleep(2 * time.Second)
		one := b.process("one", quick).serve(job)
		time.Sleep(24 * time.Second)
		two := b.process("two", quick).serve(job)
		time.Sleep(missed * 8 * time.Second) // a run, and the time until the other replica notices its end
		one.stop()
		two.stop()
		holders := map[string]int{}
		for _, r := range b.runs() {
			holders[r.Holder]++
			if r.State != "succeeded" {
				t.Errorf("%s is %s, want it succeeded", r.Key, r.State)
			}
		}
		if diff := cmp.Diff(map[string]int{"one": missed / 2, "two": missed / 2}, holders); diff != "" {
			t.Errorf("runs by replica (-want +got):\n%s", diff)
		}
	})
}
