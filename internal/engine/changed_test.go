package engine_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// copies is a step that copies a folder of the lab to one of the same name.
func copies(folder string) jobs.Step { return jobs.Step{Transfer: copyOf(folder, folder)} }

func deletes(folder string) jobs.Step {
	doc := &transfer.Delete{Endpoint: globussim.CollectionID("lab"), Recursive: true, IgnoreMissing: true, Items: []transfer.DeleteItem{{Path: folder}}}
	return jobs.Step{Delete: doc, Unproven: true}
}

// What a run has done under the number of a step must not stand for another step, which the
// jobs file has there since.
func TestARunDoesNotGoOnWithTheStepsOfAnotherJobsFile(t *testing.T) {
	without := func(s jobs.Step) jobs.Step {
		s.Transfer.FilterRules = []transfer.FilterRule{{Method: "exclude", Name: "*.tmp"}}
		return s
	}
	mirror := copyOf("/a/", "/a/")
	mirror.DeleteDestinationExtra = true
	mkdir := jobs.Step{Mkdir: &jobs.Mkdir{Collection: globussim.CollectionID("vault"), Path: "/made/"}}
	tests := map[string]struct {
		was, is []jobs.Step
		state   ledger.State // after a SIGKILL while the first step is at work
		retried ledger.State // after the second step has failed, and an operator's retry
		tasks   int          // in both cases, without those that have failed
	}{
		"the same steps":          {[]jobs.Step{copies("/a/"), copies("/b/")}, []jobs.Step{copies("/a/"), copies("/b/")}, ledger.Succeeded, ledger.Succeeded, 2},
		"another second step":     {[]jobs.Step{copies("/a/"), copies("/b/")}, []jobs.Step{copies("/a/"), copies("/c/")}, ledger.Succeeded, ledger.Succeeded, 2},
		"a third step":            {[]jobs.Step{copies("/a/"), copies("/b/")}, []jobs.Step{copies("/a/"), copies("/b/"), copies("/c/")}, ledger.Succeeded, ledger.Succeeded, 3},
		"another first step":      {[]jobs.Step{copies("/a/"), copies("/b/")}, []jobs.Step{copies("/c/"), deletes("/c/")}, ledger.Failed, ledger.Failed, 1},
		"a step before":           {[]jobs.Step{copies("/a/"), copies("/b/")}, []jobs.Step{copies("/c/"), copies("/a/"), deletes("/c/")}, ledger.Failed, ledger.Failed, 1},
		"another collection":      {[]jobs.Step{copies("/a/"), copies("/b/")}, []jobs.Step{{Transfer: toStore(copyOf("/a/", "/a/"))}, deletes("/a/")}, ledger.Failed, ledger.Failed, 1},
		"a rule less":             {[]jobs.Step{without(copies("/a/")), copies("/b/")}, []jobs.Step{copies("/a/"), deletes("/a/")}, ledger.Failed, ledger.Failed, 1},
		"a mirror in its place":   {[]jobs.Step{copies("/a/"), copies("/b/")}, []jobs.Step{{Transfer: mirror}, deletes("/a/")}, ledger.Failed, ledger.Failed, 1},
		"a folder made first":     {[]jobs.Step{copies("/a/"), copies("/b/")}, []jobs.Step{mkdir, deletes("/a/")}, ledger.Failed, ledger.Failed, 1},
		"a delete in its place":   {[]jobs.Step{copies("/a/"), copies("/b/")}, []jobs.Step{deletes("/a/"), copies("/b/")}, ledger.Failed, ledger.Failed, 1},
		"a step less":             {[]jobs.Step{copies("/a/"), copies("/b/")}, []jobs.Step{deletes("/b/")}, ledger.Failed, ledger.Failed, 1},
		"the day of a hand start": {[]jobs.Step{{Transfer: copyOf("/a/", "/a/{{ .Time | date }}/")}, copies("/b/")}, []jobs.Step{{Transfer: copyOf("/a/", "/a/{{ .Time | date }}/")}, copies("/b/")}, ledger.Succeeded, ledger.Succeeded, 2},
	}
	for name, tt := range tests {
		for _, retry := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, retried: %t", name, retry), func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					for _, file := range []string{"a/x", "a/x.tmp", "b/x", "c/x"} {
						b.plant(file, file)
					}
					order := func(steps []jobs.Step) engine.Order {
						o := b.order(func(j *jobs.Job) { j.Steps = steps })
						o.Key, o.At = "manual:1", time.Now()
						return o
					}
					p, want := b.process("one"), tt.state
					if retry {
						failSecond(b, p)
						want = tt.retried
					} else {
						dieAt(p, "GET", "/v0.10/task/")
					}
					_, _ = p.record(t.Context(), order(tt.was)) // it is killed, or fails
					p.kill()
					time.Sleep(30 * time.Hour)
					p = b.process("two")
					if retry {
						p.retry(1)
					}
					r, err := p.record(t.Context(), order(tt.is))
					if err != nil || r.State != want {
						t.Fatalf("got %+v, %v, want a run that is %s", r, err, want)
					}
					if want == ledger.Failed {
						f := failure(t, r, fault.Usage)
						contains(t, f.Message, "the jobs file has changed since run 1 began: the run has copied /a/ to /a/ in step 1,", "; let runner run nightly do all of them as they are now, or put the file back and let runner runs retry 1 go on")
					}
					done := 0
					for _, task := range b.State().Tasks {
						if task.Status == "SUCCEEDED" {
							done++
						}
					}
					if done != tt.tasks {
						t.Errorf("%d tasks have succeeded, want %d", done, tt.tasks)
					}
				})
			})
		}
	}
}

