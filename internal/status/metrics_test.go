package status_test

import (
	"bufio"
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/globus-runner/globus-runner/internal/status"
)

// noon is some instant: 1795953600 seconds after 1970.
var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// scrape returns what /metrics has of ours, without histogram buckets.
func scrape(t *testing.T, s *status.Status) map[string]string {
	t.Helper()
	series := map[string]string{}
	for line := range strings.Lines(string(page(t, s))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if i := strings.LastIndexByte(line, ' '); !strings.HasPrefix(line, "#") {
			name, value = line[:i], strings.TrimSpace(line[i:])
		}
		if strings.HasPrefix(name, "globus_runner_") && !strings.Contains(name, "_bucket{") {
			series[strings.TrimPrefix(name, "globus_runner_")] = value
		}
	}
	return series
}

// page returns the body of /metrics.
func page(t *testing.T, s *status.Status) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", http.NoBody)
	s.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d: %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// differ compares the series whose name has a part with those that are wanted.
func differ(t *testing.T, s *status.Status, part string, want map[string]string) {
	t.Helper()
	got := scrape(t, s)
	maps.DeleteFunc(got, func(name, _ string) bool { return !strings.Contains(name, part) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("want -, got +:\n", diff)
	}
}

// full returns a Status with a value in every metric.
func full() *status.Status {
	s := status.New(status.Config{Version: "v1.2.3", Commit: "abcdef", GoVersion: "go1.26"})
	s.Plan("nightly", noon.Add(24*time.Hour))
	s.Finished(status.Run{
		Job: "nightly", Outcome: "succeeded", Started: noon.Add(-90 * time.Second), Finished: noon, Lateness: 250 * time.Millisecond,
		Files: 412, FilesSkipped: 3, Bytes: 73400320, SkippedErrors: 2, Faults: 1,
	})
	s.Queue(3, noon.Add(-time.Hour), 2)
	s.Items("nightly", map[string]int{"waiting": 4, "ready": 9})
	s.Items("nightly", map[string]int{"waiting": 7, "done": 40})
	s.LooksFail("nightly", noon.Add(-time.Hour))
	s.LooksFail("arrivals", noon)
	s.LooksFail("arrivals", time.Time{})
	s.NoticesWait("ops", 2)
	s.NoticeSent("ops")
	s.NoticeSent("ops")
	s.NoticeGivenUp("ops")
	s.Token("transfer.api.globus.org", noon.Add(48*time.Hour))
	_, _ = send(s.Transport("transfer", replies(200))) // cannot fail
	return s
}

func TestEveryNumberIsShown(t *testing.T) {
	want := map[string]string{
		`runs_total{job="nightly",outcome="succeeded"}`:                             "1",
		`runs_total{job="nightly",outcome="failed"}`:                                "0",
		`runs_total{job="nightly",outcome="canceled"}`:                              "0",
		`runs_total{job="nightly",outcome="timed_out"}`:                             "0",
		`runs_total{job="nightly",outcome="skipped"}`:                               "0",
		`run_files_total{job="nightly"}`:                                            "412",
		`run_files_skipped_total{job="nightly"}`:                                    "3",
		`run_bytes_total{job="nightly"}`:                                            "7.340032e+07",
		`run_skipped_errors_total{job="nightly"}`:                                   "2",
		`run_faults_total{job="nightly"}`:                                           "1",
		`last_success_timestamp_seconds{job="nightly"}`:                             "1.7959536e+09",
		`last_run_timestamp_seconds{job="nightly"}`:                                 "1.7959536e+09",
		`next_run_timestamp_seconds{job="nightly"}`:                                 "1.79604e+09",
		`run_duration_seconds_sum{outcome="succeeded"}`:                             "90",
		`run_duration_seconds_count{outcome="succeeded"}`:                           "1",
		`run_lateness_seconds_sum`:                                                  "0.25",
		`run_lateness_seconds_count`:                                                "1",
		`items{job="nightly",state="waiting"}`:                                      "7",
		`items{job="nightly",state="done"}`:                                         "40",
		`look_failing_timestamp_seconds{job="nightly"}`:                             "1.79595e+09",
		`notices_sent_total{channel="ops"}`:                                         "2",
		`notices_given_up_total{channel="ops"}`:                                     "1",
		`notices_waiting{channel="ops"}`:                                            "2",
		`queue_waiting`:                                                             "3",
		`queue_active`:                                                              "2",
		`queue_oldest_timestamp_seconds`:                                            "1.79595e+09",
		`http_requests_total{code="200",service="transfer"}`:                        "1",
		`http_request_duration_seconds_count{service="transfer"}`:                   "1",
		`token_expiry_timestamp_seconds{resource_server="transfer.api.globus.org"}`: "1.7961264e+09",
		`build_info{commit="abcdef",goversion="go1.26",version="v1.2.3"}`:           "1",
	}
	got := scrape(t, full())
	delete(got, `http_request_duration_seconds_sum{service="transfer"}`) // real time
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("want -, got +:\n", diff)
	}
}

