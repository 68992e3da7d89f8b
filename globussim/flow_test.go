package globussim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

const (
	flowsAddress = "https://flows.automate.globus.org"
	flowsScope   = "https://auth.globus.org/scopes/eec9b274-0c81-4334-bdc2-54e90e689b9a/all"
)

// runScope is the scope that runs a flow.
func runScope(flow string) string {
	return "https://auth.globus.org/scopes/" + flow + "/flow_" + strings.ReplaceAll(flow, "-", "_") + "_user"
}

// inFlowLab runs a test in a lab with a file and the flow "Transfer".
func inFlowLab(t *testing.T, test func(t *testing.T, l *lab), edit ...func(*globussim.Config)) {
	t.Helper()
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		test(t, l)
	}, append([]func(*globussim.Config){func(cfg *globussim.Config) { cfg.Flows = []globussim.Flow{{Title: "Transfer"}} }}, edit...)...)
}

// flows calls the Flows service.
func (l *lab) flows(method, path, authorization string, body any) answer {
	l.t.Helper()
	text := ""
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			l.t.Fatal(err)
		}
		text = string(data)
	}
	return ask(l.t, l.Client(), method, flowsAddress+path, authorization, "application/json", text)
}

// flowInput is what the flow "Transfer" takes, as JSON.
func (l *lab) flowInput(src, dst string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"source": {"id": %q, "path": %q}, "destination": {"id": %q, "path": %q}}`, l.labID, src, l.vaultID, dst))
}

// runFlow starts the flow "Transfer" and returns the path of the run.
func (l *lab) runFlow(label, src, dst string) string {
	l.t.Helper()
	flow := globussim.FlowID("Transfer")
	a := l.flows(http.MethodPost, "/flows/"+flow+"/run", bearer(l.t, l.Server, runScope(flow)), doc{"label": label, "body": l.flowInput(src, dst)})
	if a.status != http.StatusCreated {
		l.t.Fatalf("start: %d %s", a.status, a.body)
	}
	a.want(l.t, doc{"status": "ACTIVE", "label": label, "flow_title": "Transfer", "run_owner": "urn:globus:auth:identity:" + robot})
	return "/runs/" + a.text("run_id")
}

// wantError checks an error document of Flows.
func (a answer) wantError(t *testing.T, status int, code string) {
	t.Helper()
	e, _ := a.doc["error"].(map[string]any)
	if a.status != status || e["code"] != code || e["detail"] == "" {
		t.Errorf("got %d %s, want %d %s", a.status, a.body, status, code)
	}
}

func (a answer) details() answer {
	details, _ := a.doc["details"].(map[string]any)
	return answer{doc: details}
}

func TestARunOfAFlowReallyTransfers(t *testing.T) {
	inFlowLab(t, func(t *testing.T, l *lab) {
		run := l.runFlow("one", "/f", "/g")
		all := bearer(t, l.Server, flowsScope)
		time.Sleep(time.Minute)
		a := l.flows(http.MethodGet, run, all, nil)
		a.want(t, doc{"status": "SUCCEEDED", "display_status": "SUCCEEDED", "user_role": "run_owner"})
		a.details().want(t, doc{"code": "FlowSucceeded"})
		if diff := cmp.Diff(map[string]string{"g": "1"}, tree(t, l.vault)); diff != "" {
			t.Errorf("the vault (-want +got):\n%s", diff)
		}
		var codes []string
		entries := l.flows(http.MethodGet, run+"/log", all, nil).doc["entries"].([]any)
		for _, entry := range entries {
			codes = append(codes, entry.(map[string]any)["code"].(string))
		}
		if diff := cmp.Diff([]string{"FlowStarted", "ActionStarted", "ActionCompleted", "FlowSucceeded"}, codes); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
		output := answer{doc: entries[2].(map[string]any)}.details().doc["output"].(map[string]any)
		task := l.call(http.MethodGet, "/task/"+output["action_id"].(string), nil)
		task.want(t, doc{"status": "SUCCEEDED", "files_transferred": 1})
		first := l.flows(http.MethodGet, run+"/log?limit=1&reverse_order=True", all, nil)
		if entry := first.doc["entries"].([]any)[0].(map[string]any); entry["code"] != "FlowSucceeded" || first.doc["has_next_page"] != true {
			t.Errorf("the last entry: %s", first.body)
		}
		l.flows(http.MethodGet, run+"/definition", all, nil).want(t, doc{"flow_id": globussim.FlowID("Transfer")})
		l.flows(http.MethodPut, run, all, doc{"label": "renamed", "tags": []string{"x"}}).want(t, doc{"label": "renamed"})

		l.flows(http.MethodPost, run+"/release", all, nil).want(t, doc{"status": "SUCCEEDED"})
		l.flows(http.MethodGet, run, all, nil).wantError(t, http.StatusNotFound, "NOT_FOUND")
	})
}

func TestRunsAreListedByLabelAndPage(t *testing.T) {
	inFlowLab(t, func(t *testing.T, l *lab) {
		all := bearer(t, l.Server, flowsScope)
		for _, label := range []string{"nightly 1", "nightly 2", "other", "Nightly 3"} {
			l.runFlow(label, "/f", "/"+label)
			time.Sleep(time.Hour)
		}
		list := func(query string) (labels []string, marker string) {
			t.Helper()
			a := l.flows(http.MethodGet, "/runs?"+query, all, nil)
			rows, ok := a.doc["runs"].([]any)
			if !ok {
				t.Fatalf("%s: %d %s", query, a.status, a.body)
			}
			for _, row := range rows {
				labels = append(labels, row.(map[string]any)["label"].(string))
			}
			return labels, a.text("marker")
		}
		for query, want := range map[string][]string{
			"":                     {"Nightly 3", "other", "nightly 2", "nightly 1"},
			"filter_label=NIGHTLY": {"Nightly 3", "nightly 2", "nightly 1"},
			"filter_flow_id=" + globussim.FlowID("none"):                             nil,
			"filter_flow_id=" + globussim.FlowID("Transfer") + "&filter_label=other": {"other"},
			"filter_status=ACTIVE,INACTIVE":                                          nil,
			"filter_roles=run_owner&orderby=label+ASC":                               {"Nightly 3", "nightly 1", "nightly 2", "other"},
			"filter_roles=run_monitor":                                               nil,
			"filter_start_time=2000-01-01T01:00,2000-01-01T03:00":                    {"other", "nightly 2"},
			"filter_flow_title=trans&filter_label=3":                                 {"Nightly 3"},
		} {
			if got, _ := list(query); !slices.Equal(got, want) {
				t.Errorf("%q lists %v, want %v", query, got, want)
			}
		}
		var labels []string
		for query := "per_page=2&filter_label=nightly"; ; {
			page, marker := list(query)
			labels = append(labels, page...)
			if marker == "" {
				break
			}
			query = "per_page=100&marker=" + marker // which alone counts
			if len(page) > 2 {
				t.Fatalf("a page has %d runs, want 2 at most", len(page))
			}
		}
		if want := []string{"Nightly 3", "nightly 2", "nightly 1"}; !slices.Equal(labels, want) {
			t.Errorf("the pages have %v, want %v", labels, want)
		}
		for _, wrong := range []string{"per_page=0", "per_page=x", "marker=%25", "orderby=x", "filter_start_time=soon"} {
			l.flows(http.MethodGet, "/runs?"+wrong, all, nil).wantError(t, http.StatusUnprocessableEntity, "UNPROCESSABLE_ENTITY")
		}
	})
}

func TestARunMayBeListedLater(t *testing.T) {
	inFlowLab(t, func(t *testing.T, l *lab) {
		l.order("answers", `{"runs_listed": 20}`)
		l.runFlow("x", "/f", "/g")
		all := bearer(t, l.Server, flowsScope)
		for _, want := range []int{0, 1} {
			if a := l.flows(http.MethodGet, "/runs", all, nil); len(a.doc["runs"].([]any)) != want {
				t.Errorf("the list is %s, want %d runs", a.body, want)
			}
			time.Sleep(20 * time.Second)
		}
	})
}

func TestAFaultAtFlowsHasTheDocumentOfFlows(t *testing.T) {
	inFlowLab(t, func(t *testing.T, l *lab) {
		l.Fail(globussim.Fault{Path: "/runs", Status: http.StatusTooManyRequests, Code: "RATE_LIMIT"})
		l.flows(http.MethodGet, "/runs", bearer(t, l.Server, flowsScope), nil).wantError(t, http.StatusTooManyRequests, "RATE_LIMIT")
	})
}

func TestARunIsCanceledWithItsTask(t *testing.T) {
	inFlowLab(t, func(t *testing.T, l *lab) {
		all := bearer(t, l.Server, flowsScope)
		run := l.runFlow("x", "/missing", "/g")
		time.Sleep(time.Minute)
		l.flows(http.MethodPost, run+"/release", all, nil).wantError(t, http.StatusConflict, "STATE_CONFLICT")
		a := l.flows(http.MethodPost, run+"/cancel", all, nil)
		if a.status != http.StatusAccepted {
			t.Errorf("the cancel answers %d %s", a.status, a.body)
		}
		time.Sleep(time.Minute)
		a = l.flows(http.MethodGet, run, all, nil)
		a.want(t, doc{"status": "FAILED"})
		a.details().want(t, doc{"code": "FlowCanceled"})
		if statuses := l.call(http.MethodGet, "/task_list", nil).column("status"); !slices.Equal(statuses, []string{"FAILED"}) {
			t.Errorf("the tasks are %v, want one that is canceled", statuses)
		}
	})
}

func TestARunWaitsForAConsent(t *testing.T) {
	inFlowLab(t, func(t *testing.T, l *lab) {
		all, flow := bearer(t, l.Server, flowsScope), globussim.FlowID("Transfer")
		run := l.runFlow("x", "/f", "/g")
		time.Sleep(time.Minute)
		a := l.flows(http.MethodGet, run, all, nil)
		a.want(t, doc{"status": "INACTIVE"})
		needed := runScope(flow) + "[" + transferAll + "[*https://auth.globus.org/scopes/" + l.labID + "/data_access]]"
		a.details().want(t, doc{"code": "ConsentRequired", "required_scope": needed})
		l.flows(http.MethodPost, run+"/resume", bearer(t, l.Server, needed), nil).want(t, doc{"status": "ACTIVE"})
		time.Sleep(time.Minute)
		l.flows(http.MethodGet, run, all, nil).want(t, doc{"status": "SUCCEEDED"})
		l.flows(http.MethodPost, run+"/resume", bearer(t, l.Server, needed), nil).wantError(t, http.StatusConflict, "STATE_CONFLICT")
	}, func(cfg *globussim.Config) { cfg.Collections[0].EntityType = globussim.MappedCollection })
}

func TestAFlowOfSeveralStates(t *testing.T) {
	definition := `{"StartAt": "Copy", "States": {
		"Copy": {"Type": "Action", "ActionUrl": "https://transfer.actions.globus.org/transfer", "ResultPath": "$.copy", "Next": "Wait",
			"Parameters": {"source_endpoint.$": "$.from", "destination_endpoint.$": "$.to", "DATA": [{"source_path": "/f", "destination_path": "/f"}]}},
		"Wait": {"Type": "Pass", "Next": "Remove"},
		"Remove": {"Type": "Action", "ActionUrl": "https://transfer.actions.globus.org/delete", "End": true,
			"Parameters": {"endpoint.$": "$.copy.details.source_endpoint_id", "DATA": [{"path": "/f"}]}}}}`
	inFlowLab(t, func(t *testing.T, l *lab) {
		flow := globussim.FlowID("Move")
		a := l.flows(http.MethodPost, "/flows/"+flow+"/run", bearer(t, l.Server, runScope(flow)), doc{"body": doc{"from": l.labID, "to": l.vaultID}})
		time.Sleep(time.Minute)
		a = l.flows(http.MethodGet, "/runs/"+a.text("run_id"), bearer(t, l.Server, flowsScope), nil)
		a.want(t, doc{"status": "SUCCEEDED"})
		if lab, vault := tree(t, l.lab), tree(t, l.vault); len(lab) > 0 || vault["f"] != "1" {
			t.Errorf("the lab has %v, the vault %v, want the file there alone; the run is %s", lab, vault, a.body)
		}
	}, func(cfg *globussim.Config) {
		cfg.Flows = append(cfg.Flows, globussim.Flow{Title: "Move", Definition: json.RawMessage(definition)})
	})
}

func TestAFlowIsRunByItsStartersWithItsScopeAndInput(t *testing.T) {
	inFlowLab(t, func(t *testing.T, l *lab) {
		flow, closed, all := globussim.FlowID("Transfer"), globussim.FlowID("Closed"), bearer(t, l.Server, flowsScope)
		token, good := bearer(t, l.Server, runScope(flow)), doc{"body": l.flowInput("/f", "/f")}
		for _, call := range []string{"run", "validate_run"} {
			l.flows(http.MethodPost, "/flows/"+flow+"/"+call, "", good).wantError(t, http.StatusUnauthorized, "AUTHENTICATION_ERROR")
			l.flows(http.MethodPost, "/flows/"+flow+"/"+call, all, good).wantError(t, http.StatusForbidden, "MISSING_SCOPE")
			l.flows(http.MethodPost, "/flows/"+closed+"/"+call, bearer(t, l.Server, runScope(closed)), good).wantError(t, http.StatusForbidden, "FORBIDDEN")
			l.flows(http.MethodPost, "/flows/"+flow+"/"+call, token, doc{"body": doc{}}).wantError(t, http.StatusBadRequest, "FLOW_INPUT_ERROR")
			l.flows(http.MethodPost, "/flows/"+flow+"/"+call, token, doc{}).wantError(t, http.StatusUnprocessableEntity, "UNPROCESSABLE_ENTITY")
			long := doc{"body": l.flowInput("/f", "/f"), "label": strings.Repeat("é", 65)}
			l.flows(http.MethodPost, "/flows/"+flow+"/"+call, token, long).wantError(t, http.StatusUnprocessableEntity, "UNPROCESSABLE_ENTITY")
		}
		l.flows(http.MethodPost, "/flows/"+flow+"/validate_run", token, good).want(t, doc{"message": "validation successful"})
		l.flows(http.MethodGet, "/runs", token, nil).wantError(t, http.StatusForbidden, "MISSING_SCOPE")
		l.flows(http.MethodGet, "/flows/"+flow, all, nil).want(t, doc{"id": flow, "title": "Transfer", "globus_auth_scope": runScope(flow)})
		described := l.flows(http.MethodGet, "/flows/"+flow, all, nil)
		for _, key := range []string{
			"created_at", "updated_at", "created_by", "flow_owner", "flow_url", "action_url", "principal_urn", "globus_auth_username",
			"visible_to", "runnable_by", "administered_by", "run_managers", "run_monitors", "types", "synchronous", "log_supported",
		} {
			if described.doc[key] == nil {
				t.Errorf("the flow does not have %q: %s", key, described.body)
			}
		}
		l.flows(http.MethodGet, "/flows/"+robot, all, nil).wantError(t, http.StatusNotFound, "NOT_FOUND")
		if flows := l.flows(http.MethodGet, "/flows", all, nil).doc["flows"].([]any); len(flows) != 2 {
			t.Errorf("there are %d flows, want 2", len(flows))
		}
		if runs := l.flows(http.MethodGet, "/runs", all, nil).doc["runs"].([]any); len(runs) != 0 {
			t.Errorf("there are %d runs, want none", len(runs))
		}
	}, func(cfg *globussim.Config) {
		cfg.Flows = append(cfg.Flows, globussim.Flow{Title: "Closed", Starters: []string{other}})
	})
}

func TestAFlowThatCannotBeIsNamed(t *testing.T) {
	for name, definition := range map[string]string{
		"no JSON":        `{`,
		"no start":       `{"States": {}}`,
		"an end missing": `{"StartAt": "a", "States": {"a": {"Type": "Pass"}}}`,
		"another type":   `{"StartAt": "a", "States": {"a": {"Type": "Choice", "End": true}}}`,
	} {
		cfg := world(t.TempDir())
		cfg.Flows = []globussim.Flow{{Title: "broken", Definition: json.RawMessage(definition)}}
		if _, err := globussim.New(cfg); err == nil || !strings.Contains(err.Error(), `flow "broken"`) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}
