package globussim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

// change changes a collection, which must work.
func (l *lab) change(id string, change func(*globussim.Condition)) {
	l.t.Helper()
	if err := l.ChangeCollection(id, change); err != nil {
		l.t.Fatal(err)
	}
}

func TestATaskWaitsForACollectionThatGoesOffline(t *testing.T) {
	for name, side := range map[string]func(l *lab) string{
		"source":      func(l *lab) string { return l.labID },
		"destination": func(l *lab) string { return l.vaultID },
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				files := map[string]string{"a": strings.Repeat("a", 100), "b": strings.Repeat("b", 100)}
				plant(t, l.lab+"/in", files)
				id := l.submit(l.transfer("/in/", "/out/"))
				time.Sleep(15 * time.Second) // in the middle of the second file
				l.change(side(l), func(c *globussim.Condition) { c.Offline = true })
				time.Sleep(time.Second)
				l.task(id).want(t, doc{"status": "ACTIVE", "is_ok": false, "nice_status": "GC_NOT_CONNECTED", "files_transferred": 1})
				if got := tree(t, l.vault+"/out"); got["b"] != "" || len(got) != 1 {
					t.Errorf("the destination holds %v, want the first file alone", got)
				}

				l.change(side(l), func(c *globussim.Condition) { c.Offline = false })
				l.wait(id).want(t, doc{"status": "SUCCEEDED", "files_transferred": 2})
				if diff := cmp.Diff(files, tree(t, l.vault+"/out")); diff != "" {
					t.Errorf("the copy differs (-want +got):\n%s", diff)
				}
			}, func(cfg *globussim.Config) { cfg.Rate = 10 })
		})
	}
}

func TestADeleteAndAMirrorWaitForACollectionThatGoesOffline(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"in/a": "1", "old/x": "2"})
		plant(t, l.vault, map[string]string{"out/a": "0", "out/extra": "3"})
		if err := l.Disturb(globussim.Disturbance{Action: globussim.StallTask, AfterFiles: 1}); err != nil {
			t.Fatal(err)
		}
		mirror := l.submit(l.transfer("/in/", "/out/", doc{"delete_destination_extra": true}))
		l.task(mirror).want(t, doc{"files_transferred": 1}) // the extra file is what is left to do
		if err := l.Disturb(globussim.Disturbance{Action: globussim.StallTask}); err != nil {
			t.Fatal(err)
		}
		deletion := l.submit(l.deletion("/old/", doc{"recursive": true}))
		for _, id := range []string{l.labID, l.vaultID} {
			l.change(id, func(c *globussim.Condition) { c.Offline = true })
		}
		if err := l.Disturb(globussim.Disturbance{Action: globussim.ReleaseTask}); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{mirror, deletion} {
			l.task(id).want(t, doc{"status": "ACTIVE", "nice_status": "GC_NOT_CONNECTED", "subtasks_pending": 1, "subtasks_retrying": 1})
		}
		if tree(t, l.lab)["old/x"] != "2" || tree(t, l.vault)["out/extra"] != "3" {
			t.Error("something was deleted although the collections are offline")
		}
		for _, id := range []string{l.labID, l.vaultID} {
			l.change(id, func(c *globussim.Condition) { c.Offline = false })
		}
		for _, id := range []string{mirror, deletion} {
			l.wait(id).want(t, doc{"status": "SUCCEEDED", "subtasks_pending": 0})
		}
		if diff := cmp.Diff(map[string]string{"out/a": "1"}, tree(t, l.vault)); diff != "" {
			t.Errorf("the mirror differs (-want +got):\n%s", diff)
		}
	})
}

func TestAMirrorDeletesOnlyWhereItMayWrite(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"in/a": "1"})
		plant(t, l.vault, map[string]string{"out/extra": "3"})
		if err := l.Disturb(globussim.Disturbance{Action: globussim.StallTask, AfterFiles: 1}); err != nil {
			t.Fatal(err)
		}
		id := l.submit(l.transfer("/in/", "/out/", doc{"delete_destination_extra": true}))
		l.task(id).want(t, doc{"files_transferred": 1})
		l.change(l.vaultID, func(c *globussim.Condition) {
			c.Access = []globussim.AccessRule{{Principal: robot, Permissions: "r"}}
		})
		if err := l.Disturb(globussim.Disturbance{Action: globussim.ReleaseTask, Task: id}); err != nil {
			t.Fatal(err)
		}
		l.task(id).want(t, doc{"status": "ACTIVE", "nice_status": "PERMISSION_DENIED"})
		if got := tree(t, l.vault)["out/extra"]; got != "3" {
			t.Errorf("the extra file holds %q", got)
		}
	})
}

func TestAnOfflineCollectionRefusesEveryCall(t *testing.T) {
	l := newLab(t)
	l.change(strings.ToUpper(l.labID), func(c *globussim.Condition) { c.Offline = true })
	operation := "/operation/endpoint/" + l.labID
	tests := map[string]struct {
		method, path string
		body         any
		status       int
		code         string
	}{
		"ls":       {"GET", operation + "/ls", nil, 502, "ExternalError.DirListingFailed.GCDisconnected"},
		"stat":     {"GET", operation + "/stat?path=/", nil, 502, "ExternalError.StatFailed.GCDisconnected"},
		"mkdir":    {"POST", operation + "/mkdir", doc{"path": "/x"}, 502, "ExternalError.MkdirFailed.GCDisconnected"},
		"rename":   {"POST", operation + "/rename", doc{"old_path": "/x", "new_path": "/y"}, 502, "ExternalError.RenameFailed.GCDisconnected"},
		"transfer": {"POST", "/transfer", l.transfer("/x", "/x"), 409, "GCDisconnectedException"},
		"delete":   {"POST", "/delete", l.deletion("/x"), 409, "GCDisconnectedException"},
	}
	for name, tt := range tests {
		if a := l.call(tt.method, tt.path, tt.body); a.status != tt.status || a.text("code") != tt.code {
			t.Errorf("%s answers %d %s, want %d %s", name, a.status, a.body, tt.status, tt.code)
		}
	}
	l.change(l.labID, func(c *globussim.Condition) { c.Offline = false })
	if a := l.ls(); a.status != http.StatusOK {
		t.Errorf("a collection that is back answers %d %s", a.status, a.body)
	}
}

