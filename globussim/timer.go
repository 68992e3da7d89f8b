package globussim

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const timerScope = scopeBase + timersServer + "/timer"

// timers is the Timers side of a [Server]: it starts what timers are for when
// they are due.
type timers struct {
	server *Server

	mu   sync.Mutex
	kept []*timer // of all owners, oldest first
}

// A timer is one that an identity has made.
type timer struct {
	holder    // its owner, and through which client
	id        string
	name      string
	kind      string // transfer or flow
	flow      string // id of the flow
	schedule  recurrence
	body      map[string]any
	submitted time.Time
	next      time.Time
	paused    bool
	inactive  any // the reason, if the owner did not pause it
	removed   bool
	alarm     *time.Timer

	runs, errors int
	ran          time.Time  // zero: never
	results      []timerRun // oldest first
}

func isTimers(r *http.Request) bool {
	return r.URL.Path == "/jobs" || strings.HasPrefix(r.URL.Path, "/jobs/") || r.URL.Path == "/v2/timer"
}

// routes adds the Timers API to mux.
func (ts *timers) routes(mux *router) {
	for pattern, h := range map[string]timerHandler{
		"POST /v2/timer":         ts.create,
		"POST /jobs/{$}":         ts.createJob,
		"GET /jobs/{$}":          ts.list,
		"GET /jobs":              ts.list, // the JavaScript SDK leaves the slash out
		"GET /jobs/{id}":         ts.one(ts.get),
		"PATCH /jobs/{id}":       ts.one(ts.rename),
		"DELETE /jobs/{id}":      ts.one(ts.remove),
		"POST /jobs/{id}/pause":  ts.one(ts.pause),
		"POST /jobs/{id}/resume": ts.one(ts.resume),
		"/jobs/":                 ts.nothing,
		"/v2/timer":              ts.nothing,
	} {
		mux.HandleFunc(pattern, ts.serve(h))
	}
}

// A timerHandler answers one call with a status and a document.
type timerHandler func(r *http.Request, owner holder) (int, any)

func (ts *timers) serve(h timerHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, doc := http.StatusUnauthorized, timerError(http.StatusUnauthorized, "UNAUTHORIZED", "The token is missing, not active or not for this service")
		t, ok := ts.server.auth.active(bearer(r), ts.server.now())
		switch {
		case !ok || t.server != timersServer:
		case !slices.Contains(t.scopes, timerScope):
			status, doc = http.StatusForbidden, timerError(http.StatusForbidden, "FORBIDDEN", "The token does not have the scope "+timerScope)
		default:
			ts.mu.Lock()
			status, doc = h(r, t.holder)
			ts.mu.Unlock()
		}
		writeJSON(w, status, doc)
	}
}

// timerError is an error document of the Timers service.
func timerError(status int, code, detail string) any {
	return map[string]any{"error": map[string]any{"code": code, "detail": detail, "status": status}}
}

func (ts *timers) nothing(r *http.Request, _ holder) (int, any) {
	if r.URL.Path == "/jobs/" || r.URL.Path == "/v2/timer" {
		return http.StatusMethodNotAllowed, map[string]any{"detail": "Method Not Allowed"}
	}
	return http.StatusNotFound, map[string]any{"detail": "Not Found"}
}

// create answers POST /v2/timer.
func (ts *timers) create(r *http.Request, owner holder) (int, any) {
	data, _ := io.ReadAll(r.Body) // it is in memory
	t, invalid := parseTimer(data, ts.server.now())
	if len(invalid) > 0 {
		return http.StatusUnprocessableEntity, map[string]any{"detail": invalid}
	}
	ts.add(t, owner)
	return http.StatusCreated, map[string]any{"timer": ts.created(t)}
}

// createJob answers POST /jobs/, with which older clients make a timer.
func (ts *timers) createJob(r *http.Request, owner holder) (int, any) {
	data, _ := io.ReadAll(r.Body) // it is in memory
	t, invalid := parseJob(data, ts.server.now())
	if len(invalid) > 0 {
		return http.StatusUnprocessableEntity, map[string]any{"detail": invalid}
	}
	ts.add(t, owner)
	return http.StatusCreated, ts.job(t)
}

// add keeps a new timer, and starts it when it is due.
func (ts *timers) add(t *timer, owner holder) {
	now := ts.server.now()
	t.holder, t.id, t.submitted = owner, uuid.NewString(), now.Truncate(time.Second)
	ts.kept = append(ts.kept, t)
	t.next = t.schedule.first(t.next, now)
	ts.arm(t)
	ts.changed(t)
}

