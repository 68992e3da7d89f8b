package globussim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestNullsOfATaskDocumentFollowItsState(t *testing.T) {
	disturb := func(t *testing.T, l *lab, d globussim.Disturbance) {
		t.Helper()
		if err := l.Disturb(d); err != nil {
			t.Fatal(err)
		}
	}
	stalled := func(t *testing.T, l *lab, d doc) string {
		disturb(t, l, globussim.Disturbance{Action: globussim.StallTask})
		return l.submit(d)
	}
	tests := map[string]struct {
		make   func(t *testing.T, l *lab) string
		status string
		nice   string // of an unfinished task
		ok     bool   // likewise
		paused bool
		fatal  string
		events []string
	}{
		"queued": {
			make: func(t *testing.T, l *lab) string {
				stalled(t, l, l.transfer("/f", "/first"))
				return l.submit(l.transfer("/f", "/f"))
			},
			status: "ACTIVE", nice: "Queued", ok: true, events: []string{},
		},
		"queued, a delete": {
			make: func(t *testing.T, l *lab) string {
				stalled(t, l, l.deletion("/f"))
				return l.submit(l.deletion("/f"))
			},
			status: "ACTIVE", nice: "Queued", ok: true, events: []string{},
		},
		"running": {
			make:   func(t *testing.T, l *lab) string { return stalled(t, l, l.transfer("/f", "/f")) },
			status: "ACTIVE", nice: "OK", ok: true, events: []string{"STARTED"},
		},
		"running with a fault": {
			make:   func(_ *testing.T, l *lab) string { return l.submit(l.transfer("/missing", "/f")) },
			status: "ACTIVE", nice: "FILE_NOT_FOUND", events: []string{"FILE_NOT_FOUND", "STARTED"},
		},
		"over a fault": {
			make: func(t *testing.T, l *lab) string {
				id := l.submit(l.transfer("", "", doc{"DATA": []doc{
					{"source_path": "/late", "destination_path": "/late"}, {"source_path": "/f", "destination_path": "/f"},
				}}))
				l.task(id).want(t, doc{"is_ok": false, "files_transferred": 1})
				plant(t, l.lab, map[string]string{"late": strings.Repeat("x", 10)})
				disturb(t, l, globussim.Disturbance{Action: globussim.StallTask, Task: id, AfterFiles: 2})
				time.Sleep(time.Minute)
				return id
			},
			status: "ACTIVE", nice: "OK", ok: true, events: []string{"PROGRESS", "FILE_NOT_FOUND", "STARTED"},
		},
		"paused": {
			make: func(t *testing.T, l *lab) string {
				disturb(t, l, globussim.Disturbance{Action: globussim.PauseTask})
				return l.submit(l.transfer("/f", "/f"))
			},
			status: "ACTIVE", nice: "OK", ok: true, paused: true, events: []string{"PAUSED", "STARTED"},
		},
		"paused with a fault": {
			make: func(t *testing.T, l *lab) string {
				id := l.submit(l.transfer("/missing", "/f"))
				l.task(id)
				disturb(t, l, globussim.Disturbance{Action: globussim.PauseTask, Task: id})
				return id
			},
			status: "ACTIVE", nice: "FILE_NOT_FOUND", paused: true, events: []string{"PAUSED", "FILE_NOT_FOUND", "STARTED"},
		},
		"inactive": {
			make: func(t *testing.T, l *lab) string {
				disturb(t, l, globussim.Disturbance{Action: globussim.SuspendTask})
				return l.submit(l.transfer("/f", "/f"))
			},
			status: "INACTIVE", nice: "CREDENTIALS_EXPIRED", events: []string{"CREDENTIALS_EXPIRED", "STARTED"},
		},
		"succeeded": {
			make:   func(_ *testing.T, l *lab) string { return l.submit(l.transfer("/f", "/f")) },
			status: "SUCCEEDED", events: []string{"SUCCEEDED", "PROGRESS", "STARTED"},
		},
		"failed by an error": {
			make:   func(_ *testing.T, l *lab) string { return l.submit(l.deletion("/missing")) },
			status: "FAILED", fatal: "FILE_NOT_FOUND", events: []string{"FILE_NOT_FOUND", "STARTED"},
		},
		"failed by its deadline": {
			make: func(_ *testing.T, l *lab) string {
				id := l.submit(l.transfer("/missing", "/f", doc{"deadline": "2000-01-01T00:00:00.5"}))
				time.Sleep(time.Second)
				return id
			},
			status: "FAILED", fatal: "EXPIRED", events: []string{"EXPIRED", "FILE_NOT_FOUND", "STARTED"},
		},
		"failed by its deadline while inactive": {
			make: func(t *testing.T, l *lab) string {
				disturb(t, l, globussim.Disturbance{Action: globussim.SuspendTask})
				id := l.submit(l.transfer("/f", "/f", doc{"deadline": "2000-01-01T00:00:01"}))
				time.Sleep(2 * time.Second)
				return id
			},
			status: "FAILED", fatal: "EXPIRED", events: []string{"EXPIRED", "CREDENTIALS_EXPIRED", "STARTED"},
		},
		"canceled while running": {
			make: func(_ *testing.T, l *lab) string {
				id := l.submit(l.transfer("/missing", "/f"))
				l.task(id)
				l.call(http.MethodPost, "/task/"+id+"/cancel", nil)
				return id
			},
			status: "FAILED", fatal: "CANCELED", events: []string{"CANCELED", "FILE_NOT_FOUND", "STARTED"},
		},
		"canceled while queued": {
			make: func(t *testing.T, l *lab) string {
				stalled(t, l, l.transfer("/f", "/first"))
				id := l.submit(l.transfer("/f", "/f"))
				l.call(http.MethodPost, "/task/"+id+"/cancel", nil)
				return id
			},
			status: "FAILED", fatal: "CANCELED", events: []string{"CANCELED"},
		},
		"canceled while paused": {
			make: func(t *testing.T, l *lab) string {
				disturb(t, l, globussim.Disturbance{Action: globussim.PauseTask})
				id := l.submit(l.transfer("/f", "/f"))
				l.call(http.MethodPost, "/task/"+id+"/cancel", nil)
				return id
			},
			status: "FAILED", fatal: "CANCELED", events: []string{"CANCELED", "PAUSED", "STARTED"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"f": "1"})
				id := tt.make(t, l)
				task := l.task(id)
				final := tt.status == "SUCCEEDED" || tt.status == "FAILED"
				want := doc{"status": tt.status, "is_paused": tt.paused, "is_ok": tt.ok, "nice_status": tt.nice, "nice_status_expires_in": -1, "nice_status_details": nil}
				if final {
					want = doc{
						"status": tt.status, "is_paused": false, "is_ok": nil, "nice_status": nil, "nice_status_expires_in": nil,
						"nice_status_short_description": nil, "nice_status_details": nil, "subtasks_pending": 0, "subtasks_retrying": 0,
					}
				}
				task.want(t, want)
				if task.fatal() != tt.fatal || tt.fatal == "" && task.doc["fatal_error"] != nil {
					t.Errorf("the fatal error is %v, want %q", task.doc["fatal_error"], tt.fatal)
				}
				if complete := task.doc["completion_time"] != nil; complete != final {
					t.Errorf("the completion time is %v", task.doc["completion_time"])
				}
				if described := task.doc["nice_status_short_description"] != nil; described == final {
					t.Errorf("the description is %v", task.doc["nice_status_short_description"])
				}
				ends := 0
				for _, key := range []string{"succeeded", "expired", "canceled", "failed", "skipped_errors", "pending"} {
					ends += task.number("subtasks_" + key)
				}
				if ends != task.number("subtasks_total") {
					t.Errorf("the subtasks add up to %d, not %d", ends, task.number("subtasks_total"))
				}
				if prefix := map[bool]string{true: "complete,", false: "active,"}[final]; !strings.HasPrefix(task.text("key"), prefix) {
					t.Errorf("the key is %q", task.text("key"))
				}
				if diff := cmp.Diff(tt.events, l.events(id)); diff != "" {
					t.Errorf("events differ (-want +got):\n%s", diff)
				}
			}, func(cfg *globussim.Config) { cfg.MaxActive, cfg.FaultInterval = 1, time.Minute })
		})
	}
}

