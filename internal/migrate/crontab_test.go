package migrate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/globus-runner/globus-runner/internal/migrate"
	"github.com/globus-runner/globus-runner/jobs"
)

// head is how the crontabs of the tests begin: 3 lines.
const head = `LAB=0b6c8f2e-0000-4000-8000-000000000001
VAULT=94ef1c3a-0000-4000-8000-000000000002

`

// read imports a crontab that begins with head.
func read(t *testing.T, text string, o migrate.Options) migrate.Result {
	t.Helper()
	o.Name = "tab"
	if o.Zone == "" {
		o.Zone = "UTC"
	}
	r, err := migrate.Crontab(strings.NewReader(head+text), now, migrate.Cron{Flags: flags, Home: "/home/lab7"}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lines are problems as a person sees them.
func lines(problems []migrate.Problem) (lines []string) {
	for _, p := range problems {
		lines = append(lines, p.Error())
	}
	return lines
}

// TestLineBecomesAJob compares the job that a line becomes, without the head of
// the file and the indentation.
func TestLineBecomesAJob(t *testing.T) {
	const transfer = "0 2 * * * globus transfer $LAB:/a $VAULT:/b "
	const copied = "schedule: '0 2 * * *'\ntransfer:\n  source: lab:/a\n  destination: vault:/b\n"
	tests := map[string]struct {
		line string
		name string
		job  string
	}{
		"a file":              {transfer, "transfer-a", copied},
		"a full path":         {"0 2 * * * /opt/globus/bin/globus transfer $LAB:/a $VAULT:/b", "transfer-a", copied},
		"a cluster of flags":  {"0 2 * * * globus transfer -rs size $LAB:/a $VAULT:/b", "transfer-a", copied + "  recursive: true\n  sync_level: size\n"},
		"capitals":            {transfer + "--sync-level CHECKSUM", "transfer-a", copied + "  sync_level: checksum\n"},
		"flags from variable": {"OPTS=-r --preserve-timestamp\n" + transfer + "$OPTS", "transfer-a", copied + "  recursive: true\n  preserve_timestamp: true\n"},
		"all switches": {
			transfer + "--encrypt-data --skip-source-errors --fail-on-quota-errors --no-verify-checksum --allow-skipped --source-local-user lab7", "transfer-a",
			"schedule: '0 2 * * *'\nallow_skipped: true\ntransfer:\n  source: lab:/a\n  destination: vault:/b\n" +
				"  encrypt_data: true\n  skip_source_errors: true\n  fail_on_quota_errors: true\n  verify_checksum: false\n  source_local_user: lab7\n",
		},
		"a mirror of many folders": {
			transfer + "-r --delete --max-delete 5 --look 200", "transfer-a",
			"schedule: '0 2 * * *'\nguard:\n  max_delete: '5'\n  look: 200\ntransfer:\n  source: lab:/a\n  destination: vault:/b\n  recursive: true\n  delete_destination_extra: true\n",
		},
		"a mirror that may be empty": {
			transfer + "-r --delete --allow-empty-source", "transfer-a",
			"schedule: '0 2 * * *'\nguard:\n  empty_source: allow\ntransfer:\n  source: lab:/a\n  destination: vault:/b\n  recursive: true\n  delete_destination_extra: true\n",
		},
		"a checksum": {transfer + "--external-checksum abc --checksum-algorithm SHA256", "transfer-a", copied + "  external_checksum: abc\n  checksum_algorithm: SHA256\n"},
		"mails":      {transfer + "--notify failed,inactive", "transfer-a", copied + "  notify_on_failed: true\n  notify_on_inactive: true\n"},
		"filters in their order": {
			transfer + `-r --include '*.h5' --exclude "*"`, "transfer-a",
			copied + "  recursive: true\n  filter_rules:\n    - method: include\n      type: file\n      name: '*.h5'\n    - method: exclude\n      type: file\n      name: '*'\n",
		},
		"a label":                {transfer + `--label "Nightly: run $(date +\%F)"`, "nightly-run", "description: 'Nightly: run'\n" + copied},
		"a relative path":        {"0 2 * * * globus transfer $LAB:in/a $VAULT:~/b", "transfer-a", "schedule: '0 2 * * *'\ntransfer:\n  source: lab:~/in/a\n  destination: vault:~/b\n"},
		"a path with blanks":     {"0 2 * * * globus transfer \"$LAB:/it's a\" $VAULT:/b\\ c", "transfer-it-s-a", "schedule: '0 2 * * *'\ntransfer:\n  source: 'lab:/it''s a'\n  destination: 'vault:/b c'\n"},
		"a path with braces":     {"0 2 * * * globus transfer '" + "0b6c8f2e-0000-4000-8000-000000000001:/{{x}}' $VAULT:/b", "transfer-x", "schedule: '0 2 * * *'\ntransfer:\n  source: 'lab:/{{ \"{{\" }}x}}'\n  destination: vault:/b\n"},
		"a descriptor":           {"@daily globus transfer $LAB:/a $VAULT:/b", "transfer-a", strings.Replace(copied, "0 2 * * *", "@daily", 1)},
		"an id without a name":   {"0 2 * * * globus transfer $LAB:/a 11111111-0000-4000-8000-000000000001:/b", "transfer-a", "schedule: '0 2 * * *'\ntransfer:\n  source: lab:/a\n  destination: c-11111111:/b\n"},
		"yesterday":              {`0 2 * * * globus transfer $LAB:/d/$(date -d yesterday +\%Y/\%m/\%d)/ $VAULT:/d/ -r`, "transfer-d", "schedule: '0 2 * * *'\ntransfer:\n  source: 'lab:/d/{{ .Time | add \"-1d\" | strftime \"%Y/%m/%d\" }}/'\n  destination: vault:/d/\n  recursive: true\n"},
		"a date in a variable":   {`0 2 * * * D=$(date +\%F) && globus transfer $LAB:/$D $VAULT:/$D`, "transfer", "schedule: '0 2 * * *'\ntransfer:\n  source: 'lab:/{{ .Time | date }}'\n  destination: 'vault:/{{ .Time | date }}'\n"},
		"a level by number":      {transfer + "--sync-level 3", "transfer-a", copied + "  sync_level: checksum\n"},
		"a number in quotes":     {transfer + `--sync-level "0"`, "transfer-a", copied + "  sync_level: exists\n"},
		"a switch for a batch":   {"0 2 * * * globus transfer $LAB $VAULT:/in --batch --label x < /srv/list", "x", "description: x\nschedule: '0 2 * * *'\ntransfer:\n  source: lab:~/\n  destination: vault:/in/\n  manifest: /srv/list\n"},
		"a switch before places": {"0 2 * * * globus transfer --batch $LAB $VAULT:/in < /srv/list", "transfer-in", "schedule: '0 2 * * *'\ntransfer:\n  source: lab:~/\n  destination: vault:/in/\n  manifest: /srv/list\n"},
		"a switch at the end":    {"0 2 * * * globus delete $LAB:/x --batch%a%b", "delete-a", "schedule: '0 2 * * *'\ndelete:\n  collection: lab\n  paths:\n    - /x/a\n    - /x/b\n"},
		"a batch file":           {"0 2 * * * globus transfer $LAB $VAULT:/in --batch ~/list.txt", "transfer-in", "schedule: '0 2 * * *'\ntransfer:\n  source: lab:~/\n  destination: vault:/in/\n  manifest: /home/lab7/list.txt\n"},
		"a batch with checksums": {"0 2 * * * globus transfer $LAB:/ $VAULT:/ --checksum-algorithm SHA256 --batch -%a b%--external-checksum 12ab c d", "transfer-a", "schedule: '0 2 * * *'\ntransfer:\n  items:\n    - source: lab:/a\n      destination: vault:/b\n    - source: lab:/c\n      destination: vault:/d\n      external_checksum: '12ab'\n      checksum_algorithm: SHA256\n"},
		"a batch in a folder":    {"0 2 * * * cd /srv && globus transfer $LAB $VAULT --batch - < lists/x", "transfer-x", "schedule: '0 2 * * *'\ntransfer:\n  source: lab:~/\n  destination: vault:~/\n  manifest: /srv/lists/x\n"},
		"a batch on the line":    {"0 2 * * * globus transfer $LAB:/top $VAULT --batch -%a /a%-r b c/ # both", "transfer-a", "schedule: '0 2 * * *'\ntransfer:\n  items:\n    - source: lab:/top/a\n      destination: vault:/a\n    - source: lab:/top/b\n      destination: vault:~/c/\n      recursive: true\n"},
		"an exported variable":   {`0 2 * * * export D=/a PATH=$PATH:/opt && globus transfer $LAB:$D $VAULT:/b`, "transfer-a", copied},
		"wrapped":                {"0 2 * * * flock -n /tmp/l nice -n 10 env A=b timeout -k 5 1h globus transfer $LAB:/a $VAULT:/b", "transfer-a", copied},
		"in parentheses":         {"0 2 * * * (cd /tmp && globus transfer $LAB:/a $VAULT:/b) >> x 2>&1", "transfer-a", copied},
		"in braces":              {"0 2 * * * { globus transfer $LAB:/a $VAULT:/b; } 2>&1 | logger", "transfer-a", copied},
		"in another shell":       {`0 2 * * * bash -lc "globus transfer $LAB:/a $VAULT:/b"`, "transfer-a", copied},
		"with output elsewhere":  {transfer + ">> /var/log/x 2>&1 || echo failed | mail me", "transfer-a", copied},
		"a delete": {
			"0 2 * * * globus delete $LAB:/old/ -rf --enable-globs", "delete-old",
			"schedule: '0 2 * * *'\ndelete:\n  collection: lab\n  paths:\n    - /old/\n  recursive: true\n  interpret_globs: true\n  ignore_missing: true\n",
		},
		"a delete by rm": {
			"0 2 * * * globus rm $LAB:/x/*.tmp", "delete-tmp",
			"schedule: '0 2 * * *'\ndelete:\n  collection: lab\n  paths:\n    - '/x/*.tmp'\n  interpret_globs: true\n",
		},
		"a delete of a batch": {
			"0 2 * * * globus delete $LAB:/x --batch -%a%b", "delete-a",
			"schedule: '0 2 * * *'\ndelete:\n  collection: lab\n  paths:\n    - /x/a\n    - /x/b\n",
		},
		"a move that waits": {
			"0 2 * * * t=$(globus transfer $LAB:/in/ $VAULT:/in/ -r --jmespath task_id -F unix); globus task wait $t && globus delete $LAB:/in/ -r", "transfer-in",
			"schedule: '0 2 * * *'\nsteps:\n  - transfer:\n      source: lab:/in/\n      destination: vault:/in/\n      recursive: true\n  - prune:\n      empty_folders: remove\n",
		},
		"a move that waits in another way": {
			"0 2 * * * t=$(globus transfer $LAB:/in/ $VAULT:/in/ -r --jq task_id); globus task wait $t; globus delete $LAB:/in/ -r", "transfer-in",
			"schedule: '0 2 * * *'\nsteps:\n  - transfer:\n      source: lab:/in/\n      destination: vault:/in/\n      recursive: true\n  - prune:\n      empty_folders: remove\n",
		},
		"with a word about it":       {transfer + "&& echo 'globus transfer submitted'", "transfer-a", copied},
		"with a word about failures": {transfer + "|| { echo failed | mail me; exit 1; }", "transfer-a", copied},
		"two that wait": {
			`0 2 * * * globus mkdir $VAULT:/m && globus transfer $LAB:/a $VAULT:/m/a`, "mkdir-m",
			"schedule: '0 2 * * *'\nsteps:\n  - mkdir:\n      collection: vault\n      path: /m\n  - transfer:\n      source: lab:/a\n      destination: vault:/m/a\n",
		},
		"two with the same policies": {
			transfer + "--allow-skipped --allow-empty-source -r --delete --label A --allow-skipped && globus transfer $LAB:/c $VAULT:/d --allow-empty-source --label B", "a",
			"description: 'A, B'\nschedule: '0 2 * * *'\nallow_skipped: true\nguard:\n  empty_source: allow\nsteps:\n" +
				"  - transfer:\n      source: lab:/a\n      destination: vault:/b\n      recursive: true\n      delete_destination_extra: true\n" +
				"  - transfer:\n      source: lab:/c\n      destination: vault:/d\n",
		},
		"a flag that is said twice": {transfer + "--external-checksum a --external-checksum b -s size -s mtime", "transfer-a", copied + "  external_checksum: b\n  sync_level: mtime\n"},
		"by a variable":             {"GL=/opt/bin/globus\n0 2 * * * t=$($GL transfer $LAB:/a $VAULT:/b)", "transfer-a", copied},
		"with a comment":            {transfer + "# to the vault", "transfer-a", copied},
		"a delete without globs":    {"0 2 * * * globus rm --no-enable-globs $LAB:/x", "delete-x", "schedule: '0 2 * * *'\ndelete:\n  collection: lab\n  paths:\n    - /x\n"},
		"a folder alone":            {"0 2 * * * globus mkdir $VAULT:/new", "mkdir-new", "schedule: '0 2 * * *'\nsteps:\n  - mkdir:\n      collection: vault\n      path: /new\n"},
		"a timer that runs once": {
			"0 2 * * * globus timer create transfer $LAB:/a $VAULT:/b --stop-after-runs 1 --name 'The timer'", "the-timer", "description: 'The timer'\n" + copied,
		},
		"a timer that recurs": {
			"@weekly globus timer create transfer $LAB:/a $VAULT:/b --interval 1w --start 2026-11-22T01:30:00", "transfer-a",
			strings.Replace(copied, "0 2 * * *", "30 1 * * 0", 1),
		},
		"this program": {"0 2 * * * runner transfer --no-wait $LAB:/a $VAULT:/b", "transfer-a", copied},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := read(t, tt.line, migrate.Options{})
			if len(r.Problems) > 0 {
				t.Fatalf("problems: %q", lines(r.Problems))
			}
			_, got, _ := strings.Cut(string(r.File), "\njobs:\n")
			for _, note := range r.Notes {
				got = strings.Replace(got, "  # "+note.Msg+"\n", "", 1)
			}
			at := len(strings.Split(strings.TrimRight(head+tt.line, "\n"), "\n"))
			want := fmt.Sprintf("  # tab:%d\n  %s:\n    %s\n", at, tt.name, strings.ReplaceAll(strings.TrimRight(tt.job, "\n"), "\n", "\n    "))
			if diff := cmp.Diff(want, strings.Replace(got, "    time_zone: UTC\n", "", 1)); diff != "" {
				t.Errorf("job (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLineIsRefusedByName(t *testing.T) {
	const (
		transfer = "0 2 * * * globus transfer $LAB:/a $VAULT:/b "
		decides  = ": it decides whether the line deletes, but a job has no conditions and would delete whenever it is due; keep the line in cron with runner in place of globus, or take the condition out if it is not needed"
	)
	tests := map[string]string{
		transfer + "--perf-cc 4":                                                                            "--perf-cc: a jobs file has no equivalent",
		transfer + "--deadline 2026-11-22":                                                                  "--deadline: a job has active_deadline, such as 12h, which counts from the start of each task; leave it out and set that",
		transfer + "--submission-id x":                                                                      "--submission-id: with a fixed id Globus does the same task only once; leave it out, each run of a job has its own",
		transfer + "--sideways":                                                                             "--sideways: there is no such flag of globus transfer",
		transfer + "--notify sometimes":                                                                     `--notify: "sometimes" is not on, off, succeeded, failed or inactive`,
		transfer + `--sync-level "$(date +\%F)"`:                                                            "--sync-level: {{ .Time | date }} can only be used in a path",
		transfer + "--sync-level fast":                                                                      `"fast" is not a sync level, want exists, size, mtime, checksum or 0 to 3`,
		transfer + "--label $(hostname)":                                                                    "$(hostname): only a call of date can become a template",
		transfer + "-r --external-checksum x":                                                               "a checksum is of a file, but the source is a folder",
		transfer + "--include '*.h5' --no-recursive":                                                        "filter_rules is for folders, but recursive is false",
		transfer + "| globus transfer $LAB:/c $VAULT --batch -":                                             "--batch -: the paths come from another command; have it write a file, and name that as the job's manifest",
		transfer + "|| globus transfer $LAB:/c $VAULT:/d":                                                   "globus transfer $LAB:/c $VAULT:/d: a job has no alternative for when the first command fails",
		"0 2 * * * globus transfer $LAB $VAULT --batch -":                                                   "--batch -: cron gives it nothing to read",
		"0 2 * * * globus transfer $LAB $VAULT":                                                             "globus transfer: source and destination both need a path, or --batch",
		"0 2 * * * globus transfer $LAB:/a":                                                                 "globus transfer: got 1 argument, want source and destination; arguments with blanks need quotes",
		"0 2 * * * globus transfer my-lab:/a $VAULT:/b":                                                     `globus transfer: source: "my-lab" is not a collection id (a UUID), with :/path behind it or alone`,
		"0 2 * * * globus transfer $LAB:/a/../b $VAULT:/b":                                                  `path "/a/../b" has .. in it, write where it leads to`,
		"0 2 * * * globus transfer $LAB:/a $LAB:/a":                                                         "source and destination are the same",
		"0 2 * * * globus transfer $LAB:/a $OTHER:/b":                                                       "$OTHER: its value is not known here; set it in the crontab, such as OTHER=/data",
		"0 2 * * * globus transfer $LAB:/a{1,2} $VAULT:/b":                                                  ":/a{1,2}: braces stand for several words; write these out",
		"0 2 * * * globus transfer ${LAB:-x}:/a $VAULT:/b":                                                  "${LAB:-x} is more than the name of a variable",
		"0 2 * * * globus transfer ${LAB%x}:/a $VAULT:/b":                                                   "the ${ is not closed; cron ends a command at a % without a backslash",
		"0 2 * * * globus transfer \"$LAB:/a $VAULT:/b":                                                     `the quote " is not closed`,
		"0 2 * * * globus transfer \"$LAB:/\x01\" $VAULT:/b":                                                `path "/\x01" has the invisible character U+0001 in it; remove it`,
		"0 2 * * * globus delete $LAB:/":                                                                    `path "/": this would delete everything on the collection, name folders or files`,
		"0 2 * * * globus delete $LAB:/x --batch old.txt":                                                   "--batch /home/lab7/old.txt: a delete has its paths in the jobs file; write them there",
		"0 2 * * * globus bookmark create x $LAB":                                                           "globus bookmark cannot become a job; transfer, delete, rm, mkdir and timer create transfer can",
		"0 2 * * * globus -F json transfer $LAB:/a $LAB:/b":                                                 "globus -F: write the options after the command",
		"0 2 * * * pg_dump x && globus transfer $LAB:/a $VAULT:/b":                                          "pg_dump x: a job runs nothing else; give the call of globus a line of its own",
		"0 2 * * * globus transfer $LAB:/a $VAULT:/b; rm -r /x":                                             "rm -r /x: a job runs nothing else; give the call of globus a line of its own",
		"0 2 * * * globus transfer $LAB:/a $VAULT:/b || { echo; globus delete $LAB:/a; }":                   "echo globus delete $LAB:/a: a job has no alternative for when the first command fails",
		"GL=globus\n0 2 * * * find . | xargs ${GL} transfer --batch x":                                      "globus is called through another command: find . | xargs ${GL} transfer --batch x",
		"GL=globus\n0 2 * * * $GL transfer $LAB:/a $OTHER:/b":                                               "$OTHER: its value is not known here; set it in the crontab, such as OTHER=/data",
		"0 2 * * * if true; then globus transfer $LAB:/a $VAULT:/b; fi":                                     `"if": a jobs file has no conditions, loops and groups`,
		"0 2 * * * find /x | xargs globus transfer --batch x":                                               "globus is called through another command: find /x | xargs globus transfer --batch x",
		"0 2 * * * ssh far globus transfer $LAB:/a $VAULT:/b":                                               "globus is called through another command: ssh far globus transfer $LAB:/a $VAULT:/b",
		"0 2 * * * globus transfer $LAB:/a $VAULT:/b && ssh far globus delete $LAB:/a":                      "globus is called through another command: ssh far globus delete $LAB:/a",
		"LAB=x\n0 2 * * * export LAB=$OTHER; globus transfer $LAB:/a $VAULT:/b":                             "$LAB: its value is not known here; set it in the crontab, such as LAB=/data",
		"0 2 * * * globus transfer $LAB:/\xff $VAULT:/b":                                                    "it is not UTF-8, which a jobs file must be",
		"0 2 * * * (cd /x && globus transfer $LAB $VAULT --batch a); globus transfer $LAB $VAULT --batch b": `"(" is more than a list of commands`,
		"0 2 * * * true && (globus transfer $LAB:/a $VAULT:/b)":                                             `"(" is more than a list of commands`,
		"0 2 * * * root globus transfer $LAB:/a $VAULT:/b":                                                  "there is a word before globus; if this is a crontab with a column for the user, say --system",
		"@reboot globus transfer $LAB:/a $VAULT:/b":                                                         "@reboot: a job is due at a time, not when a machine starts; give it a schedule",
		"*/90 * * * * globus transfer $LAB:/a $VAULT:/b":                                                    `schedule "*/90 * * * *": minute "*/90": the step "90" is not from 1 to 60; for every 90 minutes write @every 1h30m`,
		"0 0 */2 * 1 globus transfer $LAB:/a $VAULT:/b":                                                     `schedule "0 0 */2 * 1": for cron a day must match both */2 and 1, for a job one of them is enough; write the days out`,
		"0 0 30 2 * globus transfer $LAB:/a $VAULT:/b":                                                      `schedule "0 0 30 2 *": it is never due: no such day of the month in these months`,
		"0 2 * * * globus-timer job transfer --name n --interval 3600 --item /a /b true":                    "globus-timer job transfer: it creates a timer at Globus; runner import timers makes jobs from the timers that exist",
		"0 2 * * *": `"0 2 * * *" is not a line of a crontab: want a schedule and a command, and with --system a user between them`,
		"TZ=America/Chicago\n0 2 * * * globus transfer $LAB:/$(date +\\%F) $VAULT:/b":                                         "date is in America/Chicago, but the templates of a job are in the zone of its schedule, UTC",
		"CRON_TZ=America/Chicago\nTZ=America/Chicago\n0 2 * * * export TZ=UTC; globus transfer $LAB:/$(date +\\%F) $VAULT:/b": "date is in UTC, but the templates of a job are in the zone of its schedule, America/Chicago",
		"CRON_TZ=America/Chicago\n0 2 * * * globus transfer $LAB:/$(date -u +\\%F) $VAULT:/b":                                 "date -u is the day in UTC, but the templates of a job are in the zone of its schedule, America/Chicago",
		"0 2 * * * globus timer create transfer $LAB:/a $VAULT:/b --interval 1d":                                              "--interval: without --start the timer begins whenever the line runs; add --start",
		"0 2 * * * globus timer create transfer $LAB:/a $VAULT:/b --interval 25h --start 2026-11-22":                          `--interval: no schedule has the instants every 25h from 2026-11-22 on; the nearest is "@every 25h" (--nearest takes it)`,
		"0 2 * * * globus timer create transfer $LAB:/a $VAULT:/b --interval 1d --start 2027-01-01":                           `--start: it begins at 2027-01-01T00:00:00Z; the nearest is "0 0 * * *" from now on (--nearest takes it)`,
		"0 2 * * * [ -e /x/ok ] && globus delete -r $LAB:/x/":                                                                 "[ -e /x/ok ]" + decides,
		`0 2 * * * [ "$(hostname)" = m1 ] || exit 0; globus delete -r $LAB:/x/`:                                               "[ $(hostname) = m1 ]" + decides,
		"0 2 * * * mountpoint -q /x && globus transfer $LAB:/x/ $VAULT:/x/ -r --delete-destination-extra":                     "mountpoint -q /x" + decides,
		"0 2 * * * bash -c 'test -d /x && globus transfer $LAB:/x/ $VAULT:/x/ -r && globus rm -r $LAB:/x/'":                   "test -d /x" + decides,
		"0 2 * * * . ./env && globus delete $LAB:/x":                                                                          ". ./env: it may set $LAB, and the line deletes where that says; write the values into the crontab, and take this out of the line",
		"0 2 * * * globus timer create transfer $LAB:/a $VAULT:/b --interval 1d --stop-after-date 2027-01-01":                 "--stop-after-date: a job has no end; leave it out, and remove the job on that day",
	}
	for line, want := range tests {
		t.Run(want, func(t *testing.T) {
			r := read(t, line, migrate.Options{})
			at := len(strings.Split(head+line, "\n"))
			if diff := cmp.Diff([]string{fmt.Sprintf("tab:%d: %s", at, want)}, lines(r.Problems)); diff != "" {
				t.Errorf("problems of %q (-want +got):\n%s", line, diff)
			}
			if r.File != nil {
				t.Errorf("there is a jobs file beside the problem:\n%s", r.File)
			}
		})
	}
}

func TestWhatAJobDoesNotDoIsNamed(t *testing.T) {
	const call = "globus transfer $LAB:/a $VAULT:/b"
	const why = "; a job has no conditions, and starts whenever it is due"
	tests := map[string]string{
		"[ -f /x/ready ] && " + call:                 "left out, but it decides whether the line does anything: [ -f /x/ready ]" + why,
		"test -d /x && " + call:                      "left out, but it decides whether the line does anything: test -d /x" + why,
		call + " || mail -s bad me":                  "left out, it does not change what is moved: || mail -s bad me; to be told when a job fails, write notify: {failed: […]} (docs/notices.md)",
		call + " || echo bad | mail me":              "left out, it does not change what is moved: || echo bad, mail me; to be told when a job fails, write notify: {failed: […]} (docs/notices.md)",
		call + " || { echo bad | mail me; exit 1; }": "left out, it does not change what is moved: || echo bad mail me exit 1; to be told when a job fails, write notify: {failed: […]} (docs/notices.md)",
		call + " || exit 1":                          "",
		"echo begin; date; " + call + " && true":     "",
		"mountpoint -q /x && " + call:                "left out, but it decides whether the line does anything: mountpoint -q /x" + why,
		". /x/env && " + call:                        "left out, but it may set $LAB, $VAULT, for which the value of the crontab was taken: . /x/env; check that",
		"source env; LAB=0b6c8f2e-0000-4000-8000-000000000001 VAULT=94ef1c3a-0000-4000-8000-000000000002; " + call: "left out, what it sets is not known: source env",
		"sudo -u mover " + call + " | logger -t x &":                                                               "left out, it does not change what is moved: &, sudo -u mover, logger -t x",
		"cd /x && umask 077 && " + call:                                                                            "left out, it does not change what is moved: umask 077, cd /x",
		call + " && date > /x/last":                                                                                "left out, it does not change what is moved: date > /x/last",
		"API_TOKEN=hush " + call + " || curl -d PASSWORD=hush here":                                                "left out, it does not change what is moved: API_TOKEN=***, || curl -d PASSWORD=*** here; to be told when a job fails, write notify: {failed: […]} (docs/notices.md)",
	}
	for line, want := range tests {
		t.Run(line, func(t *testing.T) {
			r := read(t, "0 2 * * * "+line, migrate.Options{})
			comment := "\n  # tab:4\n  transfer-a:\n"
			if want != "" {
				comment = "\n  # tab:4\n  # " + want + "\n  transfer-a:\n"
				want = "tab:4: " + want
			}
			if !strings.Contains(string(r.File), comment) {
				t.Errorf("the jobs file does not say it:\n%s", r.File)
			}
			if got := strings.Join(lines(r.Notes), "\n"); got != want || r.Jobs != 1 {
				t.Errorf("got %d jobs, and the notes %q, want one job and %q; problems %q", r.Jobs, got, want, lines(r.Problems))
			}
		})
	}
}

func TestAllLinesOfACrontabHaveOneIdentity(t *testing.T) {
	const one, two = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
	call := func(who string) string { return "0 2 * * * " + who + " globus transfer $LAB:/a $VAULT:/b\n" }
	tests := map[string]struct {
		text    string
		problem string // of the second call
	}{
		"on the line":       {call("GLOBUS_CLI_CLIENT_ID="+one+" GLOBUS_CLI_CLIENT_SECRET=hush") + call("GLOBUS_CLI_CLIENT_ID="+two+" GLOBUS_CLI_CLIENT_SECRET=hush"), "tab:5: GLOBUS_CLI_CLIENT_ID"},
		"by env":            {call("env GLOBUS_CLI_CLIENT_ID="+one) + call("nice env GLOBUS_CLI_CLIENT_ID="+two), "tab:5: GLOBUS_CLI_CLIENT_ID"},
		"by export":         {call("export GLOBUS_CLI_CLIENT_ID="+one+" &&") + call("GLOBUS_CLI_CLIENT_ID="+two+";"), "tab:5: GLOBUS_CLI_CLIENT_ID"},
		"between the lines": {"CLIENT_ID=" + one + "\n" + call("") + "CLIENT_ID=" + two + "\n" + call(""), "tab:7: CLIENT_ID"},
		"the same twice":    {call("GLOBUS_CLI_CLIENT_ID="+one) + call("GLOBUS_CLI_CLIENT_ID="+strings.ToUpper(one)), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := read(t, tt.text, migrate.Options{})
			problems := strings.Join(lines(r.Problems), "\n")
			if tt.problem == "" && problems != "" || tt.problem != "" && (!strings.HasPrefix(problems, tt.problem) || !strings.Contains(problems, one) || !strings.Contains(problems, two)) {
				t.Errorf("got problems %q, want %q with both clients", problems, tt.problem)
			}
			notes := strings.Join(lines(r.Notes), "\n")
			if !strings.Contains(notes, "runs as client "+one) || strings.Contains(notes+problems, "hush") {
				t.Errorf("got notes %q, want the first client, and no secret", notes)
			}
		})
	}
}

func TestWhatDoesNotChangeTheTransferIsLeftOutWithANote(t *testing.T) {
	r := read(t, `# a comment
0 1 * * * /usr/local/bin/other.sh
@reboot /usr/local/bin/boot
0 2 * * * echo begin; globus transfer $LAB:/a $VAULT:/b --format json --jq task_id >> /var/log/x 2>&1 && curl https://example.org/ping
0 3 * * * globus transfer $LAB:/c $VAULT:/d --dry-run
0 4 * * * cd /opt/gitlab-runner && for i in 1 2; do ./x; done
`, migrate.Options{Zone: "Europe/Zurich"})
	want := []string{
		"tab:5: left out, the line does not call globus itself: /usr/local/bin/other.sh; scripts are not read, and if this is one that calls globus, see docs/globus-cli.md",
		"tab:6: left out, the line does not call globus itself: /usr/local/bin/boot; scripts are not read, and if this is one that calls globus, see docs/globus-cli.md",
		"tab:7: left out, it does not change what is moved: --format, --jq, >> /var/log/x, curl https://example.org/ping",
		"tab:8: left out, it does not change what is moved: globus transfer, which moves nothing",
		"tab:9: left out, the line does not call globus itself: cd /opt/gitlab-runner && for i in 1 2; do ./x; done; scripts are not read, and if this is one that calls globus, see docs/globus-cli.md",
	}
	if diff := cmp.Diff(want, lines(r.Notes)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if r.Jobs != 1 {
		t.Errorf("got %d jobs, want 1:\n%s", r.Jobs, r.File)
	}
}

// A manifest is read as globus-cli reads a batch, so there is nothing to tell.
func TestBatchFileOfACrontabMeansTheSameAsAManifest(t *testing.T) {
	r := read(t, `0 1 * * * globus transfer $LAB $VAULT --batch /srv/a
0 2 * * * globus transfer $LAB:/ $VAULT:/in --batch /srv/b
`, migrate.Options{})
	if len(r.Notes) > 0 {
		t.Errorf("got notes %q, want none", lines(r.Notes))
	}
	f, err := jobs.Parse(nil, jobs.Source{Data: r.File})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"/srv/a": {"/~/rel", "/~/copy", "/abs", "/out"},
		"/srv/b": {"/rel", "/in/copy", "/abs", "/out"},
	}
	for _, j := range f.Jobs {
		step, got := &j.Steps[0], []string{}
		for item, err := range jobs.Items(strings.NewReader("rel copy\n/abs /out\n"), step.Transfer) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, item.SourcePath, item.DestinationPath)
		}
		if diff := cmp.Diff(want[step.Manifest], got); diff != "" {
			t.Errorf("paths of %s (-want +got):\n%s", step.Manifest, diff)
		}
	}
}

func TestGoingOnWritesWhatIsGood(t *testing.T) {
	const text = `0 1 * * * globus transfer $LAB:/a $VAULT:/b
0 2 * * * globus transfer $LAB:/c $VAULT:/d --perf-p 3
0 3 * * * globus transfer $LAB:/e/../f $VAULT:/g
0 4 * * * globus transfer $LAB:/h $VAULT:/i
`
	if r := read(t, text, migrate.Options{}); r.File != nil || r.Jobs != 2 || len(r.Problems) != 2 {
		t.Errorf("got %d jobs and %d problems, want 2 and 2, and no file", r.Jobs, len(r.Problems))
	}
	r := read(t, text, migrate.Options{KeepGoing: true})
	file, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: r.File})
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Jobs) != 2 || r.Jobs != 2 || len(r.Problems) != 2 {
		t.Errorf("got %d jobs and %d problems, want 2 and 2", len(file.Jobs), len(r.Problems))
	}
}

