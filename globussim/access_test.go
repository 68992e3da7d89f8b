package globussim_test

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

func owned(cfg *globussim.Config) {
	cfg.Collections[0].Owner = robot
	cfg.Collections[0].Access = []globussim.AccessRule{{Principal: robot, Path: "/a", Permissions: "rw"}, {Principal: "all_authenticated_users", Permissions: "r"}}
}

func TestTheAccessListIsForAdministrators(t *testing.T) {
	l := newLab(t, owned)
	a := l.call(http.MethodGet, "/endpoint/"+l.labID+"/access_list", nil)
	a.rows()[0].want(t, doc{"DATA_TYPE": "access", "principal_type": "identity", "principal": robot, "path": "/a/", "permissions": "rw"})
	a.rows()[1].want(t, doc{"principal_type": "all_authenticated_users", "principal": "", "path": "/"})

	id := a.rows()[1].text("id")
	l.call(http.MethodGet, "/endpoint/"+l.labID+"/access/"+id, nil).want(t, doc{"DATA_TYPE": "access", "id": id, "permissions": "r"})
	if a := l.call(http.MethodGet, "/endpoint/"+l.labID+"/access/none", nil); a.status != http.StatusNotFound || a.text("code") != "AccessRuleNotFound" {
		t.Errorf("an unknown rule answers %d %s", a.status, a.body)
	}
}

func TestTheOwnerIsTheOnlyAdministrator(t *testing.T) {
	l := newLab(t, owned)
	a := l.call(http.MethodGet, "/endpoint/"+l.labID+"/role_list", nil)
	if len(a.rows()) != 1 {
		t.Fatalf("there are %d roles, want 1", len(a.rows()))
	}
	role := a.rows()[0]
	role.want(t, doc{"DATA_TYPE": "role", "principal_type": "identity", "principal": robot, "role": "administrator"})
	l.call(http.MethodGet, "/endpoint/"+l.labID+"/role/"+role.text("id"), nil).want(t, doc{"principal": robot})
	if a := l.call(http.MethodGet, "/endpoint/"+l.labID+"/role/none", nil); a.status != http.StatusNotFound || a.text("code") != "RoleNotFound" {
		t.Errorf("an unknown role answers %d %s", a.status, a.body)
	}
}

func TestStrangersDoNotAdministerACollection(t *testing.T) {
	l := newLab(t, owned)
	for _, tt := range []struct{ method, path string }{
		{"GET", "/access_list"},
		{"GET", "/access/x"},
		{"GET", "/role_list"},
		{"GET", "/role/x"},
		{"POST", "/access"},
		{"PUT", "/access/x"},
		{"DELETE", "/access/x"},
		{"POST", "/role"},
		{"DELETE", "/role/x"},
		{"PUT", ""},
		{"DELETE", ""},
	} {
		a := l.call(tt.method, "/endpoint/"+l.vaultID+tt.path, doc{})
		if a.status != http.StatusForbidden || a.text("code") != "PermissionDenied" {
			t.Errorf("%s %s answers a stranger %d %s", tt.method, tt.path, a.status, a.body)
		}
	}
}

// owner sends a call about the lab as its owner, and checks the answer.
func (l *lab) owner(method, path string, body any, status int, code string) answer {
	l.t.Helper()
	a := l.call(method, "/endpoint/"+l.labID+path, body)
	if got := a.text("code"); a.status != status || got != code {
		l.t.Errorf("%s %s %v answers %d %s, want %d %s", method, path, body, a.status, a.body, status, code)
	}
	return a
}

func rule(edits ...doc) doc {
	d := doc{"DATA_TYPE": "access", "principal_type": "identity", "principal": other, "path": "/out/", "permissions": "r"}
	for _, edit := range edits {
		maps.Copy(d, edit)
	}
	return d
}

