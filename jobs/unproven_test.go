package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/jobs"
)

// deleting is a file with a job that copies source, and one that deletes path.
func deleting(source, path, options string) string {
	return head + `env: [SITE, DISK]
jobs:
  copy: {transfer: {source: 'lab:` + source + `', destination: 'vault:/copy/'}}
  wipe: {delete: {collection: lab, paths: ['` + path + `'], recursive: true` + options + `}}
`
}

func TestADeleteOfWhatIsCopiedIsRefused(t *testing.T) {
	const globs = ", interpret_globs: true"
	tests := map[string]struct {
		source, path, options string
		refused               string // would or may; empty if it is not
	}{
		"the same folder":                 {"/out/", "/out/", "", "would"},
		"the same without a slash":        {"/out/", "/out", "", "would"},
		"inside":                          {"/out/", "/out/old/", "", "would"},
		"around":                          {"/data/out/", "/data", "", "would"},
		"a file that is copied":           {"/out/a.h5", "/out/a.h5", "", "would"},
		"a file beside one":               {"/out/a.h5", "/out/a.h5.md5", "", ""},
		"everything is copied":            {"/", "/out/", "", "would"},
		"written another way":             {"/out/", "//out/./old/", "", "would"},
		"in other letters":                {"/Out/", "/out/", "", "would"},
		"beside":                          {"/out/", "/out-old/", "", ""},
		"elsewhere":                       {"/out/", "/old/", "", ""},
		"a template around":               {"/data/out/", `/{{ env "SITE" }}/`, "", "may"},
		"two templates":                   {`/{{ env "SITE" }}/`, `/{{ env "DISK" }}/`, "", "may"},
		"another day":                     {"/out/{{ .Time | date }}/", `/out/{{ .Time | add "-31d" | date }}/`, "", "may"},
		"a template beside one":           {`/data-{{ env "SITE" }}/`, `/scratch-{{ env "SITE" }}/`, "", ""},
		"a template below a folder":       {"/out/", "/out/{{ .Time | date }}/", "", "may"},
		"a template below what is copied": {"/out/{{ .Time | date }}/", "/out/old/", "", "may"},
		"a template in a name":            {"/out/run-{{ .Time | date }}/", "/out/run-old/", "", "may"},
		"a template in another name":      {"/out/run-{{ .Time | date }}/", "/out/old/", "", ""},
		"a name that a template begins":   {"/out/run", "/out/ru{{ .Job }}", "", "may"},
		"a wildcard":                      {"/out/run7/", "/out/run*", globs, "may"},
		"a wildcard in what is copied":    {"/out/", "/out/*.log", globs, "may"},
		"a wildcard for others":           {"/out/run7/", "/out/log*", globs, ""},
		"an escaped wildcard":             {"/out/run7/", `/out/run\*`, globs, "may"},
		"a wildcard that is a name":       {"/out/run7/", "/out/run*", "", ""},
		"the default folder":              {"~/out/", "~/out/old/", "", "would"},
		"the same template":               {"/out/{{ .Time | date }}/", "/out/{{ .Time | date }}/", "", "would"},
		"beside in the default folder":    {"~/out/", "~/old/", "", ""},
		"the default folder, somewhere":   {"/home/lab7/out/", "~/old/", "", "may"},
		"from the default folder":         {"~/out/", "/home/lab7/out/", "", "may"},
		"allowed":                         {"/out/", "/out/", ", unproven: true", ""},
		"not allowed":                     {"/out/", "/out/", ", unproven: false", "would"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(deleting(tt.source, tt.path, tt.options))
			source := strings.Replace(tt.source, "~", "/~", 1)
			want := "this " + tt.refused + " delete what the job copy copies from " + source
			switch {
			case tt.refused == "" && err != nil:
				t.Errorf("got %v, want it to be good", err)
			case tt.refused != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("got %v, want one problem: %s", err, want)
			}
		})
	}
}

