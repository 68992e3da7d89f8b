package transfer_test

import (
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/transfer"
)

func TestOnlySucceededAndFailedAreFinal(t *testing.T) {
	tests := map[transfer.Status]bool{
		transfer.Active: false, transfer.Inactive: false, transfer.Succeeded: true, transfer.Failed: true, "NEW": false,
	}
	for status, want := range tests {
		if got := status.Final(); got != want {
			t.Errorf("%s: got final %t, want %t", status, got, want)
		}
	}
}

func TestTaskQueryBecomesAFilter(t *testing.T) {
	at := time.Date(2026, 1, 1, 1, 0, 0, 0, time.FixedZone("", 3600))
	const types = "type:TRANSFER,DELETE"
	tests := map[string]struct {
		query transfer.TaskQuery
		want  url.Values
	}{
		"nothing": {transfer.TaskQuery{}, url.Values{"filter": {types}}},
		"everything": {
			transfer.TaskQuery{
				IDs: []string{"T1", "t2"}, Types: []string{"TRANSFER"}, Statuses: []string{"ACTIVE", "INACTIVE"},
				LabelPatterns: []string{"nightly-*", "hourly"}, ExcludeLabels: []string{"nightly-0"}, ExcludeLabelPatterns: []string{"*-9"},
				Requested: transfer.Span{From: at, To: at.Add(time.Hour)}, Completed: transfer.Span{From: at},
				OrderBy: "label ASC", Limit: 7, Fields: []string{"task_id", "status"},
			},
			url.Values{
				"filter": {"task_id:T1,t2/type:TRANSFER/status:ACTIVE,INACTIVE/label:~nightly-*,~hourly,!nightly-0,!~*-9" +
					"/request_time:2026-01-01 00:00:00,2026-01-01 01:00:00/completion_time:2026-01-01 00:00:00,"},
				"orderby": {"label ASC"}, "limit": {"7"}, "fields": {"task_id,status"},
			},
		},
		"exact label":                   {transfer.TaskQuery{Labels: []string{"nightly 2026-11-21T02:00:00Z"}}, url.Values{"filter": {types + "/label:=nightly 2026-11-21T02:00:00Z"}}},
		"exact labels":                  {transfer.TaskQuery{Labels: []string{"a", "b/c"}}, url.Values{"filter": {types + "/label:=a,~b*c"}}},
		"exact label with grammar":      {transfer.TaskQuery{Labels: []string{"a/b,c"}}, url.Values{"filter": {types + "/label:~a*b*c"}}},
		"exact label and other fields":  {transfer.TaskQuery{Labels: []string{"a"}, Fields: []string{"task_id"}}, url.Values{"filter": {types + "/label:=a"}, "fields": {"task_id,label"}}},
		"span that is open at its from": {transfer.TaskQuery{Completed: transfer.Span{To: at}}, url.Values{"filter": {types + "/completion_time:,2026-01-01 00:00:00"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want := url.Values{"orderby": {"request_time DESC"}, "limit": {"1000"}, "offset": {"0"}}
			maps.Copy(want, tt.want)
			c := serve(func(w http.ResponseWriter, r *http.Request) {
				if diff := cmp.Diff(want, r.URL.Query()); diff != "" {
					t.Errorf("query (-want +got):\n%s", diff)
				}
				reply(200, `{"DATA": [], "total": 0}`)(w, r)
			})
			if _, err := collect(c.Tasks(t.Context(), tt.query)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConditionsThatAFilterCannotHoldAreErrors(t *testing.T) {
	tests := map[string]transfer.TaskQuery{
		"id":      {IDs: []string{"t1/status:ACTIVE"}},
		"status":  {Statuses: []string{"ACTIVE,FAILED"}},
		"pattern": {LabelPatterns: []string{"a/b*"}},
		"exclude": {ExcludeLabels: []string{"a,b"}},
	}
	for name, q := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(replies(t)) // no request at all
			if _, err := collect(c.Tasks(t.Context(), q)); err == nil {
				t.Error("got no error")
			}
		})
	}
}

func TestExactLabelIsExact(t *testing.T) {
	const rows = `{"total": 5, "DATA": [{"task_id": "t1", "label": "A/b"}, {"task_id": "t2", "label": "a/b"},
		{"task_id": "t3", "label": "a/x/b"}, {"task_id": "t4", "label": null}, {"task_id": "t5", "label": "a/b"}]}`
	tests := map[string]struct {
		limit int
		want  []string
	}{
		"all":   {0, []string{"t2", "t5"}},
		"first": {1, []string{"t2"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for task, err := range serve(reply(200, rows)).Tasks(t.Context(), transfer.TaskQuery{Labels: []string{"a/b"}, Limit: tt.limit}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, task.TaskID)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("tasks (-want +got):\n%s", diff)
			}
		})
	}
}