func TestATaskFollowsTheAccessRulesAndTheQuotaOfNow(t *testing.T) {
	nobody := []globussim.AccessRule{}
	tests := map[string]struct {
		change, back func(*globussim.Condition)
		fault        string
	}{
		"access": {
			func(c *globussim.Condition) { c.Access = nobody }, func(c *globussim.Condition) { c.Access = nil },
			"PERMISSION_DENIED",
		},
		"quota": {
			func(c *globussim.Condition) { c.Quota = 3 }, func(c *globussim.Condition) { c.Quota = 100 },
			"QUOTA_EXCEEDED",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"f": "1234"})
				if err := l.Disturb(globussim.Disturbance{Action: globussim.StallTask}); err != nil {
					t.Fatal(err)
				}
				id := l.submit(l.transfer("/f", "/f"))
				l.change(l.vaultID, tt.change)
				if err := l.Disturb(globussim.Disturbance{Action: globussim.ReleaseTask, Task: id}); err != nil {
					t.Fatal(err)
				}
				l.task(id).want(t, doc{"status": "ACTIVE", "nice_status": tt.fault})
				l.change(l.vaultID, tt.back)
				l.wait(id).want(t, doc{"status": "SUCCEEDED"})
			})
		})
	}
}

func TestACollectionIsChangedOverTheControlPath(t *testing.T) {
	l := newLab(t, func(cfg *globussim.Config) { cfg.Collections[0].Quota = 7 })
	control := func(method, body string) answer {
		return order(t, l.Server, method, "collections/"+strings.ToUpper(l.labID), body)
	}
	rule := doc{"principal": robot, "path": "/in/", "permissions": "r"}
	for _, step := range []struct {
		method, body string
		want         doc
	}{
		{"GET", "", doc{"access": nil, "offline": false, "quota": 7.0}},
		{"POST", `{"offline": true}`, doc{"access": nil, "offline": true, "quota": 7.0}},
		{"POST", `{"access": [{"principal": "` + robot + `", "path": "/in/", "permissions": "r"}], "offline": false}`, doc{"access": []any{rule}, "offline": false, "quota": 7.0}},
		{"POST", `{"quota": 0}`, doc{"access": []any{rule}, "offline": false, "quota": 0.0}},
		{"POST", `{"access": []}`, doc{"access": []any{}, "offline": false, "quota": 0.0}},
		{"POST", `{"access": null}`, doc{"access": nil, "offline": false, "quota": 0.0}},
	} {
		if a := control(step.method, step.body); a.status != http.StatusOK || !cmp.Equal(step.want, a.doc) {
			t.Errorf("%s %s answers %d %s, want %v", step.method, step.body, a.status, a.body, step.want)
		}
	}
	for _, bad := range []string{
		`{"ofline": true}`, `{"offline": "yes"}`, `{"quota": -1}`, `{"access": [{"permissions": "w"}]}`, `[]`, `{`,
		`{"offline": true, "quota": -1}`,
	} {
		if a := control("POST", bad); a.status != http.StatusBadRequest {
			t.Errorf("%s answers %d %s, want 400", bad, a.status, a.body)
		}
	}
	if a := control("GET", ""); a.doc["offline"] != false {
		t.Errorf("an order that was refused has changed something: %s", a.body)
	}
	if a := order(t, l.Server, "POST", "collections/"+other, `{}`); a.status != http.StatusNotFound {
		t.Errorf("an unknown collection answers %d %s", a.status, a.body)
	}
}

func TestAConditionThatCannotBeIsRefused(t *testing.T) {
	l := newLab(t)
	for name, err := range map[string]error{
		"no such collection": l.ChangeCollection(other, func(*globussim.Condition) {}),
		"negative":           l.ChangeCollection(l.labID, func(c *globussim.Condition) { c.Quota, c.Offline = -1, true }),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	l.change(l.labID, func(c *globussim.Condition) {
		if c.Offline || c.Quota != 0 {
			t.Errorf("the condition is %+v, want the first", *c)
		}
	})
}

func TestARuleThatItsCallerChangesLaterStaysWhatItWas(t *testing.T) {
	l := newLab(t)
	rules := []globussim.AccessRule{{Principal: robot, Permissions: "r"}}
	l.change(l.labID, func(c *globussim.Condition) { c.Access = rules })
	rules[0].Principal = other
	l.change(l.labID, func(c *globussim.Condition) { c.Access[0].Path = "/in/" })
	if err := l.ChangeCollection(l.labID, func(c *globussim.Condition) { c.Access[0].Path, c.Quota = "/", -1 }); err == nil {
		t.Error("a negative quota is no error")
	}
	if a := l.ls(); a.status != http.StatusForbidden {
		t.Errorf("the change of a rule in place has no effect: %d", a.status)
	}
	plant(t, l.lab, map[string]string{"in/x": ""})
	if a := l.ls("path", "/in/"); a.status != http.StatusOK {
		t.Errorf("the rule has changed behind the simulator's back: %d %s", a.status, a.body)
	}
}
