package jobs_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/jobs"
)

// TestASeriesHasTheFoldersOfAllOccurrences checks a name on each level.
func TestASeriesHasTheFoldersOfAllOccurrences(t *testing.T) {
	const day = `{{ .Time | strftime "%Y/%m/%d" }}`
	tests := map[string]struct {
		from, in string   // in is empty if there is no series
		names    []string // one for each level, all of which match
		not      string   // does not match on the first
	}{
		"a fixed folder": {"/data/", "", nil, ""},
		"a day":          {"/data/{{ date .Time }}/", "/data/", []string{"2001-02-03"}, "old"},
		"levels":         {"/data/" + day + "/raw", "/data/", []string{"2001", "02", "03", "raw"}, "raw"},
		"within a name":  {"/data//run-" + day, "/data//", []string{"run-2001", "02", "03"}, "2001"},
		"the job's name": {"/data/{{ .Job }}/", "", nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			lanes := lane(tt.from, "/in/")
			all := slices.Collect(lanes.Series())
			if tt.in == "" {
				if len(all) > 0 {
					t.Errorf("got a series in %s, want none", all[0].In.Path)
				}
				return
			}
			if len(all) != 1 || all[0].In != (jobs.End{Collection: here, Path: tt.in}) || len(all[0].Names) != len(tt.names) {
				t.Fatalf("got %+v, want one in %s with %d levels", all, tt.in, len(tt.names))
			}
			for i, name := range tt.names {
				if !all[0].Names[i].MatchString(name) {
					t.Errorf("level %d does not match %s", i, name)
				}
			}
			if all[0].Names[0].MatchString(tt.not) {
				t.Errorf("the first level matches %s", tt.not)
			}
		})
	}
}

// A file, and the lines of a manifest, are no series of folders.
func TestAFileIsNoSeries(t *testing.T) {
	for _, edit := range []func(*jobs.Job){
		func(j *jobs.Job) { j.Steps[0].Manifest = "list" },
		func(j *jobs.Job) { j.Steps[0].Transfer.Items[0].Recursive = new(false) },
	} {
		lanes := lane("/data/{{ date .Time }}", "/in", edit)
		for s := range lanes.Series() {
			t.Errorf("got a series in %s, want none", strings.TrimSuffix(s.In.Path, "/"))
		}
	}
}
