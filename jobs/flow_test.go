package jobs_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

const flowID = "c2d5a3c2-0000-4000-8000-00000000000a"

// flowing is a file with a job whose second step is a flow.
func flowing(step string) string {
	return head + "jobs:\n  ingest:\n    steps:\n      - transfer: {source: \"lab:/a/\", destination: \"vault:a/\"}\n      - flow: " + step + "\n"
}

func TestParseReadsAFlow(t *testing.T) {
	file, err := parseText(flowing(`
          id: ` + strings.ToUpper(flowID) + `
          data_access: [vault]
          body:
            folder: /raw/{{ .Time | date }}/
            "quoted key": '{{ .Job }}'
            deep: [{key: "{{ .Key }}"}, 12, -7, 0.5, true, null, [], {}, ""]
            text: |
              a line
              {{ .Job }}
`))
	if err != nil {
		t.Fatal(err)
	}
	job := file.Jobs[0]
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	steps, err := job.Render(jobs.ScheduledKey(at), at, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := steps[1].Flow
	if f.ID != flowID || !cmp.Equal(f.DataAccess, []string{vaultID}) {
		t.Errorf("got %+v", f)
	}
	got, err := json.Marshal(f.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"deep":[{"key":"2026-11-21T02:00:00Z"},12,-7,0.5,true,null,[],{},""],"folder":"/raw/2026-11-21/","quoted key":"ingest","text":"a line\ningest\n"}`
	if string(got) != want {
		t.Errorf("the body is\n%s, want\n%s", got, want)
	}
	if folder := job.Steps[1].Flow.Body["folder"]; folder != "/raw/{{ .Time | date }}/" {
		t.Errorf("the job's own body was changed: %v", folder)
	}
}

func TestParseReportsWhatIsWrongWithAFlow(t *testing.T) {
	for name, tt := range map[string]struct{ step, want string }{
		"no id":         {`{body: {}}`, `the key "id" is missing, give the flow's UUID`},
		"id":            {`{id: nightly}`, `"nightly" is not the id of a flow`},
		"number as id":  {`{id: 123}`, `got 123, want the id of a flow (a UUID; `},
		"body":          {`{id: ` + flowID + `, body: [1]}`, `jobs.ingest.steps[1].flow.body: got a list, want a mapping`},
		"key":           {`{id: ` + flowID + `, label: x}`, `unknown key "label"`},
		"twice":         {`{id: ` + flowID + `, body: {a: 1, a: 2}}`, `the key "a" is in line`},
		"template":      {`{id: ` + flowID + `, body: {a: [{b: "{{ .Tine }}"}]}}`, `jobs.ingest.steps[1].flow.body.a[0].b: template: there is no .Tine, did you mean Time?`},
		"number":        {`{id: ` + flowID + `, body: {a: .nan}}`, `body.a: JSON has no such value as .nan`},
		"long":          {`{id: ` + flowID + `, body: {a: ` + strings.Repeat("x", 200_000) + `}}`, `it has 200008 bytes as JSON`},
		"no collection": {`{id: ` + flowID + `, data_access: [tape]}`, `tape`},
		"data twice":    {`{id: ` + flowID + `, data_access: [lab, lab]}`, `lab is in the list already`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(flowing(tt.step))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// Globus Flows takes labels of at most 64 characters.
func TestLongLabelsOfRunsAreShortAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	name := strings.Repeat("n", jobs.MaxName)
	for attempt := range 20 {
		for _, key := range []jobs.Key{"2026-11-21T02:00:00Z", "item:run-1"} {
			label := jobs.RunLabel(name, key, jobs.Position{Step: 2}, attempt+1)
			if len(label) > 64 || seen[label] || !jobs.OfJob(label, name) {
				t.Errorf("got %q (%d characters), seen before: %t", label, len(label), seen[label])
			}
			seen[label] = true
		}
	}
	if got, want := jobs.RunLabel("a", "ci:1", jobs.Position{Step: 2}, 2), "a ci:1 s2 #2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestItemsMayBeNamedByTheBodyOfAFlowAlone(t *testing.T) {
	step := "{id: " + flowID + `, body: {deep: [{name: "{{ .Item.Name }}"}]}}`
	text := head + "jobs:\n  ingest:\n    schedule: \"@every 5m\"\n    for_each: {folder: \"lab:/in/\", ready: {unchanged_for: 5m}}\n    steps:\n      - flow: " + step + "\n"
	if _, err := parseText(text); err != nil {
		t.Error(err)
	}
	if _, err := parseText(strings.Replace(text, ".Item.Name", ".Job", 1)); err == nil || !strings.Contains(err.Error(), "depends on the item") {
		t.Errorf("without the item: got %v", err)
	}
}
