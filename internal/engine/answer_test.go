package engine_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/test/long"
	"github.com/globus-runner/globus-runner/transfer"
)

// Nobody has confirmed what Globus answers to a cancel, and how a canceled task looks.
func TestACanceledTaskIsUnderstoodWhateverGlobusAnswers(t *testing.T) {
	const nightly = "nightly 2026-11-21T02:00:00Z"
	answers := map[string]globussim.Answers{
		"at once":                        {},
		"later":                          {CancelLater: true},
		"at once, without a fatal error": {NoFatalError: true},
		"later, without a fatal error":   {CancelLater: true, NoFatalError: true},
	}
	tests := map[string]func(t *testing.T, b *bench){
		"by somebody": func(t *testing.T, b *bench) {
			b.stall()
			b.after(time.Hour, func() {
				if _, err := b.client().CancelTask(t.Context(), b.State().Tasks[0].TaskID); err != nil {
					t.Error(err)
				}
			})
			r := b.run(t.Context(), b.order())
			contains(t, failure(t, r, fault.Canceled).Message, "was canceled by another command or person")
			b.wantTasks("FAILED " + nightly)
		},
		"by policy": func(t *testing.T, b *bench) {
			b.stall()
			r := b.run(t.Context(), b.order(reacting(jobs.Reactions{Stalled: jobs.Cancel})))
			contains(t, failure(t, r, fault.TimedOut).Message, "was canceled because it stalled")
			b.wantTasks("FAILED " + nightly)
		},
		"by a signal": func(t *testing.T, b *bench) {
			b.stall()
			o := b.order()
			o.CancelOnInterrupt = true
			r := b.run(b.signaled(time.Hour), o)
			contains(t, failure(t, r, fault.Interrupted).Message, "was canceled")
			time.Sleep(time.Minute)
			b.wantTasks("FAILED " + nightly)
		},
		"to be replaced": func(t *testing.T, b *bench) {
			b.start(b.another())
			if r := b.run(t.Context(), b.order(with(jobs.Replace))); r.State != ledger.Succeeded || r.Err != nil {
				t.Errorf("got %+v, want success", r)
			}
			b.wantTasks("FAILED nightly 2026-11-20T02:00:00Z", "SUCCEEDED "+nightly)
		},
	}
	for how, answer := range answers {
		for name, test := range tests {
			t.Run(name+", "+how, func(t *testing.T) {
				onBench(t, test, func(c *globussim.Config) { c.Answers = answer })
			})
		}
	}
}

// otherAnswers has for each answer that can be chosen one or two other ones.
var otherAnswers = map[string][]string{
	"accepted": {"200"}, "made": {"200"}, "paused": {"403"}, "throttled": {"503"}, "listed": {"400"},
	"past_deadline": {"true"}, "refuse_other_document": {"true", "false"}, "lower_levels": {"true"}, "cancel_later": {"true"},
	"no_fatal_error": {"true"}, "refuse_deletes": {"true"}, "page_length": {"1"}, "rename_replaces": {"true"},
	"auth_errors": {`"oauth"`, `"list"`}, "cut_access": {"true"}, "keep_end": {"true"}, "rules_full": {`"Exists"`, `"Full"`},
	"runs_listed": {"25"}, "end_canceled_runs": {"true"}, "refuse_policies": {"true"}, "policy_code": {`"Policy"`},
}

