package globussim_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	timersBase = "https://timer.automate.globus.org"
	timerScope = "https://auth.globus.org/scopes/524230d7-ea86-4a52-8312-86065a9e0417/timer"
)

// timerRequest asks for a timer between lab and vault with a schedule, given as
// JSON; more are further members of its body.
func (l *lab) timerRequest(schedule, more string) string {
	return fmt.Sprintf(`{"timer": {"timer_type": "transfer", "name": "nightly", "schedule": %s, "body": {"source_endpoint": %q, "destination_endpoint": %q,
	"DATA": [{"DATA_TYPE": "transfer_item", "source_path": "/a/", "destination_path": "/b/"}]%s}}}`, schedule, l.labID, l.vaultID, more)
}

// jobRequest asks for the same in the form that older clients send.
func (l *lab) jobRequest(more string) string {
	return fmt.Sprintf(`{"name": "nightly", "start": "2000-03-01T02:00:00Z", "interval": 86400, "callback_url": "https://actions.automate.globus.org/transfer/transfer/run",
	"callback_body": {"body": {"label": "x", "source_endpoint_id": %q, "destination_endpoint_id": %q, "transfer_items": [{"source_path": "/f", "destination_path": "/g", "recursive": false}]}}%s}`, l.labID, l.vaultID, more)
}

// timers calls the Timers service.
func (l *lab) timers(method, path, authorization, body string) answer {
	l.t.Helper()
	return ask(l.t, l.Client(), method, timersBase+path, authorization, "application/json", body)
}

const daily = `{"type": "recurring", "interval_seconds": 86400, "start": "2000-03-01T02:00:00Z", "end": {"iterations": 2}}`

// The keys of a timer in its two forms, as the service's documents have them.
var (
	timerKeys = strings.Fields("body inactive_reason job_id last_ran_at name next_run number_of_errors number_of_runs schedule status submitted_at timer_type")
	jobKeys   = strings.Fields("callback_body callback_url inactive_reason interval job_id last_ran_at n_errors n_runs name next_run results schedule scope start status stop_after submitted_at timer_type")
)

func TestATimerIsKeptAndListed(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		token := bearer(t, l.Server, timerScope)
		made := l.timers(http.MethodPost, "/v2/timer", token, l.timerRequest(daily, ""))
		if made.status != http.StatusCreated {
			t.Fatalf("create: %d %s", made.status, made.body)
		}
		timer := answer{doc: made.doc["timer"].(map[string]any)}
		timer.want(t, doc{"name": "nightly", "status": "new", "timer_type": "transfer", "next_run": "2000-03-01T02:00:00+00:00", "number_of_runs": 0, "submitted_at": "2000-01-01T00:00:00+00:00"})
		answer{doc: timer.doc["body"].(map[string]any)}.want(t, doc{"DATA_TYPE": "transfer", "verify_checksum": false, "notify_on_failed": true})
		if diff := cmp.Diff(timerKeys, slices.Sorted(maps.Keys(timer.doc))); diff != "" {
			t.Errorf("keys of a new timer (-want +got):\n%s", diff)
		}
		for _, path := range []string{"/jobs/", "/jobs", "/jobs/?filter_name=NIGHT&filter_status=active,ended"} {
			list := l.timers(http.MethodGet, path, token, "")
			rows, _ := list.doc["jobs"].([]any)
			if list.status != http.StatusOK || len(rows) != 1 {
				t.Fatalf("GET %s: %d %s", path, list.status, list.body)
			}
			row := answer{doc: rows[0].(map[string]any)}
			row.want(t, doc{"job_id": timer.text("job_id"), "interval": 86400, "start": "2000-03-01T02:00:00+00:00"})
			if diff := cmp.Diff(jobKeys, slices.Sorted(maps.Keys(row.doc))); diff != "" {
				t.Errorf("keys of a timer in the list (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]any{"condition": "iterations", "count": 2.0}, row.doc["schedule"].(map[string]any)["end"]); diff != "" {
				t.Errorf("end (-want +got):\n%s", diff)
			}
		}
	})
}

