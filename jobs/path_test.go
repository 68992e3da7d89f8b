package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestDeleteOfEverythingIsRefused(t *testing.T) {
	everything := []string{
		"/", "//", "/.", "/./", "/~/", "/~", "/*", "/**", "/?*", "/*?", "/*.*", "/?", "/????", "/.*", "//*", "/./*", "/[!.]*", "/[a-z]*",
		"/~/*", "/~/**", "/~/*.*", "/~/./*", "/~//?*", "/*/", "/**/",
	}
	some := []string{
		"/data", "/data/", "/~/data", "/data/*", "/data/**", "/~/data/*", "/run_*", "/*.tmp", "/~/*.tmp", "/[0-9][0-9]", "/20[0-9][0-9]", "/a/./b",
	}
	check := func(path string) error {
		step := jobs.Step{Delete: &transfer.Delete{InterpretGlobs: true, Recursive: true, Items: []transfer.DeleteItem{{Path: "/x"}, {Path: path}}}}
		return step.Check()
	}
	batch := func(path string) error {
		for _, err := range jobs.DeleteItems(strings.NewReader("/x\n"+path+"\n"), "", true) {
			if err != nil && strings.HasPrefix(err.Error(), "line 2: ") {
				return err
			}
		}
		return nil
	}
	file := func(path string) error {
		_, err := parseText(head + "jobs:\n  x: {delete: {collection: lab, paths: ['" + path + "'], recursive: true, interpret_globs: true}}\n")
		return err
	}
	ways := map[string]func(string) error{"a step": check, "a batch": batch, "a jobs file": file}
	for name, way := range ways {
		for _, path := range everything {
			if err := way(path); err == nil || !strings.Contains(err.Error(), "this would delete everything on the collection") {
				t.Errorf("%s in %s: got %v, want a refusal", path, name, err)
			}
		}
		for _, path := range some {
			if err := way(path); err != nil {
				t.Errorf("%s in %s: got %v", path, name, err)
			}
		}
		if err := way("/a/.."); err == nil {
			t.Errorf("/a/.. in %s: got no error", name)
		}
		if err := way("/*/x"); err == nil || !strings.Contains(err.Error(), "wildcard in a folder") {
			t.Errorf("/*/x in %s: got %v", name, err)
		}
	}
}

func TestWildcardThatIsNotExpandedIsAName(t *testing.T) {
	for _, err := range jobs.DeleteItems(strings.NewReader("'/run[1-3]/x'\n"), "", false) {
		if err != nil {
			t.Errorf("got %v", err)
		}
	}
}

func TestLongestPath(t *testing.T) {
	const most = 4096
	for _, n := range []int{most, most + 1} {
		_, err := jobs.Absolute("", "/"+strings.Repeat("x", n-1))
		if (err != nil) != (n > most) {
			t.Errorf("%d bytes: got %v", n, err)
		}
	}
}

// A path is refused in the same way wherever it stands.
func TestPathsOfElsewhere(t *testing.T) {
	tests := map[string]string{
		`C:\data\x`:             "write /C/data/x",
		`c:/data/x`:             "write /C/data/x",
		`C:`:                    "write /C",
		`/C:/data/x`:            "write /C/data/x",
		`\data\x`:               "write /data/x",
		`data\x`:                "write data/x, or ./data",
		`\\server\share\x`:      "is a network share of Windows",
		"file:///data/x":        "is a URL; write the path alone, /data/x",
		"file:///C:/data/x":     "write the path alone, /C/data/x",
		"https://example.org/x": "is a URL; write a collection and a path on it",
		"s3://bucket/x":         "is a URL",
		"globus://" + id + "/x": "write " + id + ":/x",
		"globus://" + id + "/?origin_id=0b6c8f2e-0000-4000-8000-000000000009": "write " + id + ":/", // a name, not a link
		"/a\u0085b":       "invisible character U+0085",
		"/a\tb":           "invisible character U+0009",
		"/a\nb":           "line break",
		"/a\ufeff":        "invisible character U+FEFF",
		"/a/../b":         "has .. in it",
		"/" + manyLetters: "at most 4096",
		"https://app.globus.org/file-manager?origin_id=" + id + "&origin_path=%2Fdata%2F": "write " + id + ":/data/",
	}
	for path, want := range tests {
		if got, err := jobs.Absolute("", path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Absolute(%q): got %q, %v, want %q", path, got, err, want)
		}
		if strings.ContainsAny(path, "\t\n\u0085") || len(path) > 4096 {
			continue
		}
		_, err := parseText(head + "jobs:\n  x: {transfer: {source: 'lab:" + path + "', destination: 'vault:/x'}}\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("lab:%s in a jobs file: got %v, want %q", path, err, want)
		}
	}
	if _, err := parseText(head + `jobs: {x: {transfer: {source: 'C:\data\x', destination: 'vault:/x'}}}`); err == nil || !strings.Contains(err.Error(), "write /C/data/x; want collection:/path") {
		t.Errorf("without a collection: got %v", err)
	}
}

