package globussim_test

import (
	"net/http"
	"testing"

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
		{"PUT", "/subscription"},
		{"PUT", ""},
		{"DELETE", ""},
	} {
		a := l.call(tt.method, "/endpoint/"+l.vaultID+tt.path, doc{})
		if a.status != http.StatusForbidden || a.text("code") != "PermissionDenied" {
			t.Errorf("%s %s answers a stranger %d %s", tt.method, tt.path, a.status, a.body)
		}
		if tt.method == http.MethodGet {
			continue
		}
		a = l.call(tt.method, "/endpoint/"+l.labID+tt.path, doc{})
		if a.status != http.StatusConflict || a.text("code") != "NotSupported" {
			t.Errorf("%s %s answers the owner %d %s", tt.method, tt.path, a.status, a.body)
		}
	}
}
