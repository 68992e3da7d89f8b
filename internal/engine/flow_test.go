package engine_test

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/flows"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/retry"
)

// Paths of Flows, for faults.
const (
	startPath = "/flows/*/run"
	runsPath  = "/runs"
	runPath   = "/runs/*"
)

// flowsOver returns a client of Flows with tokens of its own, over a way to the
// services.
func (b *bench) flowsOver(wire http.RoundTripper) *flows.Client {
	b.t.Helper()
	log := slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	account := func(server string, policy retry.Policy, text ...string) *http.Client {
		scopes, err := auth.ParseScopes(strings.Join(text, " "))
		if err != nil {
			b.t.Fatal(err)
		}
		source := clientcreds.New(clientID, secret, clientcreds.WithScopes(scopes...), clientcreds.WithClient(
			auth.New(&http.Client{Transport: retry.New(wire, retry.Policy{}, log)}, auth.WithLogger(log))))
		return &http.Client{Transport: retry.New(source.Transport(server, wire), policy, log)}
	}
	return flows.New(account(flows.ResourceServer, retry.Policy{}, flows.Scopes()...), func(flow string, data []string) *http.Client {
		return account(flow, retry.Policy{Retries: -1}, flows.Scope(flow, data))
	})
}

// flowJob gives a job the flow "Transfer" alone, which copies a file of the lab.
func flowJob(j *jobs.Job) {
	j.Steps = []jobs.Step{{Flow: &jobs.Flow{ID: globussim.FlowID("Transfer"), Body: map[string]any{
		"source":      map[string]any{"id": globussim.CollectionID("lab"), "path": "/data/a.txt"},
		"destination": map[string]any{"id": globussim.CollectionID("vault"), "path": "/by-flow/{{ .Job }}.txt"},
	}}}}
}

// flowRuns returns the runs of the flow, oldest first, each as its status and label.
func (b *bench) flowRuns() (all []string) {
	b.t.Helper()
	for _, run := range b.allRuns() {
		all = append(all, string(run.Status)+" "+run.Label)
	}
	return all
}

func (b *bench) allRuns() (all []*flows.Run) {
	b.t.Helper()
	c, labels := b.flowsOver(b.Client().Transport), []string{}
	for _, job := range []string{"nightly", "ingest"} {
		for _, at := range []string{"2026-11-21T02:00:00Z", "2000-01-01T01:00:00Z"} {
			for _, end := range []string{"", " #2", " #3", " s2", " s2 #2"} {
				labels = append(labels, job+" "+at+end)
			}
		}
	}
	for _, label := range labels {
		for run, err := range c.Runs(b.t.Context(), globussim.FlowID("Transfer"), label) {
			if err != nil {
				b.t.Fatal(err)
			}
			all = append(all, run)
		}
	}
	slices.SortFunc(all, func(a, b *flows.Run) int { return a.Started().Compare(b.Started()) })
	return all
}

// wantFlowRuns checks the runs of the flow that exist.
func (b *bench) wantFlowRuns(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.flowRuns()); diff != "" {
		b.t.Errorf("runs of the flow (-want +got):\n%s", diff)
	}
}

func TestFlowIsStartedOnceWhateverHappensToTheRequests(t *testing.T) {
	tests := map[string]struct {
		fault   globussim.Fault
		posts   int // of the start; 0: any number
		atLeast time.Duration
	}{
		"nothing":                 {globussim.Fault{Path: "/none", Status: 500}, 1, 0},
		"dropped before effect":   {globussim.Fault{Drop: globussim.DropBefore}, 2, 30 * time.Second},
		"dropped after effect":    {globussim.Fault{Drop: globussim.DropAfter}, 1, 0},
		"gateway page":            {globussim.Fault{Status: 504, Body: "<html>"}, 2, 30 * time.Second},
		"gateway page, but a run": {globussim.Fault{Status: 504, Body: "<html>", AfterEffect: true}, 1, 0},
		"half an answer":          {globussim.Fault{Cut: 20}, 1, 0},
		"no answer in a minute":   {globussim.Fault{Delay: time.Hour}, 1, time.Minute},
		"too many requests":       {globussim.Fault{Status: 429, RetryAfter: "90", Times: 2}, 3, 180 * time.Second},
		"too many, but a run":     {globussim.Fault{Status: 429, AfterEffect: true}, 1, 0},
		"unavailable":             {globussim.Fault{Status: 503, Times: 2}, 3, 60 * time.Second},
		"token request dropped":   {globussim.Fault{Path: tokenPath, Drop: globussim.DropAfter}, 1, 0},
		"look-up dropped":         {globussim.Fault{Method: "GET", Path: runsPath, Drop: globussim.DropAfter}, 1, 0},
		"look at the run fails":   {globussim.Fault{Method: "GET", Path: runPath, Status: 502, Body: "<html>"}, 1, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if tt.fault.Path == "" {
					tt.fault.Method, tt.fault.Path = "POST", startPath
				}
				b.Fail(tt.fault)
				r := b.run(t.Context(), b.order(flowJob))
				if r.State != ledger.Succeeded || r.Err != nil || r.Attempt != 1 {
					t.Errorf("got %+v, want success at the first attempt", r)
				}
				b.wantFlowRuns("SUCCEEDED nightly 2026-11-21T02:00:00Z")
				if n := b.requests("POST /flows/{flow}/run"); tt.posts > 0 && n != tt.posts {
					t.Errorf("the flow was started with %d requests, want %d", n, tt.posts)
				}
				if took := r.Finished.Sub(r.Started); took < tt.atLeast {
					t.Errorf("it took %v, want at least %v", took, tt.atLeast)
				}
			})
		})
	}
}