const id = "0b6c8f2e-0000-4000-8000-000000000001"

var manyLetters = strings.Repeat("x", 5000)

func TestAbsolute(t *testing.T) {
	tests := []struct{ folder, path, want string }{
		{"", "/a", "/a"},
		{"/top", "/a", "/a"},
		{"/top", "a", "/top/a"},
		{"/top/", "a/", "/top/a/"},
		{"/", "a", "/a"},
		{"~", "a", "/~/a"},
		{"~/x/", "a", "/~/x/a"},
		{"/top", "~/a", "/~/a"},
		{"/top", "~", "/~/"},
		{"/top", "./a:b", "/top/./a:b"},
	}
	for _, tt := range tests {
		if got, err := jobs.Absolute(tt.folder, tt.path); err != nil || got != tt.want {
			t.Errorf("Absolute(%q, %q): got %q, %v, want %q", tt.folder, tt.path, got, err, tt.want)
		}
	}
}

func TestWildcardsOfATransfer(t *testing.T) {
	tests := map[string]bool{
		"/d/*.h5": true, "/d/?.h5": true, "/d/run[0-9].h5": true, "/d/[!a]x": true, "/*/x": true, "/d/*": true,
		"/d/scan[1].tif": false, "/d/[x]": false, "/d/a]b[c": false, "/d/a-b": false,
	}
	for path, refused := range tests {
		doc := &transfer.Transfer{SourceEndpoint: "a", DestinationEndpoint: "b", Items: []transfer.Item{{SourcePath: path, DestinationPath: "/x"}}}
		err := (&jobs.Step{Transfer: doc}).Check()
		if (err != nil) != refused || err != nil && !strings.Contains(err.Error(), "has a wildcard, which Globus takes literally here") {
			t.Errorf("%s: got %v, want a refusal: %t", path, err, refused)
		}
		_, err = parseText(copying("lab:"+path, "vault:/x"))
		if (err != nil) != refused {
			t.Errorf("%s in a jobs file: got %v, want a refusal: %t", path, err, refused)
		}
	}
}

