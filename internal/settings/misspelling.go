package settings

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/internal/spelling"
)

// A Misspelling is a variable that nothing reads, one mistake away from one
// that is read.
type Misspelling struct{ Name, Meant string }

// kubernetesService matches variables that Kubernetes sets for a service whose
// name begins with runner.
var kubernetesService = pattern.Lazy(`^RUNNER(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// checkNames returns an error for each unknown RUNNER_JOB_*, and records other
// variables that may be misspelled. It passes over RUNNER_OS and others that
// GitHub and GitLab set.
func (e *Environment) checkNames(set map[string]string) []error {
	var known []string
	for v := range tags(reflect.TypeFor[Environment](), "") {
		if strings.HasPrefix(v.name, "RUNNER_") || strings.HasPrefix(v.name, "GLOBUS_") {
			known = append(known, v.name)
		}
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(set)) {
		upper := strings.ToUpper(name)
		if slices.Contains(known, name) || !strings.Contains(upper, "RUN") && !strings.Contains(upper, "GLOB") ||
			strings.HasPrefix(name, "RUNNER_") && kubernetesService().MatchString(name) {
			continue
		}
		if rest, ok := strings.CutPrefix(name, JobPrefix); ok {
			problems = append(problems, unknownJobVariable(name, rest, known))
			continue
		}
		if near := spelling.NearestWithin(name, known, 1); near != "" {
			e.Misspelled = append(e.Misspelled, Misspelling{name, near})
		}
	}
	return problems
}

// unknownJobVariable returns an error that says which RUNNER_JOB_* was probably
// meant.
func unknownJobVariable(name, rest string, known []string) error {
	if strings.HasPrefix(rest, "PRUNE") {
		return fmt.Errorf("%s: the job of %s* only copies; to delete what was copied, write a jobs file with a prune", name, JobPrefix)
	}
	if other, ok := otherJobVariables[rest]; ok {
		return fmt.Errorf("%s: there is no such variable, did you mean %s?", name, JobPrefix+other)
	}
	var rests []string
	for _, k := range known {
		if r, ok := strings.CutPrefix(k, JobPrefix); ok {
			rests = append(rests, r)
		}
	}
	if near := spelling.Nearest(rest, rests); near != "" {
		return fmt.Errorf("%s: there is no such variable, did you mean %s?", name, JobPrefix+near)
	}
	return fmt.Errorf("%s: there is no such variable; runner env lists those of a job", name)
}

// otherJobVariables maps names that other programs use for the same thing.
var otherJobVariables = map[string]string{
	"CRON": "SCHEDULE", "TZ": "TIME_ZONE", "SRC": "SOURCE", "FROM": "SOURCE", "DST": "DESTINATION", "DEST": "DESTINATION", "TO": "DESTINATION",
	"DEADLINE": "ACTIVE_DEADLINE", "TIMEOUT": "ACTIVE_DEADLINE", "RETRIES": "BACKOFF_LIMIT", "CONCURRENCY": "CONCURRENCY_POLICY",
	"DELETE": "DELETE_DESTINATION_EXTRA", "MIRROR": "DELETE_DESTINATION_EXTRA", "PRESERVE_MTIME": "PRESERVE_TIMESTAMP", "ENCRYPT": "ENCRYPT_DATA",
	"SYNC": "SYNC_LEVEL", "FILTER_RULES": "EXCLUDE",
}
