package engine_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

// offline has the lab's computer be off from then on, or be on again.
func (b *bench) offline(off bool) {
	b.t.Helper()
	if err := b.ChangeCollection(globussim.CollectionID("lab"), func(c *globussim.Condition) { c.Offline = off }); err != nil {
		b.t.Fatal(err)
	}
}

// A computer that is off for a while does not cost the night: neither the
// submission nor what is listed before it.
func TestARunWaitsForACollectionThatIsOffline(t *testing.T) {
	tests := map[string]func(*jobs.Job){
		"its submission": func(j *jobs.Job) { j.BackoffLimit, j.Backoff = 2, time.Hour },
		"its guard":      func(j *jobs.Job) { mirrors("/data/", "/nightly/")(j) },
		"its receipt":    func(j *jobs.Job) { j.Receipts = true },
	}
	for name, edit := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				other := b.job("other", "5 2 * * *")
				other.Steps[0].Transfer.SourceEndpoint = globussim.CollectionID("vault")
				other.Steps[0].Transfer.Items[0].SourcePath = "/old/"
				b.plantVault("../old/a")
				p := b.process("one", func(c *engine.SchedulerConfig) { c.Places = 1 }).
					serve(b.job("nightly", "0 2 * * *", edit), other)
				b.offline(true)
				until(2*time.Hour + 20*time.Minute)
				b.wantRuns("nightly 2000-01-01T02:00:00Z claimed", "other 2000-01-01T02:05:00Z succeeded") // it holds no place
				b.offline(false)
				until(2*time.Hour + 30*time.Minute)
				p.stop()
				b.wantRuns("nightly 2000-01-01T02:00:00Z succeeded", "other 2000-01-01T02:05:00Z succeeded")
				if n := len(b.labels()); n != 2 {
					t.Errorf("%d tasks, want one for each job", n)
				}
				if notes := b.notes(b.runs()[0].ID, "left"); len(notes) == 0 || !strings.Contains(notes[0], "GCDisconnected") {
					t.Errorf("got the notes %q, want that the collection is not connected", notes)
				}
			})
		})
	}
}

// Somebody hears of a run that cannot begin, once it should have, and of its end.
func TestARunThatWaitsForACollectionIsLate(t *testing.T) {
	tests := map[string]struct {
		offline time.Duration
		want    []string
	}{
		"for ten minutes": {10 * time.Minute, nil},
		"for six hours":   {6 * time.Hour, []string{"2h20m0s ops late", "8h5m0s ops recovered"}},
		"for two days": {48 * time.Hour, []string{
			"2h20m0s ops late", "25h55m0s ops failed", "26h20m0s ops late", "49h55m0s ops failed", "50h5m0s ops recovered",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				begin := time.Now()
				b.desk = newDesk()
				p := b.process("one").serve(b.job("nightly", "0 2 * * *", func(j *jobs.Job) {
					j.Notify.To = map[string][]string{"late": {"ops"}, "failed": {"ops"}, "recovered": {"ops"}}
				}))
				until(time.Hour)
				b.offline(true)
				until(2*time.Hour + tt.offline)
				b.offline(false)
				until(55 * time.Hour)
				p.stop()
				if d := cmp.Diff(tt.want, b.notified(begin)); d != "" {
					t.Errorf("notices (-want +got):\n%s", d)
				}
			})
		})
	}
}

// A stop is no trouble of a run that has been at work for long.
func TestARunThatAStopLeavesIsNotLate(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		begin := time.Now()
		b.desk = newDesk()
		b.stall()
		p := b.process("one").serve(b.job("nightly", "0 2 * * *", func(j *jobs.Job) {
			j.Notify.To = map[string][]string{"late": {"ops"}, "failed": {"ops"}}
		}))
		until(3 * time.Hour)
		p.stop()
		b.wantRuns("nightly 2000-01-01T02:00:00Z submitted")
		if got := b.notified(begin); len(got) > 0 {
			t.Errorf("got the notices %q", got)
		}
	})
}

