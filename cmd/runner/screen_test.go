package main

import (
	"strings"
	"testing"
	"testing/synctest"
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
	defer s.clear()
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

func TestTheLiveLineSaysWhatProgressATaskMakes(t *testing.T) {
	begin := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	task := transfer.Task{
		TaskID: "t", Status: transfer.Active, NiceStatus: "OK", Files: 100, FilesTransferred: 10, FilesSkipped: 2,
		BytesTransferred: 3_400_000, EffectiveBytesPerSecond: 1_000_000,
	}
	later, queued, failing, ended := task, task, task, task
	later.FilesTransferred, later.BytesTransferred = 38, 9_900_000
	growing := later
	growing.Files = 200
	queued.NiceStatus, ended.Status = "Queued", transfer.Succeeded
	failing.NiceStatus, failing.Faults = "FILE_NOT_FOUND", 3
	tests := map[string]struct {
		tasks   []transfer.Task // looked at every 14 s, the first after a minute
		class   engine.Class
		columns int
		want    string
	}{
		"first look": {[]transfer.Task{task}, engine.Progressing, 120, "progressing  nightly  12 of 100 files  12%  3.4 MB  1.0 MB/s  1m5s"},
		// 28 files took 14 s, so 60 take 30 s, of which 5 are over.
		"time left":        {[]transfer.Task{task, later}, engine.Progressing, 120, "progressing  nightly  40 of 100 files  40%  9.9 MB  1.0 MB/s  25s left  1m19s"},
		"more files":       {[]transfer.Task{task, growing}, engine.Progressing, 120, "progressing  nightly  40 of 200 files  20%  9.9 MB  1.0 MB/s  1m19s"},
		"queued":           {[]transfer.Task{queued}, engine.Progressing, 120, "queued  nightly  12 of 100 files  12%  3.4 MB  1.0 MB/s  1m5s"},
		"last error":       {[]transfer.Task{failing}, engine.Retrying, 120, "retrying  nightly  12 of 100 files  12%  3.4 MB  1.0 MB/s  1m5s  3 faults, last: FILE_NOT_FOUND"},
		"overcome error":   {[]transfer.Task{failing, later}, engine.Progressing, 120, "progressing  nightly  40 of 100 files  40%  9.9 MB  1.0 MB/s  25s left  1m19s  last error: FILE_NOT_FOUND"},
		"80 columns":       {[]transfer.Task{failing}, engine.Retrying, 80, "retrying  nightly  12 of 100 files  12%  3.4 MB  3 faults, last: FILE_NOT_FOUND"},
		"very narrow":      {[]transfer.Task{failing}, engine.Retrying, 20, "retrying"},
		"done":             {[]transfer.Task{task, ended}, engine.Progressing, 120, "succeeded  nightly  12 of 100 files  12%  3.4 MB  1.0 MB/s  1m19s"},
		"another one":      {[]transfer.Task{ended, {TaskID: "u", Status: transfer.Active, NiceStatus: "OK"}}, engine.Progressing, 120, "progressing  nightly  0 files  0 B  0 B/s  1m19s"},
		"two side by side": {[]transfer.Task{task, {TaskID: "u", Status: transfer.Active, Files: 100, FilesTransferred: 38}}, engine.Progressing, 120, "2 tasks  50 of 200 files  25%  3.4 MB  1.0 MB/s"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var l live
			at := begin.Add(time.Minute)
			for i := range tt.tasks {
				if i > 0 {
					at = at.Add(14 * time.Second)
				}
				l.note(engine.Looked{Job: "nightly", Task: &tt.tasks[i], Class: tt.class, Started: begin}, at)
			}
			if got := l.line(tt.columns, at.Add(5*time.Second)); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestTheLiveLineIsDrawnEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := terminal(80)
		begin := time.Now()
		s.keep(func(int) string { return time.Since(begin).String() })
		time.Sleep(2*time.Second + time.Millisecond)
		s.clear()
		time.Sleep(5 * time.Second)
		if want := eraseLine + "0s" + eraseLine + "1s" + eraseLine + "2s" + eraseLine; out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}

func TestALiveLineOnSeveralRowsIsErasedWhole(t *testing.T) {
	s, out := terminal(80)
	s.show(strings.Repeat("x", 70))
	s.width = func() int { return 30 } // the terminal has become narrower
	out.Reset()
	s.clear()
	if want := "\r" + up + up + eraseLine[1:]; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
