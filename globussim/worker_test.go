package globussim_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/test/long"
)

func (l *lab) events(id string, pairs ...string) []string {
	l.t.Helper()
	return l.call(http.MethodGet, query("/task/"+id+"/event_list", pairs...), nil).column("code")
}

func TestAMissingSourceIsTriedAgainUntilItAppears(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		id := l.submit(l.transfer("/late", "/copy"))
		first := l.task(id)
		first.want(t, doc{
			"status": "ACTIVE", "is_ok": false, "nice_status": "FILE_NOT_FOUND", "nice_status_short_description": "file not found",
			"faults": 1, "completion_time": nil, "fatal_error": nil, "subtasks_retrying": 1,
		})
		time.Sleep(10*time.Second + time.Millisecond)
		if faults := l.task(id).number("faults"); faults != 11 {
			t.Errorf("there are %d faults after 10 s, want 11", faults)
		}
		if diff := cmp.Diff([]string{"FILE_NOT_FOUND", "FILE_NOT_FOUND"}, l.events(id, "filter", "is_error:1", "limit", "2")); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
		plant(t, l.lab, map[string]string{"late": "here"})
		l.wait(id).want(t, doc{"status": "SUCCEEDED", "is_ok": nil, "files_transferred": 1})
		if diff := cmp.Diff(map[string]string{"copy": "here"}, tree(t, l.vault)); diff != "" {
			t.Errorf("the copy differs (-want +got):\n%s", diff)
		}
	})
}

func TestAFolderThatIsTakenAwayBetweenTriesIsMadeAgain(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"a": "1"})
		id := l.submit(l.transfer("", "", doc{"DATA": []doc{
			{"source_path": "/late", "destination_path": "/out/late"}, {"source_path": "/a", "destination_path": "/out/a"},
		}}))
		l.task(id).want(t, doc{"status": "ACTIVE", "files_transferred": 1})
		if err := os.RemoveAll(l.vault + "/out"); err != nil {
			t.Fatal(err)
		}
		plant(t, l.lab, map[string]string{"late": "2"})
		l.wait(id).want(t, doc{"status": "SUCCEEDED", "faults": 1})
	})
}

func TestAnErrorOfOnePathLeavesTheOthersAlone(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"b": "2"})
		d := l.transfer("", "", doc{"DATA": []doc{
			{"source_path": "/a", "destination_path": "/a"}, {"source_path": "/b", "destination_path": "/b"},
		}})
		l.task(l.submit(d)).want(t, doc{
			"status": "ACTIVE", "is_ok": false, "files_transferred": 1, "subtasks_total": 3, "subtasks_pending": 1, "subtasks_succeeded": 2,
		})
	})
}

func TestSkippedSourceErrorsAreListed(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"b": "2", "secret/c": "3"})
		id := l.submit(l.transfer("", "", doc{"skip_source_errors": true, "DATA": []doc{
			{"source_path": "/~/a", "destination_path": "/~/x/a"},
			{"source_path": "/b", "destination_path": "/b"},
			{"source_path": "/secret/", "destination_path": "/secret/", "recursive": true},
		}}))
		l.wait(id).want(t, doc{
			"status": "SUCCEEDED", "subtasks_skipped_errors": 2, "files_transferred": 1, "faults": 0, "skip_source_errors": true,
		})
		list := l.call(http.MethodGet, "/task/"+id+"/skipped_errors", nil)
		list.want(t, doc{"DATA_TYPE": "skipped_errors", "next_marker": nil})
		rows := list.rows()
		if len(rows) != 2 {
			t.Fatalf("skipped errors are %s, want two", list.body)
		}
		rows[0].want(t, doc{
			"error_code": "FILE_NOT_FOUND", "source_path": "/~/a", "destination_path": "/~/x/a",
			"is_directory": false, "is_symlink": false, "external_checksum": nil,
		})
		rows[1].want(t, doc{"error_code": "PERMISSION_DENIED", "source_path": "/secret/", "is_directory": true})
		if !strings.Contains(rows[0].text("error_details"), "%0D%0A") {
			t.Errorf("the details are %q, want line ends as %%0D%%0A", rows[0].text("error_details"))
		}
	}, func(cfg *globussim.Config) {
		cfg.Collections[0].Access = []globussim.AccessRule{
			{Principal: robot, Path: "/a", Permissions: "r"},
			{Principal: robot, Path: "/b/", Permissions: "r"},
		}
	})
}

