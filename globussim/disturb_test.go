package globussim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestTasksMisbehaveOnOrder(t *testing.T) {
	slow := func(cfg *globussim.Config) { cfg.Rate = 10 }
	files := map[string]string{"a": strings.Repeat("a", 10), "b": strings.Repeat("b", 10), "c": strings.Repeat("c", 10)}
	tests := map[string]struct {
		order  globussim.Disturbance
		want   doc // half a minute later
		fatal  string
		events []string
	}{
		"failure": {
			globussim.Disturbance{Action: globussim.FailTask, Code: "GRIDFTP_ERROR"},
			doc{"status": "FAILED", "files_transferred": 0, "faults": 1},
			"GRIDFTP_ERROR",
			[]string{"GRIDFTP_ERROR", "STARTED"},
		},
		"failure after two files": {
			globussim.Disturbance{Action: globussim.FailTask, AfterFiles: 2},
			doc{"status": "FAILED", "files_transferred": 2, "bytes_transferred": 20, "subtasks_failed": 1},
			"ENDPOINT_ERROR",
			[]string{"ENDPOINT_ERROR", "STARTED"},
		},
		"stall after a file": {
			globussim.Disturbance{Action: globussim.StallTask, AfterFiles: 1},
			doc{"status": "ACTIVE", "is_ok": true, "nice_status": "OK", "faults": 0, "files_transferred": 1, "bytes_transferred": 10},
			"",
			[]string{"STARTED"},
		},
		"suspension": {
			globussim.Disturbance{Action: globussim.SuspendTask},
			doc{"status": "INACTIVE", "is_ok": false, "nice_status": "CREDENTIALS_EXPIRED", "files_transferred": 0, "completion_time": nil},
			"",
			[]string{"CREDENTIALS_EXPIRED", "STARTED"},
		},
		"pause": {
			globussim.Disturbance{Action: globussim.PauseTask, Message: "maintenance"},
			doc{"status": "ACTIVE", "is_paused": true, "files_transferred": 0},
			"",
			[]string{"PAUSED", "STARTED"},
		},
		"slowness": {
			globussim.Disturbance{Action: globussim.SlowTask, Rate: 1},
			doc{"status": "ACTIVE", "is_ok": true, "files_transferred": 2},
			"",
			[]string{"STARTED"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab+"/in", files)
				tt.order.Label = "bad-*"
				if err := l.Disturb(tt.order); err != nil {
					t.Fatal(err)
				}
				good := l.submit(l.transfer("/in/", "/good/", doc{"label": "good"}))
				bad := l.submit(l.transfer("/in/", "/bad/", doc{"label": "bad-1"}))
				next := l.submit(l.transfer("/in/", "/next/", doc{"label": "bad-2"}))
				time.Sleep(29 * time.Second)
				task := l.task(bad)
				task.want(t, tt.want)
				if task.fatal() != tt.fatal {
					t.Errorf("the fatal error is %q, want %q", task.fatal(), tt.fatal)
				}
				if diff := cmp.Diff(tt.events, l.events(bad)); diff != "" {
					t.Errorf("events differ (-want +got):\n%s", diff)
				}
				l.task(good).want(t, doc{"status": "SUCCEEDED"})
				l.task(next).want(t, doc{"status": "SUCCEEDED"}) // the order was for one
				if tt.fatal != "" {
					return
				}
				if err := l.Disturb(globussim.Disturbance{Action: globussim.ReleaseTask, Task: bad}); err != nil {
					t.Fatal(err)
				}
				l.wait(bad).want(t, doc{"status": "SUCCEEDED", "files_transferred": 3})
				if diff := cmp.Diff(files, tree(t, l.vault+"/bad")); diff != "" {
					t.Errorf("the copy differs (-want +got):\n%s", diff)
				}
			}, slow)
		})
	}
}

func TestATaskThatIsHeldCanBeCanceled(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		if err := l.Disturb(globussim.Disturbance{Action: globussim.StallTask}); err != nil {
			t.Fatal(err)
		}
		id := l.submit(l.transfer("/missing", "/x"))
		l.call(http.MethodPost, "/task/"+id+"/cancel", nil).want(t, doc{"code": "Canceled"})
		l.task(id).want(t, doc{"status": "FAILED"})
	})
}

