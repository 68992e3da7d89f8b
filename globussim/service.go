package globussim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A service is the Transfer side of a [Server].
type service struct {
	server      *Server
	cfg         Config // complete
	collections []*collection
	byID        map[string]*collection

	work  sync.WaitGroup // the goroutines of running tasks
	files fileRunner

	// mu guards everything below and the state of all tasks. It is never held
	// across I/O or a sleep.
	mu          sync.Mutex
	closed      bool
	tasks       map[string]*task
	byOwner     map[string][]*task // oldest first
	submitted   []*task            // of all owners, oldest first; also removed ones
	submissions map[submissionKey]*task
	identical   map[overlap]*task // unfinished transfers by their paths
	pending     map[string]int    // how many tasks of an owner are unfinished
	slots       map[slot]*queue
	pauses      []*pause
	bookmarks   map[string][]*bookmark // by owner
	orders      []*order
}

// A submissionKey is a submission id in lower case. Whether the service
// refuses an id that another identity has used is not known; here each
// identity has its own.
type submissionKey struct{ owner, id string }

// An overlap is what two unfinished transfers must not have in common. Whether
// the service compares those of different identities is not known; here it
// does not.
type overlap struct {
	owner string
	paths [sha256.Size]byte
}

// newService opens the folders of all collections.
func newService(s *Server, cfg Config) (*service, error) {
	sv := &service{
		server:      s,
		cfg:         cfg,
		byID:        make(map[string]*collection),
		tasks:       make(map[string]*task),
		byOwner:     make(map[string][]*task),
		submissions: make(map[submissionKey]*task),
		identical:   make(map[overlap]*task),
		pending:     make(map[string]int),
		slots:       make(map[slot]*queue),
		bookmarks:   make(map[string][]*bookmark),
		files:       fileRunner{log: cfg.Log, stops: make(map[*context.CancelFunc]bool)},
	}
	for _, c := range cfg.Collections {
		p, err := openPlace(c)
		if err != nil {
			sv.close()
			return nil, err
		}
		sv.collections = append(sv.collections, p)
		sv.byID[p.ID] = p
	}
	return sv, nil
}

// close ends all tasks, waits for their goroutines and closes the folders.
func (sv *service) close() {
	sv.mu.Lock()
	sv.closed = true
	for _, t := range sv.submitted {
		t.expiry.Stop()
		t.stop()
	}
	sv.mu.Unlock()

	sv.files.close()
	sv.work.Wait()
	for _, p := range sv.collections {
		_ = p.root.Close() // it was only read from
	}
}

// routes adds the Transfer API to mux.
func (sv *service) routes(mux *router) {
	for pattern, h := range map[string]handler{
		"GET /v0.10/submission_id": sv.newSubmissionID,
		"POST /v0.10/transfer":     sv.submitTransfer,
		"POST /v0.10/delete":       sv.submitDelete,

		"GET /v0.10/task_list":                      sv.taskList,
		"GET /v0.10/task/{id}":                      sv.getTask,
		"PUT /v0.10/task/{id}":                      sv.updateTask,
		"POST /v0.10/task/{id}/cancel":              sv.cancelTask,
		"POST /v0.10/task/{id}/remove":              sv.removeTask,
		"GET /v0.10/task/{id}/event_list":           sv.eventList,
		"GET /v0.10/task/{id}/pause_info":           sv.pauseInfo,
		"GET /v0.10/task/{id}/skipped_errors":       sv.skippedErrors,
		"GET /v0.10/task/{id}/successful_transfers": sv.successfulTransfers,

		"GET /v0.10/operation/endpoint/{id}/ls":       sv.ls,
		"GET /v0.10/operation/endpoint/{id}/stat":     sv.stat,
		"POST /v0.10/operation/endpoint/{id}/mkdir":   sv.mkdir,
		"POST /v0.10/operation/endpoint/{id}/rename":  sv.rename,
		"POST /v0.10/operation/endpoint/{id}/symlink": sv.symlink,

		"GET /v0.10/endpoint_search":                            sv.searchEndpoints,
		"GET /v0.10/endpoint/{id}":                              sv.getEndpoint,
		"GET /v0.10/endpoint/{id}/server_list":                  sv.serverList,
		"GET /v0.10/endpoint/{id}/server/{server}":              sv.getServer,
		"GET /v0.10/endpoint/{id}/my_shared_endpoint_list":      sv.noRows("endpoint_list", "DATA"),
		"GET /v0.10/endpoint/{id}/shared_endpoint_list":         sv.noRows("shared_endpoint_list", "shared_endpoints"),
		"GET /v0.10/endpoint/{id}/my_effective_pause_rule_list": sv.myPauseRules,
		"POST /v0.10/endpoint/{id}/autoactivate":                sv.autoactivate,

		"GET /v0.10/bookmark_list":    sv.bookmarkList,
		"POST /v0.10/bookmark":        sv.createBookmark,
		"GET /v0.10/bookmark/{id}":    sv.getBookmark,
		"PUT /v0.10/bookmark/{id}":    sv.updateBookmark,
		"DELETE /v0.10/bookmark/{id}": sv.deleteBookmark,
	} {
		mux.HandleFunc(pattern, sv.serve(h))
	}
	sv.accessRoutes(mux)
	sv.resourceRoutes(mux)
	sv.managerRoutes(mux)
}

