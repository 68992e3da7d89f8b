package globussim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestATaskDocumentHasAllItsFields(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		id := l.submit(l.transfer("/f", "/f", doc{
			"label": "one", "sync_level": 2, "encrypt_data": true, "verify_checksum": true, "fail_on_quota_errors": true,
			"store_base_path_info": true, "source_local_user": "svc", "deadline": "2000-01-01T12:00:00",
			"filter_rules": []doc{{"DATA_TYPE": "filter_rule", "method": "exclude", "type": "file", "name": "*.tmp"}},
		}))
		l.wait(id)
		task := l.task(id)
		task.want(t, doc{
			"DATA_TYPE": "task", "task_id": id, "type": "TRANSFER", "status": "SUCCEEDED", "label": "one", "owner_id": robot,
			"request_time": "2000-01-01T00:00:00+00:00", "completion_time": "2000-01-01T00:00:00+00:00", "deadline": "2000-01-01T12:00:00+00:00",
			"source_endpoint_id": l.labID, "source_endpoint_display_name": "lab",
			"destination_endpoint_id": l.vaultID, "destination_endpoint_display_name": "vault",
			"is_ok": nil, "is_paused": false, "nice_status": nil, "nice_status_short_description": nil, "nice_status_expires_in": nil,
			"nice_status_details": nil, "fatal_error": nil, "faults": 0, "subtasks_total": 2, "subtasks_succeeded": 2,
			"files": 1, "directories": 0, "bytes_transferred": 1, "bytes_checksummed": 1, "effective_bytes_per_second": 1,
			"sync_level": 2, "encrypt_data": true, "verify_checksum": true, "preserve_timestamp": false, "delete_destination_extra": false,
			"skip_source_errors": false, "fail_on_quota_errors": true, "recursive_symlinks": "ignore", "source_local_user": "svc",
			"destination_local_user": nil, "source_base_path": "/", "destination_base_path": "/", "command": "API 0.10",
			"canceled_by_admin": nil, "canceled_by_admin_message": nil, "history_deleted": false,
		})
		// Every field that real documents have is there, with its kind of value.
		for _, row := range fixture(t, "testdata/task_list.json") {
			for key := range row {
				if _, ok := task.doc[key]; !ok {
					t.Errorf("%s is missing", key)
				}
			}
		}
	})
}

// fixture reads the rows of a stored list.
func fixture(t *testing.T, name string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		DATA []map[string]any
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	return list.DATA
}

func TestTheBasePathHoldsAllItems(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.task(l.submit(l.transfer("", "", doc{"store_base_path_info": true, "DATA": []doc{
			{"source_path": "/a/bc/x", "destination_path": "/~/x"}, {"source_path": "/a/bd/x", "destination_path": "/~/y"},
		}}))).want(t, doc{"source_base_path": "/a/", "destination_base_path": "/~/"})
	})
}

func TestATaskBelongsToItsOwner(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		id := l.submit(l.transfer("/missing", "/x"))
		stranger := *l
		a := ask(t, l.Client(), http.MethodPost, authBase+"/v2/oauth2/token", basic(other, otherSecret), formType,
			"grant_type=client_credentials&scope="+transferAll)
		stranger.token = "Bearer " + a.text("access_token")
		for call, method := range map[string]string{
			"": "GET", "/event_list": "GET", "/successful_transfers": "GET", "/skipped_errors": "GET", "/pause_info": "GET",
			"/cancel": "POST", "/remove": "POST",
		} {
			a := stranger.call(method, "/task/"+id+call, nil)
			if a.status != http.StatusNotFound || a.text("code") != "ClientError.NotFound" {
				t.Errorf("%s answers a stranger %d %s", call, a.status, a.body)
			}
			a = l.call(method, "/task/"+uuid.NewString()+call, nil)
			if a.status != http.StatusNotFound || a.text("code") != "ClientError.NotFound" {
				t.Errorf("%s answers for no task %d %s", call, a.status, a.body)
			}
		}
		if rows := stranger.call(http.MethodGet, "/task_list", nil).rows(); len(rows) != 0 {
			t.Errorf("a stranger sees %v", rows)
		}
		l.task(id).want(t, doc{"status": "ACTIVE"})
	})
}

