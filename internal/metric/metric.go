// Package metric keeps numbers and serves them to Prometheus, in version 0.0.4
// of its text format (https://prometheus.io/docs/instrumenting/exposition_formats/).
//
// A [Set] is what one address shows. It hands out [Values], which are counters or
// gauges, and [Histogram]s; [Set.Add] takes whatever else can write itself, such
// as what is kept elsewhere already.
//
// The client library of Prometheus does all of this and more. It is not linked
// because its Protocol Buffers, which no scrape of ours uses, are a twelfth of the
// program and a quarter of its start. Tests hold what is written here against that
// library's parser.
package metric

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// A Kind is the type of a family, as Prometheus has it.
type Kind string

// The kinds of families.
const (
	Counter       Kind = "counter"
	Gauge         Kind = "gauge"
	histogramKind Kind = "histogram"
	summaryKind   Kind = "summary"
)

// A Family is what all series of one name have in common.
type Family struct {
	Name string
	Kind Kind
	Help string // one sentence
}

// A Collector writes families that it keeps, or makes, by itself. Collect is called
// by one scrape at a time, or several at once.
type Collector interface {
	Collect(to *Writer)
}

// A Set is what one address shows, in the order in which it was told of it.
// Everything must be added before it is served.
type Set struct {
	collectors []Collector
}

// Add lets a collector write at each scrape.
func (s *Set) Add(c Collector) { s.collectors = append(s.collectors, c) }

// Values adds a counter or a gauge whose series differ in the values of labels.
// Without labels there is one series at most.
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

// Values are the numbers of a counter or a gauge. Methods take the values of its
// labels in their order, and may be called concurrently.
type Values struct {
	family Family
	labels []string

	mu     sync.Mutex
	series map[string]float64 // by its labels, as they are written
}

// Set sets the value of a series.
func (v *Values) Set(value float64, labels ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.series[pairs(v.labels, labels)] = value
}

// Add adds to the value of a series, which is 0 until then. To add 0 is to show it.
func (v *Values) Add(n float64, labels ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.series[pairs(v.labels, labels)] += n
}

// Delete drops the series whose first labels have these values: without any, all.
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

// A Histogram counts observations by how large they are. Its methods may be called
// concurrently.
type Histogram struct {
	family Family
	bounds []float64
	labels []string

	mu     sync.Mutex
	series map[string]*buckets
}

// buckets are one series of a histogram.
type buckets struct {
	counts []uint64 // each bucket by itself, the last without an upper bound
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

// Collect implements [Collector]. A histogram without labels is there before its
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