func TestAPauseRuleHoldsTasksAndOperations(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		rule := globussim.PauseRule{Collection: l.labID, Message: "moving house", Read: true, Ls: true, Mkdir: true}
		ruleID, err := l.Pause(rule)
		if err != nil {
			t.Fatal(err)
		}
		reads := l.submit(l.transfer("/f", "/f", doc{"source_endpoint": l.labID}))
		writes := l.submit(l.transfer("/f", "/f", doc{"source_endpoint": l.vaultID, "destination_endpoint": l.labID, "skip_source_errors": true}))
		deletes := l.submit(l.deletion("/f", doc{"ignore_missing": true}))
		l.task(reads).want(t, doc{"status": "ACTIVE", "is_paused": true, "is_ok": true, "deadline": "2000-03-31T00:00:00+00:00"})
		l.task(writes).want(t, doc{"status": "SUCCEEDED", "is_paused": false})
		l.task(deletes).want(t, doc{"status": "SUCCEEDED"})

		info := l.call(http.MethodGet, "/task/"+reads+"/pause_info", nil)
		info.want(t, doc{"DATA_TYPE": "pause_info_limited", "source_pause_message": nil, "destination_pause_message": nil})
		effective := l.call(http.MethodGet, "/endpoint/"+l.labID+"/my_effective_pause_rule_list", nil)
		for _, row := range []any{info.doc["pause_rules"].([]any)[0], effective.doc["DATA"].([]any)[0]} {
			answer{doc: row.(map[string]any)}.want(t, doc{
				"DATA_TYPE": "pause_rule_limited", "id": ruleID, "endpoint_id": l.labID, "endpoint_display_name": "lab", "identity_id": nil,
				"message": "moving house", "start_time": "2000-01-01T00:00:00+00:00", "pause_ls": true, "pause_mkdir": true, "pause_symlink": false,
				"pause_rename": false, "pause_task_delete": false, "pause_task_transfer_read": true, "pause_task_transfer_write": false,
			})
		}
		operation := "/operation/endpoint/" + l.labID
		for _, a := range []answer{l.ls(), l.call(http.MethodPost, operation+"/mkdir", doc{"path": "/x"})} {
			if a.status != http.StatusConflict || a.text("code") != "OperationPaused" {
				t.Errorf("the operation answers %d %s", a.status, a.body)
			}
		}
		if a := l.call(http.MethodGet, operation+"/stat?path=/", nil); a.status != http.StatusOK {
			t.Errorf("stat is paused: %d %s", a.status, a.body)
		}

		plant(t, l.lab, map[string]string{"f": "2"}) // the delete took the first
		if !l.Resume(l.labID) || l.Resume(l.labID) {
			t.Error("there is no rule to take back, or it is there again")
		}
		l.wait(reads).want(t, doc{"status": "SUCCEEDED", "is_paused": false})
		if diff := cmp.Diff([]string{"SUCCEEDED", "PROGRESS", "UNPAUSED", "STARTED", "PAUSED"}, l.events(reads)); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
	})
}

func TestDisturbancesAreOrderedOverTheControlPath(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		control := func(method, path, body string) answer {
			return ask(t, l.Client(), method, transferBase+"/_sim/"+path, "", "application/json", body)
		}
		if a := control("POST", "tasks", `{"action": "fail", "label": "bad", "code": "X", "after_files": 0}`); a.status != http.StatusOK {
			t.Fatalf("the order gets %d %s", a.status, a.body)
		}
		task := l.do(l.transfer("/missing", "/x", doc{"label": "bad"}))
		if task.fatal() != "X" {
			t.Errorf("the task is %s, want the fatal error X", task.body)
		}
		rule := control("POST", "pauses", `{"endpoint_id": "`+l.labID+`", "message": "stop"}`)
		held := l.submit(l.transfer("/missing", "/x"))
		l.task(held).want(t, doc{"is_paused": true})
		control("DELETE", "pauses/"+rule.text("id"), "")
		l.task(held).want(t, doc{"is_paused": false})

		for name, a := range map[string]answer{
			"unknown action":     control("POST", "tasks", `{"action": "explode"}`),
			"unknown task":       control("POST", "tasks", `{"action": "stall", "task_id": "x"}`),
			"no action":          control("POST", "tasks", `{}`),
			"unknown collection": control("POST", "pauses", `{"endpoint_id": "x"}`),
			"unknown rule":       control("DELETE", "pauses/x", ""),
		} {
			if a.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s, want 400", name, a.status, a.body)
			}
		}
	})
}
