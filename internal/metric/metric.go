// Package metric keeps metrics and serves them to Prometheus, in version 0.0.4 of
// its text format (https://prometheus.io/docs/instrumenting/exposition_formats/).
//
// A [Set] has the metrics of one address. [Set.Values] adds a counter or gauge,
// [Set.Histogram] a histogram, and [Set.Add] a [Collector] that writes metrics
// kept elsewhere.
//
// The client library of Prometheus does all of this and more. It is not used
// because its Protocol Buffers, which our scrapes do not need, would be a twelfth
// of the program and a quarter of its start. Tests check the output with that
// library's parser.
package metric

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// A Kind is the type of a family.
type Kind string

// The kinds of families.
const (
	Counter       Kind = "counter"
	Gauge         Kind = "gauge"
	histogramKind Kind = "histogram"
	summaryKind   Kind = "summary"
)

// A Family describes all series of one name.
type Family struct {
	Name string
	Kind Kind
	Help string // one sentence
}

// A Collector writes families at each scrape. Collect may be called concurrently.
type Collector interface {
	Collect(to *Writer)
}

// A Set is the metrics of one address, in the order in which they were added.
// Everything must be added before it is served.
type Set struct {
	collectors []Collector
}

// Add lets a collector write at each scrape.
func (s *Set) Add(c Collector) { s.collectors = append(s.collectors, c) }

// Values adds a counter or a gauge whose series differ in the values of these
// labels. Without labels it has at most one series.
func (s *Set) Values(f Family, labels ...string) *Values {
	v := &Values{family: f, labels: labels, series: map[string]float64{}}
	s.Add(v)
	return v
}

// Histogram adds a histogram. The bounds are the upper ends of its buckets, in
// rising order; one for everything above the last is added.
func (s *Set) Histogram(name, help string, bounds []float64, labels ...string) *Histogram {
	h := &Histogram{
		family: Family{Name: name, Kind: histogramKind, Help: help},
		bounds: bounds, labels: labels, series: map[string]*buckets{},
	}
	s.Add(h)
	return h
}

// Values are the series of a counter or a gauge. Methods take the values of its
// labels in their order, and may be called concurrently.
type Values struct {
	family Family
	labels []string

	mu     sync.Mutex
	series map[string]float64 // by its labels, in the form in which they are written
}

// Set sets the value of a series.
func (v *Values) Set(value float64, labels ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.series[pairs(v.labels, labels)] = value
}

// Add adds n to the value of a series, which begins with 0. Adding 0 makes the series
// appear.
func (v *Values) Add(n float64, labels ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.series[pairs(v.labels, labels)] += n
}

// Delete drops the series whose first labels have these values; without any, it drops
// all.
func (v *Values) Delete(labels ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	begin := pairs(v.labels[:len(labels)], labels)
	maps.DeleteFunc(v.series, func(key string, _ float64) bool {
		return begin == "" || key == begin || strings.HasPrefix(key, begin+",")
	})
}

// Collect implements [Collector].
func (v *Values) Collect(to *Writer) {
	v.mu.Lock()
	series := maps.Clone(v.series)
	v.mu.Unlock()
	to.Family(v.family)
	for _, key := range slices.Sorted(maps.Keys(series)) {
		to.sample("", key, series[key])
	}
}

// A Histogram counts observations by their size. Its methods may be called
// concurrently.
type Histogram struct {
	family Family
	bounds []float64
	labels []string

	mu     sync.Mutex
	series map[string]*buckets
}

// buckets is one series of a histogram.
type buckets struct {
	counts []uint64 // not cumulative; the last has no upper bound
	sum    float64
}

// Observe counts one observation.
func (h *Histogram) Observe(x float64, labels ...string) {
	i, _ := slices.BinarySearch(h.bounds, x) // a bound belongs to its bucket
	h.mu.Lock()
	defer h.mu.Unlock()
	key := pairs(h.labels, labels)
	if h.series[key] == nil {
		h.series[key] = &buckets{counts: make([]uint64, len(h.bounds)+1)}
	}
	h.series[key].counts[i]++
	h.series[key].sum += x
}

// Collect implements [Collector]. A histogram without labels appears before its
// first observation.
func (h *Histogram) Collect(to *Writer) {
	series := h.snapshot()
	to.Family(h.family)
	for _, key := range slices.Sorted(maps.Keys(series)) {
		b, sum := series[key], uint64(0)
		for i, n := range b.counts {
			sum += n
			bound := "+Inf"
			if i < len(h.bounds) {
				bound = number(h.bounds[i])
			}
			to.sample("_bucket", join(key, pairs([]string{"le"}, []string{bound})), float64(sum))
		}
		to.sample("_sum", key, b.sum)
		to.sample("_count", key, float64(sum))
	}
}

func (h *Histogram) snapshot() map[string]buckets {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[string]buckets, len(h.series))
	if len(h.labels) == 0 {
		all[""] = buckets{counts: make([]uint64, len(h.bounds)+1)}
	}
	for key, b := range h.series {
		all[key] = buckets{counts: slices.Clone(b.counts), sum: b.sum}
	}
	return all
}
