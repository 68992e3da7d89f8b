package globussim

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"
)

// The end of a run that was done as its flow says, and its end by a person.
const (
	flowSucceeded = "FlowSucceeded"
	flowFailed    = "FlowFailed"
	flowCanceled  = "FlowCanceled"
)

// flowEnded is the status of a run that has neither succeeded nor failed.
const flowEnded = "ENDED"

// A run is one execution of a flow. Its fields below are guarded by the mu of
// flows.
type run struct {
	holder
	id      string
	flow    *Flow
	input   map[string]any
	started time.Time

	label              string
	tags               []string
	managers, monitors []string
	status             string
	details            map[string]any
	completed          time.Time
	at                 string         // the state that it is in
	output             map[string]any // of the states before, with the input
	entries            []logEntry     // oldest first
	stop               context.CancelFunc
	released           bool
}

// A logEntry is what happened in a run.
type logEntry struct {
	Time        string         `json:"time"`
	Code        string         `json:"code"`
	Description string         `json:"description"`
	Details     map[string]any `json:"details"`
}

func (r *run) final() bool {
	return r.status == succeeded || r.status == failed || r.status == flowEnded
}

// note adds an entry to the log. The caller holds mu.
func (fs *flows) note(r *run, code, description string, details map[string]any) {
	fs.changed(r)
	r.entries = append(r.entries, logEntry{flowTime(fs.server.now()), code, description, details})
}

// launch lets a run go on from the state that it is in. The caller holds mu.
func (fs *flows) launch(r *run) {
	ctx, stop := context.WithCancel(context.Background())
	r.status, r.stop = active, stop
	fs.changed(r)
	r.details = map[string]any{"code": "FlowStarting", "description": "The Flow is starting execution", "details": map[string]any{"input": r.input}}
	fs.work.Go(func() {
		defer stop()
		for fs.step(ctx, r) {
		}
	})
}

// step does the state that a run is in, and reports whether there is another.
func (fs *flows) step(ctx context.Context, r *run) bool {
	fs.mu.Lock()
	name, input := r.at, maps.Clone(r.output)
	fs.mu.Unlock()
	s := r.flow.machine.States[name]
	began := func(parameters any) {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		fs.note(r, s.Type+"Started", "State "+name+" of type "+s.Type+" started", map[string]any{"state_name": name, "state_type": s.Type, "input": parameters})
	}
	parameters, err := fill(s.Parameters, input)
	if err != nil {
		return fs.finish(r, failed, flowFailed, "State "+name+": "+err.Error())
	}
	began(parameters)
	var result any
	if s.Type == "Action" {
		var e *apiError
		result, e = fs.act(ctx, r, name, parameters)
		switch {
		case ctx.Err() != nil:
			return false // canceled, or the simulator is closed
		case e != nil && e.AuthorizationParameters != nil:
			return fs.suspend(r, name, e)
		case e != nil:
			return fs.finish(r, failed, flowFailed, "State "+name+": "+e.Code+": "+e.Message)
		}
	}
	fs.mu.Lock()
	fs.note(r, s.Type+"Completed", "State "+name+" of type "+s.Type+" completed", map[string]any{"state_name": name, "state_type": s.Type, "output": result})
	if key, ok := strings.CutPrefix(s.ResultPath, "$."); ok && result != nil {
		r.output[key] = result
	}
	r.at = s.Next
	fs.mu.Unlock()
	if action, ok := result.(map[string]any); ok && action["status"] == failed {
		return fs.finish(r, failed, flowFailed, "State "+name+": the action failed")
	}
	if s.End {
		return fs.finish(r, succeeded, flowSucceeded, "The Flow run reached a successful completion state")
	}
	return true
}

// act does the action of a state and waits for its end.
func (fs *flows) act(ctx context.Context, r *run, name string, parameters any) (any, *apiError) {
	s := r.flow.machine.States[name]
	doc, _ := parameters.(map[string]any)
	if doc == nil {
		doc = map[string]any{}
	}
	kind := "transfer"
	switch {
	case strings.HasSuffix(s.ActionURL, "/delete"):
		kind = "delete"
	case !strings.HasSuffix(s.ActionURL, "/transfer"):
		return nil, badRequest("the action " + s.ActionURL + " is not simulated")
	}
	sv := fs.server.transfer
	id, _, e := sv.submitFor(ctx, r.holder, flowScope(r.flow.ID), kind, keptID(r.id, name), doc)
	if e != nil {
		return nil, e
	}
	select {
	case <-sv.ended(id):
	case <-ctx.Done():
		if fs.ended(r) { // and the simulator is not closed
			sv.cancel(id)
		}
	}
	action := sv.action(r.holder, id)
	action["state_name"] = name
	return action, nil
}

// suspend makes a run wait for a consent of its owner, after which it can be
// resumed.
func (fs *flows) suspend(r *run, name string, e *apiError) bool {
	scope := e.RequiredScopes[0]
	fs.mu.Lock()
	defer fs.mu.Unlock()
	r.status = inactive
	r.details = map[string]any{
		"code": e.Code, "description": e.Message, "required_scope": scope, "state_name": name,
		"action_statuses": []any{map[string]any{
			"state_name": name, "status": inactive, "display_status": inactive, "creator_id": identityURN(r.identity),
			"details": map[string]any{"code": e.Code, "description": e.Message, "required_scope": scope, "resolution_url": nil},
		}},
	}
	fs.note(r, "FlowInactive", e.Message, map[string]any{"state_name": name, "required_scope": scope})
	return false
}

// finish ends a run, unless it has ended.
func (fs *flows) finish(r *run, status, code, description string) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.end(r, status, code, description)
	return false
}

// end is finish for a caller who holds mu.
func (fs *flows) end(r *run, status, code, description string) {
	if r.final() {
		return
	}
	r.status, r.completed = status, fs.server.now()
	r.details = map[string]any{"code": code, "description": description, "output": maps.Clone(r.output)}
	if code == flowCanceled {
		r.details = map[string]any{"time": flowTime(r.completed), "code": code, "description": description, "details": map[string]any{}}
	}
	fs.note(r, code, description, map[string]any{"output": maps.Clone(r.output)})
}

// ended returns a channel that is closed when the task has ended, at once if
// there is none.
func (sv *service) ended(id string) <-chan struct{} {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if t, ok := sv.tasks[id]; ok {
		return t.over
	}
	none := make(chan struct{})
	close(none)
	return none
}

// cancel ends a task in the name of its owner.
func (sv *service) cancel(id string) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if t, ok := sv.tasks[id]; ok && !t.final() && !sv.closed {
		sv.finish(t, codeCanceled, "Canceled by the task owner")
	}
}

// deepCopy is a copy of a JSON document, so that what a run holds is its own.
func deepCopy(doc map[string]any) map[string]any {
	var out map[string]any
	if data, err := json.Marshal(doc); err != nil || json.Unmarshal(data, &out) != nil {
		return map[string]any{}
	}
	return out
}
