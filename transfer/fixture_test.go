package transfer_test

import (
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/transfer"
)

// A recorded reply of the service.
type fixture struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Status int             `json:"status"`
	JSON   json.RawMessage `json:"json"`
}

const id = `([^/]+)`

// calls are the calls of the Client by the request that they send. Each returns
// the documents it decoded.
var calls = []struct {
	request string
	call    func(t *testing.T, c *transfer.Client, arg string) ([]any, error)
	unread  string // fields of the reply that no field is for
}{
	{`GET /v0.10/submission_id`, func(t *testing.T, c *transfer.Client, _ string) ([]any, error) {
		v, err := c.SubmissionID(t.Context())
		raw, _ := json.Marshal(map[string]string{"value": v}) // cannot fail
		return one(&struct {
			Value string          `json:"value"`
			Raw   json.RawMessage `json:"-"`
		}{v, raw}, err)
	}, ""},
	{`POST /v0.10/(transfer)`, submit(&transfer.Transfer{Header: transfer.Header{SubmissionID: "s"}}), "resource task_link"},
	{`POST /v0.10/(delete)`, submit(&transfer.Delete{Header: transfer.Header{SubmissionID: "s"}}), "resource task_link"},
	{`GET /v0.10/(task_list)`, func(t *testing.T, c *transfer.Client, _ string) ([]any, error) {
		return collect(c.Tasks(t.Context(), transfer.TaskQuery{}))
	}, unreadTask},
	{`GET /v0.10/task/` + id, func(t *testing.T, c *transfer.Client, id string) ([]any, error) {
		return one(c.Task(t.Context(), id))
	}, unreadTask},
	{`POST /v0.10/task/` + id + `/cancel`, func(t *testing.T, c *transfer.Client, id string) ([]any, error) {
		return one(c.CancelTask(t.Context(), id))
	}, ""},
	{`GET /v0.10/task/` + id + `/event_list`, func(t *testing.T, c *transfer.Client, id string) ([]any, error) {
		return collect(c.Events(t.Context(), id, transfer.EventQuery{}))
	}, ""},
	{`GET /v0.10/task/` + id + `/successful_transfers`, func(t *testing.T, c *transfer.Client, id string) ([]any, error) {
		return collect(c.SuccessfulTransfers(t.Context(), id))
	}, ""},
	{`GET /v0.10/task/` + id + `/skipped_errors`, func(t *testing.T, c *transfer.Client, id string) ([]any, error) {
		return collect(c.SkippedErrors(t.Context(), id))
	}, ""},
	{`GET /v0.10/operation/endpoint/` + id + `/ls`, func(t *testing.T, c *transfer.Client, id string) ([]any, error) {
		return collect(c.Ls(t.Context(), id, transfer.LsQuery{}))
	}, ""},
	{`GET /v0.10/operation/endpoint/` + id + `/stat`, func(t *testing.T, c *transfer.Client, id string) ([]any, error) {
		return one(c.Stat(t.Context(), id, "/a"))
	}, ""},
	{`POST /v0.10/operation/endpoint/` + id + `/mkdir`, func(t *testing.T, c *transfer.Client, id string) ([]any, error) {
		return one(c.Mkdir(t.Context(), id, "/a"))
	}, ""},
	{`POST /v0.10/operation/endpoint/` + id + `/rename`, func(t *testing.T, c *transfer.Client, id string) ([]any, error) {
		return one(c.Rename(t.Context(), id, "/a", "/b"))
	}, ""},
	{`GET /v0.10/endpoint/` + id, func(t *testing.T, c *transfer.Client, id string) ([]any, error) {
		return one(c.Endpoint(t.Context(), id))
	}, unreadEndpoint},
	{`GET /v0.10/(endpoint_search)`, func(t *testing.T, c *transfer.Client, _ string) ([]any, error) {
		return collect(c.SearchEndpoints(t.Context(), transfer.EndpointQuery{Fulltext: "a"}))
	}, unreadEndpoint},
}

const (
	unreadTask     = "owner_string"
	unreadEndpoint = `DATA _rank activated expire_time expires_in globus_connect_setup_key host_endpoint
		local_user_info_available location myproxy_server name s3_owner_activated s3_url
		sharing_target_endpoint sharing_target_root_path subscription_admin_verified username`
)

func submit(doc transfer.Document) func(*testing.T, *transfer.Client, string) ([]any, error) {
	return func(t *testing.T, c *transfer.Client, _ string) ([]any, error) {
		return one(c.Submit(t.Context(), doc))
	}
}

func one[T any](v *T, err error) ([]any, error) { return []any{v}, err }

