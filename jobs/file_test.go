package jobs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	labID   = "0b6c8f2e-0000-4000-8000-000000000001"
	vaultID = "94ef1c3a-0000-4000-8000-000000000002"
	head    = "version: 1\ncollections:\n  lab: " + labID + "\n  vault: {id: " + vaultID + ", path: /projects/lab7/}\n"
)

// parseText parses the text of one file, in which every variable has the value x.
func parseText(text string) (*jobs.File, error) {
	return jobs.Parse(func(string) string { return "x" }, jobs.Source{Name: "jobs.yaml", Data: []byte(text)})
}

// firstJob parses a file and returns its first job by name.
func firstJob(t *testing.T, text string) *jobs.Job {
	t.Helper()
	file, err := parseText(text)
	if err != nil {
		t.Fatal(err)
	}
	return file.Jobs[0]
}

func TestParseReadsEveryPolicy(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parseText(string(text))
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(file.Jobs))
	for i, j := range file.Jobs {
		names[i] = j.Name
	}
	if diff := cmp.Diff([]string{"clean-up", "every-policy", "expire", "follow-up", "for-each-run", "one-file", "weekly-audit"}, names); diff != "" {
		t.Fatalf("jobs by name (-want +got):\n%s", diff)
	}
	berlin, err := schedule.LoadZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	want := &jobs.Job{
		Name: "every-policy", Description: "all there is",
		Labels: map[string]string{"team": "imaging", "run": "{{ .Job }} {{ .Key }}", "site": `{{ env "SITE" }}`},
		Zone:   berlin, Env: map[string]string{"SITE": "x"},
		Jitter: 90 * time.Second, StartingDeadline: 90 * time.Minute, CatchUp: jobs.CatchUpAll,
		Concurrency: jobs.Replace, Suspend: true, ActiveDeadline: 7 * 24 * time.Hour,
		Backoff: time.Second, StalledAfter: time.Minute, AllowSkipped: true, Receipts: true, Guard: jobs.Guard{AllowEmptySource: true, OverwritePruned: true, MaxDelete: "1000", Look: 10000},
		On: jobs.Reactions{Stalled: jobs.Wait, NeedsHuman: jobs.Cancel, Hopeless: jobs.Warn},
		Notify: jobs.Notify{Repeat: time.Hour, To: map[string][]string{
			"failed": {"chat"}, "recovered": {}, "skipped": {}, "needs_human": {}, "stalled": {}, "refused": {}, "late": {},
			"overdue": {}, "nothing": {}, "missing": {}, "access": {}, "digest": {}, "runs": {"watchdog", "other-dog"},
		}},
		Expect: jobs.Expect{SuccessEvery: 24 * time.Hour, StartWithin: 5 * time.Minute},
		Steps: []jobs.Step{{Transfer: &transfer.Transfer{
			Header:         transfer.Header{NotifyOnSucceeded: true, NotifyOnFailed: true, NotifyOnInactive: true},
			SourceEndpoint: labID, DestinationEndpoint: vaultID,
			SyncLevel: new(transfer.SyncMtime), EncryptData: true, DeleteDestinationExtra: true,
			SkipSourceErrors: true, RecursiveSymlinks: "keep", SourceLocalUser: "carol", DestinationLocalUser: "dave",
			FilterRules: []transfer.FilterRule{{Method: "include", Type: "file", Name: "*.h5"}, {Method: "exclude", Name: "*"}},
			Items: []transfer.Item{{
				SourcePath:      `/data/{{ .Time | add "-1d" | strftime "%Y/%m/%d" }}/`,
				DestinationPath: `/projects/lab7/raw/{{ .Time | add "-1d" | date }}/`,
				Recursive:       new(true),
			}},
		}}},
	}
	got := file.Jobs[1]
	if s := got.Schedule; s == nil || s.String() != "30 1 * * *" || s.Location().String() != "Europe/Berlin" {
		t.Errorf("got the schedule %v", s)
	}
	ignore := cmpopts.IgnoreFields(jobs.Job{}, "Schedule")
	if diff := cmp.Diff(want, got, ignore, cmp.Comparer(func(a, b *time.Location) bool { return a == b || a.String() == b.String() })); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
	if want := (jobs.History{Keep: 30 * 24 * time.Hour, MaxRuns: 5000}); file.History != want {
		t.Errorf("got the history %v", file.History)
	}
}

