package globussim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// maxAdminTasks is how many tasks one call of a manager may name.
const maxAdminTasks = 50

// managing returns the roles that may stop other people's tasks on a collection.
func managing() []string { return []string{Administrator, ActivityManager} }

// watching returns the roles that may see them.
func watching() []string { return append(managing(), ActivityMonitor) }

// An adminOrder is what a manager wants done to tasks.
type adminOrder struct {
	Tasks   []string `json:"task_id_list"`
	Message string   `json:"message"`
}

// administer does something to the tasks that a request names, if the caller may stop all of
// them. It calls do with the lock held.
func (sv *service) administer(q *request, do func(t *task, message string)) *apiError {
	var doc adminOrder
	if e := q.body(&doc); e != nil {
		return e
	}
	switch {
	case len(doc.Tasks) == 0:
		return badRequest("task_id_list is required")
	case len(doc.Tasks) > maxAdminTasks:
		return badRequest(fmt.Sprintf("task_id_list must not name more than %d tasks", maxAdminTasks))
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	var tasks []*task
	for _, id := range doc.Tasks {
		t, ok := sv.tasks[strings.ToLower(id)]
		if !ok || !t.src.has(q.owner, managing()...) && !t.dst.has(q.owner, managing()...) {
			return &apiError{
				Status: http.StatusForbidden, Code: "PermissionDenied",
				Message: "There is no task '" + id + "' on a collection whose activity you manage",
			}
		}
		tasks = append(tasks, t)
	}
	for _, t := range tasks {
		do(t, doc.Message)
	}
	return nil
}

// sideOf names the collections of a task that the identity manages.
func (t *task) sideOf(identity string) string {
	src, dst := t.src.has(identity, managing()...), t.dst.has(identity, managing()...)
	switch {
	case src && dst && t.src != t.dst:
		return "BOTH"
	case src:
		return "SOURCE"
	}
	return "DESTINATION"
}

// adminCancel answers POST /endpoint_manager/admin_cancel. Tasks that have ended
// stay as they are.
func (sv *service) adminCancel(q *request) (int, any, *apiError) {
	e := sv.administer(q, func(t *task, message string) {
		if t.final() {
			return
		}
		t.doc.CanceledByAdmin = new(t.sideOf(q.owner))
		t.doc.CanceledByAdminMessage = optional(message)
		sv.finish(t, codeCanceled, "Canceled by an administrator: "+message)
	})
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{"DATA_TYPE": "admin_cancel", "id": uuid.NewString(), "done": true}, nil
}

// adminCancelStatus answers GET /endpoint_manager/admin_cancel/<id>. A cancel is done at once,
// so the answer is always that it is done.
func (sv *service) adminCancelStatus(q *request) (int, any, *apiError) {
	id := q.PathValue("id")
	if uuid.Validate(id) != nil {
		return 0, nil, &apiError{Status: http.StatusNotFound, Code: "ClientError.NotFound", Message: "No such admin_cancel '" + id + "'"}
	}
	return http.StatusOK, map[string]any{"DATA_TYPE": "admin_cancel", "id": id, "done": true}, nil
}

// adminPause answers POST /endpoint_manager/admin_pause.
func (sv *service) adminPause(q *request) (int, any, *apiError) {
	e := sv.administer(q, func(t *task, message string) {
		sv.disturb(t, &Disturbance{Action: PauseTask, Message: message})
	})
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, q.result("result", "PauseAccepted", "The tasks are being paused"), nil
}

// adminResume answers POST /endpoint_manager/admin_resume. What a pause rule
// holds stays paused.
func (sv *service) adminResume(q *request) (int, any, *apiError) {
	e := sv.administer(q, func(t *task, _ string) {
		t.pausedBy = nil
		sv.hold(t)
	})
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, q.result("result", "ResumeAccepted", "The tasks are being resumed"), nil
}

// createPauseRule answers POST /endpoint_manager/pause_rule.
func (sv *service) createPauseRule(q *request) (int, any, *apiError) {
	var rule PauseRule
	if e := q.body(&rule); e != nil {
		return 0, nil, e
	}
	if e := sv.managesActivity(q, rule.Collection); e != nil {
		return 0, nil, e
	}
	id, err := sv.server.Pause(rule)
	if err != nil {
		return 0, nil, badRequest(err.Error())
	}
	doc := q.result("result", "Created", "The pause rule has been successfully created")
	doc["pause_rule_id"] = id
	return http.StatusCreated, doc, nil
}

// managesActivity refuses a caller who may not stop what others do on a
// collection.
func (sv *service) managesActivity(q *request, collection string) *apiError {
	p, e := sv.find(collection)
	if e == nil && !p.has(q.owner, managing()...) {
		e = &apiError{
			Status: http.StatusForbidden, Code: "PermissionDenied",
			Message: "You must be an administrator or activity manager of the collection " + p.Name,
		}
	}
	return e
}

// pauseRule returns the index of the rule that the URL names, if the caller may
// see it. The caller holds the lock.
func (sv *service) pauseRule(q *request) (int, *apiError) {
	id := strings.ToLower(q.PathValue("id"))
	i := slices.IndexFunc(sv.pauses, func(p *pause) bool { return p.ID == id })
	if i < 0 || !sv.byID[sv.pauses[i].Collection].has(q.owner, watching()...) {
		return 0, &apiError{Status: http.StatusNotFound, Code: "PauseRuleNotFound", Message: "No such pause rule '" + id + "'"}
	}
	return i, nil
}

// getPauseRule answers GET /endpoint_manager/pause_rule/<id>.
func (sv *service) getPauseRule(q *request) (int, any, *apiError) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	i, e := sv.pauseRule(q)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, *sv.pauses[i], nil
}

// updatePauseRule answers PUT /endpoint_manager/pause_rule/<id>: the message and
// the flags can change.
func (sv *service) updatePauseRule(q *request) (int, any, *apiError) {
	return sv.changePauseRule(q, "Updated", func(i int) *apiError {
		changed := *sv.pauses[i]
		if e := q.body(&changed.PauseRule); e != nil {
			return e
		}
		changed.Collection = sv.pauses[i].Collection
		sv.pauses[i] = &changed
		return nil
	})
}

// deletePauseRule answers DELETE /endpoint_manager/pause_rule/<id>.
func (sv *service) deletePauseRule(q *request) (int, any, *apiError) {
	return sv.changePauseRule(q, "Deleted", func(i int) *apiError {
		sv.pauses = slices.Delete(sv.pauses, i, i+1)
		return nil
	})
}

func (sv *service) changePauseRule(q *request, code string, change func(i int) *apiError) (int, any, *apiError) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	i, e := sv.pauseRule(q)
	if e != nil {
		return 0, nil, e
	}
	if e := sv.managesActivity(q, sv.pauses[i].Collection); e != nil {
		return 0, nil, e
	}
	if e := change(i); e != nil {
		return 0, nil, e
	}
	sv.holdAll()
	return http.StatusOK, q.result("result", code, "The pause rule has been successfully "+strings.ToLower(code)), nil
}
