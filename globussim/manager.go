package globussim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// managerRoutes adds the view that a collection's managers have of it and of
// everybody's tasks on it, and how they stop those.
func (sv *service) managerRoutes(mux *router) {
	for pattern, h := range map[string]handler{
		"GET monitored_endpoints":                sv.monitoredEndpoints,
		"GET endpoint/{id}":                      sv.managedEndpoint,
		"GET endpoint/{id}/access_list":          sv.accessList,
		"GET endpoint/{id}/hosted_endpoint_list": sv.hostedEndpoints,
		"GET pause_rule_list":                    sv.managedPauseRules,
		"POST pause_rule":                        sv.createPauseRule,
		"GET pause_rule/{id}":                    sv.getPauseRule,
		"PUT pause_rule/{id}":                    sv.updatePauseRule,
		"DELETE pause_rule/{id}":                 sv.deletePauseRule,
		"POST admin_cancel":                      sv.adminCancel,
		"GET admin_cancel/{id}":                  sv.adminCancelStatus,
		"POST admin_pause":                       sv.adminPause,
		"POST admin_resume":                      sv.adminResume,
		"GET task_list":                          sv.managedTasks,
		"GET task/{id}":                          sv.getTask,
		"GET task/{id}/event_list":               sv.managedEvents,
		"GET task/{id}/pause_info":               sv.pauseInfo,
		"GET task/{id}/skipped_errors":           sv.skippedErrors,
		"GET task/{id}/successful_transfers":     sv.successfulTransfers,
	} {
		method, below, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /v0.10/endpoint_manager/"+below, sv.serve(func(q *request) (int, any, *apiError) {
			q.manager = true
			return h(q)
		}))
	}
}

// monitoredEndpoints answers GET /endpoint_manager/monitored_endpoints.
func (sv *service) monitoredEndpoints(q *request) (int, any, *apiError) {
	rows := []map[string]any{}
	for p := range sv.living {
		if p.has(q.owner, watching()...) {
			rows = append(rows, sv.endpointDoc(q, p))
		}
	}
	rows, e := paged(q, rows)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{"DATA_TYPE": "monitored_endpoints", "DATA": rows}, nil
}

// managedEndpoint answers GET /endpoint_manager/endpoint/<id>.
func (sv *service) managedEndpoint(q *request) (int, any, *apiError) {
	if _, e := sv.administered(q); e != nil {
		return 0, nil, e
	}
	return sv.getEndpoint(q)
}

// hostedEndpoints answers GET /endpoint_manager/endpoint/<id>/hosted_endpoint_list.
func (sv *service) hostedEndpoints(q *request) (int, any, *apiError) {
	if _, e := sv.administered(q); e != nil {
		return 0, nil, e
	}
	return sv.noRows("endpoint_list", "DATA")(q)
}

// managedPauseRules answers GET /endpoint_manager/pause_rule_list.
func (sv *service) managedPauseRules(q *request) (int, any, *apiError) {
	only := strings.ToLower(q.param("filter_endpoint"))
	sv.mu.Lock()
	defer sv.mu.Unlock()
	rules := []*pause{}
	for _, rule := range sv.pauses {
		if sv.byID[rule.Collection].has(q.owner, watching()...) && (only == "" || rule.Collection == only) {
			rules = append(rules, rule)
		}
	}
	rules, e := paged(q, rules)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{"DATA_TYPE": "pause_rule_list", "DATA": rules}, nil
}

// managedEvents answers GET /endpoint_manager/task/<id>/event_list, which says
// filter_is_error=1 where a task's owner says filter=is_error:1.
func (sv *service) managedEvents(q *request) (int, any, *apiError) {
	if q.param("filter_is_error") == "1" {
		q.query.Set("filter", "is_error:1")
	}
	return sv.eventList(q)
}

// A managedTask is a task document as managers see it, with what hosts the guest
// collections of either side, and the mapped ones below them. Neither is known
// here: every collection is a folder of its own.
type managedTask struct {
	taskDoc
	OwnerString string `json:"owner_string"`

	SourceHostEndpoint                     *string `json:"source_host_endpoint"`
	SourceHostEndpointID                   *string `json:"source_host_endpoint_id"`
	SourceHostEndpointDisplayName          *string `json:"source_host_endpoint_display_name"`
	SourceHostPath                         *string `json:"source_host_path"`
	SourceMappedCollectionID               *string `json:"source_mapped_collection_id"`
	SourceMappedCollectionDisplayName      *string `json:"source_mapped_collection_display_name"`
	DestinationHostEndpoint                *string `json:"destination_host_endpoint"`
	DestinationHostEndpointID              *string `json:"destination_host_endpoint_id"`
	DestinationHostEndpointDisplayName     *string `json:"destination_host_endpoint_display_name"`
	DestinationHostPath                    *string `json:"destination_host_path"`
	DestinationMappedCollectionID          *string `json:"destination_mapped_collection_id"`
	DestinationMappedCollectionDisplayName *string `json:"destination_mapped_collection_display_name"`
}

