// Package status serves the state of the runner to machines: /healthz and
// /readyz for an orchestrator's probes, /metrics for Prometheus. Callers report
// to a [Status] what happens; docs/metrics.md says what each metric means.
//
// Anybody who can connect can ask, so no answer contains a secret or the path
// of a file.
package status

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// loopTime is the longest time between turns of the scheduler's loop.
const loopTime = 2 * time.Minute

const (
	// vitalTime is how long a vital check may fail before a restart is the
	// better choice. A failover should be over by then.
	vitalTime = 5 * time.Minute
	// vitalEvery is how often the vital checks are made.
	vitalEvery = 15 * time.Second
)

// loopCheck is the name of the built-in check.
const loopCheck = "loop"

// A Config configures a [Status].
type Config struct {
	// The program, for the metric build_info.
	Version, Commit, GoVersion string

	// Checks are the conditions of readiness by name. The check loop, that
	// the scheduler's loop turns, is always added and replaces one of that
	// name. A check has 2 s and should heed its context; one that does not
	// is abandoned, and called again only after it has returned. The text
	// of its error is shown without paths of files and with only the host
	// of URLs; it must not contain other secrets.
	Checks map[string]func(context.Context) error

	// Vital are the names of the checks that all work depends on. If one
	// fails for five minutes, /healthz answers 503; see [Status.Watch].
	Vital []string
}

// A Status is the state of a running scheduler. Its methods may be called
// concurrently.
type Status struct {
	metrics *metrics
	ready   *readiness
	begun   time.Time
	beat    atomic.Pointer[time.Time] // when the loop last turned; nil before the first turn
	vital   []string
	failing atomic.Pointer[failing] // nil while the vital checks pass
	rest    http.Handler            // serves all other paths; may be nil
}

// failing is a vital check that fails.
type failing struct {
	since time.Time
	last  result
}

// New returns the Status of a scheduler that is starting.
func New(c Config) *Status {
	s := &Status{metrics: newMetrics(c), begun: time.Now(), vital: c.Vital}
	s.ready = newReadiness(c.Checks, s.loop)
	return s
}

// Require adds a condition of readiness to those of [Config].Checks. It must be
// called before the Status is watched or served.
func (s *Status) Require(name string, check func(context.Context) error) { s.ready.add(name, check) }

// Mount lets a handler serve the paths that [Status.Handler] does not know. It must
// be called before the Status is served.
func (s *Status) Mount(rest http.Handler) { s.rest = rest }

// Beat records that the scheduler's loop has turned. It costs next to nothing
// and must be called at least every two minutes.
func (s *Status) Beat() { s.beat.Store(new(time.Now())) }

// Watch makes the vital checks until ctx ends. Without it /healthz depends on
// the loop only.
func (s *Status) Watch(ctx context.Context) {
	tick := time.NewTicker(vitalEvery)
	defer tick.Stop()
	for {
		s.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look makes the checks, and records since when a vital one fails.
func (s *Status) look(ctx context.Context) {
	now := s.ready.round(ctx)
	select {
	case <-now.done:
	case <-ctx.Done():
		return
	}
	i := slices.IndexFunc(now.results, func(r result) bool { return !r.OK && slices.Contains(s.vital, r.Name) })
	if i < 0 {
		s.failing.Store(nil)
		return
	}
	f := &failing{since: time.Now(), last: now.results[i]}
	if before := s.failing.Load(); before != nil {
		f.since = before.since
	}
	s.failing.Store(f)
}

// working returns an error if a vital check has failed for too long.
func (s *Status) working() error {
	f := s.failing.Load()
	if f == nil || time.Since(f.since) < vitalTime {
		return nil
	}
	return fmt.Errorf("the %s cannot be used for %v: %s", f.last.Name, time.Since(f.since).Truncate(time.Second), f.last.Error)
}

// alive returns an error if the loop has not turned lately. The start counts as
// a turn, so that a slow start is not taken for a hang.
func (s *Status) alive() error {
	last := s.begun
	if beat := s.beat.Load(); beat != nil {
		last = *beat
	}
	if age := time.Since(last); age > loopTime {
		return fmt.Errorf("the scheduler's loop has not turned for %v", age.Truncate(time.Second))
	}
	return nil
}

// loop is the check of that name. It is stricter than alive: it needs a first turn.
func (s *Status) loop(context.Context) error {
	if s.beat.Load() == nil {
		return errors.New("the scheduler's loop has not turned yet")
	}
	return s.alive()
}

// Handler returns the handler of these paths:
//
//   - GET /healthz: 200 while the scheduler's loop has turned within the last
//     two minutes or was started since then, and no vital check has failed for
//     five minutes, else 503; a process that answers 503 is better restarted
//   - GET /readyz: 200 if every check passes, else 503, with the checks by
//     name; they run side by side, and their results are kept for 1 s
//   - GET /metrics: the text format of Prometheus; 503 to more than four at once
//
// Methods other than GET and HEAD get 405, and other paths 404 unless a handler is mounted.
// All replies except /metrics are JSON with the boolean ok, and with error if it is false.
func (s *Status) Handler() http.Handler {
	pages := map[string]http.Handler{
		"/healthz": http.HandlerFunc(s.serveHealth),
		"/readyz":  http.HandlerFunc(s.ready.serve),
		"/metrics": s.metrics.set.Handler(maxScrapes),
	}
	// A ServeMux would redirect from paths that are not clean and answer in
	// plain text.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		switch {
		case !ok && s.rest != nil:
			s.rest.ServeHTTP(w, r)
		case !ok:
			reply(w, http.StatusNotFound, answer{Error: "not found"})
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			reply(w, http.StatusMethodNotAllowed, answer{Error: "method not allowed"})
		default:
			page.ServeHTTP(w, r)
		}
	})
}

func (s *Status) serveHealth(w http.ResponseWriter, _ *http.Request) {
	if err := cmp.Or(s.alive(), s.working()); err != nil {
		reply(w, http.StatusServiceUnavailable, answer{Error: err.Error()})
		return
	}
	reply(w, http.StatusOK, answer{OK: true})
}

// An answer is the document of every path but /metrics.
type answer struct {
	OK     bool     `json:"ok"`
	Error  string   `json:"error,omitempty"`
	Checks []result `json:"checks,omitempty"` // of /readyz, by name
}

func reply(w http.ResponseWriter, status int, doc answer) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // the client has gone
}
