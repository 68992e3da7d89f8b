package jobs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestLocateFindsWhereAFieldWasSaid(t *testing.T) {
	first := jobs.Source{Name: "1.yaml", Data: []byte(head + `defaults: {jitter: 5m}
jobs:
  a:
    schedule: "0 4 * * *"
    delete: {collection: lab, paths: [/old/]}
`)}
	second := jobs.Source{Name: "2.yaml", Data: []byte("version: 1\njobs:\n  b: {delete: {collection: vault, paths: [/old/]}}\n")}
	problems := []*jobs.Problem{
		{Msg: "about nothing"},
		{Field: "jobs.b.delete.paths", Msg: "about a path"},
		{Field: "jobs.b.jitter", Msg: "not said"},
		{Field: "jobs.a.schedule", Msg: "about the schedule"},
		{Field: "jobs.a.jitter", Msg: "from the defaults"},
		{Field: "jobs.c.jitter", Msg: "of no job"},
	}
	jobs.Locate(problems, first, second)
	want := []*jobs.Problem{
		{Msg: "about nothing"},
		{Field: "jobs.c.jitter", Msg: "of no job"},
		{File: "1.yaml", Line: 5, Col: 20, Field: "jobs.a.jitter", Msg: "from the defaults"},
		{File: "1.yaml", Line: 8, Col: 15, Field: "jobs.a.schedule", Msg: "about the schedule"},
		{File: "2.yaml", Line: 3, Col: 3, Field: "jobs.b.jitter", Msg: "not said"},
		{File: "2.yaml", Line: 3, Col: 42, Field: "jobs.b.delete.paths", Msg: "about a path"},
	}
	if diff := cmp.Diff(want, problems, cmpopts.IgnoreFields(jobs.Problem{}, "Snippet")); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestCronIsWhatOtherProgramsRead(t *testing.T) {
	tests := map[string]struct {
		cron  string
		fixed bool
	}{
		"30  1 * * SUN":     {"30 1 * * sun", true},
		"0 12 * * 5-7":      {"0 12 * * 5,6,0", true},
		"*/20 9-17 ? * 7":   {"*/20 9-17 ? * 0", false},
		"@daily":            {"@daily", true},
		"@hourly":           {"@hourly", false},
		"@every 90m":        {"", false},
		"0 0 1 jan fri-SUN": {"0 0 1 jan 5,6,0", true},
	}
	for expr, tt := range tests {
		s, err := jobs.ParseSchedule(expr, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Cron() != tt.cron || s.Fixed() != tt.fixed {
			t.Errorf("%s: got %q, fixed: %t; want %q, fixed: %t", expr, s.Cron(), s.Fixed(), tt.cron, tt.fixed)
		}
		if every := s.Every(); (every > 0) != (tt.cron == "") {
			t.Errorf("%s: got an interval of %v", expr, every)
		}
	}
}
