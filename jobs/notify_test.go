package jobs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

// tellsOf is a jobs file with channels, and what a job says of them.
func tellsOf(channels, defaults, job string) string {
	return `version: 1
collections: {lab: ` + labID + `, vault: ` + vaultID + `}
notify: {` + channels + `}
defaults: {` + defaults + `}
jobs:
  nightly: {schedule: "@daily", transfer: {source: "lab:/a/", destination: "vault:/a/"}` + job + `}
`
}

func TestParseReadsWhoHears(t *testing.T) {
	file, err := parseText(tellsOf(
		`ops: {webhook: {url_file: hook, secret_file: /run/key}}, pi: {mail: {to: [pi@example.edu]}, digest: "0 7 * * 1"},
		 dog: {ping: "https://ping.example.org/{{ .Job }}"}`,
		`time_zone: Europe/Berlin, notify: {failed: [ops], nothing: [pi], overdue: [pi], repeat: 6h}, expect: {success_every: 26h, files: 1}`,
		`, notify: {nothing: [], digest: [pi]}, expect: {files: 5}`))
	if err != nil {
		t.Fatal(err)
	}
	job := file.Jobs[0]
	want := jobs.Notify{Repeat: 6 * time.Hour, To: map[string][]string{
		"failed": {"ops"}, "nothing": {}, "overdue": {"pi"}, "digest": {"pi"}, "runs": {"dog"},
		"refused": {"ops"}, "missing": {"ops"}, "needs_human": {"ops"}, // where failed is told
	}}
	if diff := cmp.Diff(want, job.Notify); diff != "" {
		t.Errorf("notify (-want +got):\n%s", diff)
	}
	if want := (jobs.Expect{SuccessEvery: 26 * time.Hour, StartWithin: 15 * time.Minute, Files: 5}); job.Expect != want {
		t.Errorf("got %+v, want %+v", job.Expect, want)
	}
	if diff := cmp.Diff(&jobs.Webhook{Hook: jobs.Hook{URLFile: "hook"}, SecretFile: "/run/key"}, file.Channels["ops"].Webhook); diff != "" {
		t.Errorf("webhook (-want +got):\n%s", diff)
	}
	if got := file.Channels["pi"].Digest; got == nil || got.Location().String() != "Europe/Berlin" {
		t.Errorf("got the digest at %v, want it in the zone of the defaults", got)
	}
	if len(file.Warnings) != 0 {
		t.Errorf("got warnings %v", file.Warnings)
	}
}

