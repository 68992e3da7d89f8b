package export_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/export"
	"github.com/globus-runner/globus-runner/jobs"
)

func TestEachPolicyHasItsFieldOfACronJob(t *testing.T) {
	tests := map[string]struct {
		job  string
		want map[string]any // of the spec
	}{
		"defaults": {`schedule: "0 4 * * *"`, map[string]any{
			"schedule": "0 4 * * *", "timeZone": "UTC", "concurrencyPolicy": "Forbid", "suspend": false,
			"startingDeadlineSeconds": uint64(86400), "jobTemplate.spec.activeDeadlineSeconds": uint64(25 * 3600),
		}},
		"zone, Sunday, suspended": {`schedule: "0 4 * * 7", time_zone: Europe/Berlin, suspend: true`, map[string]any{
			"schedule": "0 4 * * 0", "timeZone": "Europe/Berlin", "suspend": true,
		}},
		"every":                     {`schedule: "@every 6h", time_zone: Europe/Berlin`, map[string]any{"schedule": "0 */6 * * *", "timeZone": "UTC"}},
		"every week, as 1970 began": {`schedule: "@every 168h"`, map[string]any{"schedule": "0 0 * * 4"}},
		"every day":                 {`schedule: "@every 24h"`, map[string]any{"schedule": "0 0 * * *"}},
		"every minute":              {`schedule: "@every 1m"`, map[string]any{"schedule": "* * * * *"}},
		"nothing missed":            {`schedule: "@daily", catch_up: none`, map[string]any{"startingDeadlineSeconds": uint64(60)}},
		"nothing missed, shorter":   {`schedule: "@daily", catch_up: none, starting_deadline: 30s`, map[string]any{"startingDeadlineSeconds": uint64(30)}},
		"a deadline":                {`schedule: "@daily", starting_deadline: 6h`, map[string]any{"startingDeadlineSeconds": uint64(6 * 3600)}},
		"replace":                   {`schedule: "@daily", concurrency_policy: replace`, map[string]any{"concurrencyPolicy": "Replace"}},
		"allow waits for others": {`schedule: "@daily", concurrency_policy: allow`, map[string]any{
			"concurrencyPolicy": "Allow", "jobTemplate.spec.activeDeadlineSeconds": nil,
		}},
		"attempts": {`schedule: "@daily", active_deadline: 2h, backoff_limit: 2, backoff: 5m`, map[string]any{
			// 3 × 2 h, 5 min and 10 min, and an hour
			"jobTemplate.spec.activeDeadlineSeconds": uint64(3*7200 + 900 + 3600),
		}},
		"very many attempts": {`schedule: "@daily", active_deadline: 3650d, backoff_limit: 1000, backoff: 3650d`, map[string]any{
			"jobTemplate.spec.activeDeadlineSeconds": uint64(1<<31 - 1),
		}},
		"by hand": {`description: by hand`, map[string]any{"schedule": "0 0 31 2 *", "suspend": true, "startingDeadlineSeconds": nil}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			res, err := export.CronJobs(input(t, tt.job), export.Kubernetes{})
			spec := at(t, documents(t, res, err)[1], "spec")
			for path, want := range tt.want {
				if diff := cmp.Diff(want, at(t, spec, path)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			}
		})
	}
}

func TestEveryTaskOfAJobCountsForItsDeadline(t *testing.T) {
	in := parse(t, head+`  steps:
    schedule: "@daily"
    active_deadline: 1h
    steps:
      - mkdir: {collection: vault, path: /raw/}
      - `+work+`
      - delete: {collection: lab, paths: [/old/]}
`)
	res, err := export.CronJobs(in, export.Kubernetes{})
	if got := at(t, documents(t, res, err)[1], "spec.jobTemplate.spec.activeDeadlineSeconds"); got != uint64(3*3600) {
		t.Errorf("got %v, want an hour for each of two tasks and one to spare", got)
	}
}

