package globussim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestASubmissionIsAcceptedOnceHoweverOftenItIsPosted(t *testing.T) {
	for _, path := range []string{"/transfer", "/delete"} {
		t.Run(path, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"f": "1"})
				id := l.call(http.MethodGet, "/submission_id", nil)
				id.want(t, doc{"DATA_TYPE": "submission_id"})
				d := l.transfer("/f", "/f", doc{"submission_id": id.text("value")})
				if path == "/delete" {
					d = l.deletion("/f", doc{"submission_id": id.text("value")})
				}
				first := l.call(http.MethodPost, path, d)
				if first.status != http.StatusAccepted {
					t.Fatalf("the first answer is %d %s", first.status, first.body)
				}
				kind := path[1:]
				first.want(t, doc{
					"DATA_TYPE": kind + "_result", "code": "Accepted", "submission_id": id.text("value"), "resource": "/v0.10" + path,
					"message": "The " + kind + " has been accepted and a task has been created and queued for execution",
				})
				if link, _ := first.doc["task_link"].(map[string]any); link["href"] != "task/"+first.text("task_id")+"?format=json" {
					t.Errorf("the link is %v", link)
				}

				repeat := func(when string) {
					t.Helper()
					a := l.call(http.MethodPost, path, d)
					if a.status != http.StatusOK || a.text("code") != "Duplicate" || a.text("task_id") != first.text("task_id") {
						t.Errorf("%s: %d %s, want Duplicate with the first task", when, a.status, a.body)
					}
				}
				repeat("at once")
				l.wait(first.text("task_id"))
				repeat("after the end")
				d["submission_id"] = strings.ToUpper(id.text("value"))
				repeat("in upper case")
				d["label"] = "another document"
				repeat("another document")
				// The id counts before the world does.
				d["source_endpoint"], d["endpoint"] = uuid.NewString(), uuid.NewString()
				repeat("an unknown collection")
				d["deadline"] = "1999-12-31"
				repeat("a deadline that has passed meanwhile")

				state := l.State().Tasks
				if len(state) != 1 || state[0].Submissions != 7 || state[0].SubmissionID != id.text("value") {
					t.Errorf("the state is %+v, want one task that was submitted seven times", state)
				}
			})
		})
	}
}