func TestTheRefusalOfADeleteNamesThePrune(t *testing.T) {
	const rest = ", also files that were not copied or have changed since; write "
	const end = " instead of the delete, or unproven: true if they need no copy"
	tests := map[string]struct{ jobs, problem string }{
		"a step before": {
			`  move: {steps: [{transfer: {source: "lab:/out/", destination: "vault:/in/"}}, {delete: {collection: lab, paths: [/old/, /out/]}}]}`,
			`jobs.yaml:6:122: jobs.move.steps[1].delete.paths[1]: this would delete what this job copies from /out/` + rest + `- prune: {}` + end,
		},
		"a step behind": {
			`  move: {steps: [{delete: {collection: lab, paths: [/out/]}}, {transfer: {source: "lab:/out/", destination: "vault:/in/"}}]}`,
			`jobs.yaml:6:53: jobs.move.steps[0].delete.paths[0]: this would delete what this job copies from /out/` + rest + `prune: {of: [move]}` + end,
		},
		"the job before": {
			`  a: {transfer: {source: "lab:/", destination: "vault:/in/"}}` + "\n" +
				`  b: {transfer: {source: "lab:/out/", destination: "vault:/in2/"}}` + "\n" +
				`  c: {after: b, delete: {collection: lab, paths: [/out/]}}`,
			`jobs.yaml:8:51: jobs.c.delete.paths[0]: this would delete what the job b copies from /out/` + rest + `prune: {of: [b]}` + end,
		},
		"the first of the text": {
			`  a: {transfer: {source: "lab:/", destination: "vault:/in/"}}` + "\n" +
				`  b: {transfer: {source: "lab:/out/", destination: "vault:/in2/"}}` + "\n" +
				`  c: {delete: {collection: lab, paths: [/out/]}}`,
			`jobs.yaml:8:41: jobs.c.delete.paths[0]: this would delete what the job a copies from /` + rest + `prune: {of: [a]}` + end,
		},
		"one of several items": {
			`  a: {transfer: {items: [{source: "lab:/x", destination: "vault:/x"}, {source: "lab:/y/", destination: "vault:/y/"}]}}` + "\n" +
				`  c: {delete: {collection: lab, paths: [/y/z]}}`,
			`jobs.yaml:7:41: jobs.c.delete.paths[0]: this would delete what the job a copies from /y/` + rest + `prune: {of: [a]}` + end,
		},
		"the default folder": {
			`  a: {transfer: {source: "lab:~/runs/", destination: "vault:/x/"}}` + "\n" +
				`  c: {delete: {collection: lab, paths: [/home/me/runs/]}}`,
			`jobs.yaml:7:41: jobs.c.delete.paths[0]: this may delete what the job a copies from /~/runs/, since ~/ may be anywhere` + rest +
				`both paths with or without ~/, or prune: {of: [a]}` + end,
		},
		"what a manifest names": {
			`  a: {transfer: {source: "lab:/runs/", destination: "vault:/x/", manifest: runs.txt}}` + "\n" +
				`  c: {delete: {collection: lab, paths: [/runs/7]}}`,
			`jobs.yaml:7:41: jobs.c.delete.paths[0]: this would delete what the job a copies from /runs/` + rest + `prune: {of: [a]}` + end,
		},
		"what a line of a manifest may name": {
			`  a: {transfer: {source: "lab:/runs/", destination: "vault:/x/", manifest: runs.txt}}` + "\n" +
				`  c: {delete: {collection: lab, paths: [/old/]}}`,
			`jobs.yaml:7:41: jobs.c.delete.paths[0]: this may delete what the job a copies from /runs/, since lines of its manifest may be anywhere` + rest +
				`prune: {of: [a]}` + end,
		},
		"what is copied, and what a line of a manifest may name": {
			`  a: {transfer: {source: "lab:/runs/", destination: "vault:/x/", manifest: runs.txt}}` + "\n" +
				`  b: {transfer: {source: "lab:/old/", destination: "vault:/old/"}}` + "\n" +
				`  c: {delete: {collection: lab, paths: [/old/]}}`,
			`jobs.yaml:8:41: jobs.c.delete.paths[0]: this would delete what the job b copies from /old/` + rest + `prune: {of: [b]}` + end,
		},
		"a destination that is a source": {
			`  a: {transfer: {source: "lab:/x/", destination: "vault:/x/"}}` + "\n" +
				`  b: {transfer: {source: "vault:/x/", destination: "lab:/y/"}}` + "\n" +
				`  c: {delete: {collection: vault, paths: [/x/]}}`,
			`jobs.yaml:8:43: jobs.c.delete.paths[0]: this would delete what the job b copies from /x/` + rest + `prune: {of: [b]}` + end,
		},
		"a path below that of the collection": {
			`  b: {transfer: {source: "vault:x/", destination: "lab:/y/"}}` + "\n" +
				`  c: {delete: {collection: vault, paths: [/projects/lab7/x/]}}`,
			`jobs.yaml:7:43: jobs.c.delete.paths[0]: this would delete what the job b copies from /projects/lab7/x/` + rest + `prune: {of: [b]}` + end,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(head + "jobs:\n" + tt.jobs)
			if err == nil || err.Error() != tt.problem {
				t.Errorf("got:\n%v\nwant:\n%s", err, tt.problem)
			}
		})
	}
}

