package doctor_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsFoundOfJobs(t *testing.T) {
	empty := func(p *patient) {
		if err := os.Remove(filepath.Join(p.labDir, "data", "a.txt")); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		jobs   string
		change func(*patient)
		want   []string
	}{
		"a source that is missing": {
			`a: {transfer: {source: "lab:/missing/", destination: "vault:/x/"}}`, nil,
			[]string{"error source lab: /missing/: is not there (a) → check that the path exists, and that it is spelled as on the collection code ClientError.NotFound exit refused"},
		},
		"a file that is missing": {
			`a: {transfer: {source: "lab:/missing", destination: "vault:/x"}}`, nil,
			[]string{"error source lab: /missing: is not there (a) → check that the path exists, and that it is spelled as on the collection code NotFound exit refused"},
		},
		"a source that another occurrence has elsewhere": {
			`a: {transfer: {source: "lab:/{{ .Job }}/", destination: "vault:/x/"}}`, nil,
			[]string{"warning source lab: /a/: is not there yet (a) → make sure that it exists before the job is due"},
		},
		"items, of which nobody knows the names": {
			`a: {for_each: {folder: "lab:/data/", ready: {marker: x}}, transfer: {source: "lab:/data/{{ .Item.Name }}/", destination: "vault:/{{ .Item.Name }}/"}}` + "\n" +
				`  b: {after: a, delete: {collection: vault, paths: ["/{{ .Item.Name }}/"], unproven: true}}`, nil,
			nil,
		},
		"a look that is far away": {
			`a: {schedule: "0 0 29 2 *", time_zone: Europe/Berlin, for_each: {folder: "lab:/data/", ready: {marker: x}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/{{ .Item.Name }}/"}}`,
			func(*patient) { time.Sleep(100 * 24 * time.Hour) },
			[]string{"warning next_run a: looks for items Sun 2004-02-29 00:00 CET, in 1419 days, which is more than a year → check whether the schedule is as intended: runner next a"},
		},
		"a folder of items that is missing": {
			`a: {for_each: {folder: "lab:/runs/", ready: {marker: x}}, transfer: {source: "lab:{{ .Item.Path }}/", destination: "vault:/{{ .Item.Name }}/"}}`, nil,
			[]string{"error source lab: /runs/: is not there (a) → check that the path exists, and that it is spelled as on the collection code ClientError.NotFound exit refused"},
		},
		"a source that another step makes": {
			`a: {steps: [{transfer: {source: "lab:/data/", destination: "vault:/x/"}}, {transfer: {source: "vault:/x/y/", destination: "lab:/z/"}}]}`, nil,
			[]string{"warning source vault: /x/y/: is not there yet (a) → a job writes there, so it may exist in time"},
		},
		"a source beside what a job writes": {
			`a: {steps: [{transfer: {source: "lab:/data/", destination: "vault:/x"}}, {transfer: {source: "vault:/xy/", destination: "lab:/z/"}}]}`, nil,
			[]string{"error source vault: /xy/: is not there (a) → check that the path exists, and that it is spelled as on the collection code ClientError.NotFound exit refused"},
		},
		"a path through a file": {
			`a: {transfer: {source: "lab:/data/a.txt/b/", destination: "vault:/x/"}}`, nil,
			[]string{"error source lab: /data/a.txt/b/: ExternalError.DirListingFailed.NotDirectory: /data/a.txt/b on lab: NotDirectory (a) → a part of the path is a file there: correct the path, or move the file away code ExternalError.DirListingFailed.NotDirectory exit refused"},
		},
		"a file that another job takes for a folder": {
			`a: {transfer: {source: "lab:/data/a.txt", destination: "vault:/x"}}` + "\n" +
				`  b: {transfer: {source: "lab:/data/a.txt", destination: "vault:/y", recursive: true}}`, nil,
			[]string{"error source lab: /data/a.txt: ExternalError.DirListingFailed.NotDirectory: /data/a.txt on lab: NotDirectory (b) → a part of the path is a file there: correct the path, or move the file away code ExternalError.DirListingFailed.NotDirectory exit refused"},
		},
		"a file onto a folder": {
			`a: {steps: [{transfer: {source: "lab:/data/", destination: "vault:/x/"}}, {transfer: {source: "lab:/data/a.txt", destination: "lab:/data"}}]}`, nil,
			[]string{"error destination lab: /data: is a folder, and /data/a.txt is a file, which would not be copied (a) → name the destination of a file with its file name: /data/a.txt exit refused"},
		},
		"a file to a path that ends in /": {
			`a: {transfer: {source: "lab:/data/a.txt", destination: "vault:/x/"}}`, nil,
			[]string{"error destination vault: /x/: ends in / and so names a folder, and /data/a.txt is a file, which would not be copied (a) → name the destination of a file with its file name: /x/a.txt exit refused"},
		},
		"a folder whose path ends in / only at the destination": {
			`a: {transfer: {source: "lab:/data", destination: "vault:/x/"}}`, nil, nil,
		},
		"something to delete that is missing": {
			`a: {delete: {collection: lab, paths: ["/missing/"], recursive: true}}`, nil,
			[]string{"error deletion lab: /missing/: is not there (a) → check that the path exists, and that it is spelled as on the collection code ClientError.NotFound exit refused"},
		},
		"a mirror of nothing": {
			`a: {transfer: {source: "lab:/data/", destination: "vault:/x/", delete_destination_extra: true}}`, empty,
			[]string{"warning source lab: /data/: is empty, and the job would empty its destination (a) → make sure that it has files before the job is due: it refuses to mirror an empty folder, unless it has guard: {empty_source: allow}"},
		},
		"a mirror of what its rules leave out": {
			`a: {transfer: {source: "lab:/data/", destination: "vault:/x/", delete_destination_extra: true, filter_rules: [{name: "*.txt"}]}}`, nil,
			[]string{"warning source lab: /data/: has no file that the filter rules let through, and the job would empty its destination (a) → correct filter_rules, or make sure that there are such files before the job is due: it refuses to mirror an empty folder, unless it has guard: {empty_source: allow}"},
		},
		"a mirror of what its rules let through": {
			`a: {transfer: {source: "lab:/data/", destination: "vault:/x/", delete_destination_extra: true, filter_rules: [{method: include, name: "*.txt"}, {name: "*"}]}}`, nil,
			nil,
		},
		"a suspended job": {
			`a: {schedule: "@daily", suspend: true, transfer: {source: "lab:/data/", destination: "vault:/x/"}}`, nil,
			[]string{"warning next_run a: suspended: it does not start → set suspend to false to let it start"},
		},
		"a job of leap years": {
			`a: {schedule: "0 0 29 2 *", time_zone: Europe/Zurich, transfer: {source: "lab:/data/", destination: "vault:/x/"}}`,
			func(*patient) { time.Sleep(100 * 24 * time.Hour) }, // from 2000-01-01, the bubble's first day
			[]string{"warning next_run a: Sun 2004-02-29 00:00 CET, in 1419 days, which is more than a year → check whether the schedule is as intended: runner next a"},
		},
		"a variable that is not set": {
			`a: {transfer: {source: 'lab:/{{ env "RUN" }}/', destination: "vault:/x/"}}` + "\nenv: [RUN]", nil,
			[]string{`error paths a: job a: /{{ env "RUN" }}/: template: RUN is not set → set what the template needs, see runner plan a exit usage`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := examine(t, func(p *patient) {
				p.jobs = "\n  " + tt.jobs
				if tt.change != nil {
					tt.change(p)
				}
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
