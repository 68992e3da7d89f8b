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

// loadJobs returns the jobs: of the file or folder that --jobs names, else the
// one that RUNNER_JOB_* describe, else those of RUNNER_JOBS or of the files that
// are looked for. What is wrong with them is a [usageError] around every problem.
//
// Names are the jobs that are asked for: those of RUNNER_JOBS if it is set and
// RUNNER_JOB_* describe another one.
func (a *app) loadJobs(names ...string) (*jobs.File, error) {
	if len(names) > 0 && a.env.Jobs != "" && a.described() && !a.describesOne(names) {
		a.jobs = a.env.Jobs
	}
	file, err := a.parseJobs()
	if err != nil {
		return nil, err
	}
	if a.described() && a.env.Jobs != "" {
		file.Warnings = append(file.Warnings, &jobs.Problem{Field: "RUNNER_JOBS", Msg: "it is set too and not used: RUNNER_JOB_* go before it"})
	}
	if msg := a.unusedZone(file); msg != "" {
		file.Warnings = append(file.Warnings, &jobs.Problem{Field: "TZ", Msg: msg})
	}
	return file, nil
}

// describesOne reports whether RUNNER_JOB_* describe a job of one of the names.
func (a *app) describesOne(names []string) bool {
	file, err := a.env.Job.file()
	return err == nil && slices.ContainsFunc(file.Jobs, func(j *jobs.Job) bool { return slices.Contains(names, j.Name) })
}

// described reports whether the jobs are the one of RUNNER_JOB_*.
func (a *app) described() bool { return a.jobs == "" && a.env.Job.describes() }

// jobsName says where the jobs are.
func (a *app) jobsName() string {
	if a.described() {
		return jobPrefix + "*"
	}
	return a.jobsPath()
}

// unusedZone says that TZ is not used for schedules that name no zone, if that
// makes a difference.
func (a *app) unusedZone(file *jobs.File) string {
	tz := a.variable("TZ")
	switch strings.TrimPrefix(tz, ":") {
	case "", "UTC", "UTC0", "Etc/UTC", "GMT", "Zulu":
		return ""
	}
	var names []string
	for _, j := range file.Jobs {
		if j.Schedule != nil && j.Schedule.Every() == 0 && j.Zone == nil {
			names = append(names, j.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	where := "time_zone in the jobs file"
	if a.described() {
		where = "RUNNER_JOB_TIME_ZONE"
	}
	return fmt.Sprintf("%s is not used: the schedule of %s names no zone, so it is in UTC; set %s", tz, someOf(names), where)
}

// tellEnvironment logs what the environment says about the jobs in vain.
func (a *app) tellEnvironment(file *jobs.File) {
	for _, w := range file.Warnings {
		if w.File == "" {
			a.log.Warn("environment", "warning", w.Error())
		}
	}
}

func (a *app) parseJobs() (*jobs.File, error) {
	if a.described() {
		return a.env.Job.file()
	}
	sources, err := readJobs(a.jobsPath())
	if err != nil {
		return nil, usageError{err}
	}
	return a.parseSources(sources)
}

// parseSources parses what is in jobs files.
func (a *app) parseSources(sources []jobs.Source) (*jobs.File, error) {
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
func (a *app) findJob(file *jobs.File, name string) (*jobs.Job, error) {
	for _, j := range file.Jobs {
		if j.Name == name {
			return j, nil
		}
	}
	known := jobNames(file)
	if a.described() {
		return nil, usageError{fmt.Errorf("there is no job %q: RUNNER_JOB_* describe %s, and go before a jobs file that --jobs does not name", name, known[0])}
	}
	return nil, usageError{fmt.Errorf("there is no job %q in the jobs file%s", name, cmp.Or(spelling.Hint(name, known...), "; it has "+someOf(known)))}
}

func jobNames(file *jobs.File) []string {
	names := make([]string, len(file.Jobs))
	for i, j := range file.Jobs {
		names[i] = j.Name
	}
	return names
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
