package globussim_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

// A cage is a lab in which both collections hold links that lead out of them,
// to a folder that nothing may read or change.
type cage struct {
	*lab
	outside string
}

// inCage runs a test in a cage and then looks at the folder outside.
func inCage(t *testing.T, test func(t *testing.T, c *cage), edit ...func(*globussim.Config)) {
	t.Helper()
	inLab(t, func(t *testing.T, l *lab) {
		c := &cage{l, t.TempDir()}
		above := filepath.Dir(l.lab) // where dots would lead
		for _, dir := range []string{c.outside, above} {
			plant(t, dir, map[string]string{"secret": "secret", "dir/x": "secret"})
		}
		for _, dir := range []string{l.lab, l.vault} {
			plant(t, dir, map[string]string{"mine": "mine", "folder/mine": "mine"})
			relative, err := filepath.Rel(dir, c.outside)
			if err != nil {
				t.Fatal(err)
			}
			link(t, c.outside, dir+"/out")
			link(t, relative, dir+"/out-relative")
			link(t, c.outside+"/secret", dir+"/out-file")
			link(t, c.outside+"/planted", dir+"/out-new")
			link(t, "out", dir+"/out-twice")
		}
		look := func() map[string]string {
			seen := tree(t, above)
			maps.DeleteFunc(seen, func(name, _ string) bool {
				return strings.HasPrefix(name, filepath.Base(l.lab)+"/") || strings.HasPrefix(name, filepath.Base(l.vault)+"/")
			})
			return seen
		}
		before := look()
		test(t, c)
		if diff := cmp.Diff(before, look()); diff != "" {
			t.Errorf("something changed outside (-before +after):\n%s", diff)
		}
	}, edit...)
}

func TestATransferNeverLeavesTheFolderOfACollection(t *testing.T) {
	tests := map[string]struct{ src, dst, fault string }{
		"source link to a folder":       {"/out", "/copy", "PERMISSION_DENIED"},
		"source link to a file":         {"/out-file", "/copy", "PERMISSION_DENIED"},
		"relative source link":          {"/out-relative/", "/copy", "PERMISSION_DENIED"},
		"source link to a link":         {"/out-twice", "/copy", "PERMISSION_DENIED"},
		"below a source link":           {"/out/secret", "/copy", "PERMISSION_DENIED"},
		"dots after a source link":      {"/out/../secret", "/copy", "FILE_NOT_FOUND"},
		"dots in the source":            {"/../secret", "/copy", "FILE_NOT_FOUND"},
		"dots from home":                {"/~/../../../secret", "/copy", "FILE_NOT_FOUND"},
		"dots without a slash":          {"../secret", "/copy", "FILE_NOT_FOUND"},
		"dots at the end":               {"/nothing/..", "/mine", "NOT_A_DIRECTORY"},
		"dots that stay encoded":        {"/%2e%2e/secret", "/copy", "FILE_NOT_FOUND"},
		"destination link to a folder":  {"/mine", "/out", "PERMISSION_DENIED"},
		"destination link to a file":    {"/mine", "/out-file", "PERMISSION_DENIED"},
		"destination link to nothing":   {"/mine", "/out-new", "PERMISSION_DENIED"},
		"below a destination link":      {"/mine", "/out/planted", "PERMISSION_DENIED"},
		"deep below a destination link": {"/mine", "/out-relative/a/b/planted", "PERMISSION_DENIED"},
		"a folder onto a link":          {"/folder/", "/out/", "PERMISSION_DENIED"},
		"a folder below a link":         {"/folder/", "/out-twice/new/", "PERMISSION_DENIED"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inCage(t, func(t *testing.T, c *cage) {
				before := tree(t, c.vault)
				c.task(c.submit(c.transfer(tt.src, tt.dst))).want(t, doc{"status": "ACTIVE", "nice_status": tt.fault})
				if diff := cmp.Diff(before, tree(t, c.vault)); diff != "" {
					t.Errorf("the destination changed (-before +after):\n%s", diff)
				}
			})
		})
	}
}

