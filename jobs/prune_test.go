package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

// pruned is a file with two jobs that copy, archive and mirror, and more jobs.
func pruned(more string) string {
	return head + `  tape: 94ef1c3a-0000-4000-8000-000000000003
jobs:
  archive: {transfer: {source: "lab:/out/", destination: "vault:in/"}}
  mirror: {transfer: {source: "lab:/out/", destination: "tape:/in/"}}
` + more
}

func TestParseReadsAPrune(t *testing.T) {
	file, err := parseText(pruned(`
  expire:
    schedule: "@daily"
    prune: {of: [archive, mirror], older_than: 30d, max_delete: 20%, copies: 2, empty_folders: remove, accept: size}
  move:
    steps:
      - transfer: {source: "lab:/a/", destination: "vault:a/"}
      - prune: {}
  other: {transfer: {source: "lab:/b/", destination: "vault:b/"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got, receipts := map[string]*jobs.Prune{}, map[string]bool{}
	for _, j := range file.Jobs {
		receipts[j.Name] = j.Receipts
		for _, s := range j.Steps {
			if s.Prune == nil {
				continue
			}
			var names []string
			for _, of := range s.Prune.Jobs {
				names = append(names, of.Name)
			}
			if !cmp.Equal(names, s.Prune.Of) {
				t.Errorf("%s goes by the jobs %q, want %q", j.Name, names, s.Prune.Of)
			}
			p := *s.Prune
			p.Jobs = nil
			got[j.Name] = &p
		}
	}
	want := map[string]*jobs.Prune{
		"expire": {
			Of: []string{"archive", "mirror"}, OlderThan: 30 * 24 * time.Hour, MaxDelete: "20%", Copies: 2,
			EmptyFolders: true, Accept: jobs.AcceptSize,
		},
		"move": {},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("prunes (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]bool{"archive": true, "mirror": true, "expire": true, "move": true, "other": false}, receipts); d != "" {
		t.Errorf("jobs with receipts (-want +got):\n%s", d)
	}
}

func TestWhatAPruneCannotProveIsAProblem(t *testing.T) {
	tests := map[string]struct{ more, problem string }{
		"unknown job": {
			`  p: {prune: {of: [archve]}}`,
			`jobs.yaml:9:20: jobs.p.prune.of: there is no job "archve", did you mean archive?`,
		},
		"job twice": {
			`  p: {prune: {of: [archive, archive]}}`,
			`jobs.yaml:9:29: jobs.p.prune.of[1]: archive is in the list already`,
		},
		"job that copies nothing": {
			`  p: {prune: {of: [q]}}` + "\n" + `  q: {delete: {collection: vault, paths: [old]}}`,
			`jobs.yaml:9:20: jobs.p.prune.of: the job q copies nothing, so it has no receipts; name a job that copies what is to be deleted`,
		},
		"no transfer before": {
			`  p: {steps: [{prune: {}}, {transfer: {source: "lab:/a/", destination: "vault:a/"}}]}`,
			`jobs.yaml:9:23: jobs.p.steps[0].prune: no transfer comes before it, so no receipts say what may be deleted; name the jobs that copy it, such as of: [nightly-archive]`,
		},
		"more copies than collections": {
			`  p: {prune: {of: [archive, mirror], copies: 3}}`,
			`jobs.yaml:9:46: jobs.p.prune.copies: 3 collections cannot have each file, because it is copied to 2; write copies: 2, or name more jobs in of`,
		},
		"copies of different sources": {
			`  p: {prune: {of: [archive, back], copies: 2}}` + "\n" + `  back: {transfer: {source: "vault:x/", destination: "lab:/x/"}}`,
			`jobs.yaml:9:44: jobs.p.prune.copies: 2 collections cannot have each file, because it is copied to 1; write copies: 1, or name more jobs in of`,
		},
		"receipts switched off": {
			`  p: {prune: {of: [q, archive]}}` + "\n" + `  q: {receipts: false, transfer: {source: "lab:/a/", destination: "vault:a/"}}`,
			`jobs.yaml:10:17: jobs.q.receipts: the prune of the job p depends on the receipts of this one; leave receipts out, or write true`,
		},
		"nothing named": {
			`  p: {prune: {of: []}}`,
			`jobs.yaml:9:19: jobs.p.prune.of: the list is empty, want at least 1`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(pruned(tt.more))
			if err == nil || err.Error() != tt.problem {
				t.Errorf("got:\n%v\nwant:\n%s", err, tt.problem)
			}
		})
	}
}

func TestAPruneOfUnverifiedCopiesIsWarnedAbout(t *testing.T) {
	tests := map[string]struct {
		options, prune string
		warns          bool
	}{
		"verified":                 {"sync_level: size", "{}", false},
		"not verified":             {"verify_checksum: false", "{}", true},
		"compared by time":         {"verify_checksum: false, sync_level: mtime", "{accept: checksum}", true},
		"compared by checksum":     {"verify_checksum: false, sync_level: checksum", "{}", false},
		"not verified but allowed": {"verify_checksum: false", "{accept: size}", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file, err := parseText(pruned(`  p: {steps: [{transfer: {source: "lab:/a/", destination: "vault:a/", ` + tt.options + `}}, {prune: ` + tt.prune + `}]}`))
			if err != nil {
				t.Fatal(err)
			}
			if warned := len(file.Warnings) == 1 && strings.Contains(file.Warnings[0].Error(), "prove nothing"); warned != tt.warns || len(file.Warnings) > 1 {
				t.Errorf("got the warnings %v, want one: %t", file.Warnings, tt.warns)
			}
		})
	}
}

func TestAPruneOfWhatIsMirroredIsRefused(t *testing.T) {
	const wipes = ", delete_destination_extra: true}}\n"
	const refused = " and deletes there what its source does not have, also the copies of what this prune deletes; " +
		"take delete_destination_extra out of it, or leave out the prune"
	tests := map[string]struct{ more, mirrors string }{
		"by the transfer itself":                      {`  p: {steps: [{transfer: {source: "lab:/a/", destination: "vault:a/", delete_destination_extra: true}}, {prune: {}}]}`, "p mirrors to /projects/lab7/a/"},
		"by a transfer around it":                     {`  p: {prune: {of: [archive]}}` + "\n" + `  m: {transfer: {source: "lab:/x/", destination: "vault:."` + wipes, "m mirrors to /projects/lab7/."},
		"by one at another collection":                {`  p: {prune: {of: [archive]}}` + "\n" + `  m: {transfer: {source: "lab:/x/", destination: "tape:/in/"` + wipes, ""},
		"by one beside it":                            {`  p: {prune: {of: [archive]}}` + "\n" + `  m: {transfer: {source: "lab:/x/", destination: "vault:other/"` + wipes, ""},
		"by a step after the prune that is elsewhere": {`  p: {steps: [{transfer: {source: "lab:/a/", destination: "vault:a/"}}, {prune: {}}, {transfer: {source: "lab:/b/", destination: "vault:b/", delete_destination_extra: true}}]}`, ""},
		"by a step after the prune":                   {`  p: {steps: [{transfer: {source: "lab:/a/", destination: "vault:a/"}}, {prune: {}}, {transfer: {source: "lab:/b/", destination: "vault:a/", delete_destination_extra: true}}]}`, "p mirrors to /projects/lab7/a/"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(pruned(tt.more))
			switch {
			case tt.mirrors == "" && err != nil:
				t.Errorf("got %v, want no problem", err)
			case tt.mirrors != "" && (err == nil || !strings.Contains(err.Error(), "the job "+tt.mirrors+refused)):
				t.Errorf("got %v, want it refused because the job %s", err, tt.mirrors)
			}
		})
	}
}

// The guard of pruned files knows what the runs of a prune have deleted, while they are
// remembered.
func TestAHistoryThatForgetsWhatWasPrunedIsAWarning(t *testing.T) {
	for name, tt := range map[string]struct{ history, schedule, prune, want string }{
		"kept by default":      {"", "@daily", "", ""},
		"kept for long":        {"history: {keep: 30d, max_runs: 30}", "@daily", "", ""},
		"kept for a day":       {"history: {keep: 1d}", "@daily", "", "history.keep forgets runs of this prune within 30d"},
		"one run":              {"history: {max_runs: 1}", "@daily", "", "history.max_runs forgets runs of this prune within 30d"},
		"many runs":            {"history: {max_runs: 700}", "@hourly", "", "history.max_runs forgets runs of this prune within 30d"},
		"one run, by hand":     {"history: {max_runs: 1}", "", "", ""},
		"younger than deleted": {"history: {keep: 60d}", "@daily", ", older_than: 90d", "history.keep forgets runs of this prune within 90d"},
	} {
		t.Run(name, func(t *testing.T) {
			schedule := ""
			if tt.schedule != "" {
				schedule = `schedule: "` + tt.schedule + `", `
			}
			file, err := parseText(pruned("  p: {" + schedule + "prune: {of: [archive]" + tt.prune + "}}\n" + tt.history + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range file.Warnings {
				if strings.Contains(w.Msg, "history.") {
					got = append(got, w.Field+": "+w.Msg)
				}
			}
			if text := strings.Join(got, "\n"); tt.want == "" && text != "" || !strings.Contains(text, tt.want) || tt.want != "" && !strings.HasPrefix(text, "jobs.p.prune: ") {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
}

func TestReceiptsOutliveTheAgeThatAPruneWants(t *testing.T) {
	for kept, ok := range map[string]bool{"31d": true, "30d": false, "7d": false} {
		_, err := parseText(pruned("  p: {prune: {of: [archive], older_than: 30d}}\nhistory: {receipts: " + kept + "}\n"))
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "jobs.yaml:9:42: jobs.p.prune.older_than: history.receipts forgets receipts before they are so old") {
			t.Errorf("receipts are kept for %s: got %v", kept, err)
		}
	}
}
