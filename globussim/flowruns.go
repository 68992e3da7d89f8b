package globussim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// ended reports whether a run has ended.
func (fs *flows) ended(r *run) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return r.final()
}

// document describes a run.
func (fs *flows) document(r *run) map[string]any {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return r.document()
}

// document describes a run. The caller holds mu.
func (r *run) document() map[string]any {
	doc := map[string]any{
		"run_id": r.id, "action_id": r.id, "flow_id": r.flow.ID, "flow_title": r.flow.Title, "flow_last_updated": flowTime(flowMade()),
		"start_time": flowTime(r.started), "status": r.status, "display_status": r.status, "details": r.details,
		"label": r.label, "tags": append([]string{}, r.tags...), "run_owner": identityURN(r.identity), "created_by": identityURN(r.identity),
		"run_managers": append([]string{}, r.managers...), "run_monitors": append([]string{}, r.monitors...),
		"manage_by": append([]string{}, r.managers...), "monitor_by": append([]string{}, r.monitors...), "user_role": "run_owner",
	}
	if !r.completed.IsZero() {
		doc["completion_time"] = flowTime(r.completed)
	}
	return doc
}

// changed describes a run that was started or changed, with the task that writes it
// to the service's index. The caller holds mu.
func (r *run) changed() map[string]any {
	doc := r.document()
	doc["search"] = map[string]any{"task_id": nameID("search " + r.id)}
	return doc
}

// find returns a run that has not been released, or nil. The caller holds mu.
func (fs *flows) find(id string) *run {
	i := slices.IndexFunc(fs.runs, func(r *run) bool { return r.id == strings.ToLower(id) && !r.released })
	if i < 0 {
		return nil
	}
	return fs.runs[i]
}

// one finds the run that a request names.
func (fs *flows) one(h func(r *http.Request, of *run) (int, any, *apiError)) flowHandler {
	return func(r *http.Request, owner holder) (int, any, *apiError) {
		found := fs.find(r.PathValue("run"))
		if found == nil || found.identity != owner.identity {
			return 0, nil, &apiError{Status: http.StatusNotFound, Code: "NOT_FOUND", Message: "There is no run '" + r.PathValue("run") + "' that you may see"}
		}
		return h(r, found)
	}
}

// get answers GET /runs/<run>.
func (fs *flows) get(r *http.Request, of *run) (int, any, *apiError) {
	doc := of.document()
	if flowFlag(r, "include_flow_description") {
		doc["flow_description"] = of.flow.description()
	}
	return http.StatusOK, doc, nil
}

func (fs *flows) definition(_ *http.Request, of *run) (int, any, *apiError) {
	return http.StatusOK, map[string]any{"flow_id": of.flow.ID, "definition": of.flow.Definition, "input_schema": map[string]any{}}, nil
}

// update answers PUT /runs/<run>.
func (fs *flows) update(r *http.Request, of *run) (int, any, *apiError) {
	var form struct {
		Label    *string   `json:"label"`
		Tags     *[]string `json:"tags"`
		Managers *[]string `json:"run_managers"`
		Monitors *[]string `json:"run_monitors"`
	}
	if err := json.NewDecoder(r.Body).Decode(&form); err != nil {
		return 0, nil, &apiError{Status: http.StatusUnprocessableEntity, Code: "UNPROCESSABLE_ENTITY", Message: "The body is not a run"}
	}
	fs.changed(of)
	if form.Label != nil {
		of.label = *form.Label
	}
	for from, to := range map[*[]string]*[]string{form.Tags: &of.tags, form.Managers: &of.managers, form.Monitors: &of.monitors} {
		if from != nil {
			*to = *from
		}
	}
	return http.StatusOK, of.changed(), nil
}

// cancel answers POST /runs/<run>/cancel.
func (fs *flows) cancel(_ *http.Request, of *run) (int, any, *apiError) {
	status := failed
	if fs.server.answers.Load().EndCanceledRuns {
		status = flowEnded
	}
	fs.end(of, status, flowCanceled, "The Flow Instance was canceled by the user")
	of.stop()
	return http.StatusAccepted, of.changed(), nil
}

// wrongState refuses what a run's status does not allow.
func wrongState(of *run, want string) *apiError {
	return &apiError{
		Status: http.StatusConflict, Code: "STATE_CONFLICT",
		Message: fmt.Sprintf("Run %s has status '%s' but must have status in {%s} for requested operation", of.id, of.status, want),
	}
}

// release answers POST /runs/<run>/release: the record is deleted.
func (fs *flows) release(_ *http.Request, of *run) (int, any, *apiError) {
	if !of.final() {
		return 0, nil, wrongState(of, "'ENDED', 'SUCCEEDED', 'FAILED'")
	}
	of.released = true
	fs.changed(of)
	return http.StatusOK, of.changed(), nil
}

// resume answers POST /runs/<run>/resume.
func (fs *flows) resume(_ *http.Request, of *run) (int, any, *apiError) {
	if of.status != inactive {
		return 0, nil, wrongState(of, "'INACTIVE'")
	}
	fs.launch(of)
	return http.StatusOK, of.changed(), nil
}