func TestParseReadsEveryKindOfStep(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parseText(string(text))
	if err != nil {
		t.Fatal(err)
	}
	options := transfer.Transfer{
		Header:         transfer.Header{StoreBasePathInfo: true},
		SourceEndpoint: labID, DestinationEndpoint: vaultID,
		SyncLevel: new(transfer.SyncChecksum), VerifyChecksum: true, PreserveTimestamp: true, FailOnQuotaErrors: true,
		RecursiveSymlinks: "ignore", SourceLocalUser: "alice", DestinationLocalUser: "bob",
		FilterRules: []transfer.FilterRule{{Method: "exclude", Type: "dir", Name: ".git"}},
	}
	items, listed := options, options
	items.Items = []transfer.Item{
		{SourcePath: "/a", DestinationPath: "/a", Recursive: new(false), ExternalChecksum: "00ff", ChecksumAlgorithm: "MD5"},
		{SourcePath: "/~/b/", DestinationPath: "/projects/lab7/b/"},
	}
	listed.Items = []transfer.Item{{SourcePath: "/", DestinationPath: "/listed/"}}
	want := []jobs.Step{
		{Mkdir: &jobs.Mkdir{Collection: vaultID, Path: "/projects/lab7/inbox/{{ .Job }}/"}},
		{Share: &jobs.Share{
			Collection: vaultID, Path: "/projects/lab7/inbox/{{ .Job }}/", With: jobs.Principal{Kind: jobs.User, Name: "alice@example.edu"},
			Permissions: "rw", Expires: jobs.Expiry{After: 90 * 24 * time.Hour}, Notify: "pi@example.edu", Message: "{{ .Job }} is there",
		}},
		{Share: &jobs.Share{
			Collection: vaultID, Path: "/a/", With: jobs.Principal{Kind: jobs.Identity, Name: "0b6c8f2e-0000-4000-8000-000000000009"},
			Permissions: "r", Expires: jobs.Expiry{At: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)},
		}},
		{Share: &jobs.Share{
			Collection: vaultID, Path: "/a/", With: jobs.Principal{Kind: jobs.Group, Name: "0b6c8f2e-0000-4000-8000-000000000009"},
			Permissions: "r", Expires: jobs.Expiry{At: time.Date(2027, 1, 31, 11, 0, 0, 0, time.UTC)},
		}},
		{Share: &jobs.Share{Collection: vaultID, Path: "/a/", With: jobs.Principal{Kind: jobs.Everybody}, Permissions: "r"}},
		{Flow: &jobs.Flow{
			ID: "c2d5a3c2-0000-4000-8000-00000000000a", DataAccess: []string{labID, vaultID},
			Body: map[string]any{"folder": "/{{ date .Time }}/", "n.$": []any{uint64(1), 2.5, true, nil, map[string]any{}}},
		}},
		{Transfer: &items},
		{Transfer: &listed, Manifest: "lists/{{ date .Time }}.txt", ItemsPerTask: 100},
		{Unproven: true, Delete: &transfer.Delete{
			Header:   transfer.Header{NotifyOnSucceeded: true, NotifyOnFailed: true, NotifyOnInactive: true, StoreBasePathInfo: true},
			Endpoint: labID, Recursive: true, IgnoreMissing: true, InterpretGlobs: true, LocalUser: "carol",
			Items: []transfer.DeleteItem{{Path: "/b/"}, {Path: "/~/c"}},
		}},
		{Prune: &jobs.Prune{}},
		{Audit: &jobs.Audit{}},
	}
	job := file.Jobs[3]
	if diff := cmp.Diff(want, job.Steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if job.After != "every-policy" || job.Zone.String() != "America/Chicago" || job.Backoff != 5*time.Minute {
		t.Errorf("got after %q, zone %v and backoff %v, want those of the file", job.After, job.Zone, job.Backoff)
	}
}