// The list of runs may have a new one only after a while.
func TestRunThatIsListedLateIsNotStartedTwice(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Method: "POST", Path: startPath, Drop: globussim.DropAfter})
		r, err := b.process("one").record(t.Context(), b.order(flowJob))
		if err != nil || r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("got %+v, %v, want the run adopted", r, err)
		}
		b.wantFlowRuns("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	}, func(c *globussim.Config) { c.Answers.RunsListed = 25 })
}

// Somebody may give a run another label.
func TestKnownRunOfAFlowIsFollowedByItsID(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		one := b.process("one")
		r, err := one.record(b.signaled(time.Minute), b.order(flowJob))
		if err != nil || r.State != ledger.Submitted {
			t.Fatalf("got %+v, %v", r, err)
		}
		contains(t, failure(t, r, fault.Interrupted).Message, "to follow it, or end the run with runner runs cancel 1")
		one.kill()
		b.releaseAfter(2 * time.Minute)
		time.Sleep(time.Minute)
		two := b.process("two")
		two.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if is(r, "GET", runsPath) {
				return noRuns(r), nil
			}
			return nil, nil
		}
		if r, err := two.record(t.Context(), b.order(flowJob)); err != nil || r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("got %+v, %v, want the run adopted", r, err)
		}
		b.wantFlowRuns("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

// noRuns is an answer without runs.
func noRuns(r *http.Request) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(`{"runs": [], "has_next_page": false}`)),
	}
}

func TestKilledStartOfAFlowIsTakenOverAndHasOneRun(t *testing.T) {
	tests := map[string]cut{
		"after the claim":            {method: "GET", path: runsPath},
		"before the start":           {method: "POST", path: "/flows/*"},
		"answer to it is lost":       {method: "POST", path: "/flows/*", after: true},
		"run id is not written down": {method: "POST", path: "/flows/*", unrecorded: true},
		"at the first look":          {method: "GET", path: runPath},
		"while waiting":              {method: "GET", path: runPath, skip: 3},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				b.releaseAfter(90 * time.Minute)
				job := b.job("ingest", "0 1 * * *", flowJob)
				b.cutOff(job, c, time.Hour)
				b.wantRuns("ingest 2000-01-01T01:00:00Z succeeded")
				b.wantFlowRuns("SUCCEEDED ingest 2000-01-01T01:00:00Z")
				s := b.submissions(1)
				if len(s) != 1 || s[0].TaskID != b.allRuns()[0].ID || s[0].Status != "SUCCEEDED" || s[0].Flow != globussim.FlowID("Transfer") {
					t.Errorf("got the submissions %+v, want one with its run and end", s)
				}
			})
		})
	}
}

func TestFlowAfterATransferRunsWithItsOwnLabel(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		r := b.run(t.Context(), b.order(func(j *jobs.Job) {
			flowJob(j)
			j.Steps = slices.Concat(jobs.Single(copyOf("/data/", "/copy/")), j.Steps)
		}))
		if r.State != ledger.Succeeded || r.Err != nil || len(r.Tasks) != 2 || r.Tasks[1].Flow != globussim.FlowID("Transfer") {
			t.Errorf("got %+v, want a task and a run of the flow", r)
		}
		b.wantFlowRuns("SUCCEEDED nightly 2026-11-21T02:00:00Z s2")
	})
}

