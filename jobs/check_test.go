package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

// copying is a file with jobs that copy from one place to another, in order.
func copying(pairs ...string) string {
	var text strings.Builder
	text.WriteString(head + "jobs:\n")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&text, "  j%d: {transfer: {source: '%s', destination: '%s'}}\n", i/2+1, pairs[i], pairs[i+1])
	}
	return text.String()
}

func TestTransfersThatMeetThemselvesOrEachOther(t *testing.T) {
	const self, inside, each = "are the same", "inside the source", "the jobs j1 and j2 write into each other's source"
	tests := map[string]struct {
		pairs []string
		want  string // empty if it is good
	}{
		"onto itself":             {[]string{"lab:/a/", "lab:/a"}, self},
		"onto itself otherwise":   {[]string{"lab:/a//./b", "lab:/a/b/"}, self},
		"root onto itself":        {[]string{"lab:/", "lab:/"}, self},
		"into itself":             {[]string{"lab:/a/", "lab:/a/b/"}, inside},
		"root into itself":        {[]string{"lab:/", "lab:/b/"}, inside},
		"beside itself":           {[]string{"lab:/a/", "lab:/ab/"}, ""},
		"out of a folder":         {[]string{"lab:/a/b/", "lab:/a/"}, ""},
		"other collection":        {[]string{"lab:/a/", "vault:/a/"}, ""},
		"back and forth":          {[]string{"lab:/a/", "vault:/b/", "vault:/b/", "lab:/a/"}, each},
		"back from inside":        {[]string{"lab:/a/", "vault:/b/", "vault:/b/c/", "lab:/a/d/"}, each},
		"back from outside":       {[]string{"lab:/a/d/", "vault:/b/c/", "vault:/b/", "lab:/a/"}, each},
		"back crosswise":          {[]string{"lab:/a/", "vault:/b/c/", "vault:/b/", "lab:/a/d/"}, each},
		"back to another place":   {[]string{"lab:/a/", "vault:/b/", "vault:/b/", "lab:/c/"}, ""},
		"back from another place": {[]string{"lab:/a/", "vault:/b/", "vault:/c/", "lab:/a/"}, ""},
		"in a row":                {[]string{"lab:/a/", "vault:/b/", "vault:/b/", "vault:/c/"}, ""},
		"two of one source":       {[]string{"lab:/a/", "vault:/b/", "lab:/a/", "vault:/c/"}, ""},
		"by name of the job":      {[]string{"lab:/{{.Job}}/", "vault:/{{.Job}}/", "vault:/{{.Job}}/", "lab:/{{.Job}}/"}, ""},
		"by the same day":         {[]string{"lab:/{{date .Time}}/", "vault:/x/", "vault:/", "lab:/{{date .Time}}/"}, each},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(copying(tt.pairs...))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if len(jobs.Problems(err)) > 1 {
				t.Errorf("got %v, want one problem", err)
			}
		})
	}
}

func TestTwoSourcesForOneFolderAreAWarning(t *testing.T) {
	const mixed = "the job j1 copies to the same path, from another source"
	for name, tt := range map[string]struct {
		pairs []string
		want  int
	}{
		"two sources":       {[]string{"lab:/a/", "vault:/x/", "lab:/b/", "vault:/x/"}, 1},
		"three sources":     {[]string{"lab:/a/", "vault:/x/", "lab:/b/", "vault:/x/", "lab:/c/", "vault:/./x/"}, 2},
		"one source":        {[]string{"lab:/a/", "vault:/x/", "lab:/a/", "vault:/x/"}, 0},
		"two folders":       {[]string{"lab:/a/", "vault:/x/a/", "lab:/b/", "vault:/x/b/"}, 0},
		"two collections":   {[]string{"lab:/a/", "vault:/x/", "lab:/b/", "lab:/x/"}, 0},
		"folders by name":   {[]string{"lab:/a/", "vault:/{{.Job}}/", "lab:/b/", "vault:/{{.Job}}/"}, 0},
		"the folder of day": {[]string{"lab:/a/", "vault:/{{date .Time}}/", "lab:/b/", "vault:/{{date .Time}}/"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := parseText(copying(tt.pairs...))
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, w := range file.Warnings {
				if strings.Contains(w.Msg, mixed) {
					n++
				}
			}
			if n != tt.want {
				t.Errorf("warnings %v, want %d of them", file.Warnings, tt.want)
			}
		})
	}
}

func TestAMirrorThatDeletesWhatAnotherJobCopiesIsAWarning(t *testing.T) {
	for name, tt := range map[string]struct {
		pairs []string // the first is the mirror
		want  int
	}{
		"below it":             {[]string{"lab:/a/", "vault:/x/", "lab:/b/", "vault:/x/b/"}, 1},
		"to the same folder":   {[]string{"lab:/a/", "vault:/x/", "lab:/b/", "vault:/x/"}, 1},
		"deep below it":        {[]string{"lab:/a/", "vault:/", "lab:/b/", "vault:/x/b/{{date .Time}}/"}, 1},
		"what it has too":      {[]string{"lab:/a/", "vault:/x/", "lab:/a/b/", "vault:/x/b/"}, 0}, // which is another warning
		"that to another name": {[]string{"lab:/a/", "vault:/x/", "lab:/a/b/", "vault:/x/c/"}, 1},
		"above it":             {[]string{"lab:/a/", "vault:/x/", "lab:/b/", "vault:/"}, 0},
		"beside it":            {[]string{"lab:/a/", "vault:/x/", "lab:/b/", "vault:/xy/"}, 0},
		"another collection":   {[]string{"lab:/a/", "vault:/x/", "vault:/b/", "lab:/x/b/"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := parseText(strings.Replace(copying(tt.pairs...), "{source", "{delete_destination_extra: true, source", 1))
			if err != nil {
				t.Fatal(err)
			}
			n, other := 0, 0
			for _, w := range file.Warnings {
				switch {
				case strings.Contains(w.Msg, "also what the job j2 copies to /"):
					n++
				case !strings.Contains(w.Msg, "it is a mirror to the whole collection"):
					other++
				}
			}
			if n != tt.want || other > 0 && name != "what it has too" {
				t.Errorf("warnings %v, want %d", file.Warnings, tt.want)
			}
		})
	}
}

