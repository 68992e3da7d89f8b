package globussim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// An Action is what a [Disturbance] does to a task.
type Action string

// The actions of a [Disturbance].
const (
	FailTask    Action = "fail"     // it ends FAILED with Code
	StallTask   Action = "stall"    // it stays ACTIVE and OK, without any progress
	SuspendTask Action = "inactive" // it becomes INACTIVE, as with expired credentials
	PauseTask   Action = "pause"    // it is paused by an administrator, with Message
	SlowTask    Action = "slow"     // it moves no more than Rate
	ReleaseTask Action = "release"  // what the other actions hold goes on
)

// A Disturbance orders how tasks misbehave. It is also a document of the
// control path, POST /_sim/tasks.
type Disturbance struct {
	Action Action `json:"action"`
	// Task is the id of a task that exists. If it is empty, the order is for
	// the next tasks to be submitted; a release is then for all unfinished
	// tasks.
	Task string `json:"task_id,omitempty"`
	// Label is a shell pattern of the task's label, for orders without Task;
	// empty matches every task.
	Label string `json:"label,omitempty"`
	// Times is for how many tasks the order is; 0 means one, and a negative
	// number all that come.
	Times int `json:"times,omitempty"`
	// AfterFiles lets so many files be transferred first.
	AfterFiles int `json:"after_files,omitempty"`
	// Code is that of the failure or of the suspension; empty means
	// ENDPOINT_ERROR or CREDENTIALS_EXPIRED.
	Code string `json:"code,omitempty"`
	// Message is the text of the event or of the pause.
	Message string `json:"message,omitempty"`
	// Rate is the new rate in bytes per second.
	Rate int64 `json:"rate,omitempty"`
}

// An order is a Disturbance for tasks that are still to come.
type order struct {
	Disturbance
	left int // how many tasks; negative means all
}

func (d *Disturbance) matches(t *task) bool {
	return d.Label == "" || glob(d.Label, text(t.doc.Label))
}

// Disturb orders disturbances of tasks. If an action or a task does not exist, the error names
// it; the orders before it are carried out.
func (s *Server) Disturb(orders ...Disturbance) error {
	sv := s.transfer
	sv.mu.Lock()
	defer sv.mu.Unlock()
	for _, d := range orders {
		if !slices.Contains([]Action{FailTask, StallTask, SuspendTask, PauseTask, SlowTask, ReleaseTask}, d.Action) {
			return fmt.Errorf("there is no action %q", d.Action)
		}
		switch {
		case d.Task != "":
			t := sv.tasks[strings.ToLower(d.Task)]
			if t == nil {
				return fmt.Errorf("there is no task %q", d.Task)
			}
			sv.arm(t, &d)
		case d.Action == ReleaseTask:
			for _, t := range sv.submitted {
				if !t.final() && d.matches(t) {
					sv.arm(t, &d)
				}
			}
		default:
			sv.orders = append(sv.orders, &order{d, cmp.Or(d.Times, 1)})
		}
	}
	return nil
}

// obey gives a new task the orders that wait for it.
func (sv *service) obey(t *task) {
	for _, o := range sv.orders {
		if o.left != 0 && o.matches(t) {
			o.left--
			t.armed = append(t.armed, &o.Disturbance)
		}
	}
	sv.orders = slices.DeleteFunc(sv.orders, func(o *order) bool { return o.left == 0 })
}

func (sv *service) arm(t *task, d *Disturbance) {
	t.armed = append(t.armed, d)
	t.changed()
	if t.started {
		sv.trigger(t)
	}
}

// trigger carries out the orders that are due. The caller holds the lock.
func (sv *service) trigger(t *task) {
	for i := 0; i < len(t.armed); {
		d := t.armed[i]
		if t.doc.FilesTransferred < d.AfterFiles {
			i++
			continue
		}
		t.armed = slices.Delete(t.armed, i, i+1)
		sv.disturb(t, d)
	}
}

func (sv *service) disturb(t *task, d *Disturbance) {
	if t.final() {
		return
	}
	t.changed()
	switch d.Action {
	case FailTask:
		t.doc.Faults++
		code := cmp.Or(d.Code, codeEndpoint)
		sv.finish(t, code, cmp.Or(d.Message, describe(code)))
		return
	case StallTask:
		t.stalled = true
	case SuspendTask:
		code := cmp.Or(d.Code, codeCredentials)
		t.doc.Status = inactive
		t.setNice(false, code, describe(code))
		t.note(code, cmp.Or(d.Message, describe(code)), true)
	case PauseTask:
		t.pausedBy = d
	case SlowTask:
		t.rate = d.Rate
	case ReleaseTask:
		t.stalled, t.pausedBy, t.rate, t.armed = false, nil, 0, nil
		if t.doc.Status == inactive {
			t.doc.Status = active
			t.setNice(true, "OK", "OK")
		}
	}
	sv.hold(t)
}

