package status

import (
	"time"

	"github.com/globus-runner/globus-runner/internal/metric"
)

// prefix is the prefix of our metrics.
const prefix = "globus_runner_"

// maxScrapes is how many scrapes may be answered at once.
const maxScrapes = 4

// metrics are the metrics of a Status. Those of single jobs are in jobs.
type metrics struct {
	set  metric.Set
	jobs *jobs

	duration     *metric.Histogram // by outcome
	lateness     *metric.Histogram
	waiting      *metric.Values
	oldest       *metric.Values
	active       *metric.Values
	items        *metric.Values // by job and state
	looksFailing *metric.Values // by job

	requests    *metric.Values    // by code and service
	requestTime *metric.Histogram // by service
	expiry      *metric.Values    // by resource server

	noticesSent    *metric.Values // by channel
	noticesGivenUp *metric.Values // by channel
	noticesWaiting *metric.Values // by channel
}

func newMetrics(c Config) *metrics {
	m := &metrics{jobs: newJobs()}
	counter := func(name, help string, labels ...string) *metric.Values {
		return m.set.Values(metric.Family{Name: prefix + name, Kind: metric.Counter, Help: help}, labels...)
	}
	gauge := func(name, help string, labels ...string) *metric.Values {
		return m.set.Values(metric.Family{Name: prefix + name, Kind: metric.Gauge, Help: help}, labels...)
	}
	gauge("build_info", "The program; always 1.", "commit", "goversion", "version").Set(1, c.Commit, c.GoVersion, c.Version)
	m.set.Add(m.jobs)
	m.duration = m.set.Histogram(prefix+"run_duration_seconds", "Time from the start of a run to its end.",
		[]float64{1, 5, 15, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600}, "outcome")
	m.lateness = m.set.Histogram(prefix+"run_lateness_seconds", "Time from when a run was due to its start.",
		[]float64{.01, .05, .25, 1, 5, 15, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600})
	m.waiting = gauge("queue_waiting", "Runs that are due and wait for their turn.")
	m.oldest = gauge("queue_oldest_timestamp_seconds", "When the run was due that waits longest for its turn.")
	m.active = gauge("queue_active", "Runs that have begun and not ended.")
	m.items = gauge("items", "Items of a job with for_each at its last look.", "job", "state")
	m.looksFailing = gauge("look_failing_timestamp_seconds", "Since when the folder of a job with for_each cannot be looked at.", "job")
	m.requests = counter("http_requests_total", "Requests sent, by the status of the reply, or error where none came.", "code", "service")
	m.requestTime = m.set.Histogram(prefix+"http_request_duration_seconds", "Time from sending a request to the header of its reply, or to its failure.",
		[]float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}, "service")
	m.expiry = gauge("token_expiry_timestamp_seconds", "When the access token in use ends.", "resource_server")
	m.noticesSent = counter("notices_sent_total", "Notices that their receiver has taken.", "channel")
	m.noticesGivenUp = counter("notices_given_up_total",
		"Notices that nobody gets: their receiver does not want them, or has not answered for a day.", "channel")
	m.noticesWaiting = gauge("notices_waiting", "Notices that are not sent yet.", "channel")
	m.waiting.Set(0)
	m.active.Set(0)
	m.set.AddProcess()
	return m
}

// A Run is a run that has ended. Negative numbers count as 0.
type Run struct {
	Job               string        // its name
	Outcome           string        // succeeded, failed, canceled, timed_out or skipped; anything else is shown as other
	Started, Finished time.Time     // Started is zero if it never began
	Lateness          time.Duration // from when it was due until Started

	// Sums over its tasks, as counted by Globus.
	Files         int64 // transferred or deleted
	FilesSkipped  int64 // already there
	Bytes         int64 // transferred
	SkippedErrors int64 // files left out because of errors
	Faults        int64 // errors that Globus retried
}

// Finished counts a run that has ended. After [Status.Forget] it counts only in
// metrics without a label job.
func (s *Status) Finished(r Run) {
	s.metrics.jobs.finished(r)
	if r.Started.IsZero() {
		return
	}
	s.metrics.duration.Observe(max(0, r.Finished.Sub(r.Started)).Seconds(), outcomes[outcome(r.Outcome)])
	s.metrics.lateness.Observe(max(0, r.Lateness).Seconds())
}

// Plan records a job and when it runs next; the zero time means that it has no
// next run. A job's counters begin with 0 here, so that its first failure is an
// increase.
func (s *Status) Plan(job string, next time.Time) { s.metrics.jobs.plan(job, next) }

// Remember records when the newest runs of a job ended that were not passed to
// [Status.Finished], such as those before a restart. A zero time is ignored.
func (s *Status) Remember(job string, last, success time.Time) {
	s.metrics.jobs.remember(job, last, success)
}

// Forget drops all series of a job that was removed. Only [Status.Plan] brings
// them back, not the end of its last run.
func (s *Status) Forget(job string) {
	s.metrics.jobs.forget(job)
	s.metrics.items.Delete(job)
	s.metrics.looksFailing.Delete(job)
}

// LooksFail records since when looks at the folder of a job fail. The zero time means
// that they do not, or that another replica looks.
func (s *Status) LooksFail(job string, since time.Time) {
	if since.IsZero() {
		s.metrics.looksFailing.Delete(job)
		return
	}
	s.metrics.looksFailing.Set(seconds(since), job)
}

// Items records how many items of a job are in each state. States that are
// missing have none.
func (s *Status) Items(job string, states map[string]int) {
	s.metrics.items.Delete(job)
	for state, n := range states {
		s.metrics.items.Set(float64(n), job, state)
	}
}

// Queue records how many runs are due and wait for their turn, since when the
// oldest of them is due (zero if not known), and how many have begun.
func (s *Status) Queue(waiting int, oldest time.Time, active int) {
	s.metrics.waiting.Set(float64(waiting))
	if oldest.IsZero() {
		s.metrics.oldest.Delete()
	} else {
		s.metrics.oldest.Set(seconds(oldest))
	}
	s.metrics.active.Set(float64(active))
}

// NoticesWait records how many notices of a channel are not sent yet. Its
// counters begin with 0 here, so that the first failure is an increase.
func (s *Status) NoticesWait(channel string, n int) {
	s.metrics.noticesSent.Add(0, channel)
	s.metrics.noticesGivenUp.Add(0, channel)
	s.metrics.noticesWaiting.Set(float64(n), channel)
}

// NoticeSent counts a notice that was sent.
func (s *Status) NoticeSent(channel string) {
	s.metrics.noticesSent.Add(1, channel)
}

// NoticeGivenUp counts a notice that was given up.
func (s *Status) NoticeGivenUp(channel string) {
	s.metrics.noticesGivenUp.Add(1, channel)
}

// Token records when the token for a resource server expires; the zero time
// means that there is no token any more.
func (s *Status) Token(resourceServer string, expires time.Time) {
	if expires.IsZero() {
		s.metrics.expiry.Delete(resourceServer)
		return
	}
	s.metrics.expiry.Set(seconds(expires), resourceServer)
}

// seconds returns t in seconds since 1970.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
