package settings

import (
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

// Key returns the key of the occurrence that this start is about. fresh says
// that no earlier start can have had the same key. scheduledFor is the flag's
// value, or empty.
func (o *Occurrence) Key(scheduledFor string) (key jobs.Key, fresh bool, err error) {
	if scheduledFor != "" {
		t, err := time.Parse(time.RFC3339, scheduledFor)
		if err != nil {
			return "", false, fmt.Errorf("--scheduled-for %q is not an instant such as 2026-11-21T02:00:00Z", scheduledFor)
		}
		return jobs.ScheduledKey(t), false, nil
	}
	if o.Given != "" {
		return o.parse("RUNNER_OCCURRENCE", o.Given)
	}
	if o.KubernetesJob != "" {
		key, err := jobs.KubernetesKey(o.KubernetesJob)
		if err != nil {
			return "", false, fmt.Errorf("RUNNER_KUBERNETES_JOB: %w", err)
		}
		return key, false, nil
	}
	for _, ci := range []struct{ variable, system, run string }{
		{"GITHUB_RUN_ID", "github", o.GitHub},
		{"CI_PIPELINE_ID", "gitlab", o.GitLab},
		{"BUILDKITE_BUILD_ID", "buildkite", o.Buildkite},
		{"CIRCLE_WORKFLOW_ID", "circleci", o.CircleCI},
		{"BUILD_TAG", "jenkins", o.Jenkins},
	} {
		if ci.run != "" {
			return o.parse(ci.variable, ci.system+":"+ci.run)
		}
	}
	return jobs.ManualKey(), true, nil
}

func (o *Occurrence) parse(variable, s string) (jobs.Key, bool, error) {
	key, err := jobs.ParseKey(s)
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", variable, err)
	}
	return key, false, nil
}
