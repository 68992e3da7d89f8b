package settings

import (
	"fmt"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

// An Origin is where the key of an occurrence comes from.
type Origin int

// Origins of keys.
const (
	Named    Origin = iota // somebody chose the key, or a scheduler did
	Pipeline               // it is the run of a CI system: see [jobs.Job.InPipeline]
	New                    // it is random: no earlier start can have had the same
)

// Key returns the key of the occurrence that this start is about. scheduledFor is the
// flag's value, or empty.
func (o *Occurrence) Key(scheduledFor string) (key jobs.Key, from Origin, err error) {
	if scheduledFor != "" {
		t, err := time.Parse(time.RFC3339, scheduledFor)
		if err != nil {
			return "", Named, fmt.Errorf("--scheduled-for %q is not an instant such as 2026-11-21T02:00:00Z", scheduledFor)
		}
		return jobs.ScheduledKey(t), Named, nil
	}
	if o.Given != "" {
		return parseKey("RUNNER_OCCURRENCE", o.Given, Named)
	}
	if o.KubernetesJob != "" {
		key, err := jobs.KubernetesKey(o.KubernetesJob)
		if err != nil {
			return "", Named, fmt.Errorf("RUNNER_KUBERNETES_JOB: %w", err)
		}
		return key, Named, nil
	}
	for _, ci := range []struct{ variable, system, run string }{
		{"GITHUB_RUN_ID", "github", o.GitHub},
		{"CI_PIPELINE_ID", "gitlab", o.GitLab},
		{"BUILDKITE_BUILD_ID", "buildkite", o.Buildkite},
		{"CIRCLE_WORKFLOW_ID", "circleci", o.CircleCI},
		{"BUILD_TAG", "jenkins", o.Jenkins},
	} {
		if ci.run != "" {
			return parseKey(ci.variable, ci.system+":"+ci.run, Pipeline)
		}
	}
	return jobs.ManualKey(), New, nil
}

func parseKey(variable, s string, from Origin) (jobs.Key, Origin, error) {
	key, err := jobs.ParseKey(s)
	if err != nil {
		return "", from, fmt.Errorf("%s: %w", variable, err)
	}
	return key, from, nil
}
