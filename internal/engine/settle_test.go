package engine_test

import (
	"errors"
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

// reacting gives a job reactions.
func reacting(on jobs.Reactions) func(*jobs.Job) { return func(j *jobs.Job) { j.On = on } }

// skipping is a job of which one file is missing, and may be.
func skipping(allowed bool) func(*jobs.Job) {
	return func(j *jobs.Job) {
		doc := copyOf("/data/", "/copy/")
		doc.Items = append(doc.Items, transfer.Item{SourcePath: "/missing.txt", DestinationPath: "/missing.txt"})
		doc.SkipSourceErrors = true
		j.Steps, j.AllowSkipped = jobs.Single(doc), allowed
	}
}

func TestResultSaysHowTheTaskEnded(t *testing.T) {
	tests := map[string]struct {
		job     func(*jobs.Job)
		disturb globussim.Disturbance
		act     func(b *bench) // after an hour
		state   ledger.State
		kind    fault.Kind // empty: no error
		code    string
		says    []string
		config  func(*globussim.Config)
	}{
		"succeeded": {state: ledger.Succeeded},
		"skipped source errors": {
			job: skipping(false), state: ledger.Succeeded, kind: fault.SkippedErrors, code: "FILE_NOT_FOUND",
			says: []string{"1 path was skipped", "/missing.txt", "runner task skipped"},
		},
		"skipped source errors that are allowed": {job: skipping(true), state: ledger.Succeeded},
		"failed": {
			disturb: globussim.Disturbance{Action: globussim.FailTask, Code: "ENDPOINT_ERROR", Message: "the tape\nrobot is stuck\\r\\n550 End."},
			state:   ledger.Failed, kind: fault.Failed, code: "ENDPOINT_ERROR",
			says: []string{"failed", "ENDPOINT_ERROR: the tape robot is stuck 550 End."},
		},
		"canceled by somebody else": {
			disturb: globussim.Disturbance{Action: globussim.StallTask},
			act: func(b *bench) {
				if _, err := b.client().CancelTask(b.t.Context(), b.State().Tasks[0].TaskID); err != nil {
					b.t.Error(err)
				}
			},
			state: ledger.Failed, kind: fault.Canceled, code: "CANCELED", says: []string{"canceled by another command or person"},
		},
		"not done by its deadline": {
			job:     func(j *jobs.Job) { j.ActiveDeadline = 2 * time.Hour },
			disturb: globussim.Disturbance{Action: globussim.StallTask},
			state:   ledger.TimedOut, kind: fault.TimedOut, code: "EXPIRED", says: []string{"deadline"},
		},
		"missing source": {
			job: paths("/missing.txt", "/missing.txt"), state: ledger.Failed, kind: fault.Refused, code: "FILE_NOT_FOUND",
			says: []string{"FILE_NOT_FOUND", "/missing.txt", " on lab: file not found", "check that the path exists"},
		},
		"no permission": {
			state: ledger.Failed, kind: fault.Refused, code: "PERMISSION_DENIED",
			says: []string{"PERMISSION_DENIED", "/copy", "ask the collection's owner"},
			config: func(cfg *globussim.Config) {
				cfg.Collections[1].Access = []globussim.AccessRule{{Principal: clientID, Permissions: "r"}}
			},
		},
		"quota": {
			state: ledger.Failed, kind: fault.Refused, code: "QUOTA_EXCEEDED",
			says:   []string{"QUOTA_EXCEEDED", "free space on the destination"},
			config: func(cfg *globussim.Config) { cfg.Collections[1].Quota = 5 },
		},
		"stalled": {
			job:     reacting(jobs.Reactions{Stalled: jobs.Cancel}),
			disturb: globussim.Disturbance{Action: globussim.StallTask},
			state:   ledger.TimedOut, kind: fault.TimedOut, code: "STALLED",
			says: []string{"canceled because it stalled", "no progress since 2000-01-01T00:00:"},
		},
		"stalled by an error": {
			job:     func(j *jobs.Job) { j.On.Stalled, j.StalledAfter = jobs.Cancel, 3*time.Hour },
			disturb: globussim.Disturbance{Action: globussim.StallTask},
			act: func(b *bench) {
				offline := func(c *globussim.Condition) { c.Offline = true }
				if err := b.ChangeCollection(globussim.CollectionID("vault"), offline); err != nil {
					b.t.Error(err)
				}
				b.disturb(globussim.Disturbance{Action: globussim.ReleaseTask})
			},
			state: ledger.TimedOut, kind: fault.TimedOut, code: "GC_NOT_CONNECTED",
			says: []string{"canceled because it stalled", "no progress since 2000-01-01T", "GC_NOT_CONNECTED: ", "start Globus Connect Personal"},
		},
		"a file onto a folder": {
			job:   paths("/data/a.txt", "/copy/"),
			state: ledger.Failed, kind: fault.Refused, code: "IS_A_DIRECTORY",
			says: []string{"could not succeed", "IS_A_DIRECTORY: ", "/copy", "with its file name"},
		},
		"a folder into a file": {
			job: func(j *jobs.Job) {
				doc := copyOf("/data/", "/f.txt/in/")
				doc.Items = append([]transfer.Item{{SourcePath: "/data/a.txt", DestinationPath: "/f.txt"}}, doc.Items...)
				j.Steps = jobs.Single(doc)
			},
			state: ledger.Failed, kind: fault.Refused, code: "NOT_A_DIRECTORY",
			says: []string{"could not succeed", "NOT_A_DIRECTORY: ", "a file is where a folder was expected"},
		},
		"the checksum of another file": {
			job: func(j *jobs.Job) {
				paths("/data/a.txt", "/a.txt")(j)
				j.Steps[0].Transfer.Items[0].ExternalChecksum = "d41d8cd98f00b204e9800998ecf8427f"
			},
			state: ledger.Failed, kind: fault.Refused, code: "EXTERNAL_CHECKSUM_MISMATCH",
			says: []string{"failed: ", "/data/a.txt", "whether the file or the checksum in the batch is wrong"},
		},
		"quota, and the task is to fail": {
			job: func(j *jobs.Job) {
				paths("/data/", "/copy/")(j)
				j.Steps[0].Transfer.FailOnQuotaErrors = true
			},
			state: ledger.Failed, kind: fault.Refused, code: "QUOTA_EXCEEDED",
			says:   []string{"failed: ", "QUOTA_EXCEEDED", "free space on the destination"},
			config: func(cfg *globussim.Config) { cfg.Collections[1].Quota = 5 },
		},
		"failed for lack of permission": {
			disturb: globussim.Disturbance{Action: globussim.FailTask, Code: "PERMISSION_DENIED"},
			state:   ledger.Failed, kind: fault.Refused, code: "PERMISSION_DENIED",
			says: []string{"failed: ", "ask the collection's owner for access"},
		},
		"failed because of the server's certificate": {
			disturb: globussim.Disturbance{Action: globussim.FailTask, Code: "INVALID_SERVICE_CREDENTIAL"},
			state:   ledger.Failed, kind: fault.Refused, code: "INVALID_SERVICE_CREDENTIAL",
			says: []string{"failed: ", "tell the collection's owner"},
		},
		"a delete of what is not there": {
			job: func(j *jobs.Job) {
				j.Steps = []jobs.Step{{Delete: &transfer.Delete{
					Endpoint: globussim.CollectionID("vault"), Items: []transfer.DeleteItem{{Path: "/missing"}},
				}}}
			},
			state: ledger.Failed, kind: fault.Refused, code: "FILE_NOT_FOUND",
			says: []string{"failed: ", "/missing", "check that the path exists"},
		},
		"paused": {
			job:     reacting(jobs.Reactions{NeedsHuman: jobs.Cancel}),
			disturb: globussim.Disturbance{Action: globussim.PauseTask, Message: "new disks\nuntil noon"},
			state:   ledger.Failed, kind: fault.NeedsHuman, code: "PAUSED",
			says: []string{"only a person", "new disks until noon"},
		},
		"suspended": {
			job:     reacting(jobs.Reactions{NeedsHuman: jobs.Cancel}),
			disturb: globussim.Disturbance{Action: globussim.SuspendTask},
			state:   ledger.Failed, kind: fault.NeedsHuman, code: "INACTIVE",
			says: []string{"only a person", "suspended by Globus", "; renew the credentials or the consent"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			edits := []func(*globussim.Config){}
			if tt.config != nil {
				edits = append(edits, tt.config)
			}
			onBench(t, func(t *testing.T, b *bench) {
				if tt.disturb.Action != "" {
					b.disturb(tt.disturb)
				}
				if tt.act != nil {
					b.after(time.Hour, func() { tt.act(b) })
				}
				job := tt.job
				if job == nil {
					job = func(*jobs.Job) {}
				}
				r := b.run(t.Context(), b.order(job))
				if r.State != tt.state || len(r.Tasks) != 1 || !r.Tasks[0].Last.Status.Final() {
					t.Errorf("got %+v, want state %s and one task that has ended", r, tt.state)
				}
				if tt.kind == "" {
					if r.Err != nil {
						t.Errorf("got the error %v, want none", r.Err)
					}
					return
				}
				f := failure(t, r, tt.kind)
				if f.Code != tt.code || f.TaskID != b.State().Tasks[0].TaskID {
					t.Errorf("got %+v, want code %s and the task's id", f, tt.code)
				}
				contains(t, f.Error(), tt.says...)
				if strings.Contains(f.Error(), "goes on by itself") {
					t.Errorf("the task has ended, but the message says %q", f.Error())
				}
				if strings.ContainsAny(f.Error(), "\r\n") {
					t.Errorf("the message has several lines: %q", f.Error())
				}
			}, edits...)
		})
	}
}

func TestFailedTaskMeansWhatItsLastErrorDoes(t *testing.T) {
	tests := map[string]struct {
		fatal, last string // codes
		kind        fault.Kind
		code        string
	}{
		"a cause that Globus named":       {"QUOTA_EXCEEDED", "CONNECTION_RESET", fault.Refused, "QUOTA_EXCEEDED"},
		"a catch-all after a lasting one": {"ENDPOINT_ERROR", "PERMISSION_DENIED", fault.Refused, "PERMISSION_DENIED"},
		"none named":                      {"", "NO_SPACE_LEFT", fault.Refused, "NO_SPACE_LEFT"},
		"one that may pass":               {"ENDPOINT_ERROR", "CONNECTION_RESET", fault.Failed, "ENDPOINT_ERROR"},
		"none known":                      {"", "", fault.Failed, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.stall()
				id := b.start(b.order())
				doc, events := `{"DATA_TYPE": "task", "status": "FAILED", "task_id": "`+id+`"`, ""
				if tt.fatal != "" {
					doc += `, "fatal_error": {"code": "` + tt.fatal + `", "description": "d"}`
				}
				if tt.last != "" {
					events = `{"DATA_TYPE": "event", "code": "` + tt.last + `", "is_error": true, "details": "x"}`
				}
				b.Fail(
					globussim.Fault{Method: "GET", Path: taskPath, Body: doc + "}"},
					globussim.Fault{Method: "GET", Path: taskPath + "/event_list", Body: `{"DATA_TYPE": "event_list", "total": 1, "DATA": [` + events + `]}`},
				)
				if f := failure(t, b.run(t.Context(), b.order()), tt.kind); f.Code != tt.code {
					t.Errorf("got code %q in %q, want %q", f.Code, f, tt.code)
				}
			})
		})
	}
}

