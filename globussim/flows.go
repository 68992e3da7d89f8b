package globussim

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// flowsServer is the resource server of Globus Flows, whose scopes begin with
// flowsBase.
const (
	flowsServer = "flows.globus.org"
	flowsBase   = scopeBase + "eec9b274-0c81-4334-bdc2-54e90e689b9a/"
)

// maxFlowLabel is how many characters the label of a run may have.
const maxFlowLabel = 64

// flows is the Flows side of a [Server]: it runs what the configuration has.
type flows struct {
	server *Server
	work   sync.WaitGroup

	mu   sync.Mutex
	runs []*run // of all owners, oldest first
}

func isFlows(r *http.Request) bool {
	for _, list := range []string{"/flows", "/runs", "/registered_apis", "/web_inputs"} {
		if r.URL.Path == list || strings.HasPrefix(r.URL.Path, list+"/") {
			return true
		}
	}
	return false
}

// close ends all runs and waits for their goroutines.
func (fs *flows) close() {
	fs.mu.Lock()
	for _, r := range fs.runs {
		r.stop()
	}
	fs.mu.Unlock()
	fs.work.Wait()
}

// A flowHandler answers one call with a status and a document, or with an error.
// It holds mu.
type flowHandler func(r *http.Request, owner holder) (int, any, *apiError)

// routes adds the Flows API to mux.
func (fs *flows) routes(mux *router) {
	view := []string{"all", "view_flows", "manage_flows"}
	status, manage := []string{"all", "run_status", "run_manage"}, []string{"all", "run_manage"}
	for _, route := range []struct {
		pattern string
		scopes  []string // of Flows; nil: that of the flow
		answer  flowHandler
	}{
		{"GET /flows", view, fs.list},
		{"GET /flows/{flow}", view, fs.getFlow},
		{"POST /flows/{flow}/run", nil, fs.start},
		{"POST /flows/{flow}/validate_run", nil, fs.validate},
		{"GET /runs", status, fs.listRuns},
		{"GET /runs/{run}", status, fs.one(fs.get)},
		{"GET /runs/{run}/log", status, fs.one(fs.log)},
		{"GET /runs/{run}/definition", status, fs.one(fs.definition)},
		{"PUT /runs/{run}", manage, fs.one(fs.update)},
		{"POST /runs/{run}/cancel", manage, fs.one(fs.cancel)},
		{"POST /runs/{run}/release", manage, fs.one(fs.release)},
		{"POST /runs/{run}/resume", nil, fs.one(fs.resume)},
	} {
		mux.HandleFunc(route.pattern, fs.serve(route.scopes, route.answer))
	}
	nothing := func(w http.ResponseWriter, _ *http.Request) {
		writeFlowError(w, &apiError{Status: http.StatusNotFound, Code: "NOT_FOUND", Message: "There is no such resource"})
	}
	mux.HandleFunc("/flows/", nothing)
	mux.HandleFunc("/runs", nothing)
	mux.HandleFunc("/runs/", nothing)
}

func (fs *flows) serve(scopes []string, h flowHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		owner, e := fs.caller(r, scopes)
		if e != nil {
			writeFlowError(w, e)
			return
		}
		fs.mu.Lock()
		status, doc, e := h(r, owner)
		fs.mu.Unlock()
		if e != nil {
			writeFlowError(w, e)
			return
		}
		writeJSON(w, status, doc)
	}
}

// caller returns whose request it is, if its token has one of the scopes of
// Flows; without any, if it is one for the flow.
func (fs *flows) caller(r *http.Request, scopes []string) (holder, *apiError) {
	t, ok := fs.server.auth.active(bearer(r), fs.server.now())
	if !ok {
		return holder{}, &apiError{Status: http.StatusUnauthorized, Code: "AUTHENTICATION_ERROR", Message: "Expired or invalid Bearer token"}
	}
	if scopes == nil {
		flow := r.PathValue("flow")
		if id := r.PathValue("run"); id != "" {
			fs.mu.Lock()
			if found := fs.find(id); found != nil {
				flow = found.flow.ID
			}
			fs.mu.Unlock()
		}
		if scope := flowScope(strings.ToLower(flow)); !slices.Contains(t.scopes, scope) {
			return holder{}, &apiError{Status: http.StatusForbidden, Code: "MISSING_SCOPE", Message: "This action requires the following scope: " + scope}
		}
		return t.holder, nil
	}
	if t.server != flowsServer || !slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(t.scopes, flowsBase+s) }) {
		return holder{}, &apiError{
			Status: http.StatusForbidden, Code: "MISSING_SCOPE",
			Message: "This action requires the following scope: " + flowsBase + scopes[len(scopes)-1],
		}
	}
	return t.holder, nil
}

