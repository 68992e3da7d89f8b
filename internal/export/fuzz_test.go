package export_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/export"
	"github.com/globus-runner/globus-runner/jobs"
)

func FuzzExport(f *testing.F) {
	full, err := os.ReadFile("../../jobs/testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(full))
	f.Add(head + `  yes: {description: "\"50% \\", schedule: "*/20 9-17 1,15 * 1-5", jitter: 5m, ` + work + "}\n")
	f.Add(head + `  "1": {description: 'a: b # c', schedule: "@every 90m", ` + work + "}\n\n\n")
	f.Add("\n  # indented\n" + head + `  a-b: {schedule: "0 1 * * 7", time_zone: Africa/Cairo, ` + work + "}")
	f.Add(head + "  a: {" + work + "}\n  ")
	f.Add(strings.ReplaceAll(head, "\n", "\r\n") + "  a: {" + work + "}\n  ")
	f.Fuzz(func(t *testing.T, text string) {
		in, err := inputOf(text)
		if err != nil {
			return
		}
		for name, target := range targets() {
			res, err := target(in)
			if (res == nil) == (err == nil) {
				t.Fatalf("%s: got %v and the error %v, want one of them", name, res, err)
			}
			if err != nil {
				if len(jobs.Problems(err)) == 0 {
					t.Fatalf("%s: got %v, want refusals", name, err)
				}
				continue
			}
			check(t, name, in, res)
		}
	})
}

// check wants that a result has the jobs of the input, and that YAML holds the
// text of the jobs file unchanged.
func check(t *testing.T, target string, in export.Input, res *export.Result) {
	t.Helper()
	var got, want []string
	for _, j := range in.File.Jobs {
		want = append(want, j.Name)
	}
	switch target {
	case "timers":
		for _, f := range res.Files {
			if name, ok := strings.CutSuffix(f.Name, ".service"); ok {
				got = append(got, strings.TrimPrefix(name, "runner-"))
			}
		}
	case "compose":
		documents(t, res, nil)
		return
	case "deployment":
		got = want
	}
	for i, doc := range documentsOf(t, target, res) {
		if i == 0 {
			if text := at(t, doc, "data"); text.(map[string]any)["jobs.yaml"] != string(in.Sources[0].Data) {
				t.Fatalf("got %q, want the jobs file %q", text, in.Sources[0].Data)
			}
		} else if target == "cronjob" {
			got = append(got, at(t, doc, "metadata.name").(string))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s: jobs (-want +got):\n%s", target, diff)
	}
}

func documentsOf(t *testing.T, target string, res *export.Result) []map[string]any {
	t.Helper()
	if target == "timers" {
		return nil
	}
	return documents(t, res, nil)
}
