package globussim

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// flowsServer is the resource server of Globus Flows, whose scopes begin with
// flowsBase.
const (
	flowsServer = "flows.globus.org"
	flowsBase   = scopeBase + "eec9b274-0c81-4334-bdc2-54e90e689b9a/"
)

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
		"run_managers": none, "run_monitors": none, "user_role": "flow_starter", "subscription_id": nil, "authentication_policy_id": nil,
		"created_at": flowTime(flowMade()), "updated_at": flowTime(flowMade()), "flow_url": address, "action_url": address,
		"synchronous": false, "log_supported": true, "api_version": "1.0",
	}
}

// description is the part of a run's document about its flow, for requests that ask for it.
func (f *Flow) description() map[string]any {
	all, doc := f.document(), make(map[string]any)
	for _, key := range []string{"id", "title", "subtitle", "description", "keywords", "globus_auth_scope", "flow_owner", "created_by", "created_at", "updated_at"} {
		doc[key] = all[key]
	}
	return doc
}