func TestDotsInADestinationEndAtTheCollection(t *testing.T) {
	for _, dst := range []string{"/../copy", "/~/../../copy", "../../../copy", "/a/../../../copy", "/out/../copy"} {
		inCage(t, func(t *testing.T, c *cage) {
			c.do(c.transfer("/mine", dst)).want(t, doc{"status": "SUCCEEDED"})
			if got := tree(t, c.vault)["copy"]; got != "mine" {
				t.Errorf("%s: the copy holds %q", dst, got)
			}
		}, func(cfg *globussim.Config) { cfg.Collections[1].Home = "/home/svc/" })
	}
}

func TestAMirrorRemovesLinksAndNotWhatTheyLeadTo(t *testing.T) {
	inCage(t, func(t *testing.T, c *cage) {
		plant(t, c.lab.lab, map[string]string{"in/dir/a": "1", "in/file": "2"})
		plant(t, c.vault, map[string]string{"keep/x": "3"})
		plant(t, c.vault, map[string]string{"mirror/sub/old": "4"})
		link(t, c.outside, c.vault+"/mirror/extra")        // in the source there is nothing
		link(t, c.outside+"/dir", c.vault+"/mirror/dir")   // a folder
		link(t, "../keep", c.vault+"/mirror/inside")       // nothing, and it leads to a folder of the collection
		link(t, c.outside, c.vault+"/mirror/sub/deep")     // the folder around it goes
		link(t, "../../keep/x", c.vault+"/mirror/sub/too") // likewise
		c.do(c.transfer("/in/", "/mirror/", doc{"delete_destination_extra": true})).want(t, doc{"status": "SUCCEEDED"})
		if diff := cmp.Diff(map[string]string{"dir/a": "1", "file": "2"}, tree(t, c.vault+"/mirror")); diff != "" {
			t.Errorf("the mirror differs (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"x": "3"}, tree(t, c.vault+"/keep")); diff != "" {
			t.Errorf("what a link leads to changed (-want +got):\n%s", diff)
		}
	})
}

func TestAFileTakesThePlaceOfALinkAndItsTargetStays(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"f": "new"})
		plant(t, l.vault, map[string]string{"target": "old"})
		link(t, "target", l.vault+"/f")
		l.do(l.transfer("/f", "/f")).want(t, doc{"status": "SUCCEEDED"})
		if diff := cmp.Diff(map[string]string{"f": "new", "target": "old"}, tree(t, l.vault)); diff != "" {
			t.Errorf("the destination differs (-want +got):\n%s", diff)
		}
	})
}

func TestALinkInATreeThatLeadsOutIsNeverFollowed(t *testing.T) {
	for mode, added := range map[string]map[string]string{
		"ignore": {}, "keep": {"folder/leak": "-> "}, "copy": {},
	} {
		inCage(t, func(t *testing.T, c *cage) {
			link(t, c.outside, c.lab.lab+"/folder/leak")
			want := map[string]string{"folder/mine": "mine"}
			for name, text := range added {
				want[name] = text + c.outside
			}
			task := c.task(c.submit(c.transfer("/folder/", "/new/folder/", doc{"recursive_symlinks": mode})))
			if mode == "copy" {
				task.want(t, doc{"status": "ACTIVE", "nice_status": "PERMISSION_DENIED"})
			} else {
				task.want(t, doc{"status": "SUCCEEDED"})
			}
			if diff := cmp.Diff(want, tree(t, c.vault+"/new")); diff != "" {
				t.Errorf("%s: the copy differs (-want +got):\n%s", mode, diff)
			}
		})
	}
}