// writeFlowError answers with an error document of Flows.
func writeFlowError(w http.ResponseWriter, e *apiError) {
	writeJSON(w, e.Status, map[string]any{"error": map[string]any{"code": e.Code, "detail": e.Message}, "debug_id": uuid.NewString()})
}

// identityURN names an identity as Flows and Timers do.
func identityURN(id string) string { return "urn:globus:auth:identity:" + id }

// flowTime writes an instant as Flows does.
func flowTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000+00:00") }

// flow returns the flow with that id.
func (fs *flows) flow(id string) (*Flow, *apiError) {
	i := slices.IndexFunc(fs.server.cfg.Flows, func(f Flow) bool { return f.ID == strings.ToLower(id) })
	if i < 0 {
		return nil, &apiError{Status: http.StatusNotFound, Code: "NOT_FOUND", Message: "There is no flow '" + id + "' that you may see"}
	}
	return &fs.server.cfg.Flows[i], nil
}

// list answers GET /flows.
func (fs *flows) list(r *http.Request, _ holder) (int, any, *apiError) {
	title := strings.ToLower(r.URL.Query().Get("filter_fulltext"))
	var found []map[string]any
	for i := range fs.server.cfg.Flows {
		if f := &fs.server.cfg.Flows[i]; strings.Contains(strings.ToLower(f.Title), title) {
			found = append(found, f.document())
		}
	}
	return flowPage(r, "flows", found, "per_page", 20)
}

func (fs *flows) getFlow(r *http.Request, _ holder) (int, any, *apiError) {
	f, e := fs.flow(r.PathValue("flow"))
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, f.document(), nil
}

// document describes a flow.
func (f *Flow) document() map[string]any {
	starters := []string{"all_authenticated_users"}
	if f.Starters != nil {
		starters = []string{}
		for _, id := range f.Starters {
			starters = append(starters, identityURN(id))
		}
	}
	address, none := "https://"+flowsServer+"/flows/"+f.ID, []string{}
	return map[string]any{
		"id": f.ID, "title": f.Title, "subtitle": "", "description": "", "keywords": none, "types": []string{"Action"},
		"definition": f.Definition, "input_schema": map[string]any{}, "globus_auth_scope": flowScope(f.ID),
		"principal_urn": identityURN(f.ID), "globus_auth_username": f.ID + "@clients.auth.globus.org",
		"flow_owner": identityURN(nobody), "flow_starters": starters, "flow_viewers": []string{"public"}, "flow_administrators": none,
		"created_by": identityURN(nobody), "runnable_by": starters, "visible_to": []string{"public"}, "administered_by": none,
		"run_managers": none, "run_monitors": none, "user_role": "flow_starter", "subscription_id": nil,
		"created_at": flowTime(flowMade()), "updated_at": flowTime(flowMade()), "flow_url": address, "action_url": address,
		"synchronous": false, "log_supported": true, "api_version": "1.0",
	}
}

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