// Globus Transfer may refuse tokens that Globus Auth has just issued while it
// recovers. A secret that Auth itself refuses ends the run.
func TestARunWaitsForAServiceThatRefusesNewTokens(t *testing.T) {
	refusal := globussim.Fault{Path: "/v0.10/...", Status: 401, Code: "AuthenticationFailed"}
	times := func(n int) globussim.Fault { f := refusal; f.Times = n; return f }
	tests := map[string]struct {
		fault globussim.Fault
		waits bool
		ended bool // before the next occurrence
		state ledger.State
	}{
		"for some time":       {times(30), true, true, ledger.Succeeded},
		"for good":            {times(-1), true, false, ledger.Failed},
		"by Auth":             {globussim.Fault{Path: tokenPath, Status: 401, Code: "invalid_client"}, false, true, ledger.Failed},
		"a consent is needed": {globussim.Fault{Path: "/v0.10/...", Status: 403, Code: "ConsentRequired"}, false, true, ledger.Failed},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.Fail(c.fault)
				p := b.process("one").serve(b.job("nightly", "0 2 * * *"))
				until(25 * time.Hour)
				if ended := b.runs()[0].State.Final(); ended != c.ended {
					t.Errorf("an hour before the next occurrence the run has ended: %t, want %t", ended, c.ended)
				}
				until(27 * time.Hour)
				p.stop()
				run := b.runs()[0]
				if notes := b.notes(run.ID, "left"); len(notes) > 0 != c.waits || run.State != c.state {
					t.Errorf("got %s after the notes %q, want %s; it waits: %t", run.State, notes, c.state, c.waits)
				}
				if want := string(fault.Credentials); run.State == ledger.Failed && run.Class != want {
					t.Errorf("got class %q, want %q", run.Class, want)
				}
			})
		})
	}
}

// notes returns the notes of a kind on a run.
func (b *bench) notes(run int64, kind string) (texts []string) {
	b.t.Helper()
	l := b.ledger()
	defer l.Close() //nolint:errcheck // it was only read
	notes, err := l.Notes(b.t.Context(), run)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, n := range notes {
		if n.Kind == kind {
			texts = append(texts, n.Text)
		}
	}
	return texts
}

func TestARunWaitsForACollectionNoLongerThanUntilTheNextOne(t *testing.T) {
	tests := map[string]struct {
		deadline time.Duration
		first    string // how the first run ends
		second   string // which has until two in the third night
	}{
		"until the next one":          {0, "failed", "succeeded"},
		"until the starting deadline": {58 * time.Minute, "timed_out", "timed_out"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				p := b.process("one").serve(b.job("nightly", "0 2 * * *", func(j *jobs.Job) { j.StartingDeadline = c.deadline }))
				b.offline(true)
				until(4 * time.Hour)
				if got := b.runs()[0].State.Final(); got != (c.deadline != 0) {
					t.Errorf("two hours later the run is over: %t", got)
				}
				until(49 * time.Hour)
				b.offline(false)
				until(51 * time.Hour) // the third occurrence
				p.stop()
				b.wantRuns("nightly 2000-01-01T02:00:00Z "+c.first, "nightly 2000-01-02T02:00:00Z "+c.second, "nightly 2000-01-03T02:00:00Z succeeded")
				contains(t, b.runs()[0].Message, "GCDisconnectedException")
			})
		})
	}
}

func TestTheNextStartGoesOnWithARunThatWaitsForACollection(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("nightly", "0 2 * * *")
		p := b.process("one").serve(job)
		b.offline(true)
		until(2*time.Hour + 10*time.Minute)
		p.stop()
		b.offline(false)
		p = b.process("two").serve(job)
		until(2*time.Hour + 20*time.Minute)
		p.stop()
		b.wantRuns("nightly 2000-01-01T02:00:00Z succeeded")
		if n := len(b.labels()); n != 1 {
			t.Errorf("%d tasks, want 1", n)
		}
	})
}

