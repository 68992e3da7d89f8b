package jobs_test

import (
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/jobs"
)

func TestFormatDurationWritesWhatParseDurationReads(t *testing.T) {
	for _, want := range []string{"0s", "59s", "30m", "1h30m", "24h", "36h", "30d", "3650d", "49h1m1s"} {
		d, err := jobs.ParseDuration(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := jobs.FormatDuration(d); got != want {
			t.Errorf("%v is written as %q, want %q", d, got, want)
		}
	}
	if got := jobs.FormatDuration(time.Minute + time.Millisecond); got != "1m" {
		t.Errorf("a part of a second is written: %q", got)
	}
}
