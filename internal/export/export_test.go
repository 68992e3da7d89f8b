package export_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/export"
	"github.com/globus-runner/globus-runner/jobs"
)

const head = `version: 1
env: [SITE, "NO"]
collections:
  lab: 0b6c8f2e-0000-4000-8000-000000000001
  vault: 94ef1c3a-0000-4000-8000-000000000002
jobs:
`

// work is what the jobs of these tests do.
const work = `transfer: {source: "lab:/data/", destination: "vault:/raw/"}`

// input is a file of jobs, each given as a mapping in flow style without its
// braces.
func input(t *testing.T, all ...string) export.Input {
	t.Helper()
	var text strings.Builder
	text.WriteString(head)
	for i, job := range all {
		do := strings.ReplaceAll(work, "/raw/", fmt.Sprintf("/raw/%d/", i+1))
		if strings.Contains(job, "for_each") {
			do = strings.ReplaceAll(do, `/",`, `/{{ .Item.Name }}/",`)
			do = strings.ReplaceAll(do, `/"}`, `/{{ .Item.Name }}/"}`)
		}
		fmt.Fprintf(&text, "  job-%d: {%s, %s}\n", i+1, job, do)
	}
	return parse(t, text.String())
}

func parse(t *testing.T, text string) export.Input {
	t.Helper()
	in, err := inputOf(text)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func inputOf(text string) (export.Input, error) {
	src := jobs.Source{Name: "jobs.yaml", Data: []byte(text)}
	file, err := jobs.Parse(nil, src)
	return export.Input{File: file, Sources: []jobs.Source{src}, Path: "jobs.yaml"}, err
}

// documents reads the YAML documents of a result's only file.
func documents(t *testing.T, res *export.Result, err error) (docs []map[string]any) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Files) != 1 {
		t.Fatalf("got %d files, want one", len(res.Files))
	}
	d := yaml.NewDecoder(strings.NewReader(res.Files[0].Text))
	for {
		var doc map[string]any
		switch err := d.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return docs
		case err != nil:
			t.Fatalf("%v\n%s", err, res.Files[0].Text)
		}
		docs = append(docs, doc)
	}
}

// at finds what is at a path of keys and indices such as spec.containers.0.
func at(t *testing.T, doc any, path string) any {
	t.Helper()
	for key := range strings.SplitSeq(path, ".") {
		switch node := doc.(type) {
		case map[string]any:
			doc = node[key]
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(node) {
				t.Fatalf("there is no %s in %s", key, path)
			}
			doc = node[i]
		default:
			return nil
		}
	}
	return doc
}

// refusals are the problems in an error, without their lines.
func refusals(t *testing.T, res *export.Result, err error) (texts []string) {
	t.Helper()
	if (res == nil) == (err == nil) {
		t.Fatalf("got %v and the error %v, want one of them", res, err)
	}
	for _, p := range jobs.Problems(err) {
		if p.File != "jobs.yaml" || p.Line == 0 {
			t.Errorf("%v is not at a line of jobs.yaml", p)
		}
		texts = append(texts, p.Field+": "+p.Msg)
	}
	return texts
}

