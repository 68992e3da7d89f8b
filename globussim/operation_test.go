package globussim_test

import (
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

func (l *lab) ls(pairs ...string) answer {
	l.t.Helper()
	return l.call(http.MethodGet, query("/operation/endpoint/"+l.labID+"/ls", pairs...), nil)
}

func home(cfg *globussim.Config) { cfg.Collections[0].Home = "/home/svc/" }

func TestAListingShowsAFolder(t *testing.T) {
	l := newLab(t, home)
	plant(t, l.lab, map[string]string{"home/svc/in/a.csv": "1234", "home/svc/in/sub/": "", "top": ""})
	if err := os.Chtimes(l.lab+"/home/svc/in/a.csv", time.Unix(0, 0), time.Date(2026, 3, 1, 4, 5, 6, 7, time.UTC)); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		path, shown, absolute string
		names                 []string
	}{
		"no path":         {"", "/~/", "/home/svc/", []string{"in"}},
		"JavaScript null": {"null", "/~/", "/home/svc/", []string{"in"}},
		"home":            {"/~/", "/~/", "/home/svc/", []string{"in"}},
		"a tilde alone":   {"~", "/~/", "/home/svc/", []string{"in"}},
		"above home":      {"/~/../", "/~/../", "/home/", []string{"svc"}},
		"below home":      {"/~/in", "/~/in/", "/home/svc/in/", []string{"a.csv", "sub"}},
		"relative":        {"in/", "/~/in/", "/home/svc/in/", []string{"a.csv", "sub"}},
		"absolute":        {"/home/svc/in/", "/home/svc/in/", "/home/svc/in/", []string{"a.csv", "sub"}},
		"root":            {"/", "/", "/", []string{"home", "top"}},
		"dots":            {"/home/../../..", "/home/../../../", "/", []string{"home", "top"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := l.ls("path", tt.path)
			a.want(t, doc{
				"DATA_TYPE": "file_list", "endpoint": l.labID, "path": tt.shown, "absolute_path": tt.absolute,
				"length": len(tt.names), "total": len(tt.names), "rename_supported": true, "symlink_supported": true,
			})
			if diff := cmp.Diff(tt.names, a.column("name")); diff != "" {
				t.Errorf("names differ (-want +got):\n%s", diff)
			}
		})
	}
	l.ls("path", "/~/in").rows()[0].want(t, doc{
		"DATA_TYPE": "file", "type": "file", "size": 4, "last_modified": "2026-03-01 04:05:06+00:00", "permissions": "0644",
		"link_target": nil, "link_size": nil, "link_user": nil, "link_group": nil, "link_last_modified": nil,
	})
}

func TestAListingShowsWhereLinksLead(t *testing.T) {
	l := newLab(t)
	plant(t, l.lab, map[string]string{"dir/x": ""})
	link(t, "dir", l.lab+"/good")
	link(t, "nowhere", l.lab+"/broken")
	link(t, l.vault, l.lab+"/outside")
	got := make(map[string]string)
	for _, row := range l.ls("path", "/").rows() {
		got[row.text("name")] = row.text("type") + " " + row.text("link_target")
	}
	want := map[string]string{
		"dir": "dir ", "good": "dir dir", "broken": "invalid_symlink nowhere", "outside": "invalid_symlink " + l.vault,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the listing differs (-want +got):\n%s", diff)
	}
}