// A step that has left out files is done again by a retry, with the paths as they are now.
func TestAStepThatIsDoneAgainMayHaveChanged(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("a/x", "x")
		b.plant("b/x", "x")
		p := b.process("one")
		first := func(names ...string) []jobs.Step {
			s := copies("/a/")
			s.Transfer.Items, s.Transfer.SkipSourceErrors = nil, true
			for _, name := range names {
				s.Transfer.Items = append(s.Transfer.Items, transfer.Item{SourcePath: name, DestinationPath: name})
			}
			return []jobs.Step{s, copies("/b/")}
		}
		p.wantRun(b.order(func(j *jobs.Job) { j.Steps = first("/a/x", "/a/gone") }), ledger.Failed)
		p.retry(1)
		p.wantRun(b.order(func(j *jobs.Job) { j.Steps = first("/a/x") }), ledger.Succeeded)
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z s1", "SUCCEEDED nightly 2026-11-21T02:00:00Z s1 #2", "SUCCEEDED nightly 2026-11-21T02:00:00Z s2")
	})
}

// What is at work is followed to its end, whatever the file says by now. If nothing else is
// left, the run has done what it began.
func TestARunWhoseOnlyStepHasChangedIsFollowed(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.plant("a/x", "x")
		p := b.process("one")
		dieAt(p, "GET", "/v0.10/task/")
		_, _ = p.record(t.Context(), b.order(func(j *jobs.Job) { j.Steps = []jobs.Step{copies("/a/")} })) // it is killed
		time.Sleep(time.Hour)
		p = b.process("two")
		p.wantRun(b.order(func(j *jobs.Job) { j.Steps = []jobs.Step{copies("/c/")} }), ledger.Succeeded)
		b.wantTasks("SUCCEEDED nightly 2026-11-21T02:00:00Z")
	})
}

// toStore sends a document to another collection.
func toStore(doc *transfer.Transfer) *transfer.Transfer {
	doc.DestinationEndpoint = globussim.CollectionID("store")
	return doc
}

// dieAt lets a process die at a request whose path begins so.
func dieAt(p *process, method, path string) {
	p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		if r.Method != method || !strings.HasPrefix(r.URL.Path, path) {
			return nil, nil
		}
		p.die()
		return nil, errKilled
	}
}

// failSecond lets the second task that a process submits fail.
func failSecond(b *bench, p *process) {
	sent := 0
	p.answer = func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		if is(r, "POST", transferPath) {
			if sent++; sent == 2 {
				b.disturb(globussim.Disturbance{Action: globussim.FailTask})
			}
		}
		return nil, nil
	}
}