func TestWhatATargetCannotExpressIsRefusedByName(t *testing.T) {
	cronJobs := func(in export.Input) (*export.Result, error) { return export.CronJobs(in, export.Kubernetes{}) }
	deployment := func(in export.Input) (*export.Result, error) { return export.Deployment(in, export.Kubernetes{}) }
	compose := func(in export.Input) (*export.Result, error) { return export.Compose(in, "") }
	tests := map[string]struct {
		job    string
		target func(export.Input) (*export.Result, error)
		want   string // beginning of what is refused, after jobs.job-1.; empty if nothing is
	}{
		"jitter, CronJob":                     {`schedule: "0 4 * * *", jitter: 5m`, cronJobs, "jitter: a CronJob starts on the minute"},
		"all missed, CronJob":                 {`schedule: "0 4 * * *", catch_up: all`, cronJobs, "catch_up: a CronJob starts only the latest"},
		"deadline of 9 s, CronJob":            {`schedule: "0 4 * * *", starting_deadline: 9s`, cronJobs, "starting_deadline: Kubernetes looks at CronJobs every 10 seconds"},
		"deadline of 10 s, CronJob":           {`schedule: "0 4 * * *", starting_deadline: 10s`, cronJobs, ""},
		"every 90m, CronJob":                  {`schedule: "@every 90m"`, cronJobs, "schedule: no single cron expression has the instants of @every 90m"},
		"every 7m, CronJob":                   {`schedule: "@every 7m"`, cronJobs, "schedule: no single cron expression"},
		"every 90s, CronJob":                  {`schedule: "@every 90s"`, cronJobs, "schedule: no single cron expression has the instants of @every 90s"},
		"every 2d, CronJob":                   {`schedule: "@every 48h"`, cronJobs, "schedule: no single cron expression has the instants of @every 2d"},
		"in the gap, CronJob":                 {`schedule: "30 2 * * *", time_zone: America/Chicago`, cronJobs, "schedule: 02:30 does not exist on 2027-03-14 in America/Chicago, and Kubernetes leaves the occurrence out"},
		"gap never met, CronJob":              {`schedule: "30 2 * * mon", time_zone: America/Chicago`, cronJobs, ""},
		"elapsed time, CronJob":               {`schedule: "*/30 2 * * *", time_zone: America/Chicago`, cronJobs, ""},
		"all policies, Deployment":            {`schedule: "30 2 * * *", time_zone: America/Chicago, jitter: 5m, catch_up: all, concurrency_policy: replace`, deployment, ""},
		"all policies, compose":               {`schedule: "@every 7m", jitter: 5m, catch_up: all, concurrency_policy: allow`, compose, ""},
		"replace, timer":                      {`schedule: "0 4 * * *", concurrency_policy: replace`, export.Timers, "concurrency_policy: a timer does not start a job that is still running"},
		"allow, timer":                        {`schedule: "0 4 * * *", concurrency_policy: allow`, export.Timers, "concurrency_policy: "},
		"all missed, timer":                   {`schedule: "0 4 * * *", catch_up: all`, export.Timers, "catch_up: a timer starts only the latest"},
		"deadline below a day, timer":         {`schedule: "0 4 * * *", starting_deadline: 6h`, export.Timers, "starting_deadline: a timer starts a missed occurrence as late as the next one, which is up to 1d, and not only within 6h"},
		"deadline, nothing missed, timer":     {`schedule: "0 4 * * *", starting_deadline: 6h, catch_up: none`, export.Timers, ""},
		"weekly, timer":                       {`schedule: "0 4 * * 7"`, export.Timers, "starting_deadline: a timer starts a missed occurrence as late as the next one, which is up to 7d, and not only within 1d"},
		"weekly with its deadline, timer":     {`schedule: "0 4 * * 7", starting_deadline: 7d`, export.Timers, ""},
		"office hours, timer":                 {`schedule: "0 9-17 * * *", starting_deadline: 15h`, export.Timers, "starting_deadline: a timer starts a missed occurrence as late as the next one, which is up to 16h"},
		"leap day, timer":                     {`schedule: "0 4 29 2 *", starting_deadline: 1460d`, export.Timers, "starting_deadline: a timer starts a missed occurrence as late as the next one, which is up to 1461d"},
		"jitter, timer":                       {`schedule: "0 * * * *", jitter: 59m`, export.Timers, ""},
		"jitter over the next one, timer":     {`schedule: "0,50 * * * *", jitter: 10m`, export.Timers, "jitter: 10m is not below 10m, the shortest time between two occurrences"},
		"jitter over the next day, timer":     {`schedule: "30 0,23 * * *", jitter: 1h`, export.Timers, "jitter: 1h is not below 1h"},
		"every 90m, timer":                    {`schedule: "@every 90m"`, export.Timers, ""},
		"every 7m, timer":                     {`schedule: "@every 7m"`, export.Timers, "schedule: a calendar does not have the instants of @every 7m"},
		"in the gap, timer":                   {`schedule: "30 2 * * *", time_zone: Europe/Berlin`, export.Timers, "schedule: 02:30 does not exist on 2027-03-28 in Europe/Berlin, and systemd leaves the occurrence out"},
		"a fixed time shown twice, timer":     {`schedule: "30 1 * * *", time_zone: America/Chicago`, export.Timers, ""},
		"elapsed time shown twice, timer":     {`schedule: "*/30 1 * * *", time_zone: America/Chicago`, export.Timers, "schedule: 01:00 occurs twice on 2027-11-07 in America/Chicago, and systemd leaves one of them out"},
		"hourly, timer":                       {`schedule: "@hourly", time_zone: America/Chicago`, export.Timers, ""},
		"hourly, half an hour's shift, timer": {`schedule: "45 * * * *", time_zone: Australia/Lord_Howe`, export.Timers, "schedule: 01:45 occurs twice on 2027-04-04"},
		"receipts, CronJob":                   {`schedule: "@daily", receipts: true`, cronJobs, "receipts: the receipts of the job are in the ledger, which a CronJob does not have; use --kind deployment"},
		"receipts, timer":                     {`schedule: "@daily", receipts: true`, export.Timers, "receipts: the receipts of the job are in the ledger, which a timer does not have; let runner serve do it"},
		"receipts, Deployment":                {`schedule: "@daily", receipts: true`, deployment, ""},
		"receipts, compose":                   {`schedule: "@daily", receipts: true`, compose, ""},
		"unchanged items, CronJob":            {`schedule: "@hourly", for_each: {folder: "lab:/data/", ready: {unchanged_for: 15m}}`, cronJobs, "for_each.ready.unchanged_for: the result of the look before is in the ledger, which a CronJob does not have; use marker or older_than, or use --kind deployment"},
		"changed items, timer":                {`schedule: "@hourly", for_each: {folder: "lab:/data/", ready: {marker: DONE}, again: changed}`, export.Timers, "for_each.again: the earlier copies of an item are in the ledger, which a timer does not have"},
		"marked items, CronJob":               {`schedule: "*/10 * * * *", for_each: {folder: "lab:/data/", ready: {marker: DONE}}`, cronJobs, ""},
		"old items, timer":                    {`schedule: "*/10 * * * *", for_each: {folder: "lab:/data/", ready: {older_than: 1h}}`, export.Timers, ""},
		"unchanged items, Deployment":         {`schedule: "*/10 * * * *", for_each: {folder: "lab:/data/", ready: {unchanged_for: 15m}, again: changed}`, deployment, ""},
		"by hand with a jitter, CronJob":      {`jitter: 5m, catch_up: all`, cronJobs, ""},
		"by hand with a jitter, timer":        {`jitter: 5m, catch_up: all`, export.Timers, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			res, err := tt.target(input(t, tt.job))
			got := refusals(t, res, err)
			switch {
			case tt.want == "" && len(got) > 0, tt.want != "" && len(got) != 1:
				t.Fatalf("got %q, want %q alone", got, tt.want)
			case tt.want != "" && !strings.HasPrefix(got[0], "jobs.job-1."+tt.want):
				t.Errorf("got %q, want jobs.job-1.%s", got[0], tt.want)
			}
		})
	}
}

