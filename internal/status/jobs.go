package status

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outcomes are the values of that label; the last stands for all others, so
// that the name of a job is the only free label.
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

// jobs collects the metrics that are kept by job. They are built at each
// scrape: a vector for each of them would take several times the memory, most
// of it for jobs that are idle.
type jobs struct {
	mu    sync.Mutex
	byJob map[string]*job // nil: the job was removed

	runs, bytes, files, filesSkipped, skippedErrors, faults *prometheus.Desc
	lastSuccess, lastRun, nextRun                           *prometheus.Desc
}

// A job is what is counted about one.
type job struct {
	runs                                              [len(outcomes)]int64
	bytes, files, filesSkipped, skippedErrors, faults int64
	lastSuccess, lastRun, nextRun                     time.Time // zero: none
}

func newJobs() *jobs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_"+name, help, append([]string{"job"}, labels...), nil)
	}
	return &jobs{
		byJob:         map[string]*job{},
		runs:          desc("runs_total", "Runs that ended.", "outcome"),
		bytes:         desc("run_bytes_total", "Bytes transferred."),
		files:         desc("run_files_total", "Files transferred or deleted."),
		filesSkipped:  desc("run_files_skipped_total", "Files not transferred because they were there."),
		skippedErrors: desc("run_skipped_errors_total", "Files left out because of errors."),
		faults:        desc("run_faults_total", "Errors that Globus met and retried."),
		lastSuccess:   desc("last_success_timestamp_seconds", "When the last run that succeeded ended."),
		lastRun:       desc("last_run_timestamp_seconds", "When the last run ended, whatever its outcome."),
		nextRun:       desc("next_run_timestamp_seconds", "When the next run is due."),
	}
}

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

// known returns what is counted about a job, or nil if it was removed.
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

// Describe implements [prometheus.Collector].
func (j *jobs) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		j.runs, j.bytes, j.files, j.filesSkipped, j.skippedErrors, j.faults, j.lastSuccess, j.lastRun, j.nextRun,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (j *jobs) Collect(to chan<- prometheus.Metric) {
	for name, now := range j.snapshot() {
		j.collect(to, name, now)
	}
}

// snapshot copies the jobs, so that a slow scrape holds up no run.
func (j *jobs) snapshot() map[string]job {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make(map[string]job, len(j.byJob))
	for name, now := range j.byJob {
		if now != nil {
			all[name] = *now
		}
	}
	return all
}

func (j *jobs) collect(to chan<- prometheus.Metric, name string, now job) {
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append([]string{name}, labels...)...)
	}
	instant := func(d *prometheus.Desc, t time.Time) {
		if !t.IsZero() {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, seconds(t), name)
		}
	}
	for i, n := range now.runs {
		if i != other || n > 0 {
			count(j.runs, n, outcomes[i])
		}
	}
	count(j.bytes, now.bytes)
	count(j.files, now.files)
	count(j.filesSkipped, now.filesSkipped)
	count(j.skippedErrors, now.skippedErrors)
	count(j.faults, now.faults)
	instant(j.lastSuccess, now.lastSuccess)
	instant(j.lastRun, now.lastRun)
	instant(j.nextRun, now.nextRun)
}