func TestADeniedDestinationIsAFaultThatIsNotSkipped(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		l.task(l.submit(l.transfer("/f", "/f", doc{"skip_source_errors": true}))).want(t, doc{
			"status": "ACTIVE", "is_ok": false, "nice_status": "PERMISSION_DENIED", "subtasks_skipped_errors": 0,
		})
	}, func(cfg *globussim.Config) {
		cfg.Collections[1].Access = []globussim.AccessRule{{Principal: "all_authenticated_users", Permissions: "r"}}
	})
}

func TestThreeTasksOfAKindAreWorkedOnAtOnceAndTheRestIsQueued(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		var transfers, deletes []string
		if err := l.Disturb(globussim.Disturbance{Action: globussim.StallTask, Times: -1}); err != nil {
			t.Fatal(err)
		}
		plant(t, l.lab, map[string]string{"f": "1"})
		for i := range 5 {
			transfers = append(transfers, l.submit(l.transfer("/f", fmt.Sprint("/", i))))
			deletes = append(deletes, l.submit(l.deletion("/f", doc{"ignore_missing": true})))
		}
		for _, ids := range [][]string{transfers, deletes} {
			var got []string
			for _, id := range ids {
				task := l.task(id)
				task.want(t, doc{"status": "ACTIVE", "is_ok": true})
				got = append(got, task.text("nice_status"))
			}
			if want := []string{"OK", "OK", "OK", "Queued", "Queued"}; !slices.Equal(got, want) {
				t.Errorf("the tasks are %v, want %v", got, want)
			}
		}
		l.call(http.MethodPost, "/task/"+transfers[1]+"/cancel", nil)
		l.task(transfers[3]).want(t, doc{"nice_status": "OK"})
		l.task(transfers[4]).want(t, doc{"nice_status": "Queued"})
	})
}

func TestACanceledTaskStopsWhereItIs(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"a": strings.Repeat("x", 1000), "b": strings.Repeat("y", 100_000)})
		id := l.submit(l.transfer("/", "/"))
		time.Sleep(15 * time.Second)
		running := l.task(id)
		running.want(t, doc{"status": "ACTIVE", "files_transferred": 1, "is_ok": true, "nice_status": "OK", "nice_status_expires_in": -1})
		if n := running.number("bytes_transferred"); n < 1400 || n > 1600 {
			t.Errorf("%d bytes were moved in 15 s at 100 a second", n)
		}

		a := l.call(http.MethodPost, "/task/"+id+"/cancel", nil)
		a.want(t, doc{"DATA_TYPE": "result", "code": "Canceled"})
		task := l.task(id)
		task.want(t, doc{"status": "FAILED", "files_transferred": 1, "bytes_transferred": running.doc["bytes_transferred"]})
		if task.number("subtasks_canceled") != 1 {
			t.Errorf("subtasks_canceled is %v", task.doc["subtasks_canceled"])
		}
		newest := l.call(http.MethodGet, "/task/"+id+"/event_list", nil).rows()[0]
		newest.want(t, doc{"code": "CANCELED", "is_error": true, "details": "Canceled by the task owner", "description": "canceled"})
		if diff := cmp.Diff(map[string]string{"a": strings.Repeat("x", 1000)}, tree(t, l.vault)); diff != "" {
			t.Errorf("the destination differs (-want +got):\n%s", diff)
		}

		again := l.call(http.MethodPost, "/task/"+id+"/cancel", nil)
		if again.status != http.StatusOK || again.text("code") != "TaskComplete" {
			t.Errorf("the second cancel answers %d %s", again.status, again.body)
		}
	}, func(cfg *globussim.Config) { cfg.Rate = 100 })
}