// kind is the key of a step.
func kind(s jobs.Step) string {
	switch {
	case s.Transfer != nil:
		return "transfer"
	case s.Delete != nil:
		return "delete"
	case s.Prune != nil:
		return "prune"
	}
	return "mkdir"
}

// As jobs of their own, the calls of a line would start together.
func TestCallsOfALineKeepTheirOrder(t *testing.T) {
	const a, b = "globus transfer $LAB:/a $VAULT:/a", "globus transfer $LAB:/b $VAULT:/b"
	tests := map[string]struct {
		line string
		want map[string][]string // steps of each job
		note bool
	}{
		"copies are jobs of their own": {a + "; " + b, map[string][]string{"transfer-a": {"transfer"}, "transfer-b": {"transfer"}}, false},
		"copies that wait":             {a + " && " + b, map[string][]string{"transfer-a": {"transfer", "transfer"}}, false},
		"a folder made anew":           {"globus rm -r $LAB:/c; globus mkdir $LAB:/c", map[string][]string{"delete-c": {"delete", "mkdir"}}, true},
		"a delete of what is copied":   {a + "; globus delete $LAB:/a", map[string][]string{"transfer-a": {"transfer", "prune"}}, true},
		"a delete behind two copies":   {a + "; " + b + "; globus delete $LAB:/c", map[string][]string{"transfer-a": {"transfer", "transfer", "delete"}}, true},
		"a mirror":                     {a + "; " + b + " -r --delete-destination-extra", map[string][]string{"transfer-a": {"transfer", "transfer"}}, true},
		"at the same time":             {a + " && globus delete $LAB:/c; globus delete $LAB:/d & globus delete $LAB:/e", map[string][]string{"transfer-a": {"transfer", "delete", "delete", "delete"}}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := read(t, "0 2 * * * "+tt.line, migrate.Options{})
			file, err := jobs.Parse(nil, jobs.Source{Data: r.File})
			if err != nil {
				t.Fatalf("%v\n%q", err, lines(r.Problems))
			}
			got := map[string][]string{}
			for _, j := range file.Jobs {
				for _, s := range j.Steps {
					got[j.Name] = append(got[j.Name], kind(s))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("steps of the jobs (-want +got):\n%s", diff)
			}
			if noted := strings.Contains(strings.Join(lines(r.Notes), "\n"), "became the steps of one job"); noted != tt.note {
				t.Errorf("notes %q, want one about the steps: %t", lines(r.Notes), tt.note)
			}
		})
	}
}

