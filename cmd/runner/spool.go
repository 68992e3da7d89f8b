package main

import (
	"io"
	"slices"
	"sync/atomic"
	"time"
)

const (
	spoolLines = 1024            // that may wait for their reader
	spoolTime  = 1 * time.Second // how long a full spool is waited for
)

// A spool writes lines in the background, so that nobody waits for a reader of
// the log that has stopped reading. Lines that find no room are lost, and
// counted.
type spool struct {
	w     io.Writer
	lines chan []byte
	lost  atomic.Int64
	stuck atomic.Bool // the last line found no room
	ended chan struct{}
}

// newSpool returns a spool in front of w. It calls lost, in a goroutine of its
// own, with how many lines were lost when w takes lines again.
func newSpool(w io.Writer, lost func(int64)) *spool {
	s := &spool{w: w, lines: make(chan []byte, spoolLines), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		for line := range s.lines {
			_, _ = s.w.Write(line) // a reader that went away loses the log, nothing else
			if n := s.lost.Swap(0); n > 0 {
				go lost(n)
			}
		}
	}()
	return s
}

// Write never fails, and takes at most a second. It must not be called
// concurrently, nor after close.
func (s *spool) Write(p []byte) (int, error) {
	line := slices.Clone(p)
	select {
	case s.lines <- line:
		s.stuck.Store(false)
		return len(p), nil
	default:
	}
	if !s.stuck.Load() { // perhaps it was only a burst
		timer := time.NewTimer(spoolTime)
		defer timer.Stop()
		select {
		case s.lines <- line:
			return len(p), nil
		case <-timer.C:
		}
		s.stuck.Store(true)
	}
	s.lost.Add(1)
	return len(p), nil
}

// close waits until everything is written, for at most a second, and reports
// whether it is.
func (s *spool) close() bool {
	close(s.lines)
	timer := time.NewTimer(spoolTime)
	defer timer.Stop()
	select {
	case <-s.ended:
		return true
	case <-timer.C:
		return false
	}
}
