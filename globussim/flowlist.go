package globussim

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// log answers GET /runs/<run>/log.
func (fs *flows) log(r *http.Request, of *run) (int, any, *apiError) {
	entries := slices.Clone(of.entries)
	if flowFlag(r, "reverse_order") {
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

// flowFlag reports whether a parameter is true, as each client writes that.
func flowFlag(r *http.Request, name string) bool {
	set, err := strconv.ParseBool(r.URL.Query().Get(name))
	return err == nil && set
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