func TestDefaultsAreThoseOfTheReference(t *testing.T) {
	file, err := parseText(head + "jobs: {a: {transfer: {source: lab:/a, destination: vault:/b, manifest: list.txt}}}")
	if err != nil {
		t.Fatal(err)
	}
	job := file.Jobs[0]
	doc := job.Steps[0].Transfer
	if !doc.VerifyChecksum || doc.NotifyOnSucceeded || doc.NotifyOnFailed || doc.NotifyOnInactive || doc.SyncLevel != nil {
		t.Errorf("got %+v", doc)
	}
	if job.ActiveDeadline != 24*time.Hour || job.On.Hopeless != jobs.Cancel || job.Concurrency != jobs.Forbid {
		t.Errorf("got %+v", job)
	}
	if want := (jobs.History{Keep: 400 * 24 * time.Hour, MaxRuns: 100_000}); file.History != want || job.Steps[0].ItemsPerTask != 5000 {
		t.Errorf("got the history %v and %d items a task", file.History, job.Steps[0].ItemsPerTask)
	}
}

func TestAJobWinsOverTheDefaults(t *testing.T) {
	job := firstJob(t, head+`
defaults:
  on: {stalled: cancel, hopeless: wait}
  labels: {team: a, site: b}
  transfer: {sync_level: size, filter_rules: [{name: x}], verify_checksum: false}
jobs:
  a:
    on: {hopeless: warn}
    labels: {team: c}
    transfer: {source: "lab:/a/", destination: "vault:b/", filter_rules: []}
`)
	if want := (jobs.Reactions{Stalled: jobs.Cancel, NeedsHuman: jobs.Warn, Hopeless: jobs.Warn}); job.On != want {
		t.Errorf("got %+v, want %+v", job.On, want)
	}
	if diff := cmp.Diff(map[string]string{"team": "c", "site": "b"}, job.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	doc := job.Steps[0].Transfer
	if *doc.SyncLevel != transfer.SyncSize || len(doc.FilterRules) != 0 || doc.VerifyChecksum {
		t.Errorf("got %+v", doc)
	}
}

func TestFilesShareCollectionsButNotDefaults(t *testing.T) {
	const (
		first  = head + "defaults: {backoff_limit: 7}\njobs: {b: {transfer: {source: 'lab:/b', destination: 'vault:b'}}}\n"
		second = "version: 1\njobs: {a: {after: b, transfer: {source: 'lab:/a', destination: 'vault:a', manifest: m.txt}}}\n"
	)
	file, err := jobs.Parse(nil, jobs.Source{Name: "etc/1.yaml", Data: []byte(first)}, jobs.Source{Name: "etc/2.yaml", Data: []byte(second)})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := file.Jobs[0], file.Jobs[1]; a.BackoffLimit != 0 || b.BackoffLimit != 7 {
		t.Errorf("got backoff limits %d and %d, want 0 and 7", a.BackoffLimit, b.BackoffLimit)
	}
	if got, want := file.Jobs[0].Steps[0].Manifest, filepath.Join("etc", "m.txt"); got != want {
		t.Errorf("got the manifest %s, want it beside its file: %s", got, want)
	}
	_, err = jobs.Parse(nil, jobs.Source{Name: "1.yaml", Data: []byte(first)}, jobs.Source{Name: "2.yaml", Data: []byte(first)})
	want := []string{
		"2.yaml:3:3: collections.lab: 1.yaml has named a collection lab already",
		"2.yaml:4:3: collections.vault: 1.yaml has named a collection vault already",
		"2.yaml:6:8: jobs.b: a job of that name is at 1.yaml:6 already",
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestWarningsDoNotStopAFile(t *testing.T) {
	text := head + "  spare: " + labID + "\nenv: [SITE]\njobs: {a: {transfer: {source: 'lab:/a/', destination: 'vault:/b'}}}\n"
	file, err := jobs.Parse(func(string) string { return "" }, jobs.Source{Name: "jobs.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range file.Warnings {
		got = append(got, w.Error())
	}
	want := []string{
		"jobs.yaml:5:3: collections.spare: no job uses the collection spare",
		"jobs.yaml:6:7: env[0]: SITE is not set here; a job that uses it cannot start",
		"jobs.yaml:7:55: jobs.a.transfer.destination: the source ends in /, so it is a folder, and the destination does not: write /b/",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestJitterThatIsLongerThanTheIntervalIsAWarning(t *testing.T) {
	tests := map[string]struct {
		defaults, job string
		want          []string
	}{
		"of the job":      {"", "schedule: '@hourly', jitter: 2h", []string{"jobs.a.jitter: the jitter of 2h0m0s is longer than the 1h0m0s between two occurrences"}},
		"of the defaults": {"defaults: {jitter: 2h}\n", "schedule: '@hourly'", []string{"jobs.a.schedule: the jitter of 2h0m0s is longer"}},
		"one as long":     {"", "schedule: '@hourly', jitter: 1h", nil},
		"no schedule":     {"", "jitter: 2h", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file, err := parseText(head + tt.defaults + "jobs: {a: {" + tt.job + ", transfer: {source: 'lab:/a/', destination: 'vault:/b/'}}}\n")
			if err != nil {
				t.Fatal(err)
			}
			if len(file.Warnings) != len(tt.want) || len(tt.want) > 0 && !strings.Contains(file.Warnings[0].Error(), tt.want[0]) {
				t.Errorf("got the warnings %v, want %q", file.Warnings, tt.want)
			}
		})
	}
}

func TestExamplesAreGoodAndWithoutWarnings(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("got %d examples, %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parseText(string(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range file.Warnings {
			t.Errorf("%s: %v", name, w)
		}
		for _, j := range file.Jobs {
			if _, err := j.Render("k", time.Now(), j.SampleItem()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Jobs or problems, never both, and never a panic; and what is taken can be
// rendered.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/*/*.yaml", "../examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: text})
		if (file == nil) == (err == nil) {
			t.Fatalf("got %v and %v, want one of them", file, err)
		}
		problems := jobs.Problems(err)
		if err != nil && len(problems) == 0 {
			t.Errorf("%v holds no problem", err)
		}
		lines := strings.Count(string(text), "\n") + 1
		for _, p := range problems {
			if p.Msg == "" || p.Line < 0 || p.Line > lines || strings.ContainsAny(p.Error(), "\n\r") {
				t.Errorf("got %+v in %d lines", p, lines)
			}
		}
		if file == nil {
			return
		}
		for _, j := range file.Jobs {
			again := *j
			if err := again.Check(); err != nil {
				t.Errorf("job %s does not pass its check: %v", j.Name, err)
			}
			for name := range j.Env {
				j.Env[name] = "sample"
			}
			steps, err := j.Render(jobs.ScheduledKey(time.Unix(0, 0)), time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), j.SampleItem())
			if err != nil || len(steps) == 0 {
				t.Errorf("render %s: %d steps, %v", j.Name, len(steps), err)
			}
		}
	})
}

func TestParseRefusesNothingToRead(t *testing.T) {
	if _, err := jobs.Parse(nil); err == nil {
		t.Error("got no error for no source")
	}
	huge := make([]byte, 4<<20+1)
	_, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: huge})
	if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Line != 0 || !strings.Contains(p.Msg, "4194305 bytes") {
		t.Errorf("got %v, want the size", err)
	}
}

func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	text.WriteString(head + "defaults: {time_zone: America/Chicago, transfer: {sync_level: checksum}}\njobs:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, `  job-%d:
    description: raw frames to the vault
    schedule: "%d 1 * * *"
    jitter: 10m
    on: {hopeless: cancel, needs_human: warn}
    transfer:
      source: lab:/data/%d/{{ .Time | add "-1d" | strftime "%%Y/%%m/%%d" }}/
      destination: vault:raw/%d/{{ .Time | add "-1d" | strftime "%%Y/%%m/%%d" }}/
      filter_rules:
        - {method: exclude, type: file, name: "*.tmp"}
`, i, i%60, i, i)
	}
	data := []byte(text.String())
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleParse() {
	const text = `version: 1
collections: {lab: 0b6c8f2e-0000-4000-8000-000000000001}
jobs:
  nightly:
    schedule: 30 1 * *
    transfer: {source: lab:data/, destination: lab:/copy/, sync_levl: mtime}
`
	_, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: []byte(text)})
	for _, p := range jobs.Problems(err) {
		fmt.Println(p.Line, p.Col, p.Field)
	}
	// Output:
	// 5 15 jobs.nightly.schedule
	// 6 24 jobs.nightly.transfer.source
	// 6 60 jobs.nightly.transfer.sync_levl
}
