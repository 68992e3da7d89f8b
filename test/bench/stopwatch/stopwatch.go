//go:build unix

// Command stopwatch runs a program and prints what it took: the wall and the
// processor time in nanoseconds and the most resident memory in bytes.
//
//	stopwatch /path/to/program ARG...
//
// The program's standard output is thrown away. If it does not exit with 0,
// neither does stopwatch.
//
// It is a program of its own, and a small one, because Linux counts the memory
// of the parent, up to the moment of the exec, as the child's.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stopwatch:", err)
		os.Exit(1)
	}
}

func run(command []string) error {
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
	state, err := process.Wait()
	wall := time.Since(begin)
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
	_, err = fmt.Println(wall.Nanoseconds(), (state.UserTime() + state.SystemTime()).Nanoseconds(), memory)
	return err
}
