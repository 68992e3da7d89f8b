package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/jobs"
)

// Where the jobs are when nobody says it.
const (
	systemJobs = "/etc/runner/jobs.yaml"
	localJobs  = "jobs.yaml"
)

const (
	maxJobsFile  = 4 << 20 // size of the largest jobs file, in bytes
	maxJobsFiles = 1000    // in a folder
)

// jobsFlag adds the flag that says where the jobs are. It wins over RUNNER_JOBS.
func (a *app) jobsFlag(c *cobra.Command) {
	c.Flags().StringVarP(&a.jobs, "jobs", "f", "", "jobs file, or folder of *.yaml and *.yml (default: $RUNNER_JOBS, then "+systemJobs+", then "+localJobs+")")
}

// loadJobs reads and parses the jobs file, or the files of a folder. What is
// wrong with them is a [usageError] around every problem.
func (a *app) loadJobs() (*jobs.File, error) {
	sources, err := readJobs(a.jobsPath())
	if err != nil {
		return nil, usageError{err}
	}
	file, err := jobs.Parse(a.variable, sources...)
	if err != nil {
		return nil, usageError{err}
	}
	return file, nil
}

// jobsPath is the file or folder that the jobs are in.
func (a *app) jobsPath() string {
	if path := cmp.Or(a.jobs, a.env.Jobs); path != "" {
		return path
	}
	if _, err := os.Stat(systemJobs); !errors.Is(err, fs.ErrNotExist) {
		return systemJobs
	}
	return localJobs
}

// findJob returns the job of a name.
func findJob(file *jobs.File, name string) (*jobs.Job, error) {
	known := make([]string, len(file.Jobs))
	for i, j := range file.Jobs {
		if j.Name == name {
			return j, nil
		}
		known[i] = j.Name
	}
	hint := cmp.Or(spelling.Hint(name, known...), "; it has "+someOf(known))
	return nil, usageError{fmt.Errorf("there is no job %q in the jobs file%s", name, hint)}
}

// someOf lists the first of the words, and says how many more there are.
func someOf(words []string) string {
	const most = 20
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}

// variable looks up a variable for the templates of jobs.
func (a *app) variable(name string) string {
	for _, kv := range slices.Backward(a.environ) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// readJobs reads a jobs file, or every *.yaml and *.yml in a folder.
func readJobs(path string) ([]jobs.Source, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no jobs file %s; name one with --jobs or RUNNER_JOBS", path)
	}
	if err != nil {
		return nil, fmt.Errorf("jobs file: %w", err)
	}
	names := []string{path}
	if info.IsDir() {
		if names, err = jobsFiles(path); err != nil {
			return nil, err
		}
	}
	var sources []jobs.Source
	for _, name := range names {
		data, err := readBounded(name)
		if err != nil {
			return nil, fmt.Errorf("jobs file: %w", err)
		}
		sources = append(sources, jobs.Source{Name: name, Data: data})
	}
	return sources, nil
}

// jobsFiles lists the jobs files of a folder by name. Hidden ones, as
// Kubernetes keeps them beside a ConfigMap's, are left out.
func jobsFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("jobs folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("there is no *.yaml and no *.yml in the jobs folder %s", dir)
	case len(names) > maxJobsFiles:
		return nil, fmt.Errorf("there are %d files in the jobs folder %s, at most %d are possible", len(names), dir, maxJobsFiles)
	}
	return names, nil
}

// readBounded reads a file. Of one that is too large it reads so much that the
// parser sees it.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	return io.ReadAll(io.LimitReader(f, maxJobsFile+1))
}
