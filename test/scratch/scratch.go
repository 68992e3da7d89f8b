// Package scratch gives tests a fast place for temporary files. A ledger waits
// for the disk at each change, which takes most of the time of its tests and
// shows nothing that they ask for.
package scratch

import (
	"fmt"
	"os"
	"testing"
)

// memory is the folder of Linux that is kept in memory.
const memory = "/dev/shm"

// Run runs the tests of a package with temporary files in memory, or where they
// always are if there is no such folder. It returns the exit status.
func Run(m *testing.M) int {
	dir, err := os.MkdirTemp(memory, "test-")
	if err != nil {
		return m.Run()
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "scratch:", err)
		}
	}()
	if err := os.Setenv("TMPDIR", dir); err != nil {
		fmt.Fprintln(os.Stderr, "scratch:", err)
		return 1
	}
	return m.Run()
}