func TestAListingIsFilteredSortedAndCut(t *testing.T) {
	l := newLab(t)
	plant(t, l.lab, map[string]string{"a.txt": "123", "b.log": "1", "dir/": "", ".hidden": "12", "c.txt": "12345"})
	past := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range []string{"a.txt", "b.log", "dir", ".hidden"} {
		if err := os.Chtimes(l.lab+"/"+name, past, past); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		query []string
		names []string
		total int
	}{
		"hidden by default":        {nil, []string{".hidden", "a.txt", "b.log", "c.txt", "dir"}, 5},
		"hidden as 1":              {[]string{"show_hidden", "1"}, []string{".hidden", "a.txt", "b.log", "c.txt", "dir"}, 5},
		"hidden as true":           {[]string{"show_hidden", "true"}, []string{".hidden", "a.txt", "b.log", "c.txt", "dir"}, 5},
		"not hidden as 0":          {[]string{"show_hidden", "0"}, []string{"a.txt", "b.log", "c.txt", "dir"}, 4},
		"not hidden as false":      {[]string{"show_hidden", "false"}, []string{"a.txt", "b.log", "c.txt", "dir"}, 4},
		"type":                     {[]string{"filter", "type:dir"}, []string{"dir"}, 1},
		"name":                     {[]string{"filter", "name:a.txt"}, []string{"a.txt"}, 1},
		"name with =":              {[]string{"filter", "name:=a.txt"}, []string{"a.txt"}, 1},
		"names":                    {[]string{"filter", "name:a.txt,dir"}, []string{"a.txt", "dir"}, 2},
		"pattern":                  {[]string{"filter", "name:~*.txt"}, []string{"a.txt", "c.txt"}, 2},
		"not the name":             {[]string{"filter", "name:!a.txt"}, []string{".hidden", "b.log", "c.txt", "dir"}, 4},
		"not the pattern":          {[]string{"filter", "name:!~*.txt"}, []string{".hidden", "b.log", "dir"}, 3},
		"size":                     {[]string{"filter", "type:file/size:>2"}, []string{"a.txt", "c.txt"}, 2},
		"size, or less":            {[]string{"filter", "type:file/size:<=2"}, []string{".hidden", "b.log"}, 2},
		"the size":                 {[]string{"filter", "type:file/size:=3"}, []string{"a.txt"}, 1},
		"time":                     {[]string{"filter", "last_modified:2020-01-01,2020-12-31"}, []string{".hidden", "a.txt", "b.log", "dir"}, 4},
		"several filters are ORed": {[]string{"filter", "type:dir", "filter", "name:~*.txt"}, []string{"a.txt", "c.txt", "dir"}, 3},
		"clauses are ANDed":        {[]string{"filter", "type:file/name:~c*"}, []string{"c.txt"}, 1},
		"an empty filter":          {[]string{"filter", "", "show_hidden", "0"}, []string{"a.txt", "b.log", "c.txt", "dir"}, 4},
		"by size":                  {[]string{"filter", "type:file", "orderby", "size DESC"}, []string{"c.txt", "a.txt", ".hidden", "b.log"}, 4},
		"by its owner":             {[]string{"orderby", "user,group,name"}, []string{".hidden", "a.txt", "b.log", "c.txt", "dir"}, 5},
		"by two":                   {[]string{"orderby", "type,name desc"}, []string{"dir", "c.txt", "b.log", "a.txt", ".hidden"}, 5},
		"a page":                   {[]string{"limit", "2", "offset", "1"}, []string{"a.txt", "b.log"}, 5},
		"a page after the end":     {[]string{"offset", "10"}, []string{}, 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := l.ls(tt.query...)
			if diff := cmp.Diff(tt.names, a.column("name")); diff != "" {
				t.Errorf("names differ (-want +got):\n%s", diff)
			}
			a.want(t, doc{"length": len(tt.names), "total": tt.total})
		})
	}
	for _, bad := range [][]string{
		{"show_hidden", "perhaps"},
		{"filter", "colour:red"},
		{"filter", "size:big"},
		{"filter", "last_modified:x"},
		{"orderby", "colour"},
		{"orderby", "name UP"},
		{"limit", "x"},
		{"offset", "-1"},
	} {
		if a := l.ls(bad...); a.status != http.StatusBadRequest || a.text("code") != "ClientError.BadRequest" {
			t.Errorf("%v answers %d %s, want 400", bad, a.status, a.body)
		}
	}
	rows := l.ls("fields", "name,size", "filter", "name:a.txt").rows()
	if diff := cmp.Diff(doc{"name": "a.txt", "size": 3.0}, rows[0].doc); diff != "" {
		t.Errorf("the projection differs (-want +got):\n%s", diff)
	}
}