// A handler answers one call with a status and a document, or with an error.
type handler func(q *request) (int, any, *apiError)

// A request is a call of a known identity.
type request struct {
	*http.Request
	caller holder
	owner  string // its identity
	query  url.Values
	// via is the scope of the service that calls for the owner; empty for the
	// owner itself.
	via string
	// manager sees the tasks on the caller's collections, not its own ones.
	manager bool
}

func (sv *service) serve(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		caller, e := sv.server.caller(r)
		if e != nil {
			writeError(w, r, e)
			return
		}
		status, doc, e := h(&request{Request: r, caller: caller, owner: caller.identity, query: r.URL.Query()})
		if e != nil {
			writeError(w, r, e)
			return
		}
		writeJSON(w, status, doc)
	}
}

// base is the address at which the caller reaches the simulator.
func (q *request) base() string {
	if q.TLS != nil {
		return "https://" + q.Host
	}
	return "http://" + q.Host
}

// param returns a query parameter. The JavaScript SDK writes a parameter that
// is null as the text "null".
func (q *request) param(name string) string {
	if v := q.query.Get(name); v != "null" {
		return v
	}
	return ""
}

// body decodes the JSON document that came with the request.
func (q *request) body(doc any) *apiError {
	data, e := q.posted()
	if e != nil {
		return e
	}
	if len(data) == 0 {
		return &apiError{Status: http.StatusBadRequest, Code: "BadRequest", Message: "a JSON document is required"}
	}
	if err := json.Unmarshal(data, doc); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return badRequest("field '" + wrong.Field + "' must not be a JSON " + wrong.Value)
		}
		return badRequest("the request body is not valid JSON")
	}
	return nil
}

// posted is the body of a request, which can be read again.
func (q *request) posted() ([]byte, *apiError) {
	data, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, badRequest("the request body could not be read")
	}
	q.Body = io.NopCloser(bytes.NewReader(data))
	return data, nil
}

// result is the answer to a call that changed something.
func (q *request) result(dataType, code, message string) map[string]any {
	return map[string]any{
		"DATA_TYPE": dataType, "code": code, "message": message,
		"request_id": newRequestID(), "resource": resource(q.Request),
	}
}

// project keeps of each row only what the parameter "fields" names.
func project[Row any](q *request, rows []Row) (any, *apiError) {
	list := q.param("fields")
	if list == "" {
		return rows, nil
	}
	names := strings.Split(list, ",")
	out := make([]map[string]json.RawMessage, len(rows))
	for i, row := range rows {
		data, err := json.Marshal(row)
		if err == nil {
			err = json.Unmarshal(data, &out[i])
		}
		if err != nil {
			return nil, badRequest("fields: " + err.Error())
		}
		for name := range out[i] {
			if !slices.Contains(names, name) {
				delete(out[i], name)
			}
		}
	}
	return out, nil
}

func badRequest(message string) *apiError {
	return &apiError{Status: http.StatusBadRequest, Code: "ClientError.BadRequest", Message: message}
}
