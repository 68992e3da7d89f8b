package status

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "globus_runner"

// maxScrapes bounds how many scrapes are answered at once, and with it their
// memory: each takes some 5 KiB a job.
const maxScrapes = 4

// metrics are the numbers of a Status, in a registry of its own. Those that
// belong to one job are in jobs.
type metrics struct {
	registry *prometheus.Registry
	jobs     *jobs

	duration    *prometheus.HistogramVec // by outcome
	lateness    prometheus.Histogram
	waiting     prometheus.Gauge
	oldest      *prometheus.GaugeVec // without a label: of one series, or none
	active      prometheus.Gauge
	items       *prometheus.GaugeVec     // by job and state
	requests    *prometheus.CounterVec   // by service and code
	requestTime *prometheus.HistogramVec // by service
	expiry      *prometheus.GaugeVec     // by resource server

	noticesSent    *prometheus.CounterVec // by channel
	noticesGivenUp *prometheus.CounterVec // by channel
	noticesWaiting *prometheus.GaugeVec   // by channel
}

func newMetrics(c Config) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), jobs: newJobs()}
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "run_duration_seconds",
		Help:    "Time from the start of a run to its end.",
		Buckets: []float64{1, 5, 15, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600},
	}, []string{"outcome"})
	m.lateness = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "run_lateness_seconds",
		Help:    "Time from when a run was due to its start.",
		Buckets: []float64{.01, .05, .25, 1, 5, 15, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600},
	})
	m.waiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "queue_waiting", Help: "Runs that are due and wait for their turn.",
	})
	m.oldest = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "queue_oldest_timestamp_seconds", Help: "When the run was due that waits longest for its turn.",
	}, nil)
	m.active = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "queue_active", Help: "Runs that have begun and not ended.",
	})
	m.items = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "items", Help: "Items of a job with for_each at its last look.",
	}, []string{"job", "state"})
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "http_requests_total",
		Help: "Requests sent, by the status of the reply, or error where none came.",
	}, []string{"service", "code"})
	m.requestTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "http_request_duration_seconds",
		Help:    "Time from sending a request to the header of its reply, or to its failure.",
		Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"service"})
	m.expiry = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "token_expiry_timestamp_seconds", Help: "When the access token in use ends.",
	}, []string{"resource_server"})
	m.noticesSent = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "notices_sent_total", Help: "Notices that their receiver has taken.",
	}, []string{"channel"})
	m.noticesGivenUp = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "notices_given_up_total", Help: "Notices that nobody gets: their receiver does not want them, or has not answered for a day.",
	}, []string{"channel"})
	m.noticesWaiting = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "notices_waiting", Help: "Notices that are not sent yet.",
	}, []string{"channel"})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "The program; always 1.",
		ConstLabels: prometheus.Labels{"version": c.Version, "commit": c.Commit, "goversion": c.GoVersion},
	})
	build.Set(1)
	m.registry.MustRegister(m.jobs, m.duration, m.lateness, m.waiting, m.oldest, m.active, m.items, m.requests, m.requestTime, m.expiry,
		m.noticesSent, m.noticesGivenUp, m.noticesWaiting, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
	})
}

// A Run is one that has ended. Negative numbers count as 0.
type Run struct {
	Job               string        // its name, as jobs files allow it
	Outcome           string        // succeeded, failed, canceled, timed_out or skipped; anything else is shown as other
	Started, Finished time.Time     // a zero Started: it never began
	Lateness          time.Duration // from when it was due until Started

	// The sums over its tasks, as Globus counts them.
	Files         int64 // transferred or deleted
	FilesSkipped  int64 // already there
	Bytes         int64 // transferred
	SkippedErrors int64 // files left out because of errors
	Faults        int64 // errors that Globus retried
}

// Finished counts a run that has ended. After [Status.Forget] it counts only
// in what is not kept by job.
func (s *Status) Finished(r Run) {
	s.metrics.jobs.finished(r)
	if r.Started.IsZero() {
		return
	}
	s.metrics.duration.WithLabelValues(outcomes[outcome(r.Outcome)]).Observe(max(0, r.Finished.Sub(r.Started)).Seconds())
	s.metrics.lateness.Observe(max(0, r.Lateness).Seconds())
}

// Plan says that there is a job, and when it runs next; the zero time means
// that it has no next run. A job's counters begin at 0 here, so that the first
// failure is seen as an increase.
func (s *Status) Plan(job string, next time.Time) { s.metrics.jobs.plan(job, next) }

// Remember says when the newest runs of a job ended that [Status.Finished] was not
// told of, such as those before a restart. The zero time says nothing.
func (s *Status) Remember(job string, last, success time.Time) {
	s.metrics.jobs.remember(job, last, success)
}

// Forget drops all series of a job that was removed. They do not come back
// when its last run ends, only with [Status.Plan].
func (s *Status) Forget(job string) {
	s.metrics.jobs.forget(job)
	s.metrics.items.DeletePartialMatch(prometheus.Labels{"job": job})
}

// Items says how many items of a job are in each state. A state that is not named
// has none.
func (s *Status) Items(job string, states map[string]int) {
	s.metrics.items.DeletePartialMatch(prometheus.Labels{"job": job})
	for state, n := range states {
		s.metrics.items.WithLabelValues(job, state).Set(float64(n))
	}
}

// Queue says how many runs are due but wait for their turn, since when the first of
// them is due, and how many have begun. The zero time means that it is not known.
func (s *Status) Queue(waiting int, oldest time.Time, active int) {
	s.metrics.waiting.Set(float64(waiting))
	if oldest.IsZero() {
		s.metrics.oldest.Reset()
	} else {
		s.metrics.oldest.WithLabelValues().Set(seconds(oldest))
	}
	s.metrics.active.Set(float64(active))
}

// NoticesWait says how many notices of a channel are not sent yet. Its counters
// begin at 0 here, so that the first failure is seen as an increase.
func (s *Status) NoticesWait(channel string, n int) {
	s.metrics.noticesSent.WithLabelValues(channel)
	s.metrics.noticesGivenUp.WithLabelValues(channel)
	s.metrics.noticesWaiting.WithLabelValues(channel).Set(float64(n))
}

// NoticeSent counts a notice that was sent.
func (s *Status) NoticeSent(channel string) {
	s.metrics.noticesSent.WithLabelValues(channel).Inc()
}

// NoticeGivenUp counts a notice that nobody gets.
func (s *Status) NoticeGivenUp(channel string) {
	s.metrics.noticesGivenUp.WithLabelValues(channel).Inc()
}

// Token says when the token for a resource server ends; the zero time means
// that there is none any more.
func (s *Status) Token(resourceServer string, expires time.Time) {
	if expires.IsZero() {
		s.metrics.expiry.DeleteLabelValues(resourceServer)
		return
	}
	s.metrics.expiry.WithLabelValues(resourceServer).Set(seconds(expires))
}

// seconds returns t as metrics have it, since 1970.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
