package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/internal/fault"
)

const (
	// loudFailures is how many failures in a row are logged, each with all lines of
	// its run.
	loudFailures = 3
	// quietTime is how long further failures for the same reason are not logged
	// after one that was: an hour, less what keeps the line at the same minute.
	quietTime = time.Hour - 30*time.Second
)

// streaks counts the failures in a row of each job, and of its looks for items. A job that
// fails every minute must not bury everything else in the log: the ledger has its runs.
type streaks struct {
	mu    sync.Mutex
	byJob map[string]*streak // only of those that failed last
}

// A streak counts the failures of a job in a row.
type streak struct {
	failures int
	since    time.Time     // the end of the first
	reason   fault.Meaning // of the last
	logged   time.Time     // when a failure was logged last
	hidden   int           // failures since then
}

// quiet reports whether not to log the lines of a run that begins.
func (s *streaks) quiet(job string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := s.byJob[job]
	return is != nil && is.quiet(now)
}

func (s *streak) quiet(now time.Time) bool {
	return s.failures >= loudFailures && now.Sub(s.logged) < quietTime
}

// failed counts a failure. It reports whether its end is logged, and what the line
// says of those before.
func (s *streaks) failed(job string, err error, now time.Time) (attrs []any, loud bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := s.byJob[job]
	if is == nil {
		is = &streak{since: now}
		s.byJob[job] = is
	}
	reason := fault.Of(err)
	reason.RequestID = ""
	same := reason == is.reason
	is.reason = reason
	quiet := is.quiet(now) && same
	if is.failures++; quiet {
		is.hidden++
		return nil, false
	}
	if is.failures > 1 {
		attrs = []any{"failures_in_a_row", is.failures, "since", is.since.UTC().Truncate(time.Second), "failures_not_logged", is.hidden}
	}
	is.logged, is.hidden = now, 0
	return attrs, true
}

// over ends the streak of a job, and returns what the line of its success says.
func (s *streaks) over(job string) (attrs []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if is := s.byJob[job]; is != nil {
		attrs = []any{"failures_before", is.failures, "failures_not_logged", is.hidden}
		delete(s.byJob, job)
	}
	return attrs
}

// hush returns a log whose information is for whoever looks for mistakes alone.
func hush(log *slog.Logger) *slog.Logger { return slog.New(hushed{log.Handler()}) }

type hushed struct{ slog.Handler }

func (h hushed) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, lowered(level))
}

func (h hushed) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lowered(r.Level)
	return h.Handler.Handle(ctx, r)
}

func (h hushed) WithAttrs(attrs []slog.Attr) slog.Handler {
	return hushed{h.Handler.WithAttrs(attrs)}
}

func (h hushed) WithGroup(name string) slog.Handler {
	return hushed{h.Handler.WithGroup(name)}
}

// lowered returns the level at which a line of some level is logged.
func lowered(level slog.Level) slog.Level {
	if level <= slog.LevelInfo {
		return min(level, slog.LevelDebug)
	}
	return level
}