func TestATimerOfAnOlderClientTransfers(t *testing.T) {
	inFlowLab(t, func(t *testing.T, l *lab) {
		token := bearer(t, l.Server, timerScope)
		made := l.timers(http.MethodPost, "/jobs/", token, l.jobRequest(`, "stop_after": {"n_runs": 1}`))
		made.want(t, doc{"name": "nightly", "status": "new", "next_run": "2000-03-01T02:00:00+00:00", "n_runs": 0})
		if diff := cmp.Diff(jobKeys, slices.Sorted(maps.Keys(made.doc))); made.status != http.StatusCreated || diff != "" {
			t.Errorf("the answer is %d; its keys (-want +got):\n%s", made.status, diff)
		}
		time.Sleep(90 * 24 * time.Hour)
		token = bearer(t, l.Server, timerScope)
		l.timers(http.MethodGet, "/jobs/"+made.text("job_id"), token, "").want(t, doc{"status": "ended", "n_runs": 1, "n_errors": 0})
		if got := tree(t, l.vault); got["g"] != "1" {
			t.Errorf("the vault has %v, want the file g", got)
		}
		for body, loc := range map[string]string{
			`{`:  `["body"]`,
			`{}`: `["body","start"]`,
			`{"start": "2000-06-01", "callback_url": "https://x.example/email/run"}`: `["body","callback_url"]`,
			l.jobRequest(`, "interval": 5`):                                          `["body","interval_seconds"]`,
		} {
			a := l.timers(http.MethodPost, "/jobs/", token, body)
			if a.status != http.StatusUnprocessableEntity || !strings.Contains(string(a.body), loc) {
				t.Errorf("%s answers %d %s, want 422 about %s", body, a.status, a.body, loc)
			}
		}
	})
}

func TestATimerOfAFlowHasTheKeysOfAJob(t *testing.T) {
	const flow = "1c34549f-84d3-4983-a2f2-3150099b21a4"
	l := newLab(t)
	made := l.timers(http.MethodPost, "/v2/timer", bearer(t, l.Server, timerScope),
		`{"timer": {"timer_type": "flow", "flow_id": "`+flow+`", "name": "n", "schedule": {"type": "once"}, "body": {"body": {"x": 1}}}}`)
	timer := answer{doc: made.doc["timer"].(map[string]any)}
	want := slices.DeleteFunc(slices.Clone(jobKeys), func(key string) bool { return key == "start" })
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(timer.doc))); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	timer.want(t, doc{
		"timer_type": "flow", "callback_url": "https://flows.automate.globus.org/flows/" + flow + "/run",
		"scope": "https://auth.globus.org/scopes/" + flow + "/flow_1c34549f_84d3_4983_a2f2_3150099b21a4_user",
	})
	if results, ok := timer.doc["results"].([]any); !ok || len(results) != 0 {
		t.Errorf("results are %v, want an empty list", timer.doc["results"])
	}
}