// hold stops a task or lets it go on, as its orders and the pause rules of its collections
// say.
func (sv *service) hold(t *task) {
	if t.final() {
		return
	}
	paused := t.pausedBy != nil || len(sv.rulesFor(t)) > 0
	if paused != t.doc.IsPaused {
		t.doc.IsPaused = paused
		code, by := "UNPAUSED", defaultDeadline
		if paused {
			code, by = "PAUSED", pausedDeadline
		}
		t.note(code, "", false)
		if t.ownDeadline {
			sv.postpone(t, by)
		}
	}
	switch held := paused || t.stalled || t.doc.Status == inactive; {
	case held && t.held == nil:
		t.held = make(chan struct{})
	case !held && t.held != nil:
		close(t.held)
		t.held = nil
	}
}

// postpone moves a deadline that the submission did not name.
func (sv *service) postpone(t *task, by time.Duration) {
	t.changed()
	t.doc.Deadline = stamp{sv.server.now().Add(by)}
	t.expiry.Reset(by)
}

// A TaskState is what the simulator knows about a task.
type TaskState struct {
	TaskID       string `json:"task_id"`
	SubmissionID string `json:"submission_id"`
	// Submissions is how often a document with this submission id was posted
	// and answered Accepted or Duplicate.
	Submissions      int    `json:"submissions"`
	Owner            string `json:"owner"` // client id
	Type             string `json:"type"`
	Status           string `json:"status"`
	Label            string `json:"label"`
	NiceStatus       string `json:"nice_status"`
	Faults           int    `json:"faults"`
	FilesTransferred int    `json:"files_transferred"`
	BytesTransferred int64  `json:"bytes_transferred"`
	Removed          bool   `json:"removed"` // by its owner, and no longer listed
}

// state describes all tasks in the order of their submission.
func (sv *service) state() []TaskState {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	states := make([]TaskState, 0, len(sv.submitted))
	for _, t := range sv.submitted {
		states = append(states, TaskState{
			TaskID: t.doc.TaskID, SubmissionID: t.submissionID, Submissions: t.submissions, Owner: t.owner,
			Type: t.doc.Type, Status: t.doc.Status, Label: text(t.doc.Label), NiceStatus: text(t.doc.NiceStatus),
			Faults: t.doc.Faults, FilesTransferred: t.doc.FilesTransferred, BytesTransferred: t.doc.BytesTransferred,
			Removed: t.removed,
		})
	}
	return states
}

// controlRoutes adds what changes tasks and collections from outside.
func (sv *service) controlRoutes(mux *router) {
	control := func(h handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			status, doc, e := h(&request{Request: r, query: r.URL.Query()})
			if e != nil {
				writeError(w, r, e)
				return
			}
			writeJSON(w, status, doc)
		}
	}
	mux.HandleFunc("GET /_sim/tasks", control(func(*request) (int, any, *apiError) {
		return http.StatusOK, sv.state(), nil
	}))
	mux.HandleFunc("POST /_sim/tasks", control(func(q *request) (int, any, *apiError) {
		var d Disturbance
		if e := q.body(&d); e != nil {
			return 0, nil, e
		}
		if err := sv.server.Disturb(d); err != nil {
			return 0, nil, badRequest(err.Error())
		}
		return http.StatusOK, d, nil
	}))
	mux.HandleFunc("GET /_sim/collections/{id}", control(sv.getCondition))
	mux.HandleFunc("POST /_sim/collections/{id}", control(sv.postCondition))
	mux.HandleFunc("POST /_sim/pauses", control(func(q *request) (int, any, *apiError) {
		var rule PauseRule
		if e := q.body(&rule); e != nil {
			return 0, nil, e
		}
		id, err := sv.server.Pause(rule)
		if err != nil {
			return 0, nil, badRequest(err.Error())
		}
		return http.StatusOK, map[string]string{"id": id}, nil
	}))
	mux.HandleFunc("DELETE /_sim/pauses/{id}", control(func(q *request) (int, any, *apiError) {
		if !sv.server.Resume(q.PathValue("id")) {
			return 0, nil, badRequest("there is no such pause rule")
		}
		return http.StatusOK, map[string]string{"id": q.PathValue("id")}, nil
	}))
}