func TestItemsOfAJobsFile(t *testing.T) {
	items := func(items ...string) string {
		return head + "jobs:\n  x:\n    transfer:\n      items:\n        - " + strings.Join(items, "\n        - ") + "\n"
	}
	tests := map[string]struct{ text, want string }{
		"two of one destination":  {items("{source: 'lab:/p1/s', destination: 'vault:/in/s'}", "{source: 'lab:/p2/s', destination: 'vault:/in//s'}"), "items[1].destination: the destination /in//s is that of item 1 as well"},
		"two folders into one":    {items("{source: 'lab:/p1/', destination: 'vault:/in/'}", "{source: 'lab:/p2/', destination: 'vault:/in/'}"), "that of item 1 as well"},
		"two by one template":     {items("{source: 'lab:/p1/s', destination: 'vault:/{{date .Time}}'}", "{source: 'lab:/p2/s', destination: 'vault:/{{date .Time}}'}"), "that of item 1 as well"},
		"two by two templates":    {items("{source: 'lab:/p1/s', destination: 'vault:/{{.Time | strftime \"%M\"}}'}", "{source: 'lab:/p2/s', destination: 'vault:/{{.Time | strftime \"%S\"}}'}"), ""},
		"a file into a folder":    {items("{source: 'lab:/s', destination: 'vault:/in/', recursive: false}"), "items[0].destination: the source is a file, but /in/ is a folder; write /in/s"},
		"a sum into a folder":     {items("{source: 'lab:/s', destination: 'vault:/in/', external_checksum: 12ab}"), "write /in/s"},
		"a folder into another":   {items("{source: 'lab:/s', destination: 'vault:/in/', recursive: true}"), ""},
		"within one folder":       {head + "jobs: {x: {transfer: {source: 'lab:/', destination: 'lab:/', manifest: list.txt}}}", ""},
		"a folder to make":        {head + "jobs: {x: {steps: [{mkdir: {collection: lab, path: '/a/*'}}]}}", "steps[0].mkdir.path: path \"/a/*\" has a wildcard"},
		"a folder of Windows":     {head + "jobs: {x: {steps: [{mkdir: {collection: lab, path: 'C:\\a'}}]}}", "write /C/a"},
		"a delete of a Windows":   {head + "jobs: {x: {delete: {collection: lab, paths: ['C:\\a']}}}", "write /C/a"},
		"a collection of Windows": {strings.Replace(head, "path: /projects/lab7/", `path: 'C:\a'`, 1) + "jobs: {x: {transfer: {source: 'lab:/s', destination: 'vault:s'}}}", "write /C/a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(tt.text)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRenderChecksWhatTemplatesBecome(t *testing.T) {
	f, err := parseText(head + `jobs:
  x:
    transfer:
      items:
        - {source: 'lab:/a', destination: 'vault:/{{.Time | strftime "%H"}}'}
        - {source: 'lab:/b', destination: 'vault:/{{.Time | strftime "%M"}}'}
`)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 7, 7, 0, 0, time.UTC)
	if _, err := f.Jobs[0].Render(jobs.ScheduledKey(at), at, nil); err == nil || !strings.Contains(err.Error(), "item 2: the destination /07 is that of item 1 as well") {
		t.Errorf("got %v", err)
	}
	at = at.Add(time.Minute)
	if _, err := f.Jobs[0].Render(jobs.ScheduledKey(at), at, nil); err != nil {
		t.Error(err)
	}
}

func TestOddPathsAreWarnings(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"a file or folder into a folder": {copying("lab:/a.h5", "vault:/in/"), "a file would not be copied, write /in/a.h5 for it; for a folder write /a.h5/"},
		"a literal wildcard":             {head + "jobs: {x: {delete: {collection: lab, paths: ['/old/*.tmp']}}}", "takes literally unless"},
		"neither":                        {copying("lab:/a.h5", "vault:/in/a.h5"), ""},
		"a folder into a folder":         {head + "jobs: {x: {transfer: {source: 'lab:/a', destination: 'vault:/in/', recursive: true}}}", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, err := parseText(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, w := range f.Warnings {
				if !strings.Contains(w.Msg, "no job uses") {
					got.WriteString(w.Msg)
				}
			}
			if (got.String() == "") != (tt.want == "") || !strings.Contains(got.String(), tt.want) {
				t.Errorf("got %q, want %q", got.String(), tt.want)
			}
		})
	}
}

func TestRename(t *testing.T) {
	for _, tt := range []struct{ from, to, want string }{
		{"/a", "/b", ""}, {"/", "/b", "the top"}, {"/~/", "/b", "the top"}, {"/a", "/a/", "the same"}, {"/a/", "/a/b", "inside"}, {"/a", "/ab", ""},
	} {
		err := jobs.CheckRename(tt.from, tt.to)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s to %s: got %v, want %q", tt.from, tt.to, err, tt.want)
		}
	}
}