func TestADeleteNeverFollowsALink(t *testing.T) {
	tests := map[string]struct {
		path  string
		edit  doc
		fault string // empty if the task succeeds
		gone  string
	}{
		"the link":             {"/out", doc{}, "", "out"},
		"the link as a folder": {"/out/", doc{"recursive": true}, "", "out"},
		"a link to a file":     {"/out-file", doc{"recursive": true}, "", "out-file"},
		"a broken link":        {"/out-new", doc{}, "", "out-new"},
		"below the link":       {"/out/secret", doc{}, "PERMISSION_DENIED", ""},
		"by a pattern":         {"/out-rel*", doc{"interpret_globs": true, "recursive": true}, "", "out-relative"},
		"a pattern below it":   {"/out/*", doc{"interpret_globs": true, "recursive": true}, "PERMISSION_DENIED", ""},
		"dots":                 {"/../outside", doc{"ignore_missing": true}, "", ""},
		"a folder of links":    {"/links/", doc{"recursive": true}, "", "links/a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inCage(t, func(t *testing.T, c *cage) {
				plant(t, c.lab.lab, map[string]string{"links/": ""})
				link(t, c.outside, c.lab.lab+"/links/a")
				want := tree(t, c.lab.lab)
				delete(want, tt.gone)
				task := c.task(c.submit(c.deletion(tt.path, tt.edit)))
				if tt.fault == "" {
					task.want(t, doc{"status": "SUCCEEDED"})
				} else {
					task.want(t, doc{"status": "ACTIVE", "nice_status": tt.fault})
				}
				if diff := cmp.Diff(want, tree(t, c.lab.lab)); diff != "" {
					t.Errorf("what is left differs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestADeleteTakesWhatAnInterruptedCopyLeft(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"dir/.globussim-part-X": "half", "dir/a": "1"})
		if got := l.ls("path", "/dir/").column("name"); len(got) != 1 {
			t.Errorf("the listing shows %v", got)
		}
		l.do(l.deletion("/dir/", doc{"recursive": true})).want(t, doc{"status": "SUCCEEDED"})
		if diff := cmp.Diff(map[string]string{}, tree(t, l.lab)); diff != "" {
			t.Errorf("something is left (-want +got):\n%s", diff)
		}
	})
}

func TestOperationsNeverLeaveTheFolderOfACollection(t *testing.T) {
	denied := ".PermissionDenied"
	tests := map[string]struct {
		method, call string
		body         any
		status       int
		code         string
	}{
		"ls through a link":         {"GET", "ls?path=/out/", nil, 502, "ExternalError.DirListingFailed" + denied},
		"ls below a link":           {"GET", "ls?path=/out/dir/", nil, 502, "ExternalError.DirListingFailed" + denied},
		"ls of a relative link":     {"GET", "ls?path=/out-relative/", nil, 502, "ExternalError.DirListingFailed" + denied},
		"ls with dots":              {"GET", "ls?path=%2F..%2Fdir", nil, 404, "ClientError.NotFound"},
		"ls with dots after a link": {"GET", "ls?path=/out/../dir", nil, 404, "ClientError.NotFound"},
		"ls with encoded dots":      {"GET", "ls?path=%2F%2e%2e%2fdir", nil, 404, "ClientError.NotFound"},
		"ls, encoded twice":         {"GET", "ls?path=%2F%252e%252e%252fdir", nil, 404, "ClientError.NotFound"},
		"stat through a link":       {"GET", "stat?path=/out/secret", nil, 403, "EndpointPermissionDenied"},
		"stat with dots":            {"GET", "stat?path=/../secret", nil, 404, "NotFound"},
		"mkdir through a link":      {"POST", "mkdir", doc{"path": "/out/new"}, 502, "ExternalError.MkdirFailed" + denied},
		"mkdir onto a link":         {"POST", "mkdir", doc{"path": "/out-new"}, 502, "ExternalError.MkdirFailed.Exists"},
		"rename from outside":       {"POST", "rename", doc{"old_path": "/out/secret", "new_path": "/stolen"}, 502, "ExternalError.RenameFailed" + denied},
		"rename to outside":         {"POST", "rename", doc{"old_path": "/mine", "new_path": "/out/planted"}, 502, "ExternalError.RenameFailed" + denied},
		"rename onto a link":        {"POST", "rename", doc{"old_path": "/mine", "new_path": "/out-new"}, 502, "ExternalError.RenameFailed.Exists"},
		"rename from dots":          {"POST", "rename", doc{"old_path": "/../secret", "new_path": "/stolen"}, 502, "ExternalError.RenameFailed.NotFound"},
		"rename the collection":     {"POST", "rename", doc{"old_path": "/folder/../..", "new_path": "/x"}, 502, "ExternalError.RenameFailed" + denied},
		"symlink through a link":    {"POST", "symlink", doc{"path": "/out/new", "symlink_target": "x"}, 502, "ExternalError.SymlinkFailed" + denied},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inCage(t, func(t *testing.T, c *cage) {
				before := tree(t, c.lab.lab)
				a := c.call(tt.method, "/operation/endpoint/"+c.labID+"/"+tt.call, tt.body)
				if a.status != tt.status || a.text("code") != tt.code {
					t.Errorf("got %d %s, want %d %s", a.status, a.body, tt.status, tt.code)
				}
				if diff := cmp.Diff(before, tree(t, c.lab.lab)); diff != "" {
					t.Errorf("the collection changed (-before +after):\n%s", diff)
				}
			})
		})
	}
}

