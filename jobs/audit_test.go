package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestParseReadsAnAudit(t *testing.T) {
	file, err := parseText(pruned(`
  weekly:
    schedule: "@weekly"
    audit: {of: [mirror, archive], since: 8d, sample: 0.5%}
  move:
    steps:
      - transfer: {source: "lab:/a/", destination: "vault:a/"}
      - audit: {}
  quiet: {receipts: false, transfer: {source: "lab:/c/", destination: "vault:c/"}}
  other: {audit: {of: [quiet]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got, receipts := map[string]jobs.Audit{}, map[string]bool{}
	for _, j := range file.Jobs {
		receipts[j.Name] = j.Receipts
		for _, s := range j.Steps {
			if s.Audit == nil {
				continue
			}
			var names []string
			for _, of := range s.Audit.Jobs {
				names = append(names, of.Name)
			}
			if !cmp.Equal(names, s.Audit.Of) {
				t.Errorf("%s audits the jobs %q, want %q", j.Name, names, s.Audit.Of)
			}
			a := *s.Audit
			a.Jobs = nil
			got[j.Name] = a
		}
	}
	want := map[string]jobs.Audit{
		"weekly": {Of: []string{"mirror", "archive"}, Since: 8 * 24 * time.Hour, Sample: "0.5%"},
		"move":   {},
		"other":  {Of: []string{"quiet"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("audits (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]bool{"archive": true, "mirror": true, "weekly": false, "move": true, "quiet": false, "other": false}, receipts); d != "" {
		t.Errorf("jobs with receipts (-want +got):\n%s", d)
	}
	weekly, move := got["weekly"], got["move"]
	if weekly.Window() != 8*24*time.Hour || move.Window() != 30*24*time.Hour || weekly.Sample.Fraction() != 0.005 || move.Sample.Fraction() != 1 {
		t.Errorf("got %v of %v, and %v of %v", weekly.Sample.Fraction(), weekly.Window(), move.Sample.Fraction(), move.Window())
	}
}

func TestWhatCannotBeAuditedIsAProblem(t *testing.T) {
	tests := map[string]string{
		`audit: {of: [archiv]}`:                  `there is no job "archiv", did you mean archive?`,
		`audit: {of: archive}`:                   `got "archive", want a list, such as ["archive"]`,
		`audit: {of: [archive, archive]}`:        "archive is in the list already",
		`audit: {of: [tidy]}`:                    "the job tidy copies nothing, so there is nothing to audit; name a job that has a transfer",
		`audit: {}`:                              "no transfer comes before it, so there is nothing to audit; name the jobs, such as of: [nightly-archive]",
		`audit: {of: [archive], sample: 0%}`:     `"0%" is not a share above 0% and up to 100%, such as 1% or 0.5%`,
		`audit: {of: [archive], sample: 101%}`:   `"101%" is not a share above 0% and up to 100%`,
		`audit: {of: [archive], sample: 5}`:      "a share such as 1%",
		`audit: {of: [archive], since: forever}`: `"forever" is not a duration such as 90s, 30m, 12h or 7d`,
		`audit: {off: [archive]}`:                `unknown key "off", did you mean of?`,
	}
	for audit, want := range tests {
		_, err := parseText(pruned("  tidy: {prune: {of: [archive]}}\n  weekly: {" + audit + "}\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", audit, err, want)
		}
	}
}
