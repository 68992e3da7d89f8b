package status

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/metric"
)

// outcomes are the values of the label outcome. The last is for all others, so
// that only the label job has free values.
var outcomes = [...]string{"succeeded", "failed", "canceled", "timed_out", "skipped", "other"}

const (
	succeeded = 0
	other     = len(outcomes) - 1
)

// outcome returns the index of name in outcomes.
func outcome(name string) int {
	if i := slices.Index(outcomes[:], name); i >= 0 {
		return i
	}
	return other
}

// jobs collects the metrics of each job. Their series are built at each scrape:
// kept as [metric.Values] they would take several times the memory, mostly for
// idle jobs.
type jobs struct {
	mu    sync.Mutex
	byJob map[string]*job // nil for a job that was removed
}

// A job is the counters of one job.
type job struct {
	runs                                              [len(outcomes)]int64
	bytes, files, filesSkipped, skippedErrors, faults int64
	lastSuccess, lastRun, nextRun                     time.Time // zero if there is none
}

func newJobs() *jobs { return &jobs{byJob: map[string]*job{}} }

func (j *jobs) finished(r Run) {
	j.mu.Lock()
	defer j.mu.Unlock()
	to := j.known(r.Job)
	if to == nil {
		return
	}
	to.runs[outcome(r.Outcome)]++
	to.bytes += max(0, r.Bytes)
	to.files += max(0, r.Files)
	to.filesSkipped += max(0, r.FilesSkipped)
	to.skippedErrors += max(0, r.SkippedErrors)
	to.faults += max(0, r.Faults)
	to.lastRun = later(to.lastRun, r.Finished)
	if r.Outcome == outcomes[succeeded] {
		to.lastSuccess = later(to.lastSuccess, r.Finished)
	}
}

// known returns the counters of a job, or nil if it was removed.
func (j *jobs) known(name string) *job {
	if _, ok := j.byJob[name]; !ok {
		j.byJob[name] = &job{}
	}
	return j.byJob[name]
}

func (j *jobs) plan(name string, next time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.byJob[name] == nil {
		j.byJob[name] = &job{}
	}
	j.byJob[name].nextRun = next
}

func (j *jobs) remember(name string, last, success time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	to := j.known(name)
	if to == nil {
		return
	}
	to.lastRun, to.lastSuccess = later(to.lastRun, last), later(to.lastSuccess, success)
}

func (j *jobs) forget(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.byJob[name] = nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Collect implements [metric.Collector].
func (j *jobs) Collect(to *metric.Writer) {
	all := j.snapshot()
	to.Family(metric.Family{Name: prefix + "runs_total", Kind: metric.Counter, Help: "Runs that ended."})
	for _, one := range all {
		for i, n := range one.runs {
			if i != other || n > 0 {
				to.Sample(float64(n), "job", one.name, "outcome", outcomes[i])
			}
		}
	}
	count := func(name, help string, of func(*job) int64) {
		to.Family(metric.Family{Name: prefix + name, Kind: metric.Counter, Help: help})
		for _, one := range all {
			to.Sample(float64(of(&one.job)), "job", one.name)
		}
	}
	count("run_bytes_total", "Bytes transferred.", func(j *job) int64 { return j.bytes })
	count("run_files_total", "Files transferred or deleted.", func(j *job) int64 { return j.files })
	count("run_files_skipped_total", "Files not transferred because they were there.", func(j *job) int64 { return j.filesSkipped })
	count("run_skipped_errors_total", "Files left out because of errors.", func(j *job) int64 { return j.skippedErrors })
	count("run_faults_total", "Errors that Globus met and retried.", func(j *job) int64 { return j.faults })

	instant := func(name, help string, of func(*job) time.Time) {
		to.Family(metric.Family{Name: prefix + name, Kind: metric.Gauge, Help: help})
		for _, one := range all {
			if t := of(&one.job); !t.IsZero() {
				to.Sample(seconds(t), "job", one.name)
			}
		}
	}
	instant("last_success_timestamp_seconds", "When the last run that succeeded ended.", func(j *job) time.Time { return j.lastSuccess })
	instant("last_run_timestamp_seconds", "When the last run ended, whatever its outcome.", func(j *job) time.Time { return j.lastRun })
	instant("next_run_timestamp_seconds", "When the next run is due.", func(j *job) time.Time { return j.nextRun })
}

// A namedJob is a copy of a job for a scrape.
type namedJob struct {
	name string
	job
}

// snapshot copies the jobs in the order of their names, so that a slow scrape does
// not delay runs.
func (j *jobs) snapshot() []namedJob {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]namedJob, 0, len(j.byJob))
	for name, now := range j.byJob {
		if now != nil {
			all = append(all, namedJob{name: name, job: *now})
		}
	}
	slices.SortFunc(all, func(a, b namedJob) int { return strings.Compare(a.name, b.name) })
	return all
}
