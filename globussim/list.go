package globussim

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxRows    = 1000 // of a task list, over all pages
	markerRows = 100  // of a page of per-file lists
)

// A page is a part of a list, by offset.
type page struct{ limit, offset int }

// page reads limit and offset. A limit above the maximum is lowered to it. The
// defaults of the service are not confirmed.
func (q *request) page(limit, most int) (page, *apiError) {
	p := page{limit: limit}
	for name, to := range map[string]*int{"limit": &p.limit, "offset": &p.offset} {
		if s := q.param(name); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil || n < 0 {
				return page{}, badRequest(name + " must be a number that is not negative")
			}
			*to = n
		}
	}
	p.limit = min(p.limit, most)
	return p, nil
}

// paged returns the rows of a list that limit and offset ask for; without them,
// all. The recorded documents of such lists do not say which rows they have.
func paged[Row any](q *request, rows []Row) ([]Row, *apiError) {
	page, e := q.page(len(rows), maxRows)
	if e != nil {
		return nil, e
	}
	return cut(rows, page), nil
}

// cut returns the rows of a page.
func cut[Row any](rows []Row, p page) []Row {
	rows = rows[min(p.offset, len(rows)):]
	return rows[:min(p.limit, len(rows))]
}

// list is the document around one page of events or tasks.
func (p page) list(dataType string, rows any, total int) map[string]any {
	return map[string]any{
		"DATA_TYPE": dataType, "DATA": rows,
		"length": max(min(p.limit, total-p.offset), 0),
		"limit":  p.limit, "offset": p.offset, "total": total,
	}
}

// A taskFilter tells which tasks a list shows.
type taskFilter func(t *task) bool

// taskList answers GET /task_list: the caller's own tasks, by default the
// newest first.
func (sv *service) taskList(q *request) (int, any, *apiError) {
	page, e := q.page(sv.server.answers.Load().PageLength, maxRows)
	if e != nil {
		return 0, nil, e
	}
	filters, e := parseTaskFilter(q.param("filter"))
	if e != nil {
		return 0, nil, e
	}
	order, e := parseOrder(cmp.Or(q.param("orderby"), "request_time DESC"), taskOrders())
	if e != nil {
		return 0, nil, e
	}

	sv.mu.Lock()
	var found []taskDoc
	// The newest first also where two have the same time.
	for _, t := range slices.Backward(sv.byOwner[q.owner]) {
		if !slices.ContainsFunc(filters, func(f taskFilter) bool { return !f(t) }) {
			found = append(found, t.document())
		}
	}
	sv.mu.Unlock()

	slices.SortStableFunc(found, order)
	found = found[:min(len(found), maxRows)]
	rows, e := project(q, append([]taskDoc{}, cut(found, page)...))
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, page.list("task_list", rows, len(found)), nil
}

// parseTaskFilter reads clauses that are joined by "/", such as
// "type:TRANSFER/status:ACTIVE,INACTIVE/label:~nightly-*".
func parseTaskFilter(s string) ([]taskFilter, *apiError) {
	var filters []taskFilter
	for clause := range strings.SplitSeq(s, "/") {
		if clause == "" {
			continue
		}
		key, value, _ := strings.Cut(clause, ":")
		var f taskFilter
		switch key {
		case "task_id":
			f = oneOf(value, strings.ToLower, func(t *task) string { return t.doc.TaskID })
		case "type":
			f = oneOf(value, strings.ToUpper, func(t *task) string { return t.doc.Type })
		case "status":
			f = oneOf(value, strings.ToUpper, func(t *task) string { return t.doc.Status })
		case "label":
			ms := parseMatches(value)
			f = func(t *task) bool { return matchAny(ms, t.labelIs) }
		case "request_time", "completion_time":
			from, to, err := parseSpan(value)
			if err != nil {
				return nil, badRequest("filter: " + key + ": " + err.Error())
			}
			f = func(t *task) bool {
				at := t.doc.RequestTime.Time
				if key == "completion_time" {
					at = t.doc.CompletionTime.Time
				}
				return within(at, from, to)
			}
		default:
			return nil, badRequest("filter: unknown field '" + key + "'")
		}
		filters = append(filters, f)
	}
	return filters, nil
}

func oneOf(list string, normal func(string) string, field func(*task) string) taskFilter {
	values := strings.Split(normal(list), ",")
	return func(t *task) bool { return slices.Contains(values, field(t)) }
}

