package settings

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
)

// describe reads a job from variables, each NAME=value without RUNNER_JOB_.
func describe(t *testing.T, vars ...string) (*jobs.File, error) {
	t.Helper()
	environ := []string{
		"RUNNER_JOB_SOURCE=0b6c8f2e-0000-4000-8000-000000000001:/data/", "RUNNER_JOB_DESTINATION=94ef1c3a-0000-4000-8000-000000000002:/raw/",
	}
	for _, v := range vars {
		environ = append(environ, JobPrefix+v)
	}
	e := Read(environ)
	if err := e.Check(); err != nil {
		return nil, err
	}
	return e.Job.File()
}

func TestTheJobOfVariablesIsThatOfAFile(t *testing.T) {
	file, err := describe(t, "NAME=nightly", "SCHEDULE=30 1 * * *", "TIME_ZONE=America/Chicago", "SYNC_LEVEL=checksum",
		"ACTIVE_DEADLINE=2d", "BACKOFF=300ms", "BACKOFF_LIMIT=2", "INCLUDE=*.h5, *.nxs", "EXCLUDE=*", "ON_STALLED=cancel",
		"DELETE_DESTINATION_EXTRA=1", "ALLOW_EMPTY_SOURCE=true", "GUARD_MAX_DELETE=200", "RECURSIVE=true", "CATCH_UP=all", "JITTER=5m", "STARTING_DEADLINE=6h", "RECEIPTS=true")
	if err != nil {
		t.Fatal(err)
	}
	want, err := jobs.Parse(nil, jobs.Source{Data: []byte(`
version: 1
collections: {a: 0b6c8f2e-0000-4000-8000-000000000001, b: 94ef1c3a-0000-4000-8000-000000000002}
jobs:
  nightly:
    schedule: 30 1 * * *
    time_zone: America/Chicago
    active_deadline: 2d
    backoff_limit: 2
    receipts: true
    catch_up: all
    jitter: 5m
    starting_deadline: 6h
    on: {stalled: cancel}
    guard: {empty_source: allow, max_delete: 200}
    transfer:
      source: a:/data/
      destination: b:/raw/
      recursive: true
      sync_level: checksum
      delete_destination_extra: true
      filter_rules:
        - {method: include, type: file, name: "*.h5"}
        - {method: include, type: file, name: "*.nxs"}
        - {method: exclude, type: file, name: "*"}
`)})
	if err != nil {
		t.Fatal(err)
	}
	got, file0 := file.Jobs[0], want.Jobs[0]
	if got.Backoff.String() != "300ms" {
		t.Errorf("got a backoff of %v, want 300ms", got.Backoff)
	}
	got.Backoff = file0.Backoff
	if diff := cmp.Diff(file0, got, cmp.AllowUnexported(schedule.Schedule{}), cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })); diff != "" {
		t.Errorf("job (-file +variables):\n%s", diff)
	}
}

func TestAGuardOfAMirrorIsWarnedOfWhereThereIsNone(t *testing.T) {
	for guard, want := range map[string]string{"GUARD_MAX_DELETE=20%": "RUNNER_JOB_GUARD_MAX_DELETE", "ALLOW_EMPTY_SOURCE=true": "RUNNER_JOB_ALLOW_EMPTY_SOURCE", "NAME=a": ""} {
		for mirror, n := range map[string]int{"true": 0, "false": len(want)} {
			file, err := describe(t, guard, "DELETE_DESTINATION_EXTRA="+mirror)
			if err != nil {
				t.Fatal(err)
			}
			var fields strings.Builder
			for _, w := range file.Warnings {
				fields.WriteString(w.Field)
			}
			if fields.String() != want[:n] {
				t.Errorf("%s, and a mirror: %s: got warnings of %q, want %q", guard, mirror, fields.String(), want[:n])
			}
		}
	}
}

func TestTheNameOfAJobWithoutANameIsTheSameInEachStart(t *testing.T) {
	names := map[string]bool{}
	for range 3 {
		file, err := describe(t)
		if err != nil {
			t.Fatal(err)
		}
		names[file.Jobs[0].Name] = true
	}
	if len(names) != 1 || !names["transfer-0b280864"] {
		t.Errorf("got the names %v", names)
	}
}

func FuzzJobOfVariables(f *testing.F) {
	const lab, vault = "0b6c8f2e-0000-4000-8000-000000000001:", "94ef1c3a-0000-4000-8000-000000000002:"
	f.Add(lab+"/data/", vault+"/raw/{{ .Time | strftime \"%Y\" }}/", "nightly", "30 1 * * *", "America/Chicago", "*.tmp,*.part", "2d", "true", "cancel")
	f.Add(lab+"/x", vault+"/y/", "", "@every 90m", "", "", "300ms", "on", "")
	f.Add(lab, vault+"y", "Nightly", "* * * *", "CST", "a/b", "-1h", "1", "cancle")
	f.Add("x:/\xff", "\"", "a.b[0]", "\n", "\x00", ",", "1.5h", "{}", "- x")
	f.Fuzz(func(t *testing.T, source, destination, name, schedule, zone, exclude, duration, flag, reaction string) {
		e := Job{
			Source: source, Destination: destination, Name: name, Schedule: schedule, TimeZone: zone, Exclude: exclude,
			Backoff: durationText(duration), ActiveDeadline: durationText(duration), Encrypt: flagText(flag), AllowEmptySource: flagText(flag),
			BackoffLimit: numberText(duration), OnStalled: reaction, SyncLevel: reaction,
		}
		file, err := e.File()
		if (file == nil) == (err == nil) {
			t.Fatalf("got %v and %v, want one of them", file, err)
		}
		if err != nil {
			for _, p := range jobs.Problems(err) {
				if !strings.HasPrefix(p.Field, JobPrefix) || p.Msg == "" {
					t.Errorf("the problem %q names no variable", p)
				}
			}
			return
		}
		j := file.Jobs[0]
		if len(file.Jobs) != 1 || j.Check() != nil || name != "" && j.Name != name {
			t.Errorf("got %d jobs, the first is %+v", len(file.Jobs), j)
		}
		item := j.Steps[0].Transfer.Items[0]
		if !strings.HasSuffix(source, strings.TrimPrefix(item.SourcePath, "/~")) || !strings.HasSuffix(destination, strings.TrimPrefix(item.DestinationPath, "/~")) {
			t.Errorf("from %q to %q: got the item %+v", source, destination, item)
		}
	})
}

func TestAnUnnamedJobIsNamedAfterItsPaths(t *testing.T) {
	a, b := Location{someID, "/a"}, Location{someID, "/b"}
	if first, second := nameFor(a, b), nameFor(a, b); first != second {
		t.Error("the same paths give two names")
	}
	if nameFor(a, b) == nameFor(b, a) {
		t.Error("other paths give the same name")
	}
}