func TestZoneIsThatOfCron(t *testing.T) {
	const line = "0 2 * * * globus transfer $LAB:/a $VAULT:/b\n"
	tests := map[string]struct {
		text string
		zone string
		want string
		note bool
	}{
		"named":             {line, "America/Chicago", "America/Chicago", false},
		"in the crontab":    {"CRON_TZ=Europe/Zurich\n" + line, "", "Europe/Zurich", false},
		"both":              {"CRON_TZ=Europe/Zurich\n" + line, "America/Chicago", "Europe/Zurich", false},
		"TZ is of commands": {"TZ=Europe/Zurich\n" + line, "", "UTC", true},
		"nobody says it":    {line, "", "UTC", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := migrate.Crontab(strings.NewReader(head+tt.text), now, migrate.Cron{Flags: flags}, migrate.Options{Name: "tab", Zone: tt.zone})
			if err != nil {
				t.Fatal(err)
			}
			file, err := jobs.Parse(nil, jobs.Source{Data: r.File})
			if err != nil {
				t.Fatalf("%v\n%q", err, lines(r.Problems))
			}
			if got := file.Jobs[0].Schedule.Location().String(); got != tt.want {
				t.Errorf("got zone %s, want %s", got, tt.want)
			}
			if told := len(r.Notes) > 0; told != tt.note {
				t.Errorf("notes: %q, want one: %t", lines(r.Notes), tt.note)
			}
		})
	}
}

