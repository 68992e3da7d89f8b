package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
)

func TestOccurrenceThatIsDoneIsTaken(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		r, err := b.process("one").record(t.Context(), b.order())
		if err != nil || r.State != ledger.Succeeded || r.Run == 0 {
			t.Fatalf("got %+v, %v, want a run that succeeded", r, err)
		}
		r, err = b.process("two").record(t.Context(), b.order())
		taken, ok := errors.AsType[*engine.Taken](err)
		if r != nil || !ok || taken.Run.State != ledger.Succeeded {
			t.Errorf("the second start got %+v, %v, want it taken by a run that succeeded", r, err)
		}
		b.wantRuns("nightly 2026-11-21T02:00:00Z succeeded")
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

func TestOccurrenceThatAnotherStartIsAtIsTaken(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		one, two := b.process("one"), b.process("two")
		if r, err := one.record(b.signaled(time.Second), b.order()); err != nil || r.State != ledger.Submitted {
			t.Fatalf("got %+v, %v, want a run that is submitted", r, err)
		}
		_, err := two.record(t.Context(), b.order())
		if taken, ok := errors.AsType[*engine.Taken](err); !ok || taken.Run.State != ledger.Submitted {
			t.Fatalf("got %v, want it taken by a run that is not over", err)
		}
		contains(t, err.Error(), "is being done by one")
	})
}

// A cut says where a process dies.
type cut struct {
	method, path string
	skip         int  // that many such requests go well
	after        bool // the request takes effect
	unrecorded   bool // the answer arrives, but nothing can be written any more
}

// at lets the process die there.
func (p *process) at(c cut) {
	var met atomic.Int64 // requests may be made at once
	p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
		if !is(r, c.method, c.path) || met.Add(1) <= int64(c.skip) {
			return nil, nil
		}
		var resp *http.Response
		if c.after || c.unrecorded {
			resp, _ = send.RoundTrip(r) // who dies does not look
		}
		p.die()
		if c.unrecorded {
			return resp, nil
		}
		return nil, errKilled
	}
}

func TestKilledRunIsTakenOverAndHasOneTask(t *testing.T) {
	tests := map[string]cut{
		"after the claim":             {method: "GET", path: idPath},
		"before the submission":       {method: "POST", path: transferPath},
		"answer to it is lost":        {method: "POST", path: transferPath, after: true},
		"task id is not written down": {method: "POST", path: transferPath, unrecorded: true},
		"at the first look":           {method: "GET", path: "/v0.10/task/*"},
		"while waiting":               {method: "GET", path: "/v0.10/task/*", skip: 3},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.disturb(globussim.Disturbance{Action: globussim.StallTask})
				b.releaseAfter(90 * time.Minute)
				job := b.job("nightly", "0 1 * * *")
				b.cutOff(job, c, time.Hour)
				b.wantRuns("nightly 2000-01-01T01:00:00Z succeeded")
				b.wantTasks("SUCCEEDED nightly 2000-01-01T01:00:00Z")
				if r := b.runs()[0]; r.Holder != "two" || r.Files != 1 || r.Bytes != 10 {
					t.Errorf("got %+v, want it done by two, with the figures of the task", r)
				}
				s := b.submissions(1)
				if len(s) != 1 || s[0].TaskID != b.State().Tasks[0].TaskID || s[0].Status != "SUCCEEDED" {
					t.Errorf("got the submissions %+v, want one with its task and end", s)
				}
			})
		})
	}
}

func TestDocumentsInTheLedgerAreThoseThatWereSent(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("data/<a&b>.txt", "x")
		var sent []json.RawMessage
		p := b.process("one")
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if is(r, "POST", transferPath) {
				body, err := r.GetBody()
				if err != nil {
					return nil, err
				}
				doc, err := io.ReadAll(body)
				sent = append(sent, doc)
				return nil, err
			}
			return nil, nil
		}
		b.disturb(globussim.Disturbance{Action: globussim.FailTask})
		b.Fail(globussim.Fault{Path: transferPath, Delay: 2 * time.Second, Drop: globussim.DropBefore})
		o := b.order(paths("/data/<a&b>.txt", "/<a&b>.txt"), func(j *jobs.Job) { j.BackoffLimit = 1 })
		if r, err := p.record(t.Context(), o); err != nil || r.State != ledger.Succeeded {
			t.Fatalf("got %+v, %v", r, err)
		}
		var recorded []json.RawMessage
		for _, s := range b.submissions(1) {
			recorded = append(recorded, s.Document)
		}
		if len(sent) != 3 || len(recorded) != 2 { // the first was sent twice
			t.Fatalf("sent %d, recorded %d documents, want 3 and 2", len(sent), len(recorded))
		}
		for i, want := range []json.RawMessage{sent[0], sent[2]} {
			if diff := cmp.Diff(fields(t, want), fields(t, recorded[i])); diff != "" {
				t.Errorf("document %d (-sent +recorded):\n%s", i+1, diff)
			}
		}
	})
}

