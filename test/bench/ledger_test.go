package main

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// A ledger that is filled behind its back has what the program would have written: each
// reading of it agrees with the runs.
func TestAFilledLedgerIsOneThatTheProgramWrote(t *testing.T) {
	const runs = 10_000
	file := filepath.Join(t.TempDir(), "runner.db")
	if err := fill(t.Context(), file, runs); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), "sqlite:"+file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it was only read
	strips, err := l.Strips(t.Context(), []string{"job-7"}, 30)
	if err != nil {
		t.Fatal(err)
	}
	bars := strips["job-7"].Bars
	for run, err := range l.Runs(t.Context(), ledger.Query{Job: "job-7", Limit: 30}) {
		if err != nil {
			t.Fatal(err)
		}
		if len(bars) == 0 {
			t.Fatalf("run %d is not in the strip", run.ID)
		}
		last := bars[len(bars)-1]
		if want := (ledger.Bar{ID: run.ID, State: run.State, Began: run.Began, Finished: run.Finished}); last != want {
			t.Fatalf("the strip has %+v, want %+v", last, want)
		}
		bars = bars[:len(bars)-1]
	}
	days, err := l.Days(t.Context(), "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	ended := int64(0)
	for _, day := range days {
		ended += day.Runs
	}
	if ended != runs {
		t.Errorf("the days have %d runs, want %d", ended, runs)
	}
}