func TestADocumentThatIsWrongIsRefused(t *testing.T) {
	bad := "ClientError.BadRequest"
	tests := map[string]struct {
		edit   doc
		status int
		code   string
	}{
		"another DATA_TYPE":        {doc{"DATA_TYPE": "delete"}, 400, bad},
		"no DATA_TYPE":             {doc{"DATA_TYPE": nil}, 400, bad},
		"no submission id":         {doc{"submission_id": nil}, 400, bad},
		"a malformed one":          {doc{"submission_id": "one"}, 400, bad},
		"empty DATA":               {doc{"DATA": []doc{}}, 400, bad + ".NoTransferItems"},
		"no DATA":                  {doc{"DATA": nil}, 400, bad + ".NoTransferItems"},
		"DATA that is no list":     {doc{"DATA": "x"}, 400, bad},
		"a long label":             {doc{"label": strings.Repeat("ü", 129)}, 400, bad},
		"a label with a line end":  {doc{"label": "a\nb"}, 400, bad},
		"a label with a blank":     {doc{"label": "a "}, 400, bad},
		"a label that is a number": {doc{"label": 1}, 400, bad},
		"a deadline that is none":  {doc{"deadline": "tomorrow"}, 400, bad},
		"a deadline that is over":  {doc{"deadline": "1999-12-31"}, 400, bad},
		"a high sync level":        {doc{"sync_level": 4}, 400, bad},
		"a low sync level":         {doc{"sync_level": -1}, 400, bad},
		"a sync level in words":    {doc{"sync_level": "checksum"}, 400, bad},
		"a flag in words":          {doc{"verify_checksum": "true"}, 400, bad},
		"unknown symlink mode":     {doc{"recursive_symlinks": "follow"}, 400, bad},
		"a rule without a name":    {doc{"filter_rules": []doc{{"method": "exclude"}}}, 400, bad},
		"a rule's method":          {doc{"filter_rules": []doc{{"method": "drop", "name": "x"}}}, 400, bad},
		"a rule's type":            {doc{"filter_rules": []doc{{"type": "link", "name": "x"}}}, 400, bad},
		"rules that are no list":   {doc{"filter_rules": "x"}, 400, bad},
		"a malformed collection":   {doc{"source_endpoint": "go#ep1"}, 400, bad},
		"no collection":            {doc{"destination_endpoint": nil}, 400, bad},
		"an unknown collection":    {doc{"source_endpoint": uuid.NewString()}, 404, "EndpointNotFound"},
		"an unknown destination":   {doc{"destination_endpoint": uuid.NewString()}, 404, "EndpointNotFound"},
		"an item without a path":   {doc{"DATA": []doc{{"source_path": "/x"}}}, 400, bad},
		"an item's type":           {doc{"DATA": []doc{{"DATA_TYPE": "delete_item", "source_path": "/x", "destination_path": "/x"}}}, 400, bad},
		"a symlink item":           {doc{"DATA": []doc{{"DATA_TYPE": "transfer_symlink_item", "source_path": "/x", "destination_path": "/x"}}}, 409, "NotSupported"},
		"a line end in a path":     {doc{"DATA": []doc{{"source_path": "/x\ny", "destination_path": "/x"}}}, 400, "InvalidPath"},
		"an unknown algorithm":     {doc{"DATA": []doc{{"source_path": "/x", "destination_path": "/x", "external_checksum": "0", "checksum_algorithm": "CRC"}}}, 400, bad},
	}
	l := newLab(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := l.transfer("/f", "/f", tt.edit)
			a := l.call(http.MethodPost, "/transfer", d)
			if a.status != tt.status || a.text("code") != tt.code {
				t.Errorf("got %d %s, want %d %s", a.status, a.body, tt.status, tt.code)
			}
		})
	}
	if tasks := l.State().Tasks; len(tasks) != 0 {
		t.Errorf("there are tasks: %v", tasks)
	}
}

func TestABodyThatIsNoDocumentIsRefused(t *testing.T) {
	l := newLab(t)
	for body, code := range map[string]string{
		"": "BadRequest", "{": "ClientError.BadRequest", "[]": "ClientError.BadRequest", "null": "ClientError.BadRequest",
	} {
		for _, path := range []string{"/transfer", "/delete"} {
			a := l.call(http.MethodPost, path, body)
			if a.status != http.StatusBadRequest || a.text("code") != code {
				t.Errorf("%s with %q: %d %s, want 400 %s", path, body, a.status, a.body, code)
			}
		}
	}
}

func TestADeleteDocumentThatIsWrongIsRefused(t *testing.T) {
	l := newLab(t)
	for name, edit := range map[string]doc{
		"no items":         {"DATA": []doc{}},
		"no path":          {"DATA": []doc{{}}},
		"a transfer item":  {"DATA": []doc{{"DATA_TYPE": "transfer_item", "path": "/x"}}},
		"no collection":    {"endpoint": nil},
		"a transfer":       {"DATA_TYPE": "transfer"},
		"no submission id": {"submission_id": ""},
	} {
		t.Run(name, func(t *testing.T) {
			if a := l.call(http.MethodPost, "/delete", l.deletion("/x", edit)); a.status != http.StatusBadRequest {
				t.Errorf("got %d %s, want 400", a.status, a.body)
			}
		})
	}
}

