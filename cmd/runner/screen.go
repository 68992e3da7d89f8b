package main

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// A screen is where logs and messages go, all of them made harmless. On a
// terminal it keeps one live line below them, which is drawn again every second.
type screen struct {
	w        io.Writer
	terminal bool
	width    func() int

	mu   sync.Mutex
	draw func(columns int) string // makes the live line
	live string                   // the line that stands on the terminal now
	stop chan struct{}            // ends the redrawing; nil if there is no live line
	lent bool                     // the live line gives way to any other
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

const (
	eraseLine = "\r\x1b[J" // and what is below
	up        = "\x1b[A"
)

// redrawEvery is how often the live line is drawn again.
const redrawEvery = time.Second

// Write writes above the live line.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := plain.Writer(s.w)
	if s.live == "" {
		return text.Write(p)
	}
	_, _ = io.WriteString(s.w, s.erase()) // the write below meets the same error
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
func (s *screen) show(line string) { s.keep(func(int) string { return line }) }

// keep draws what draw returns as the live line, now and every second until
// clear is called; without a terminal it does nothing.
func (s *screen) keep(draw func(columns int) string) {
	if !s.terminal {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draw, s.lent = draw, false
	s.begin()
}

// lend draws what draw returns as the live line if there is no other, until back
// is called or there is another one.
func (s *screen) lend(draw func(columns int) string) (back func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal || s.stop != nil {
		return func() {}
	}
	s.draw, s.lent = draw, true
	s.begin()
	mine := s.stop
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.lent && s.stop == mine {
			s.end()
		}
	}
}

// begin draws the live line now, and from then on every second.
func (s *screen) begin() {
	if s.stop == nil {
		s.stop = make(chan struct{})
		go s.redrawUntil(s.stop)
	}
	s.redraw()
}

func (s *screen) redrawUntil(stop chan struct{}) {
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		if s.stop == stop { // else it was cleared meanwhile
			s.redraw()
		}
		s.mu.Unlock()
	}
}

// redraw draws the live line, cut to the width that the terminal has now.
func (s *screen) redraw() {
	columns := s.width()
	line := plain.Line(s.draw(columns))
	if runes, most := []rune(line), columns-1; len(runes) > most && most > 0 {
		line = string(runes[:most])
	}
	_, _ = io.WriteString(s.w, s.erase()+line) // a live line is a courtesy
	s.live = line
}

// erase takes the live line off the terminal. A terminal that has become
// narrower shows it on several lines.
func (s *screen) erase() string {
	rows := 0
	if columns := s.width(); columns > 0 {
		rows = max(0, utf8.RuneCountInString(s.live)-1) / columns
	}
	return "\r" + strings.Repeat(up, rows) + eraseLine[1:]
}

// clear takes the live line away.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.end()
	}
}

func (s *screen) end() {
	close(s.stop)
	_, _ = io.WriteString(s.w, s.erase()) // a live line is a courtesy
	s.stop, s.draw, s.live = nil, nil, ""
}