func TestAnAccessRuleIsMadeChangedAndDeleted(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		made := l.owner("POST", "/access", rule(doc{"notify_email": "a@b.example", "notify_message": "x"}), http.StatusCreated, "Created")
		made.want(t, doc{"DATA_TYPE": "access_create_result", "message": "Access rule created successfully."})
		id := made.text("access_id")
		at := "/access/" + id
		l.call(http.MethodGet, "/endpoint/"+l.labID+at, nil).want(t, doc{
			"DATA_TYPE": "access", "id": id, "principal_type": "identity", "principal": other, "path": "/out/", "permissions": "r",
			"create_time": "2000-01-01T00:00:00+00:00", "expiration_date": nil, "role_id": nil, "role_type": nil,
		})
		l.owner("POST", "/access", rule(doc{"permissions": "rw"}), http.StatusConflict, "Exists")

		l.owner("PUT", at, doc{"permissions": "rw"}, http.StatusOK, "Updated").want(t, doc{"message": "Access rule '" + id + "' permissions updated successfully"})
		l.owner("PUT", at, rule(doc{"id": id, "expiration_date": "2000-02-01"}), http.StatusOK, "Updated").want(t, doc{"message": "Access rule '" + id + "' updated successfully"})
		l.call(http.MethodGet, "/endpoint/"+l.labID+at, nil).want(t, doc{"permissions": "r", "expiration_date": "2000-02-01T00:00:00+00:00"})
		l.owner("PUT", at, doc{"permissions": "w"}, http.StatusBadRequest, "ClientError.BadRequest")
		l.owner("PUT", at, rule(doc{"path": "/in/"}), http.StatusBadRequest, "ClientError.BadRequest")
		l.owner("PUT", at, doc{"expiration_date": "soon"}, http.StatusBadRequest, "ClientError.BadRequest")

		l.owner("DELETE", at, nil, http.StatusOK, "Deleted").want(t, doc{"message": "Access rule '" + id + "' deleted successfully"})
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			l.owner(method, at, doc{}, http.StatusNotFound, "AccessRuleNotFound")
		}
		l.owner("POST", "/access", rule(), http.StatusCreated, "Created")
	}, owned)
}

func TestAnAccessRuleThatCannotBeIsRefused(t *testing.T) {
	l := newLab(t, owned)
	const bad, path = "ClientError.BadRequest", "InvalidPath"
	for name, tt := range map[string]struct {
		rule doc
		code string
	}{
		"no type of document": {doc{"DATA_TYPE": nil}, bad},
		"no principal type":   {doc{"principal_type": nil}, bad},
		"a user name":         {doc{"principal": "ada@sim.example"}, bad},
		"everybody by name":   {doc{"principal_type": "all_authenticated_users"}, bad},
		"a group by its URN":  {doc{"principal_type": "group", "principal": "urn:globus:groups:id:" + other}, bad},
		"another principal":   {doc{"principal_type": "robot", "principal": ""}, bad},
		"write alone":         {doc{"permissions": "w"}, bad},
		"no time":             {doc{"expiration_date": "soon"}, bad},
		"a relative path":     {doc{"path": "out/"}, path},
		"a file":              {doc{"path": "/out"}, path},
		"above the folder":    {doc{"path": "/out/../"}, path},
		"two slashes":         {doc{"path": "/out//"}, path},
		"no path":             {doc{"path": ""}, path},
	} {
		t.Run(name, func(t *testing.T) { l.owner("POST", "/access", rule(tt.rule), http.StatusBadRequest, tt.code) })
	}
	l.owner("POST", "/access", rule(doc{"path": "/"}), http.StatusCreated, "Created")

	l = newLab(t, owned, func(cfg *globussim.Config) { cfg.Collections[0].EntityType = globussim.GCPMappedCollection })
	l.owner("POST", "/access", rule(), http.StatusConflict, "NotSupported")
}

func TestAccessIsWhatTheRulesSayNow(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"out/f": "1", "in/f": "1"})
		own := l.token
		l.becomeOther()
		theirs := l.token
		sees := func(path string, want int) {
			t.Helper()
			l.token = theirs
			if a := l.ls("path", path); a.status != want {
				t.Errorf("a listing of %s answers %d %s, want %d", path, a.status, a.body, want)
			}
			l.token = own
		}
		sees("/out/", http.StatusForbidden)
		id := l.owner("POST", "/access", rule(doc{"expiration_date": "2000-01-02T00:00:00Z"}), http.StatusCreated, "Created").text("access_id")
		sees("/out/", http.StatusOK)
		sees("/in/", http.StatusForbidden)
		time.Sleep(24 * time.Hour)
		sees("/out/", http.StatusForbidden)
		l.owner("PUT", "/access/"+id, doc{"DATA_TYPE": "access", "expiration_date": nil}, http.StatusOK, "Updated")
		sees("/out/", http.StatusOK)
		l.owner("DELETE", "/access/"+id, nil, http.StatusOK, "Deleted")
		sees("/out/", http.StatusForbidden)

		l.owner("POST", "/access", rule(doc{"principal_type": "group"}), http.StatusCreated, "Created")
		sees("/out/", http.StatusForbidden) // nobody's groups are known
		l.owner("POST", "/access", rule(doc{"principal_type": "anonymous", "principal": ""}), http.StatusCreated, "Created")
		sees("/out/", http.StatusOK)
	}, func(cfg *globussim.Config) {
		cfg.Collections[0].Owner = robot
		cfg.Collections[0].Access = []globussim.AccessRule{{Principal: robot, Permissions: "rw"}}
	})
}