func TestATimerIsPausedRenamedAndRemoved(t *testing.T) {
	l := newLab(t)
	tomorrow := fmt.Sprintf(`{"type": "once", "datetime": %q}`, time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
	token := bearer(t, l.Server, timerScope)
	made := l.timers(http.MethodPost, "/v2/timer", token, l.timerRequest(tomorrow, ""))
	path := "/jobs/" + made.doc["timer"].(map[string]any)["job_id"].(string)

	l.timers(http.MethodPost, path+"/pause", token, "").want(t, doc{"message": "Successfully paused job " + path[len("/jobs/"):] + "."})
	paused := l.timers(http.MethodGet, path, token, "")
	paused.want(t, doc{"status": "inactive"})
	if diff := cmp.Diff(map[string]any{"cause": "user", "detail": nil}, paused.doc["inactive_reason"]); diff != "" {
		t.Errorf("inactive_reason (-want +got):\n%s", diff)
	}
	if rows := l.timers(http.MethodGet, "/jobs/?filter_status=active", token, "").doc["jobs"].([]any); len(rows) != 0 {
		t.Errorf("a paused timer counts as active: %v", rows)
	}
	l.timers(http.MethodPost, path+"/resume?update_credentials=true", token, "")
	l.timers(http.MethodPatch, path, token, `{"name": "weekly"}`).want(t, doc{"name": "weekly", "status": "new"})
	l.timers(http.MethodDelete, path, token, "").want(t, doc{"name": "weekly"})
	if a := l.timers(http.MethodGet, path, token, ""); a.status != http.StatusNotFound {
		t.Errorf("a removed timer answers %d %s", a.status, a.body)
	}
}

func TestATimerIsItsOwners(t *testing.T) {
	l := newLab(t)
	token := bearer(t, l.Server, timerScope)
	l.timers(http.MethodPost, "/v2/timer", token, l.timerRequest(daily, ""))
	form := "grant_type=client_credentials&scope=" + timerScope
	a := ask(t, l.Client(), http.MethodPost, authBase+"/v2/oauth2/token", basic(other, otherSecret), formType, form)
	if rows := l.timers(http.MethodGet, "/jobs/", "Bearer "+a.text("access_token"), "").doc["jobs"].([]any); len(rows) != 0 {
		t.Errorf("another account sees %v", rows)
	}
	for _, authorization := range []string{"", "Bearer x", l.token} { // the last is for Transfer
		if a := l.timers(http.MethodGet, "/jobs/", authorization, ""); a.status != http.StatusUnauthorized || a.doc["error"] == nil {
			t.Errorf("%q: %d %s", authorization, a.status, a.body)
		}
	}
}

func TestAWrongTimerIsRefusedByItsFields(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		token := bearer(t, l.Server, timerScope)
		tests := map[string]struct {
			request string
			want    []string
		}{
			"no JSON":        {"{", []string{"[body]"}},
			"no number":      {l.timerRequest(`{"type": "recurring", "interval_seconds": "60"}`, ""), []string{"[body timer.schedule.interval_seconds]"}},
			"nothing":        {"{}", []string{"[body timer]"}},
			"only its type":  {`{"timer": {"timer_type": "transfer"}}`, []string{"[body timer schedule]", "[body timer body]"}},
			"unknown type":   {`{"timer": {"timer_type": "x", "schedule": {"type": "once"}, "body": {}}}`, []string{"[body timer]"}},
			"short interval": {l.timerRequest(`{"type": "recurring", "interval_seconds": 59}`, ""), []string{"[body timer schedule interval_seconds]"}},
			"far start":      {l.timerRequest(strings.Replace(daily, "2000-03", "2001-03", 1), ""), []string{"[body timer schedule start]"}},
			"no time":        {l.timerRequest(`{"type": "once", "datetime": "soon"}`, ""), []string{"[body timer schedule datetime]"}},
			"no kind":        {l.timerRequest(`{}`, ""), []string{"[body timer schedule type]"}},
			"end of nothing": {l.timerRequest(strings.Replace(daily, `"iterations": 2`, "", 1), ""), []string{"[body timer schedule end count]"}},
			"no items":       {l.timerRequest(daily, `, "DATA": []`), []string{"[body timer body DATA]"}},
			"half an item":   {l.timerRequest(daily, `, "DATA": [{"source_path": "/a"}]`), []string{"[body timer body DATA 0 destination_path]"}},
			"no collection":  {l.timerRequest(daily, `, "source_endpoint": "lab"`), []string{"[body timer body source_endpoint]"}},
			"no flow":        {`{"timer": {"timer_type": "flow", "schedule": {"type": "once"}, "body": {}}}`, []string{"[body timer flow_id]"}},
		}
		for name, tt := range tests {
			a := l.timers(http.MethodPost, "/v2/timer", token, tt.request)
			var got []string
			details, _ := a.doc["detail"].([]any)
			for _, d := range details {
				got = append(got, fmt.Sprint(d.(map[string]any)["loc"]))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || a.status != http.StatusUnprocessableEntity {
				t.Errorf("%s: %d, fields (-want +got):\n%s", name, a.status, diff)
			}
		}
	})
}

func TestTimersHaveOnlyTheirOwnPaths(t *testing.T) {
	l := newLab(t)
	token := bearer(t, l.Server, timerScope)
	for call, want := range map[string]int{
		"PUT /jobs/":         http.StatusMethodNotAllowed,
		"PUT /v2/timer":      http.StatusMethodNotAllowed,
		"GET /jobs/x/y/z":    http.StatusNotFound,
		"GET /jobs//":        http.StatusNotFound,
		"GET /jobs/nonsense": http.StatusNotFound,
	} {
		method, path, _ := strings.Cut(call, " ")
		if a := l.timers(method, path, token, ""); a.status != want {
			t.Errorf("%s: got %d, want %d: %s", call, a.status, want, a.body)
		}
	}
}