func TestTwoJobsThatCopyTheSameFilesAreAWarning(t *testing.T) {
	const (
		nightly = "  nightly: {transfer: {source: 'lab:/runs/', destination: 'vault:/raw/'}}\n"
		each    = "  each: {for_each: {folder: 'lab:/runs/', ready: {unchanged_for: 15m}}, " +
			"transfer: {source: 'lab:{{ .Item.Path }}/', destination: 'vault:/raw/{{ .Item.Name }}/'}}\n"
		today = "  today: {transfer: {source: 'lab:/runs/{{ date .Time }}/', destination: 'vault:/raw/{{ date .Time }}/'}}\n"
	)
	after := func(text, job string) string { return strings.Replace(text, "{", "{after: "+job+", ", 1) }
	for name, tt := range map[string]struct {
		jobs string
		want string // the job that it names; empty: no warning
	}{
		"each item, and all of them":  {nightly + each, "nightly"},
		"a part before the whole":     {today + nightly, "nightly"},
		"one after the other":         {nightly + after(today, "nightly"), ""},
		"the whole after the part":    {after(nightly, "today") + today, ""},
		"with a filter":               {strings.Replace(nightly, "/raw/'", "/raw/', filter_rules: [{name: '2*', type: dir}]", 1) + today, ""},
		"to another place":            {strings.Replace(nightly, "/raw/", "/all/", 1) + today, ""},
		"from another place":          {strings.Replace(nightly, "/runs/", "/else/", 1) + today, ""},
		"two parts":                   {today + each, ""},
		"the very same, which waits":  {nightly + strings.Replace(nightly, "nightly", "weekly", 1), ""},
		"in two steps of the one job": {"  j: {steps: [{transfer: {source: 'lab:/a/', destination: 'vault:/b/'}}, {transfer: {source: 'lab:/a/c/', destination: 'vault:/b/c/'}}]}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := parseText(head + "jobs:\n" + tt.jobs)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, w := range file.Warnings {
				if strings.Contains(w.Msg, "the job "+tt.want+" copies this as well") {
					n++
				}
			}
			if n != len(file.Warnings) || (n == 1) != (tt.want != "") {
				t.Errorf("warnings %v, want one about %q", file.Warnings, tt.want)
			}
		})
	}
}

func TestAMirrorMustNotHoldItsSource(t *testing.T) {
	text := copying("lab:/a/b/", "lab:/a/")
	_, err := parseText(strings.Replace(text, "{source", "{delete_destination_extra: true, source", 1))
	if err == nil || !strings.Contains(err.Error(), "delete_destination_extra would delete it") {
		t.Errorf("got %v", err)
	}
}

func TestChains(t *testing.T) {
	chain := func(after ...string) string {
		var text strings.Builder
		text.WriteString(head + "jobs:\n")
		for i, a := range after {
			fmt.Fprintf(&text, "  j%d: {after: '%s', transfer: {source: 'lab:/a', destination: 'vault:b'}}\n", i+1, a)
		}
		return text.String() + "  first: {transfer: {source: 'lab:/a', destination: 'vault:b'}}\n"
	}
	tests := map[string]struct {
		after []string
		want  []string
	}{
		"in a row":     {[]string{"j2", "j3", "first"}, nil},
		"a tree":       {[]string{"first", "first", "j1"}, nil},
		"itself":       {[]string{"j1"}, []string{"6:15: jobs.j1.after: the jobs wait for each other: j1 after j1; one of them needs a schedule instead"}},
		"a circle":     {[]string{"j2", "j3", "j1"}, []string{"6:15: jobs.j1.after: the jobs wait for each other: j1 after j2 after j3 after j1; one of them needs a schedule instead"}},
		"into circle":  {[]string{"j2", "j3", "j2"}, []string{"7:15: jobs.j2.after: the jobs wait for each other: j2 after j3 after j2; one of them needs a schedule instead"}},
		"two circles":  {[]string{"j1", "j2"}, []string{"6:15: jobs.j1.after: the jobs wait for each other: j1 after j1; one of them needs a schedule instead", "7:15: jobs.j2.after: the jobs wait for each other: j2 after j2; one of them needs a schedule instead"}},
		"into nothing": {[]string{"frist", "j1"}, []string{`6:15: jobs.j1.after: there is no job "frist", did you mean first?`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(chain(tt.after...))
			var got []string
			for _, p := range jobs.Problems(err) {
				got = append(got, strings.TrimPrefix(p.Error(), "jobs.yaml:"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// Ten thousand jobs between the same folders are compared in no time.
func TestManyJobsAreCheckedQuickly(t *testing.T) {
	var text strings.Builder
	text.WriteString(head + "jobs:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  a%d: {after: 'a%d', transfer: {source: 'lab:/a/%d/', destination: 'lab:/b/%d/'}}\n", i, max(0, i-1), i, i)
	}
	begin := time.Now()
	_, err := parseText(text.String())
	if got := len(jobs.Problems(err)); got != 1 { // a0 after a0
		t.Errorf("got %d problems, want 1", got)
	}
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("it took %v", d)
	}
}