// A look is not about the instant at which it was due, and has as many tasks as
// there are items.
func TestAJobWithItemsLooksOnce(t *testing.T) {
	in := input(t, `schedule: "*/10 * * * *", for_each: {folder: "lab:/data/", ready: {marker: DONE}}`)
	res, err := export.Timers(in)
	if err != nil {
		t.Fatal(err)
	}
	if text := res.Files[0].Text; !strings.Contains(text, "runner run job-1 --skip-ok\n") || strings.Contains(text, "--scheduled-for") {
		t.Errorf("got the service\n%s", text)
	}
	res, err = export.CronJobs(in, export.Kubernetes{})
	spec := at(t, documents(t, res, err)[1], "spec")
	if got := at(t, spec, "jobTemplate.spec.activeDeadlineSeconds"); got != nil {
		t.Errorf("the CronJob ends after %v s, want no deadline", got)
	}
}

// A job that prunes keeps receipts without saying so: the prune is what it says.
func TestAPruneIsRefusedAtItsStep(t *testing.T) {
	text := head + `  move:
    schedule: "@daily"
    steps:
      - transfer: {source: "lab:/data/", destination: "vault:/raw/"}
      - prune: {}
`
	_, err := export.CronJobs(parse(t, text), export.Kubernetes{})
	got := refusals(t, nil, err)
	want := "jobs.move.steps[1].prune: the receipts by which it deletes are in the ledger, which a CronJob does not have; use --kind deployment"
	if len(got) != 1 || !strings.Contains(got[0], want) {
		t.Errorf("got %q, want %s", got, want)
	}
}

