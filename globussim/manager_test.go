package globussim_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/globussim"
)

const manager = "/endpoint_manager/"

// inOwnedLab runs a test in a lab whose folder "lab" belongs to the robot,
// while another account works in it: with "good" done, and with "bad" since.
func inOwnedLab(t *testing.T, test func(t *testing.T, l *lab, good, bad string)) {
	t.Helper()
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		own := l.token
		l.becomeOther()
		good := l.submit(l.transfer("/f", "/a", doc{"label": "good"}))
		l.wait(good)
		time.Sleep(time.Hour)
		bad := l.submit(l.transfer("/missing", "/b", doc{"label": "bad"}))
		time.Sleep(time.Minute)
		l.token = own
		test(t, l, good, bad)
	}, func(cfg *globussim.Config) { cfg.Collections[0].Owner = robot })
}

func TestAManagerSeesTheTasksOfOthersOnItsCollections(t *testing.T) {
	inOwnedLab(t, func(t *testing.T, l *lab, good, bad string) {
		if a := l.call(http.MethodGet, "/task/"+good, nil); a.status != http.StatusNotFound {
			t.Errorf("as an owner: %d %s", a.status, a.body)
		}
		l.call(http.MethodGet, manager+"task/"+good, nil).want(t, doc{"task_id": good, "owner_id": other})
		if codes := l.call(http.MethodGet, manager+"task/"+good+"/event_list", nil).column("code"); !slices.Contains(codes, "SUCCEEDED") {
			t.Errorf("events: %v", codes)
		}
		errors := l.call(http.MethodGet, manager+"task/"+bad+"/event_list?filter_is_error=1&limit=1", nil)
		if diff := cmp.Diff([]string{"FILE_NOT_FOUND"}, errors.column("code")); diff != "" {
			t.Errorf("errors differ (-want +got):\n%s", diff)
		}
		paths := l.call(http.MethodGet, manager+"task/"+good+"/successful_transfers", nil).column("source_path")
		if diff := cmp.Diff([]string{"/f"}, paths); diff != "" {
			t.Errorf("files differ (-want +got):\n%s", diff)
		}
		l.call(http.MethodGet, manager+"task/"+bad+"/skipped_errors", nil).want(t, doc{"DATA_TYPE": "skipped_errors", "next_marker": nil})
		l.call(http.MethodGet, manager+"task/"+bad+"/pause_info", nil).want(t, doc{"DATA_TYPE": "pause_info_limited"})

		l.becomeOther()
		if a := l.call(http.MethodGet, manager+"task/"+good, nil); a.status != http.StatusNotFound {
			t.Errorf("one who manages nothing: %d %s", a.status, a.body)
		}
	})
}

