package engine_test

import (
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

// A submission id that was used for something else must not succeed by what that has done.
func TestSubmissionIDOfAnotherDocumentIsRefused(t *testing.T) {
	swapped := copyOf("/data/", "/copy/")
	swapped.SourceEndpoint, swapped.DestinationEndpoint = swapped.DestinationEndpoint, swapped.SourceEndpoint
	tests := map[string]struct {
		doc   transfer.Document // the first one is copyOf("/data/", "/copy/")
		label string            // the first one has none of its own
		want  string            // empty if it is the same
	}{
		"the same":               {doc: copyOf("/data/", "/copy/")},
		"written otherwise":      {doc: copyOf("/data", "/copy")},
		"another source":         {doc: copyOf("/other/", "/copy/"), want: "has copied other files, such as /data/"},
		"another destination":    {doc: copyOf("/data/", "/other/"), want: "has copied other files, such as /data/"},
		"another label":          {doc: copyOf("/data/", "/copy/"), label: "mine", want: `has the label "nightly manual:1" and not "mine"`},
		"the other way round":    {doc: swapped, want: "is about other collections"},
		"a delete of the copy":   {doc: &transfer.Delete{Endpoint: swapped.SourceEndpoint, Items: []transfer.DeleteItem{{Path: "/copy/a.txt"}}}, want: "is a transfer"},
		"a delete of the origin": {doc: &transfer.Delete{Endpoint: swapped.DestinationEndpoint, Items: []transfer.DeleteItem{{Path: "/data/a.txt"}}}, want: "is a transfer"},
	}
	for name, tt := range tests {
		for _, during := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", while it is at work"}[during], func(t *testing.T) {
				onBench(t, func(t *testing.T, b *bench) {
					b.answerDuplicate()
					b.plant("data/a.txt", "x")
					b.plant("other/b.txt", "x")
					start := func(doc transfer.Document, label string, noWait bool) *engine.Result {
						o := b.order(func(j *jobs.Job) { j.Steps, j.Literal = jobs.Single(doc), true })
						o.Key, o.Fresh, o.Label, o.NoWait = "manual:1", true, label, noWait
						o.SubmissionID = "7d1f6d2a-0000-4000-8000-00000000000a"
						return b.run(t.Context(), o)
					}
					if during {
						b.disturb(globussim.Disturbance{Action: globussim.SlowTask, Rate: 1})
					}
					if r := start(copyOf("/data/", "/copy/"), "", during); r.Err != nil || r.Adopted {
						t.Fatalf("the first: %+v", r)
					}
					time.Sleep(time.Second)
					r := start(tt.doc, tt.label, false)
					if tt.want == "" {
						if r.Err != nil || r.State != ledger.Succeeded || !r.Adopted {
							t.Errorf("got %+v, want success by the same task", r)
						}
						return
					}
					f := failure(t, r, fault.Usage)
					if r.State != ledger.Failed || !strings.Contains(f.Message, tt.want) || !strings.Contains(f.Message, "7d1f6d2a") {
						t.Errorf("got state %s and %q, want %q", r.State, f.Message, tt.want)
					}
					if tasks := len(b.State().Tasks); tasks != 1 {
						t.Errorf("there are %d tasks", tasks)
					}
				})
			})
		}
	}
}

// If the task of a submission id has ended, its paths are compared even by a start that
// would not wait for its end.
func TestSubmissionIDOfOtherPathsIsRefusedWithoutWaiting(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answerDuplicate()
		b.plant("data/a.txt", "x")
		o := b.order(func(j *jobs.Job) { j.Steps, j.Literal = jobs.Single(copyOf("/data/", "/copy/")), true })
		o.Key, o.Fresh, o.SubmissionID = "manual:1", true, "7d1f6d2a-0000-4000-8000-00000000000a"
		if r := b.run(t.Context(), o); r.Err != nil {
			t.Fatalf("the first: %+v", r)
		}
		o.Job.Steps, o.NoWait = jobs.Single(copyOf("/other/", "/copy/")), true
		contains(t, failure(t, b.run(t.Context(), o), fault.Usage).Message, "has copied other files")
	})
}

func TestSubmissionIDOfADeleteIsNotOfATransfer(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answerDuplicate()
		b.plant("data/a.txt", "x")
		o := b.order()
		o.Key, o.Fresh, o.SubmissionID = "manual:1", true, "7d1f6d2a-0000-4000-8000-00000000000a"
		copies := o.Job.Steps
		o.Job.Steps = jobs.Single(&transfer.Delete{Endpoint: globussim.CollectionID("lab"), Items: []transfer.DeleteItem{{Path: "/data/a.txt"}}})
		if r := b.run(t.Context(), o); r.Err != nil {
			t.Fatalf("the first: %+v", r)
		}
		if r := b.run(t.Context(), o); r.Err != nil || !r.Adopted {
			t.Errorf("the same again: %+v", r)
		}
		o.Job.Steps = copies
		contains(t, failure(t, b.run(t.Context(), o), fault.Usage).Message, "which is a delete;")
	})
}

// answerDuplicate has another document under an id that was used answered as a duplicate.
func (b *bench) answerDuplicate() {
	if err := b.Answer(globussim.Answers{}); err != nil {
		b.t.Fatal(err)
	}
}

// Right after a submission, not all servers of Globus know its task.
func TestTaskOfASubmissionIDMayNotBeKnownYet(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answerDuplicate()
		o := b.order()
		o.Key, o.Fresh, o.SubmissionID = "manual:1", true, "7d1f6d2a-0000-4000-8000-00000000000a"
		if r := b.run(t.Context(), o); r.State != ledger.Succeeded {
			t.Fatalf("got %+v, want success", r)
		}
		b.Fail(globussim.Fault{Method: "GET", Path: "/v0.10/task/*", Status: 404, Code: "ClientError.NotFound"})
		if r := b.run(t.Context(), o); r.State != ledger.Succeeded {
			t.Errorf("got %+v, want success by the same task", r)
		}
		if tasks := len(b.State().Tasks); tasks != 1 {
			t.Errorf("there are %d tasks", tasks)
		}
	})
}