func TestADeleteRemovesWhatItNames(t *testing.T) {
	files := map[string]string{"dir/a": "1", "dir/sub/b": "2", "x1": "3", "x2": "4", "y": "5", "x*": "6"}
	all := []string{"dir/a", "dir/sub/b", "x1", "x2", "y", "x*"}
	tests := map[string]struct {
		path  string
		edit  doc
		fatal string
		left  []string
	}{
		"a file":                        {"/y", doc{}, "", []string{"dir/a", "dir/sub/b", "x1", "x2", "x*"}},
		"a tree":                        {"/dir/", doc{"recursive": true}, "", []string{"x1", "x2", "y", "x*"}},
		"a tree without recursive":      {"/dir/", doc{}, "DIRECTORY_NOT_EMPTY", all},
		"missing":                       {"/none", doc{}, "FILE_NOT_FOUND", all},
		"missing, ignored":              {"/none", doc{"ignore_missing": true}, "", all},
		"a name that is a pattern":      {"/x*", doc{}, "", []string{"dir/a", "dir/sub/b", "x1", "x2", "y"}},
		"a pattern":                     {"/x[12]", doc{"interpret_globs": true}, "", []string{"dir/a", "dir/sub/b", "y", "x*"}},
		"a pattern that is escaped":     {`/x\*`, doc{"interpret_globs": true}, "", []string{"dir/a", "dir/sub/b", "x1", "x2", "y"}},
		"a pattern without a match":     {"/z*", doc{"interpret_globs": true}, "FILE_NOT_FOUND", all},
		"a pattern of folders":          {"/d*", doc{"interpret_globs": true, "recursive": true}, "", []string{"x1", "x2", "y", "x*"}},
		"a pattern, ignored if missing": {"/z*", doc{"interpret_globs": true, "ignore_missing": true}, "", all},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, files)
				task := l.do(l.deletion(tt.path, tt.edit))
				task.want(t, doc{
					"type": "DELETE", "destination_endpoint": nil, "destination_endpoint_id": nil,
					"destination_endpoint_display_name": nil, "recursive_symlinks": nil, "source_endpoint_id": l.labID,
				})
				if task.fatal() != tt.fatal {
					t.Errorf("the fatal error is %q, want %q", task.fatal(), tt.fatal)
				}
				want := make(map[string]string)
				for _, name := range tt.left {
					want[name] = files[name]
				}
				if diff := cmp.Diff(want, tree(t, l.lab)); diff != "" {
					t.Errorf("what is left differs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestADeleteThatIsDeniedGoesOnTrying(t *testing.T) {
	tests := map[string]struct{ path, permissions string }{
		"without the permission": {"/f", "r"},
		"the collection itself":  {"/", "rw"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"f": "1"})
				id := l.submit(l.deletion(tt.path, doc{"recursive": true}))
				l.task(id).want(t, doc{"status": "ACTIVE", "nice_status": "PERMISSION_DENIED"})
				if diff := cmp.Diff(map[string]string{"f": "1"}, tree(t, l.lab)); diff != "" {
					t.Errorf("what is left differs (-want +got):\n%s", diff)
				}
			}, func(cfg *globussim.Config) {
				cfg.Collections[0].Access = []globussim.AccessRule{{Principal: robot, Permissions: tt.permissions}}
			})
		})
	}
}