func TestTheTaskListOfAManagerIsFiltered(t *testing.T) {
	inOwnedLab(t, func(t *testing.T, l *lab, good, bad string) {
		tests := map[string]struct {
			query []string
			want  []string
		}{
			"running":             {[]string{"filter_status", "ACTIVE,INACTIVE"}, []string{"bad"}},
			"a collection":        {[]string{"filter_endpoint", l.labID}, []string{"bad", "good"}},
			"as the source":       {[]string{"filter_endpoint", l.labID, "filter_endpoint_use", "source"}, []string{"bad", "good"}},
			"as the destination":  {[]string{"filter_endpoint", l.labID, "filter_endpoint_use", "destination"}, []string{}},
			"the other one":       {[]string{"filter_endpoint", l.vaultID, "filter_endpoint_use", "destination"}, []string{"bad", "good"}},
			"ids":                 {[]string{"filter_task_id", good}, []string{"good"}},
			"an owner":            {[]string{"filter_endpoint", l.labID, "filter_owner_id", other}, []string{"bad", "good"}},
			"nobody":              {[]string{"filter_endpoint", l.labID, "filter_owner_id", robot}, []string{}},
			"faults":              {[]string{"filter_endpoint", l.labID, "filter_min_faults", "1"}, []string{"bad"}},
			"paused, from Python": {[]string{"filter_status", "ACTIVE", "filter_is_paused", "True"}, []string{}},
			"completed":           {[]string{"filter_endpoint", l.labID, "filter_completion_time", "2000-01-01,2000-01-02"}, []string{"good"}},
			"completed, or later": {[]string{"filter_endpoint", l.labID, "filter_completion_time", "2000-01-02,"}, []string{"bad"}},
		}
		for name, tt := range tests {
			a := l.call(http.MethodGet, query(manager+"task_list", tt.query...), nil)
			if diff := cmp.Diff(tt.want, a.column("label")); diff != "" {
				t.Errorf("%s: labels differ (-want +got):\n%s", name, diff)
			}
			a.want(t, doc{"DATA_TYPE": "task_list", "has_next_page": false})
		}
		rows := l.call(http.MethodGet, manager+"task_list?filter_task_id="+bad, nil).rows()
		rows[0].want(t, doc{"task_id": bad, "owner_string": other + "@clients.auth.globus.org"})
		for _, side := range []string{"source", "destination"} {
			for _, key := range []string{"host_endpoint", "host_endpoint_id", "host_endpoint_display_name", "host_path", "mapped_collection_id", "mapped_collection_display_name"} {
				rows[0].want(t, doc{side + "_" + key: nil})
			}
		}
		for _, bad := range [][]string{
			nil,
			{"filter_status", "FAILED"},
			{"filter_status", "ACTIVE", "filter_is_paused", "perhaps"},
			{"filter_status", "ACTIVE", "filter_min_faults", "many"},
			{"filter_status", "ACTIVE", "filter_completion_time", "soon"},
			{"filter_status", "ACTIVE", "limit", "x"},
		} {
			if a := l.call(http.MethodGet, query(manager+"task_list", bad...), nil); a.status != http.StatusBadRequest {
				t.Errorf("%v answers %d %s, want 400", bad, a.status, a.body)
			}
		}
	})
}

func TestTheTaskListOfAManagerIsPagedByTheLastKey(t *testing.T) {
	inOwnedLab(t, func(t *testing.T, l *lab, _, _ string) {
		var labels []string
		key := ""
		for range 10 {
			a := l.call(http.MethodGet, query(manager+"task_list", "filter_endpoint", l.labID, "limit", "1", "last_key", key), nil)
			labels = append(labels, a.column("label")...)
			if a.doc["has_next_page"] != true {
				break
			}
			key = a.text("last_key")
		}
		if diff := cmp.Diff([]string{"bad", "good"}, labels); diff != "" {
			t.Errorf("labels differ (-want +got):\n%s", diff)
		}
	})
}

func TestAManagerSeesItsCollectionsAndTheirPauseRules(t *testing.T) {
	l := newLab(t, func(cfg *globussim.Config) { cfg.Collections[0].Owner = robot })
	for _, id := range []string{l.labID, l.vaultID} {
		if _, err := l.Pause(globussim.PauseRule{Collection: id, Message: "closed"}); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string][]string{
		"monitored_endpoints":                           {l.labID},
		"endpoint/" + l.labID + "/hosted_endpoint_list": {},
	} {
		if diff := cmp.Diff(want, l.call(http.MethodGet, manager+path, nil).column("id")); diff != "" {
			t.Errorf("%s: ids differ (-want +got):\n%s", path, diff)
		}
	}
	for path, want := range map[string][]string{
		"pause_rule_list": {l.labID},
		"pause_rule_list?filter_endpoint=" + l.labID:           {l.labID},
		"pause_rule_list?filter_endpoint=" + uuid.Nil.String(): {},
	} {
		if diff := cmp.Diff(want, l.call(http.MethodGet, manager+path, nil).column("endpoint_id")); diff != "" {
			t.Errorf("%s: collections differ (-want +got):\n%s", path, diff)
		}
	}
	l.call(http.MethodGet, manager+"endpoint/"+l.labID, nil).want(t, doc{"DATA_TYPE": "endpoint", "id": l.labID})
	for _, path := range []string{"", "/access_list", "/hosted_endpoint_list"} {
		if a := l.call(http.MethodGet, manager+"endpoint/"+l.vaultID+path, nil); a.status != http.StatusForbidden || a.text("code") != "PermissionDenied" {
			t.Errorf("a stranger's collection%s answers %d %s", path, a.status, a.body)
		}
	}
}