func TestTaskSubmittedElsewhereIsFollowed(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		id := b.start(b.order())
		b.releaseAfter(time.Hour)
		job := &jobs.Job{Name: "task"}
		if err := job.Check(); err != nil {
			t.Fatal(err)
		}
		r := b.engine().Wait(t.Context(), id, engine.Order{Job: job})
		if r.State != ledger.Succeeded || r.Err != nil || len(r.Tasks) != 1 || r.Tasks[0].TaskID != id {
			t.Errorf("got %+v, want success of task %s", r, id)
		}

		r = b.engine().Wait(t.Context(), "00000000-0000-4000-8000-000000000000", engine.Order{Job: job})
		if e, ok := errors.AsType[*transfer.Error](r.Err); !ok || !e.NotFound() {
			t.Errorf("got %+v, want a *transfer.Error that is NotFound", r)
		}
	})
}

func TestTaskCanceledByAManagerSaysSo(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.stall()
		id := b.start(b.order())
		b.Fail(globussim.Fault{Method: "GET", Path: taskPath, Body: `{"DATA_TYPE": "task", "status": "FAILED", "task_id": "` + id +
			`", "canceled_by_admin": "SOURCE", "canceled_by_admin_message": "make\nroom"}`})
		f := failure(t, b.run(t.Context(), b.order()), fault.Canceled)
		contains(t, f.Message, "manager of a collection: make room")
	})
}

func TestFailureIsToldInDecentLengthAndWithoutItsEvents(t *testing.T) {
	for name, lost := range map[string]bool{"events": false, "no events": true} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.disturb(globussim.Disturbance{Action: globussim.FailTask, Message: strings.Repeat("word ", 1000)})
				if lost {
					b.Fail(globussim.Fault{Path: taskPath + "/event_list", Drop: globussim.DropBefore, Times: -1})
				}
				f := failure(t, b.run(t.Context(), b.order()), fault.Failed)
				if said := strings.Contains(f.Message, "word word"); said == lost || len(f.Message) > 500 {
					t.Errorf("got %q, want at most 500 bytes", f.Message)
				}
			})
		})
	}
}
