package globussim_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheTaskListIsFilteredSortedAndCut(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		ids := make(map[string]string)
		var names []string
		add := func(name string, d doc) {
			d["label"] = name
			ids[name] = l.submit(d)
			names = append(names, name)
			time.Sleep(time.Hour)
		}
		add("nightly-a", l.transfer("/f", "/a"))       // 00:00, ends at once
		add("nightly-b", l.transfer("/missing", "/b")) // 01:00, never ends
		add("Purge [x]", l.deletion("/none"))          // 02:00, fails at once
		add("weekly", l.transfer("/f", "/c"))          // 03:00
		tests := map[string]struct {
			query []string
			want  []string
			total int
		}{
			"all, newest first":        {nil, []string{"weekly", "Purge [x]", "nightly-b", "nightly-a"}, 4},
			"an empty filter":          {[]string{"filter", ""}, []string{"weekly", "Purge [x]", "nightly-b", "nightly-a"}, 4},
			"JavaScript null":          {[]string{"filter", "null"}, []string{"weekly", "Purge [x]", "nightly-b", "nightly-a"}, 4},
			"oldest first":             {[]string{"orderby", "request_time"}, names, 4},
			"by label":                 {[]string{"orderby", "label ASC"}, []string{"Purge [x]", "nightly-a", "nightly-b", "weekly"}, 4},
			"by two":                   {[]string{"orderby", "type DESC,request_time ASC"}, []string{"nightly-a", "nightly-b", "weekly", "Purge [x]"}, 4},
			"type":                     {[]string{"filter", "type:DELETE"}, []string{"Purge [x]"}, 1},
			"types":                    {[]string{"filter", "type:TRANSFER,DELETE/status:FAILED"}, []string{"Purge [x]"}, 1},
			"status":                   {[]string{"filter", "status:ACTIVE,INACTIVE"}, []string{"nightly-b"}, 1},
			"id":                       {[]string{"filter", "task_id:" + ids["weekly"] + "," + ids["nightly-a"]}, []string{"weekly", "nightly-a"}, 2},
			"label":                    {[]string{"filter", "label:=WEEKLY"}, []string{"weekly"}, 1},
			"label pattern":            {[]string{"filter", "label:~Nightly-*"}, []string{"nightly-b", "nightly-a"}, 2},
			"label pattern, [ is [":    {[]string{"filter", "label:~*[x]"}, []string{"Purge [x]"}, 1},
			"not the label":            {[]string{"filter", "label:!weekly"}, []string{"Purge [x]", "nightly-b", "nightly-a"}, 3},
			"not the label pattern":    {[]string{"filter", "label:!~nightly*"}, []string{"weekly", "Purge [x]"}, 2},
			"requested from":           {[]string{"filter", "request_time:2000-01-01T02:00:00,"}, []string{"weekly", "Purge [x]"}, 2},
			"requested to":             {[]string{"filter", "request_time:,2000-01-01 01:00:00"}, []string{"nightly-b", "nightly-a"}, 2},
			"requested between":        {[]string{"filter", "request_time:2000-01-01T00:30:00Z,2000-01-01T01:30:00Z"}, []string{"nightly-b"}, 1},
			"completed":                {[]string{"filter", "completion_time:2000-01-01T00:00:00,"}, []string{"weekly", "Purge [x]", "nightly-a"}, 3},
			"two clauses":              {[]string{"filter", "type:TRANSFER/label:~*y"}, []string{"weekly"}, 1},
			"a page":                   {[]string{"limit", "2", "offset", "1"}, []string{"Purge [x]", "nightly-b"}, 4},
			"a page that is not full":  {[]string{"limit", "1000", "offset", "3"}, []string{"nightly-a"}, 4},
			"a page after the end":     {[]string{"offset", "4"}, []string{}, 4},
			"a limit above a thousand": {[]string{"limit", "9999", "offset", "3"}, []string{"nightly-a"}, 4},
		}
		for name, tt := range tests {
			a := l.call(http.MethodGet, query("/task_list", tt.query...), nil)
			if diff := cmp.Diff(tt.want, a.column("label")); diff != "" {
				t.Errorf("%s: labels differ (-want +got):\n%s", name, diff)
			}
			a.want(t, doc{"DATA_TYPE": "task_list", "length": len(tt.want), "total": tt.total})
		}
		for _, list := range []string{"successful_transfers", "skipped_errors"} {
			a := l.call(http.MethodGet, "/task/"+ids["weekly"]+"/"+list+"?marker=9223372036854775807", nil)
			if len(a.rows()) != 0 || a.doc["next_marker"] != nil {
				t.Errorf("%s after a marker beyond the end: %s", list, a.body)
			}
		}
		for _, bad := range [][]string{{"filter", "colour:red"}, {"orderby", "colour"}, {"limit", "-1"}, {"filter", "request_time:soon,"}} {
			if a := l.call(http.MethodGet, query("/task_list", bad...), nil); a.status != http.StatusBadRequest {
				t.Errorf("%v answers %d, want 400", bad, a.status)
			}
		}
		rows := l.call(http.MethodGet, "/task_list?fields=task_id,label&limit=1", nil).rows()
		if diff := cmp.Diff(doc{"task_id": ids["weekly"], "label": "weekly"}, rows[0].doc); diff != "" {
			t.Errorf("the projection differs (-want +got):\n%s", diff)
		}
	})
}

func TestATaskListHasNoMoreThanAThousandRows(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		for range 1005 {
			l.do(l.deletion("/none", doc{"ignore_missing": true}))
		}
		var got []string
		for offset := 0; ; {
			page := l.call(http.MethodGet, query("/task_list", "limit", "600", "offset", fmt.Sprint(offset)), nil)
			got = append(got, page.column("task_id")...)
			offset += len(page.rows())
			if offset >= page.number("total") {
				break
			}
		}
		if n := len(slices.Compact(slices.Sorted(slices.Values(got)))); n != 1000 {
			t.Errorf("the pages hold %d tasks, want 1000", n)
		}
	})
}
