package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/settings"
	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/jobs"
)

// Where to look for jobs by default.
const (
	systemJobs = "/etc/runner/jobs.yaml"
	localJobs  = "jobs.yaml"
)

const (
	maxJobsFile  = 4 << 20 // size of the largest jobs file, in bytes
	maxJobsFiles = 1000    // in a folder
)

// A jobsSource says where the jobs are: in the file or folder of --jobs, else in
// RUNNER_JOB_*, else in RUNNER_JOBS or the files that are looked for.
type jobsSource struct {
	env  *settings.Environment
	flag string // of --jobs
}

func (s *jobsSource) flags(flags *pflag.FlagSet) {
	flags.StringVarP(&s.flag, "jobs", "f", "", "jobs file, or folder of *.yaml and *.yml (default: $RUNNER_JOBS, then "+systemJobs+", then "+localJobs+")")
}

// described reports whether the jobs are the one of RUNNER_JOB_*.
func (s jobsSource) described() bool { return s.flag == "" && s.env.Job.Describes() }

// path is the file or folder that the jobs are in, if they are in one.
func (s jobsSource) path() string {
	if path := cmp.Or(s.flag, s.env.Jobs); path != "" {
		return path
	}
	if _, err := os.Stat(systemJobs); !errors.Is(err, fs.ErrNotExist) {
		return systemJobs
	}
	return localJobs
}

// String says where the jobs are.
func (s jobsSource) String() string {
	if s.described() {
		return settings.JobPrefix + "*"
	}
	return s.path()
}

// missing reports whether nobody has named a jobs file and there is none.
func (s jobsSource) missing() bool {
	_, err := os.Stat(s.path())
	return cmp.Or(s.flag, s.env.Jobs) == "" && errors.Is(err, fs.ErrNotExist)
}

// A jobsFile is the jobs, and where they were found.
type jobsFile struct {
	*jobs.File
	from jobsSource
}

// load returns the jobs. If they have problems, the error is a [usageError] with all of
// them.
//
// Names are the jobs that are asked for. If RUNNER_JOB_* describe none of them, and
// RUNNER_JOBS is set, the jobs are those of RUNNER_JOBS.
func (s jobsSource) load(names ...string) (*jobsFile, error) {
	if len(names) > 0 && s.env.Jobs != "" && s.described() && !s.describesOne(names) {
		s.flag = s.env.Jobs
	}
	file, err := s.read()
	if err != nil {
		return nil, usageError{err}
	}
	if s.described() && s.env.Jobs != "" {
		file.Warnings = append(file.Warnings, &jobs.Problem{Field: "RUNNER_JOBS", Msg: "it is also set but not used: RUNNER_JOB_* take precedence"})
	}
	if msg := s.unusedZone(file); msg != "" {
		file.Warnings = append(file.Warnings, &jobs.Problem{Field: "TZ", Msg: msg})
	}
	return &jobsFile{file, s}, nil
}

func (s jobsSource) read() (*jobs.File, error) {
	if s.described() {
		return s.env.Job.File()
	}
	sources, err := readJobs(s.path())
	if err != nil {
		return nil, err
	}
	return s.parse(sources)
}

// placed adds their lines in the jobs file to problems, if the file can be read.
func (s jobsSource) placed(problems []*jobs.Problem) []*jobs.Problem {
	if len(problems) == 0 {
		return nil
	}
	if sources, err := readJobs(s.path()); err == nil {
		jobs.Locate(problems, sources...)
	}
	return problems
}

// parse parses jobs files.
func (s jobsSource) parse(sources []jobs.Source) (*jobs.File, error) {
	return jobs.Parse(s.env.Lookup, sources...)
}

// describesOne reports whether RUNNER_JOB_* describe a job of one of the names.
func (s jobsSource) describesOne(names []string) bool {
	file, err := s.env.Job.File()
	return err == nil && slices.ContainsFunc(file.Jobs, func(j *jobs.Job) bool { return slices.Contains(names, j.Name) })
}

