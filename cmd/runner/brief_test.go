package main

import (
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestWhyBeginsWithTheCause(t *testing.T) {
	const task = "task 0b6c8f2e-0000-4000-8000-000000000001 "
	tests := map[string]struct {
		code, message string
		want          string
	}{
		"a code in the message":  {"PERMISSION_DENIED", task + "failed, its last error was PERMISSION_DENIED: /data is closed", "PERMISSION_DENIED: /data is closed"},
		"a code in parentheses":  {"GONE", task + "was canceled (GONE: /a (b) on lab: not there); check it", "GONE: /a (b) on lab: not there; check it"},
		"the same at the end":    {"GONE", task + "was canceled (GONE: /a (b))", "GONE: /a (b)"},
		"a code beside it":       {"CANCELED", task + "was canceled by somebody else", "CANCELED: canceled by somebody else"},
		"no code":                {"", "skipped: occurrence x of this job is not over (run 3)", "skipped: occurrence x of this job is not over (run 3)"},
		"another task":           {"", "skipped: " + task + "is still at work on the same paths", "skipped: task 0b6c8f2e… is still at work on the same paths"},
		"line ends as escapes":   {"", `500-Command failed.\r\n500 End.` + "\r\n", "500-Command failed. 500 End."},
		"longer than the column": {"X", strings.Repeat("é", 100), "X: " + strings.Repeat("é", 56) + "…"},
		"advice behind it":       {"", "item run_1 changed while it was copied; when it is ready again, it is done as occurrence item:run_1@2", "item run_1 changed while it was copied"},
		"advice that fits":       {"", "skipped; to do it later: runner runs retry 3", "skipped; to do it later: runner runs retry 3"},
		"nothing":                {"", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := why(&ledger.Run{Outcome: ledger.Outcome{Code: tt.code, Message: tt.message}})
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestARunByHandSaysHowLongAgoItBegan(t *testing.T) {
	begin := time.Date(2026, 11, 21, 2, 0, 5, 0, time.UTC)
	tests := map[string]struct {
		key   string
		since time.Duration
		want  string
	}{
		"by hand":        {"manual:1a2b", 2*time.Minute + 50*time.Second, "2m ago"},
		"of CI":          {"github:12", 26 * time.Hour, "26h ago"},
		"long ago":       {"manual:1a2b", 72 * time.Hour, "3d ago"},
		"another clock":  {"manual:1a2b", -time.Minute, "0s ago"},
		"of a schedule":  {"2026-11-21T02:00:00Z", time.Hour, "2026-11-21T02:00:05Z"},
		"within seconds": {"item:x", 3 * time.Second, "3s ago"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := started(&ledger.Run{Key: tt.key, Began: begin}, begin.Add(tt.since)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