// TestAJobIsDoneWhateverGlobusAnswers makes a folder, copies, prunes, removes what it
// has emptied, shares and starts a flow, with each answer that nobody has confirmed.
func TestAJobIsDoneWhateverGlobusAnswers(t *testing.T) {
	orders := []string{"", "", "{}"} // the first answers, the last ones, the defaults
	for field := range reflect.TypeFor[globussim.Answers]().Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		values := otherAnswers[key]
		if len(values) == 0 {
			t.Fatalf("no other answer than the default is tried for %q", key)
		}
		for i, value := range []string{values[0], values[len(values)-1]} {
			orders[i] += fmt.Sprintf(",%q:%s", key, value)
		}
		if long.Wanted() { // each alone
			for _, value := range values {
				orders = append(orders, fmt.Sprintf("{%q:%s}", key, value))
			}
		}
	}
	for i := range 2 {
		orders[i] = "{" + orders[i][1:] + "}"
	}
	for _, order := range orders {
		t.Run(order, func(t *testing.T) {
			onBench(t, doesAll, sharing, func(c *globussim.Config) {
				c.RequestRate = 1
				c.Answers = globussim.Answers{}
				if err := json.Unmarshal([]byte(order), &c.Answers); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// doesAll does a job that has each kind of step that changes something.
func doesAll(t *testing.T, b *bench) {
	b.sow("data/a.txt", "data/sub/b")
	b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Drop: globussim.DropAfter})
	b.Fail(globussim.Fault{Method: "POST", Path: startPath, Drop: globussim.DropAfter})
	p := b.process("one")
	r := p.wantRun(b.order(removes, func(j *jobs.Job) {
		made := jobs.Step{Mkdir: &jobs.Mkdir{Collection: globussim.CollectionID("vault"), Path: "/made/"}}
		var shares, starts jobs.Job
		handOut()(&shares)
		flowJob(&starts)
		starts.Steps[0].Flow.Body["source"] = map[string]any{"id": globussim.CollectionID("vault"), "path": "/copy/a.txt"}
		j.Steps = slices.Concat([]jobs.Step{made}, j.Steps, shares.Steps[1:], starts.Steps)
	}), ledger.Succeeded)
	b.wantLeft()
	if d := cmp.Diff([]string{"data"}, b.folders()); d != "" {
		t.Errorf("folders (-want +got):\n%s", d)
	}
	contains(t, p.pruned(r.Run), "2 files deleted, 1 empty folder removed")
	if info, err := os.Stat(filepath.Join(b.vault, "made")); err != nil || !info.IsDir() {
		t.Errorf("the folder was not made: %v", err)
	}
	b.wantRules("identity alice /inbox/ r 2027-02-19T02:00:00Z")
	if n := b.requests("POST " + transferPath); n != 2 {
		t.Errorf("the transfer was sent %d times, want 2", n)
	}
	if n := b.requests("POST /flows/{flow}/run"); n != 1 {
		t.Errorf("the flow was started %d times, want once", n)
	}
}

// A pause rule also stops steps that have no task, such as mkdir, and the run says why.
func TestAPausedFolderIsToldWhateverGlobusAnswers(t *testing.T) {
	for _, status := range []int{http.StatusConflict, http.StatusForbidden} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				if _, err := b.Pause(globussim.PauseRule{Collection: globussim.CollectionID("vault"), Mkdir: true, Message: "moving house"}); err != nil {
					t.Fatal(err)
				}
				r := b.run(t.Context(), b.order(func(j *jobs.Job) {
					j.Steps = []jobs.Step{{Mkdir: &jobs.Mkdir{Collection: globussim.CollectionID("vault"), Path: "/made/"}}}
				}))
				contains(t, r.Err.Error(), "make the folder /made/", "moving house")
				contains(t, fault.Next(r.Err, fault.Identity{Name: "robot"}), "ask the collection's manager when the pause ends")
			}, func(c *globussim.Config) { c.Answers.Paused = status })
		})
	}
}

// A document that has waited for a place until its own deadline is refused, or its task
// ends at once.
func TestADeadlineThatPassesBeforeTheTaskIsToldWhateverGlobusAnswers(t *testing.T) {
	for name, accepted := range map[string]bool{"refused": false, "expires": true} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.Fail(globussim.Fault{Method: "POST", Path: transferPath, Status: 409, Code: "ClientError.Conflict.TooManyPendingJobs", Times: 30})
				o := b.order(func(j *jobs.Job) {
					j.Steps[0].Transfer.Deadline = transfer.Time{Time: time.Now().Add(10 * time.Minute)}
				})
				r := b.run(t.Context(), o)
				if r.Err == nil || r.State == ledger.Succeeded {
					t.Fatalf("got %+v, want an error", r)
				}
				contains(t, r.Err.Error(), "deadline")
			}, func(c *globussim.Config) { c.Answers.PastDeadline = accepted })
		})
	}
}