func TestFailedRunOfAFlowIsAFailedAttempt(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Times: 2})
		f := failure(t, b.run(t.Context(), b.order(flowJob)), fault.Failed)
		contains(t, f.Message, "failed: FlowFailed: State Transfer: the action failed")
		r := b.run(t.Context(), b.order(flowJob, func(j *jobs.Job) { j.BackoffLimit = 1 }))
		if r.State != ledger.Succeeded || r.Attempt != 3 {
			t.Errorf("got %+v, want success at the third attempt", r)
		}
		const label = "nightly 2026-11-21T02:00:00Z"
		b.wantFlowRuns("FAILED "+label, "FAILED "+label+" #2", "SUCCEEDED "+label+" #3")
	})
}

func TestAttemptsOfAFlowAreBounded(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Times: -1})
		r, err := b.process("one").record(t.Context(), b.order(flowJob, func(j *jobs.Job) { j.BackoffLimit = 1 }))
		if err != nil || r.State != ledger.Failed || r.Attempt != 2 {
			t.Errorf("got %+v, %v, want a failure at the second attempt", r, err)
		}
		const label = "nightly 2026-11-21T02:00:00Z"
		b.wantFlowRuns("FAILED "+label, "FAILED "+label+" #2")
	})
}

// mapped makes the lab a mapped collection, whose data need a consent.
func mapped(cfg *globussim.Config) { cfg.Collections[0].EntityType = globussim.MappedCollection }

func TestRunThatWantsAConsentNeedsAHuman(t *testing.T) {
	scope := "https://auth.globus.org/scopes/" + globussim.CollectionID("lab") + "/data_access"
	onBench(t, func(t *testing.T, b *bench) {
		r := b.run(t.Context(), b.order(flowJob, func(j *jobs.Job) { j.On.NeedsHuman = jobs.Cancel }))
		f := failure(t, r, fault.NeedsHuman)
		contains(t, f.Message, "ConsentRequired", scope, "data_access of the step")
		if r.State != ledger.Failed || f.Code != "ConsentRequired" {
			t.Errorf("got %+v with %+v, want a failure for ConsentRequired", r, f)
		}
		b.wantFlowRuns("FAILED nightly 2026-11-21T02:00:00Z")
	}, mapped)
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one")
		r, err := p.record(b.signaled(time.Hour), b.order(flowJob))
		if err != nil {
			t.Fatal(err)
		}
		said := failure(t, r, fault.Interrupted).Message
		contains(t, said, scope, ", or end the run with runner runs cancel 1")
		if n := strings.Count(said, "start again with"); n != 1 {
			t.Errorf("%q says %d times how to start again, want once", said, n)
		}
		notes := b.count(`SELECT count(*) FROM notes WHERE kind = 'needs_human'`)
		if notes != 1 || b.requests("POST /runs/{run}/resume") != 0 {
			t.Errorf("%d notes and %d resumes, want one note and no resume", notes, b.requests("POST /runs/{run}/resume"))
		}
		p.kill()

		// The jobs file now lets the flow use the data: the same run goes on.
		o := b.order(flowJob, func(j *jobs.Job) { j.Steps[0].Flow.DataAccess = []string{globussim.CollectionID("lab")} })
		time.Sleep(time.Minute)
		if r, err = b.process("two").record(t.Context(), o); err != nil || r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("got %+v, %v, want the run adopted and resumed", r, err)
		}
		b.wantFlowRuns("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	}, mapped)
}

func TestFlowIsLetUseTheDataFromTheStart(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		r := b.run(t.Context(), b.order(flowJob, func(j *jobs.Job) { j.Steps[0].Flow.DataAccess = []string{globussim.CollectionID("lab")} }))
		if r.State != ledger.Succeeded || b.requests("POST /runs/{run}/resume") != 0 {
			t.Errorf("got %+v, want success without a resume", r)
		}
	}, mapped)
}

// withCanceledRuns runs a test with each status that a canceled run of a flow may
// have: nobody has confirmed which one it is.
func withCanceledRuns(t *testing.T, test func(t *testing.T, b *bench, canceled string)) {
	t.Helper()
	for status, ended := range map[string]bool{"FAILED": false, "ENDED": true} {
		t.Run(status, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) { test(t, b, status) }, func(c *globussim.Config) { c.Answers.EndCanceledRuns = ended })
		})
	}
}