func TestPlannedJobBeginsAtZero(t *testing.T) {
	s := status.New(status.Config{})
	s.Plan("nightly", noon)
	differ(t, s, "failed", map[string]string{`runs_total{job="nightly",outcome="failed"}`: "0"})
	differ(t, s, "timestamp", map[string]string{`next_run_timestamp_seconds{job="nightly"}`: "1.7959536e+09"})
}

func TestJobWithoutNextRunHasNoSuchSeries(t *testing.T) {
	s := status.New(status.Config{})
	s.Plan("nightly", noon)
	s.Plan("nightly", time.Time{})
	differ(t, s, "next_run", map[string]string{})
	differ(t, s, "bytes", map[string]string{`run_bytes_total{job="nightly"}`: "0"})
}

func TestForgottenJobHasNoSeries(t *testing.T) {
	s := full()
	s.Plan("weekly", noon)
	s.Forget("nightly")
	s.Forget("never seen")
	s.Finished(status.Run{Job: "nightly", Outcome: "failed", Started: noon, Finished: noon}) // its last run
	differ(t, s, `job="nightly"`, map[string]string{})
	differ(t, s, `outcome="failed"`, map[string]string{
		`runs_total{job="weekly",outcome="failed"}`:    "0",
		`run_duration_seconds_sum{outcome="failed"}`:   "0",
		`run_duration_seconds_count{outcome="failed"}`: "1",
	})

	s.Plan("nightly", noon)
	differ(t, s, `bytes_total{job="nightly"}`, map[string]string{`run_bytes_total{job="nightly"}`: "0"})
}

func TestRunsAreCountedByOutcome(t *testing.T) {
	tests := map[string]struct {
		run         status.Run
		outcome     string
		lastSuccess bool
		measured    bool
	}{
		"succeeded":   {status.Run{Outcome: "succeeded", Started: noon, Finished: noon}, "succeeded", true, true},
		"failed":      {status.Run{Outcome: "failed", Started: noon, Finished: noon}, "failed", false, true},
		"unknown":     {status.Run{Outcome: "exploded: /etc/x", Started: noon, Finished: noon}, "other", false, true},
		"never began": {status.Run{Outcome: "skipped", Finished: noon}, "skipped", false, false},
		"clock set back": {
			status.Run{Outcome: "failed", Started: noon, Finished: noon.Add(-time.Hour), Lateness: -time.Hour, Bytes: -1, Files: -1},
			"failed", false, true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := status.New(status.Config{})
			tt.run.Job = "j"
			s.Finished(tt.run)
			got := scrape(t, s)
			if n := got[`runs_total{job="j",outcome="`+tt.outcome+`"}`]; n != "1" {
				t.Errorf("counted %q times as %s, want once", n, tt.outcome)
			}
			if _, ok := got[`last_success_timestamp_seconds{job="j"}`]; ok != tt.lastSuccess {
				t.Errorf("last success is shown: %t, want %t", ok, tt.lastSuccess)
			}
			if _, ok := got[`run_duration_seconds_sum{outcome="`+tt.outcome+`"}`]; ok != tt.measured {
				t.Errorf("duration is shown: %t, want %t", ok, tt.measured)
			}
			for name, value := range got {
				if strings.HasPrefix(value, "-") {
					t.Errorf("%s is %s, want nothing below 0", name, value)
				}
			}
		})
	}
}

func TestTimestampsDoNotGoBack(t *testing.T) {
	s := full()
	s.Finished(status.Run{Job: "nightly", Outcome: "succeeded", Started: noon.Add(-2 * time.Hour), Finished: noon.Add(-time.Hour)})
	differ(t, s, "last_", map[string]string{
		`last_success_timestamp_seconds{job="nightly"}`: "1.7959536e+09",
		`last_run_timestamp_seconds{job="nightly"}`:     "1.7959536e+09",
	})
}

func TestRunsBeforeARestartAreRememberedAndNotCounted(t *testing.T) {
	s := status.New(status.Config{})
	s.Remember("nightly", noon.Add(time.Hour), noon)
	s.Plan("nightly", time.Time{})
	s.Remember("never", time.Time{}, time.Time{})
	differ(t, s, "last_", map[string]string{
		`last_success_timestamp_seconds{job="nightly"}`: "1.7959536e+09",
		`last_run_timestamp_seconds{job="nightly"}`:     "1.7959572e+09",
	})
	differ(t, s, `nightly",outcome="succeeded"`, map[string]string{`runs_total{job="nightly",outcome="succeeded"}`: "0"})
	s.Finished(status.Run{Job: "nightly", Outcome: "succeeded", Started: noon, Finished: noon.Add(2 * time.Hour)})
	s.Remember("nightly", noon, noon) // a reload
	differ(t, s, "last_success", map[string]string{`last_success_timestamp_seconds{job="nightly"}`: "1.7959608e+09"})
	s.Forget("nightly")
	s.Remember("nightly", noon, noon)
	differ(t, s, "nightly", map[string]string{})
}