// created is a new timer. One that runs a flow has the keys of a job but for the
// start, and its results without pages.
func (ts *timers) created(t *timer) map[string]any {
	if t.kind == "flow" {
		doc := ts.job(t)
		delete(doc, "start")
		doc["results"] = []any{}
		return doc
	}
	doc := map[string]any{"body": t.body, "number_of_errors": 0, "number_of_runs": 0}
	maps.Copy(doc, t.document())
	return doc
}

// document is what both forms of a timer have.
func (t *timer) document() map[string]any {
	doc := map[string]any{
		"job_id": t.id, "name": t.name, "timer_type": t.kind, "status": "new", "schedule": t.schedule,
		"submitted_at": timestamp(t.submitted), "next_run": timestamp(t.next), "last_ran_at": nil, "inactive_reason": nil,
	}
	if t.runs > 0 {
		doc["status"], doc["last_ran_at"] = "loaded", timestamp(t.ran)
	}
	switch {
	case t.ended():
		doc["status"], doc["next_run"] = "ended", nil
	case t.inactive != nil:
		doc["status"], doc["inactive_reason"] = "inactive", t.inactive
	case t.paused:
		doc["status"], doc["inactive_reason"] = "inactive", map[string]any{"cause": "user", "detail": nil}
	}
	return doc
}

// job is a timer as below /jobs/.
func (ts *timers) job(t *timer) map[string]any {
	results := []any{}
	for _, r := range t.results {
		results = append(results, ts.document(t, r))
	}
	slices.Reverse(results)
	doc := map[string]any{
		"start": cmp.Or(t.schedule.Start, t.schedule.Datetime), "interval": nil, "stop_after": t.schedule.stopAfter(), "scope": nil,
		"callback_url":  "https://transfer.actions.globus.org/transfer/run",
		"callback_body": map[string]any{"body": t.body},
		"n_runs":        t.runs, "n_errors": t.errors,
		"results": map[string]any{"data": results, "page_next": nil},
	}
	if t.schedule.Type == recurring {
		doc["interval"] = float64(t.schedule.Interval)
	}
	if t.kind == "flow" {
		doc["callback_url"], doc["callback_body"] = "https://flows.automate.globus.org/flows/"+t.flow+"/run", t.body
		doc["scope"] = flowScope(t.flow)
	}
	maps.Copy(doc, t.document())
	return doc
}

// timestamp writes a time as Timers does.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }

// list answers GET /jobs/.
func (ts *timers) list(r *http.Request, owner holder) (int, any) {
	query := r.URL.Query()
	name, statuses := strings.ToLower(query.Get("filter_name")), query.Get("filter_status")
	rows := []any{}
	for _, t := range ts.kept {
		status := "active"
		switch {
		case t.ended():
			status = "ended"
		case t.paused:
			status = "inactive"
		}
		if t.identity == owner.identity && strings.Contains(strings.ToLower(t.name), name) &&
			(statuses == "" || slices.Contains(strings.Split(statuses, ","), status)) {
			rows = append(rows, ts.job(t))
		}
	}
	return http.StatusOK, map[string]any{"jobs": rows}
}

// one finds the timer that a request names.
func (ts *timers) one(h func(r *http.Request, t *timer) (int, any)) timerHandler {
	return func(r *http.Request, owner holder) (int, any) {
		for _, t := range ts.kept {
			if t.identity == owner.identity && t.id == strings.ToLower(r.PathValue("id")) {
				return h(r, t)
			}
		}
		return http.StatusNotFound, timerError(http.StatusNotFound, "NOT_FOUND", "There is no job "+r.PathValue("id"))
	}
}

func (ts *timers) get(_ *http.Request, t *timer) (int, any) { return http.StatusOK, ts.job(t) }

func (ts *timers) rename(r *http.Request, t *timer) (int, any) {
	var change struct {
		Name *string `json:"name"`
	}
	if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
		return http.StatusUnprocessableEntity, map[string]any{"detail": []invalidField{notJSON()}}
	}
	if change.Name != nil {
		t.name = *change.Name
		ts.changed(t)
	}
	return http.StatusOK, ts.job(t)
}

func (ts *timers) remove(_ *http.Request, t *timer) (int, any) {
	t.removed = true
	t.disarm()
	ts.changed(t)
	ts.kept = slices.DeleteFunc(ts.kept, func(other *timer) bool { return other == t })
	return http.StatusOK, ts.job(t)
}

func (ts *timers) pause(_ *http.Request, t *timer) (int, any) {
	t.paused = true
	t.disarm()
	ts.changed(t)
	return http.StatusOK, map[string]any{"message": "Successfully paused job " + t.id + "."}
}

func (ts *timers) resume(_ *http.Request, t *timer) (int, any) {
	t.paused, t.inactive = false, nil
	t.next = t.schedule.first(t.next, ts.server.now())
	ts.arm(t)
	ts.changed(t)
	return http.StatusOK, map[string]any{"message": "Successfully resumed job " + t.id + "."}
}