func TestRunOfAFlowThatTakesTooLongIsCanceled(t *testing.T) {
	withCanceledRuns(t, func(t *testing.T, b *bench, canceled string) {
		b.stall()
		r := b.run(t.Context(), b.order(flowJob, func(j *jobs.Job) { j.ActiveDeadline, j.BackoffLimit = time.Hour, 3 }))
		f := failure(t, r, fault.TimedOut)
		contains(t, f.Message, "did not end within 1h (active_deadline) and was canceled")
		if took := r.Finished.Sub(r.Started); r.State != ledger.TimedOut || took > time.Hour+time.Minute {
			t.Errorf("got %+v after %v, want it timed out after an hour", r, took)
		}
		b.wantFlowRuns(canceled + " nightly 2026-11-21T02:00:00Z")
	})
}

func TestInterruptedFlowGoesOnOrIsCanceled(t *testing.T) {
	withCanceledRuns(t, func(t *testing.T, b *bench, canceled string) {
		b.stall()
		r := b.run(b.signaled(time.Minute), b.order(flowJob))
		contains(t, failure(t, r, fault.Interrupted).Message, "goes on at Globus", ", or cancel it at app.globus.org")
		b.wantFlowRuns("ACTIVE nightly 2026-11-21T02:00:00Z")

		o := b.order(flowJob)
		o.CancelOnInterrupt = true
		r = b.run(b.signaled(time.Minute), o)
		contains(t, failure(t, r, fault.Interrupted).Message, "was canceled")
		b.wantFlowRuns(canceled + " nightly 2026-11-21T02:00:00Z")
	})
}

// A cancel that is accepted may come too late: what the run did is what counts.
func TestRunEndsAsItsFlowDidWhenItsCancelIsSlow(t *testing.T) {
	accepted := globussim.Fault{Method: "POST", Path: runPath + "/cancel", Status: http.StatusAccepted, Body: `{"run_id": "r", "status": "ACTIVE"}`}
	refused := globussim.Fault{Method: "POST", Path: runPath + "/cancel", Status: http.StatusConflict, Code: "STATE_CONFLICT"}
	tests := map[string]struct {
		answer globussim.Fault
		after  func(b *bench) // half a second after the cancel was accepted
		state  ledger.State
		says   string // empty: no error
		run    string
	}{
		"it is canceled then": {accepted, func(b *bench) { b.cancelFlow() }, ledger.Canceled, "was canceled", "FAILED"},
		"it succeeds":         {accepted, func(b *bench) { b.releaseAfter(0) }, ledger.Succeeded, "", "SUCCEEDED"},
		"it goes on":          {accepted, func(*bench) {}, ledger.Submitted, "had not ended 10s later", "ACTIVE"},
		"it is refused":       {refused, func(*bench) {}, ledger.Submitted, "goes on at Globus", "ACTIVE"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				b.Fail(tt.answer)
				b.after(time.Hour+500*time.Millisecond, func() { tt.after(b) })
				o := b.order(flowJob)
				o.CancelOnInterrupt = true
				r := b.run(b.signaled(time.Hour), o)
				if r.State != tt.state || (r.Err == nil) != (tt.says == "") {
					t.Errorf("got %+v, want state %s", r, tt.state)
				}
				if tt.says != "" {
					contains(t, failure(t, r, fault.Interrupted).Message, "SIGTERM", tt.says)
				}
				b.wantFlowRuns(tt.run + " nightly 2026-11-21T02:00:00Z")
			})
		})
	}
}

// cancelFlow cancels the run of the flow behind the back of the program.
func (b *bench) cancelFlow() {
	if _, err := b.flowsOver(b.Client().Transport).Cancel(b.t.Context(), b.allRuns()[0].ID); err != nil {
		b.t.Error(err)
	}
}

func TestRunOfAFlowThatWasCanceledElsewhere(t *testing.T) {
	withCanceledRuns(t, func(t *testing.T, b *bench, canceled string) {
		b.stall()
		b.after(time.Minute, b.cancelFlow)
		r := b.run(t.Context(), b.order(flowJob, func(j *jobs.Job) { j.BackoffLimit = 3 }))
		contains(t, failure(t, r, fault.Canceled).Message, "was canceled by another command or person")
		if r.State != ledger.Failed {
			t.Errorf("the run is %s, want it failed: nobody has given it up", r.State)
		}
		b.wantFlowRuns(canceled + " nightly 2026-11-21T02:00:00Z")
	})
}

