package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/globus-runner/globus-runner/globussim"
)

// A display is a terminal of 24 lines that a program runs in, as a person sees
// it. It knows what the program writes: text, line ends, and the sequences of
// the live line.
type display struct {
	t     *testing.T
	keys  *os.File // what is typed
	ended chan struct{}

	mu      sync.Mutex
	columns int
	lines   []string // those above the window as well
	row     int
	column  int
	escape  string // a sequence that is not complete
}

// onDisplay starts cmd in a terminal so many columns wide.
func onDisplay(t *testing.T, cmd *exec.Cmd, columns int) *display {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there are no terminals here: " + err.Error())
	}
	t.Cleanup(func() { _ = master.Close() })
	var number, unlocked int32
	ioctl(t, master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked))
	ioctl(t, master, syscall.TIOCGPTN, unsafe.Pointer(&number))
	d := &display{t: t, keys: master, ended: make(chan struct{}), lines: []string{""}}
	d.resize(columns)
	terminal, err := os.OpenFile(filepath.Join("/dev/pts", strconv.Itoa(int(number))), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no terminals here: " + err.Error())
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(t, cmd.Start())
	must(t, terminal.Close())
	go func() {
		defer close(d.ended)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			d.write(string(buf[:n]))
			if err != nil { // EIO when nobody has the terminal open any more
				if !errors.Is(err, syscall.EIO) && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
					t.Error(err)
				}
				return
			}
		}
	}()
	return d
}

func ioctl(t *testing.T, f *os.File, request uintptr, value unsafe.Pointer) {
	t.Helper()
	conn, err := f.SyscallConn()
	must(t, err)
	must(t, conn.Control(func(fd uintptr) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(value)); errno != 0 {
			t.Fatal(errno)
		}
	}))
}

// resize gives the terminal another width. Its lines are broken anew, as most
// terminals do it.
func (d *display) resize(columns int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := d.lines[len(d.lines)-1]
	if d.columns > 0 && len(last) > columns {
		d.lines = d.lines[:len(d.lines)-1]
		for ; len(last) > columns; last = last[columns:] {
			d.lines = append(d.lines, last[:columns])
		}
		d.lines = append(d.lines, last)
		d.row, d.column = len(d.lines)-1, len(last)
	}
	d.columns = columns
	size := [4]uint16{24, uint16(columns)}
	ioctl(d.t, d.keys, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
}

func (d *display) write(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range text {
		d.escape += string(r)
		switch {
		case r == '\x1b', strings.HasPrefix(d.escape, "\x1b") && (r == '[' || r >= '0' && r <= '9'):
			continue
		case d.escape == "\x1b[J":
			d.lines[d.row] = d.lines[d.row][:min(d.column, len(d.lines[d.row]))]
			d.lines = d.lines[:d.row+1]
		case d.escape == "\x1b[A":
			d.row--
		case r == '\r':
			d.column = 0
		case r == '\n':
			d.down()
		default:
			if d.column == d.columns {
				d.down()
				d.column = 0
			}
			line := d.lines[d.row] + strings.Repeat(" ", max(0, d.column-len(d.lines[d.row])))
			d.lines[d.row] = line[:d.column] + string(r) + line[min(len(line), d.column+1):]
			d.column++
		}
		d.escape = ""
	}
}

func (d *display) down() {
	if d.row++; d.row == len(d.lines) {
		d.lines = append(d.lines, "")
	}
}

// text is what stands on the terminal.
func (d *display) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

// shows waits until a text stands on the terminal.
func (d *display) shows(text string) {
	d.t.Helper()
	until(d.t, func() bool {
		select {
		case <-d.ended:
			if !strings.Contains(d.text(), text) {
				d.t.Fatalf("it ended without %q:\n%s", text, d.text())
			}
		default:
		}
		return strings.Contains(d.text(), text)
	})
}

func TestNothingIsLeftOfTheLiveLine(t *testing.T) {
	for name, columns := range map[string]int{"80 columns": 80, "made narrower": 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, s := program(t, "run", "--on-interrupt", "cancel")
			must(t, s.Disturb(globussim.Disturbance{Action: globussim.StallTask}))
			cmd.Env = append(cmd.Env, "TERM=xterm")
			d := onDisplay(t, cmd, 80)
			d.shows("  lab  ")
			if columns < 80 {
				d.resize(columns)
			}
			_, err := d.keys.WriteString("\x03") // Ctrl-C
			must(t, err)
			<-d.ended
			_ = cmd.Wait() // with status 130
			if text := d.text(); cmd.ProcessState.ExitCode() != 130 || strings.Contains(text, "  lab  ") || !strings.Contains(text, "interrupt") {
				t.Errorf("it ended with %v and left\n%s", cmd.ProcessState, text)
			}
		})
	}
}

func TestServeInATerminalBeginsWithWhatItWillDo(t *testing.T) {
	for format, want := range map[string]bool{"": true, "json": false} {
		t.Run("format "+format, func(t *testing.T) {
			t.Parallel()
			cmd, _ := program(t, "serve")
			cmd.Env = append(cmd.Env, "TERM=xterm", "RUNNER_JOB_SCHEDULE=0 0 1 1 *", "RUNNER_LOG_FORMAT="+format)
			d := onDisplay(t, cmd, 120)
			d.shows("jobs planned")
			_, err := d.keys.WriteString("\x03")
			must(t, err)
			<-d.ended
			must(t, cmd.Wait())
			text := d.text()
			if got := strings.Contains(text, "jobs     RUNNER_JOB_*, 1 job, 1 on a schedule\n"); got != want {
				t.Errorf("got the block: %t, want %t:\n%s", got, want, text)
			}
		})
	}
}
