//go:build unix

// Command stopwatch runs a program and prints what it took: the wall and the
// processor time in nanoseconds and the most resident memory in bytes.
//
//	stopwatch [-stop-after DURATION] /path/to/program ARG...
//
// A program that does not end by itself is sent SIGTERM after a while; then two
// figures follow: the resident memory just before, where the system has /proc,
// and the time from the signal to the end.
//
// The program's standard output is thrown away. If it does not exit with 0,
// neither does stopwatch.
//
// It is a program of its own, and a small one, because Linux counts the memory
// of the parent, up to the moment of the exec, as the child's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	stopAfter := flag.Duration("stop-after", 0, "send SIGTERM after `this long`; 0: never")
	flag.Parse()
	if err := run(flag.Args(), *stopAfter); err != nil {
		fmt.Fprintln(os.Stderr, "stopwatch:", err)
		os.Exit(1)
	}
}

func run(command []string, stopAfter time.Duration) error {
	if len(command) == 0 {
		return errors.New("no program to run")
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	begin := time.Now()
	process, err := os.StartProcess(command[0], command, &os.ProcAttr{Files: []*os.File{null, null, os.Stderr}})
	if err != nil {
		return err
	}
	go passOn(process)
	halt := stopping(process, stopAfter)
	state, err := process.Wait()
	end := time.Now()
	if err != nil {
		return err
	}
	if !state.Success() {
		return fmt.Errorf("%s: %s", command[0], state)
	}
	memory := int64(state.SysUsage().(*syscall.Rusage).Maxrss) //nolint:unconvert // on 32 bits it is an int32
	if runtime.GOOS != "darwin" {
		memory *= 1024 // the others count in KiB
	}
	resident, stop, err := halt(end)
	if err != nil {
		return fmt.Errorf("%s: %w", command[0], err)
	}
	_, err = fmt.Println(end.Sub(begin).Nanoseconds(), (state.UserTime() + state.SystemTime()).Nanoseconds(), memory, resident, stop.Nanoseconds())
	return err
}

// passOn hands a wish to stop on to the program, so that it does not outlive us.
func passOn(process *os.Process) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	for s := range signals {
		_ = process.Signal(s) // it may have ended just now
	}
}

// stopping sends SIGTERM to a process after some time, unless that is 0. To be
// called with the instant at which the process ended, halt returns the resident
// memory before the signal, in bytes, and the time since.
func stopping(process *os.Process, after time.Duration) (halt func(end time.Time) (resident int64, took time.Duration, err error)) {
	if after == 0 {
		return func(time.Time) (int64, time.Duration, error) { return 0, 0, nil }
	}
	var resident int64
	var begin time.Time
	signaled := make(chan error, 1)
	timer := time.AfterFunc(after, func() {
		resident = residentMemory(process.Pid)
		begin = time.Now()
		signaled <- process.Signal(syscall.SIGTERM)
	})
	return func(end time.Time) (int64, time.Duration, error) {
		if timer.Stop() {
			return 0, 0, errors.New("it ended before it was to be stopped")
		}
		err := <-signaled
		return resident, end.Sub(begin), err
	}
}

// residentMemory returns how many bytes of a process are in memory, 0 where the
// system does not tell.
func residentMemory(pid int) int64 {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var whole, resident int64 // in pages
	if _, err := fmt.Sscan(string(statm), &whole, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