// managed is the document of a task for managers.
func (sv *service) managed(t *task) managedTask {
	who, _ := sv.server.auth.identityByID(t.owner)
	return managedTask{taskDoc: t.document(), OwnerString: who.Username}
}

// managedTasks answers GET /endpoint_manager/task_list, the newest task first.
// The key of a page is the id of its last task.
func (sv *service) managedTasks(q *request) (int, any, *apiError) {
	page, e := q.page(100, maxRows)
	if e != nil {
		return 0, nil, e
	}
	filters, e := q.managedFilters()
	if e != nil {
		return 0, nil, e
	}
	last := strings.ToLower(q.param("last_key"))
	rows, more := []managedTask{}, false
	sv.mu.Lock()
	defer sv.mu.Unlock()
	for _, t := range slices.Backward(sv.submitted) {
		switch {
		case last != "":
			if t.doc.TaskID == last {
				last = ""
			}
		case !q.sees(t) || t.removed || slices.ContainsFunc(filters, func(f taskFilter) bool { return !f(t) }):
		case len(rows) == page.limit:
			more = true
		default:
			rows = append(rows, sv.managed(t))
		}
	}
	doc := map[string]any{"DATA_TYPE": "task_list", "DATA": rows, "limit": page.limit, "has_next_page": more, "last_key": nil}
	if len(rows) > 0 {
		doc["last_key"] = rows[len(rows)-1].TaskID
	}
	return http.StatusOK, doc, nil
}

// managedFilters reads the filters of a manager's task list, each of which is
// a parameter of its own.
func (q *request) managedFilters() ([]taskFilter, *apiError) {
	over := func(status string) bool { return status != active && status != inactive }
	if q.param("filter_task_id") == "" && q.param("filter_endpoint") == "" &&
		slices.ContainsFunc(strings.Split(strings.ToUpper(q.param("filter_status")), ","), over) {
		return nil, badRequest("filter_task_id or filter_endpoint is required unless filter_status is ACTIVE or INACTIVE")
	}
	use := q.param("filter_endpoint_use")
	var filters []taskFilter
	for param, parse := range map[string]func(value string) (taskFilter, error){
		"filter_status": func(value string) (taskFilter, error) {
			return oneOf(value, strings.ToUpper, func(t *task) string { return t.doc.Status }), nil
		},
		"filter_task_id": func(value string) (taskFilter, error) {
			return oneOf(value, strings.ToLower, func(t *task) string { return t.doc.TaskID }), nil
		},
		"filter_owner_id": func(value string) (taskFilter, error) {
			return oneOf(value, strings.ToLower, func(t *task) string { return t.owner }), nil
		},
		"filter_endpoint": func(value string) (taskFilter, error) {
			return func(t *task) bool {
				return use != "destination" && strings.EqualFold(t.src.ID, value) ||
					use != "source" && strings.EqualFold(t.dst.ID, value)
			}, nil
		},
		"filter_is_paused": func(value string) (taskFilter, error) {
			paused, err := strconv.ParseBool(value)
			return func(t *task) bool { return t.doc.IsPaused == paused }, err
		},
		"filter_min_faults": func(value string) (taskFilter, error) {
			least, err := strconv.Atoi(value)
			return func(t *task) bool { return t.doc.Faults >= least }, err
		},
		// A span without an end takes what is not complete as well.
		"filter_completion_time": func(value string) (taskFilter, error) {
			from, to, err := parseSpan(value)
			return func(t *task) bool {
				return within(t.doc.CompletionTime.Time, from, to) || to.IsZero() && !t.final()
			}, err
		},
	} {
		value := q.param(param)
		if value == "" {
			continue
		}
		f, err := parse(value)
		if err != nil {
			return nil, badRequest(param + ": '" + value + "' is not valid")
		}
		filters = append(filters, f)
	}
	return filters, nil
}