// A job whose receipts another one prunes by keeps them without saying so either.
func TestTheJobOfAPruneIsRefusedByName(t *testing.T) {
	text := head + `  copy:
    schedule: "@daily"
    transfer: {source: "lab:/data/", destination: "vault:/raw/"}
  tidy:
    schedule: "@daily"
    prune: {of: [copy]}
`
	_, err := export.CronJobs(parse(t, text), export.Kubernetes{})
	got := refusals(t, nil, err)
	want := "jobs.copy: it keeps receipts, because tidy prunes by them, and they are in the ledger, which a CronJob does not have; use --kind deployment"
	if len(got) != 2 || !strings.Contains(strings.Join(got, "\n"), want) {
		t.Errorf("got %q, want %s", got, want)
	}
}

func TestEveryRefusalIsToldAtOnceWithItsLine(t *testing.T) {
	text := head + `  nightly:
    schedule: "30 2 * * *"
    time_zone: Europe/Berlin
    jitter: 5m
    steps:
      - mkdir: {collection: vault, path: /raw/}
      - transfer: {source: "lab:/data/", destination: "vault:/raw/", manifest: list.txt}
  purge: {after: nightly, delete: {collection: lab, paths: [/old/], unproven: true}}
  weekly: {schedule: "@weekly", ` + strings.ReplaceAll(work, "raw", "raw2") + "}\n" +
		"defaults: {catch_up: all}\n"
	_, err := export.CronJobs(parse(t, text), export.Kubernetes{})
	var got []string
	for _, p := range jobs.Problems(err) {
		got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Col, p.Field))
	}
	want := []string{
		"8:15 jobs.nightly.schedule",
		"10:13 jobs.nightly.jitter",
		"13:80 jobs.nightly.steps[1].transfer.manifest",
		"14:18 jobs.purge.after",
		"16:22 jobs.nightly.catch_up",
		"16:22 jobs.weekly.catch_up",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals of CronJobs (-want +got):\n%s", diff)
	}
	_, err = export.Timers(parse(t, text))
	if got := jobs.Problems(err); len(got) != 4 {
		t.Errorf("timers: got %v, want schedule, after and catch_up twice", err)
	}
}