func TestCountersNeverGoBack(t *testing.T) {
	counters := []string{
		"faults", "files", "directories", "symlinks", "files_transferred", "files_skipped", "bytes_transferred", "bytes_checksummed",
		"subtasks_total", "subtasks_succeeded",
	}
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab+"/in", map[string]string{
			"a": strings.Repeat("a", 500), "b/c": strings.Repeat("c", 700), "b/d": strings.Repeat("d", 300), "same": "same",
		})
		link(t, "a", l.lab+"/in/link")
		plant(t, l.vault+"/out", map[string]string{"same": "same"})
		id := l.submit(l.transfer("/in/", "/out/", doc{"sync_level": 3, "verify_checksum": true}))
		before, moves := l.task(id), 0
		for i := 0; before.text("status") == "ACTIVE" && i < 1000; i++ {
			switch i {
			case 20: // a file has to be sent again
				l.change(l.vaultID, func(c *globussim.Condition) { c.Offline = true })
			case 30:
				l.change(l.vaultID, func(c *globussim.Condition) { c.Offline = false })
			}
			time.Sleep(500 * time.Millisecond)
			now := l.task(id)
			for _, key := range counters {
				if now.number(key) < before.number(key) {
					t.Errorf("%s went back from %d to %d", key, before.number(key), now.number(key))
				}
			}
			if now.number("bytes_transferred") > before.number("bytes_transferred") {
				moves++
			}
			before = now
		}
		before.want(t, doc{
			"status": "SUCCEEDED", "files": 4, "directories": 2, "symlinks": 1, "files_transferred": 3, "files_skipped": 1,
			"bytes_checksummed": 1500 + 2*4,
		})
		if moves < 30 || before.number("bytes_transferred") <= 1500 || before.number("faults") == 0 {
			t.Errorf("there were %d steps, %d bytes and %d faults", moves, before.number("bytes_transferred"), before.number("faults"))
		}
	}, func(cfg *globussim.Config) { cfg.Rate = 50 })
}