func fields(t *testing.T, doc []byte) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRunThatFailedIsDoneAgainWhenSomebodyAsks(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask, Times: 3})
		p := b.process("one")
		o := b.order(func(j *jobs.Job) { j.BackoffLimit = 1 })
		r, err := p.record(t.Context(), o)
		if err != nil || r.State != ledger.Failed || r.Attempt != 2 {
			t.Fatalf("got %+v, %v, want a failure of the second attempt", r, err)
		}
		if _, err = p.record(t.Context(), o); !errors.As(err, new(*engine.Taken)) {
			t.Fatalf("got %v, want it taken", err)
		}
		if err := p.ledger.Retry(t.Context(), r.Run); err != nil {
			t.Fatal(err)
		}
		if r, err = p.record(t.Context(), o); err != nil || r.State != ledger.Succeeded || r.Attempt != 4 {
			t.Errorf("got %+v, %v, want success at the fourth attempt", r, err)
		}
		b.wantTasks(
			"FAILED nightly 2026-11-21T02:00:00Z", "FAILED nightly 2026-11-21T02:00:00Z #2",
			"FAILED nightly 2026-11-21T02:00:00Z #3", "SUCCEEDED nightly 2026-11-21T02:00:00Z #4",
		)
		for i, s := range b.submissions(1) {
			if want := []string{"FAILED", "FAILED", "FAILED", "SUCCEEDED"}[i]; s.Attempt != i+1 || s.Status != want {
				t.Errorf("submission %d is %+v, want it %s", i+1, s, want)
			}
		}
	})
}

func TestFailureThatWasNotWrittenDownGivesNoNewAttempt(t *testing.T) {
	tests := map[string]struct {
		limit int
		state string
		tasks []string
	}{
		"none allowed": {0, "failed", []string{"FAILED nightly 2000-01-01T02:00:00Z"}},
		"one allowed":  {1, "failed", []string{"FAILED nightly 2000-01-01T02:00:00Z", "FAILED nightly 2000-01-01T02:00:00Z #2"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.disturb(globussim.Disturbance{Action: globussim.FailTask, Times: -1})
				job := b.job("nightly", "0 2 * * *", func(j *jobs.Job) { j.BackoffLimit, j.Backoff = tt.limit, time.Hour })
				one := b.process("one")
				one.at(cut{method: "GET", path: "/v0.10/task/*", after: true, skip: 1}) // the look at its errors
				one.serve(job)
				until(2*time.Hour + time.Minute)
				one.kill()
				two := b.process("two").serve(job)
				until(12 * time.Hour)
				two.stop()
				b.wantRuns("nightly 2000-01-01T02:00:00Z " + tt.state)
				b.wantTasks(tt.tasks...)
			})
		})
	}
}

func TestLedgerThatDoesNotKnowTheJobAsksGlobus(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		id := b.start(b.order())
		b.releaseAfter(time.Minute)
		p, asked := b.process("one"), b.requests("GET /v0.10/task_list")
		r, err := p.record(t.Context(), b.order())
		if err != nil || r.State != ledger.Succeeded || !r.Adopted || r.Tasks[0].TaskID != id {
			t.Errorf("got %+v, %v, want task %s adopted", r, err, id)
		}
		if n := b.requests("GET /v0.10/task_list") - asked; n != 1 {
			t.Errorf("the first claim of the job asked %d times, want once", n)
		}
		if s := b.submissions(r.Run); len(s) != 1 || s[0].TaskID != id || s[0].Status != "SUCCEEDED" {
			t.Errorf("got the submissions %+v, want the adopted task", s)
		}
		o := b.order()
		o.Key, o.Known = "2026-11-22T02:00:00Z", true
		before := b.State().Routes
		if r, err = p.record(t.Context(), o); err != nil || r.State != ledger.Succeeded {
			t.Fatalf("got %+v, %v", r, err)
		}
		got := map[string]int{}
		for route, n := range b.State().Routes {
			if n -= before[route]; n > 0 && route != "GET /v0.10/task/{id}" {
				got[route] = n
			}
		}
		want := map[string]int{"GET /v0.10/submission_id": 1, "POST /v0.10/transfer": 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("requests of the second occurrence (-want +got):\n%s", diff)
		}
	})
}