func collect[T any](rows iter.Seq2[*T, error]) ([]any, error) {
	var out []any
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

func TestRecordedRepliesDecodeInFull(t *testing.T) {
	files, err := filepath.Glob("testdata/fixtures/*/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	used := make(map[string]bool)
	for _, file := range files {
		for _, f := range readFixtures(t, file) {
			for _, c := range calls {
				arg := regexp.MustCompile("^" + c.request + "$").FindStringSubmatch(f.Method + " " + f.Path)
				if arg == nil {
					continue
				}
				used[file], used[c.request] = true, true
				t.Run(file+"/"+f.Method+f.Path, func(t *testing.T) {
					client := serve(func(w http.ResponseWriter, r *http.Request) {
						if r.Method != f.Method || r.URL.Path != f.Path {
							t.Errorf("got a request %s %s, want %s %s", r.Method, r.URL.Path, f.Method, f.Path)
						}
						if r.URL.Query().Has("marker") { // the page after a recorded one
							reply(200, `{"DATA": [], "next_marker": null}`)(w, r)
							return
						}
						reply(f.Status, string(f.JSON))(w, r)
					})
					got, err := c.call(t, client, arg[len(arg)-1])
					if f.Status/100 != 2 {
						checkError(t, err, f)
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					checkDocuments(t, got, f.JSON, strings.Fields(c.unread+" DATA_TYPE"))
				})
			}
		}
		if !used[file] {
			t.Errorf("%s has no reply to a call of the client", file)
		}
	}
	for _, c := range calls {
		if !used[c.request] {
			t.Errorf("there is no recorded reply to %s", c.request)
		}
	}
}

func readFixtures(t *testing.T, file string) []fixture {
	t.Helper()
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(file, "sdk_test_documents") {
		return []fixture{{http.MethodGet, "/v0.10/task/b8872740-7edc-11ec-9f33-ed182a728dff", 200, doc}}
	}
	var rows []fixture
	if err := json.Unmarshal(doc, &rows); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for i := range rows { // an administrator's list has the same rows as one's own
		rows[i].Path = strings.Replace(rows[i].Path, "/endpoint_manager/", "/", 1)
	}
	return rows
}

func checkError(t *testing.T, err error, f fixture) {
	t.Helper()
	var want struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(f.JSON, &want); err != nil || want.Code == "" {
		t.Fatalf("fixture has no code: %v", err)
	}
	e, ok := errors.AsType[*transfer.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *transfer.Error", err)
	}
	if diff := cmp.Diff(&transfer.Error{
		Method: f.Method, Path: f.Path, Status: f.Status,
		Code: want.Code, Message: strings.Join(strings.Fields(transfer.Reason(want.Message)), " "), RequestID: want.RequestID,
	}, e); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

// checkDocuments compares what was decoded with the reply, field by field. A
// field of the reply may be missing only if it is empty or in unread.
func checkDocuments(t *testing.T, got []any, body []byte, unread []string) {
	t.Helper()
	want := documents(t, body)
	if len(got) != len(want) {
		t.Fatalf("got %d documents, want %d", len(got), len(want))
	}
	for i := range got {
		var raw map[string]any
		doc := reflect.ValueOf(got[i]).Elem().FieldByName("Raw").Bytes()
		if err := json.Unmarshal(doc, &raw); err != nil || !cmp.Equal(raw, want[i]) {
			t.Errorf("Raw is not the document: %v\n%s", err, cmp.Diff(want[i], raw))
		}
		doc, err := json.Marshal(got[i])
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(doc, &fields); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(filled(want[i], unread), filled(fields, nil)); diff != "" {
			t.Errorf("document %d (-reply +decoded):\n%s", i, diff)
		}
	}
}

// documents returns the rows of body if it is a list, or else body. Some lists
// do not say that they are one, and an endpoint has rows without being one.
func documents(t *testing.T, body []byte) []map[string]any {
	t.Helper()
	var doc map[string]any
	var list struct {
		Type string           `json:"DATA_TYPE"`
		Rows []map[string]any `json:"DATA"`
	}
	if err := errors.Join(json.Unmarshal(body, &doc), json.Unmarshal(body, &list)); err != nil {
		t.Fatal(err)
	}
	if list.Type == "endpoint" || list.Rows == nil {
		return []map[string]any{doc}
	}
	return list.Rows
}

var instant = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00$`)

// filled returns the fields that have a value and are not in without.
func filled(doc map[string]any, without []string) map[string]any {
	out := make(map[string]any)
	for key, v := range doc {
		switch list, _ := v.([]any); {
		case slices.Contains(without, key), v == nil, v == "", v == false, v == 0.0, list != nil && len(list) == 0:
			continue
		case instant.MatchString(text(v)):
			v = strings.Replace(text(v), " ", "T", 1)
		}
		out[key] = v
	}
	return out
}

func text(v any) string { s, _ := v.(string); return s }

// The recorded replies leave many fields empty. These have them all.
func TestRepliesWithAllFieldsDecodeInFull(t *testing.T) {
	tests := map[string]struct {
		call func(*transfer.Client) ([]any, error)
		doc  string
	}{
		"task": {
			func(c *transfer.Client) ([]any, error) { return one(c.Task(t.Context(), "T1")) },
			`{"task_id": "T1", "type": "TRANSFER", "status": "FAILED", "label": "nightly", "owner_id": "o1", "username": "u_1",
			"request_time": "2026-03-01T04:05:06+00:00", "completion_time": "2026-03-01T04:05:07+00:00", "deadline": "2026-03-01T04:05:08+00:00",
			"source_endpoint_id": "c1", "source_endpoint_display_name": "lab", "source_endpoint": "a#lab",
			"destination_endpoint_id": "c2", "destination_endpoint_display_name": "vault", "destination_endpoint": "a#vault",
			"is_ok": true, "is_paused": true, "nice_status": "OK", "nice_status_short_description": "fine", "nice_status_details": "d",
			"nice_status_expires_in": -1, "fatal_error": {"code": "FILE_NOT_FOUND", "description": "file not found"},
			"canceled_by_admin": "BOTH", "canceled_by_admin_message": "sorry", "faults": 1,
			"subtasks_total": 2, "subtasks_pending": 3, "subtasks_retrying": 4, "subtasks_succeeded": 5, "subtasks_expired": 6,
			"subtasks_canceled": 7, "subtasks_failed": 8, "subtasks_skipped_errors": 9, "files": 10, "directories": 11, "symlinks": 12,
			"files_transferred": 13, "files_skipped": 14, "bytes_transferred": 15, "bytes_checksummed": 16, "effective_bytes_per_second": 17,
			"sync_level": 3, "encrypt_data": true, "verify_checksum": true, "preserve_timestamp": true, "delete_destination_extra": true,
			"skip_source_errors": true, "fail_on_quota_errors": true, "recursive_symlinks": "ignore",
			"filter_rules": [{"method": "exclude", "type": "file", "name": "*.tmp"}],
			"source_local_user": "ann", "source_local_user_status": "OK", "destination_local_user": "bob", "destination_local_user_status": "OK",
			"source_base_path": "/a", "destination_base_path": "/b", "command": "API 0.10", "history_deleted": true, "key": "complete,1"}`,
		},
		"successful transfer": {
			func(c *transfer.Client) ([]any, error) { return collect(c.SuccessfulTransfers(t.Context(), "T1")) },
			`{"DATA": [{"source_path": "/a", "destination_path": "/b", "size": 7, "checksum": "abc", "checksum_algorithm": "MD5"}]}`,
		},
		"skipped error": {
			func(c *transfer.Client) ([]any, error) { return collect(c.SkippedErrors(t.Context(), "T1")) },
			`{"DATA": [{"error_code": "PERMISSION_DENIED", "error_details": "d", "error_time": "2026-03-01T04:05:06+00:00",
			"source_path": "/a", "destination_path": "/b", "is_directory": true, "is_symlink": true,
			"is_delete_destination_extra": true, "external_checksum": "abc", "checksum_algorithm": "MD5"}]}`,
		},
		"symbolic link": {
			func(c *transfer.Client) ([]any, error) { return one(c.Stat(t.Context(), "c1", "/a")) },
			`{"name": "a", "type": "file", "size": 7, "last_modified": "2026-03-01 04:05:06+00:00", "permissions": "0644",
			"user": "ann", "group": "lab", "link_target": "b", "link_size": 1, "link_user": "bob", "link_group": "wheel",
			"link_last_modified": "2026-03-01 04:05:07+00:00"}`,
		},
		"pause info": {
			func(c *transfer.Client) ([]any, error) { return one(c.PauseInfo(t.Context(), "T1")) },
			`{"source_pause_message": "a", "destination_pause_message": "b", "source_pause_message_share": "c",
			"destination_pause_message_share": "d", "pause_rules": [{"id": "r1", "endpoint_id": "c1", "endpoint_display_name": "lab",
			"identity_id": "i1", "message": "m", "start_time": "2026-03-01T04:05:06+00:00", "pause_ls": true, "pause_mkdir": true,
			"pause_symlink": true, "pause_rename": true, "pause_task_delete": true, "pause_task_transfer_read": true,
			"pause_task_transfer_write": true}]}`,
		},
		"access rule": {
			func(c *transfer.Client) ([]any, error) { return collect(c.AccessRules(t.Context(), "c1")) },
			`{"DATA": [{"id": "r1", "principal_type": "identity", "principal": "i1", "path": "/a/", "permissions": "rw",
			"role_id": "r2", "role_type": "administrator", "create_time": "2026-03-01T04:05:06+00:00", "expiration_date": "2026-03-01T04:05:07+00:00"}]}`,
		},
		"effective pause rule": {
			func(c *transfer.Client) ([]any, error) { return collect(c.PauseRules(t.Context(), "c1")) },
			`{"DATA": [{"id": "r1", "endpoint_id": "c1", "endpoint_display_name": "lab", "identity_id": "i1", "message": "m",
			"start_time": "2026-03-01T04:05:06+00:00", "pause_ls": true, "pause_mkdir": true, "pause_symlink": true, "pause_rename": true,
			"pause_task_delete": true, "pause_task_transfer_read": true, "pause_task_transfer_write": true}]}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.call(serve(reply(http.StatusOK, tt.doc)))
			if err != nil {
				t.Fatal(err)
			}
			checkDocuments(t, got, []byte(tt.doc), nil)
		})
	}
}
