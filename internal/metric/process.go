package metric

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

// AddProcess adds metrics of this process and of its Go runtime, with the names of
// Prometheus's client libraries, so that dashboards for any Go program show them.
// Metrics that the operating system does not provide are left out.
func (s *Set) AddProcess() { s.Add(process{begun: time.Now()}) }

// process collects the metrics of this process.
type process struct {
	begun time.Time // approximately
}

// Collect implements [Collector].
func (p process) Collect(to *Writer) {
	p.collectRuntime(to)
	collectMemory(to)
	collectPauses(to)
	p.collectSystem(to)
}

// one writes a family with one series.
func (w *Writer) one(name string, kind Kind, help string, value float64) {
	w.Family(Family{Name: name, Kind: kind, Help: help})
	w.Sample(value)
}

func (process) collectRuntime(to *Writer) {
	to.Family(Family{Name: "go_info", Kind: Gauge, Help: "The version of Go; always 1."})
	to.Sample(1, "version", runtime.Version())
	threads, _ := runtime.ThreadCreateProfile(nil)
	to.one("go_goroutines", Gauge, "Goroutines that exist.", float64(runtime.NumGoroutine()))
	to.one("go_threads", Gauge, "Threads that were created.", float64(threads))
	to.one("go_sched_gomaxprocs_threads", Gauge, "Threads that may run Go code at once.", float64(runtime.GOMAXPROCS(0)))
	to.one("go_gc_gomemlimit_bytes", Gauge, "The memory that the runtime tries to keep to.", float64(debug.SetMemoryLimit(-1)))
}

func collectMemory(to *Writer) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	to.one("go_memstats_alloc_bytes", Gauge, "Memory of objects in the heap.", float64(m.Alloc))
	to.one("go_memstats_alloc_bytes_total", Counter, "Memory that was allocated for objects, freed or not.", float64(m.TotalAlloc))
	to.one("go_memstats_mallocs_total", Counter, "Objects that were allocated.", float64(m.Mallocs))
	to.one("go_memstats_frees_total", Counter, "Objects that were freed.", float64(m.Frees))
	to.one("go_memstats_heap_alloc_bytes", Gauge, "Memory of objects in the heap.", float64(m.HeapAlloc))
	to.one("go_memstats_heap_idle_bytes", Gauge, "Memory of the heap that is not used.", float64(m.HeapIdle))
	to.one("go_memstats_heap_inuse_bytes", Gauge, "Memory of the heap that is used.", float64(m.HeapInuse))
	to.one("go_memstats_heap_objects", Gauge, "Objects in the heap.", float64(m.HeapObjects))
	to.one("go_memstats_heap_released_bytes", Gauge, "Memory of the heap that was given back to the system.", float64(m.HeapReleased))
	to.one("go_memstats_heap_sys_bytes", Gauge, "Memory of the heap, used or not.", float64(m.HeapSys))
	to.one("go_memstats_stack_inuse_bytes", Gauge, "Memory of stacks.", float64(m.StackInuse))
	to.one("go_memstats_sys_bytes", Gauge, "Memory that the runtime has from the system.", float64(m.Sys))
	to.one("go_memstats_next_gc_bytes", Gauge, "Size of the heap at which the next garbage collection begins.", float64(m.NextGC))
	to.one("go_memstats_last_gc_time_seconds", Gauge, "When the last garbage collection ended.", float64(m.LastGC)/1e9)
}

func collectPauses(to *Writer) {
	quantiles := []string{"0", "0.25", "0.5", "0.75", "1"}
	stats := debug.GCStats{PauseQuantiles: make([]time.Duration, len(quantiles))}
	debug.ReadGCStats(&stats)
	to.Family(Family{Name: "go_gc_duration_seconds", Kind: summaryKind, Help: "Pauses of garbage collections."})
	for i, q := range quantiles {
		to.Sample(stats.PauseQuantiles[i].Seconds(), "quantile", q)
	}
	to.sample("_sum", "", stats.PauseTotal.Seconds())
	to.sample("_count", "", float64(stats.NumGC))
}

func (p process) collectSystem(to *Writer) {
	to.one("process_start_time_seconds", Gauge, "When the process was started.", float64(p.begun.UnixMilli())/1000)
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err == nil {
		cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		to.one("process_cpu_seconds_total", Counter, "CPU time used, in user and system mode.", cpu.Seconds())
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		to.one("process_max_fds", Gauge, "File descriptors that may be open.", float64(limit.Cur))
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		to.one("process_open_fds", Gauge, "File descriptors that are open.", float64(len(open)-1)) // one is the folder itself
	}
	if virtual, resident, ok := memory(); ok {
		to.one("process_virtual_memory_bytes", Gauge, "Memory that the process has addresses for.", virtual)
		to.one("process_resident_memory_bytes", Gauge, "Memory that the process occupies.", resident)
	}
}

// memory returns the memory of this process in bytes, on Linux.
func memory() (virtual, resident float64, ok bool) {
	text, err := os.ReadFile("/proc/self/statm") // in pages, see proc_pid_statm(5)
	if err != nil {
		return 0, 0, false
	}
	if _, err := fmt.Fscan(bytes.NewReader(text), &virtual, &resident); err != nil {
		return 0, 0, false
	}
	page := float64(os.Getpagesize())
	return virtual * page, resident * page, true
}
