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
		"a code beside it":       {"EXPIRED", task + "did not end by its deadline", "EXPIRED: did not end by its deadline"},
		"a code in other words":  {"CANCELED", task + "was canceled by somebody else", "canceled by somebody else"},
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

func TestARunSaysWhenItBegan(t *testing.T) {
	begin := time.Date(2026, 11, 21, 2, 0, 5, 123, time.UTC)
	for _, key := range []string{"manual:1a2b", "github:12", "2026-11-21T02:00:00Z", "item:x"} {
		if got, want := started(&ledger.Run{Key: key, Began: begin}), "2026-11-21T02:00:05Z"; got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	if got := started(&ledger.Run{Key: "manual:1a2b"}); got != "" {
		t.Errorf("one that waits: got %q, want nothing", got)
	}
}

func TestAgoIsInTheLargestUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		2*time.Minute + 50*time.Second: "2m ago", 26 * time.Hour: "26h ago", 72 * time.Hour: "3d ago", -time.Minute: "0s ago", 3 * time.Second: "3s ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
