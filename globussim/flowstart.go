package globussim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// maxFlowLabel is how many characters the label of a run may have.
const maxFlowLabel = 64

// A runForm is the request for a run. Only body is required.
type runForm struct {
	Body     map[string]any `json:"body"`
	Label    string         `json:"label"`
	Tags     []string       `json:"tags"`
	Managers []string       `json:"run_managers"`
	Monitors []string       `json:"run_monitors"`
}

// parseRun reads the request for a run of a flow and checks whether the holder may
// have it.
func (fs *flows) parseRun(owner holder, flow string, body any) (*run, *apiError) {
	f, e := fs.flow(flow)
	if e != nil {
		return nil, e
	}
	var form runForm
	data, err := json.Marshal(body)
	if err != nil || json.Unmarshal(data, &form) != nil {
		return nil, &apiError{Status: http.StatusUnprocessableEntity, Code: "UNPROCESSABLE_ENTITY", Message: "The body is not a run"}
	}
	switch {
	case form.Body == nil:
		return nil, &apiError{Status: http.StatusUnprocessableEntity, Code: "UNPROCESSABLE_ENTITY", Message: "body is required"}
	case utf8.RuneCountInString(form.Label) > maxFlowLabel:
		return nil, &apiError{Status: http.StatusUnprocessableEntity, Code: "UNPROCESSABLE_ENTITY", Message: fmt.Sprintf("label has more than %d characters", maxFlowLabel)}
	case f.Starters != nil && !slices.ContainsFunc(f.Starters, func(id string) bool { return strings.EqualFold(id, owner.identity) }):
		return nil, &apiError{
			Status: http.StatusForbidden, Code: "FORBIDDEN",
			Message: "You do not have the necessary permissions to perform this action on the flow with id value " + f.ID + ". Missing permissions: RUN.",
		}
	}
	if s := f.machine.States[f.machine.StartAt]; s.Parameters != nil {
		if _, err := fill(s.Parameters, form.Body); err != nil {
			return nil, &apiError{Status: http.StatusBadRequest, Code: "FLOW_INPUT_ERROR", Message: err.Error()}
		}
	}
	return &run{
		holder: owner, flow: f, input: form.Body, output: deepCopy(form.Body), at: f.machine.StartAt,
		label: form.Label, tags: form.Tags, managers: form.Managers, monitors: form.Monitors, started: fs.server.now(),
	}, nil
}

// startFor starts a run with an id of its own in the name of a holder, or returns
// the one that has the id.
func (fs *flows) startFor(owner holder, id, flow string, body any) (*run, *apiError) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if i := slices.IndexFunc(fs.runs, func(r *run) bool { return r.id == id }); i >= 0 {
		return fs.runs[i], nil
	}
	return fs.add(owner, id, flow, body)
}

// add starts a run. The caller holds mu.
func (fs *flows) add(owner holder, id, flow string, body any) (*run, *apiError) {
	r, e := fs.parseRun(owner, flow, body)
	if e != nil {
		return nil, e
	}
	r.id = id
	fs.runs = append(fs.runs, r)
	fs.note(r, "FlowStarted", "The Flow Instance started execution", map[string]any{"input": r.input})
	fs.launch(r)
	return r, nil
}

// start answers POST /flows/<flow>/run. It has no key by which a repetition could
// be told: each makes a run.
func (fs *flows) start(r *http.Request, owner holder) (int, any, *apiError) {
	body, e := anyBody(r)
	if e != nil {
		return 0, nil, e
	}
	started, e := fs.add(owner, uuid.NewString(), r.PathValue("flow"), body)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusCreated, started.changed(), nil
}

// validate answers POST /flows/<flow>/validate_run.
func (fs *flows) validate(r *http.Request, owner holder) (int, any, *apiError) {
	body, e := anyBody(r)
	if e == nil {
		_, e = fs.parseRun(owner, r.PathValue("flow"), body)
	}
	return http.StatusOK, map[string]any{"message": "validation successful"}, e
}

func anyBody(r *http.Request) (body any, e *apiError) {
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, &apiError{Status: http.StatusUnprocessableEntity, Code: "UNPROCESSABLE_ENTITY", Message: "The body is not valid JSON"}
	}
	return body, nil
}
