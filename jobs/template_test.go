package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

// renderPath returns what becomes of a path in a job of a zone.
func renderPath(t *testing.T, path, zone string, at time.Time) (string, error) {
	t.Helper()
	file, err := jobs.Parse(func(name string) string { return map[string]string{"SITE": "psi"}[name] }, jobs.Source{Name: "jobs.yaml", Data: []byte(
		"version: 1\nenv: [SITE, EMPTY]\ncollections: {lab: " + labID + "}\njobs:\n  nightly:\n    time_zone: " + zone +
			"\n    delete: {collection: lab, paths: ['" + path + "']}\n")})
	if err != nil {
		return "", err
	}
	steps, err := file.Jobs[0].Render(jobs.ScheduledKey(at), at, nil)
	if err != nil {
		return "", err
	}
	return steps[0].Delete.Items[0].Path, nil
}

func TestTemplatesInPaths(t *testing.T) {
	at := time.Date(2026, 3, 9, 5, 30, 15, 0, time.UTC) // 00:30:15 in Chicago, the day after the clocks changed
	tests := map[string]string{
		`/plain`:                                      "/plain",
		`/{{ .Job }}/{{ .Key }}`:                      "/nightly/2026-03-09T05:30:15Z",
		`/{{ .Time }}`:                                "/2026-03-09T00:30:15-05:00",
		`/{{ .Time | date }}/{{ date .Time }}`:        "/2026-03-09/2026-03-09",
		`/{{ .Time | add "-24h" | date }}`:            "/2026-03-07", // elapsed hours: an hour is missing in the day before
		`/{{ .Time | add "-1d" | date }}`:             "/2026-03-08", // days of the calendar
		`/{{ (add "+2d12h" .Time) | date }}`:          "/2026-03-11",
		`/{{ .Time | strftime "%Y/%m/%d %H%M%S"}}`:    "/2026/03/09 003015",
		`/{{ .Time | strftime "%y-%b-%e-%j %a" }}`:    "/26-Mar- 9-068 Mon",
		`/{{ .Time | strftime "%B %A %I %p" }}`:       "/March Monday 12 AM",
		`/{{ .Time | strftime "%F %T %R %z %Z" }}`:    "/2026-03-09 00:30:15 00:30 -0500 CDT",
		`/{{ .Time | strftime "%s %u %w %G %V %%" }}`: "/1773034215 1 1 2026 11 %",
		`/{{ env "SITE" }}/`:                          "/psi/",
		`~/{{ .Job }}`:                                "/~/nightly",
	}
	for path, want := range tests {
		t.Run(path, func(t *testing.T) {
			if got, err := renderPath(t, path, "America/Chicago", at); err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

func TestTemplateMistakesAreProblems(t *testing.T) {
	tests := map[string]string{
		`/{{ .Jib }}`:                        "7:44: jobs.nightly.delete.paths[0]: template: there is no .Jib, did you mean Job?",
		`/{{ .Time.Year }}`:                  "template: .Time has no parts, use strftime",
		`/{{ now }}`:                         "there is no function now; possible are",
		`/{{ .Time | strtime "%Y" }}`:        "there is no function strtime, did you mean strftime?",
		`/{{ .Time | strftime "YYYY" }}/`:    `strftime "YYYY" has nothing of the time in it; common are %Y`,
		`/{{ .Time | strftime "%Q" }}`:       "strftime does not know %Q",
		`/{{ .Time | strftime "%" }}`:        "ends in %",
		`/{{ .Job | date }}`:                 "template: ",
		`/{{ strftime }}`:                    `strftime needs a format, such as strftime "%Y"`,
		`/{{ strftime .Time }}`:              `strftime needs a format, such as strftime "%Y"`,
		`/{{ .Time | strftime }}`:            `strftime needs a format, such as strftime "%Y"`,
		`/{{ .item.path }}`:                  "there is no .item.path, did you mean .Item.Path?",
		`/{{ .item }}`:                       "there is no .item, did you mean .Item?",
		`/{{ .Time | add "a day" }}`:         `"a day" is not a duration such as -24h or -1d`,
		`/{{ env "HOME" }}`:                  "the variable HOME is not allowed; add it to the file",
		`/{{ env .Job }}`:                    "env wants the name of a variable in quotes",
		`/{{ "SITE" | env }}`:                "env wants the name of a variable in quotes",
		`/{{ if true }}x{{ end }}`:           "no conditions and loops",
		`/{{ range 99999999999 }}x{{ end }}`: "no conditions and loops",
		`/{{ printf "%99999999d" 1 }}`:       "there is no function printf",
		`/{{ $x := .Job }}`:                  "variables are not possible",
		`/{{ template "x" }}`:                "no conditions and loops",
		`/{{ . }}`:                           "template: . is not possible",
		`/{{ 7 }}`:                           "template: 7 is not possible",
		`/{{ .Job`:                           "template: it is not closed: write }} at its end",
		`/{{ .Time | date }/x`:               "template: it is not closed: write }} at its end",
		`/{{ .Time | strftime %Y/%m }}`:      `text in a template stands in double quotes, such as strftime "%Y-%m-%d"`,
		`/{{ .Time | add ''-1d'' }}`:         `text in a template stands in double quotes: write "-1d" there, and put the whole value into single quotes`,
		`/{{ .Job }}/../x`:                   "has .. in it",
		`{{ .Job }}`:                         "is not absolute",
	}
	for path, want := range tests {
		t.Run(path, func(t *testing.T) {
			if got, err := renderPath(t, path, "UTC", time.Now()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, %v, want an error with %q", got, err, want)
			}
		})
	}
}

func TestRenderedPathsAreCheckedAgain(t *testing.T) {
	tests := map[string]struct{ path, value, want string }{
		"not set":         {`/{{ env "SITE" }}`, "", "SITE is not set"},
		"leads out":       {`/data/{{ env "SITE" }}/x`, "../..", "has .. in it"},
		"line break":      {`/data/{{ env "SITE" }}`, "a\nb", "line break"},
		"everything":      {`/{{ env "SITE" }}`, "/", "delete everything"},
		"everything home": {`/~/{{ env "SITE" }}`, "/", "delete everything"},
		"far too long":    {`/{{ env "SITE" }}`, strings.Repeat("x", 5000), "at most 4096"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			job := firstJob(t, "version: 1\nenv: [SITE]\ncollections: {lab: "+labID+"}\njobs: {a: {delete: {collection: lab, paths: ['"+tt.path+"']}}}")
			job.Env["SITE"] = tt.value
			if steps, err := job.Render("k", time.Now(), nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want an error with %q", steps, err, tt.want)
			}
		})
	}
}

func TestRenderLeavesTheJobAsItIs(t *testing.T) {
	const text = head + `jobs:
  a:
    labels: {day: "{{ .Time | date }}"}
    steps:
      - mkdir: {collection: lab, path: "/{{ .Job }}"}
      - transfer: {source: "lab:/{{ .Job }}/", destination: "vault:/{{ .Job }}/", filter_rules: [{name: x}]}
      - delete: {collection: lab, paths: ["/{{ .Job }}"], unproven: true}
`
	job := firstJob(t, text)
	steps, err := job.Render("k", time.Unix(0, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	if steps[0].Mkdir.Path != "/a" || steps[1].Transfer.Items[0].SourcePath != "/a/" || steps[2].Delete.Items[0].Path != "/a" {
		t.Errorf("got %+v", steps)
	}
	labels, err := job.RenderLabels("k", time.Unix(0, 0), nil)
	if diff := cmp.Diff(map[string]string{"day": "1970-01-01"}, labels); diff != "" || err != nil {
		t.Errorf("labels (-want +got), %v:\n%s", err, diff)
	}
	steps[0].Mkdir.Collection, steps[1].Transfer.FilterRules[0].Name, steps[2].Delete.Label = "x", "y", "z"
	if diff := cmp.Diff(firstJob(t, text).Steps, job.Steps); diff != "" {
		t.Errorf("steps of the job after changes (-want +got):\n%s", diff)
	}
}