func TestHolderThatWasAwayTooLongSubmitsNothingMore(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Path: idPath, Delay: 50 * time.Second})
		p := b.process("one")
		b.after(40*time.Second, func() {
			runs, err := b.process("two").ledger.TakeOver(t.Context(), "two", time.Hour, 1)
			if err != nil || len(runs) != 1 {
				t.Errorf("got %v, %v, want the run taken over", runs, err)
			}
		})
		r, err := p.record(t.Context(), b.order())
		if err != nil || !errors.Is(r.Err, ledger.ErrLost) || !r.Resumable() {
			t.Errorf("got %+v, %v, want ErrLost", r, err)
		}
		b.wantTasks()
		if n := b.requests("POST /v0.10/transfer"); n > 0 {
			t.Errorf("%d submissions were sent, want none", n)
		}
		b.wantRuns("nightly 2026-11-21T02:00:00Z claimed")
	})
}

// lockLedger keeps the ledger from being written, by a folder in the place of its
// rollback journal.
func (b *bench) lockLedger() {
	journal := filepath.Join(b.state, "runner.db-journal")
	_ = os.Remove(journal) // Mkdir tells
	if err := os.Mkdir(journal, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		b.t.Error(err)
	}
}

func (b *bench) unlockLedger() {
	if err := os.Remove(filepath.Join(b.state, "runner.db-journal")); err != nil {
		b.t.Error(err)
	}
}

func TestNothingIsSubmittedWithoutARecord(t *testing.T) {
	tests := map[string]struct {
		ruin func(b *bench, p *process)
		says string
	}{
		"read-only": {func(b *bench, _ *process) { b.lockLedger() }, "runner.db"},
		"closed": {func(b *bench, p *process) {
			if err := p.ledger.Close(); err != nil {
				b.t.Error(err)
			}
		}, "closed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				p := b.process("one")
				p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
					if is(r, "GET", idPath) { // the claim has worked
						tt.ruin(b, p)
					}
					return nil, nil
				}
				r, err := p.record(t.Context(), b.order())
				if err == nil {
					err = r.Err
				}
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %+v, %v, want an error that says %q", r, err, tt.says)
				}
				if n := b.requests("POST /v0.10/transfer"); n != 0 {
					t.Errorf("%d submissions were sent, want none", n)
				}
				b.wantTasks()
			})
		})
	}
}

func TestRunThatIsNotWaitedForIsSubmitted(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		b.releaseAfter(time.Minute)
		p := b.process("one")
		o := b.order()
		o.NoWait = true
		if r, err := p.record(t.Context(), o); err != nil || r.Err != nil || r.State != ledger.Submitted {
			t.Fatalf("got %+v, %v, want a run that is submitted", r, err)
		}
		b.wantRuns("nightly 2026-11-21T02:00:00Z submitted")
		if n := len(b.log.values(t, "the ledger could not be written", "err")); n > 0 {
			t.Errorf("%d times the ledger could not be written", n)
		}
		if r, err := p.record(t.Context(), b.order()); err != nil || r.State != ledger.Succeeded || !r.Adopted {
			t.Errorf("got %+v, %v, want the task adopted", r, err)
		}
	})
}

func TestRefusedSubmissionIsSentAnewWhenSomebodyAsks(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one")
		wrong := b.order(func(j *jobs.Job) {
			doc := copyOf("/data/", "/copy/")
			doc.DestinationEndpoint = "00000000-0000-4000-8000-000000000000"
			j.Steps = jobs.Single(doc)
		})
		r, err := p.record(t.Context(), wrong)
		if err != nil || r.State != ledger.Failed {
			t.Fatalf("got %+v, %v, want a failed run", r, err)
		}
		if err := p.ledger.Retry(t.Context(), r.Run); err != nil {
			t.Fatal(err)
		}
		if r, err = p.record(t.Context(), b.order()); err != nil || r.State != ledger.Succeeded {
			t.Errorf("with the mended job: %+v, %v, want success", r, err)
		}
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z #2")
	})
}

