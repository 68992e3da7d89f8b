package runlog_test

import (
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/runlog"
)

func TestWhatHoldsARunIsItsNewestNote(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	note := func(kind, text string) ledger.Note { return ledger.Note{At: at, Kind: kind, Text: text} }
	tests := map[string]struct {
		state ledger.State
		notes []ledger.Note
		want  string
	}{
		"nothing":           {ledger.Submitted, nil, ""},
		"not submitted":     {ledger.Claimed, []ledger.Note{note("left", "offline")}, "nothing could be submitted at 2026-11-21T02:00:00Z: offline"},
		"tried again":       {ledger.Claimed, []ledger.Note{note("waiting", "offline")}, "nothing could be submitted at 2026-11-21T02:00:00Z: offline"},
		"left with a task":  {ledger.Submitted, []ledger.Note{note("left", "SIGTERM")}, "it was left at 2026-11-21T02:00:00Z: SIGTERM"},
		"an error":          {ledger.Submitted, []ledger.Note{note("retrying", "QUOTA_EXCEEDED: full")}, "retrying since 2026-11-21T02:00:00Z: QUOTA_EXCEEDED: full"},
		"a person":          {ledger.Submitted, []ledger.Note{note("left", "x"), note("needs_human", "paused")}, "needs human since 2026-11-21T02:00:00Z: paused"},
		"progress":          {ledger.Submitted, []ledger.Note{note("stalled", "x"), note("progressing", "y")}, ""},
		"somebody resumed":  {ledger.Submitted, []ledger.Note{note("left", "x"), note("resumed", "by y")}, ""},
		"a retry":           {ledger.Claimed, []ledger.Note{note("hopeless", "x"), note(ledger.NoteEnded, "failed")}, ""},
		"what says nothing": {ledger.Submitted, []ledger.Note{note("compared", "x")}, ""},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if got := runlog.Held(c.state, c.notes); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAdviceSaysHowToDoItAgainOnce(t *testing.T) {
	tests := map[string]struct {
		state   ledger.State
		code    string
		message string
		want    string
	}{
		"succeeded": {ledger.Succeeded, "", "fine", "fine"},
		"not over":  {ledger.Submitted, "", "", ""},
		"failed":    {ledger.Failed, "", "it is off; switch it on", "it is off; switch it on, then runner runs retry 4"},
		"a bracket": {
			ledger.Failed, "IS_A_DIRECTORY", "canceled, as it could not succeed (IS_A_DIRECTORY: /bad.tif on vault (2nd): is a directory); copy a folder as one (recursive)",
			"IS_A_DIRECTORY: /bad.tif on vault (2nd): is a directory; copy a folder as one (recursive), then runner runs retry 4",
		},
		"a bracket that stays open": {ledger.Failed, "X", "canceled (X: a (b", "X: a (b, then runner runs retry 4"},
		"canceled":                  {ledger.Canceled, "CANCELED", "canceled on request: nothing was submitted", "canceled on request: nothing was submitted; to do it after all: runner runs retry 4"},
		"canceled at Globus":        {ledger.Failed, "CANCELED", "task 5ab1d5a0-0000-4000-8000-000000000001 was canceled by her", "canceled by her; to do it after all: runner runs retry 4"},
		"another run does it":       {ledger.Skipped, "", "nothing is to be done once x has succeeded", "nothing is to be done once x has succeeded"},
		"says it itself":            {ledger.Skipped, "", "later: runner runs retry 4", "later: runner runs retry 4"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if got := runlog.Advice(&ledger.Run{ID: 4, Outcome: ledger.Outcome{State: c.state, Code: c.code, Message: c.message}}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatHoldsARunBrieflyBeginsWithTheCause(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"nothing":   {"", ""},
		"a request": {"POST /v0.10/transfer: 409 GCDisconnectedException: it is off; switch it on, and wait", "GCDisconnectedException: it is off"},
		"a task":    {"task 5ab1d5a0-0000-4000-8000-000000000001 was paused by her", "paused by her"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			notes := []ledger.Note{{Kind: "waiting", Text: c.text}, {Kind: "compared", Text: "x"}}
			if got := runlog.HeldBriefly(notes, 40); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