func TestWhatOldAndForeignClientsSendIsAccepted(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "1"})
		id := l.submit(doc{
			"DATA_TYPE": "transfer", "submission_id": uuid.NewString(), "label": nil, "deadline": nil,
			"source_endpoint": strings.ToUpper(l.labID), "destination_endpoint": strings.ToUpper(l.vaultID),
			"sync_level": nil, "verify_checksum": nil, "filter_rules": nil, "recursive_symlinks": nil, "preserve_timestamp": nil,
			"notify_on_succeeded": false, "notify_on_failed": nil, "skip_activation_check": true,
			"perf_cc": 4, "perf_p": "8", "perf_udt": false, "length": 1, "whatever": doc{"x": 1},
			"DATA": []doc{{"source_path": "/f", "destination_path": "/f", "recursive": nil, "external_checksum": nil, "extra": 1}},
		})
		l.wait(id).want(t, doc{"status": "SUCCEEDED", "source_endpoint_id": l.labID, "label": nil, "filter_rules": nil, "sync_level": nil})
	})
}

func TestIdenticalPathsConflictUntilTheFirstHasEnded(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		first := l.submit(l.transfer("/missing", "/x"))
		a := l.call(http.MethodPost, "/transfer", l.transfer("/missing", "/x", doc{"label": "again"}))
		if a.status != http.StatusConflict {
			t.Errorf("the second answers %d", a.status)
		}
		a.want(t, doc{"code": "Conflict", "message": "A transfer with identical paths has not yet completed", "resource": "/v0.10/transfer"})
		l.submit(l.transfer("/missing", "/y"))
		l.submit(l.deletion("/missing"))

		l.call(http.MethodPost, "/task/"+first+"/cancel", nil)
		l.submit(l.transfer("/missing", "/x"))
	})
}

func TestAHundredTasksMayBePending(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		var last string
		for i := range 100 {
			last = l.submit(l.transfer("/missing", fmt.Sprint("/", i)))
		}
		d := l.transfer("/missing", "/one/more")
		a := l.call(http.MethodPost, "/transfer", d)
		if a.status != http.StatusConflict || a.text("code") != "ClientError.Conflict.TooManyPendingJobs" {
			t.Errorf("the next one gets %d %s", a.status, a.body)
		}
		l.call(http.MethodPost, "/task/"+last+"/cancel", nil)
		l.submit(d) // the same id, which was not used up
	})
}

func TestAQueuedTaskStartsWhenItIsTheOldest(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "0123456789"})
		var ids []string
		for i := range 4 {
			ids = append(ids, l.submit(l.transfer("/f", fmt.Sprint("/", i))))
		}
		time.Sleep(15 * time.Second)
		var done []string
		for _, id := range ids {
			done = append(done, l.task(id).text("status"))
		}
		if diff := cmp.Diff([]string{"SUCCEEDED", "ACTIVE", "ACTIVE", "ACTIVE"}, done); diff != "" {
			t.Errorf("after the time for one and a half (-want +got):\n%s", diff)
		}
	}, func(cfg *globussim.Config) { cfg.Rate, cfg.MaxActive = 1, 1 })
}

