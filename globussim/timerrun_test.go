package globussim_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

// timer makes a timer and returns its path.
func (l *lab) timer(authorization, request string) string {
	l.t.Helper()
	made := l.timers(http.MethodPost, "/v2/timer", authorization, request)
	timer, ok := made.doc["timer"].(map[string]any)
	if !ok {
		l.t.Fatalf("create: %d %s", made.status, made.body)
	}
	return "/jobs/" + timer["job_id"].(string)
}

// starts returns when the tasks were submitted, and their labels.
func (l *lab) starts() []string {
	l.t.Helper()
	starts := []string{}
	for _, row := range l.call(http.MethodGet, "/task_list?orderby=request_time&limit=100", nil).rows() {
		starts = append(starts, row.text("request_time")+" "+row.text("label"))
	}
	return starts
}

func (l *lab) wantStarts(want ...string) {
	l.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), l.starts()); diff != "" {
		l.t.Errorf("tasks (-want +got):\n%s", diff)
	}
}

const fileItem = `, "DATA": [{"DATA_TYPE": "transfer_item", "source_path": "/f", "destination_path": "/f"}]`

func TestATimerStartsItsTransfersAsOftenAsItSays(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		token := bearer(t, l.Server, timerScope)
		path := l.timer(token, l.timerRequest(daily, fileItem))
		time.Sleep(59 * 24 * time.Hour)
		l.wantStarts()
		time.Sleep(30 * 24 * time.Hour)
		l.wantStarts("2000-03-01T02:00:00+00:00 nightly, run 1", "2000-03-02T02:00:00+00:00 nightly, run 2")
		if diff := cmp.Diff(map[string]string{"f": "1"}, tree(t, l.vault)); diff != "" {
			t.Errorf("the vault (-want +got):\n%s", diff)
		}
		job := l.timers(http.MethodGet, path, token, "")
		job.want(t, doc{"status": "ended", "n_runs": 2, "n_errors": 0, "next_run": nil, "last_ran_at": "2000-03-02T02:00:00+00:00", "start": "2000-03-01T02:00:00+00:00"})
		results := job.doc["results"].(map[string]any)["data"].([]any)
		newest := answer{doc: results[0].(map[string]any)}
		newest.want(t, doc{"ran_at": "2000-03-02T02:00:00+00:00", "status": 202, "errors": nil})
		answer{doc: newest.doc["data"].(map[string]any)}.want(t, doc{"status": "SUCCEEDED", "creator_id": "urn:globus:auth:identity:" + robot})
		if rows := l.timers(http.MethodGet, "/jobs/?filter_status=active,inactive", token, "").doc["jobs"].([]any); len(rows) > 0 {
			t.Errorf("a timer that has ended is listed as active or inactive: %v", rows)
		}
	}, func(cfg *globussim.Config) { cfg.TokenLifetime = 365 * 24 * time.Hour })
}

func TestATimerLeavesOutWhatFallsIntoARun(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		schedule := `{"type": "recurring", "interval_seconds": 3600, "start": "2000-01-01T01:00:00Z", "end": {"condition": "iterations", "count": 2}}`
		l.timer(bearer(t, l.Server, timerScope), l.timerRequest(schedule, fileItem))
		time.Sleep(150 * time.Minute) // the file is missing, so the first task goes on
		plant(t, l.lab, map[string]string{"f": "1"})
		time.Sleep(24 * time.Hour)
		l.wantStarts("2000-01-01T01:00:00+00:00 nightly, run 1", "2000-01-01T03:00:00+00:00 nightly, run 2")
	})
}

func TestATimerEndsAtItsTime(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		schedule := `{"type": "recurring", "interval_seconds": 3600, "start": "1999-12-31T22:30:00Z", "end": {"condition": "time", "datetime": "2000-01-01T01:30:00Z"}}`
		l.timer(bearer(t, l.Server, timerScope), l.timerRequest(schedule, fileItem))
		time.Sleep(24 * time.Hour)
		l.wantStarts("2000-01-01T00:30:00+00:00 nightly, run 1", "2000-01-01T01:30:00+00:00 nightly, run 2")
	})
}

