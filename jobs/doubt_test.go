package jobs_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/jobs"
)

// doubts are the warnings about a text that has no problem.
func doubts(t *testing.T, text string) []string {
	t.Helper()
	file, err := parseText(head + text)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, w := range file.Warnings {
		if !strings.Contains(w.Msg, "no job uses the collection") {
			all = append(all, w.Field+": "+w.Msg)
		}
	}
	return all
}

// expectDoubts compares warnings with parts of what they should be.
func expectDoubts(t *testing.T, text string, want ...string) {
	t.Helper()
	got := doubts(t, text)
	if len(got) != len(want) || !slices.EqualFunc(got, want, strings.Contains) {
		t.Errorf("got the warnings\n%s\nwant\n%s\nof\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), text)
	}
}

func TestFilterRulesWithoutEffectAreAWarning(t *testing.T) {
	const nothing, first = "it leaves nothing out", `exclude "*", decides about every name`
	for name, tt := range map[string]struct {
		rules string
		want  []string
	}{
		"include alone":               {`{method: include, name: "*.h5"}`, []string{nothing + `, because what no rule fits is copied; add {method: exclude, type: file, name: "*"}`}},
		"include of folders":          {`{method: include, type: dir, name: "a*"}`, []string{`type: dir, name: "*"}`}},
		"include, then others":        {`{method: include, name: "*.h5"}, {name: "*", type: file}`, nil},
		"include behind the end":      {`{name: "*.tmp"}, {method: include, name: "*.h5"}`, []string{"filter_rules[1]: " + nothing}},
		"exclude of another type":     {`{method: include, type: file, name: "*.h5"}, {name: "*", type: dir}`, []string{nothing}},
		"exception from an exclusion": {`{method: include, name: "a.tmp"}, {name: "*.tmp"}`, nil},
		"everything left out first":   {`{name: "*"}, {method: include, name: "*.h5"}`, []string{"filter_rules[1]: the rule before it, " + first}},
		"files left out first":        {`{name: "*", type: file}, {method: include, type: file, name: "*.h5"}`, []string{first}},
		"files left out, then a dir":  {`{name: "*", type: file}, {type: dir, name: "tmp"}`, nil},
		"exclude alone":               {`{name: "*.tmp"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			expectDoubts(t, "jobs:\n  j: {transfer: {source: 'lab:/a/', destination: 'vault:/b/', filter_rules: ["+tt.rules+"]}}\n", tt.want...)
		})
	}
}

func TestCommentThatMayBelongToAPathIsAWarning(t *testing.T) {
	for name, tt := range map[string]struct {
		source string
		want   []string
	}{
		"right behind":       {"lab:/run #7", []string{"source: #7 is a comment in YAML; if it belongs to the path, write the path in quotes"}},
		"as comments are":    {"lab:/run # the seventh", nil},
		"of the next line":   {"lab:/run\n      #destination: vault:/c/", nil},
		"behind quotes":      {"'lab:/run' #7", nil},
		"a part of the path": {"'lab:/run #7'", nil},
		"no blank before it": {"lab:/run#7", nil},
	} {
		t.Run(name, func(t *testing.T) {
			expectDoubts(t, "jobs:\n  j:\n    transfer:\n      destination: vault:/b\n      source: "+tt.source+"\n", tt.want...)
		})
	}
}

func TestTextInAPathThatNothingExpandsIsAWarning(t *testing.T) {
	const literal = " in a path is taken literally; write "
	for path, want := range map[string]string{
		"/{date}/":                               "{date}" + literal + "{{ date .Time }}",
		"/{job_name}/":                           "{job_name}" + literal + "{{ .Job }}",
		"/{x}/":                                  "{x}" + literal + "a template in double braces",
		"/%Y/%m/":                                "%Y/%m" + literal + `{{ strftime "%Y/%m" .Time }}`,
		"/a_%Y%m%d.x/":                           "%Y%m%d" + literal,
		"/$USER/":                                "$USER" + literal + `{{ env "USER" }}, and USER into the env list`,
		"/${SITE}/":                              "${SITE}" + literal + `{{ env "SITE" }}`,
		"/$(date +%F)/":                          "$(date +%F)" + literal,
		"/a/ ":                                   "ends in a space, which is a part of the name; write /a/",
		`/{{ strftime "%Y-%M-%d" .Time }}/`:      "%M is the minute, and stands in a date here; write %m",
		`/{{ strftime "%M-%d" .Time }}/`:         "%M is the minute",
		`/{{ strftime "%d.%M.%Y" .Time }}/`:      "%M is the minute",
		`/{{ strftime "%Y-%m-%dT%H%m" .Time }}/`: "%m is the month, and stands in a time here; write %M",
		`/{{ strftime "%Y-%m-%d %H%M" .Time }}/`: "",
		`/{{ strftime "%G-%m-%d" .Time }}/`:      "%G is the year that the ISO week is of, and stands in a date here; write %Y",
		`/{{ strftime "%d.%m.%G" .Time }}/`:      "%G is the year",
		`/{{ strftime "%Y-W%V" .Time }}/`:        "%Y is the year of the date, and stands in a week here; write %G",
		`/{{ strftime "%V/%Y" .Time }}/`:         "%Y is the year",
		`/{{ strftime "%Y%m%d-%I" .Time }}/`:     "%I is the hour of half a day, and stands in a path without %p here; write %H",
		`/{{ strftime "%Y%m%d-%I%p" .Time }}/`:   "",
		`/{{ strftime "%G-W%V-%u" .Time }}/`:     "",
		`/{{ strftime "%G/%V/%d" .Time }}/`:      "",
		`/{{ strftime "%Y-%m, W%V" .Time }}/`:    "",
		"/{{ date .Time }}/":                     "",
		"/100%/50%25/%20/{a b}/$1/":              "",
		"/{{ .Job }}/":                           "",
	} {
		t.Run(path, func(t *testing.T) {
			text := "jobs:\n  j: {transfer: {source: 'lab:/x', destination: 'vault:" + path + "', recursive: true}}\n"
			got := slices.DeleteFunc(doubts(t, text), func(w string) bool { return strings.Contains(w, "the destination ends in /") })
			if (len(got) == 0) != (want == "") || len(got) > 0 && !strings.Contains(got[0], want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestASpaceBeforeAPathIsAProblem(t *testing.T) {
	for text, want := range map[string]string{
		"{transfer: {source: 'lab:/x/', destination: 'vault: /a/'}}":                    "there is a space before the path; write vault:/a/",
		"{transfer: {source: 'lab: ~/x/', destination: 'vault:/a/'}}":                   "write lab:~/x/",
		"{delete: {collection: lab, paths: [' /a/'], recursive: true, unproven: true}}": "write /a/",
	} {
		_, err := parseText(head + "jobs:\n  j: " + text + "\n")
		if problems := jobs.Problems(err); len(problems) != 1 || !strings.Contains(problems[0].Msg, want) {
			t.Errorf("got %v of %s, want %q", err, text, want)
		}
	}
}

func TestAPruneWhoseCopiesStayYoungIsAWarning(t *testing.T) {
	const young = "copies everything again every"
	for name, tt := range map[string]struct {
		copies, prune string
		want          []string
	}{
		"daily":              {`schedule: "@daily", transfer: {source: 'lab:/a/', destination: 'vault:/b/'}`, "of: [copy], older_than: 30d", []string{young + " 24h"}},
		"after a daily one":  {`after: first, transfer: {source: 'lab:/a/', destination: 'vault:/b/'}`, "of: [copy], older_than: 30d", []string{young}},
		"with a sync level":  {`schedule: "@daily", transfer: {source: 'lab:/a/', destination: 'vault:/b/', sync_level: mtime}`, "of: [copy], older_than: 30d", nil},
		"of each day":        {`schedule: "@daily", transfer: {source: 'lab:/a/{{ date .Time }}/', destination: 'vault:/b/{{ date .Time }}/'}`, "of: [copy], older_than: 30d", nil},
		"rarely":             {`schedule: "@monthly", transfer: {source: 'lab:/a/', destination: 'vault:/b/'}`, "of: [copy], older_than: 7d", nil},
		"by hand":            {`transfer: {source: 'lab:/a/', destination: 'vault:/b/'}`, "of: [copy], older_than: 30d", nil},
		"of any age":         {`schedule: "@daily", transfer: {source: 'lab:/a/', destination: 'vault:/b/'}`, "of: [copy]", nil},
		"of another project": {`schedule: "@daily", transfer: {source: 'lab:/a/{{ .Job }}/', destination: 'vault:/b/{{ .Job }}/'}`, "of: [copy], older_than: 30d", []string{young}},
	} {
		t.Run(name, func(t *testing.T) {
			expectDoubts(t, "jobs:\n  first: {schedule: '@daily', transfer: {source: 'lab:/f/', destination: 'vault:/f/'}}\n"+
				"  copy: {"+tt.copies+"}\n  expire: {schedule: '@daily', prune: {"+tt.prune+"}}\n", tt.want...)
		})
	}
	expectDoubts(t, `jobs:
  j: {steps: [{transfer: {source: 'lab:/a/', destination: 'vault:/b/'}}, {prune: {older_than: 7d}}]}
`, "jobs.j.steps[1].prune.older_than: the receipts of the same run count, and none of them is so old")
}

func TestOneAddressForThePingsOfSeveralJobsIsAWarning(t *testing.T) {
	two := func(address, runs string) string {
		return "notify: {beat: {ping: '" + address + "'}}\njobs:\n" +
			"  a: {transfer: {source: 'lab:/a/', destination: 'vault:/a/'}}\n" +
			"  b: {" + runs + "transfer: {source: 'lab:/b/', destination: 'vault:/b/'}}\n"
	}
	expectDoubts(t, two("https://ping.example/1", ""), "notify.beat: 2 jobs ping the same address, so one that runs hides one that does not; write {{ .Job }}")
	expectDoubts(t, two("https://ping.example/1", "notify: {runs: [beat]}, "), "2 jobs ping")
	expectDoubts(t, two("https://ping.example/1", "notify: {runs: []}, "))
	expectDoubts(t, two("https://ping.example/{{ .Job }}", ""))
}

func TestWhatAJobSaysInVainIsAWarning(t *testing.T) {
	const moves, file = "transfer: {source: 'lab:/a/', destination: 'vault:/b/'}", "transfer: {source: 'lab:/in/{{ .Item.Name }}', destination: 'vault:/b/{{ .Item.Name }}'}"
	each := func(ready string) string {
		return "for_each: {folder: 'lab:/in/', type: file, ready: {" + ready + "}}, "
	}
	for name, tt := range map[string]struct {
		job  string
		want []string
	}{
		"deadline before a stall":      {"active_deadline: 10m, stalled_after: 1h, on: {stalled: cancel}, " + moves, []string{"jobs.j.active_deadline: Globus ends a task after 10m, before it counts as stalled after 1h"}},
		"deadline before the default":  {"active_deadline: 10m, on: {stalled: cancel}, " + moves, []string{"stalled after 30m"}},
		"stall before the deadline":    {"active_deadline: 2h, stalled_after: 1h, on: {stalled: cancel}, " + moves, nil},
		"stall that is only told":      {"active_deadline: 10m, " + moves, nil},
		"policies after another job":   {"after: first, jitter: 5m, catch_up: all, " + moves, []string{"jobs.j.jitter: jitter is about instants of a schedule and has no effect on a job that starts after another one", "catch_up is about"}},
		"looks that are far apart":     {"schedule: '@weekly', " + each("unchanged_for: 15m") + file, []string{"jobs.j.schedule: an item is ready only at the second look"}},
		"looks that are near":          {"schedule: '@hourly', " + each("unchanged_for: 15m") + file, nil},
		"rare looks, long quiet":       {"schedule: '@weekly', " + each("unchanged_for: 7d") + file, nil},
		"rare looks for a marker":      {"schedule: '@weekly', " + each(`marker: "*.done"`) + file, nil},
		"more files than an item":      {"schedule: '@hourly', expect: {files: 10}, " + each(`marker: "*.done"`) + file, []string{"jobs.j.expect.files: each run copies one file"}},
		"as many files as an item":     {"schedule: '@hourly', expect: {files: 1}, " + each(`marker: "*.done"`) + file, nil},
		"a share that is over":         {"steps: [{share: {collection: vault, path: /b/, with: {user: a@b.example}, expires: 2020-01-31}}]", []string{"share.expires: 2020-01-31T00:00:00Z is past"}},
		"a share that is not over yet": {"steps: [{share: {collection: vault, path: /b/, with: {user: a@b.example}, expires: 2999-01-31}}]", nil},
	} {
		t.Run(name, func(t *testing.T) {
			expectDoubts(t, "jobs:\n  first: {transfer: {source: 'lab:/f/', destination: 'vault:/f/'}}\n  j: {"+tt.job+"}\n", tt.want...)
		})
	}
}

func TestARegularExpressionIsAnsweredWithWhatIsPossibleThere(t *testing.T) {
	for ready, want := range map[string]string{
		`ready: {marker: "^done$"}`:                        "with * for any characters; write done",
		`ready: {marker: "^.*\\.done$"}`:                   "write *.done",
		`ready: {marker: "^(a|b)$"}`:                       "write one, such as CopyComplete.txt",
		`ready: {marker: {pattern: "^done$"}}`:             "got a mapping, want text",
		`match: "^run_.*$", ready: {marker: done}`:         "write {pattern: '^run_.*$'}",
		`match: ["^run_.*$", "a*"], ready: {marker: done}`: "write {pattern: '^run_.*$'} in place of the list",
	} {
		_, err := parseText(head + "jobs:\n  j: {for_each: {folder: 'lab:/in/', " + ready + "}, transfer: {source: 'lab:{{ .Item.Path }}/', destination: 'vault:/b/{{ .Item.Name }}/'}}\n")
		problems := jobs.Problems(err)
		if len(problems) != 1 || !strings.Contains(problems[0].Msg, want) || strings.Contains(problems[0].Msg, "needs quotes") {
			t.Errorf("got %v of %s, want %q", err, ready, want)
		}
	}
}

func TestNamesOfRulesThatFitOtherNamesAreAWarning(t *testing.T) {
	for name, want := range map[string]string{
		"*.{tmp,bak}": "filter_rules[0].name: braces in \"*.{tmp,bak}\" are taken literally",
		"*.{tmp":      "braces in \"*.{tmp\" are taken literally",
		"bak}":        "braces in \"bak}\" are taken literally",
		`["*.tmp"]`:   "the quotes in \"[\\\"*.tmp\\\"]\" are taken literally; write names without quotes, such as *.tmp",
		" *.tmp":      `begins or ends in a space, which is a part of the name; write "*.tmp"`,
		"*.tmp ":      `begins or ends in a space`,
		"[a-":         "has a [ without a ]",
		"*":           "nothing is copied",
		"[a-c]*":      "",
		"{x}":         "",
		"a b":         "",
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(doubts(t, "jobs:\n  j: {transfer: {source: 'lab:/a/', destination: 'vault:/b/', filter_rules: [{name: '"+name+"'}]}}\n"), "\n")
			if (got == "") != (want == "") || !strings.Contains(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestEndsThatDoNotGoTogetherAreAWarning(t *testing.T) {
	const mirror, items = ", delete_destination_extra: true", "for_each: {folder: 'lab:/in/', ready: {marker: x}}, "
	for name, tt := range map[string]struct{ job, want string }{
		"a mirror to everything":       {"transfer: {source: 'lab:/a/', destination: 'vault:/'" + mirror + "}", "it is a mirror to the whole collection"},
		"a copy to the root":           {"transfer: {source: 'lab:/a/', destination: 'vault:/'}", ""},
		"a mirror of each day":         {"transfer: {source: 'lab:/{{ date .Time }}/', destination: 'vault:/b/'" + mirror + "}", "each run deletes what the run before has copied"},
		"to a folder of the day":       {"transfer: {source: 'lab:/{{ date .Time }}/', destination: 'vault:/{{ date .Time }}/'" + mirror + "}", ""},
		"a copy of each day":           {"transfer: {source: 'lab:/{{ date .Time }}/', destination: 'vault:/b/'}", ""},
		"items without a source":       {items + "transfer: {source: 'lab:/other/', destination: 'vault:/b/{{ .Item.Name }}/'}", "the source is the same for all items"},
		"items":                        {items + "transfer: {source: 'lab:{{ .Item.Path }}/', destination: 'vault:/b/{{ .Item.Name }}/'}", ""},
		"a mirror without any guard":   {"guard: {empty_source: allow, max_delete: none}, transfer: {source: 'lab:/a/', destination: 'vault:/b/'" + mirror + "}", "guard.max_delete: nothing stops this mirror"},
		"a mirror with a single guard": {"guard: {max_delete: none}, transfer: {source: 'lab:/a/', destination: 'vault:/b/'" + mirror + "}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(doubts(t, "jobs:\n  j: {"+tt.job+"}\n"), "\n")
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A wrong condition of an item hides nothing of its paths, but a wrong match does:
// what an item has is not known then.
func TestAWrongForEachHidesOnlyWhatDependsOnIt(t *testing.T) {
	for each, want := range map[string]int{
		"folder: 'lab:/in/', ready: {marker: '*'}":                                 3,
		"folder: 'lab:/in/', order: first, ready: {marker: x}":                     3,
		"folder: 'lab:/in/', match: {pattern: '('}, ready: {marker: x}":            1,
		"folder: 'lab:/in/', mach: {pattern: '(?P<Pth>.*)'}, ready: {marker: 'x'}": 1,
	} {
		_, err := parseText(head + "jobs:\n  j: {for_each: {" + each + "}, transfer: {source: 'lab:{{ .Item.Pth }}/', destination: 'vault:/{{ .Item.Nam }}/'}}\n")
		if problems := jobs.Problems(err); len(problems) != want {
			t.Errorf("got %d problems of %s, want %d:\n%v", len(problems), each, want, err)
		}
	}
}

func TestACollectionOfOneLetterIsNoDrive(t *testing.T) {
	for text, want := range map[string]string{
		"version: 1\ncollections: {s: " + labID + "}\njobs:\n  j: {transfer: {source: 's:/a/', destination: 'd:/b/'}}\n":                    `there is no collection "d"`,
		"version: 1\ncollection: {s: " + labID + ", d: " + vaultID + "}\njobs:\n  j: {transfer: {source: 's:/a/', destination: 'd:/b/'}}\n": `did you mean collections`,
		head + `jobs: {j: {transfer: {source: 'C:/a/', destination: 'vault:/b/'}}}`:                                                         "is a path of Windows",
		head + `jobs: {j: {transfer: {source: 'c:\a', destination: 'vault:/b/'}}}`:                                                          "is a path of Windows",
	} {
		_, err := parseText(text)
		if problems := jobs.Problems(err); len(problems) != 1 || !strings.Contains(problems[0].Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