func TestTheFirstOfSeveralReasonsIsNamed(t *testing.T) {
	type world struct {
		*lab
		first, second doc // one that was accepted, and another
	}
	offline := func(c *globussim.Condition) { c.Offline = true }
	tests := map[string]struct {
		post   func(t *testing.T, w *world) doc // spoils the world and returns what is posted
		status int
		code   string
	}{
		"the identity before the document": {
			func(_ *testing.T, w *world) doc { w.token = ""; return doc{} },
			400, "ClientError.AuthenticationFailed",
		},
		"a dead token before the document": {
			func(_ *testing.T, w *world) doc { w.ExpireTokens(); return doc{} },
			401, "AuthenticationFailed",
		},
		"the document before its repetition": {
			func(_ *testing.T, w *world) doc { w.first["label"] = " x"; return w.first },
			400, "ClientError.BadRequest",
		},
		"the document before the collections": {
			func(_ *testing.T, w *world) doc {
				w.second["source_endpoint"], w.second["DATA"] = uuid.NewString(), []doc{}
				return w.second
			},
			400, "ClientError.BadRequest.NoTransferItems",
		},
		"the repetition before a consent that was withdrawn": {
			func(_ *testing.T, w *world) doc { w.RescindConsents(robot); return w.first },
			200, "Duplicate",
		},
		"the repetition before a collection that is offline": {
			func(_ *testing.T, w *world) doc { w.change(w.labID, offline); return w.first },
			200, "Duplicate",
		},
		"the repetition before identical paths and the backlog": {
			func(_ *testing.T, w *world) doc { return w.first },
			200, "Duplicate",
		},
		"an unknown collection before the consent": {
			func(_ *testing.T, w *world) doc {
				w.RescindConsents(robot)
				w.second["destination_endpoint"] = uuid.NewString()
				return w.second
			},
			404, "EndpointNotFound",
		},
		"the consent before offline": {
			func(_ *testing.T, w *world) doc {
				w.RescindConsents(robot)
				w.change(w.labID, offline)
				return w.second
			},
			403, "ConsentRequired",
		},
		"offline before identical paths": {
			func(_ *testing.T, w *world) doc {
				w.change(w.vaultID, offline)
				w.second["DATA"] = w.first["DATA"]
				return w.second
			},
			409, "GCDisconnectedException",
		},
		"identical paths before the backlog": {
			func(_ *testing.T, w *world) doc { w.second["DATA"] = w.first["DATA"]; return w.second },
			409, "Conflict",
		},
		"the backlog": {
			func(_ *testing.T, w *world) doc { return w.second },
			409, "ClientError.Conflict.TooManyPendingJobs",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				request(t, l.Server, transferAll+"[*"+dataAccess("lab")+" *"+dataAccess("vault")+"]")
				w := &world{l, l.transfer("/missing", "/x"), l.transfer("/missing", "/y")}
				l.submit(w.first)
				a := l.call(http.MethodPost, "/transfer", tt.post(t, w))
				if a.status != tt.status || a.text("code") != tt.code {
					t.Errorf("got %d %s, want %d %s", a.status, a.body, tt.status, tt.code)
				}
			}, func(cfg *globussim.Config) {
				cfg.MaxPending = 1
				for i := range cfg.Collections {
					cfg.Collections[i].EntityType = globussim.MappedCollection
				}
			})
		})
	}
}

func TestASubmissionIDIsKnownToOneSimulatorAndOneIdentity(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		d := l.transfer("/missing", "/x")
		id := l.submit(d)
		again := newLab(t)
		if again.submit(d) == id {
			t.Error("a new simulator knows the task of another")
		}
		l.becomeOther()
		if l.submit(d) == id {
			t.Error("another identity gets the task of the first")
		}
	})
}