func TestNamesSurviveTheWayToTheClientAndBack(t *testing.T) {
	l := newLab(t)
	names := map[string]string{ // on the disk: in documents
		"with space": "with space", "ü": "ü", "100%": "100%", "%2F": "%2F", "a+b": "a+b", "q?#&=": "q?#&=",
		"odd\xff": "\uFFFDoddÿ", "\xc3": "\uFFFDÃ",
	}
	for name := range names {
		plant(t, l.lab, map[string]string{name + "/inside": "x"})
	}
	if diff := cmp.Diff(slices.Sorted(maps.Values(names)), slices.Sorted(slices.Values(l.ls().column("name")))); diff != "" {
		t.Errorf("names differ (-want +got):\n%s", diff)
	}
	for _, name := range names {
		if got := l.ls("path", "/"+name).column("name"); !slices.Equal(got, []string{"inside"}) {
			t.Errorf("%q holds %v, want the file inside", name, got)
		}
	}
	for _, query := range []string{
		"path=%2Fwith+space&filter=name%3A%7Ein%2a", "path=/with%20space/&filter=name:~in*", "path=%2F%7E%2Fwith%20space", "path=/~/with+space",
	} {
		a := l.call(http.MethodGet, "/operation/endpoint/"+l.labID+"/ls?"+query, nil)
		if got := a.column("name"); !slices.Equal(got, []string{"inside"}) {
			t.Errorf("%s gives %s", query, a.body)
		}
	}
}

func TestAPathThatCannotBeReachedHasItsError(t *testing.T) {
	l := newLab(t, func(cfg *globussim.Config) {
		cfg.Collections[0].Access = []globussim.AccessRule{
			{Principal: robot, Path: "/open/", Permissions: "rw"}, {Principal: robot, Path: "/shown/", Permissions: "r"},
		}
	})
	plant(t, l.lab, map[string]string{"open/file": "1", "open/dir/": "", "open/other": "", "shown/x": "1", "shut/x": "1"})
	link(t, l.vault, l.lab+"/open/out")
	tests := map[string]struct {
		method, call string
		body         any
		status       int
		code         string
	}{
		"ls of nothing":         {"GET", "ls?path=/open/none", nil, 404, "ClientError.NotFound"},
		"ls of a file":          {"GET", "ls?path=/open/file", nil, 502, "ExternalError.DirListingFailed.NotDirectory"},
		"ls that is denied":     {"GET", "ls?path=/shut/", nil, 403, "EndpointPermissionDenied"},
		"ls that leads out":     {"GET", "ls?path=/open/out", nil, 502, "ExternalError.DirListingFailed.PermissionDenied"},
		"ls with a line end":    {"GET", "ls?path=/open/%0A", nil, 400, "InvalidPath"},
		"stat of nothing":       {"GET", "stat?path=/open/none", nil, 404, "NotFound"},
		"stat below a file":     {"GET", "stat?path=/open/file/x", nil, 404, "NotFound"},
		"stat that is denied":   {"GET", "stat?path=/shut/x", nil, 403, "EndpointPermissionDenied"},
		"stat that leads out":   {"GET", "stat?path=/open/out/x", nil, 403, "EndpointPermissionDenied"},
		"mkdir that exists":     {"POST", "mkdir", doc{"path": "/open/dir"}, 502, "ExternalError.MkdirFailed.Exists"},
		"mkdir on a file":       {"POST", "mkdir", doc{"path": "/open/file"}, 502, "ExternalError.MkdirFailed.Exists"},
		"mkdir without parent":  {"POST", "mkdir", doc{"path": "/open/a/b"}, 502, "ExternalError.MkdirFailed.NotFound"},
		"mkdir that is denied":  {"POST", "mkdir", doc{"path": "/shown/new"}, 403, "EndpointPermissionDenied"},
		"mkdir outside":         {"POST", "mkdir", doc{"path": "/open/out/new"}, 502, "ExternalError.MkdirFailed.PermissionDenied"},
		"mkdir of nothing":      {"POST", "mkdir", doc{"DATA_TYPE": "mkdir"}, 400, "ClientError.BadRequest"},
		"mkdir, another type":   {"POST", "mkdir", doc{"DATA_TYPE": "rename", "path": "/open/new"}, 400, "ClientError.BadRequest"},
		"mkdir without a body":  {"POST", "mkdir", "", 400, "BadRequest"},
		"rename of nothing":     {"POST", "rename", doc{"old_path": "/open/none", "new_path": "/open/new"}, 502, "ExternalError.RenameFailed.NotFound"},
		"rename onto another":   {"POST", "rename", doc{"old_path": "/open/file", "new_path": "/open/other"}, 502, "ExternalError.RenameFailed.Exists"},
		"rename that is denied": {"POST", "rename", doc{"old_path": "/open/file", "new_path": "/shown/new"}, 403, "EndpointPermissionDenied"},
		"rename to nowhere":     {"POST", "rename", doc{"old_path": "/open/file"}, 400, "ClientError.BadRequest"},
		"symlink that exists":   {"POST", "symlink", doc{"path": "/open/file", "symlink_target": "x"}, 502, "ExternalError.SymlinkFailed.Exists"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := l.call(tt.method, "/operation/endpoint/"+l.labID+"/"+tt.call, tt.body)
			if a.status != tt.status || a.text("code") != tt.code {
				t.Errorf("got %d %s, want %d %s", a.status, a.body, tt.status, tt.code)
			}
			operation, _, _ := strings.Cut(tt.call, "?")
			if operation == "ls" || operation == "stat" {
				operation = "list"
			}
			if strings.HasPrefix(a.text("code"), "E") && !strings.Contains(a.text("message"), "Error ("+operation+")") {
				t.Errorf("the message does not name the operation %s: %s", operation, a.body)
			}
			if !regexp.MustCompile(`^[A-Za-z0-9]{9}$`).MatchString(a.text("request_id")) || a.text("resource") == "" || a.text("message") == "" {
				t.Errorf("the error lacks something: %s", a.body)
			}
		})
	}
	if a := l.call("GET", "/operation/endpoint/"+other+"/ls", nil); a.status != 404 || a.text("code") != "EndpointNotFound" {
		t.Errorf("an unknown collection gets %d %s", a.status, a.body)
	}
}