func TestPodsOfAJobEndAndBeginAsTheExitStatusSays(t *testing.T) {
	res, err := export.CronJobs(input(t, `schedule: "@daily"`), export.Kubernetes{})
	job := at(t, documents(t, res, err)[1], "spec.jobTemplate.spec")
	want := map[string]any{
		"backoffLimit":                                                  uint64(6),
		"template.spec.restartPolicy":                                   "Never",
		"podFailurePolicy.rules.0.action":                               "FailJob",
		"podFailurePolicy.rules.0.onExitCodes.containerName":            at(t, job, "template.spec.containers.0.name"),
		"podFailurePolicy.rules.1.action":                               "Ignore",
		"podFailurePolicy.rules.1.onPodConditions.0.type":               "DisruptionTarget",
		"template.spec.containers.0.args.0":                             "run",
		"template.spec.containers.0.args.1":                             "job-1",
		"template.spec.containers.0.args.2":                             "--skip-ok",
		"template.spec.automountServiceAccountToken":                    false,
		"template.spec.securityContext.runAsNonRoot":                    true,
		"template.spec.securityContext.seccompProfile.type":             "RuntimeDefault",
		"template.spec.containers.0.securityContext":                    map[string]any{"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}}},
		"template.spec.containers.0.env.4.valueFrom.fieldRef.fieldPath": "metadata.labels['batch.kubernetes.io/job-name']",
	}
	for path, want := range want {
		if diff := cmp.Diff(want, at(t, job, path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	final := fmt.Sprint(at(t, job, "podFailurePolicy.rules.0.onExitCodes.values"))
	if final != "[1 2 3 4 7 8 10 11 12]" {
		t.Errorf("got %s as the final exit statuses, want all but 0, 5, 6 and those of signals", final)
	}
}

func TestAVariableIsSetOnce(t *testing.T) {
	in := parse(t, strings.Replace(head, "env: [SITE", "env: [SITE, CLIENT_ID", 1)+"  a: {"+work+"}\n")
	for name, target := range targets() {
		res, err := target(in)
		if err != nil {
			t.Fatal(err)
		}
		set := strings.Count(res.Files[0].Text, "- name: CLIENT_ID\n") + strings.Count(res.Files[0].Text, "  CLIENT_ID: ")
		if name != "timers" && set != 1 { // there it is in a file
			t.Errorf("%s: CLIENT_ID is set %d times, want once", name, set)
		}
	}
}

func TestAChangeOfTheJobsFileChangesThePods(t *testing.T) {
	sum := func(job string) any {
		res, err := export.Deployment(input(t, job), export.Kubernetes{})
		docs := documents(t, res, err)
		return at(t, docs[len(docs)-1], "spec.template.metadata.annotations.checksum/jobs")
	}
	first, same, other := sum(`schedule: "@daily"`), sum(`schedule: "@daily"`), sum(`schedule: "@weekly"`)
	if first != same || first == other || len(first.(string)) != 64 {
		t.Errorf("got the checksums %v, %v and %v, want the same for the same text alone", first, same, other)
	}
}

func TestTheTextsOfAJobsFileStayTextsInYAML(t *testing.T) {
	for _, name := range []string{"yes", "123", "null", "on", "1e3", "0x1f", "y"} {
		for _, description := range []string{"a: b # c", "- x", "{{ .Job }}", `back\slash "quoted"`, "é 漢 \U0001F600", "'", "@x", "~", " x"} {
			in := parse(t, head+fmt.Sprintf("  %q: {description: %q, schedule: '@daily', %s}\n", name, description, work))
			res, err := export.CronJobs(in, export.Kubernetes{})
			doc := documents(t, res, err)[1]
			for _, path := range []string{"metadata.name", "spec.jobTemplate.spec.template.spec.containers.0.args.1"} {
				if got := at(t, doc, path); got != name {
					t.Errorf("%s: got %v, want %q", path, got, name)
				}
			}
			if got := at(t, doc, "metadata.annotations").(map[string]any)["kubernetes.io/description"]; got != description {
				t.Errorf("got the description %q, want %q", got, description)
			}
		}
	}
}

func TestAJobsFileThatIsTooLargeForAConfigMapIsRefused(t *testing.T) {
	in := parse(t, head+`  a: {schedule: "@daily", `+work+"}\n"+strings.Repeat("# a comment of many lines\n", 45_000))
	for name, target := range targets() {
		_, err := target(in)
		if refused := err != nil; refused != (name == "cronjob" || name == "deployment") {
			t.Errorf("%s: got %v, want only ConfigMaps to be too small", name, err)
		}
	}
}

func TestTheComposeFileIsTheOneOfTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../deploy/docker/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&want); err != nil {
		t.Fatal(err)
	}
	in := parse(t, strings.Replace(head, `env: [SITE, "NO"]`, "", 1)+"  a: {"+work+"}\n")
	res, err := export.Compose(in, "")
	got := documents(t, res, err)[0]
	service := at(t, want, "services.runner").(map[string]any)
	service["image"] = "globus-runner:latest"
	service["environment"].(map[string]any)["RUNNER_JOBS"] = "/etc/runner/jobs.yaml"
	service["volumes"].([]any)[0] = map[string]any{
		"type": "bind", "source": "./jobs.yaml", "target": "/etc/runner/jobs.yaml", "read_only": true,
		"bind": map[string]any{"create_host_path": false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("compose file (-deploy/docker +export):\n%s", diff)
	}
}

func ExampleCronJobs() {
	src := jobs.Source{Name: "jobs.yaml", Data: []byte(`version: 1
collections:
  lab: 0b6c8f2e-0000-4000-8000-000000000001
jobs:
  clean-up:
    schedule: "0 4 * * *"
    jitter: 5m
    delete: {collection: lab, paths: [/old/]}
`)}
	file, err := jobs.Parse(nil, src)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = export.CronJobs(export.Input{File: file, Sources: []jobs.Source{src}, Path: "jobs.yaml"}, export.Kubernetes{})
	fmt.Println(err)
	// Output:
	// jobs.yaml:7:13: jobs.clean-up.jitter: a CronJob starts on the minute; spread the schedules by hand, or use --kind deployment
}