func TestADeleteTakesTheLinkAndNotItsTarget(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"dir/a": "1"})
		plant(t, l.vault, map[string]string{"b": "2"})
		link(t, l.vault, l.lab+"/dir/out")
		l.do(l.deletion("/dir/", doc{"recursive": true})).want(t, doc{"status": "SUCCEEDED"})
		if got := tree(t, l.vault); got["b"] != "2" {
			t.Errorf("the target of the link holds %v", got)
		}
		if _, err := os.Stat(l.lab + "/dir"); !os.IsNotExist(err) {
			t.Errorf("the folder is still there: %v", err)
		}
	})
}

func TestEventsAreNewestFirstInPages(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		id := l.submit(l.transfer("/f", "/f"))
		l.wait(id)
		page := l.call(http.MethodGet, query("/task/"+id+"/event_list", "limit", "1", "offset", "1", "filter", ""), nil)
		page.want(t, doc{"DATA_TYPE": "event_list", "length": 1, "limit": 1, "offset": 1, "total": 3})
		page.rows()[0].want(t, doc{"DATA_TYPE": "event", "code": "PROGRESS", "is_error": false})
		if diff := cmp.Diff([]string{"SUCCEEDED", "PROGRESS", "STARTED"}, l.events(id, "filter", "is_error:0")); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
		if got := l.events(id, "filter", "is_error:1"); len(got) != 0 {
			t.Errorf("errors are %v, want none", got)
		}
	})
}

func TestProgressIsReportedEachMinute(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": strings.Repeat("x", 1500)})
		id := l.submit(l.transfer("/f", "/f"))
		time.Sleep(149 * time.Second)
		if diff := cmp.Diff([]string{"PROGRESS", "PROGRESS", "STARTED"}, l.events(id)); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
		newest := l.call(http.MethodGet, "/task/"+id+"/event_list", nil).rows()[0]
		newest.want(t, doc{"details": `{"bytes_transferred": 1200, "duration": 120.00}`, "time": "2000-01-01T00:02:00+00:00"})
	}, func(cfg *globussim.Config) { cfg.Rate = 10 })
}

func TestNoMoreThanTheNewestThousandEventsAreKept(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		id := l.submit(l.transfer("/missing", "/x"))
		time.Sleep(3000 * time.Second)
		a := l.call(http.MethodGet, query("/task/"+id+"/event_list", "limit", "5000"), nil)
		a.want(t, doc{"total": 1000, "limit": 1000, "length": 1000})
		if n := len(a.rows()); n != 1000 {
			t.Errorf("%d events came, want 1000", n)
		}
	})
}

func TestFilesThatWereCopiedAreListedInPages(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		files := make(map[string]string)
		for i := range 250 {
			files[fmt.Sprintf("f%03d", i)] = "x"
		}
		plant(t, l.lab+"/in", files)
		id := l.submit(l.transfer("/~/in", "/~/out/"))
		l.wait(id)
		var got []string
		marker := ""
		for range 3 {
			page := l.call(http.MethodGet, query("/task/"+id+"/successful_transfers", "marker", marker), nil)
			got = append(got, page.column("source_path")...)
			for _, row := range page.rows() {
				row.want(t, doc{"DATA_TYPE": "successful_transfer", "size": 1, "checksum": nil})
			}
			if page.doc["next_marker"] == nil {
				break
			}
			marker = fmt.Sprint(page.doc["next_marker"])
		}
		if len(got) != 250 || got[249] != "/~/in/f249" || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 250 {
			t.Errorf("%d rows came, the last %q", len(got), got[len(got)-1])
		}
	})
}

func TestAsManyItemsAsFitAreOneTask(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		n, files := long.Or(100_000, 5_000), 100
		plant(t, l.lab, map[string]string{"f": "1"})
		items := make([]doc, n)
		for i := range items {
			items[i] = doc{"source_path": "/f", "destination_path": fmt.Sprintf("/f%d", i%files)}
		}
		l.do(l.transfer("", "", doc{"DATA": items, "sync_level": 0})).want(t, doc{
			"status": "SUCCEEDED", "files_transferred": files, "files_skipped": n - files, "subtasks_total": n + 1,
		})
	})
}
