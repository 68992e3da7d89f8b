package k8s_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/export"
	"github.com/globus-runner/globus-runner/jobs"
)

// The cluster test compares them with what the command itself prints; this one
// runs without a cluster.
func TestCronJobsOfTheOverlayAreExportedFromItsJobsFile(t *testing.T) {
	dir := filepath.Join("..", "..", "deploy", "k8s", "overlays", "cronjob")
	data, err := os.ReadFile(filepath.Join(dir, "jobs.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	source := jobs.Source{Name: "jobs.yaml", Data: data}
	file, err := jobs.Parse(func(string) string { return "" }, source)
	if err != nil {
		t.Fatal(err)
	}
	result, err := export.CronJobs(export.Input{File: file, Sources: []jobs.Source{source}, Path: source.Name}, export.Kubernetes{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "cronjobs.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(result.Files[0].Text, string(got)); diff != "" {
		t.Errorf("cronjobs.yaml is not what runner export writes (-want +got):\n%s", diff)
	}
}