// labelIs matches the label without regard to case; in a pattern only * is
// special.
func (t *task) labelIs(m match) bool {
	var label string
	if t.doc.Label != nil {
		label = *t.doc.Label
	}
	if m.pattern {
		escaped := strings.NewReplacer(`\`, `\\`, "[", `\[`, "?", `\?`).Replace(m.text)
		return glob(strings.ToLower(escaped), strings.ToLower(label))
	}
	return strings.EqualFold(m.text, label)
}

// parseSpan reads "from,to", of which either may be blank.
func parseSpan(s string) (from, to time.Time, err error) {
	first, last, _ := strings.Cut(s, ",")
	if first != "" {
		if from, err = parseTime(first); err != nil {
			return from, to, err
		}
	}
	if last != "" {
		to, err = parseTime(last)
	}
	return from, to, err
}

// within compares whole seconds, since documents show no more.
func within(at, from, to time.Time) bool {
	at = at.Truncate(time.Second)
	return !at.IsZero() && !at.Before(from) && (to.IsZero() || !at.After(to))
}

// taskOrders returns the fields that orderby knows.
func taskOrders() map[string]func(a, b taskDoc) int {
	return map[string]func(a, b taskDoc) int{
		"task_id":         func(a, b taskDoc) int { return cmp.Compare(a.TaskID, b.TaskID) },
		"type":            func(a, b taskDoc) int { return cmp.Compare(a.Type, b.Type) },
		"status":          func(a, b taskDoc) int { return cmp.Compare(a.Status, b.Status) },
		"label":           func(a, b taskDoc) int { return cmp.Compare(text(a.Label), text(b.Label)) },
		"faults":          func(a, b taskDoc) int { return cmp.Compare(a.Faults, b.Faults) },
		"request_time":    func(a, b taskDoc) int { return a.RequestTime.Compare(b.RequestTime.Time) },
		"completion_time": func(a, b taskDoc) int { return a.CompletionTime.Compare(b.CompletionTime.Time) },
		"deadline":        func(a, b taskDoc) int { return a.Deadline.Compare(b.Deadline.Time) },
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// parseOrder reads "field", "field ASC" and "field DESC", several by comma.
func parseOrder[Row any](s string, fields map[string]func(a, b Row) int) (func(a, b Row) int, *apiError) {
	var keys []func(a, b Row) int
	for clause := range strings.SplitSeq(s, ",") {
		name, direction, _ := strings.Cut(strings.TrimSpace(clause), " ")
		key, ok := fields[name]
		if !ok {
			return nil, badRequest("orderby: unknown field '" + name + "'")
		}
		switch strings.ToUpper(strings.TrimSpace(direction)) {
		case "", "ASC":
		case "DESC":
			ascending := key
			key = func(a, b Row) int { return ascending(b, a) }
		default:
			return nil, badRequest("orderby: '" + direction + "' is neither ASC nor DESC")
		}
		keys = append(keys, key)
	}
	return func(a, b Row) int {
		for _, key := range keys {
			if c := key(a, b); c != 0 {
				return c
			}
		}
		return 0
	}, nil
}

// A success is a file that was copied.
type success struct {
	Source      string `json:"source"` // as submitted, with what is below it
	Destination string `json:"destination"`
	Size        int64  `json:"size"`
	Checksum    string `json:"checksum,omitempty"` // empty if none was computed, like Algorithm
	Algorithm   string `json:"algorithm,omitempty"`
}

// A skip is a source path that was left out because of an error.
type skip struct {
	Source      string    `json:"source"` // as submitted, with what is below it
	Destination string    `json:"destination"`
	Code        string    `json:"code"`
	Details     string    `json:"details"`
	At          time.Time `json:"at"`
	Directory   bool      `json:"directory,omitempty"`
	Checksum    string    `json:"checksum,omitempty"`
	Algorithm   string    `json:"algorithm,omitempty"`
}

// successfulTransfers answers GET /task/<id>/successful_transfers.
func (sv *service) successfulTransfers(q *request) (int, any, *apiError) {
	return sv.marked(q, "successful_transfers", func(t *task, from, to int) (rows []any, more bool) {
		for _, s := range t.successes[min(from, len(t.successes)):min(to, len(t.successes))] {
			rows = append(rows, map[string]any{
				"DATA_TYPE": "successful_transfer", "source_path": wirePath(s.Source), "destination_path": wirePath(s.Destination),
				"size": s.Size, "checksum": optional(s.Checksum), "checksum_algorithm": optional(s.Algorithm), "dynamic": false,
			})
		}
		return rows, to < len(t.successes)
	})
}

// skippedErrors answers GET /task/<id>/skipped_errors.
func (sv *service) skippedErrors(q *request) (int, any, *apiError) {
	return sv.marked(q, "skipped_errors", func(t *task, from, to int) (rows []any, more bool) {
		for _, s := range t.skips[min(from, len(t.skips)):min(to, len(t.skips))] {
			rows = append(rows, map[string]any{
				"DATA_TYPE": "skipped_error", "source_path": wirePath(s.Source), "destination_path": wirePath(s.Destination),
				"error_code": s.Code, "error_details": s.Details, "error_time": stamp{s.At},
				"is_directory": s.Directory, "is_symlink": false, "is_delete_destination_extra": false,
				"external_checksum": optional(s.Checksum), "checksum_algorithm": optional(s.Algorithm),
			})
		}
		return rows, to < len(t.skips)
	})
}

// marked answers with a page of a per-file list: the marker is the number of
// rows before it, which is never 0 where there is a next page.
func (sv *service) marked(q *request, dataType string, rows func(t *task, from, to int) ([]any, bool)) (int, any, *apiError) {
	marker := 0
	if s := q.param("marker"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return 0, nil, badRequest("marker must be one that the service gave")
		}
		marker = min(n, math.MaxInt-markerRows)
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	t, e := sv.visible(q)
	if e != nil {
		return 0, nil, e
	}
	if t.doc.Type == kindDelete && dataType == "successful_transfers" && sv.server.answers.Load().RefuseDeletes {
		return 0, nil, badRequest("the task is not a transfer")
	}
	data, more := rows(t, marker, marker+markerRows)
	doc := map[string]any{"DATA_TYPE": dataType, "DATA": append([]any{}, data...), "marker": marker, "next_marker": nil}
	if more {
		doc["next_marker"] = marker + markerRows
	}
	return http.StatusOK, doc, nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
