package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestCheckFillsInTheDefaults(t *testing.T) {
	job := jobs.Job{Name: "nightly", StalledAfter: time.Hour}
	if err := job.Check(); err != nil {
		t.Fatal(err)
	}
	want := jobs.Job{
		Name:           "nightly",
		ActiveDeadline: 24 * time.Hour,
		Backoff:        time.Minute,
		StalledAfter:   time.Hour,
		Concurrency:    jobs.Forbid,
		On:             jobs.Reactions{Stalled: jobs.Warn, NeedsHuman: jobs.Warn, Hopeless: jobs.Cancel},
		Guard:          jobs.Guard{MaxDelete: "50%", Look: 2000},
		Notify:         jobs.Notify{Repeat: 24 * time.Hour},
		Expect:         jobs.Expect{StartWithin: 15 * time.Minute},
	}
	if diff := cmp.Diff(want, job); diff != "" {
		t.Errorf("checked job (-want +got):\n%s", diff)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	tests := map[string]struct {
		job  jobs.Job
		want string
	}{
		"no name":             {jobs.Job{}, "job name"},
		"capital":             {jobs.Job{Name: "Nightly"}, "lower-case"},
		"outer dash":          {jobs.Job{Name: "nightly-"}, "inner dashes"},
		"long name":           {jobs.Job{Name: strings.Repeat("a", 53)}, "53 characters"},
		"negative deadline":   {jobs.Job{Name: "a", ActiveDeadline: -1}, "negative"},
		"negative backoff":    {jobs.Job{Name: "a", Backoff: -1}, "negative"},
		"negative attempts":   {jobs.Job{Name: "a", BackoffLimit: -1}, "backoff limit"},
		"negative stall time": {jobs.Job{Name: "a", StalledAfter: -1}, "negative"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.job.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}