// unusedZone returns a warning if TZ is set and a schedule names no zone: such schedules are
// in UTC.
func (s jobsSource) unusedZone(file *jobs.File) string {
	tz := s.env.Lookup("TZ")
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
	if s.described() {
		where = "RUNNER_JOB_TIME_ZONE"
	}
	return fmt.Sprintf("%s is not used: the schedule of %s does not name a zone, so it is in UTC; set %s", tz, someOf(names), where)
}

// logEnvironment logs the warnings about variables that are not used.
func (f *jobsFile) logEnvironment(log *slog.Logger) {
	for _, w := range f.Warnings {
		if w.File == "" {
			log.Warn("environment", "warning", w.Error())
		}
	}
}

// logDoubts logs the warnings about what these jobs do. It leaves out those about when they
// are due, because they are started now.
func (f *jobsFile) logDoubts(log *slog.Logger, all []*jobs.Job) {
	when := []string{"schedule", "jitter", "time_zone", "TZ", "RUNNER_JOB_SCHEDULE", "RUNNER_JOB_JITTER", "RUNNER_JOB_TIME_ZONE"}
	for _, w := range f.Warnings {
		about, ofJob := strings.CutPrefix(w.Field, "jobs.")
		name, key, _ := strings.Cut(about, ".")
		named := slices.ContainsFunc(all, func(j *jobs.Job) bool { return j.Name == name })
		if ofJob && named && !slices.Contains(when, key) || w.File == "" && !slices.Contains(when, w.Field) {
			log.Warn("this may be a mistake", "warning", w.Error())
		}
	}
}

// named returns the jobs of these names, each of which is named once; none means all.
func (f *jobsFile) named(names []string) ([]*jobs.Job, error) {
	if len(names) == 0 {
		return f.Jobs, nil
	}
	var chosen []*jobs.Job
	for _, name := range names {
		j, err := f.job(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(chosen, j) {
			return nil, usageError{fmt.Errorf("job %s is named twice", name)}
		}
		chosen = append(chosen, j)
	}
	return chosen, nil
}

// job returns the job of a name.
func (f *jobsFile) job(name string) (*jobs.Job, error) {
	for _, j := range f.Jobs {
		if j.Name == name {
			return j, nil
		}
	}
	known := f.names()
	if f.from.described() {
		return nil, usageError{fmt.Errorf("there is no job %q: RUNNER_JOB_* describe %s, and take precedence over a jobs file that --jobs does not name", name, known[0])}
	}
	return nil, usageError{fmt.Errorf("there is no job %q in the jobs file%s", name, cmp.Or(spelling.Hint(name, known...), "; it has "+someOf(known)))}
}

// job loads the jobs file and returns the job of a name.
func (s jobsSource) job(name string) (*jobs.Job, error) {
	file, err := s.load(name)
	if err != nil {
		return nil, err
	}
	return file.job(name)
}

func (f *jobsFile) names() []string {
	return namesOf(f.Jobs)
}

func namesOf(all []*jobs.Job) []string {
	names := make([]string, len(all))
	for i, j := range all {
		names[i] = j.Name
	}
	return names
}

// readJobs reads a jobs file, or every *.yaml and *.yml in a folder.
func readJobs(path string) ([]jobs.Source, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, absentError{path}
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

// An absentError says that there is no jobs file.
type absentError struct{ path string }

func (e absentError) Error() string {
	return fmt.Sprintf("there is no jobs file %s; name one with --jobs or RUNNER_JOBS", e.path)
}

// jobsFiles lists the jobs files of a folder by name, without hidden ones: Kubernetes keeps
// such files in the folder of a ConfigMap.
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

// readBounded reads a file, but not more than the parser needs to see that it is too large
// for a jobs file.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	return io.ReadAll(io.LimitReader(f, maxJobsFile+1))
}