func TestAFileThatChangesUnderTheCopyIsCopiedAgain(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": strings.Repeat("a", 1000)})
		id := l.submit(l.transfer("/f", "/f", doc{"verify_checksum": true}))
		time.Sleep(5020 * time.Millisecond) // between two pieces
		plant(t, l.lab, map[string]string{"f": strings.Repeat("b", 1000)})
		time.Sleep(5500 * time.Millisecond) // before it tries again
		l.task(id).want(t, doc{"status": "ACTIVE", "is_ok": false, "nice_status": "VERIFY_CHECKSUM", "files_transferred": 0})
		if diff := cmp.Diff(map[string]string{}, tree(t, l.vault)); diff != "" {
			t.Errorf("a file that is not verified is there (-want +got):\n%s", diff)
		}
		l.wait(id).want(t, doc{"status": "SUCCEEDED", "faults": 1, "files_transferred": 1, "bytes_transferred": 2000})
		if got := tree(t, l.vault)["f"]; got != strings.Repeat("b", 1000) {
			t.Errorf("the copy holds %q", got)
		}
	}, func(cfg *globussim.Config) { cfg.Rate = 100 })
}

func TestReplacingAFileNeedsNoMoreRoomThanItFrees(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "12345678", "g": "123"})
		plant(t, l.vault, map[string]string{"f": "abcdefgh"})
		l.do(l.transfer("/f", "/f")).want(t, doc{"status": "SUCCEEDED"})
		l.task(l.submit(l.transfer("", "", doc{"DATA": []doc{
			{"source_path": "/f", "destination_path": "/f"}, {"source_path": "/g", "destination_path": "/g"},
		}}))).want(t, doc{"status": "ACTIVE", "nice_status": "QUOTA_EXCEEDED", "files_transferred": 1})
	}, func(cfg *globussim.Config) { cfg.Collections[1].Quota = 10 })
}
