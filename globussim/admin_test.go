package globussim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// admin sends a call of a manager and checks its answer.
func (l *lab) admin(method, path string, body any, status int, code string) answer {
	l.t.Helper()
	a := l.call(method, manager+path, body)
	if a.status != status || a.text("code") != code {
		l.t.Errorf("%s %s %v answers %d %s, want %d %s", method, path, body, a.status, a.body, status, code)
	}
	return a
}

func TestAManagerCancelsTasksOfOthers(t *testing.T) {
	inOwnedLab(t, func(t *testing.T, l *lab, good, bad string) {
		a := l.admin("POST", "admin_cancel", doc{"task_id_list": []string{bad, good}, "message": "closing"}, http.StatusOK, "")
		l.admin("GET", "admin_cancel/"+a.text("id"), nil, http.StatusOK, "").want(t, doc{"done": true})
		l.admin("GET", "task/"+bad, nil, http.StatusOK, "").want(t, doc{"status": "FAILED", "canceled_by_admin": "SOURCE", "canceled_by_admin_message": "closing"})
		l.admin("GET", "task/"+good, nil, http.StatusOK, "").want(t, doc{"status": "SUCCEEDED", "canceled_by_admin": nil})
		if codes := l.call(http.MethodGet, manager+"task/"+bad+"/event_list", nil).column("code"); codes[0] != "CANCELED" {
			t.Errorf("the last event is %s", codes[0])
		}
		l.admin("GET", "admin_cancel/x", nil, http.StatusNotFound, "ClientError.NotFound")
		for _, path := range []string{"admin_cancel", "admin_pause", "admin_resume"} {
			l.admin("POST", path, doc{"message": "x"}, http.StatusBadRequest, "ClientError.BadRequest")
			l.admin("POST", path, doc{"task_id_list": make([]string, 51)}, http.StatusBadRequest, "ClientError.BadRequest")
		}
		l.becomeOther() // who owns the tasks, and manages nothing
		for _, path := range []string{"admin_cancel", "admin_pause", "admin_resume"} {
			l.admin("POST", path, doc{"task_id_list": []string{bad}, "message": "x"}, http.StatusForbidden, "PermissionDenied")
		}
	})
}

func TestAManagerPausesTasksOfOthersAndLetsThemGoOn(t *testing.T) {
	inOwnedLab(t, func(t *testing.T, l *lab, _, bad string) {
		l.admin("POST", "admin_pause", doc{"task_id_list": []string{bad}, "message": "wait"}, http.StatusOK, "PauseAccepted")
		l.admin("GET", "task/"+bad, nil, http.StatusOK, "").want(t, doc{"is_paused": true})
		l.admin("GET", "task/"+bad+"/pause_info", nil, http.StatusOK, "").want(t, doc{"source_pause_message": "wait"})
		plant(t, l.lab, map[string]string{"missing": "1"})
		time.Sleep(time.Hour)
		l.admin("GET", "task/"+bad, nil, http.StatusOK, "").want(t, doc{"status": "ACTIVE"})
		l.admin("POST", "admin_resume", doc{"task_id_list": []string{bad}}, http.StatusOK, "ResumeAccepted")
		time.Sleep(time.Minute)
		l.admin("GET", "task/"+bad, nil, http.StatusOK, "").want(t, doc{"status": "SUCCEEDED"})
	})
}

func TestAManagerKeepsPauseRules(t *testing.T) {
	inOwnedLab(t, func(t *testing.T, l *lab, _, bad string) {
		rule := doc{"DATA_TYPE": "pause_rule", "endpoint_id": l.labID, "message": "no reading", "pause_task_transfer_read": true}
		id := l.admin("POST", "pause_rule", rule, http.StatusCreated, "Created").text("pause_rule_id")
		l.admin("GET", "pause_rule/"+id, nil, http.StatusOK, "").want(t, doc{"id": id, "message": "no reading", "pause_ls": false, "pause_task_transfer_read": true})
		l.admin("GET", "task/"+bad, nil, http.StatusOK, "").want(t, doc{"is_paused": true})
		if diff := cmp.Diff([]string{id}, l.call(http.MethodGet, manager+"pause_rule_list?limit=1", nil).column("id")); diff != "" {
			t.Errorf("the list (-want +got):\n%s", diff)
		}
		l.admin("PUT", "pause_rule/"+id, doc{"message": "no listing", "pause_ls": true, "pause_task_transfer_read": false, "endpoint_id": l.vaultID}, http.StatusOK, "Updated")
		l.admin("GET", "pause_rule/"+id, nil, http.StatusOK, "").want(t, doc{"endpoint_id": l.labID, "message": "no listing"})
		l.admin("GET", "task/"+bad, nil, http.StatusOK, "").want(t, doc{"is_paused": false})
		if a := l.ls("path", "/"); a.text("code") != "OperationPaused" {
			t.Errorf("a listing answers %d %s", a.status, a.body)
		}
		l.admin("POST", "pause_rule", doc{"endpoint_id": l.vaultID}, http.StatusForbidden, "PermissionDenied")
		own := l.token
		l.becomeOther()
		l.admin("DELETE", "pause_rule/"+id, nil, http.StatusNotFound, "PauseRuleNotFound")
		l.token = own
		l.admin("DELETE", "pause_rule/"+id, nil, http.StatusOK, "Deleted")
		l.admin("DELETE", "pause_rule/"+id, nil, http.StatusNotFound, "PauseRuleNotFound")
		if a := l.ls("path", "/"); a.status != http.StatusOK {
			t.Errorf("without the rule, a listing answers %d %s", a.status, a.body)
		}
	})
}
