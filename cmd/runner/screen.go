package main

import (
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// A screen is where logs and messages go, all of them made harmless. On a
// terminal it keeps one live line below them, which is drawn over again and
// again.
type screen struct {
	w        io.Writer
	terminal bool
	width    func() int

	mu   sync.Mutex
	live string // the line that stands on the terminal now
}

// newScreen returns the screen on w. Kind is TERM.
func newScreen(w io.Writer, kind string) *screen {
	s := &screen{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && kind != "dumb" {
		s.terminal = true
		s.width = func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 80
			}
			return width
		}
	}
	return s
}

const eraseLine = "\r\x1b[K"

// Write writes above the live line.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := plain.Writer(s.w)
	if s.live == "" {
		return text.Write(p)
	}
	_, _ = io.WriteString(s.w, eraseLine) // the write below meets the same error
	n, err := text.Write(p)
	_, _ = io.WriteString(s.w, s.live)
	return n, err
}

// spooled has writes wait for no reader until the returned function is called.
// It is for a process that has to go on even if its log cannot be written.
func (s *screen) spooled(lost func(int64)) (direct func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.w
	sp := newSpool(w, lost)
	s.w = sp
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.w = w; !sp.close() {
			s.w = io.Discard // the reader is stuck: the last words would be, too
		}
	}
}

// show draws line as the live line; without a terminal it does nothing.
func (s *screen) show(line string) {
	if !s.terminal {
		return
	}
	line = plain.Line(line)
	s.mu.Lock()
	defer s.mu.Unlock()
	if runes, most := []rune(line), s.width()-1; len(runes) > most && most > 0 {
		line = string(runes[:most])
	}
	s.live = line
	_, _ = io.WriteString(s.w, eraseLine+line) // a live line is a courtesy
}

// clear takes the live line away.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live != "" {
		s.live = ""
		_, _ = io.WriteString(s.w, eraseLine) // a live line is a courtesy
	}
}

// seconds rounds a time for people.
func seconds(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
