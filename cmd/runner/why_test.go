package main

import (
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

func TestWhySaysThatAJobIsLateOrOverdue(t *testing.T) {
	since := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	s := ledger.Standing{Alarms: []ledger.Alarm{
		{Kind: "failed", Since: since, Why: "it is off"}, // the run says so itself
		{Kind: "overdue", Since: since, Why: "No run has succeeded"},
	}}
	if got, want := whatIsAmiss(s), "; overdue since 2026-11-21T02:00:00Z: No run has succeeded"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := whatIsAmiss(ledger.Standing{}); got != "" {
		t.Errorf("got %q of a job that is well, want nothing", got)
	}
}

func TestWhySaysWhatHoldsARunAtWork(t *testing.T) {
	now := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	notes := []ledger.Note{{At: now, Kind: "retrying", Text: "QUOTA_EXCEEDED: full"}}
	run := &ledger.Run{Holder: "vm:1", Outcome: ledger.Outcome{State: ledger.Submitted}}
	if got, want := whyUnfinished(run, notes, true), "vm:1 works on it; retrying since 2026-11-21T02:00:00Z: QUOTA_EXCEEDED: full"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := whyUnfinished(run, nil, true), "vm:1 works on it"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