func TestAPausedTimerStartsNothing(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		token := bearer(t, l.Server, timerScope)
		schedule := `{"type": "recurring", "interval_seconds": 3600, "start": "2000-01-01T01:00:00Z"}`
		path := l.timer(token, l.timerRequest(schedule, fileItem))
		l.timers(http.MethodPost, path+"/pause", token, "")
		time.Sleep(150 * time.Minute)
		l.timers(http.MethodPost, path+"/resume", token, "")
		time.Sleep(time.Hour)
		l.timers(http.MethodDelete, path, token, "")
		time.Sleep(24 * time.Hour)
		l.wantStarts("2000-01-01T03:00:00+00:00 nightly, run 1")
	})
}

func TestATimerWaitsForAConsent(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		access := "https://auth.globus.org/scopes/" + l.labID + "/data_access"
		bearer(t, l.Server, transferAll+"[*"+access+"]") // which is not for Timers
		token := bearer(t, l.Server, timerScope)
		path := l.timer(token, l.timerRequest(`{"type": "once"}`, fileItem))
		time.Sleep(time.Minute)
		job := l.timers(http.MethodGet, path, token, "")
		job.want(t, doc{"status": "inactive", "n_runs": 0})
		reason, _ := job.doc["inactive_reason"].(map[string]any)
		needed := timerScope + "[" + transferAll + "[*" + access + "]]"
		detail, _ := reason["detail"].(map[string]any)
		parameters, _ := detail["authorization_parameters"].(map[string]any)
		if diff := cmp.Diff([]any{needed}, parameters["required_scopes"]); reason["cause"] != "globus_auth_requirements" || diff != "" {
			t.Errorf("inactive_reason is %v, required_scopes (-want +got):\n%s", reason, diff)
		}
		token = bearer(t, l.Server, needed)
		l.timers(http.MethodPost, path+"/resume", token, `{"update_credentials": true}`)
		time.Sleep(time.Minute)
		l.timers(http.MethodGet, path, token, "").want(t, doc{"status": "ended", "n_runs": 1, "inactive_reason": nil})
		l.wantStarts("2000-01-01T00:01:00+00:00 nightly, run 1")
	}, func(cfg *globussim.Config) { cfg.Collections[0].EntityType = globussim.MappedCollection })
}

func TestATimerCountsWhatTransferRefuses(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		token := bearer(t, l.Server, timerScope)
		path := l.timer(token, l.timerRequest(`{"type": "once"}`, fileItem+fmt.Sprintf(`, "source_endpoint": %q`, other)))
		time.Sleep(time.Minute)
		job := l.timers(http.MethodGet, path, token, "")
		job.want(t, doc{"status": "ended", "n_runs": 1, "n_errors": 1})
		results := job.doc["results"].(map[string]any)["data"].([]any)
		answer{doc: results[0].(map[string]any)}.want(t, doc{"status": 404})
	})
}

func TestATimerRunsAFlow(t *testing.T) {
	inFlowLab(t, func(t *testing.T, l *lab) {
		token := bearer(t, l.Server, timerScope)
		request := fmt.Sprintf(`{"timer": {"timer_type": "flow", "flow_id": %q, "name": "n", "schedule": {"type": "once", "datetime": "2000-01-01T01:00:00Z"}, "body": {"body": %s, "label": "by timer"}}}`,
			globussim.FlowID("Transfer"), l.flowInput("/f", "/f"))
		path := l.timer(token, request)
		time.Sleep(2 * time.Hour)
		l.timers(http.MethodGet, path, token, "").want(t, doc{"status": "ended", "n_runs": 1, "n_errors": 0})
		runs := l.flows(http.MethodGet, "/runs", bearer(t, l.Server, flowsScope), nil).doc["runs"].([]any)
		answer{doc: runs[0].(map[string]any)}.want(t, doc{"label": "by timer", "status": "SUCCEEDED", "start_time": "2000-01-01T01:00:00.000000+00:00"})
	})
}