func TestParseNamesEveryProblemOfChannels(t *testing.T) {
	const ops = `ops: {webhook: {url: "https://hooks.example.org/in"}}`
	tests := map[string]struct{ channels, job, want string }{
		"unknown channel":  {ops, `, notify: {failed: [opps]}`, `jobs.nightly.notify.failed[0]: there is no channel "opps", did you mean ops?`},
		"no channel":       {``, `, notify: {failed: [ops]}`, `there is no channel "ops"; describe it at the top of the file`},
		"unknown event":    {ops, `, notify: {fail: [ops]}`, `unknown key "fail", did you mean failed?`},
		"two kinds":        {`ops: {slack: {url_file: a}, mail: {to: [a@example.org]}}`, ``, `notify.ops.mail: there is slack already`},
		"no kind":          {`ops: {}`, ``, `notify.ops: want exactly one of`},
		"two addresses":    {`ops: {webhook: {url: "https://example.org", url_file: a}}`, ``, `notify.ops.webhook.url_file: there is url already`},
		"plain HTTP":       {`ops: {webhook: {url: "http://example.org/in"}}`, ``, `http is not encrypted`},
		"template":         {`ops: {webhook: {url: "https://example.org/{{ .Job }}"}}`, ``, `only the address of a ping`},
		"another template": {`ops: {ping: "https://example.org/{{ .Key }}"}`, ``, `{{ .Job }} in it, and no other template`},
		"mail address":     {`ops: {mail: {to: ["PI <pi@example.edu>"]}}`, ``, `notify.ops.mail.to[0]: "PI <pi@example.edu>" is not an address`},
		"mail header":      {`ops: {mail: {to: ["pi@example.edu\r\nBcc: x@example.org"]}}`, ``, `the text has a line end in it`},
		"nobody":           {`ops: {mail: {cc: [pi@example.edu]}}`, ``, `the key "to" is missing`},
		"ping of failures": {`ops: {ping: "https://example.org"}`, `, notify: {failed: [ops]}`, `ops is a ping, which hears of runs alone`},
		"ping's digest":    {`ops: {ping: "https://example.org", digest: "@daily"}`, ``, `notify.ops.digest: a ping says`},
		"digest":           {`ops: {slack: {url_file: a}, digest: "every day"}`, ``, `notify.ops.digest`},
		"channel's name":   {`Ops: {slack: {url_file: a}}`, ``, `channel name "Ops"`},
		"short wait":       {ops, `, expect: {success_every: 5s}`, `5s is too short`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(tellsOf(tt.channels, "", tt.job))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestExpectationsThatNobodyHearsOfAreAWarning(t *testing.T) {
	const channel = `ops: {webhook: {url_file: hook}}`
	warned := func(channels, defaults, job string) (got []string) {
		t.Helper()
		file, err := parseText(tellsOf(channels, defaults, job))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range file.Warnings {
			if strings.HasSuffix(w.Field, ".expect") {
				got = append(got, w.Msg)
			}
		}
		return got
	}
	want := []string{
		"no channel is named for nothing or failed, so nobody is told if files or bytes is not met; name one, such as notify: {nothing: [ops]}",
		"no channel is named for overdue or failed, so nobody is told if success_every is not met; name one, such as notify: {overdue: [ops]}",
	}
	const all = `expect: {success_every: 26h, files: 1}`
	if diff := cmp.Diff(want, warned(channel, "notify: {late: [ops]}, "+all, "")); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if got := warned(channel, "notify: {overdue: [ops], nothing: []}", ", "+all); got != nil {
		t.Errorf("though a channel hears: %q", got)
	}
	if got := warned(channel, "notify: {failed: [ops]}", ", "+all); got != nil {
		t.Errorf("though the channel of failures hears: %q", got)
	}
	if got := warned("", "", ", "+all); got != nil {
		t.Errorf("without any channel: %q", got)
	}
}

// Who wrote failed alone wants to hear of every run that did not do what it is for.
func TestChannelsOfFailedHearOfWhatIsLikeIt(t *testing.T) {
	for name, tt := range map[string]struct {
		defaults, job string
		want          map[string][]string
	}{
		"failed alone": {"", ", notify: {failed: [ops]}", map[string][]string{
			"failed": {"ops"}, "refused": {"ops"}, "missing": {"ops"}, "nothing": {"ops"}, "needs_human": {"ops"}, "overdue": {"ops"},
		}},
		"in the defaults, and the job names another channel": {"notify: {failed: [ops], missing: [pi]}", ", notify: {failed: [pi], refused: []}", map[string][]string{
			"failed": {"pi"}, "refused": {}, "missing": {"pi"}, "nothing": {"pi"}, "needs_human": {"pi"}, "overdue": {"pi"},
		}},
		"failed turned off": {"notify: {failed: [ops]}", ", notify: {failed: [], late: [pi]}", map[string][]string{"failed": {}, "late": {"pi"}}},
		"failed not named":  {"", ", notify: {late: [ops]}", map[string][]string{"late": {"ops"}}},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := parseText(tellsOf(`ops: {webhook: {url_file: hook}}, pi: {mail: {to: [pi@example.edu]}}`, tt.defaults, tt.job))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, file.Jobs[0].Notify.To); diff != "" {
				t.Errorf("channels by event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestASuccessThatCannotComeSoOftenIsAWarning(t *testing.T) {
	for name, tt := range map[string]struct {
		schedule, every string
		want            bool
	}{
		"far too often":             {"@daily", "1m", true},
		"just too often":            {"@daily", "20h", true},
		"with time for the run":     {"@daily", "26h", false},
		"every minute":              {"* * * * *", "2m", false},
		"twice a day, at any times": {"0 2,14 * * *", "13h", false},
		"a week":                    {"0 2 * * 1", "26h", true},
		"an interval":               {"@every 30m", "20m", true},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(tellsOf("", "", ", expect: {success_every: "+tt.every+"}"), "@daily", tt.schedule, 1)
			file, err := parseText(text)
			if err != nil {
				t.Fatal(err)
			}
			warned := slices.ContainsFunc(file.Warnings, func(w *jobs.Problem) bool { return strings.Contains(w.Msg, "always be overdue") })
			if warned != tt.want {
				t.Errorf("warnings %v, want one: %v", file.Warnings, tt.want)
			}
		})
	}
}

func TestNotifyWithoutAChannelIsAWarning(t *testing.T) {
	const nobody = "no channel is named, so nobody is told about the job; name one, such as notify: {failed: [ops]}"
	for name, tt := range map[string]struct {
		channels, defaults, job string
		want                    []string
	}{
		"no channels":   {"", "", ", notify: {failed: []}", []string{"notify: it names no channel, so nobody is told anything; describe one, such as notify: {ops: {mail: {to: [pi@example.edu]}}}"}},
		"a job":         {`ops: {ping: "https://ping.example.org"}`, "", ", notify: {repeat: 2h, runs: []}", []string{"jobs.nightly.notify.repeat: " + nobody}},
		"defaults":      {`dog: {ping: "https://ping.example.org"}`, "notify: {repeat: 2h}", "", nil}, // the ping hears
		"a job has one": {`ops: {mail: {to: [pi@example.edu]}}`, "notify: {repeat: 2h}", ", notify: {failed: [ops]}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := parseText(tellsOf(tt.channels, tt.defaults, tt.job))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range file.Warnings {
				got = append(got, w.Field+": "+w.Msg)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChannelsThatWouldStaySilentAreAWarning(t *testing.T) {
	file, err := parseText(tellsOf(`ops: {slack: {url: "https://hooks.example.org/secret"}}`, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range file.Warnings {
		got = append(got, w.Field+": "+w.Msg)
	}
	want := []string{
		"notify.ops: no job names the channel ops, so nothing is sent there; name it, such as defaults: {notify: {failed: [ops]}}",
		"notify.ops.slack.url: whoever knows the address can write to the channel; keep it in a file, and name that in url_file",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
