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

func TestParseInstantReadsDatesAndInstants(t *testing.T) {
	tests := map[string]string{ // "" is an error
		"2026-11-21":                "2026-11-21T00:00:00Z",
		"2026-11-21T08:00:00Z":      "2026-11-21T08:00:00Z",
		"2026-11-21T08:00:00+02:00": "2026-11-21T06:00:00Z",
		"2026-11-21T08:00:00":       "",
		"2026-02-30":                "",
		"8h":                        "",
		"":                          "",
	}
	for text, want := range tests {
		at, err := jobs.ParseInstant(text)
		if got := at.Format(time.RFC3339); err == nil && got != want || (err != nil) != (want == "") {
			t.Errorf("ParseInstant(%q) = %s, %v, want %q", text, got, err, want)
		}
	}
}