// Of a start without a scheduler, the attempts are the patience; the next start of
// the occurrence goes on.
func TestAStartTriesAgainWhileACollectionIsOffline(t *testing.T) {
	tests := map[string]struct {
		limit   int
		refused int // how often
		state   ledger.State
	}{
		"no attempts":       {0, 1, ledger.Claimed},
		"back in time":      {2, 2, ledger.Succeeded},
		"back too late":     {2, 3, ledger.Claimed},
		"away for a second": {1, 1, ledger.Succeeded},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				p, refused := b.process("one"), 0
				p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
					if !is(r, "POST", transferPath) || refused == c.refused {
						return nil, nil
					}
					refused++
					return &http.Response{
						StatusCode: http.StatusConflict, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
						Body: io.NopCloser(strings.NewReader(`{"code": "GCDisconnectedException", "message": "not connected"}`)),
					}, nil
				}
				o := b.order(func(j *jobs.Job) { j.BackoffLimit = c.limit })
				res, err := p.record(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if res.State != c.state || res.State == ledger.Claimed && fault.Of(res.Err).Kind != fault.Temporary {
					t.Errorf("got %s and %v, want %s, or that it may pass", res.State, res.Err, c.state)
				}
				if c.state == ledger.Claimed {
					until(time.Hour) // the lease has ended
					if res, err = p.record(t.Context(), o); err != nil || res.State != ledger.Succeeded {
						t.Errorf("the next start: got %v, %v", res, err)
					}
				}
				if n := len(b.labels()); n != 1 || refused != c.refused {
					t.Errorf("%d tasks after %d refusals, want 1 after %d", n, refused, c.refused)
				}
			})
		})
	}
}

// Nobody tries again by himself after a start without a scheduler, so somebody hears of
// what was left.
func TestARunThatAStartLeavesIsTold(t *testing.T) {
	informs := func(j *jobs.Job) {
		j.Notify = jobs.Notify{Repeat: 24 * time.Hour, To: map[string][]string{"failed": {"ops"}, "recovered": {"ops"}}}
	}
	desk := newDesk()
	t.Run("with a ledger", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.desk = desk
			begin, o, p := time.Now(), b.order(informs), b.process("one")
			start := func(ctx context.Context) {
				if _, err := p.record(ctx, o); err != nil {
					t.Fatal(err)
				}
				until(time.Since(begin) + time.Hour) // the lease has ended
			}
			b.stall()
			start(b.signaled(time.Second)) // who interrupts it knows
			b.disturb(globussim.Disturbance{Action: globussim.ReleaseTask})
			start(t.Context())
			o.Key = "2026-11-22T02:00:00Z"
			b.offline(true)
			start(t.Context())
			start(t.Context())
			b.offline(false)
			start(t.Context())
			got := strings.Join(b.notified(begin), ", ")
			if n := strings.Count(got, "failed"); n != 1 || strings.Count(got, "recovered") != 1 || strings.HasPrefix(got, "0s") {
				t.Errorf("got the notices %s, want one of the first start that left the run, and one of the last start", got)
			}
		})
	})
	t.Run("without a ledger", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			var told []ledger.Notice
			e := engine.New(b.client(), b.logger(), engine.WithDesk(desk, func(n []ledger.Notice) { told = append(told, n...) }))
			b.Fail(globussim.Fault{Path: "/v0.10/...", Status: 503, Times: -1})
			if r := e.Run(t.Context(), b.order(informs)); !r.Resumable() || len(told) != 1 || told[0].Event != "failed" {
				t.Errorf("got %v and the notices %+v, want one of the failure", r.Err, told)
			}
		})
	})
	t.Run("not by a scheduler", func(t *testing.T) {
		onBench(t, func(t *testing.T, b *bench) {
			b.desk = desk
			b.offline(true)
			begin := time.Now()
			p := b.process("one").serve(b.job("nightly", "0 2 * * *", informs))
			until(3 * time.Hour)
			p.stop()
			if got := b.notified(begin); len(got) > 0 {
				t.Errorf("got the notices %v while the run is tried again, want none", got)
			}
		})
	})
}

func TestTheLedgerKnowsOfAnErrorThatGlobusDoesNotOvercome(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		p := b.process("one").serve(b.job("nightly", "0 2 * * *"))
		until(2*time.Hour + time.Minute)
		b.offline(true)
		b.disturb(globussim.Disturbance{Action: globussim.ReleaseTask})
		until(2*time.Hour + 3*time.Minute)
		notes := b.notes(b.runs()[0].ID, "retrying")
		if len(notes) != 1 || !strings.Contains(notes[0], "GC_NOT_CONNECTED") {
			t.Errorf("got the notes %q, want one of the error", notes)
		}
		b.offline(false)
		until(3 * time.Hour)
		p.stop()
		b.wantRuns("nightly 2000-01-01T02:00:00Z succeeded")
	})
}
