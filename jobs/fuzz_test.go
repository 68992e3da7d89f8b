package jobs_test

import (
	"path"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

// FuzzTemplates checks that a template in a path is a problem of the jobs file,
// an error, or a path that stays where it was put, the same each time.
func FuzzTemplates(f *testing.F) {
	for _, text := range []string{
		`{{ .Job }}/{{ .Key }}`, `{{ .Time | add "-24h" | date }}`, `{{ .Time | strftime "%Y/../%d" }}`, `{{ env "SITE" }}`, `{{ env "EMPTY" }}`, `{{`,
		`{{ range .Job }}{{ end }}`, `{{ .Time | add "99999999h" }}`, `{{ .Time | strftime "%%%" }}`, `{{ printf "%s" .Key }}`, `{{ "..\x2f" }}`, `}}{{ .Nil.X }}`,
		`{{ (add "+2d12h" .Time) | date }}`, `{{/* c */}}`, `{{ .Time | strftime "%-d" }}/..`,
	} {
		f.Add(text, int64(1_773_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, second int64) {
		at := time.Unix(second%(1<<34), 0).UTC()
		text = strings.ReplaceAll(text, "'", "''")
		got, err := renderPath(t, "/data/"+text, "America/Chicago", at)
		if err != nil {
			if got != "" {
				t.Errorf("%q becomes %q, with the error %v", text, got, err)
			}
			return
		}
		if !strings.HasPrefix(got, "/data/") || strings.Contains(got, "\x00") || path.Clean(got) != "/data" && !strings.HasPrefix(path.Clean(got), "/data/") {
			t.Errorf("%q becomes %q", text, got)
		}
		if again, err := renderPath(t, "/data/"+text, "America/Chicago", at); err != nil || again != got {
			t.Errorf("%q becomes %q, then %q (%v)", text, got, again, err)
		}
	})
}

// FuzzDeletesWithoutProof checks that a delete that is not refused takes nothing
// that the other job copies, whenever the two run.
func FuzzDeletesWithoutProof(f *testing.F) {
	for _, paths := range [][2]string{
		{"/out/", "/out-old/"},
		{"/data-{{ .Job }}/", "/scratch-{{ .Job }}/"},
		{"/a/{{ .Time | date }}", `/b/{{ .Time | add "-1d" | date }}`},
		{"/a", "/a{{ .Time | strftime \"%j\" }}"},
		{"//a//b/.{{ .Job }}", "/a/c"},
		{"/run1", `/run{{ .Time | strftime "%d" }}/`},
		{"/run01", `/run{{ .Time | strftime "%d" }}/`},
		{"/A/{{ .Key }}", "/b/./x"},
	} {
		f.Add(paths[0], paths[1], int64(1_773_000_000), int64(1_772_330_000))
	}
	f.Fuzz(func(t *testing.T, source, deleted string, second, later int64) {
		if strings.ContainsAny(source+deleted, "~'") {
			return // nobody knows where ~/ is
		}
		file, err := parseText(deleting("/"+source, "/"+deleted, ""))
		if err != nil {
			return
		}
		var at [2]string
		for i, s := range []int64{second, later} {
			when := time.Unix(s%(1<<34), 0).UTC()
			steps, err := file.Jobs[i].Render(jobs.ScheduledKey(when), when, file.Jobs[i].SampleItem())
			if err != nil {
				return
			}
			if i == 0 {
				at[i] = path.Clean(steps[0].Transfer.Items[0].SourcePath) + "/"
			} else {
				at[i] = path.Clean(steps[0].Delete.Items[0].Path) + "/"
			}
		}
		if strings.HasPrefix(at[0], at[1]) || strings.HasPrefix(at[1], at[0]) {
			t.Errorf("%q copies %s and %q deletes %s", source, at[0], deleted, at[1])
		}
	})
}