// Whatever an earlier start has reached, a cancel leaves no run at work.
func TestCanceledRunCancelsItsFlow(t *testing.T) {
	for name, tt := range map[string]struct {
		cut  cut
		want []string
	}{
		"the run is known":     {cut{method: "GET", path: runPath, skip: 2}, []string{"FAILED nightly 2026-11-21T02:00:00Z"}},
		"the answer was lost":  {cut{method: "POST", path: "/flows/*", after: true}, []string{"FAILED nightly 2026-11-21T02:00:00Z"}},
		"nothing was started":  {cut{method: "POST", path: "/flows/*"}, nil},
		"nothing was recorded": {cut{method: "GET", path: runsPath}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				one := b.process("one")
				one.at(tt.cut)
				_, _ = one.record(t.Context(), b.order(flowJob)) // it dies
				one.kill()
				time.Sleep(time.Minute)
				two := b.process("two")
				if err := two.ledger.RequestCancel(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				run, err := two.ledger.Run(t.Context(), 1)
				if err != nil {
					t.Fatal(err)
				}
				r, err := two.engine.Cancel(t.Context(), engine.Recording{Ledger: two.ledger, Holder: "two", Lease: time.Minute}, run)
				if err != nil || r.State != ledger.Canceled {
					t.Errorf("got %+v, %v, want it canceled", r, err)
				}
				b.wantFlowRuns(tt.want...)
			})
		})
	}
}

// A start that was cut off before its starting deadline must not be made up for
// after it.
func TestFlowIsNotStartedAfterItsStartingDeadline(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		one := b.process("one")
		one.at(cut{method: "POST", path: "/flows/*"})
		o := b.order(flowJob)
		o.StartBy = time.Now().Add(time.Minute)
		_, _ = one.record(t.Context(), o) // it dies
		one.kill()
		time.Sleep(time.Hour)
		r, err := b.process("two").record(t.Context(), o)
		if err != nil || r.State != ledger.TimedOut {
			t.Errorf("got %+v, %v, want it timed out", r, err)
		}
		b.wantFlowRuns()
	})
}

func TestFlowThatDoesNotExistIsNamed(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		r := b.run(t.Context(), b.order(flowJob, func(j *jobs.Job) { j.Steps[0].Flow.ID = globussim.FlowID("none") }))
		contains(t, failure(t, r, fault.Refused).Message, globussim.FlowID("none"), "check the id of the flow")
		if r.State != ledger.Failed {
			t.Errorf("got %+v, want it failed", r)
		}
	})
}

func TestRefusedStartOfAFlowIsTheErrorOfTheService(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		r := b.run(t.Context(), b.order(flowJob, func(j *jobs.Job) { j.Steps[0].Flow.Body = map[string]any{} }))
		if r.State != ledger.Failed || fault.Of(r.Err).Kind != fault.Refused || fault.Of(r.Err).Code != "FLOW_INPUT_ERROR" {
			t.Errorf("got %+v, want it refused for its input", r)
		}
		if n := b.requests("POST /flows/{flow}/run"); n != 1 {
			t.Errorf("the flow was started with %d requests, want 1", n)
		}
	})
}

// What may be at Globus is brought to its end, also if the jobs file has something
// else in its place by now.
func TestStepThatBecameAFlowIsEndedAsItBegan(t *testing.T) {
	job := map[string]func(*jobs.Job){"flow": flowJob, "transfer": paths("/data/", "/copy/")}
	for before, after := range map[string]string{"flow": "transfer", "transfer": "flow"} {
		t.Run(before, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				p := b.process("one")
				if r, err := p.record(b.signaled(time.Minute), b.order(job[before])); err != nil || r.State != ledger.Submitted {
					t.Fatalf("got %+v, %v", r, err)
				}
				p.kill()
				b.releaseAfter(2 * time.Minute)
				time.Sleep(time.Minute)
				r, err := b.process("two").record(t.Context(), b.order(job[after]))
				if err != nil || r.State != ledger.Succeeded || !r.Adopted {
					t.Errorf("got %+v, %v, want the first one adopted", r, err)
				}
				if tasks, runs := len(b.State().Tasks), len(b.allRuns()); tasks != 1 || (runs == 1) != (before == "flow") {
					t.Errorf("there are %d tasks and %d runs of the flow", tasks, runs)
				}
			})
		})
	}
}
