package transfer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/transfer"
)

// rows returns n rows whose names count from first.
func rows(first, n int) []map[string]any {
	out := make([]map[string]any, n)
	for i := range out {
		out[i] = map[string]any{"name": strconv.Itoa(first + i)}
	}
	return out
}

// names lists the names of rows of type T, which nameOf tells.
func names[T any](seq iter.Seq2[*T, error], nameOf func(*T) string) ([]string, error) {
	var out []string
	for v, err := range seq {
		if err != nil {
			return out, err
		}
		out = append(out, nameOf(v))
	}
	return out, nil
}

// count returns the names of n rows that count from 0.
func count(n int) []string {
	var out []string
	for i := range n {
		out = append(out, strconv.Itoa(i))
	}
	return out
}

// A directory serves pages of a directory's files.
type directory struct {
	files   int
	total   func(page int) int // what a page says; nil means files
	queries []string           // what was asked for
}

func (d *directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	d.queries = append(d.queries, q.Get("offset")+"+"+q.Get("limit"))
	offset, _ := strconv.Atoi(q.Get("offset"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	total := d.files
	if d.total != nil {
		total = d.total(len(d.queries))
	}
	n := max(0, min(limit, d.files-offset, 3)) // a page has three rows, whatever was asked for
	_ = json.NewEncoder(w).Encode(map[string]any{"DATA": rows(offset, n), "total": total})
}

func TestListsByTotalFetchAllPages(t *testing.T) {
	tests := map[string]struct {
		dir     directory
		limit   int
		want    []string
		queries []string
	}{
		"empty":                       {directory{}, 0, nil, []string{"0+15000"}},
		"one page":                    {directory{files: 3}, 0, count(3), []string{"0+15000"}},
		"pages":                       {directory{files: 7}, 0, count(7), []string{"0+15000", "3+4", "6+1"}},
		"limit in a page":             {directory{files: 7}, 2, count(2), []string{"0+2"}},
		"limit at a page's end":       {directory{files: 7}, 3, count(3), []string{"0+3"}},
		"limit in a later page":       {directory{files: 7}, 5, count(5), []string{"0+5", "3+2"}},
		"limit above the total":       {directory{files: 2}, 9, count(2), []string{"0+9"}},
		"total that is too large":     {directory{files: 2, total: func(int) int { return 9 }}, 0, count(2), []string{"0+15000", "2+7"}},
		"total that is too small":     {directory{files: 9, total: func(int) int { return 1 }}, 0, count(3), []string{"0+15000"}},
		"total that is negative":      {directory{files: 9, total: func(int) int { return -1 }}, 0, count(3), []string{"0+15000"}},
		"total that grows by a page":  {directory{files: 1 << 30, total: func(page int) int { return 3*page + 3 }}, 0, count(6), []string{"0+15000", "3+3"}},
		"total that shrinks on a way": {directory{files: 4, total: func(page int) int { return 7 - page }}, 0, count(4), []string{"0+15000", "3+3", "4+2"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(tt.dir.ServeHTTP)
			got, err := names(c.Ls(t.Context(), "c1", transfer.LsQuery{Limit: tt.limit}), func(e *transfer.Entry) string { return e.Name })
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("error %v, files (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(tt.queries, tt.dir.queries); diff != "" {
				t.Errorf("offset+limit (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListsAskAgainWhenRangedOverAgain(t *testing.T) {
	dir := directory{files: 4}
	files := serve(dir.ServeHTTP).Ls(t.Context(), "c1", transfer.LsQuery{})
	for range 2 {
		got, err := names(files, func(e *transfer.Entry) string { return e.Name })
		if diff := cmp.Diff(count(4), got); err != nil || diff != "" {
			t.Errorf("error %v, files (-want +got):\n%s", err, diff)
		}
	}
}

func TestListsStopFetchingWhenLeft(t *testing.T) {
	dir := directory{files: 7}
	for _, err := range serve(dir.ServeHTTP).Ls(t.Context(), "c1", transfer.LsQuery{}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if len(dir.queries) != 1 {
		t.Errorf("got requests %v, want one", dir.queries)
	}
}

func TestErrorIsTheLastValueOfAList(t *testing.T) {
	c := serve(replies(t, reply(200, `{"DATA": [{"name": "a"}], "total": 2}`), reply(503, "")))
	var got []string
	for e, err := range c.Ls(t.Context(), "c1", transfer.LsQuery{}) {
		if err != nil {
			got = append(got, err.Error())
			continue // a list that went on would now yield more
		}
		got = append(got, e.Name)
	}
	want := []string{"a", "GET /v0.10/operation/endpoint/c1/ls: 503: Service Unavailable"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestSearchFollowsHasNextPageUpToItsMaximum(t *testing.T) {
	tests := map[string]struct {
		found   int
		always  bool // has_next_page is true on each page
		limit   int
		want    int
		queries []string
	}{
		"one page":             {found: 30, want: 30, queries: []string{"0+100"}},
		"pages":                {found: 130, want: 130, queries: []string{"0+100", "100+100"}},
		"limit":                {found: 130, limit: 110, want: 110, queries: []string{"0+100", "100+10"}},
		"empty pages for ever": {found: 20, always: true, want: 20, queries: []string{"0+100", "20+100"}},
		"too many": {found: 1 << 30, always: true, want: 1000, queries: []string{
			"0+100", "100+100", "200+100", "300+100", "400+100", "500+100", "600+100", "700+100", "800+100", "900+100",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var queries []string
			c := serve(func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				queries = append(queries, q.Get("offset")+"+"+q.Get("limit"))
				offset, _ := strconv.Atoi(q.Get("offset"))
				limit, _ := strconv.Atoi(q.Get("limit"))
				n := max(0, min(limit, tt.found-offset))
				_ = json.NewEncoder(w).Encode(map[string]any{"DATA": rows(offset, n), "total": 1 << 30, "has_next_page": tt.always || offset+n < tt.found})
			})
			got, err := collect(c.SearchEndpoints(t.Context(), transfer.EndpointQuery{Fulltext: "a", Limit: tt.limit}))
			if err != nil || len(got) != tt.want {
				t.Errorf("got %d endpoints and %v, want %d", len(got), err, tt.want)
			}
			if diff := cmp.Diff(tt.queries, queries); diff != "" {
				t.Errorf("offset+limit (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListsByMarkerEnd(t *testing.T) {
	tests := map[string]struct {
		next    []string // next_marker of each page; the last is repeated
		empty   bool     // pages after the first have no rows
		markers []string // what was asked for
		endless bool     // it ends with an error
	}{
		"null":            {[]string{`null`}, false, []string{""}, false},
		"absent":          {[]string{``}, false, []string{""}, false},
		"zero":            {[]string{`0`}, false, []string{""}, false},
		"empty string":    {[]string{`""`}, false, []string{""}, false},
		"numbers":         {[]string{`5`, `12345678901234567890`, `null`}, false, []string{"", "5", "12345678901234567890"}, false},
		"strings":         {[]string{`"a b"`, `null`}, false, []string{"", "a b"}, false},
		"never changes":   {[]string{`5`}, false, []string{"", "5"}, true},
		"goes in circles": {[]string{`5`, `6`, `5`}, false, []string{"", "5", "6"}, true},
		"no more rows":    {[]string{`5`, `6`, `7`}, true, []string{"", "5"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			lists := map[string]func(*transfer.Client) ([]any, error){
				"successful": func(c *transfer.Client) ([]any, error) { return collect(c.SuccessfulTransfers(t.Context(), "t1")) },
				"skipped":    func(c *transfer.Client) ([]any, error) { return collect(c.SkippedErrors(t.Context(), "t1")) },
			}
			for list, call := range lists {
				var markers []string
				c := serve(func(w http.ResponseWriter, r *http.Request) {
					next := tt.next[min(len(markers), len(tt.next)-1)]
					markers = append(markers, r.URL.Query().Get("marker"))
					doc := `{"DATA": [{"source_path": "a"}]`
					if tt.empty && len(markers) > 1 {
						doc = `{"DATA": []`
					}
					if next != "" {
						doc += `, "next_marker": ` + next
					}
					reply(http.StatusOK, doc+"}")(w, r)
				})
				got, err := call(c)
				want := len(tt.markers)
				if tt.empty {
					want = 1
				}
				if errors.Is(err, transfer.ErrEndless) != tt.endless || err == nil && len(got) != want {
					t.Errorf("%s: got %d rows and %v, want %d", list, len(got), err, want)
				}
				if diff := cmp.Diff(tt.markers, markers); diff != "" {
					t.Errorf("%s: markers (-want +got):\n%s", list, diff)
				}
			}
		})
	}
}

func TestQueriesOfLists(t *testing.T) {
	tests := map[string]struct {
		call func(*transfer.Client) error
		want string
	}{
		"events": {
			func(c *transfer.Client) error {
				_, err := collect(c.Events(t.Context(), "t1", transfer.EventQuery{}))
				return err
			},
			"/v0.10/task/t1/event_list limit=1000 offset=0",
		},
		"errors of a task": {
			func(c *transfer.Client) error {
				_, err := collect(c.Events(t.Context(), "t1", transfer.EventQuery{Errors: new(true), Limit: 1}))
				return err
			},
			"/v0.10/task/t1/event_list filter=is_error:1 limit=1 offset=0",
		},
		"directory": {
			func(c *transfer.Client) error {
				_, err := collect(c.Ls(t.Context(), "c1", transfer.LsQuery{
					Path: "/~/a b/", OrderBy: "name DESC", Filters: []string{"type:dir", "name:~*.txt"},
					ShowHidden: new(false), LocalUser: "ann",
				}))
				return err
			},
			"/v0.10/operation/endpoint/c1/ls filter=type:dir filter=name:~*.txt limit=15000 local_user=ann offset=0 orderby=name DESC path=/~/a b/ show_hidden=0",
		},
		"search": {
			func(c *transfer.Client) error {
				_, err := collect(c.SearchEndpoints(t.Context(), transfer.EndpointQuery{
					Fulltext: "lab & co", Scope: "my-endpoints", OwnerID: "o1", HostEndpoint: "h1", EntityType: "GCSv5_guest_collection",
					NonFunctional: new(false), Fields: []string{"id", "display_name"},
				}))
				return err
			},
			"/v0.10/endpoint_search fields=id,display_name filter_entity_type=GCSv5_guest_collection filter_fulltext=lab & co" +
				" filter_host_endpoint=h1 filter_non_functional=0 filter_owner_id=o1 filter_scope=my-endpoints limit=100 offset=0",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(func(w http.ResponseWriter, r *http.Request) {
				if got := r.URL.Path + printed(r.URL.Query()); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				reply(200, `{"DATA": []}`)(w, r)
			})
			if err := tt.call(c); err != nil {
				t.Error(err)
			}
		})
	}
}

// printed returns q as text, sorted by key.
func printed(q url.Values) string {
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(q)) {
		for _, v := range q[key] {
			fmt.Fprintf(&out, " %s=%s", key, v)
		}
	}
	return out.String()
}

func TestTooLongPageIsAskedForInSmallerOnes(t *testing.T) {
	var limits []string
	c := serve(func(w http.ResponseWriter, r *http.Request) {
		limits = append(limits, r.URL.Query().Get("limit"))
		if len(limits) == 1 {
			reply(200, `{"DATA": [{"name": "`+strings.Repeat("x", 8<<20))(w, r)
			return
		}
		reply(200, `{"DATA": [{"name": "a"}], "total": 1}`)(w, r)
	})
	got, err := names(c.Ls(t.Context(), "c1", transfer.LsQuery{}), func(e *transfer.Entry) string { return e.Name })
	if diff := cmp.Diff([]string{"a"}, got); err != nil || diff != "" {
		t.Errorf("error %v, files (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{"15000", "2000"}, limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
}

func TestHostilePagesAreErrors(t *testing.T) {
	tests := map[string]struct {
		page func(n int) string // the nth page
		want error
	}{
		"too long":         {func(int) string { return `{"DATA": ["` + strings.Repeat("x", 8<<20) }, transfer.ErrTooLong},
		"many tiny rows":   {func(int) string { return `{"DATA": [{}` + strings.Repeat(",{}", 1<<20) + "]}" }, transfer.ErrTooLong},
		"a huge row":       {func(int) string { return `{"DATA": [{"a":[0` + strings.Repeat(",0", 1<<20) + "]}]}" }, transfer.ErrTooLong},
		"a huge marker":    {func(int) string { return `{"DATA": [{}], "next_marker": "` + strings.Repeat("x", 1<<16) + `"}` }, transfer.ErrEndless},
		"always a new one": {func(n int) string { return fmt.Sprintf(`{"DATA": [{}], "next_marker": %d}`, n) }, transfer.ErrEndless},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := 0
			c := serve(func(w http.ResponseWriter, r *http.Request) {
				n++
				reply(200, tt.page(n))(w, r)
			})
			_, err := collect(c.SuccessfulTransfers(t.Context(), "t1"))
			if !errors.Is(err, tt.want) {
				t.Errorf("after %d requests: %v, want %v", n, err, tt.want)
			}
			if _, ok := errors.AsType[*transfer.Error](err); !ok {
				t.Errorf("%v does not name the request", err)
			}
		})
	}
}

func TestRowsAreThoseOfTheDocument(t *testing.T) {
	want := []string{`{"a": "],[\\"}`, `{"b": [1, {"c": "\""}]}`, `{}`}
	c := serve(reply(200, `{"x": "DATA", "DATA" : [ `+strings.Join(want, " , \n")+` ] }`))
	var got []string
	for row, err := range c.SuccessfulTransfers(t.Context(), "t1") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(row.Raw))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestLongDocumentIsAnError(t *testing.T) {
	c := serve(reply(200, `{"pause_rules": [{}`+strings.Repeat(",{}", 1<<16)+"]}"))
	if _, err := c.PauseInfo(t.Context(), "t1"); !errors.Is(err, transfer.ErrTooLong) {
		t.Errorf("got %v, want %v", err, transfer.ErrTooLong)
	}
}

func FuzzPages(f *testing.F) {
	for _, doc := range []string{
		`{"DATA": [{"name": "a"}, {}], "total": 2}`, `{"DATA": [{"a": "\\"}, {"b": "]}"}], "next_marker": 5}`, `{"DATA": {}}`, `{"DATA": null}`,
		`{"DATA": [1, [2], "x"]}`, `[{}]`, `{"DATA": [], "DATA": [{}]}`, "\xef\xbb\xbf{}", `{"DATA": [{}], "has_next_page": true, "total": -1}`,
	} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		var raw struct{ DATA []json.RawMessage }
		valid := json.Unmarshal([]byte(doc), &raw) == nil
		n := 0
		c := serve(func(w http.ResponseWriter, r *http.Request) {
			if n++; n > 1 {
				doc = `{"DATA": []}`
			}
			reply(200, doc)(w, r)
		})
		var got []string
		var failed error
		for row, err := range c.SkippedErrors(t.Context(), "t1") {
			if failed = err; err == nil {
				got = append(got, string(row.Raw))
			}
		}
		if failed != nil {
			if _, ok := errors.AsType[*transfer.Error](failed); !ok {
				t.Errorf("%T is no *transfer.Error: %v", failed, failed)
			}
			return
		}
		if !valid || len(got) != len(raw.DATA) {
			t.Fatalf("got %d rows of %q, which is valid: %t, and has %d", len(got), doc, valid, len(raw.DATA))
		}
		for i, row := range got {
			if row != string(raw.DATA[i]) {
				t.Errorf("row %d is %q, want %q", i, row, raw.DATA[i])
			}
		}
	})
}
