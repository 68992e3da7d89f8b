package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/schedule"
)

// The clock of another machine, which passes an instant on, may be a little ahead.
func TestAnOccurrenceThatIsNotDueIsAWarning(t *testing.T) {
	now := time.Date(2026, 11, 21, 1, 59, 30, 0, time.UTC)
	nightly, err := schedule.Parse("0 2 * * *", time.UTC)
	must(t, err)
	const early, strange = "the occurrence is not due yet", "the schedule does not have this occurrence"
	for name, tt := range map[string]struct {
		schedule *schedule.Schedule
		key      jobs.Key
		want     string
	}{
		"in half a minute":      {nightly, "2026-11-21T02:00:00Z", ""},
		"yesterday":             {nightly, "2026-11-20T02:00:00Z", ""},
		"tomorrow":              {nightly, "2026-11-22T02:00:00Z", early},
		"a minute later":        {nightly, "2026-11-20T02:01:00Z", strange},
		"of no schedule":        {nil, "2026-11-20T02:01:00Z", ""},
		"of another scheduler":  {nil, "2026-11-22T02:00:00Z", early},
		"of a CI system":        {nightly, "github:1", ""},
		"tomorrow, and strange": {nightly, "2026-11-22T02:01:00Z", strange},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			warnOfInstant(slog.New(slog.NewTextHandler(&log, nil)), engine.Order{Job: &jobs.Job{Name: "nightly", Schedule: tt.schedule}, Key: tt.key}, now)
			if tt.want == "" && log.Len() > 0 || !strings.Contains(log.String(), tt.want) {
				t.Errorf("got %q, want %q", log.String(), tt.want)
			}
		})
	}
}