func TestOperationsChangeTheFolder(t *testing.T) {
	l := newLab(t, home)
	plant(t, l.lab, map[string]string{"home/svc/a": "1"})
	operation := "/operation/endpoint/" + l.labID
	a := l.call(http.MethodPost, operation+"/mkdir", doc{"DATA_TYPE": "mkdir", "path": "/~/new dir/"})
	a.want(t, doc{"DATA_TYPE": "mkdir_result", "code": "DirectoryCreated", "resource": "/v0.10" + operation + "/mkdir"})
	a = l.call(http.MethodPost, operation+"/rename", doc{"DATA_TYPE": "rename", "old_path": "a", "new_path": "/~/new dir/b"})
	a.want(t, doc{"DATA_TYPE": "result", "code": "FileRenamed"})
	a = l.call(http.MethodPost, operation+"/symlink", doc{"DATA_TYPE": "symlink", "path": "/~/link", "symlink_target": "new dir/b"})
	a.want(t, doc{"DATA_TYPE": "symlink_result"})
	want := map[string]string{"home/svc/new dir/b": "1", "home/svc/link": "-> new dir/b"}
	if diff := cmp.Diff(want, tree(t, l.lab)); diff != "" {
		t.Errorf("the folder differs (-want +got):\n%s", diff)
	}
	l.call(http.MethodGet, operation+"/stat", nil).want(t, doc{"name": "svc", "type": "dir"})
	l.call(http.MethodGet, query(operation+"/stat", "path", "link"), nil).want(t, doc{
		"DATA_TYPE": "file", "name": "link", "type": "file", "size": 1, "link_target": "new dir/b", "permissions": "0644",
	})
}