func TestAnOpenCollectionHasTheRuleThatOpensIt(t *testing.T) {
	l := newLab(t, func(cfg *globussim.Config) { cfg.Collections[0].Owner = robot })
	rows := l.call(http.MethodGet, "/endpoint/"+l.labID+"/access_list", nil).rows()
	rows[0].want(t, doc{"principal_type": "all_authenticated_users", "path": "/", "permissions": "rw"})
	l.owner("POST", "/access", rule(), http.StatusCreated, "Created")
	if a := l.ls("path", "/"); a.status != http.StatusOK {
		t.Errorf("after a rule was added, a listing answers %d %s", a.status, a.body)
	}
	l.owner("DELETE", "/access/"+rows[0].text("id"), nil, http.StatusOK, "Deleted")
	if a := l.ls("path", "/"); a.status != http.StatusForbidden {
		t.Errorf("after the rule for everybody is gone, a listing answers %d %s", a.status, a.body)
	}
}

func TestAThousandAccessRulesAreTheMost(t *testing.T) {
	l := newLab(t, func(cfg *globussim.Config) {
		cfg.Collections[0].Owner = robot
		for i := range 1000 {
			cfg.Collections[0].Access = append(cfg.Collections[0].Access, globussim.AccessRule{Principal: robot, Path: fmt.Sprintf("/%d/", i), Permissions: "r"})
		}
	})
	l.owner("POST", "/access", rule(), http.StatusConflict, "LimitExceeded")
	l.order("answers", `{"rules_full": "TooManyRules"}`)
	l.owner("POST", "/access", rule(), http.StatusConflict, "TooManyRules")
	page := l.call(http.MethodGet, "/endpoint/"+l.labID+"/access_list?limit=2&offset=998", nil)
	if diff := cmp.Diff([]string{"/998/", "/999/"}, page.column("path")); diff != "" {
		t.Errorf("the last page (-want +got):\n%s", diff)
	}
}

func TestRolesAreGivenOnPersonalCollections(t *testing.T) {
	l := newLab(t, owned, func(cfg *globussim.Config) { cfg.Collections[0].EntityType = globussim.GCPGuestCollection })
	role := doc{"DATA_TYPE": "role", "principal_type": "identity", "principal": other, "role": "access_manager"}
	made := l.owner("POST", "/role", role, http.StatusCreated, "")
	made.want(t, role)
	l.owner("POST", "/role", role, http.StatusConflict, "Exists")
	for _, wrong := range []doc{{"role": "king"}, {"principal": "ada@sim.example"}, {"principal_type": "group"}} {
		d := maps.Clone(role)
		maps.Copy(d, wrong)
		l.owner("POST", "/role", d, http.StatusBadRequest, "ClientError.BadRequest")
	}
	at := "/role/" + made.text("id")
	l.call(http.MethodGet, "/endpoint/"+l.labID+at, nil).want(t, role)
	if rows := l.call(http.MethodGet, "/endpoint/"+l.labID+"/role_list?offset=1", nil).rows(); len(rows) != 1 {
		t.Errorf("behind the owner's there are %d roles, want 1", len(rows))
	}

	own := l.token
	l.becomeOther()
	l.owner("POST", "/access", rule(), http.StatusCreated, "Created") // which the role lets it do
	l.owner("POST", "/role", role, http.StatusForbidden, "PermissionDenied")
	l.token = own
	l.owner("DELETE", at, nil, http.StatusOK, "Deleted")
	l.owner("DELETE", at, nil, http.StatusNotFound, "RoleNotFound")
	l.becomeOther()
	l.owner("GET", "/access_list", nil, http.StatusForbidden, "PermissionDenied")

	l = newLab(t, owned)
	l.owner("POST", "/role", role, http.StatusConflict, "NotSupported")
}
