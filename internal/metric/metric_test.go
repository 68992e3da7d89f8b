package metric_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/globus-runner/globus-runner/internal/metric"
)

// scrape returns what a handler shows.
func scrape(t testing.TB, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", http.NoBody))
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func Example() {
	var set metric.Set
	files := set.Values(metric.Family{Name: "files_total", Kind: metric.Counter, Help: "Files transferred."}, "job")
	files.Add(412, "nightly")
	files.Add(0, "weekly")
	set.Histogram("wait_seconds", "Time in the queue.", []float64{1, 60}).Observe(2.5)

	w := httptest.NewRecorder()
	set.Handler(1).ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", "/metrics", http.NoBody))
	_, _ = io.Copy(os.Stdout, w.Body)
	// Output:
	// # HELP files_total Files transferred.
	// # TYPE files_total counter
	// files_total{job="nightly"} 412
	// files_total{job="weekly"} 0
	// # HELP wait_seconds Time in the queue.
	// # TYPE wait_seconds histogram
	// wait_seconds_bucket{le="1"} 0
	// wait_seconds_bucket{le="60"} 1
	// wait_seconds_bucket{le="+Inf"} 1
	// wait_seconds_sum 2.5
	// wait_seconds_count 1
}

// The client library of Prometheus, given the same numbers, writes the same bytes.
func TestWritesWhatPrometheusOwnLibraryWrites(t *testing.T) {
	bounds := []float64{.01, .25, 1, 60, 86400}
	r := rand.New(rand.NewPCG(1, 2))
	registry, set := prometheus.NewRegistry(), metric.Set{}

	help := "What \\ helps,\nin \"two\" lines."
	theirs := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "a", Help: help}, []string{"job", "state"})
	ours := set.Values(metric.Family{Name: "a", Kind: metric.Gauge, Help: help}, "job", "state")
	theirCounter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "b_total", Help: "B."}, []string{"channel"})
	ourCounter := set.Values(metric.Family{Name: "b_total", Kind: metric.Counter, Help: "B."}, "channel")
	theirTimes := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "c", Help: "C.", Buckets: bounds}, []string{"job"})
	ourTimes := set.Histogram("c", "C.", bounds, "job")
	theirWait := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "d", Help: "D.", Buckets: bounds})
	ourWait := set.Histogram("d", "D.", bounds)
	theirSingle := prometheus.NewGauge(prometheus.GaugeOpts{Name: "e", Help: "E."})
	ourSingle := set.Values(metric.Family{Name: "e", Kind: metric.Gauge, Help: "E."})
	registry.MustRegister(theirs, theirCounter, theirTimes, theirWait, theirSingle)
	theirSingle.Set(math.Inf(1))
	ourSingle.Set(math.Inf(1))

	names := []string{"nightly", "nightly-2", "a\"b", "a\\", "a\nb", "ü, {x=\"y\"}", ""}
	values := append([]float64{0, -1, 1795953600, 1e21, 1e-9, math.MaxInt64, math.Inf(-1)}, bounds...)
	for range 2000 {
		job, state, x := names[r.IntN(len(names))], names[r.IntN(len(names))], values[r.IntN(len(values))]
		switch r.IntN(6) {
		case 0:
			theirs.DeletePartialMatch(prometheus.Labels{"job": job})
			ours.Delete(job)
		case 1:
			theirCounter.WithLabelValues(job).Add(math.Abs(x))
			ourCounter.Add(math.Abs(x), job)
		case 2:
			theirTimes.WithLabelValues(job).Observe(x)
			ourTimes.Observe(x, job)
		case 3:
			theirWait.Observe(x)
			ourWait.Observe(x)
		default:
			theirs.WithLabelValues(job, state).Set(x)
			ours.Set(x, job, state)
		}
	}
	want := lines(scrape(t, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	if diff := cmp.Diff(want, lines(scrape(t, set.Handler(1)))); diff != "" {
		t.Error("Prometheus -, ours +:\n", diff)
	}
}

// lines returns the lines of a page without regard to the order of its series.
func lines(page string) []string {
	all := strings.Split(page, "\n")
	slices.Sort(all)
	return all
}

func TestDeleteTakesWholeLabels(t *testing.T) {
	var set metric.Set
	v := set.Values(metric.Family{Name: "a", Kind: metric.Gauge, Help: "A."}, "job", "state")
	for _, job := range []string{"night", "nightly"} {
		v.Set(1, job, "done")
		v.Set(1, job, "done2")
	}
	v.Delete("night")
	v.Delete("nightly", "done")
	if got, want := scrape(t, set.Handler(1)), "# HELP a A.\n# TYPE a gauge\na{job=\"nightly\",state=\"done2\"} 1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	v.Delete()
	if got := scrape(t, set.Handler(1)); got != "" {
		t.Errorf("got %q, want nothing of an empty family", got)
	}
}

func TestCompressesOnlyIfAsked(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "deflate, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.00": false,
		"gzip; q=1.0": true, "gzipped": false, "br, gzip": true, "*": false,
	} {
		var set metric.Set
		set.Values(metric.Family{Name: "a", Kind: metric.Gauge, Help: "A."}).Set(1)
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", http.NoBody)
		r.Header.Set("Accept-Encoding", accept)
		set.Handler(1).ServeHTTP(w, r)
		body := io.Reader(w.Body)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("%q: compressed is %t, want %t", accept, got, want)
			continue
		}
		if want {
			z, err := gzip.NewReader(body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		if text, err := io.ReadAll(body); err != nil || !bytes.HasSuffix(text, []byte("\na 1\n")) {
			t.Errorf("%q: got %q, %v", accept, text, err)
		}
	}
}

func TestContentTypeIsThatOfTheFormat(t *testing.T) {
	w := httptest.NewRecorder()
	new(metric.Set).Handler(1).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", http.NoBody))
	if got := expfmt.ResponseFormat(w.Header()); got.FormatType() != expfmt.TypeTextPlain {
		t.Errorf("Prometheus takes %q for %v", w.Header().Get("Content-Type"), got)
	}
}

var typeLine = regexp.MustCompile(`(?m)^# TYPE (\w+) (\w+)$`)

// Dashboards for any Go program know these names.
func TestProcessHasTheNamesOfPrometheusOwnLibrary(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	known := map[string]string{}
	for _, m := range typeLine.FindAllStringSubmatch(scrape(t, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})), -1) {
		known[m[1]] = m[2]
	}
	var set metric.Set
	set.AddProcess()
	page := scrape(t, set.Handler(1))
	for _, m := range typeLine.FindAllStringSubmatch(page, -1) {
		if known[m[1]] != m[2] {
			t.Errorf("%s is a %s, that library calls it %q", m[1], m[2], known[m[1]])
		}
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"go_goroutines", "go_memstats_heap_alloc_bytes", "process_cpu_seconds_total", "process_resident_memory_bytes",
		"process_virtual_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds",
	} {
		f := families[name]
		if f == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		if m := f.GetMetric()[0]; m.GetGauge().GetValue()+m.GetCounter().GetValue() <= 0 {
			t.Errorf("%s is %v", name, m)
		}
	}
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "go_") { // some of its names are older than the rules
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func FuzzLabelsAreReadBack(f *testing.F) {
	f.Add("nightly", "done")
	f.Add("a\"b\\c\nd", "{},=")
	f.Add("\xff", "\u202e")
	f.Fuzz(func(t *testing.T, job, state string) {
		var set metric.Set
		set.Values(metric.Family{Name: "a", Kind: metric.Gauge, Help: job}, "job", "state").Set(7, job, state)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		page := scrape(t, set.Handler(1))
		families, err := parser.TextToMetricFamilies(strings.NewReader(page))
		if err != nil {
			t.Fatalf("%v in %q", err, page)
		}
		got := fmt.Sprint(families["a"].GetMetric()[0].GetLabel()[0].GetValue(), families["a"].GetMetric()[0].GetLabel()[1].GetValue())
		if want := fmt.Sprint(strings.ToValidUTF8(job, "\uFFFD"), strings.ToValidUTF8(state, "\uFFFD")); got != want {
			t.Errorf("read back as %q, want %q", got, want)
		}
	})
}