func (fs *flows) get(_ *http.Request, of *run) (int, any, *apiError) {
	return http.StatusOK, of.document(), nil
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

// log answers GET /runs/<run>/log.
func (fs *flows) log(r *http.Request, of *run) (int, any, *apiError) {
	entries := slices.Clone(of.entries)
	if r.URL.Query().Get("reverse_order") == "true" {
		slices.Reverse(entries)
	}
	return flowPage(r, "entries", entries, "limit", 10)
}

// listRuns answers GET /runs, the newest first.
func (fs *flows) listRuns(r *http.Request, owner holder) (int, any, *apiError) {
	query, e := flowQuery(r)
	if e != nil {
		return 0, nil, e
	}
	has := func(name, value string) bool {
		wanted := split(query.Get(name))
		return len(wanted) == 0 || slices.Contains(wanted, value)
	}
	contains := func(name, value string) bool {
		return strings.Contains(strings.ToLower(value), strings.ToLower(query.Get(name)))
	}
	spans := make(map[string][2]time.Time)
	for _, name := range []string{"filter_start_time", "filter_completion_time"} {
		from, to, err := parseSpan(query.Get(name))
		if err != nil {
			return 0, nil, &apiError{Status: http.StatusUnprocessableEntity, Code: "UNPROCESSABLE_ENTITY", Message: name + ": " + err.Error()}
		}
		spans[name] = [2]time.Time{from, to}
	}
	in := func(name string, at time.Time) bool {
		span := spans[name]
		return query.Get(name) == "" || !at.IsZero() && !at.Before(span[0]) && (span[1].IsZero() || at.Before(span[1]))
	}
	lag := time.Duration(fs.server.answers.Load().RunsListed) * time.Second
	var found []map[string]any
	for _, of := range slices.Backward(fs.runs) {
		if of.identity == owner.identity && !of.released && !fs.server.now().Before(of.started.Add(lag)) &&
			has("filter_flow_id", of.flow.ID) && has("filter_status", of.status) && has("filter_roles", "run_owner") &&
			contains("filter_label", of.label) && contains("filter_flow_title", of.flow.Title) &&
			in("filter_start_time", of.started) && in("filter_completion_time", of.completed) {
			found = append(found, of.document())
		}
	}
	if text := query.Get("orderby"); text != "" {
		order, e := parseOrder(text, runOrders())
		if e != nil {
			return 0, nil, &apiError{Status: http.StatusUnprocessableEntity, Code: "UNPROCESSABLE_ENTITY", Message: e.Message}
		}
		slices.SortStableFunc(found, order)
	}
	return flowPage(r, "runs", found, "per_page", 20)
}

// runOrders returns the fields that orderby knows.
func runOrders() map[string]func(a, b map[string]any) int {
	orders := make(map[string]func(a, b map[string]any) int)
	for name, key := range map[string]string{"id": "run_id", "start_time": "start_time", "completion_time": "completion_time", "status": "status", "label": "label"} {
		orders[name] = func(a, b map[string]any) int {
			x, _ := a[key].(string)
			y, _ := b[key].(string)
			return cmp.Compare(x, y)
		}
	}
	return orders
}

// flowQuery returns the query of a list: a marker carries all of it.
func flowQuery(r *http.Request) (url.Values, *apiError) {
	query := r.URL.Query()
	marker := query.Get("marker")
	if marker == "" {
		return query, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(marker)
	if err == nil {
		query, err = url.ParseQuery(string(data))
	}
	if err != nil {
		return nil, &apiError{Status: http.StatusUnprocessableEntity, Code: "UNPROCESSABLE_ENTITY", Message: "marker must be one that the service gave"}
	}
	return query, nil
}

// flowPage answers with one page of a list; size is the parameter of its length.
func flowPage[Row any](r *http.Request, key string, rows []Row, size string, length int) (int, any, *apiError) {
	query, e := flowQuery(r)
	if e != nil {
		return 0, nil, e
	}
	numbers := map[string]int{size: length, "offset": 0}
	for name := range numbers {
		if s := query.Get(name); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil || n < 0 || name == size && (n < 1 || n > 100) {
				return 0, nil, &apiError{Status: http.StatusUnprocessableEntity, Code: "UNPROCESSABLE_ENTITY", Message: name + " must be between 1 and 100"}
			}
			numbers[name] = n
		}
	}
	p := page{numbers[size], numbers["offset"]}
	shown := append([]Row{}, cut(rows, p)...)
	doc := map[string]any{key: shown, "limit": p.limit, "has_next_page": p.offset+len(shown) < len(rows), "marker": nil}
	if doc["has_next_page"] == true {
		query.Set("offset", strconv.Itoa(p.offset+len(shown)))
		doc["marker"] = base64.RawURLEncoding.EncodeToString([]byte(query.Encode()))
	}
	return http.StatusOK, doc, nil
}