func TestOperationsWithDotsStayInTheCollection(t *testing.T) {
	inCage(t, func(t *testing.T, c *cage) {
		operation := "/operation/endpoint/" + c.labID
		for _, step := range []struct {
			call string
			body doc
			name string // what is there afterwards
		}{
			{"mkdir", doc{"path": "/../../made"}, "made/"},
			{"rename", doc{"old_path": "/mine", "new_path": "/../renamed"}, "renamed"},
			{"symlink", doc{"path": "../../linked", "symlink_target": "../../etc/passwd"}, "linked"},
		} {
			if a := c.call(http.MethodPost, operation+"/"+step.call, step.body); a.status >= 300 {
				t.Errorf("%s answers %d %s", step.call, a.status, a.body)
			}
			if _, ok := tree(t, c.lab.lab)[step.name]; !ok {
				t.Errorf("%s: %s is not in the collection", step.call, step.name)
			}
		}
		// The link is made, and leads nowhere.
		if a := c.call(http.MethodGet, operation+"/stat?path=/linked", nil); a.text("type") != "invalid_symlink" {
			t.Errorf("stat answers %d %s", a.status, a.body)
		}
	})
}

func TestALinkThatIsSwappedInAfterTheListingIsNotFollowed(t *testing.T) {
	inCage(t, func(t *testing.T, c *cage) {
		plant(t, c.lab.lab, map[string]string{"tree/a": "1", "tree/dir/secret": "2"})
		if err := c.Disturb(globussim.Disturbance{Action: globussim.StallTask, AfterFiles: 1}); err != nil {
			t.Fatal(err)
		}
		id := c.submit(c.transfer("/tree/", "/copy/"))
		c.task(id).want(t, doc{"files_transferred": 1})
		if err := os.RemoveAll(c.lab.lab + "/tree/dir"); err != nil {
			t.Fatal(err)
		}
		link(t, c.outside, c.lab.lab+"/tree/dir")
		if err := c.Disturb(globussim.Disturbance{Action: globussim.ReleaseTask, Task: id}); err != nil {
			t.Fatal(err)
		}
		c.task(id).want(t, doc{"status": "ACTIVE", "nice_status": "PERMISSION_DENIED"})
		if diff := cmp.Diff(map[string]string{"a": "1"}, tree(t, c.vault+"/copy")); diff != "" {
			t.Errorf("the copy differs (-want +got):\n%s", diff)
		}
	})
}