func TestATaskIsChangedWhileItIsUnfinished(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		id := l.submit(l.transfer("/missing", "/x", doc{"label": "old"}))
		put := func(body doc) answer { return l.call(http.MethodPut, "/task/"+id, body) }
		for name, body := range map[string]doc{
			"another type": {"DATA_TYPE": "transfer"}, "bad label": {"label": " x"}, "no text": {"label": 1}, "bad deadline": {"deadline": "soon"},
		} {
			if a := put(body); a.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		put(doc{"DATA_TYPE": "task", "label": "new", "deadline": nil}).want(t, doc{"DATA_TYPE": "result", "code": "Updated"})
		put(doc{"deadline": "2000-01-03T00:00:00"}).want(t, doc{"code": "Updated"})
		time.Sleep(47 * time.Hour)
		l.task(id).want(t, doc{"status": "ACTIVE", "label": "new", "deadline": "2000-01-03T00:00:00+00:00"})

		put(doc{"deadline": "1999-01-01"}).want(t, doc{"code": "Updated"}) // a past one ends the task
		task := l.task(id)
		task.want(t, doc{"status": "FAILED"})
		if task.fatal() != "EXPIRED" {
			t.Errorf("the fatal error is %q, want EXPIRED", task.fatal())
		}
		if a := put(doc{"label": "late"}); a.status != http.StatusConflict || a.text("code") != "Conflict" {
			t.Errorf("a finished task answers %d %s, want 409 Conflict", a.status, a.body)
		}
	}, func(cfg *globussim.Config) { cfg.FaultInterval = time.Minute })
}

func TestATaskIDMayBeWrittenInOtherWays(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		id := l.submit(l.transfer("/missing", "/x"))
		for name, written := range map[string]string{
			"upper case": strings.ToUpper(id), "percent-encoded": fmt.Sprintf("%%%02x", id[0]) + id[1:],
		} {
			if a := l.call(http.MethodGet, "/task/"+written, nil); a.text("task_id") != id {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		twice := fmt.Sprintf("%%25%02x", id[0]) + id[1:]
		if a := l.call(http.MethodGet, "/task/"+twice, nil); a.status != http.StatusNotFound {
			t.Errorf("encoded twice: %d %s", a.status, a.body)
		}
	})
}

func TestAnUpdateTouchesNothingButLabelAndDeadline(t *testing.T) {
	tests := map[string]struct {
		body  doc
		label any
	}{
		"nothing":         {doc{}, "old"},
		"deadline null":   {doc{"deadline": nil}, "old"},
		"label null":      {doc{"label": nil}, nil},
		"label empty":     {doc{"label": ""}, nil},
		"another":         {doc{"label": "new"}, "new"},
		"what is neither": {doc{"status": "SUCCEEDED", "sync_level": 3, "is_paused": true, "faults": 7, "owner_id": other, "x": nil}, "old"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				id := l.submit(l.transfer("/missing", "/x", doc{"label": "old", "deadline": "2000-01-02"}))
				before := l.task(id).doc
				if a := l.call(http.MethodPut, "/task/"+id, tt.body); a.status != http.StatusOK || a.text("code") != "Updated" {
					t.Errorf("the update answers %d %s", a.status, a.body)
				}
				before["label"] = tt.label
				if diff := cmp.Diff(before, l.task(id).doc); diff != "" {
					t.Errorf("the task differs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestARemovedTaskIsGoneButItsSubmissionIsNot(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		d := l.transfer("/missing", "/x")
		id := l.submit(d)
		if a := l.call(http.MethodPost, "/task/"+id+"/remove", nil); a.status != http.StatusConflict {
			t.Errorf("an unfinished task is removed: %d %s", a.status, a.body)
		}
		l.call(http.MethodPost, "/task/"+id+"/cancel", nil)
		l.call(http.MethodPost, "/task/"+id+"/remove", nil).want(t, doc{"DATA_TYPE": "result"})
		if a := l.call(http.MethodGet, "/task/"+id, nil); a.status != http.StatusNotFound {
			t.Errorf("the removed task answers %d", a.status)
		}
		a := l.call(http.MethodPost, "/transfer", d)
		a.want(t, doc{"code": "Duplicate", "task_id": id})
	})
}

func TestAProjectionKeepsWhatIsAskedFor(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		id := l.submit(l.transfer("/missing", "/x"))
		got := l.call(http.MethodGet, "/task/"+id+"?fields=status%2Ctask_id,no_such", nil).doc
		if diff := cmp.Diff([]string{"status", "task_id"}, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("fields differ (-want +got):\n%s", diff)
		}
	})
}