func TestManifestsAreRefusedWhereTheyWouldNotBe(t *testing.T) {
	in := parse(t, head+`  listed: {transfer: {source: "lab:/data/", destination: "vault:/raw/", manifest: list.txt}}`+"\n")
	for name, target := range map[string]func() (*export.Result, error){
		"cronjob":    func() (*export.Result, error) { return export.CronJobs(in, export.Kubernetes{}) },
		"deployment": func() (*export.Result, error) { return export.Deployment(in, export.Kubernetes{}) },
		"compose":    func() (*export.Result, error) { return export.Compose(in, "") },
	} {
		res, err := target()
		got := refusals(t, res, err)
		if len(got) != 1 || !strings.HasPrefix(got[0], "jobs.listed.transfer.manifest: the file would not be in the ") {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if _, err := export.Timers(in); err != nil {
		t.Errorf("timers: %v", err)
	}
}

// channels is a jobs file whose channels read files, one of them two channels.
const channels = `version: 1
collections: {lab: 0b6c8f2e-0000-4000-8000-000000000001, vault: 94ef1c3a-0000-4000-8000-000000000002}
notify:
  ops: {webhook: {url_file: /run/secrets/hook, secret_file: /run/secrets/key}}
  night: {webhook: {url_file: /run/secrets/hook}}
  pi: {mail: {to: [pi@example.edu]}}
defaults: {notify: {failed: [ops, night, pi]}}
jobs:
  nightly: {schedule: "@daily", transfer: {source: "lab:/data/", destination: "vault:/raw/"}}
`

func TestFilesOfChannelsAreMountedWhereTheJobsFileNamesThem(t *testing.T) {
	in := parse(t, channels)
	res, err := export.CronJobs(in, export.Kubernetes{Secret: "site"})
	cronJob := at(t, documents(t, res, err)[1], "spec.jobTemplate.spec.template.spec")
	res, err = export.Deployment(in, export.Kubernetes{Secret: "site"})
	deployment := at(t, documents(t, res, err)[2], "spec.template.spec")
	for kind, pod := range map[string]any{"CronJob": cronJob, "Deployment": deployment} {
		var got []string
		for _, m := range at(t, pod, "containers.0.volumeMounts").([]any) {
			if at(t, m, "name") == "channels" {
				got = append(got, fmt.Sprint(at(t, m, "subPath"), " ", at(t, m, "mountPath")))
			}
		}
		want := []string{"notify.night.url_file /run/secrets/hook", "notify.ops.secret_file /run/secrets/key"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: mounts (-want +got):\n%s", kind, diff)
		}
		text := fmt.Sprint(pod)
		for _, want := range []string{"RUNNER_SMTP_URL_FILE value:/run/secrets/globus/smtp_url", "key:smtp_url", "key:smtp_from name:site", "key:notify.ops.secret_file"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: there is no %q in\n%s", kind, want, text)
			}
		}
	}
	res, err = export.Compose(in, "")
	compose := documents(t, res, err)[0]
	if got := at(t, compose, "services.runner.environment.RUNNER_SMTP_URL_FILE"); got != "/run/secrets/smtp-url" {
		t.Errorf("compose: got the mail server in %v", got)
	}
	if got := fmt.Sprint(at(t, compose, "services.runner.secrets")); got != "[client-secret smtp-url map[source:notify.night.url_file target:/run/secrets/hook] map[source:notify.ops.secret_file target:/run/secrets/key]]" {
		t.Errorf("compose: got the secrets %s", got)
	}
	if got := at(t, compose, "secrets").(map[string]any)["notify.ops.secret_file"]; fmt.Sprint(got) != "map[file:./notify.ops.secret_file]" {
		t.Errorf("compose: got the secret %v", got)
	}
}

func TestFilesOfChannelsAreRefusedWhereTheyCannotBe(t *testing.T) {
	for name, tt := range map[string]struct {
		text   string
		target string
		want   []string // fields
	}{
		"beside the jobs":         {strings.ReplaceAll(channels, "/run/secrets/key", "key"), "cronjob", []string{"notify.ops.webhook.secret_file"}},
		"among the credentials":   {strings.ReplaceAll(channels, "/run/secrets/key", "/run/secrets/globus/key"), "deployment", []string{"notify.ops.webhook.secret_file"}},
		"a service of systemd":    {channels, "timers", []string{"notify.ops.webhook.secret_file", "notify.night.webhook.url_file"}},
		"beside the jobs, mapped": {strings.ReplaceAll(channels, "/run/secrets/key", "key"), "compose", nil},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := targets()[tt.target](parse(t, tt.text))
			var got []string
			for _, text := range refusals(t, res, err) {
				field, _, _ := strings.Cut(text, ":")
				got = append(got, field)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
		})
	}
	mails := strings.ReplaceAll(strings.ReplaceAll(channels, "{webhook: {url_file: /run/secrets/hook, secret_file: /run/secrets/key}}", "{mail: {to: [a@example.edu]}}"),
		"{webhook: {url_file: /run/secrets/hook}}", "{mail: {to: [b@example.edu]}}")
	res, err := export.Timers(parse(t, mails))
	if err != nil || !strings.Contains(res.Files[0].Text, "LoadCredential=smtp-url:/etc/runner/smtp-url\nEnvironment=RUNNER_SMTP_URL_FILE=%d/smtp-url\n") {
		t.Errorf("got %v, %v, want a service with the mail server", res, err)
	}
}

func TestValuesOfVariablesAreNotWritten(t *testing.T) {
	text := head + `  one: {transfer: {source: 'lab:/{{ env "SITE" }}/', destination: "vault:/raw/"}}` + "\n"
	src := jobs.Source{Name: "jobs.yaml", Data: []byte(text)}
	file, err := jobs.Parse(func(string) string { return "canary" }, src)
	if err != nil {
		t.Fatal(err)
	}
	in := export.Input{File: file, Sources: []jobs.Source{src}, Path: "jobs.yaml"}
	for _, target := range targets() {
		res, err := target(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Files {
			if strings.Contains(f.Text, "canary") || !strings.Contains(f.Text, "SITE") {
				t.Errorf("got this, want the name of the variable and not its value:\n%s", f.Text)
			}
		}
	}
}

// targets are all kinds of exports.
func targets() map[string]func(export.Input) (*export.Result, error) {
	return map[string]func(export.Input) (*export.Result, error){
		"cronjob":    func(in export.Input) (*export.Result, error) { return export.CronJobs(in, export.Kubernetes{}) },
		"deployment": func(in export.Input) (*export.Result, error) { return export.Deployment(in, export.Kubernetes{}) },
		"compose":    func(in export.Input) (*export.Result, error) { return export.Compose(in, "") },
		"timers":     export.Timers,
	}
}