func TestOldestIsGoneWhenNothingWaits(t *testing.T) {
	s := full()
	s.Queue(0, time.Time{}, 2)
	differ(t, s, "queue_oldest", map[string]string{})
}

func TestTokenThatIsGoneHasNoExpiry(t *testing.T) {
	s := full()
	s.Token("transfer.api.globus.org", time.Time{})
	differ(t, s, "token", map[string]string{})
}

func TestMetricsFollowTheConventions(t *testing.T) {
	problems, err := promlint.New(bytes.NewReader(page(t, full()))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "globus_runner_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestMetricsHaveTheGoRuntimeAndTheProcess(t *testing.T) {
	for _, name := range []string{"go_goroutines ", "process_start_time_seconds "} {
		if !bytes.Contains(page(t, full()), []byte("\n"+name)) {
			t.Errorf("there is no %s", name)
		}
	}
}

// A slowWriter is somebody who takes long to read.
type slowWriter struct {
	*httptest.ResponseRecorder
	begun chan<- struct{}
	end   <-chan struct{}
}

func (w slowWriter) Write(b []byte) (int, error) {
	select {
	case w.begun <- struct{}{}:
	case <-w.end:
	}
	<-w.end
	return w.ResponseRecorder.Write(b)
}

func TestScrapesAtOnceAreLimited(t *testing.T) {
	h := full().Handler()
	begun, end := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(end)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", http.NoBody)
	for range 4 {
		wg.Go(func() { h.ServeHTTP(slowWriter{httptest.NewRecorder(), begun, end}, r) })
		<-begun
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusServiceUnavailable {
		t.Errorf("got status %d, want 503", w.Code)
	}
}

func TestTwoSchedulersShareNothing(t *testing.T) {
	full() // would register a second time, or count below
	differ(t, status.New(status.Config{}), "job=", map[string]string{})
}

func TestMetricsMayBeUsedConcurrently(t *testing.T) {
	s := status.New(status.Config{})
	transport := s.Transport("auth", replies(200))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				s.Beat()
				s.Plan("a", noon)
				s.Finished(status.Run{Job: "b", Outcome: "failed", Started: noon, Finished: noon})
				s.Forget("a")
				s.Queue(1, noon, 1)
				s.Token("auth.globus.org", noon)
				_, _ = send(transport) // cannot fail
			}
			page(t, s)
		})
	}
	wg.Wait()
	differ(t, s, `outcome="failed"`, map[string]string{
		`runs_total{job="b",outcome="failed"}`:         "400",
		`run_duration_seconds_sum{outcome="failed"}`:   "0",
		`run_duration_seconds_count{outcome="failed"}`: "400",
	})
}

var (
	metricRow  = regexp.MustCompile("^\\| `(globus_runner_\\w+)(?:\\{[^}]*\\})?` \\| (\\w+) \\| ([^|]+) \\| `([^|]+)` \\|$")
	metricName = regexp.MustCompile(`globus_runner_\w+`)
	metricType = regexp.MustCompile(`(?m)^# TYPE (globus_runner_\w+) (\w+)$`)
)

func TestEveryMetricIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]string{}, map[string]string{}
	for _, m := range metricType.FindAllSubmatch(page(t, full()), -1) {
		want[string(m[1])] = string(m[2])
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if m := metricRow.FindStringSubmatch(lines.Text()); m != nil {
			got[m[1]] = m[2]
			if alert := m[4]; !strings.Contains(alert, m[1]) {
				t.Errorf("the alert for %s is about something else: %s", m[1], alert)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("served -, documented +:\n", diff)
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(metricName.FindAllString(string(text), -1)))) {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if b, ok := strings.CutSuffix(name, suffix); ok && want[b] == "histogram" {
				base = b
			}
		}
		if want[base] == "" {
			t.Errorf("docs/metrics.md mentions %s, which does not exist", name)
		}
	}
}

func TestDocumentedLabelsAreThoseServed(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	label := regexp.MustCompile(`(\w+)="`)
	for name := range scrape(t, full()) {
		base, labels, _ := strings.Cut(name, "{")
		var names []string
		for _, m := range label.FindAllStringSubmatch(labels, -1) {
			names = append(names, m[1])
		}
		base = strings.TrimSuffix(strings.TrimSuffix(base, "_sum"), "_count")
		row := regexp.MustCompile("(?m)^\\| `globus_runner_" + base + "(?:\\{([^}]*)\\})?` ").FindSubmatch(text)
		if row == nil {
			continue // another test's finding
		}
		documented := slices.DeleteFunc(strings.Split(string(row[1]), ", "), func(s string) bool { return s == "" })
		slices.Sort(documented)
		if !slices.Equal(documented, names) {
			t.Errorf("%s has the labels %q, documented are %q", base, names, documented)
		}
	}
}

func BenchmarkScrape(b *testing.B) {
	s := status.New(status.Config{})
	for i := range 10000 {
		s.Plan("job-"+string(rune('a'+i%26))+time.Duration(i).String(), noon)
	}
	r := httptest.NewRequestWithContext(context.Background(), "GET", "/metrics", http.NoBody)
	for b.Loop() {
		s.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
}
