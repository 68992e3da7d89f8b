package main

import (
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/transfer"
)

// terminal returns a screen that is on a terminal of so many columns, and what
// is written to it.
func terminal(columns int) (*screen, *strings.Builder) {
	var out strings.Builder
	return &screen{w: &out, terminal: true, width: func() int { return columns }}, &out
}

func TestMessagesStandAboveTheLiveLine(t *testing.T) {
	s, out := terminal(80)
	s.show("copying")
	if _, err := s.Write([]byte("a message\n")); err != nil {
		t.Fatal(err)
	}
	s.clear()
	if want := eraseLine + "copying" + eraseLine + "a message\ncopying" + eraseLine; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestALiveLineIsNotWiderThanTheTerminal(t *testing.T) {
	s, out := terminal(6)
	s.show("Größenordnung")
	if want := eraseLine + "Größe"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestThereIsNoLiveLineWithoutATerminal(t *testing.T) {
	var out strings.Builder
	s := newScreen(&out, "")
	s.show("copying")
	s.clear()
	if out.Len() > 0 {
		t.Errorf("got %q, want nothing", out.String())
	}
}

func TestTheLiveLineSaysHowATaskGetsOn(t *testing.T) {
	task := transfer.Task{Status: transfer.Active, NiceStatus: "OK", FilesTransferred: 12, BytesTransferred: 3_400_000, EffectiveBytesPerSecond: 1_000_000, Faults: 1}
	queued, failing, done := task, task, task
	queued.NiceStatus, failing.NiceStatus, done.Status = "Queued", "FILE_NOT_FOUND", transfer.Succeeded
	tests := map[string]struct {
		task  transfer.Task
		class engine.Class
		want  string
	}{
		"moving":  {task, engine.Progressing, "progressing  12 files  3.4 MB  1.0 MB/s  1 faults  1m5s"},
		"queued":  {queued, engine.Progressing, "queued  "},
		"failing": {failing, engine.Retrying, "retrying (FILE_NOT_FOUND)  "},
		"done":    {done, engine.Progressing, "SUCCEEDED  "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := liveLine(&tt.task, tt.class, 65*time.Second); !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want it to begin with %q", got, tt.want)
			}
		})
	}
}
