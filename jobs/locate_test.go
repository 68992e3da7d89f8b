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
