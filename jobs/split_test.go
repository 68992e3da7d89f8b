package jobs_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

const splitHead = `version: 1
collections: {lab: 0b6c8f2e-0000-4000-8000-000000000001, vault: 94ef1c3a-0000-4000-8000-000000000002}
`

var elsewhere = regexp.MustCompile(`in line \d+`)

// many returns n jobs of one line each.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  many-%d: {transfer: {source: lab:/a/, destination: vault:/a/}}\n", i)
	}
	return b.String()
}

// told returns the names of the jobs in a text, and the texts of its problems,
// whose lines count from where the first job of "last" begins.
func told(text string) (names, problems []string) {
	before, _, _ := strings.Cut(text, "  last:")
	begin := strings.Count(before, "\n")
	file, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: []byte(text)})
	if err != nil {
		for _, p := range jobs.Problems(err) {
			msg := elsewhere.ReplaceAllString(p.Msg, "elsewhere")
			problems = append(problems, fmt.Sprintf("%d:%d %s %s", p.Line-begin, p.Col, p.Field, msg))
		}
		return nil, problems
	}
	for _, j := range file.Jobs {
		if !strings.HasPrefix(j.Name, "many-") {
			names = append(names, j.Name)
		}
	}
	return names, nil
}

func TestManyJobsAreReadAsFewAre(t *testing.T) {
	tests := map[string]string{
		"jobs":              "  a: {delete: {collection: lab, paths: [/x/]}}\n  \"b\": {delete: {collection: lab, paths: [/y/]}}\n",
		"comments":          "# at the margin\n  # indented\n  a: {delete: {collection: lab, paths: [/y/]}} # behind\n",
		"flow over lines":   "  a: {delete:\n    {collection: lab,\n paths: [/y/]}}\n  b: {delete: {collection: lab, paths: [/y/]}}\n",
		"block text":        "  a:\n    description: |\n      one\n      b: two\n    delete: {collection: lab, paths: [/y/]}\n",
		"what follows":      "  a: {delete: {collection: vault, paths: [/y/]}}\nhistory: {keep: 30d}\n",
		"twice":             "  a: {delete: {collection: lab, paths: [/y/]}}\n  last: {delete: {collection: lab, paths: [/y/]}}\n",
		"wrong":             "  a: {delete: {collection: nowhere, paths: [y]}}\n  B: {}\n",
		"no YAML":           "  a: {delete: {collection: lab, paths: [/y/]}\n  b: [\n",
		"indented too far":  "    a: {delete: {collection: lab, paths: [/y/]}}\n",
		"indented too less": " a: {delete: {collection: lab, paths: [/y/]}}\n",
		"a list":            "  - a\n",
		"jobs again":        "jobs:\n  a: {delete: {collection: lab, paths: [/y/]}}\n",
		"another document":  "---\njobs:\n  a: {delete: {collection: lab, paths: [/y/]}}\n",
	}
	for name, tail := range tests {
		t.Run(name, func(t *testing.T) { likeFew(t, tail) })
	}
}

// likeFew wants the same of a tail behind many jobs and behind few.
func likeFew(t *testing.T, tail string) {
	t.Helper()
	const last = "  last: {transfer: {source: lab:/a/, destination: vault:/a/}}\n"
	fewNames, fewProblems := told(splitHead + "jobs:\n" + many(1) + last + tail)
	for _, n := range []int{98, 99, 100, 250} {
		names, problems := told(splitHead + "jobs:\n" + many(n) + last + tail)
		if d := cmp.Diff(fewNames, names); d != "" {
			t.Errorf("%d jobs before: names (-want +got):\n%s", n, d)
		}
		if d := cmp.Diff(fewProblems, problems); d != "" {
			t.Errorf("%d jobs before: problems (-want +got):\n%s", n, d)
		}
	}
}

func TestNoJobOfManyIsLost(t *testing.T) {
	for _, n := range []int{1, 99, 100, 101, 200, 201, 1234} {
		for _, text := range []string{
			splitHead + "jobs:\n" + many(n),
			"jobs: # all of them\n\n  # here\n" + many(n) + splitHead,
		} {
			file, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: []byte(text)})
			if err != nil {
				t.Fatal(err)
			}
			names := map[string]bool{}
			for _, j := range file.Jobs {
				names[j.Name] = true
			}
			if len(names) != n || len(file.Jobs) != n {
				t.Errorf("got %d jobs, want %d", len(file.Jobs), n)
			}
		}
	}
}

func FuzzManyJobs(f *testing.F) {
	for _, seed := range []string{
		"  a: {delete: {collection: lab, paths: [/y/]}}\n", "  ? a\n  : b\n", "\t a: b", "  'a': |-\n   x\n  b: {\n}", "  a: \"\n  b: c\"\n", "  {a: b}: c\n", "---",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tail string) {
		const last = "  last: {transfer: {source: lab:/a/, destination: vault:/a/}}\n"
		if strings.Contains(tail, "many-") || strings.Contains(tail, "last") || strings.Contains(tail, "\r") {
			return
		}
		few, fewProblems := told(splitHead + "jobs:\n" + many(1) + last + tail)
		names, problems := told(splitHead + "jobs:\n" + many(101) + last + tail)
		if !slices.Equal(few, names) || (fewProblems == nil) != (problems == nil) {
			t.Errorf("%q: few have %q, %q\nmany have %q, %q", tail, few, fewProblems, names, problems)
		}
	})
}
