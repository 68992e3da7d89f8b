package transfer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A TaskQuery selects tasks. A task must meet all conditions that are set.
type TaskQuery struct {
	IDs      []string // any of these; one request holds a few hundred
	Types    []string // TRANSFER, DELETE; none means both
	Statuses []string // any of these

	Labels               []string // exactly one of these labels
	LabelPatterns        []string // or like one of these, where * is any text and case is ignored
	ExcludeLabels        []string // not exactly one of these labels
	ExcludeLabelPatterns []string // not like one of these

	Requested Span // when it was submitted
	Completed Span // when it ended

	OrderBy string   // field, field ASC or field DESC, several by comma; empty means request_time DESC
	Limit   int      // tasks in all; 0 means all that the service lists
	Fields  []string // the fields that the service fills in; none means all
}

// A Span is a range of instants, in whole seconds. A zero From or To leaves that side
// open.
type Span struct{ From, To time.Time }

// Tasks lists the caller's tasks, the latest submission first unless q says
// otherwise. API: GET /task_list.
func (c *Client) Tasks(ctx context.Context, q TaskQuery) iter.Seq2[*Task, error] {
	return func(yield func(*Task, error) bool) {
		filter, err := q.filter()
		if err != nil {
			yield(nil, err)
			return
		}
		query := url.Values{
			"filter":  {filter},
			"orderby": {cmp.Or(q.OrderBy, "request_time DESC")},
		}
		fields := q.Fields
		if len(fields) > 0 && q.exact() && !slices.Contains(fields, "label") {
			fields = append(slices.Clip(fields), "label")
		}
		if len(fields) > 0 {
			query.Set("fields", strings.Join(fields, ","))
		}
		r := request{method: http.MethodGet, path: []string{"task_list"}, query: query}
		n := 0
		for t, err := range list[Task](ctx, c, r, q.pageLimit(), pagesOf(maxTasks, math.MaxInt)) {
			if err == nil && q.exact() && !slices.Contains(q.Labels, t.Label) {
				continue // the service's match may be looser than ours
			}
			if !yield(t, err) {
				return
			}
			if n++; n == q.Limit {
				return
			}
		}
	}
}

// maxTasks is how many rows the service puts into a page of tasks or events.
const maxTasks = 1000

// pageLimit returns how many rows to ask for: 0, no limit, if some will be
// dropped here.
func (q TaskQuery) pageLimit() int {
	if q.exact() {
		return 0
	}
	return q.Limit
}

// exact reports whether only tasks with certain labels are wanted.
func (q TaskQuery) exact() bool { return len(q.Labels) > 0 && len(q.LabelPatterns) == 0 }

// filter returns the conditions in the service's form: clauses joined by
// slashes, each with values joined by commas.
func (q TaskQuery) filter() (string, error) {
	types := q.Types
	if len(types) == 0 {
		types = []string{"TRANSFER", "DELETE"}
	}
	clauses := []struct {
		key    string
		values []string
	}{
		{"task_id", q.IDs},
		{"type", types},
		{"status", q.Statuses},
		{"label", slices.Concat(
			exactly(q.Labels),
			prefixed("~", q.LabelPatterns),
			prefixed("!", q.ExcludeLabels),
			prefixed("!~", q.ExcludeLabelPatterns),
		)},
		{"request_time", q.Requested.values()},
		{"completion_time", q.Completed.values()},
	}
	var out []string
	for _, clause := range clauses {
		for _, v := range clause.values {
			if strings.ContainsAny(v, "/,") {
				return "", fmt.Errorf("list tasks: %s %q: a condition cannot hold a slash or a comma", clause.key, v)
			}
		}
		if len(clause.values) > 0 {
			out = append(out, clause.key+":"+strings.Join(clause.values, ","))
		}
	}
	return strings.Join(out, "/"), nil
}

// exactly returns conditions for exact labels. A value cannot contain the characters of
// the filter's grammar, so the search for such a label is widened and its rows are
// checked.
func exactly(labels []string) (values []string) {
	for _, label := range labels {
		wide := strings.NewReplacer("/", "*", ",", "*").Replace(label)
		if wide != label {
			values = append(values, "~"+wide)
		} else {
			values = append(values, "="+label)
		}
	}
	return values
}

// prefixed returns all, each with the prefix.
func prefixed(prefix string, all []string) (values []string) {
	for _, s := range all {
		values = append(values, prefix+s)
	}
	return values
}

// values returns From and To of s as a condition, or nothing if both are open.
func (s Span) values() []string {
	if s.From.IsZero() && s.To.IsZero() {
		return nil
	}
	ends := []string{"", ""}
	for i, t := range []time.Time{s.From, s.To} {
		if !t.IsZero() {
			ends[i] = t.UTC().Format(time.DateTime)
		}
	}
	return ends
}
