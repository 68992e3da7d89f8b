package jobs_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestParseReadsAForEach(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parseText(string(text))
	if err != nil {
		t.Fatal(err)
	}
	match, err := jobs.MatchPattern("(?P<proposal>[0-9]+)_(?P<run>.*)")
	if err != nil {
		t.Fatal(err)
	}
	want := &jobs.ForEach{
		Collection: labID, Folder: "/runs/", LocalUser: "alice", Kind: jobs.FolderItems, Match: match, NewerThan: 90 * 24 * time.Hour,
		Ready: jobs.Readiness{UnchangedFor: 15 * time.Minute, OlderThan: 10 * time.Minute, Marker: "CopyComplete.txt", NoMarker: "*.lock"},
		Again: jobs.AgainChanged, Order: jobs.NewestFirst, MaxActive: 3,
	}
	if diff := cmp.Diff(want, file.Jobs[4].ForEach); diff != "" {
		t.Errorf("for_each (-want +got):\n%s", diff)
	}
	if item := file.Jobs[4].ForEach.Sample(); item.Groups["proposal"] == "" || item.Groups["run"] == "" {
		t.Errorf("got the sample %+v, want one with all groups", item)
	}
}

func TestAnItemIsInTheTemplatesOfItsJobAndOfThoseAfterIt(t *testing.T) {
	file, err := parseText(head + `jobs:
  next:
    after: arrivals
    transfer: {source: "vault:/raw/{{ .Item.Name }}/", destination: "lab:/copies/{{ .Item.proposal }}/{{ .Item.run }}/"}
  arrivals:
    schedule: "*/10 * * * *"
    time_zone: Europe/Berlin
    labels: {run: "{{ .Item.run }}"}
    for_each: {folder: "lab:/runs/", ready: {marker: DONE}, match: {pattern: "(?P<proposal>[0-9]*)_(?P<run>.*)"}}
    transfer:
      source: lab:{{ .Item.Path }}/
      destination: vault:/raw/{{ .Item.Time | strftime "%Y-%m-%dT%H" }}/{{ .Item.proposal }}-{{ .Item.Size }}/{{ .Item.Name }}/
`)
	if err != nil {
		t.Fatal(err)
	}
	arrivals, next := file.Jobs[0], file.Jobs[1]
	item, err := arrivals.ForEach.Item("7_x y", time.Date(2026, 12, 31, 23, 30, 0, 0, time.UTC), 42)
	if err != nil {
		t.Fatal(err)
	}
	key := jobs.ItemKey(item.Name, 1)
	steps, err := arrivals.Render(key, time.Now(), &item)
	if err != nil {
		t.Fatal(err)
	}
	got := steps[0].Transfer.Items[0]
	if got.SourcePath != "/runs/7_x y/" || got.DestinationPath != "/raw/2027-01-01T00/7-42/7_x y/" {
		t.Errorf("got %q and %q", got.SourcePath, got.DestinationPath)
	}
	if labels, err := arrivals.RenderLabels(key, time.Now(), &item); err != nil || labels["run"] != "x y" {
		t.Errorf("got the labels %v, %v", labels, err)
	}
	if steps, err = next.Render(key, time.Now(), &item); err != nil || steps[0].Transfer.Items[0].DestinationPath != "/copies/7/x y/" {
		t.Errorf("the job after it: got %+v, %v", steps, err)
	}
	if next.ForEach != nil || next.SampleItem() == nil || next.ItemsOf != "arrivals" {
		t.Errorf("the job after it has the for_each %v and the sample %v of %q, want none and that of the other", next.ForEach, next.SampleItem(), next.ItemsOf)
	}

	if item, err = arrivals.ForEach.Item("_x", time.Now(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := arrivals.Render(key, time.Now(), &item); err == nil || !strings.Contains(err.Error(), "an item has no proposal") {
		t.Errorf("a group that matched nothing: got %v, want an error", err)
	}
	if _, err := arrivals.Render(key, time.Now(), nil); err == nil || !strings.Contains(err.Error(), "there is no .Item") {
		t.Errorf("no item: got %v, want an error", err)
	}
}

// Each mistake is one problem, at its place.
func TestMistakesOfAForEach(t *testing.T) {
	const move = `transfer: {source: "lab:/runs/{{ .Item.Name }}/", destination: "vault:/raw/{{ .Item.Name }}/"}`
	tests := map[string]struct{ job, field, want string }{
		"no folder":                  {`for_each: {ready: {marker: x}}, ` + move, "a.for_each", `the key "folder" is missing`},
		"no condition":               {`for_each: {folder: "lab:/runs/"}, ` + move, "a.for_each", `the key "ready" is missing`},
		"an empty condition":         {`for_each: {folder: "lab:/runs/", ready: {}}, ` + move, "a.for_each.ready", "it is empty"},
		"no_marker alone":            {`for_each: {folder: "lab:/runs/", ready: {no_marker: "*.lock"}}, ` + move, "a.for_each.ready", "no_marker alone"},
		"one marker for both":        {`for_each: {folder: "lab:/runs/", ready: {marker: x, no_marker: x}}, ` + move, "a.for_each.ready.no_marker", "are the same"},
		"a marker that is a path":    {`for_each: {folder: "lab:/runs/", ready: {marker: a/b}}, ` + move, "a.for_each.ready.marker", "has a / in it"},
		"a marker of all names":      {`for_each: {folder: "lab:/runs/", ready: {marker: "*"}}, ` + move, "a.for_each.ready.marker", "is every name"},
		"a file without its name":    {`for_each: {folder: "lab:/runs/", type: file, ready: {marker: DONE}}, transfer: {source: "lab:{{ .Item.Path }}", destination: "vault:/raw/{{ .Item.Name }}"}`, "a.for_each.ready.marker", `needs one * for the file's name`},
		"a pattern in the folder":    {`for_each: {folder: "lab:/runs/*/", ready: {marker: x}}, ` + move, "a.for_each.folder", "put the pattern into match"},
		"a template in the folder":   {`for_each: {folder: "lab:/runs/{{ date .Time }}/", ready: {marker: x}}, ` + move, "a.for_each.folder", "the folder is fixed"},
		"an unknown collection":      {`for_each: {folder: "lb:/runs/", ready: {marker: x}}, ` + move, "a.for_each.folder", `there is no collection "lb", did you mean lab?`},
		"an empty match":             {`for_each: {folder: "lab:/runs/", match: [], ready: {marker: x}}, ` + move, "a.for_each.match", "the list is empty"},
		"a match that is a path":     {`for_each: {folder: "lab:/runs/", match: [x, a/*], ready: {marker: x}}, ` + move, "a.for_each.match[1]", "has a / in it"},
		"a match of nothing":         {`for_each: {folder: "lab:/runs/", match: "!", ready: {marker: x}}, ` + move, "a.for_each.match", "leaves out nothing"},
		"a bracket that is open":     {`for_each: {folder: "lab:/runs/", match: "run_[0-9", ready: {marker: x}}, ` + move, "a.for_each.match", `"run_[0-9" has a [ without a ]`},
		"a match that is a template": {`for_each: {folder: "lab:/runs/", match: "{{ .Job }}*", ready: {marker: x}}, ` + move, "a.for_each.match", "is a template"},
		"a bad expression":           {`for_each: {folder: "lab:/runs/", match: {pattern: "(a"}, ready: {marker: x}}, ` + move, "a.for_each.match.pattern", "\"(a\" is not a regular expression: missing closing ): `(a`"},
		"an expression as a pattern": {`for_each: {folder: "lab:/runs/", match: 'run_(?P<p>[0-9]+)', ready: {marker: x}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/{{ .Item.p }}/"}`, "a.for_each.match", "write {pattern: 'run_(?P<p>[0-9]+)'}"},
		"an expression in a list":    {`for_each: {folder: "lab:/runs/", match: ['^run_.*$'], ready: {marker: x}}, ` + move, "a.for_each.match[0]", "write {pattern: '^run_.*$'}"},
		"a file to a folder":         {`for_each: {folder: "lab:/runs/", type: file, ready: {older_than: 1m}}, transfer: {source: "lab:{{ .Item.Path }}", destination: "vault:/raw/{{ .Item.Name }}/"}`, "a.transfer.destination", "write /raw/{{ .Item.Name }}"},
		"a file into a folder":       {`for_each: {folder: "lab:/runs/", type: file, ready: {older_than: 1m}}, transfer: {source: "lab:{{ .Item.Path }}", destination: "vault:/raw/{{ .Key }}/"}`, "a.transfer.destination", "write /raw/{{ .Key }}/{{ .Item.Name }}"},
		"a file as a folder":         {`for_each: {folder: "lab:/runs/", type: file, ready: {older_than: 1m}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/raw/{{ .Item.Name }}"}`, "a.transfer.source", "write /runs/{{ .Item.Name }}"},
		"a group called Name":        {`for_each: {folder: "lab:/runs/", match: {pattern: "(?P<Name>a)"}, ready: {marker: x}}, ` + move, "a.for_each.match.pattern", "choose another name"},
		"a group twice":              {`for_each: {folder: "lab:/runs/", match: {pattern: "(?P<n>a)(?P<n>b)"}, ready: {marker: x}}, ` + move, "a.for_each.match.pattern", "is there twice"},
		"too many at once":           {`for_each: {folder: "lab:/runs/", max_active: 101, ready: {marker: x}}, ` + move, "a.for_each.max_active", "a number from 1 to 100"},
		"a short time":               {`for_each: {folder: "lab:/runs/", ready: {unchanged_for: 0s}}, ` + move, "a.for_each.ready.unchanged_for", "too short"},
		"another word":               {`for_each: {folder: "lab:/runs/", type: dirs, ready: {marker: x}}, ` + move, "a.for_each.type", "did you mean dir?"},
		"an unknown key":             {`for_each: {folder: "lab:/runs/", ready: {marker: x}, orders: name}, ` + move, "a.for_each.orders", "did you mean order?"},
		"a misspelled for_each":      {`foreach: {folder: "lab:/runs/", ready: {marker: x}}, ` + move, "a.foreach", "did you mean for_each?"},
		"no mapping":                 {`for_each: lab:/runs/, ` + move, "a.for_each", "want a mapping"},
		"two ways to start":          {`after: b, for_each: {folder: "lab:/runs/", ready: {marker: x}}, ` + move, "a.after", "not both"},
		"an item of no for_each":     {`transfer: {source: "lab:/runs/{{ .Item.Name }}/", destination: "vault:/raw/"}`, "a.transfer.source", "neither this job nor one that it comes after has for_each"},
		"an unknown part":            {`for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:/runs/{{ .Item.Nam }}/", destination: "vault:/{{ .Item.Name }}/"}`, "a.transfer.source", "an item has no Nam, did you mean Name?"},
		"a group without a match":    {`for_each: {folder: "lab:/runs/", match: ["*_*"], ready: {marker: x}}, transfer: {source: "lab:/runs/{{ .Item.Name }}/", destination: "vault:/{{ .Item.proposal }}/"}`, "a.transfer.destination", "an item has no proposal; possible are Name, Path, Time and Size, and the named groups"},
		"no part":                    {`for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:/runs/{{ .Item }}/", destination: "vault:/{{ .Item.Name }}/"}`, "a.transfer.source", "which part of .Item"},
		"a part of a part":           {`for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:/runs/{{ .Item.Time.Year }}/", destination: "vault:/{{ .Item.Name }}/"}`, "a.transfer.source", ".Item.Time has no parts"},
		"all to one place":           {`for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:/runs/{{ .Item.Name }}/", destination: "vault:/raw/"}`, "a.transfer", "all items would be copied to one place"},
		"one day to one place":       {`for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/raw/{{ .Item.Time | strftime \"%Y\" }}/"}`, "a.transfer", "two items may be copied to one place"},
		"one size to one place":      {`for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/raw/{{ .Item.Size }}/"}`, "a.transfer", "two items may be copied to one place"},
		"one group of two":           {`for_each: {folder: "lab:/runs/", match: {pattern: "(?P<p>.*)_(?P<r>.*)"}, ready: {marker: x}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/{{ .Item.p }}/"}`, "a.transfer", "two items may be copied to one place"},
		"groups without a slash":     {`for_each: {folder: "lab:/runs/", match: {pattern: "(?P<p>.*)_(?P<r>.*)"}, ready: {marker: x}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/{{ .Item.p }}{{ .Item.r }}/"}`, "a.transfer", "two items may be copied to one place"},
		"a group beside a number":    {`for_each: {folder: "lab:/runs/", match: {pattern: "(?P<p>[0-9]+)"}, ready: {marker: x}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/{{ .Item.p }}{{ .Item.Size }}/"}`, "a.transfer", "two items may be copied to one place"},
		"a group beside the rest":    {`for_each: {folder: "lab:/runs/", match: {pattern: "(?P<p>[0-9]+)_.*"}, ready: {marker: x}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/{{ .Item.p }}/"}`, "a.transfer", "two items may be copied to one place"},
		"letters of any case":        {`for_each: {folder: "lab:/runs/", match: {pattern: "(?i)run(?P<p>[0-9]+)"}, ready: {marker: x}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/{{ .Item.p }}/"}`, "a.transfer", "two items may be copied to one place"},
		"the whole folder for each":  {`for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:/runs/", destination: "vault:/{{ .Item.Name }}/"}`, "a.transfer", "also of items that are not ready"},
		"what is around the folder":  {`for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:/", destination: "vault:/{{ .Item.Name }}/"}`, "a.transfer", "also of items that are not ready"},
		"the same for each":          {`for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:/runs/", destination: "vault:/raw/"}`, "a.for_each", "each item would do the same"},
		"copies that are items":      {`for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:/runs/{{ .Item.Name }}/", destination: "lab:/runs/done/{{ .Item.Name }}/"}`, "a.transfer", "be items themselves"},
		"copies beside the items":    {`for_each: {folder: "lab:/runs/", match: ["!done"], ready: {marker: x}}, transfer: {source: "lab:/runs/{{ .Item.Name }}/", destination: "lab:/runs/{{ .Item.Name }}_done/"}`, "a.transfer", "be items themselves"},
		"copies of files":            {`for_each: {folder: "lab:/runs/", type: file, ready: {older_than: 1m}}, transfer: {source: "lab:/runs/{{ .Item.Name }}", destination: "lab:/runs/copy-{{ .Item.Name }}"}`, "a.transfer", "be items themselves"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(head + "jobs: {b: {transfer: {source: \"lab:/b\", destination: \"vault:/b\"}}, a: {" + tt.job + "}}")
			got := jobs.Problems(err)
			if len(got) != 1 || got[0].Field != "jobs."+tt.field && !strings.HasPrefix(got[0].Field, "jobs."+tt.field+".") || !strings.Contains(got[0].Msg, tt.want) || got[0].Line == 0 {
				t.Errorf("got %v, want one problem of %s with %q", err, tt.field, tt.want)
			}
		})
	}
}

func TestADestinationThatTellsItemsApartIsTaken(t *testing.T) {
	for destination, match := range map[string]string{
		"{{ .Item.Name }}/": `"*"`,
		"{{ .Item.Time | strftime \"%Y\" }}-{{ .Item.Name }}/": `"*"`,
		"{{ .Key }}/":                                       `"*"`,
		"all{{ .Item.Path }}/":                              `"*"`,
		"{{ .Item.p }}/run-{{ .Item.r }}/":                  `{pattern: "^(?P<p>[0-9]+)_(?P<r>.*)$"}`,
		"{{ .Item.Time | strftime \"%Y\" }}/{{ .Item.r }}/": `{pattern: "run(_)(?P<r>([0-9]+))"}`,
	} {
		_, err := parseText(head + `jobs: {a: {for_each: {folder: "lab:/runs/", match: ` + match + `, ready: {marker: x}}, ` +
			`steps: [{transfer: {source: "lab:{{ .Item.Path }}/", destination: 'vault:/` + destination + `'}}, ` +
			`{transfer: {source: "lab:/calibration/", destination: 'vault:/` + destination + `calibration/'}}]}}`)
		if err != nil {
			t.Errorf("%s: %v", destination, err)
		}
	}
}

// What a bad match would have taken is not known.
func TestABadForEachHasNoOtherProblems(t *testing.T) {
	_, err := parseText(head + `jobs: {a: {for_each: {folder: "lab:/runs/", match: {pattern: "(a"}, ready: {marker: x}}, ` +
		`transfer: {source: "lab:/runs/{{ .Item.nobody }}/", destination: "lab:/runs/done/{{ .Item.knows }}/"}}}`)
	if got := jobs.Problems(err); len(got) != 1 || got[0].Field != "jobs.a.for_each.match.pattern" {
		t.Errorf("got %v, want that of the match alone", err)
	}
	_, err = parseText(head + `jobs: {a: {for_each: {folder: "lab:/runs/", match: {pattern: "(a"}, ready: {marker: x}}, ` +
		`transfer: {source: "lab:/runs/{{ .Item.Name }}/", destination: "lab:/runs/done/{{ .Item.Name }}/"}}}`)
	if got := jobs.Problems(err); len(got) != 1 || got[0].Field != "jobs.a.for_each.match.pattern" {
		t.Errorf("got %v, want that of the match alone", err)
	}
	_, err = parseText(head + `jobs: {a: {for_each: {folder: "nowhere:/runs/", ready: {marker: x}}, ` +
		`transfer: {source: "lab:{{ .Item.Path }}/", destination: "lab:/runs/done/{{ .Item.Name }}/"}}}`)
	if got := jobs.Problems(err); len(got) != 1 || got[0].Field != "jobs.a.for_each.folder" {
		t.Errorf("got %v, want that of the folder alone", err)
	}
}

func TestGoodForEach(t *testing.T) {
	tests := map[string]string{
		"copies that match leaves out": `for_each: {folder: "lab:/runs/", match: ["!done"], ready: {marker: x}}, transfer: {source: "lab:/runs/{{ .Item.Name }}/", destination: "lab:/runs/done/{{ .Item.Name }}/"}`,
		"copies in a folder of files":  `for_each: {folder: "lab:/runs", type: file, ready: {older_than: 1m}}, transfer: {source: "lab:/runs/{{ .Item.Name }}", destination: "lab:/runs/done/{{ .Item.Name }}"}`,
		"the key tells items apart":    `for_each: {folder: "lab:/runs/", match: "run_*", ready: {marker: "*.done"}}, transfer: {source: "lab:/runs/{{ .Item.Name }}/", destination: "vault:/{{ .Key }}/"}`,
		"markers of files":             `for_each: {folder: "lab:~/runs/", type: file, ready: {marker: "*.done", no_marker: ".*.swp"}}, transfer: {source: "lab:{{ .Item.Path }}", destination: "vault:/{{ .Item.Name }}"}`,
		"a folder of a file's name":    `for_each: {folder: "lab:/runs/", type: file, ready: {older_than: 1m}}, transfer: {source: "lab:/more/{{ .Item.Name }}/", destination: "vault:/{{ .Item.Name }}/"}`,
		"by hand":                      `for_each: {folder: "vault:runs/", ready: {unchanged_for: 1s}}, steps: [{transfer: {source: "vault:{{ .Item.Path }}/", destination: "lab:/{{ .Item.Name }}/"}}, {prune: {}}]`,
	}
	for name, job := range tests {
		t.Run(name, func(t *testing.T) {
			file, err := parseText(head + "jobs: {a: {" + job + "}}")
			if err != nil {
				t.Fatal(err)
			}
			if e := file.Jobs[0].ForEach; e == nil || !strings.HasSuffix(e.Folder, "/runs/") || e.MaxActive != 10 || e.Order != jobs.OldestFirst || e.Again != jobs.AgainNever {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	pattern, err := jobs.MatchPattern("a|(?P<n>[0-9]*)b")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		match jobs.Match
		yes   string
		no    string
	}{
		"no pattern":             {jobs.Match{}, "a .b", ""},
		"one of several":         {jobs.MatchGlobs("a*", "b*"), "a ab b", "c ca"},
		"left out, in any place": {jobs.MatchGlobs("!*_test", "a*"), "a ab", "a_test c"},
		"only left out":          {jobs.MatchGlobs("!a*"), "b", "a ab"},
		"a regular expression":   {pattern, "a b 1b", "ab ba 1 xa"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for text := range strings.FieldsSeq(tt.yes) {
				if _, ok := tt.match.Name(text); !ok {
					t.Errorf("%q is not taken", text)
				}
			}
			for text := range strings.FieldsSeq(tt.no) {
				if _, ok := tt.match.Name(text); ok {
					t.Errorf("%q is taken", text)
				}
			}
		})
	}
	if groups, _ := pattern.Name("1b"); groups["n"] != "1" {
		t.Errorf("got the groups %v", groups)
	}
	if groups, ok := pattern.Name("b"); len(groups) != 0 || !ok {
		t.Errorf("got the groups %v, want none for what matched nothing", groups)
	}
}

func ExampleItemKey() {
	fmt.Println(jobs.ItemKey("run_7", 1))
	fmt.Println(jobs.ItemKey("run_7", 2))
	fmt.Println(jobs.ItemKey("Messung 4/ä", 1))
	// Output:
	// item:run_7
	// item:run_7@2
	// item:Messung-4--+7c075c7c35dfb259
}

func TestNamesThatCannotBeItems(t *testing.T) {
	for name, folder := range map[string]string{
		".": "/runs/", "..": "/runs/", "~": "/", "a*b": "/runs/", "a?": "/runs/", "a\nb": "/runs/", "a\x00": "/runs/", "\xff": "/runs/",
		"x\uFEFF": "/runs/", strings.Repeat("x", 5000): "/runs/",
	} {
		each := &jobs.ForEach{Folder: folder}
		if item, err := each.Item(name, time.Now(), 1); err == nil {
			t.Errorf("%.20q in %s: got %.20q, want an error", name, folder, item.Path)
		}
	}
	each := &jobs.ForEach{Folder: "/runs/"}
	for _, name := range []string{"~", "...", "-", "a b", "ä", "{{ .Job }}", "a'b", `a"b`, "#1", "50%", "a&b=c", "a\\b"} {
		if item, err := each.Item(name, time.Now(), 1); err != nil || item.Path != "/runs/"+name {
			t.Errorf("%q: got %q, %v", name, item.Path, err)
		}
	}
}

// FuzzMatch takes any patterns and any name: what is taken is copied from where it
// is, or refused, and never anything else.
func FuzzMatch(f *testing.F) {
	for _, name := range []string{"7_x", "run 1", "a*b", "..", ".", "{{ .Job }}", "a\nb", "\xff", "C:", "~", "a\\b", "ä{{", "x\uFEFF"} {
		f.Add(name, `(?P<n>[0-9]*)_?(?P<rest>.*)`, "*")
		f.Add(name, `(?i)RUN|x`, "!a*")
		f.Add(name, `(?P<n>.)(?P<n>.)`, "[!a]*")
	}
	f.Fuzz(func(t *testing.T, name, expr, pattern string) {
		if name == "" || strings.Contains(name, "/") {
			t.Skip("not a name")
		}
		match, err := jobs.MatchPattern(expr)
		if err != nil {
			match = jobs.MatchGlobs(pattern, expr)
		}
		groups, taken := match.Name(name)
		for group, text := range groups {
			if !taken || !slices.Contains(match.Groups(), group) || text == "" || !strings.Contains(name, text) {
				t.Errorf("%q of %q has the group %s %q, taken: %t", name, match, group, text, taken)
			}
		}
		if _, plain := jobs.MatchGlobs(pattern).Name(name); plain && !strings.HasPrefix(pattern, "!") {
			if _, left := jobs.MatchGlobs("*", "!"+pattern).Name(name); left {
				t.Errorf("%q is taken by %q and by its opposite", name, pattern)
			}
		}

		each := &jobs.ForEach{Collection: labID, Folder: "/runs/", Match: match}
		item, err := each.Item(name, time.Unix(0, 0), 1)
		if err != nil {
			return
		}
		source := "/runs/{{ .Item.Name }}/"
		job := &jobs.Job{Name: "a", ForEach: each, Items: each, Steps: jobs.Single(&transfer.Transfer{
			SourceEndpoint: labID, DestinationEndpoint: vaultID, Items: []transfer.Item{{SourcePath: source, DestinationPath: "/in/{{ .Key }}/"}},
		})}
		key := jobs.ItemKey(name, 1)
		steps, err := job.Render(key, time.Unix(0, 0), &item)
		if err != nil {
			t.Fatalf("%q is an item, and cannot be copied: %v", name, err)
		}
		if got := steps[0].Transfer.Items[0]; got.SourcePath != "/runs/"+name+"/" || got.DestinationPath != "/in/"+string(key)+"/" {
			t.Errorf("%q is copied from %q to %q", name, got.SourcePath, got.DestinationPath)
		}
	})
}

func TestAJobDoesTheSameIfNothingDependsOnTheOccurrence(t *testing.T) {
	transferOf := func(source string) jobs.Step {
		return jobs.Step{Transfer: &transfer.Transfer{Items: []transfer.Item{{SourcePath: source, DestinationPath: "/copy/"}}}}
	}
	for name, tt := range map[string]struct {
		steps []jobs.Step
		want  bool
	}{
		"a folder":           {[]jobs.Step{transferOf("/raw/")}, true},
		"a prune":            {[]jobs.Step{{Prune: &jobs.Prune{Of: []string{"runs"}}}}, true},
		"the item":           {[]jobs.Step{{Prune: &jobs.Prune{Of: []string{"runs"}}}, transferOf("/raw/{{ .Item.Name }}/")}, false},
		"the key":            {[]jobs.Step{transferOf("/raw/{{ .Key }}/")}, false},
		"the day":            {[]jobs.Step{transferOf(`/raw/{{ .Time | strftime "%F" }}/`)}, false},
		"a variable":         {[]jobs.Step{transferOf(`/raw/{{ env "SITE" }}/`)}, true},
		"a manifest":         {[]jobs.Step{{Manifest: "{{ .Item.Name }}.txt", Transfer: &transfer.Transfer{}}}, false},
		"the message of one": {[]jobs.Step{{Share: &jobs.Share{Path: "/raw/", Message: "{{ .Item.Name }} is there"}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&jobs.Job{Steps: tt.steps}).DoesTheSame(); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