func TestADeleteAtADestinationIsGood(t *testing.T) {
	file, err := parseText(head + `jobs:
  copy: {transfer: {source: "lab:/out/", destination: "vault:/in/"}}
  wipe: {delete: {collection: vault, paths: [/in/, /out/]}}
`)
	if err != nil || file.Jobs[1].Steps[0].Unproven {
		t.Errorf("got %+v, %v", file, err)
	}
}

func TestADeleteOfThePrunedCopiesIsRefused(t *testing.T) {
	const refused = ", which may be the only ones: the prune of the job p deletes what they were made of; " +
		"leave out one of the two, or write unproven: true if nobody needs the copies"
	tests := map[string]struct{ more, problem string }{
		"of another job": {
			`  p: {prune: {of: [archive]}}` + "\n" + `  d: {delete: {collection: vault, paths: [in/old/]}}`,
			"jobs.yaml:10:43: jobs.d.delete.paths[0]: this would delete copies at /projects/lab7/in/" + refused,
		},
		"of steps": {
			`  p: {steps: [{transfer: {source: "lab:/a/{{ .Job }}/", destination: "vault:a/{{ .Job }}/"}}, {prune: {}}]}` + "\n" +
				`  d: {delete: {collection: vault, paths: [a/b/]}}`,
			"jobs.yaml:10:43: jobs.d.delete.paths[0]: this may delete copies at /projects/lab7/a/{{ .Job }}/" + refused,
		},
		"where a manifest may say": {
			`  m: {transfer: {source: "lab:/m/", destination: "vault:m/", manifest: m.txt}}` + "\n" + `  p: {prune: {of: [m]}}` + "\n" +
				`  d: {delete: {collection: vault, paths: [elsewhere/]}}`,
			"jobs.yaml:11:43: jobs.d.delete.paths[0]: this may delete copies at /projects/lab7/m/, or where else its manifest says" + refused,
		},
		"allowed":                  {`  p: {prune: {of: [archive]}}` + "\n" + `  d: {delete: {collection: vault, paths: [in/old/], unproven: true}}`, ""},
		"elsewhere":                {`  p: {prune: {of: [archive]}}` + "\n" + `  d: {delete: {collection: vault, paths: [out/]}}`, ""},
		"of a job that counts not": {`  p: {prune: {of: [archive]}}` + "\n" + `  d: {delete: {collection: tape, paths: [/in/]}}`, ""},
		"of a step that counts not": {
			`  p: {steps: [{transfer: {source: "lab:/a/", destination: "vault:a/"}}, {prune: {}}, {transfer: {source: "lab:/b/", destination: "vault:b/"}}]}` + "\n" +
				`  d: {delete: {collection: vault, paths: [b/]}}`, "",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(pruned(tt.more))
			if got := fmt.Sprint(err); tt.problem == "" && err != nil || tt.problem != "" && got != tt.problem {
				t.Errorf("got:\n%v\nwant:\n%s", err, tt.problem)
			}
		})
	}
}

func TestADeleteAcrossFilesIsRefused(t *testing.T) {
	_, err := jobs.Parse(nil,
		jobs.Source{Name: "1.yaml", Data: []byte(head + "jobs: {wipe: {delete: {collection: lab, paths: [/out/]}}}")},
		jobs.Source{Name: "2.yaml", Data: []byte("version: 1\njobs: {copy: {transfer: {source: 'lab:/out/', destination: 'vault:/in/'}}}")})
	if err == nil || !strings.HasPrefix(err.Error(), "1.yaml:5:49: jobs.wipe.delete.paths[0]: this would delete what the job copy copies from /out/") {
		t.Errorf("got %v", err)
	}
}