func TestGuardDoesNotLoseATaskThatExists(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		job := b.job("mirror", "0 2 * * *", func(j *jobs.Job) {
			doc := copyOf("/data/", "/mirror/")
			doc.DeleteDestinationExtra = true
			j.Steps = jobs.Single(doc)
		})
		one := b.process("one")
		one.at(cut{method: "POST", path: transferPath, after: true})
		one.serve(job)
		until(2*time.Hour + time.Minute)
		one.kill()
		b.remove("data/a.txt")
		two := b.process("two").serve(job)
		until(3 * time.Hour)
		two.stop()
		b.wantRuns("mirror 2000-01-01T02:00:00Z succeeded")
		b.wantTasks("SUCCEEDED mirror 2000-01-01T02:00:00Z")
	})
}

func TestOutcomeThatCannotBeWrittenIsAnErrorAndWrittenLater(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		p := b.process("one")
		p.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
			if is(r, "GET", "/v0.10/task/*") {
				b.lockLedger()
			}
			return nil, nil
		}
		r, err := p.record(t.Context(), b.order())
		if err == nil || r == nil || r.State != ledger.Succeeded || len(r.Tasks) != 1 {
			t.Fatalf("got %+v, %v, want what Globus did, and an error", r, err)
		}
		contains(t, err.Error(), "record that run 1 has succeeded")
		b.unlockLedger()
		p.answer = nil
		if r, err = p.record(context.WithoutCancel(t.Context()), b.order()); err != nil || r.State != ledger.Succeeded {
			t.Errorf("got %+v, %v, want success", r, err)
		}
		b.wantRuns("nightly 2026-11-21T02:00:00Z succeeded")
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

func TestEndThatCouldNotBeWrittenIsWrittenBeforeTheNextAttempt(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.disturb(globussim.Disturbance{Action: globussim.FailTask})
		p := b.process("one")
		var once sync.Once
		p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if is(r, "GET", "/v0.10/task/*") {
				once.Do(func() { b.lockLedger(); b.after(5*time.Second, b.unlockLedger) })
			}
			if is(r, "POST", transferPath) {
				if s := b.submissions(1); len(s) == 2 && s[0].Status != "FAILED" {
					t.Errorf("the next attempt is sent while the ledger has %q of the one before", s[0].Status)
				}
			}
			return nil, nil
		}
		o := b.order()
		o.Job.BackoffLimit, o.Job.Backoff = 1, 10*time.Second
		r, err := p.record(t.Context(), o)
		if err != nil || r.State != ledger.Succeeded {
			t.Fatalf("got %+v, %v, want success at the second attempt", r, err)
		}
		if n := len(b.log.values(t, "the ledger could not be written", "err")); n == 0 {
			t.Error("the ledger could be written all the time")
		}
		s := b.submissions(r.Run)
		if len(s) != 2 || s[0].Status != "FAILED" || s[1].Status != "SUCCEEDED" {
			t.Errorf("got the submissions %+v, want one that has failed and one that has succeeded", s)
		}
	})
}

// A start that was frozen goes on with what it knew before.
func TestStartThatWasOvertakenLeavesTheRecordAsItIs(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs"})
		one, two := b.process("one"), b.process("two").ledger
		one.answer = func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
			switch {
			case len(b.submissions(1)) == 0:
				return nil, nil
			case is(r, "POST", transferPath) && b.submissions(1)[0].TaskID != "":
				one.die()
				return nil, errKilled
			case !is(r, "GET", "/v0.10/task_list"):
				return nil, nil
			}
			resp, err := send.RoundTrip(r)
			if _, err := two.TakeOver(t.Context(), "two", time.Hour, 1); err != nil {
				t.Error(err)
			}
			id := b.submissions(1)[0].ID
			if err := errors.Join(two.Accepted(t.Context(), id, "task of two"), two.Ended(t.Context(), id, "FAILED", ledger.Totals{})); err != nil {
				t.Error(err)
			}
			return resp, err
		}
		if r, err := one.record(t.Context(), b.order()); err != nil || !r.Resumable() {
			t.Errorf("got %+v, %v, want no outcome", r, err)
		}
		if s := b.submissions(1); len(s) != 1 || s[0].TaskID != "task of two" || s[0].Status != "FAILED" {
			t.Errorf("got the submissions %+v, want what two has recorded", s)
		}
	})
}
