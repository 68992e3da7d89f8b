package migrate_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/migrate"
	"github.com/globus-runner/globus-runner/jobs"
)

// checkResult fails unless there is a jobs file that parses, or there are
// problems, never both, and all messages can be shown on a terminal.
func checkResult(t *testing.T, r migrate.Result) {
	t.Helper()
	if r.File != nil && len(r.Problems) > 0 {
		t.Errorf("there are both a jobs file and problems: %q", lines(r.Problems))
	}
	if r.File != nil {
		if _, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: r.File}); err != nil {
			t.Errorf("the jobs file is not good: %v\n%s", err, r.File)
		}
	} else if len(r.Problems)+len(r.Notes) == 0 {
		t.Error("there is nothing at all")
	}
	for _, line := range append(lines(r.Problems), lines(r.Notes)...) {
		if strings.ContainsFunc(line, unicode.IsControl) || !utf8.ValidString(line) {
			t.Errorf("not fit for a terminal: %q", line)
		}
	}
}

func FuzzCrontab(f *testing.F) {
	for _, seed := range []string{
		"", "\n#\n", "0 2 * * * globus transfer $LAB:/a $VAULT:/b -r --label x >>/dev/null 2>&1",
		"@daily globus delete \"$LAB:/it's\" --batch -%a%'b c'", "X='y z'\n* * * * * $X && `date` | globus rm $X",
		`0 2 * * * t=$(globus transfer $LAB:/$(date -d "1 day ago" +\%F)/ $VAULT:/{{x}}) && globus task wait $t && globus mkdir $LAB:é`,
		"CRON_TZ=UTC\n1 1 1 1 1 bash -c 'globus timer create transfer $LAB:/a $VAULT:/b --interval 1d --start 2026-01-01'",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := migrate.Crontab(strings.NewReader(head+text), now, migrate.Cron{Flags: flags, Home: "/home/lab7"}, migrate.Options{Name: "tab"})
		if err == nil {
			checkResult(t, r)
		}
	})
}

func FuzzBatchFile(f *testing.F) {
	f.Add("/a /b\n-r 'c d' e # x\n", "/top", "")
	f.Add("a b --external-checksum x\n", "", "@daily")
	f.Add("a /b\n-r 'c d' e", "to/top", "")
	f.Fuzz(func(t *testing.T, text, path, schedule string) {
		r, err := migrate.BatchFile(strings.NewReader(text), migrate.Batch{
			Source: lab + ":" + path, Destination: vault, Schedule: schedule, Manifest: "m",
		}, migrate.Options{Name: "b"})
		if err != nil {
			return
		}
		checkResult(t, r)
		if r.File != nil {
			checkItems(t, r.File, text, path)
		}
	})
}

// checkItems compares the items of the only job of a file with the lines of the
// batch that it was made of, below a path.
func checkItems(t *testing.T, file []byte, text, path string) {
	t.Helper()
	f, err := jobs.Parse(nil, jobs.Source{Data: file})
	if err != nil {
		t.Fatal(err)
	}
	steps, err := f.Jobs[0].Render(jobs.ManualKey(), now, nil)
	if err != nil {
		t.Fatal(err)
	}
	if steps[0].Manifest != "" {
		return
	}
	below := path
	if !strings.HasPrefix(below, "/") && below != "~" && !strings.HasPrefix(below, "~/") {
		below = "~/" + below // as globus-cli takes it
	}
	var got, want []string
	for _, item := range steps[0].Transfer.Items {
		got = append(got, item.SourcePath)
	}
	for line, err := range jobs.Batch(strings.NewReader(text), 2) {
		if err != nil {
			t.Fatal(err)
		}
		path, err := jobs.Absolute(below, line.Source)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("source paths (-want +got):\n%s\n%s", diff, file)
	}
}

func FuzzTimers(f *testing.F) {
	f.Add(`{"jobs": [` + oldTimer + `]}`)
	f.Add(`{"jobs": [` + newTimer(daily, `, "filter_rules": [{"name": "x"}], "sync_level": 2`) + `]}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, nearest := range []bool{false, true} {
			r, err := migrate.Timers([]byte(text), now, migrate.Options{Name: "timers", Nearest: nearest})
			if err == nil {
				checkResult(t, r)
			}
		}
	})
}
