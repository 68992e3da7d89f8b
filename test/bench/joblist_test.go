package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestGeneratedJobsAreGood(t *testing.T) {
	now := time.Now()
	today := now.UTC().Truncate(time.Minute)
	tests := map[string]struct {
		schedule  func(int) string
		from      time.Time
		good      func(next time.Time) bool
		condition string
	}{
		"far":   {far, now, func(next time.Time) bool { return next.After(now.AddDate(0, 4, 0)) }, "in months"},
		"daily": {daily(today), today.AddDate(0, 0, -1), today.Equal, "at " + today.String()},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "jobs.yaml")
			if err := writeJobs(file, 100, tt.schedule); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := jobs.Parse(nil, jobs.Source{Name: file, Data: data})
			if err != nil {
				t.Fatal(err)
			}
			if len(parsed.Jobs) != 100 {
				t.Fatalf("got %d jobs, want 100", len(parsed.Jobs))
			}
			for _, job := range parsed.Jobs {
				if next := job.Schedule.Next(tt.from); !tt.good(next) {
					t.Errorf("%s is due %v, want it %s", job.Name, next, tt.condition)
				}
			}
		})
	}
}