func TestUnknownZoneOfCronIsRefusedWhereItIsSet(t *testing.T) {
	const line = "0 2 * * * globus transfer $LAB:/a $VAULT:/b\n"
	r := read(t, "\nCRON_TZ=Mars\n"+line+"CRON_TZ=Europe/Zurich\n"+line, migrate.Options{})
	want := []string{`tab:5: CRON_TZ: there is no time zone "Mars", want an IANA name such as America/Chicago; what is below it is left out`}
	if diff := cmp.Diff(want, lines(r.Problems)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if r.Jobs != 1 {
		t.Errorf("got %d jobs, want that of Zurich alone", r.Jobs)
	}
}

func TestSystemCrontabHasAUser(t *testing.T) {
	r, err := migrate.Crontab(strings.NewReader(head+"0 2 * * * root globus transfer $LAB:/a $VAULT:/b\n"), now,
		migrate.Cron{Flags: flags, System: true}, migrate.Options{Name: "tab", Zone: "UTC"})
	if err != nil || r.Jobs != 1 {
		t.Errorf("got %d jobs, problems %q, err %v; want 1 job", r.Jobs, lines(r.Problems), err)
	}
}

func TestNamesAreUnique(t *testing.T) {
	long := strings.Repeat("x", 80)
	r := read(t, fmt.Sprintf(`0 1 * * * globus transfer $LAB:/a $VAULT:/1 --label %[1]s
0 2 * * * globus transfer $LAB:/b $VAULT:/2 --label %[1]s
0 2 * * * globus transfer $LAB:/c $VAULT:/3 --label Ünïcode
0 2 * * * globus transfer $LAB:/d $VAULT:/4 --label Ü
0 2 * * * globus transfer $LAB:/d $VAULT:/5
0 2 * * * globus transfer $LAB:/e $VAULT:/6 --label 0815
0 2 * * * globus transfer $LAB:/f $VAULT:/7 --label 0x10
0 2 * * * globus transfer $LAB:/g $VAULT:/8 --label On
`, long), migrate.Options{})
	file, err := jobs.Parse(nil, jobs.Source{Data: r.File})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, j := range file.Jobs {
		names = append(names, j.Name)
	}
	want := []string{"0815", "0x10", "n-code", "on", "transfer-d", "transfer-d-to-5", long[:50] + "-2", long[:52]}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestCrontabWithoutEndIsRefused(t *testing.T) {
	_, err := migrate.Crontab(strings.NewReader(strings.Repeat("#\n", 3<<20)), now, migrate.Cron{Flags: flags}, migrate.Options{Name: "tab"})
	if err == nil || err.Error() != "tab is longer than 1 MiB" {
		t.Errorf("got %v", err)
	}
	_, err = migrate.Crontab(strings.NewReader("\n"+strings.Repeat("x", 1<<20)), now, migrate.Cron{Flags: flags}, migrate.Options{Name: "tab"})
	if err == nil || err.Error() != "tab:2: the line is longer than 16 KiB" {
		t.Errorf("got %v", err)
	}
}

func TestWhoGetsTheMailOfCronIsToldWhenAJobFails(t *testing.T) {
	const one, two = "0 1 * * * globus transfer $LAB:/a $VAULT:/b\n", "0 2 * * * globus transfer $LAB:/c $VAULT:/d\n"
	for name, tt := range map[string]struct {
		tab   string
		want  map[string][]string // the channels of each job for failed
		to    map[string][]string // the people of each channel
		notes int
	}{
		"one for all":    {"MAILTO=\"ops@x.org, pi@x.org\"\n" + one + two, map[string][]string{"transfer-a": {"mail"}, "transfer-c": {"mail"}}, map[string][]string{"mail": {"ops@x.org", "pi@x.org"}}, 1},
		"another below":  {"MAILTO=ops@x.org\n" + one + "MAILTO=pi@x.org\n" + two, map[string][]string{"transfer-a": {"mail"}, "transfer-c": {"mail-2"}}, map[string][]string{"mail": {"ops@x.org"}, "mail-2": {"pi@x.org"}}, 1},
		"nobody below":   {"MAILTO=ops@x.org\n" + one + "MAILTO=\"\"\n" + two, map[string][]string{"transfer-a": {"mail"}, "transfer-c": nil}, map[string][]string{"mail": {"ops@x.org"}}, 1},
		"nobody above":   {one + "MAILTO=ops@x.org\n" + two, map[string][]string{"transfer-a": nil, "transfer-c": {"mail"}}, map[string][]string{"mail": {"ops@x.org"}}, 1},
		"a user":         {"MAILTO=root,ops@x.org\n" + one, map[string][]string{"transfer-a": {"mail"}}, map[string][]string{"mail": {"ops@x.org"}}, 2},
		"users alone":    {"MAILTO=root\n" + one, map[string][]string{"transfer-a": nil}, map[string][]string{}, 1},
		"for other work": {one + "MAILTO=ops@x.org\n0 1 * * * /usr/bin/true\n", map[string][]string{"transfer-a": nil}, map[string][]string{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := read(t, tt.tab, migrate.Options{Zone: "Europe/Zurich"})
			file, err := jobs.Parse(nil, jobs.Source{Name: "jobs.yaml", Data: r.File})
			if err != nil {
				t.Fatalf("%v\n%s", err, r.File)
			}
			got, to := map[string][]string{}, map[string][]string{}
			for _, j := range file.Jobs {
				got[j.Name] = j.Notify.To["failed"]
			}
			for name, c := range file.Channels {
				to[name] = c.Mail.To
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("channels of the jobs (-want +got):\n%s\n%s", diff, r.File)
			}
			if diff := cmp.Diff(tt.to, to); diff != "" {
				t.Errorf("channels (-want +got):\n%s", diff)
			}
			if len(r.Notes) != tt.notes {
				t.Errorf("got the notes %v, want %d", r.Notes, tt.notes)
			}
		})
	}
}