func TestMappedCollectionsDemandAConsentForEachOfThem(t *testing.T) {
	l := newLab(t, func(cfg *globussim.Config) {
		for i := range cfg.Collections {
			cfg.Collections[i].EntityType = globussim.MappedCollection
		}
	})
	scope := func(ids ...string) string {
		for i, id := range ids {
			ids[i] = "*https://auth.globus.org/scopes/" + id + "/data_access"
		}
		return transferAll + "[" + strings.Join(ids, " ") + "]"
	}
	check := func(a answer, resource, scope string) {
		t.Helper()
		const message = "Missing required data_access consent"
		if a.status != http.StatusForbidden {
			t.Errorf("%s answers %d, want 403", resource, a.status)
		}
		a.doc["request_id"] = ""
		want := doc{
			"code": "ConsentRequired", "message": message, "resource": resource, "request_id": "",
			"required_scopes":          []any{scope},
			"authorization_parameters": doc{"session_message": message, "required_scopes": []any{scope}},
		}
		if diff := cmp.Diff(want, a.doc); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", resource, diff)
		}
	}
	operation := "/operation/endpoint/" + l.labID
	for path, body := range map[string]any{
		"/ls": nil, "/stat?path=/": nil, "/mkdir": doc{"path": "/x"}, "/rename": doc{"old_path": "/x", "new_path": "/y"},
		"/symlink": doc{"path": "/x", "symlink_target": "y"},
	} {
		method := http.MethodPost
		if body == nil {
			method = http.MethodGet
		}
		name, _, _ := strings.Cut(operation+path, "?")
		check(l.call(method, operation+path, body), name, scope(l.labID))
	}
	check(l.call(http.MethodPost, "/transfer", l.transfer("/x", "/x")), "/transfer", scope(l.labID, l.vaultID))
	check(l.call(http.MethodPost, "/delete", l.deletion("/x")), "/delete", scope(l.labID))
	same := l.transfer("/x", "/y", doc{"destination_endpoint": l.labID})
	check(l.call(http.MethodPost, "/transfer", same), "/transfer", scope(l.labID))
	if a := l.call(http.MethodGet, "/endpoint/"+l.labID, nil); a.status != http.StatusOK {
		t.Errorf("the endpoint's document needs a consent: %d %s", a.status, a.body)
	}

	request(t, l.Server, scope(l.labID, l.vaultID)) // the old token profits
	l.submit(l.transfer("/x", "/x"))
}

func TestCollectionsRefuseWhomTheyDoNotKnow(t *testing.T) {
	const policy = "0f1e2d3c-0000-4000-8000-0000000000aa"
	tests := map[string]struct {
		collection globussim.Collection
		ls         int
		lsCode     string
		submit     int
		code       string
	}{
		"guest without a rule": {
			globussim.Collection{Access: []globussim.AccessRule{}},
			403, "PermissionDenied", 403, "PermissionDenied",
		},
		"guest with a rule for another": {
			globussim.Collection{Access: []globussim.AccessRule{{Principal: other, Permissions: "rw"}}},
			403, "PermissionDenied", 403, "PermissionDenied",
		},
		"guest with a rule for another folder": {
			globussim.Collection{Access: []globussim.AccessRule{{Principal: robot, Path: "/mine/", Permissions: "rw"}}},
			403, "EndpointPermissionDenied", 202, "Accepted",
		},
		"high assurance": {
			globussim.Collection{EntityType: globussim.MappedCollection, HighAssurance: true},
			200, "", 202, "Accepted",
		},
		"session policy": {
			globussim.Collection{EntityType: globussim.MappedCollection, HighAssurance: true, SessionPolicy: policy},
			403, "AuthorizationRequired", 403, "AuthorizationRequired",
		},
		"laptop that is away": {
			globussim.Collection{EntityType: globussim.GCPMappedCollection, Offline: true},
			502, "ExternalError.DirListingFailed.GCDisconnected", 409, "GCDisconnectedException",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, func(cfg *globussim.Config) {
				tt.collection.Name, tt.collection.Dir = "lab", cfg.Collections[0].Dir
				cfg.Collections[0] = tt.collection
			})
			a := l.call(http.MethodGet, "/operation/endpoint/"+l.labID+"/ls", nil)
			if a.status != tt.ls || a.text("code") != tt.lsCode {
				t.Errorf("ls answers %d %s, want %d %s", a.status, a.body, tt.ls, tt.lsCode)
			}
			a = l.call(http.MethodPost, "/transfer", l.transfer("/x", "/x"))
			if a.status != tt.submit || a.text("code") != tt.code {
				t.Errorf("the submission gets %d %s, want %d %s", a.status, a.body, tt.submit, tt.code)
			}
			if tt.collection.SessionPolicy != "" {
				want := doc{"session_message": a.text("message"), "session_required_policies": []any{policy}}
				if diff := cmp.Diff(want, a.doc["authorization_parameters"]); diff != "" {
					t.Errorf("authorization parameters differ (-want +got):\n%s", diff)
				}
			}
		})
	}
}
